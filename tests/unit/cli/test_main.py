"""The entry points, typer's own refusals, and what happens where typer or the reader is missing."""

import runpy
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from typer.testing import CliRunner

from interceptors.cli import main
from interceptors.cli.commands import app
from interceptors.cli.output import say
from tests.unit.cli.helpers import Result, environment, run_process, write

Run = Callable[..., Result]


def test_as_a_module_and_as_a_script(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m interceptors` and `interceptors` are the same."""
    assert run_process(project, "--help").code == 0
    monkeypatch.setattr(sys, "argv", ["interceptors", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("interceptors", run_name="__main__")
    assert ended.value.code == 0
    runpy.run_module("interceptors.__main__", run_name="not main")
    assert main() == 0


@pytest.mark.parametrize("arguments", [[], ["new"], ["explain"], ["check"], ["outbox"], ["outbox", "revive"]])
def test_help_is_plain(run: Run, arguments: list[str]) -> None:
    """No boxes and no colours in a pipe."""
    result = run(*arguments, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Usage: ")
    assert result.out.isascii()
    assert "\x1b" not in result.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing command."),
        (["serve"], "No such command 'serve'."),
        (["--nope"], "No such option: --nope"),
        (["new", "a", "b"], "Got unexpected extra argument(s) (b)"),
        (["new", "--group"], "Option '--group' requires an argument."),
        (["explain"], "Missing argument 'APP'."),
        (["check"], "Missing argument 'APP'."),
        (["outbox"], "Missing command."),
        (["outbox", "revive"], "Missing argument 'EVENTS'."),
        (["check", "main:app", "--lock"], "Option '--lock' requires an argument."),
    ],
)
def test_what_typer_refuses_is_one_line(run: Run, arguments: list[str], says: str) -> None:
    """Exit code 2, in our form."""
    assert run(*arguments) == Result(2, "", f"error: {says}\n")


def test_without_typer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that says what to install."""
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "interceptors.cli.commands")
    monkeypatch.delitem(sys.modules, "interceptors.cli.new")
    assert main(["--help"]) == 1
    expected = "error: the command line needs typer: pip install 'interceptors[cli]'\n"
    assert capsys.readouterr() == ("", expected)


def test_without_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is nothing that this extra would bring."""
    monkeypatch.setitem(sys.modules, "interceptors.cli.lock", None)
    monkeypatch.delitem(sys.modules, "interceptors.cli.commands")
    monkeypatch.delitem(sys.modules, "interceptors.cli.check")
    with pytest.raises(ModuleNotFoundError, match="interceptors.cli.lock"):
        main(["--help"])


def test_without_typer_in_a_process(project: Path) -> None:
    """As the user sees it."""
    write(project, {"typer/__init__.py": "raise ModuleNotFoundError(name='typer')"})
    result = run_process(project, "new", "audit")
    assert result == Result(1, "", "error: the command line needs typer: pip install 'interceptors[cli]'\n")


def test_through_the_runner_of_typer(project: Path) -> None:
    """The typer application is usable by itself."""
    result = CliRunner().invoke(app, ["new", "audit", "--local"])
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "@intercept(AuditInterceptor)")


def test_a_reader_that_goes_away(project: Path) -> None:
    """`explain ... | head -1` ends without a traceback."""
    write(project, {"main.py": "from fastapi import FastAPI\napp = FastAPI()\napp.get('/')(print)"})
    with subprocess.Popen(
        [sys.executable, "-m", "interceptors", "explain", "main:app"],
        cwd=project,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait(timeout=60)) == (b"", 1)


def test_what_the_output_cannot_encode_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Better than an error in the middle of an answer."""
    raw = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(raw, encoding="ascii"))
    say("größe", "x")
    assert raw.getvalue() == b"gr\\xf6\\xdfe\nx\n"
