"""The name by which stored events find a handler: that of its real module, however the program was started."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["stored_name"]

_STARTED = ("__main__", "__mp_main__")
"""What the module is called that the program was started with, and in a process that it has spawned."""


def stored_name(function: Callable[..., Any]) -> str:
    """`module.qualname`. Another process imports the module that is `__main__` here, and means the same handler."""
    module = function.__module__
    if module in _STARTED:
        module = _real_name(function.__globals__) or module
    return f"{module}.{function.__qualname__}"


def _real_name(module: dict[str, Any]) -> str | None:
    """By the module's `__spec__` (`python -m shop`), else by its file; None where there is none, as in a console."""
    spec = module.get("__spec__")
    if spec is not None and spec.name not in _STARTED:  # a folder that is run calls itself `__main__`
        return str(spec.name)
    file = Path(module.get("__file__") or "").resolve()
    if not file.is_file():  # `<stdin>`, an archive
        return None
    parts = [file.stem]
    folder = file.parent
    if file.stem == "__main__" and not (folder / "__init__.py").exists():
        return f"{folder.name}.{file.stem}"
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts)
