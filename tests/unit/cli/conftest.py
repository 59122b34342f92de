"""A command in this process, in a project of its own, which leaves no trace in the process."""

import sys
from collections.abc import Callable, Iterator
from importlib import invalidate_caches
from pathlib import Path

import pytest

from interceptors.cli import main
from tests.unit.cli.helpers import Result
from tests.unit.cli.operated import in_project, write_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, empty; what is imported from it is forgotten afterwards."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("app", "shop")]:
        monkeypatch.delitem(sys.modules, name)  # the projects of these tests are called so, and others are, too
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def run(project: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command in the project."""

    def run(*arguments: str) -> Result:
        invalidate_caches()  # files are written faster than a file system's clock ticks
        code = main(arguments)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def shop(project: Path) -> Path:
    """A project with an outbox that has no table yet."""
    write_project(project)
    return project


@pytest.fixture
def operated(shop: Path) -> Path:
    """The same with a row in each state: see `fill` in it."""
    in_project(lambda main: main.fill())
    return shop
