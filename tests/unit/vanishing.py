"""Names of other libraries that vanish: what each module that uses undocumented ones says when it is imported then."""

import inspect
import runpy
import sys
from types import ModuleType
from typing import Any

import pytest

from interceptors.libraries import Library


def asked_for(module: ModuleType) -> list[tuple[object, str]]:
    """(owner, name) of everything that a module asks `Library.needed` for while it is imported."""
    found: list[tuple[object, str]] = []
    needed = Library.needed

    def noting(self: Library, owner: object, name: str, purpose: str) -> Any:
        found.append((owner, name))
        return needed(self, owner, name, purpose)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Library, "needed", noting)
        import_again(module)
    return found


def titles(asked: list[tuple[object, str]]) -> list[str]:
    """For the ids of tests."""
    return [f"{getattr(owner, '__name__', type(owner).__name__)}.{name}" for owner, name in asked]


def remove(patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Rename an attribute, wherever it comes from: from now on neither the owner nor its like have one of this name."""
    if inspect.ismodule(owner):
        patch.delattr(owner, name)
        return
    if not inspect.isclass(owner) and name in getattr(owner, "__dict__", {}):
        hide(patch, type(owner), name)
        return
    for each in (owner if inspect.isclass(owner) else type(owner)).__mro__:
        if name in vars(each):
            patch.delattr(each, name)


def hide(patch: pytest.MonkeyPatch, cls: Any, name: str) -> None:
    """The same for what each object gets in its constructor: the library itself goes by the new name, nobody else can."""
    plain = cls.__getattribute__
    library = cls.__module__.partition(".")[0]

    def getting(self: object, asked: str) -> Any:
        if asked == name and sys._getframe(1).f_globals["__name__"].partition(".")[0] != library:
            raise AttributeError(f"{asked} has another name now")
        return plain(self, asked)

    patch.setattr(cls, "__getattribute__", getting, raising=False)


def import_again(module: ModuleType) -> None:
    """Run a module as when it is imported, in a namespace of its own."""
    runpy.run_path(str(module.__file__))
