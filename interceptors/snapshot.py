"""What a class and its bases have under a name at one moment, to see later whether it still is so."""

from types import MappingProxyType
from typing import Any, final

from interceptors.context import MISSING
from interceptors.describing import function_behind
from interceptors.metadata import names_in

__all__ = ["Snapshot"]


@final
class Snapshot:
    """What each class of an MRO has under a name. A method's layers come from all of them, not from the first alone.

    `has_bases`: there are classes that can change, but for the class itself.
    """

    __slots__ = ("_held", "_mro", "_owner", "has_bases", "raw")

    def __init__(self, owner: type, name: str) -> None:
        self._owner = owner
        self._mro = owner.__mro__
        classes = (*self._mro, *type.mro(type(owner)))
        self.raw: Any = next((vars(cls)[name] for cls in classes if name in vars(cls)), MISSING)
        """What the name means on the class: a function, a descriptor, a value; MISSING if it has no such name."""
        spaces: list[MappingProxyType[str, Any]] = [cls.__dict__ for cls in classes if cls not in (object, type)]
        self.has_bases = len(spaces) > 1
        names = dict.fromkeys((name, *names_in(owner, function_behind(self.raw))))
        self._held = [(space, each, space.get(each, MISSING)) for space in spaces for each in names]

    @property
    def is_old(self) -> bool:
        """Has one of the classes something else under the name by now, or the class other bases?"""
        if self._owner.__mro__ is not self._mro:
            return True
        for space, name, raw in self._held:  # noqa: SIM110 (no generator: this is asked at each call where there are bases)
            if space.get(name, MISSING) is not raw:
                return True
        return False
