"""Finding what is marked with `@global_interceptor` in a package."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from interceptors.metadata import GlobalOptions, metadata_of

__all__ = ["find_marked"]


def find_marked(package: str | ModuleType) -> Iterator[tuple[Any, GlobalOptions]]:
    """Import a package and its modules; give what is marked and defined in it, by module name, then by line."""
    root = import_module(package) if isinstance(package, str) else package
    for module in (root, *_modules_below(root)):
        for found in vars(module).values():
            # What a module only imports belongs to the module, maybe the library, that defines it.
            if getattr(found, "__module__", None) == module.__name__:
                options = metadata_of(found).global_options
                if options is not None:
                    yield found, options


def _modules_below(package: ModuleType) -> Iterator[ModuleType]:
    paths = getattr(package, "__path__", None)
    for info in sorted(pkgutil.iter_modules(paths), key=lambda info: info.name) if paths else ():
        if info.name.startswith("test_") or info.name == "conftest":
            continue
        module = import_module(f"{package.__name__}.{info.name}")
        yield module
        if info.ispkg:
            yield from _modules_below(module)
