"""Resources: the resource classes of an application, their hooks and events, and the router made of them."""

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.responses import JSONResponse, Response

from interceptors.calling import check_words, written
from interceptors.events import EventDispatcher, EventError
from interceptors.events.marks import EventOptions, event_options
from interceptors.fastapi.doors import entry_of
from interceptors.fastapi.probe import probe
from interceptors.fastapi.startup import check_in_lifespan
from interceptors.registry import InterceptorRegistry
from interceptors.resources.bodies import Body
from interceptors.resources.declared import Declaration, Functions
from interceptors.resources.description import Description, snake_case
from interceptors.resources.discovery import find_modules, functions_in
from interceptors.resources.documentation import document, operation_id
from interceptors.resources.emissions import Emission, Facts, check_event, event_handler
from interceptors.resources.endpoints import ResourceRoute, resource_endpoint
from interceptors.resources.errors import ResourceError, UnknownModelError, suggest_all
from interceptors.resources.hooks import ResourceHook, check_function, check_hook, point_of
from interceptors.resources.life_cycles import arguments_of
from interceptors.resources.names import Handler
from interceptors.resources.operation import Operation
from interceptors.resources.options import dependencies_of, describe, handlers_of, tags_of, transaction_of
from interceptors.resources.resource import Resource
from interceptors.resources.steps import EmissionsByPoint, compile_steps
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
_WITH_BODY = (Handler.INSERT, Handler.UPDATE, Handler.PATCH)


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
        self._files: list[tuple[str, ModuleType]] = []
        self._hooks = Functions("hook")
        self._events = Functions("event")
        self._emissions: dict[Description, EmissionsByPoint] = {}
        self._is_made = False

    # -- declaring -----------------------------------------------------------------------------------------------------

    def add(self, *resources: type[Resource]) -> None:
        """Add resource classes; `router()` says what is wrong with them."""
        self._check_open()
        self._added += resources

    def discover(self, package: str | ModuleType) -> None:
        """Find `<package>/hooks/<model>_hooks.py` and `<package>/events/<model>_events.py`.

        Names in them that begin with `on_` (or `on` and a capital) are hooks and events. Raises ResourceError.
        """
        self._check_open()
        for model, module in find_modules(package, "hooks"):
            self._files.append((model, module))
            for name, function in functions_in(module):
                self._declare_hook(name, Declaration(function, model, module=module))
        for model, module in find_modules(package, "events"):
            self._files.append((model, module))
            for name, function in functions_in(module):
                options = event_options(function)
                self._declare_event(name, Declaration(function, model, module=module, options=options))

    @written("@resources.hook(User)")
    def hook(self, model: type, *names: str) -> Callable[[F], F]:
        """Make a function a hook of a model, by its own name or by the names given. Raises ResourceError."""

        def declare(function: F) -> F:
            declared = Declaration(function, model.__name__, model)
            for name in names or (_name_of(declared),):
                self._declare_hook(name, declared)
            return function

        self._check_open()
        return declare

    @written("@resources.event(User)", "durable", "attempts", "timeout", "name")
    def event(
        self,
        model: type,
        *names: str,
        durable: bool | None = None,
        attempts: int | None = None,
        timeout: float | None = None,
        name: str | None = None,
        aliases: Sequence[str] = (),
    ) -> Callable[[F], F]:
        """Make a function an event of a model, by its own name or by the names given.

        `durable=False` keeps it in this process although there is an outbox; `attempts`, `timeout`: how often it may
        start, and how many seconds an attempt may take; `name`, `aliases`: how stored events find it, and names that it
        had before. Raises ResourceError and EventError.
        """
        said = EventOptions(durable, attempts, timeout, name, check_words(aliases, "aliases"))

        def declare(function: F) -> F:
            options = event_options(function) if said == EventOptions() else said
            declared = Declaration(function, model.__name__, model, options=options)
            for each in names or (_name_of(declared),):
                self._declare_event(each, declared)
            return function

        self._check_open()
        return declare

    def _declare_hook(self, name: str, declared: Declaration) -> None:
        point = point_of(name, declared.place)
        check_function(declared.function, name, declared.place)
        check_hook(declared.function, point)
        self._hooks.add(point, declared)

    def _declare_event(self, name: str, declared: Declaration) -> None:
        point = point_of(name, declared.place)
        check_function(declared.function, name, declared.place)
        check_event(declared.function, point, declared.options)
        self._events.add(point, declared)

    def _check_open(self) -> None:
        if self._is_made:
            raise ResourceError(
                "The router is made already: add resources, hooks and events before resources.router()."
            )

    # -- the router ----------------------------------------------------------------------------------------------------

    def router(self) -> APIRouter:
        """The routes of all resources, for `app.include_router`. Its lifespan starts and drains the dispatcher.

        Raises ResourceError and EventError for everything that is wrong with resources, hooks and events together.
        """
        if not self._is_made:
            self._make()
            self._is_made = True
        dispatcher = self._dispatcher
        router = APIRouter() if dispatcher is None else APIRouter(lifespan=dispatcher.lifespan)
        added = [self._add_route(router, place, handler) for place in places(self._descriptions) for handler in _VERBS]

        async def check() -> None:
            await probe()
            for entry in filter(None, map(entry_of, added)):
                entry.check()

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

    def _make(self) -> None:
        """What is common to all routers: the descriptions, and the events' handlers in the dispatcher."""
        self._describe_all()
        for functions in (self._hooks, self._events):
            functions.check_models(self._descriptions.values())
        self._check_files()
        connect(self._descriptions)
        models = {each.name: each.model for each in self._descriptions.values()}
        for description in self._descriptions.values():
            self._emissions[description] = {
                point: self._emission(description, point, declared, models)
                for point, declared in self._events.of(description)
            }

    def _describe_all(self) -> None:
        self._descriptions.clear()  # of an attempt that failed
        for resource in self._added:
            description = describe(resource)
            for other in self._descriptions.values():
                if other.model is description.model or snake_case(other.name) == snake_case(description.name):
                    raise ResourceError(
                        f"{other.place('model')} and {description.place('model')} are both called {description.name}; one "
                        f"resource has one model, and models are told apart by name."
                    )
            self._descriptions[description.model] = description

    def _check_files(self) -> None:
        models = {snake_case(each.name): each.name for each in self._descriptions.values()}
        for model, module in self._files:
            if model not in models:
                raise UnknownModelError(
                    f"{module.__file__} is called after {model!r}, but no resource has such a model."
                    f"{suggest_all(model, models)}",
                    model,
                )

    def _emission(
        self, description: Description, point: str, declared: Declaration, models: Mapping[str, type]
    ) -> Emission:
        dispatcher = self._dispatcher
        if dispatcher is None:
            raise EventError(
                f"{declared.title} is an event, but nothing delivers events: "
                f"Resources(registry, sessions, EventDispatcher(registry))."
            )
        handler = event_handler(declared, point, description, models, dispatcher)
        dispatcher.add(handler)
        return Emission(dispatcher, handler, point, self._facts)

    def _operation(self, place: Place, handler: Handler) -> Operation:
        description = place.description
        in_transaction = transaction_of(description, handler, self._transaction)
        body = Body(description, _VERBS[handler], place.link, place.title) if handler in _WITH_BODY else None
        operation = Operation(
            description,
            handler,
            place.parents,
            place.parameter,
            in_transaction,
            body,
            arguments_of(description, handler),
        )
        injector = self.registry.registrations.injector
        hooks = {point: ResourceHook(declared.function, injector) for point, declared in self._hooks.of(description)}
        operation.steps = compile_steps(operation, hooks, self._emissions[description])
        return operation


def _name_of(declared: Declaration) -> str:
    """The name of a function that stands for the hook's. Raises InvalidHookError for what is no function."""
    name = str(getattr(declared.function, "__name__", type(declared.function).__name__))
    check_function(declared.function, name, declared.place)
    return name
