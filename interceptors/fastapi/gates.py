"""Gates: each picture of a route has one, which sees to it that the route is never served without its door.

A door is put on as late as possible, when the application starts or the route is first reached, so that it stands
around whatever other libraries have put in the handler's place; and again if one of them takes it away.
"""

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from types import FunctionType, MethodType
from typing import Any, TypeAlias, final

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from interceptors.describing import location, name_of
from interceptors.entry import Entry
from interceptors.errors import AlreadyInstalledError, UnreachedInterceptorError
from interceptors.fastapi.doors import Doors, dress, entry_of, mark
from interceptors.fastapi.facades import facade_of
from interceptors.fastapi.making import make_door
from interceptors.fastapi.places import Routers, routers_above
from interceptors.fastapi.streams import answering, responder
from interceptors.fastapi.undocumented import Picture, is_coroutine, is_stream, original_of, reading, without_stream
from interceptors.fastapi.websockets import noting
from interceptors.metadata import RegisteredAt, enclosed_in, levels_of
from interceptors.registry import InterceptorRegistry

__all__ = ["Gate", "RouteHandler", "adopt", "foreign_chain", "gate_of", "note_handler", "title_of", "titled"]

RouteHandler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]

_GATE = "__interceptors_gate__"
_HANDLER = "__interceptors_handler__"
_MOST_LOOKED_AT = 1000  # functions and objects around a route's handler


def gate_of(picture: Picture) -> "Gate | None":
    """The gate of a picture, if it has one."""
    found = getattr(picture, "__dict__", {}).get(_GATE)
    return found if isinstance(found, Gate) else None


def note_handler(route: APIRoute, handler: object, registration: RegisteredAt) -> None:
    """Note what a route was given: a route class of the user's may put something around it that hides it."""
    setattr(route, _HANDLER, (handler, registration))


def title_of(route: Any) -> str:
    """`GET /orders/{order_id}`."""
    return titled(getattr(route, "methods", None) or ("WEBSOCKET",), route.path)


def titled(verbs: Iterable[str], path: str) -> str:
    """The same of a route that is being made."""
    return f"{', '.join(sorted(verbs))} {path}"


def foreign_chain(picture: Picture) -> AlreadyInstalledError:
    """The error for a route that would run past the global interceptors of its application."""
    return AlreadyInstalledError(
        f"{title_of(picture)} ({name_of(picture.endpoint)}, {location(picture.endpoint)}) runs the chain of another "
        f"InterceptorRegistry than that of its application, past the interceptors of that one. Make its router, controller "
        f"or resources with the registry that is installed."
    )


def adopt(registry: InterceptorRegistry, picture: Picture, routers: Routers) -> "Gate":
    """Give the picture of a route below some routers its gate; one that has a gate keeps it."""
    known = gate_of(picture)
    if known is not None:
        known.stand_below(routers)
        return known
    gate = Gate(registry, picture, routers)
    if isinstance(gate.route, APIRoute):
        gate.let_fastapi_await()
    gate.stand_before(picture)
    return gate


