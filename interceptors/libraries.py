"""How we ask for what the documentation of another library does not have: checked, and never missed in silence.

The core and each part have one module of such names, `undocumented.py`, or one for each library. Whatever is gone, or is
something else, is an IncompatibleLibraryError when that module is imported.
"""

from importlib.metadata import version
from typing import Any, final

from interceptors.errors import IncompatibleLibraryError

__all__ = ["Library"]

_GONE = object()


@final
class Library:
    """Another library, by the name of its distribution."""

    def __init__(self, name: str) -> None:
        self.name = name

    def needed(self, owner: object, name: str, purpose: str) -> Any:
        """An undocumented attribute of a module, a class or an object. Raises IncompatibleLibraryError where it is gone."""
        found: Any = getattr(owner, name, _GONE)
        self.confirm(found is not _GONE, f"{getattr(owner, '__name__', type(owner).__name__)}.{name}", purpose)
        return found

    def confirm(self, holds: object, name: str, purpose: str) -> None:
        """Raises IncompatibleLibraryError for something undocumented that is not as we know it."""
        if not holds:
            raise IncompatibleLibraryError(self.name, version(self.name), name, purpose)
