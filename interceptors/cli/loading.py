"""Loading the application that a command is asked about. It is not started: no lifespan runs."""

import inspect
import sys
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from interceptors.cli.output import CommandError, UsageError, describe

__all__ = ["load_application", "loading", "reporting"]


def load_application(text: str) -> FastAPI:
    """The application that `module:attribute` names, or that the factory of that name gives.

    Raises UsageError if there is no such thing, CommandError for whatever is raised while loading.
    """
    with loading(text) as found:
        made = found if isinstance(found, FastAPI) else _made_by(found)
    if not isinstance(made, FastAPI):
        raise UsageError(f"{text!r} is neither a FastAPI application nor a factory without parameters that gives one")
    return made


@contextmanager
def loading(text: str) -> Generator[Any]:
    """What `module:attribute` names; the current folder is searched first. What is raised and printed is not ours."""
    module, _, attribute = text.partition(":")
    if not all(module.split(".")) or not all(attribute.split(".")):
        raise UsageError(f"{text!r} is not of the form module:attribute, such as app.main:app")
    here = str(Path.cwd())
    if sys.path[0] != here:
        sys.path.insert(0, here)
    with redirect_stdout(sys.stderr), reporting():  # what the application prints is no part of our answer
        yield _attribute(_module(module), attribute)


@contextmanager
def reporting() -> Generator[None]:
    """What the application's own code raises is the answer: `<class>: <message>`."""
    try:
        yield
    except CommandError:
        raise
    except (Exception, SystemExit) as error:
        raise CommandError(describe(error)) from error


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):  # not one that the application imports in vain
            raise UsageError(f"there is no module {missing!r}") from None
        raise


def _attribute(module: Any, path: str) -> Any:
    found = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise UsageError(f"the module {module.__name__!r} has no attribute {path!r}") from None
    return found


def _made_by(factory: Any) -> Any:
    """What a callable gives if it takes no argument, else None."""
    try:
        inspect.signature(factory).bind()
    except (TypeError, ValueError):
        return None
    made = factory()
    if inspect.iscoroutine(made):
        made.close()
    return made
