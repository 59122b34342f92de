"""Resources: the resource classes of an application, their hooks and events, and the router made of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.responses import JSONResponse, Response

from interceptors.events import EventDispatcher
from interceptors.events.errors import EventError
from interceptors.events.handlers import EventHandler
from interceptors.events.marks import EventOptions, event_options
from interceptors.fastapi.endpoint import endpoint_of
from interceptors.fastapi.startup import check_in_lifespan
from interceptors.kinds import location, name_of
from interceptors.registry import InterceptorRegistry
from interceptors.resources.bodies import Body
from interceptors.resources.context import ResourceContext
from interceptors.resources.description import Description, snake_case
from interceptors.resources.discovery import find_functions
from interceptors.resources.documentation import document, operation_id
from interceptors.resources.endpoints import ResourceRoute, resource_endpoint
from interceptors.resources.errors import DuplicateHookError, ResourceError, UnknownModelError, suggest
from interceptors.resources.hooks import Hook, check_function, check_hook, point_of
from interceptors.resources.names import Handler, fallback
from interceptors.resources.operations import LIFE_CYCLES, WRITES, Operation, Step, run_action, run_hook, then_commit
from interceptors.resources.options import dependencies_of, describe, handlers_of, tags_of, transaction_of
from interceptors.resources.resource import Resource
from interceptors.resources.snapshots import AFTER_WRITES, Facts, check_event, emit, event_handler, live_names
from interceptors.resources.tree import Place, connect, places

__all__ = ["Resources"]

F = TypeVar("F", bound=Callable[..., Any])

_VERBS = {
    Handler.INSERT: "POST",
    Handler.PAGINATE: "GET",
    Handler.ALL: "GET",
    Handler.SHOW: "GET",
    Handler.UPDATE: "PUT",
    Handler.PATCH: "PATCH",
    Handler.DELETE: "DELETE",
}
"""In the order of registration: `/all` comes before `/{id}`."""


@dataclass(frozen=True, slots=True)
class _Declared:
    """A hook or an event as it was declared."""

    function: Any
    model: str
    """Its name, for messages."""
    options: EventOptions = field(default_factory=EventOptions)


@dataclass(slots=True)
class _Functions:
    """What was declared, by (snake_case model, point): at most one function each."""

    what: str
    found: dict[tuple[str, str], _Declared] = field(default_factory=dict[tuple[str, str], _Declared])

    def add(self, model: str, point: str, declared: _Declared) -> None:
        """Raises DuplicateHookError if there is one already."""
        known = self.found.setdefault((snake_case(model), point), declared)
        if known is not declared:
            first, second = known.function, declared.function
            raise DuplicateHookError(
                f"{declared.model} has two {self.what}s on_{point}: {name_of(first)} ({location(first)}) and "
                f"{name_of(second)} ({location(second)}); take one out.",
                first,
                second,
            )

    def of(self, description: Description, point: str) -> tuple[str, _Declared] | None:
        """The function of a point, and the point whose name it has: PATCH takes that of UPDATE where it has none."""
        for name in (point, fallback(point)):
            if name is not None and (snake_case(description.name), name) in self.found:
                return name, self.found[snake_case(description.name), name]
        return None


class Resources:
    """The resources of an application.

    `sessions`: makes the session of a request. `events`: delivers events; without it there can be none.
    `transaction`: is a request one transaction? By default writes are; resources and their handlers may say otherwise.
    `event_facts`: what every event is told besides, `lambda ctx: {...}`, JSON values; it may be async.
    """

    def __init__(
        self,
        registry: InterceptorRegistry,
        sessions: async_sessionmaker[AsyncSession],
        events: EventDispatcher | None = None,
        transaction: bool | None = None,
        *,
        event_facts: Facts | None = None,
    ) -> None:
        self.registry = registry
        self._sessions = sessions
        self._dispatcher = events
        self._transaction = transaction
        self._facts = event_facts
        self._added: list[type[Resource]] = []
        self._descriptions: dict[type, Description] = {}
        self._hooks = _Functions("hook")
        self._events = _Functions("event")
        self._handlers: dict[tuple[Description, str], EventHandler] | None = None

    # -- declaring -----------------------------------------------------------------------------------------------------

    def add(self, *resources: type[Resource]) -> None:
        """Add resource classes; `router()` says what is wrong with them."""
        self._check_open()
        self._added += resources

    def _describe_all(self) -> None:
        for resource in self._added:
            description = describe(resource)
            for other in self._descriptions.values():
                if other.model is description.model or snake_case(other.name) == snake_case(description.name):
                    raise ResourceError(
                        f"{other.place('model')} and {description.place('model')} are both called {description.name}; one "
                        f"resource has one model, and models are told apart by name."
                    )
            self._descriptions[description.model] = description

    def discover(self, package: str | ModuleType) -> None:
        """Find `<package>/hooks/<model>_hooks.py` and `<package>/events/<model>_events.py`.

        Names in them that begin with `on_` (or `on` and a capital) are hooks and events. Raises ResourceError.
        """
        self._check_open()
        for model, module, name, function in find_functions(package, "hooks"):
            self._declare_hook(model, name, function, module)
        for model, module, name, function in find_functions(package, "events"):
            self._declare_event(model, name, function, module, event_options(function))

    def hook(self, model: type, *names: str) -> Callable[[F], F]:
        """Make a function a hook of a model, by its own name or by the names given. Raises ResourceError."""

        def declare(function: F) -> F:
            check_function(function)
            for name in names or (function.__name__,):
                self._declare_hook(model.__name__, name, function, function)
            return function

        self._check_open()
        return declare

    def event(
        self, model: type, *names: str, durable: bool | None = None, attempts: int | None = None
    ) -> Callable[[F], F]:
        """Make a function an event of a model, by its own name or by the names given.

        `durable=False` keeps it in this process although there is an outbox. Raises ResourceError and EventError.
        """

        def declare(function: F) -> F:
            check_function(function)
            options = (
                event_options(function) if durable is None and attempts is None else EventOptions(durable, attempts)
            )
            for name in names or (function.__name__,):
                self._declare_event(model.__name__, name, function, function, options)
            return function

        self._check_open()
        return declare

    def _declare_hook(self, model: str, name: str, function: Any, where: object) -> None:
        point = point_of(name, f"The hook of {model}", where)
        check_function(function)
        check_hook(function, point)
        self._hooks.add(model, point, _Declared(function, model))

    def _declare_event(self, model: str, name: str, function: Any, where: object, options: EventOptions) -> None:
        point = point_of(name, f"The event of {model}", where)
        check_function(function)
        check_event(function, point, options)
        self._events.add(model, point, _Declared(function, model, options))

    def _check_open(self) -> None:
        if self._handlers is not None:
            raise ResourceError(
                "The router is made already: add resources, hooks and events before resources.router()."
            )

    # -- the router ----------------------------------------------------------------------------------------------------

    def router(self) -> APIRouter:
        """The routes of all resources, for `app.include_router`. Its lifespan starts and drains the dispatcher.

        Raises ResourceError and EventError for everything that is wrong with resources, hooks and events together.
        """
        if self._handlers is None:
            self._descriptions.clear()  # of an attempt that failed
            self._describe_all()
            self._check_models()
            connect(self._descriptions)
            self._handlers = self._declare_handlers()
        dispatcher = self._dispatcher
        router = APIRouter() if dispatcher is None else APIRouter(lifespan=dispatcher.lifespan)
        added = [self._add_route(router, place, handler) for place in places(self._descriptions) for handler in _VERBS]

        def check() -> None:
            for endpoint in filter(None, map(endpoint_of, added)):
                endpoint.plan()

        check_in_lifespan(router, check)
        return router

    def _add_route(self, router: APIRouter, place: Place, handler: Handler) -> Any:
        description = place.description
        if handler not in handlers_of(description):
            return None
        operation = self._operation(place, handler)
        path = place.path
        if handler is Handler.ALL:
            path += "/all"
        elif handler not in (Handler.INSERT, Handler.PAGINATE):
            path += f"/{{{operation.parameter}}}"
        endpoint = resource_endpoint(self.registry, self._sessions, operation)
        router.add_api_route(
            path,
            endpoint,
            methods=[_VERBS[handler]],
            name=operation_id(handler, place.path),
            operation_id=operation_id(handler, place.path),
            tags=tags_of(description),
            dependencies=dependencies_of(description, handler),
            response_class=Response if handler is Handler.DELETE else JSONResponse,
            route_class_override=ResourceRoute,
            **document(operation),
        )
        return endpoint

    # -- compiling -----------------------------------------------------------------------------------------------------

    def _check_models(self) -> None:
        models = {snake_case(each.name): each.name for each in self._descriptions.values()}
        for functions in (self._hooks, self._events):
            for (model, _), declared in functions.found.items():
                if model not in models:
                    raise UnknownModelError(
                        f"{name_of(declared.function)} ({location(declared.function)}) is a {functions.what} of "
                        f"{declared.model}, but no resource has such a model.{suggest(declared.model, models.values())}",
                        declared.model,
                    )

    def _declare_handlers(self) -> dict[tuple[Description, str], EventHandler]:
        """Add the events of all models to the dispatcher."""
        handlers: dict[tuple[Description, str], EventHandler] = {}
        models = {each.name: each.model for each in self._descriptions.values()}
        by_name = {snake_case(each.name): each for each in self._descriptions.values()}
        for (model, point), declared in self._events.found.items():
            if self._dispatcher is None:
                raise EventError(
                    f"{name_of(declared.function)} ({location(declared.function)}) is an event, but nothing delivers "
                    f"events: Resources(registry, sessions, EventDispatcher(registry))."
                )
            description = by_name[model]
            handler = event_handler(declared.function, point, declared.options, description, models, self._dispatcher)
            self._dispatcher._add(handler)
            handlers[description, point] = handler
        return handlers

    def _operation(self, place: Place, handler: Handler) -> Operation:
        description = place.description
        in_transaction = transaction_of(description, handler, self._transaction)
        body = None
        if handler in (Handler.INSERT, Handler.UPDATE, Handler.PATCH):
            parent = place.parents[-1] if place.parents else None
            body = (
                Body(description, _VERBS[handler], parent.link.key, parent.title)
                if parent
                else Body(description, _VERBS[handler])
            )
        operation = Operation(description, handler, place.parents, place.parameter, in_transaction, body)
        operation.steps = tuple(self._steps(operation))
        return operation

    def _steps(self, operation: Operation) -> list[Step]:
        """The life cycle of a handler, with the hooks and events that there are."""
        steps: list[Step] = []
        for each in LIFE_CYCLES[operation.handler]:
            if isinstance(each, str):
                steps += self._steps_at(operation, each)
            else:
                step = run_action(each)
                steps.append(then_commit(step) if each in WRITES and not operation.in_transaction else step)
        return steps

    def _steps_at(self, operation: Operation, point: str) -> list[Step]:
        steps: list[Step] = []
        hook = self._hooks.of(operation.description, point)
        if hook is not None:
            step = run_hook(Hook(hook[1].function, self.registry._injector))
            steps.append(step if operation.in_transaction else then_commit(step))
        event = self._events.of(operation.description, point)
        if event is not None:
            steps.append(self._emission(operation, event[0]))
        return steps

    def _emission(self, operation: Operation, point: str) -> Step:
        dispatcher, handlers = self._dispatcher, self._handlers
        assert dispatcher is not None  # noqa: S101 (there is no event without one)
        assert handlers is not None  # noqa: S101
        handler = handlers[operation.description, point]
        if point in AFTER_WRITES and dispatcher._durable(handler) and not operation.in_transaction:
            raise EventError(
                f"{handler.title} handles {handler.event} durably, but {operation.handler} of "
                f"{operation.description.resource.__name__} runs without a transaction; say @event(durable=False), or "
                f"turn the transaction on."
            )
        live = live_names(handler.function, point)
        emission = partial(
            emit, dispatcher=dispatcher, name=handler.event, point=point, facts=self._facts, live_names=live
        )

        async def step(ctx: ResourceContext) -> None:
            await emission(ctx)

        return step
