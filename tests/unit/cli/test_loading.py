"""What APP may be, and what is said of what it cannot be."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.helpers import ROOT, Result, run_process, write

Run = Callable[..., Result]

APP = """
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/health")
    def health() -> str: ...
"""
WRONG = """
    from inspect import signature
    from starlette.routing import Route

    NUMBER = 7
    dict = dict

    def with_parameter(settings): return app

    def makes_nothing(): return None

    async def later(): return app

    async def asgi(scope, receive, send): ...
"""
HEALTH = "GET /health  health\n  (not intercepted)\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (APP, "main:app"),
        (f"{APP}\n    def create_app() -> FastAPI:\n        return app", "main:create_app"),
        (f"{APP}\n    def create_app(debug=False, *args, **kw): return app", "main:create_app"),
        (f"{APP}\n    class Factories:\n        make = lambda: app", "main:Factories.make"),
        (f"{APP}\n    class Shop:\n        def __call__(self): return app\n    shop = Shop()", "main:shop"),
        (f"{APP}\n    class Holder: pass\n    Holder.app = app", "main:Holder.app"),
        (
            f"{APP}\n    def __getattr__(name):\n        if name == 'lazy': return app\n        raise AttributeError",
            "main:lazy",
        ),
    ],
)
def test_an_application_or_a_factory(run: Run, project: Path, text: str, name: str) -> None:
    """A factory takes no parameters, or has defaults for all."""
    write(project, {"main.py": text})
    assert run("explain", name) == Result(0, HEALTH, "")


def test_the_current_folder_is_first(project: Path) -> None:
    """Whatever else is on the path, also for the installed script."""
    write(project, {"shop/__init__.py": "", "shop/main.py": APP, "other/shop/main.py": "raise ValueError"})
    script = ("-P", "-c", "import sys; from interceptors.cli import main; sys.exit(main())")
    path = f"{project / 'other'}{os.pathsep}{ROOT}"
    for python in (script, ("-m", "interceptors")):
        assert run_process(project, "explain", "shop.main:app", python=python, PYTHONPATH=path) == Result(0, HEALTH, "")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        *(
            (name, f"{name!r} is not of the form module:attribute, such as app.main:app")
            for name in ("main", "", ":", ":app", "main:", ".main:app", "a..b:app", "main:a..b", "main.:app")
        ),
        ("missing:app", "there is no module 'missing'"),
        ("missing.main:app", "there is no module 'missing'"),
        ("shop.missing:app", "there is no module 'shop.missing'"),
        ("main.missing:app", "there is no module 'main.missing'"),
        ("main:missing", "the module 'main' has no attribute 'missing'"),
        ("main:app.missing", "the module 'main' has no attribute 'app.missing'"),
        *(
            (
                f"main:{name}",
                f"'main:{name}' is neither a FastAPI application nor a factory without parameters that gives one",
            )
            for name in ("NUMBER", "with_parameter", "makes_nothing", "later", "asgi", "dict", "signature", "Route")
        ),
    ],
)
def test_a_wrong_question(run: Run, project: Path, name: str, says: str) -> None:
    """One line on stderr, exit code 2."""
    write(project, {"shop/__init__.py": "", "main.py": APP + WRONG})
    for command in ("explain", "check"):
        assert run(command, name) == Result(2, "", f"error: {says}\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("raise RuntimeError('no database')", "RuntimeError: no database"),
        ("raise ValueError('one\\n  two\\n')", "ValueError: one two"),
        ("raise ValueError", "ValueError"),
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("raise ValueError('\\x1b[31mred\\x07')", "ValueError: \\x1b[31mred\\x07"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import missing", "ModuleNotFoundError: No module named 'missing'"),
        ("import mainly", "ModuleNotFoundError: No module named 'mainly'"),
        ("import main.sub", "ModuleNotFoundError: No module named 'main.sub'; 'main' is not a package"),
        ("def broken(:", "SyntaxError: invalid syntax (main.py, line 1)"),
        ("def app(): raise OSError(2, 'gone')", "FileNotFoundError: [Errno 2] gone"),
        ("def app(): return {}['x'].y", "KeyError: 'x'"),
        ("def app(): raise AttributeError('mine')", "AttributeError: mine"),
        ("def __getattr__(name): raise ZeroDivisionError(name)", "ZeroDivisionError: app"),
        (
            "from interceptors import *\nInterceptorRegistry(ordered_groups=['a', 'b', 'a'])",
            None,
        ),
    ],
)
def test_what_is_raised_while_loading(run: Run, project: Path, text: str, says: str | None) -> None:
    """The application's own error is the answer, exit code 1: its class and message on one line, no traceback."""
    write(project, {"main.py": text})
    for command in ("explain", "check"):
        result = run(command, "main:app")
        assert (result.code, result.out) == (1, "")
        if says is None:  # several lines
            assert re.fullmatch("error: GroupOrderError: The order .* Take one of these demands away.\n", result.err)
        else:
            assert result.err == f"error: {says}\n"
        sys.modules.pop("main", None)


def test_no_traceback_in_a_process(project: Path) -> None:
    """As the user sees it."""
    write(project, {"main.py": "raise RuntimeError('no database')"})
    assert run_process(project, "check", "main:app") == Result(1, "", "error: RuntimeError: no database\n")


def test_no_lifespan_is_run_and_what_is_printed_is_no_answer(project: Path) -> None:
    """Loading prints to stderr, so that stdout is ours."""
    write(
        project,
        {
            "main.py": """
                from contextlib import asynccontextmanager
                from fastapi import FastAPI

                print("importing")

                @asynccontextmanager
                async def lifespan(app):
                    raise RuntimeError("started")
                    yield

                def create():
                    print("creating")
                    return FastAPI(lifespan=lifespan)
            """
        },
    )
    assert run_process(project, "check", "main:create") == Result(0, "0 routes, 0 problems\n", "importing\ncreating\n")
