"""What `new` writes passes ruff, `ruff format`, mypy and its own test, untouched, whatever it was asked for."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors import InterceptorRegistry
from interceptors.cli.templates import interceptor_module, interceptor_test
from tests.unit.cli.helpers import Result, environment, files_in

pytestmark = pytest.mark.slow

Run = Callable[..., Result]

ODD_TEXTS = [
    "g'quote",
    'say "hi"',
    "'a' \"b\"",
    "''\"",
    "back\\slash\\",
    "größe 組 😀",
    "line\nend\r\x1b[0m\x00",
    "right\u202eleft\u2028",
    "{braces} {name} %s",
    '"""',
    "'''",
    " ",
    "x" * 200,
    "組" * 30,
]


def ruff(folder: Path, *arguments: str) -> None:
    """Run ruff with its default rules; fail with what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "--isolated", "--no-cache", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def all_kinds(run: Run) -> None:
    """One interceptor of each kind, in several packages."""
    for arguments in (
        ["HTTPAccess"],
        ["HTTPAccess", "--dir", "src/shop/layers", "--group", "auth", "--source", "route"],
        ["local", "--local"],
        ["Test"],
        ["VeryLongNameOfAnInterceptorThatDoesNotFitOnOneLineByFar", "--group", "g" * 80, "--dir", "web/layers"],
        ["many", "--source", "route", "--source", "job", "--source", "with a long name " * 5],
        *([f"odd{n}", "--group", text, "--source", text] for n, text in enumerate(ODD_TEXTS) if "\0" not in text),
    ):
        result = run("new", *arguments)
        assert result.code == 0, result


def test_ruff_mypy_and_its_own_test(run: Run, project: Path) -> None:
    """With the defaults of each, and pytest without any plugin, warnings being errors."""
    all_kinds(run)
    ruff(project, "check")
    ruff(project, "format", "--check")
    checked = [name for name in files_in(project) if name.endswith(".py")]
    for command in (
        ["-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", str(project.parent / "mypy"), *checked],
        ["-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(project)],
    ):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=project,
            env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS=""),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    tests = len([name for name in checked if "/test_" in name])
    assert f"{2 * tests} passed" in done.stdout


def test_the_format_does_not_depend_on_lengths(tmp_path: Path) -> None:
    """Every name and text is as ruff would format it, around the edge of a line, too."""
    folder = tmp_path / "layers"
    folder.mkdir()
    for length in range(1, 90):
        name = f"{'N' * length}Interceptor"
        module = interceptor_module(name, group="g" * length, sources=["s"] * (length % 4))
        (folder / f"n{length}.py").write_text(module, encoding="utf-8")
        (folder / f"test_n{length}.py").write_text(interceptor_test("m" * length, name), encoding="utf-8")
    for number, text in enumerate(ODD_TEXTS):
        module = interceptor_module("OddInterceptor", group=text, sources=[text, text[:20]])
        (folder / f"odd{number}.py").write_text(module, encoding="utf-8")
    ruff(tmp_path, "check")
    ruff(tmp_path, "format", "--check")


@given(st.text(), st.lists(st.text(min_size=1), max_size=3))
def test_texts_stand_for_themselves(group: str, sources: list[str]) -> None:
    """Any group and any source types come out as they went in."""
    tree = ast.parse(interceptor_module("AnyInterceptor", group=group, sources=sources))
    (decorator,) = next(node for node in tree.body if isinstance(node, ast.ClassDef)).decorator_list
    assert isinstance(decorator, ast.Call)
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in decorator.keywords}
    expected = {0: None, 1: sources[0] if sources else None}.get(len(sources), tuple(sources))
    assert given == {"group": group, **({} if expected is None else {"source": expected})}


def test_what_was_generated_is_discovered(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Global ones are found, their tests are not imported, local ones are left alone."""
    run("new", "first", "--dir", "generated/layers", "--group", "g'quote", "--source", "route")
    run("new", "second", "--dir", "generated/layers", "--local")
    monkeypatch.syspath_prepend(str(project))
    registry = InterceptorRegistry()
    (found,) = registry.discover("generated.layers")
    assert found.__qualname__ == "FirstInterceptor"
    assert "generated.layers.test_first" not in sys.modules

    async def target() -> None: ...

    (candidate,) = registry.explain(target).candidates
    assert (candidate.group, candidate.name) == ("g'quote", "FirstInterceptor")
    assert registry.explain(target, source="job").candidates[0].reason == "source: only route"
