"""Finding what is marked with `@global_interceptor` in a package."""

import pkgutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from interceptors.describing import suggest
from interceptors.errors import UnknownPackageError
from interceptors.metadata import GlobalOptions, metadata_of

__all__ = ["find_marked"]

_MARK = b"global_interceptor"


def find_marked(package: str | ModuleType) -> Iterator[tuple[Any, GlobalOptions]]:
    """Import a package and its modules; give what is marked and defined in it, by module name, then by line.

    Raises UnknownPackageError if there is no such package, and what its modules raise when they are imported.
    """
    root = _imported(package) if isinstance(package, str) else package
    for module in (root, *_modules_below(root)):
        for found in vars(module).values():
            options = metadata_of(found).global_options
            if options is not None and _is_of(module, found):
                yield found, options


def _imported(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise UnknownPackageError(f'{name!r} is no name of a package. Write registry.discover("app.interceptors").')
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name != missing and not name.startswith(f"{missing}."):
            raise  # one that the package imports in vain
        around, _, last = missing.rpartition(".")
        paths = getattr(sys.modules.get(around), "__path__", None) if around else None
        beside = [info.name for info in pkgutil.iter_modules(paths)]
        raise UnknownPackageError(f"There is no package or module {missing!r}.{suggest(last, beside)}") from None


def _is_of(module: ModuleType, found: object) -> bool:
    """What a module only imports belongs to the module, maybe the library, in which it stands; what one makes does not."""
    name = getattr(found, "__module__", None)
    if name == module.__name__:
        return True
    defining = vars(sys.modules[name]).values() if name in sys.modules else ()
    return not any(each is found for each in defining)


def _modules_below(package: ModuleType) -> Iterator[ModuleType]:
    paths: list[str] = list(getattr(package, "__path__", ()))
    regular = {info.name: info.ispkg for info in pkgutil.iter_modules(paths)}
    for name in sorted({*regular, *_marked_without_init(paths)}):
        if name.startswith("test_") or name == "conftest":
            continue
        module = import_module(f"{package.__name__}.{name}")
        yield module
        if regular.get(name, True):
            yield from _modules_below(module)


def _marked_without_init(paths: list[str]) -> Iterator[str]:
    """Folders without an `__init__.py`, which Python imports and pkgutil passes by, if something is marked in them.

    Others stay as they are: scripts, say, or migrations, which nobody wants to be imported.
    """
    for folder in (folder for path in map(Path, paths) if path.is_dir() for folder in path.iterdir()):
        is_package = folder.is_dir() and folder.name.isidentifier()
        if is_package and not (folder / "__init__.py").exists():
            marked = (file for file in folder.rglob("*.py") if _MARK in file.read_bytes())
            if next(marked, None) is not None:
                yield folder.name
