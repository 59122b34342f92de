"""Every exception and warning of the library.

    InterceptorError
    |- InvalidInterceptorError (TypeError)      what was given is no interceptor
    |- InvalidTargetError (TypeError)           a decorator, proxy or controller on something that cannot be intercepted
    |- WrongCallError (TypeError)               a decorator without its parentheses, a public function called wrongly
    |- InjectionError (TypeError)               a parameter that nothing will give
    |- UnknownKeyError (LookupError)            a key that is bound nowhere
    |- DuplicateKeyError (ValueError)           two interceptors declared under one key
    |- UnknownPackageError (ModuleNotFoundError) a package to discover that does not exist
    |- GroupOrderError (ValueError)             ordered groups and before=/after= contradict each other
    |- TargetNotBuiltError (RuntimeError)       `ctx.target` before the controller exists
    |- OutsideInvocationError (RuntimeError)    `InvocationBindings` where no invocation runs
    |- UserNotResolvedError (RuntimeError)      the current user was asked synchronously before it was known
    |- AlreadyInstalledError (RuntimeError)     an application has one registry
    |- MissingLayerError (RuntimeError) routes do not run a layer that is required of all
    |- UnknownRouteError (LookupError) an exemption of a route that there is not
    |- UnreachedInterceptorError (RuntimeError) a decorated function that is called without its chain
    |- InvalidHookError (TypeError)             what was registered is no hook
    |- InvalidPatternError (ValueError)         a pattern of remoting hooks that could never match
    |- InvalidArgumentError (ValueError)        an argument that a hook assigned does not fit the method
    |- HookError (RuntimeError)                 a hook called `next` with something that is no exception
    |- ForgottenNextError (TimeoutError)        a hook with `next` never called it
    |- UnknownHookError (LookupError)           an event or hook of a name that does not exist
    |- NothingReplacedError (LookupError)       a test overrides what is in no chain
    |- AlreadyHookedError (RuntimeError)        an engine or client has a connector already
    |- MissingExtraError (ImportError)          an optional library is not installed
    `- IncompatibleLibraryError (RuntimeError)  a version of another library that works differently inside

    InterceptorWarning (UserWarning)
    |- ForgottenReturnWarning                   a layer lost the result of the layer inside
    |- DoubleCompletionWarning                  a hook completed twice; the second signal is ignored
    |- IgnoredAssignmentWarning                 a hook assigned what cannot be assigned
    |- NothingDiscoveredWarning                 a package in which nothing is marked
    |- UnknownSourceWarning                     a source type that is a near miss of one that exists
    |- UnknownGroupWarning                      a group that is a near miss of one that exists
    |- UnreachedGlobalWarning                   a global limited to routes that runs around none
    `- UnreachedRouteWarning                    functions that no chain can reach, and a global interceptor misses

Each error is also the builtin that fits, carries its facts as attributes, and ends with what to write instead.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from interceptors.describing import nearest, suggest

__all__ = [
    "AlreadyHookedError",
    "AlreadyInstalledError",
    "DoubleCompletionWarning",
    "DuplicateKeyError",
    "ForgottenNextError",
    "ForgottenReturnWarning",
    "GroupOrderError",
    "HookError",
    "IgnoredAssignmentWarning",
    "IncompatibleLibraryError",
    "InjectionError",
    "InterceptorError",
    "InterceptorWarning",
    "InvalidArgumentError",
    "InvalidHookError",
    "InvalidInterceptorError",
    "InvalidPatternError",
    "InvalidTargetError",
    "MissingExtraError",
    "MissingLayerError",
    "NothingDiscoveredWarning",
    "NothingReplacedError",
    "OutsideInvocationError",
    "TargetNotBuiltError",
    "UnknownGroupWarning",
    "UnknownHookError",
    "UnknownKeyError",
    "UnknownPackageError",
    "UnknownRouteError",
    "UnknownSourceWarning",
    "UnreachedGlobalWarning",
    "UnreachedInterceptorError",
    "UnreachedRouteWarning",
    "UserNotResolvedError",
    "WrongCallError",
]


class InterceptorError(Exception):
    """The base of every exception that the library raises."""


class InvalidInterceptorError(InterceptorError, TypeError):
    """`interceptor` is no interceptor; raised where it is declared."""

    def __init__(self, message: str, interceptor: object) -> None:
        super().__init__(message)
        self.interceptor = interceptor


class InvalidTargetError(InterceptorError, TypeError):
    """`target` cannot be intercepted in the way that was asked for."""

    def __init__(self, message: str, target: object) -> None:
        super().__init__(message)
        self.target = target


class WrongCallError(InterceptorError, TypeError):
    """A public function was called wrongly, a decorator without its parentheses above all; `given` is what was given."""

    def __init__(self, message: str, given: object) -> None:
        super().__init__(message)
        self.given = given


class InjectionError(InterceptorError, TypeError):
    """Nothing will give the parameter `parameter` of `owner` (a dotted name)."""

    def __init__(self, message: str, owner: str, parameter: str) -> None:
        super().__init__(message)
        self.owner = owner
        self.parameter = parameter


class UnknownKeyError(InterceptorError, LookupError):
    """`key` is bound nowhere; `asked_by` says who wanted it, `nearest` which keys look alike."""

    def __init__(self, key: str, asked_by: str, known: Iterable[str], remedy: str) -> None:
        self.key = key
        self.asked_by = asked_by
        known = list(known)
        self.nearest: Sequence[str] = nearest(key, known)
        super().__init__(f"No key {key!r} is bound (asked for by {asked_by}).{suggest(key, known)} {remedy}")


class DuplicateKeyError(InterceptorError, ValueError):
    """Two interceptors, `first` and `second`, are declared under one `key`."""

    def __init__(self, message: str, key: str, first: object, second: object) -> None:
        super().__init__(message)
        self.key = key
        self.first = first
        self.second = second


class UnknownPackageError(InterceptorError, ModuleNotFoundError):
    """There is no package or module called `name`."""


class GroupOrderError(InterceptorError, ValueError):
    """The order of the groups contradicts itself; `cycle` names them, the first one again at the end."""

    def __init__(self, message: str, cycle: Sequence[str]) -> None:
        super().__init__(message)
        self.cycle = tuple(cycle)


class TargetNotBuiltError(InterceptorError, RuntimeError):
    """The controller is built when its method's turn comes; until then there is no `ctx.target`."""


