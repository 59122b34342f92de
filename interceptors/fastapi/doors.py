"""The door of a route: the function that FastAPI calls in the place of a handler, and that runs the chain around it.

FastAPI analyses the handler itself, and calls whatever is the `call` of the dependant that it has made of it. So the
door has no signature to keep: it gets what FastAPI has parsed, by name, and the request and the response under the
names that the dependant says: the handler's own where it asks for them, else hidden ones.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial, update_wrapper
from inspect import Parameter
from types import CodeType, FunctionType
from typing import Any, TypeAlias, final
from weakref import WeakSet

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from interceptors.context import InvocationContext, innermost
from interceptors.describing import function_behind
from interceptors.entry import Entry, called_in, run
from interceptors.fastapi.responses import merged
from interceptors.fastapi.status_answers import raise_status
from interceptors.signatures import InjectedParameter, SpecialType, TargetSignature
from interceptors.target import Target

__all__ = [
    "HIDDEN_REQUEST",
    "HIDDEN_RESPONSE",
    "HIDDEN_TASKS",
    "Doors",
    "Straight",
    "by_name",
    "called_by_fastapi",
    "dress",
    "entry_of",
    "http_door",
    "in_thread",
    "mark",
    "never_called",
]

HIDDEN_REQUEST = "_interceptors_request"
HIDDEN_RESPONSE = "_interceptors_response"
HIDDEN_TASKS = "_interceptors_tasks"

_ENTRY = "__interceptors_entry__"

Straight: TypeAlias = Callable[[dict[str, Any]], Awaitable[Any]]
"""The call of what is behind a door, without the chain."""


@final
class Doors:
    """The doors that a route has had in one place. Somebody may have put something between two of them, which hides the inner.

    That one stands aside, but only where it is called within the other: what was put between may be taken away again.
    """

    __slots__ = ("_targets", "are_several")

    def __init__(self) -> None:
        self.are_several = False
        self._targets = WeakSet[Target]()

    def add(self, entry: Entry) -> None:
        """Note one more."""
        self.are_several = self.are_several or bool(self._targets)
        self._targets.add(entry.target)

    def is_within(self, entry: Entry, request: Any) -> bool:
        """Does another door than that of the entry run here, for this request? What is between may not hand that on."""
        ctx = innermost()
        if ctx is None or (request is not None and ctx.request is not request):
            return False
        around = called_in(ctx)
        return around is not entry.target and around in self._targets


def entry_of(function: object) -> Entry | None:
    """The chain that a door runs; also where others have wrapped the door, with `functools.wraps` or in a partial."""
    while isinstance(function, partial):
        function = function.func
    found = getattr(function, _ENTRY, None)
    return found if isinstance(found, Entry) else None


def mark(function: object, entry: Entry) -> None:
    """Note the chain that a function runs."""
    setattr(function, _ENTRY, entry)


def http_door(
    entry: Entry,
    request_name: str,
    response_name: str,
    tasks_name: str | None,
    doors: Doors,
    straight: Straight,
    *,
    merges: bool,
) -> Callable[..., Any]:
    """The door of a handler that gives one answer.

    `merges`: a `Response` gets what was set on the injected one also where nothing stands around the handler; plain
    FastAPI drops that, and a registry without interceptors changes no answer.
    """

    async def door(
        *,
        _interceptors_request: Any = None,
        _interceptors_response: Any = None,
        _interceptors_tasks: Any = None,
        **values: Any,
    ) -> Any:
        if doors.are_several and doors.is_within(entry, values.get(request_name, _interceptors_request)):
            return await straight(values)
        # A pop costs more than a parameter, and most handlers ask for neither.
        request = values.pop(request_name, None) if _interceptors_request is None else _interceptors_request
        response = values.pop(response_name, None) if _interceptors_response is None else _interceptors_response
        ctx: Any = entry.context((), values, request, response)
        if tasks_name is not None:
            ctx.tasks = values.get(tasks_name) if _interceptors_tasks is None else _interceptors_tasks
        try:
            result = await run(ctx)
        except Exception as error:
            if request is not None:
                raise_status(error, request.scope)
            raise
        ctx.settle()
        if isinstance(result, HTTPException) and not entry.is_bare:
            raise TypeError(
                f"{entry.title} or a layer around it returned {result!r} instead of raising it: write "
                f"`raise {type(result).__name__}(...)`, or return a Response."
            )
        if isinstance(result, Response) and response is not None and (merges or not entry.is_bare):
            return merged(result, response)
        return result

    return door


def by_name(entry: Entry, args: tuple[object, ...], values: Mapping[str, object]) -> dict[str, Any]:
    """The arguments of a call by name, defaults filled in. Raises TypeError for those that the handler does not take."""
    return dict(entry.target.arguments.bind(args, values).items())


# -- what is behind a door ---------------------------------------------------------------------------------------------


def called_by_fastapi(dependant: Any, signature: TargetSignature) -> TargetSignature:
    """The signature of a handler as FastAPI has understood it: what it gives itself is the client's, or a dependency's.

    What we inject is the request and the response, also under names that others have made FastAPI give them to.
    """
    names = {
        dependant.request_param_name: "request",
        dependant.response_param_name: "response",
    }
    declared = {parameter.name for parameter in signature.parameters}
    for name in (dependant.websocket_param_name, dependant.http_connection_param_name):
        if name not in declared:
            names[name] = "request"
    evaluated = {parameter.name: parameter for parameter in signature.visible}
    ours = {None, HIDDEN_REQUEST, HIDDEN_RESPONSE}
    return TargetSignature(
        signature.parameters,
        [evaluated.get(parameter.name, parameter) for parameter in signature.parameters if parameter.name not in names],
        [
            InjectedParameter(Parameter(name, Parameter.KEYWORD_ONLY), SpecialType(special))
            for name, special in names.items()
            if name not in ours
        ],
        signature.return_annotation,
    )


async def in_thread(ctx: InvocationContext, function: Any, args: Iterable[object], kwargs: Mapping[str, object]) -> Any:
    """Call a `def` as FastAPI does."""
    return await run_in_threadpool(partial(function, *args, **kwargs))


# -- what a function of ours looks like --------------------------------------------------------------------------------


def dress(function: Any, handler: Any) -> None:
    """Give a function of ours what `functools.wraps` gives: name, place, text, annotations and attributes.

    A plain function that somebody puts around ours is taken by FastAPI for what it finds at the end of `__wrapped__`.
    That must not be a `def`, as it would be called in a thread, and nobody would await us.
    """
    attributes = ("__dict__",) if not isinstance(handler, type) and hasattr(handler, "__dict__") else ()
    update_wrapper(function, handler, updated=attributes)
    if not hasattr(handler, "__name__"):  # FastAPI names an object by its class
        function.__name__ = function.__qualname__ = type(handler).__name__
    innermost = inspect.unwrap(handler)
    if not (inspect.isroutine(innermost) and inspect.iscoroutinefunction(innermost)):
        function.__signature__ = inspect.signature(handler)
        function.__wrapped__ = never_called(handler)


def never_called(handler: Any, kind: Any = None) -> Any:
    """A function that stands where others look for the names in the annotations of a handler, and for its place.

    An `async def`, or of the kind of the function that is given.
    """
    innermost = inspect.unwrap(handler)
    behind = function_behind(innermost)
    written = behind if inspect.isfunction(behind) else type(behind).__call__
    code, place = (kind or _never_called).__code__, getattr(written, "__code__", None)
    if isinstance(place, CodeType):
        code = code.replace(
            co_filename=place.co_filename,
            co_firstlineno=place.co_firstlineno,
            co_name=place.co_name,
            co_qualname=place.co_qualname,
        )
    name = getattr(handler, "__name__", type(handler).__name__)
    return FunctionType(code, getattr(innermost, "__globals__", {}), name)


async def _never_called(*args: object, **kwargs: object) -> None: ...
