"""Finding hooks and events by convention: `app/hooks/user_hooks.py`, `app/events/user_events.py`."""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import ModuleInfo, iter_modules
from types import ModuleType
from typing import Any

from interceptors.resources.description import snake_case
from interceptors.resources.errors import UnknownModelError

__all__ = ["find_modules", "functions_in"]


def find_modules(package: str | ModuleType, folder: str) -> Iterator[tuple[str, ModuleType]]:
    """(snake_case model, module) for each module of `<package>.<folder>`, which is "hooks" or "events".

    A missing folder is fine. Raises UnknownModelError for a module that is not called after a model.
    """
    name = f"{package if isinstance(package, str) else package.__name__}.{folder}"
    spec = find_spec(name)
    if spec is None or spec.submodule_search_locations is None:  # a module of that name is something else
        return
    for found in iter_modules(spec.submodule_search_locations):
        if found.name.startswith("_"):
            continue
        model, _, suffix = snake_case(found.name).rpartition("_")
        if suffix != folder or not model:
            raise UnknownModelError(
                f"{name}.{found.name} ({_path(found)}) is not called after a model: <model>_{folder}.py, such as user_{folder}.py. A "
                f"module of helpers starts with an underscore.",
                found.name,
            )
        yield model, import_module(f"{name}.{found.name}")


def _path(found: ModuleInfo) -> str:
    """The file of a module, or the folder of a package."""
    return str(Path(getattr(found.module_finder, "path", "")) / (found.name if found.ispkg else f"{found.name}.py"))


def functions_in(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """What is called `on_...` or `onX...`: hooks, or events. Other names are ignored."""
    for name, value in vars(module).items():
        if name.startswith("on_") or (name.startswith("on") and name[2:3].isupper()):
            yield name, value