class OutsideInvocationError(InterceptorError, RuntimeError):
    """Something that belongs to an invocation was asked for while none runs."""


class UserNotResolvedError(InterceptorError, RuntimeError):
    """The current user was asked for synchronously, and nobody has awaited `ctx.current_user()` yet."""


class AlreadyInstalledError(InterceptorError, RuntimeError):
    """The application already has another registry."""


class UnreachedInterceptorError(InterceptorError, RuntimeError):
    """`endpoint` is decorated, but no chain runs where it is called."""

    def __init__(self, message: str, endpoint: object) -> None:
        super().__init__(message)
        self.endpoint = endpoint


class MissingLayerError(InterceptorError, RuntimeError):
    """Routes do not run a layer that `registry.require` asks for; `missing` are their titles: `GET /orders`."""

    def __init__(self, message: str, missing: tuple[str, ...], reasons: tuple[str, ...]) -> None:
        super().__init__(message)
        self.missing = missing
        self.reasons = reasons
        """One for each: its title, what handles it, and why it does not run the layer."""


class UnknownRouteError(InterceptorError, LookupError):
    """`registry.require` exempts the route `name`, which there is not."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class InvalidHookError(InterceptorError, TypeError):
    """`hook` cannot be a hook; raised where it is registered."""

    def __init__(self, message: str, hook: object) -> None:
        super().__init__(message)
        self.hook = hook


class InvalidPatternError(InterceptorError, ValueError):
    """`pattern` could never match; raised where it is registered."""

    def __init__(self, message: str, pattern: str) -> None:
        super().__init__(message)
        self.pattern = pattern


class InvalidArgumentError(InterceptorError, ValueError):
    """An argument that a before hook assigned does not fit: `detail` is a list like FastAPI's, with `loc` from "args"."""

    status_code = 400

    def __init__(self, detail: list[dict[str, Any]]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in detail))
        self.detail = detail


