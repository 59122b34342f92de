"""The name of a handler whose module was started as a program, by what that module says of itself."""

from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from interceptors.events.stored_names import stored_name


def started_as(module: str, **says: Any) -> Any:
    """A function of a module that says this of itself."""
    function = FunctionType(_handle.__code__, {"__name__": module, **says}, "handle")
    assert function.__module__ == module
    function.__qualname__ = "Mails.handle"
    return function


def _handle() -> None: ...


def spec(name: str) -> ModuleSpec:
    return ModuleSpec(name, None)


@pytest.mark.parametrize("started", ["__main__", "__mp_main__"])
@pytest.mark.parametrize(
    ("files", "file", "says", "name"),
    [
        (["till.py"], "till.py", None, "till"),
        (["till.py"], "till.py", "store.till", "store.till"),
        (["store/__init__.py", "store/till.py"], "store/till.py", None, "store.till"),
        (["a/__init__.py", "a/b/__init__.py", "a/b/till.py"], "a/b/till.py", None, "a.b.till"),
        (["store/__main__.py"], "store/__main__.py", "__main__", "store.__main__"),
        (["store/__init__.py", "store/__main__.py"], "store/__main__.py", "__main__", "store.__main__"),
        ([], "<stdin>", None, None),
        ([], "archive.pyz/__main__.py", "__main__", None),
        ([], None, None, None),
    ],
)
def test_it_is_the_modules_real_name(
    tmp_path: Path, started: str, files: list[str], file: str | None, says: str | None, name: str | None
) -> None:
    """By its spec, else by its file and the packages around; without a file it stays what it is called."""
    for each in files:
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).touch()
    there = {} if file is None else {"__file__": str(tmp_path / file)}
    function = started_as(started, __spec__=None if says is None else spec(says), **there)
    assert stored_name(function) == f"{name or started}.Mails.handle"


def test_other_modules_are_what_they_are() -> None:
    """Whatever their files are called."""
    assert stored_name(_handle) == f"{__name__}._handle"