@final
class Gate:
    """What stands in front of one picture of a route."""

    def __init__(self, registry: InterceptorRegistry, picture: Picture, routers: Routers | None = None) -> None:
        self.registry = registry
        self.picture = picture
        self.routers = routers
        """The routers that the route is below, the outermost first; None where nobody has looked yet."""
        self.route = original_of(picture)
        self.dependant = picture.dependant
        self.entered: Any = None
        """The call that is known to lead through the chain; as long as it is another one, the door is put on again."""
        self.entry: Entry | None = None
        self._refused: Exception | None = None
        self._doors = Doors()
        setattr(picture, _GATE, self)

    def __deepcopy__(self, memo: Any) -> "Gate":
        return self  # a route that is copied is served by the very same application of FastAPI's

    def refuse(self, error: Exception) -> None:
        """Raise this whenever the route is reached."""
        self._refused, self.entered = error, None

    def stand_below(self, routers: Routers) -> None:
        """Be told of the routers, before a door is put on. They stay: another inclusion has a gate of its own."""
        if self.routers is None:
            self.routers = routers

    def enter(self, scope: Scope) -> None:
        """Put the door on, at a request: nobody has told of the routers where no registry is installed."""
        if self.routers is None:
            self.stand_below(routers_above(self.picture, scope))
        self.put()

    def put(self) -> Entry:
        """Put the door on, if it is not; give the chain that it leads through.

        Raises AlreadyInstalledError where the chain of another registry runs, InjectionError for parameters that
        FastAPI has taken for the client's, and whatever the route is refused for.
        """
        if self._refused is not None:
            raise self._refused.with_traceback(None)
        call, endpoint = self.dependant.call, self.picture.endpoint
        unseen = endpoint, RegisteredAt(self.route, title_of(self.route), None)
        handler, registration = getattr(self.route, _HANDLER, unseen)
        entry = entry_of(call)
        if entry is None:  # somebody has perhaps wrapped a facade, and left no trace
            entry = next((entry_of(each) for each in (endpoint, handler) if facade_of(each) is not None), None)
        if entry is not None and entry.registry is not self.registry:
            raise foreign_chain(self.picture)
        if entry is not None and facade_of(call) is None and not entry.target.routers:
            _check_routers(self.picture, self.routers or ())
        if entry is None or facade_of(call) is not None:  # of a facade each picture has a door of its own instead
            call, entry = make_door(
                self.registry, self.picture, call, handler, registration, self._doors, self.routers or ()
            )
            self.dependant.call = call
        elif isinstance(self.route, APIRoute) and is_stream(self.picture) and not is_coroutine(call):
            # Somebody has wrapped the facade of a generator.
            around = answering(call, responder(self.picture, self.route))
            dress(around, call)
            mark(around, entry)
            self.dependant.call = call = around
        self.entry, self.entered = entry, call
        return entry

    def handler(self, make: Callable[[], RouteHandler], *, is_first: bool = False) -> RouteHandler:
        """The handler that FastAPI makes for the picture, but such that it awaits the call: a door is an `async def`.

        FastAPI decides that when it makes a handler, so something else stands in for the call until it is made.

        `is_first`: none was made of the call itself. Others look at it then, and put something around it, as sentry-sdk
        does around a `def`; so one is made of it, too. What they put around it later would be there twice.
        """
        dependant = self.dependant
        if is_first:
            with reading(self.picture, self.route):
                made = make()
            if is_coroutine(dependant.call) and not is_stream(self.picture):
                return made
        call = dependant.call

        async def stand_in(**values: object) -> Any:
            self.put()
            return await dependant.call(**values)

        dress(stand_in, call)
        dependant.call = stand_in
        try:
            view = without_stream(self.picture, self.route) if is_stream(self.picture) else self.picture
            with reading(view, self.route):
                return make()
        finally:
            dependant.call = call

    def stand_before(self, picture: Picture) -> None:
        """Let nobody reach the application of a picture but through this gate."""
        inner, dependant, is_socket = picture.app, self.dependant, not isinstance(self.route, APIRoute)

        def app(scope: Scope, receive: Receive, send: Send) -> Any:
            if dependant.call is not self.entered:
                self.enter(scope)
            return inner(scope, receive, noting(scope, send) if is_socket else send)

        picture.app = app

    def let_fastapi_await(self) -> None:
        """See to it that FastAPI awaits the call of a plain route: its handler is made anew, unless it does already."""
        picture, route = self.picture, self.route
        is_included = picture is not route
        awaits = is_coroutine(self.dependant.call) and not is_stream(picture)
        if awaits and (is_included or _leads_to(picture.app, self.dependant)):
            return
        made = _Serving(self.handler(route.get_route_handler), picture).app
        if is_included or _is_alike(picture.app, made):
            picture.app = made
            return
        self.refuse(
            UnreachedInterceptorError(
                f"{title_of(route)} ({name_of(route.endpoint)}, {location(route.endpoint)}) cannot be intercepted any more: "
                f"its handler has to be made anew, and somebody has put something around the application of the route "
                f"({name_of(picture.app)}, {location(picture.app)}). Call install(app, registry) before the function is "
                f"declared.",
                route.endpoint,
            )
        )


class _Serving(APIRoute):
    """A route that is there for its `app` only: what FastAPI puts around a handler."""

    def __init__(self, handler: RouteHandler, picture: Picture) -> None:
        self._handler = handler
        limit = getattr(picture, "max_body_size", None)  # an option of newer versions
        super().__init__("/", _nothing, **({} if limit is None else {"max_body_size": limit}))

    def get_route_handler(self) -> RouteHandler:
        return self._handler


async def _nothing() -> None: ...


def _check_routers(picture: Picture, routers: Routers) -> None:
    """Refuse what is recorded on routers above a facade that somebody has wrapped: it runs the chain, and knows of none."""
    for router, _ in levels_of(routers):
        raise UnreachedInterceptorError(
            f"A router of {title_of(picture)} ({name_of(picture.endpoint)}, {location(picture.endpoint)}) is decorated, and "
            f"that is never reached: the route class, or a library, has put something around what stands for the handler. "
            f"Decorate the controller, or the function.",
            router,
        )


def _is_alike(app: object, made: object) -> bool:
    """Is an application what FastAPI makes, as this one is?"""
    return type(app) is type(made) and getattr(app, "__code__", None) is getattr(made, "__code__", None)


def _leads_to(app: object, dependant: object) -> bool:
    """Does an application read the dependant? A route that was copied may have the handler of the other one.

    We look through closures, partials and the attributes of objects; what cannot be seen is not taken for granted.
    """
    left, seen = [app], set[int]()
    while left and len(seen) < _MOST_LOOKED_AT:
        each = left.pop()
        if each is dependant:
            return True
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, FunctionType):
            left += enclosed_in(each)
        elif isinstance(each, partial):
            left += [each.func, *each.args, *each.keywords.values()]
        elif isinstance(each, MethodType):
            left += [each.__func__, each.__self__]
        elif callable(each) and not isinstance(each, type):
            left += list(getattr(each, "__dict__", {}).values())
    return False