class HookError(InterceptorError, RuntimeError):
    """A hook called `next(value)` with a `value` that is no exception."""

    def __init__(self, value: object) -> None:
        super().__init__(str(value))
        self.value = value


class ForgottenNextError(InterceptorError, TimeoutError):
    """`hook` takes `next` and neither called it nor returned an awaitable in time."""

    def __init__(self, message: str, hook: object) -> None:
        super().__init__(message)
        self.hook = hook


class UnknownHookError(InterceptorError, LookupError):
    """There is no hook or event `name`; `nearest` are the names that look alike."""

    def __init__(self, name: str, what: str, known: Iterable[str]) -> None:
        self.name = name
        known = list(known)
        self.nearest: Sequence[str] = nearest(name, known)
        super().__init__(
            f"There is no {what} {name!r}.{suggest(name, known)} There are: {', '.join(map(repr, known))}."
        )


class AlreadyHookedError(InterceptorError, RuntimeError):
    """`client` has a connector already; connectors share hooks through `parent=`."""

    def __init__(self, message: str, client: object) -> None:
        super().__init__(message)
        self.client = client


class NothingReplacedError(InterceptorError, LookupError):
    """A test overrides or leaves out `name`, which is in no chain of the registry."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class MissingExtraError(InterceptorError, ImportError):
    """A part of the library needs an optional library; the message names the `pip install`."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} needs more libraries: pip install 'interceptors[{extra}]'")
        self.extra = extra


class IncompatibleLibraryError(InterceptorError, RuntimeError):
    """The installed `version` of `library` has no `name` as we know it, and we have nothing else to go by."""

    def __init__(self, library: str, version: str, name: str, purpose: str) -> None:
        super().__init__(
            f"{library} {version} has no `{name}` as interceptors knows it, which is needed to {purpose}. Install a version "
            f"of {library} that this release of interceptors was tried with, or a newer interceptors: "
            f"pip install --upgrade interceptors {library}"
        )
        self.library = library
        self.version = version
        self.name = name


class InterceptorWarning(UserWarning):
    """The base of every warning that the library gives."""


class ForgottenReturnWarning(InterceptorWarning):
    """A layer returned `None` although the layer inside it returned a value."""


class DoubleCompletionWarning(InterceptorWarning):
    """A hook completed twice. The second signal is ignored; an error that is ignored so is the `__cause__`."""


class IgnoredAssignmentWarning(InterceptorWarning):
    """A hook assigned an attribute whose assignment has no effect, as in LoopBack."""


class NothingDiscoveredWarning(InterceptorWarning):
    """`registry.discover` found nothing that is marked with `@global_interceptor`."""


class UnknownSourceWarning(InterceptorWarning):
    """A global interceptor is limited to the source type `name`, which no call has; `meant` is the one that looks alike."""

    def __init__(self, message: str, name: str, meant: str) -> None:
        super().__init__(message)
        self.name = name
        self.meant = meant


class UnknownGroupWarning(InterceptorWarning):
    """The group `name` does not exist, or is not ordered as `meant` is, which looks alike."""

    def __init__(self, message: str, name: str, meant: str) -> None:
        super().__init__(message)
        self.name = name
        self.meant = meant


class UnreachedGlobalWarning(InterceptorWarning):
    """`interceptor` is global and limited to routes, and runs around none of them."""

    def __init__(self, message: str, interceptor: object) -> None:
        super().__init__(message)
        self.interceptor = interceptor


class UnreachedRouteWarning(InterceptorWarning):
    """No chain can run around these `functions`, although a global interceptor applies to routes."""

    def __init__(self, message: str, functions: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.functions = tuple(functions)
