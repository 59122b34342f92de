"""The errors of model resources.

    InterceptorError
    |- ResourceError (ValueError)        a resource, or a hook of one, is declared wrongly; raised before the first request
    |  |- UnknownModelError (LookupError)      no resource has the model that a hook file or `@resources.hook` names
    |  |- UnknownHookError (LookupError)       there is no hook or event of that name
    |  |- HookParameterError (TypeError)       a hook asks for what it is not given
    |  |- DuplicateHookError (ValueError)      two functions for one hook of one model
    |  `- InvalidHookError (TypeError)         what is registered is no function
    `- ApiError                          raised by hooks and handlers: an answer of `{"error": message}`

The parts' own errors stand in the parts. Two of these are the errors of the same name in `interceptors.errors`, as they are
raised for resources: whoever catches those, which connectors and remoting raise, catches these.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from interceptors import errors
from interceptors.describing import nearest, suggest
from interceptors.errors import InterceptorError

__all__ = [
    "ApiError",
    "DuplicateHookError",
    "HookParameterError",
    "InvalidHookError",
    "ResourceError",
    "UnknownHookError",
    "UnknownModelError",
    "suggest_all",
]


def suggest_all(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest valid ones, and all of them."""
    valid = list(known)
    return f"{suggest(name, valid)} There are: {', '.join(map(repr, valid)) or 'none'}."


class ResourceError(InterceptorError, ValueError):
    """A resource is declared wrongly: names the class, the option and the nearest valid names."""


class UnknownModelError(ResourceError, LookupError):
    """No resource has a model called `name`."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class UnknownHookError(ResourceError, errors.UnknownHookError):
    """There is no hook or event `name`; `nearest` are the names that look alike."""

    def __init__(self, message: str, name: str, known: Iterable[str]) -> None:
        super(errors.UnknownHookError, self).__init__(message)  # it says where, which the core's does not
        self.name = name
        self.nearest: Sequence[str] = nearest(name, known)


class HookParameterError(ResourceError, TypeError):
    """The hook `hook` has a parameter `parameter` that a hook of its name is not given."""

    def __init__(self, message: str, hook: object, parameter: str) -> None:
        super().__init__(message)
        self.hook = hook
        self.parameter = parameter


class DuplicateHookError(ResourceError):
    """A model has two functions for one hook: `first` and `second`."""

    def __init__(self, message: str, first: object, second: object) -> None:
        super().__init__(message)
        self.first = first
        self.second = second


class InvalidHookError(ResourceError, errors.InvalidHookError):
    """`hook` is no function."""


class ApiError(InterceptorError):
    """The request is refused: the answer is `{"error": message}` with this status and these headers."""

    def __init__(self, message: str, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"ApiError's status is one of an error, 400 to 599, not {status!r}")
        super().__init__(message)
        self.message = message
        self.status = status
        self.headers = headers

    def __reduce__(self) -> Any:
        return type(self), (self.message, self.status, self.headers)
