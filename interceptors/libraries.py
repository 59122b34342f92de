"""How we ask for what the documentation of another library does not have: checked, and never missed in silence.

The core and each part have one module of such names, `undocumented.py`, or one for each library. Whatever is gone, or is
something else, is an IncompatibleLibraryError when that module is imported.
"""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from inspect import getattr_static, unwrap
from typing import Any, final

from interceptors.errors import IncompatibleLibraryError

__all__ = ["Library", "declares", "uses"]

_GONE = object()


@final
class Library:
    """Another library, by the name of its distribution."""

    def __init__(self, name: str) -> None:
        self.name = name

    def incompatible(self, name: str, purpose: str) -> IncompatibleLibraryError:
        """The error for something undocumented that is not as we know it."""
        return IncompatibleLibraryError(self.name, version(self.name), name, purpose)

    def needed(self, owner: object, name: str, purpose: str) -> Any:
        """An undocumented attribute of a module, a class or an object. Raises IncompatibleLibraryError where it is gone."""
        found: Any = getattr(owner, name, _GONE)
        self.confirm(found is not _GONE, f"{getattr(owner, '__name__', type(owner).__name__)}.{name}", purpose)
        return found

    @contextmanager
    def importing(self, name: str, purpose: str) -> Generator[None]:
        """For the import of an undocumented name: an ImportError would be taken for a library that is not installed."""
        try:
            yield
        except ImportError as error:
            raise self.incompatible(name, purpose) from error

    def confirm(self, holds: object, name: str, purpose: str) -> None:
        """Raises IncompatibleLibraryError for something undocumented that is not as we know it."""
        if not holds:
            raise self.incompatible(name, purpose)


def uses(cls: type[object], method: str, *names: str) -> bool:
    """Does a method, or a property, use attributes of these names? A class tells no more of what only its objects have."""
    found: Any = getattr_static(cls, method, None)
    found = found.fget if isinstance(found, property) else found
    code = getattr(unwrap(found), "__code__", None)
    return code is not None and set(names) <= set(code.co_names)


def declares(cls: type[object], name: str) -> bool:
    """Has a class an attribute of this name, or an annotation that says its objects will?"""
    return hasattr(cls, name) or any(name in vars(each).get("__annotations__", ()) for each in cls.__mro__)
