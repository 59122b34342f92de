"""Controllers that could never work are refused when the application starts, not at a request."""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import Depends, FastAPI, Query, WebSocket
from fastapi.testclient import TestClient
from typing_extensions import TypeAliasType

from interceptors import InjectionError, InterceptorError, InterceptorRegistry, InvalidTargetError
from interceptors.fastapi import controller, create_router, get, install, websocket
from tests.integration.support import app_with, place

Repo = Annotated[str, Provide["repo"]]
Again = TypeAliasType("Again", TypeAliasType("RepoAlias", Repo))


class Container(containers.DeclarativeContainer):
    repo = providers.Object("repo")


def registry() -> InterceptorRegistry:
    return InterceptorRegistry(Container())


def by_install(cls: type, provider: Any = None) -> FastAPI:
    return app_with(cls, registry=registry())


def by_router(cls: type, provider: Any = None) -> FastAPI:
    app, one = FastAPI(), registry()
    install(app, one)
    app.include_router(create_router(cls, one, provider), prefix="/v1")
    return app


def alone(cls: type, provider: Any = None) -> FastAPI:
    """Without `install`: the router checks itself."""
    app = FastAPI()
    app.include_router(create_router(cls, registry(), provider))
    return app


def start(app: FastAPI) -> None:
    with TestClient(app):
        pass


def signed_in() -> str:
    return "ada"


class Shows:
    @get("/")
    async def show(self) -> Any:
        return self.member


class ByQuery(Shows):
    member: str = Query("x")


class ByAlias(Shows):
    member: Again


class ByDepends(Shows):
    member: Annotated[str, Depends(signed_in)] = "nobody"


class ByText(Shows):
    member: "ClassVar[Annotated[Missing, Depends(signed_in)]]"  # noqa: F821


class ByClassMethod:
    member = Provide["repo"]

    @get("/")
    @classmethod
    async def show(cls) -> Any:
        return cls.member


class ByWebSocket:
    member = Depends(signed_in)

    @websocket("/")
    async def talk(self, socket: WebSocket) -> None: ...


class Further(ByQuery):
    member: str


MAKERS = pytest.mark.parametrize("make", [by_install, by_router, alone])


@MAKERS
@pytest.mark.parametrize("base", [ByQuery, ByAlias, ByDepends, ByText, ByClassMethod, ByWebSocket, Further])
def test_a_marker_as_an_attribute_is_refused(make: Callable[..., FastAPI], base: type) -> None:
    """Whichever marker, annotation or value, own or inherited, of whatever kind of route."""
    cls = controller()(type("Orders", (base,), {}))

    with pytest.raises(
        InjectionError, match=r"The attribute 'member' of the controller Orders \(.*\), inherited from"
    ) as error:
        start(make(cls))
    assert (error.value.owner, error.value.parameter) == ("Orders", "member")


def test_the_message_says_what_to_write() -> None:
    """FastAPI's marker belongs to a method's parameters, dependency-injector's also to the constructor's."""

    @controller()
    class Orders(Shows):
        member = Depends(signed_in)

    @controller()
    class Invoices(Shows):
        member: Repo

    with pytest.raises(InjectionError) as error:
        start(by_install(Orders))
    assert str(error.value) == (
        f"The attribute 'member' of the controller Orders ({place(Orders)}) is marked `Depends`, but attributes are not "
        f"injected: it would be the marker itself, which is always true, or not be there. Take it as a parameter of the "
        f"methods: `member: Annotated[T, Depends(...)]`."
    )
    with pytest.raises(InjectionError) as error:
        start(by_install(Invoices))
    assert str(error.value).endswith(
        "Take it in the constructor: `def __init__(self, member: Annotated[T, Provide['repo']]) -> None`."
    )


@MAKERS
def test_one_that_comes_from_a_provider_is_looked_at_too(make: Callable[..., FastAPI]) -> None:
    """The attribute of the class that it makes, and of the controller where it does not say what it makes."""
    cls = controller()(type("Orders", (ByQuery,), {}))
    for provider in (providers.Factory(cls), providers.Callable(cls), providers.Object(cls())):
        with pytest.raises(InjectionError, match="The attribute 'member' of the controller Orders"):
            start(make(cls, provider))


class Written:
    def __init__(self, *, member: Repo) -> None:
        self.member = member

    show = Shows.show


class Forwards(Written):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)


class Mixin:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class Mixes(Mixin, Written): ...


class HidesAFieldOfADataclass(dataclass(type("Fields", (Shows,), {"__annotations__": {"member": Again}}))):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)


@MAKERS
@pytest.mark.parametrize("base", [Forwards, Mixes, HidesAFieldOfADataclass])
def test_a_constructor_that_hides_an_injected_parameter_is_refused(make: Callable[..., FastAPI], base: type) -> None:
    """By keywords, by a mixin, by position."""
    cls = controller()(type("Orders", (base,), {}))

    with pytest.raises(
        InjectionError, match="The constructor of the controller Orders .* hides the parameter 'member'"
    ):
        start(make(cls))


class PositionalOnly(Shows):
    def __init__(self, first: str = "first", member: Again = "", /, other: Repo = "other") -> None:
        self.member = [first, member, other]


class ByNew(Shows):
    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return super().__new__(cls)

    def __init__(self, member: Repo) -> None:
        self.member = member


@pytest.mark.parametrize(("base", "expected"), [(PositionalOnly, ["first", "repo", "repo"]), (ByNew, "repo")])
def test_one_that_shows_it_works(base: type, expected: Any) -> None:
    """Positional-only parameters are given by position; what `__new__` takes is for `__init__`."""
    with TestClient(by_install(controller()(type("Orders", (base,), {})))) as client:
        assert client.get("/").json() == expected


class Abstract(abc.ABC):
    @get("/")
    async def show(self) -> str:
        return self.name + await self.load()

    @property
    @abc.abstractmethod
    def name(self) -> str: ...

    @abc.abstractmethod
    async def load(self) -> str: ...


class Concrete(Abstract):
    name = "real"

    async def load(self) -> str:
        return "ly"


@MAKERS
def test_an_abstract_controller_is_refused(make: Callable[..., FastAPI]) -> None:
    """The message has what is not implemented; a provider of the abstract class could not build it either."""
    cls = controller()(type("Orders", (Abstract,), {}))
    for provider in (None, providers.Factory(cls), providers.Singleton(cls)):
        with pytest.raises(InvalidTargetError) as error:
            start((by_router if provider is not None else make)(cls, provider))
        assert str(error.value) == (
            "The controller Orders (no source file) is abstract: nothing implements 'load', 'name'. Implement it in a "
            "subclass and register that, or say what gives the instances: create_router(Orders, registry, provider=...)."
        )


@pytest.mark.parametrize("make", [by_router, alone])
def test_an_abstract_controller_whose_instances_a_provider_gives_works(make: Callable[..., FastAPI]) -> None:
    """A provider of a subclass, of an instance, of whatever a function gives, of an abstract class that is overridden."""
    cls = controller()(type("Orders", (Abstract,), {}))
    made = type("Made", (cls, Concrete), {"name": "real", "load": Concrete.load})
    overridden = providers.AbstractFactory(cls)
    overridden.override(providers.Factory(made))
    for provider in (providers.Factory(made), providers.Object(made()), providers.Callable(made), overridden):
        with TestClient(make(cls, provider)) as client:
            assert client.get("/v1/" if make is by_router else "/").json() == "really"


def test_a_controller_of_static_methods_may_be_abstract() -> None:
    """Nothing builds it."""

    @controller()
    class Orders(abc.ABC):
        @get("/")
        @staticmethod
        async def show() -> str:
            return "shown"

        @abc.abstractmethod
        def load(self) -> None: ...

    with TestClient(by_install(Orders)) as client:
        assert client.get("/").json() == "shown"


def test_where_no_lifespan_runs_the_first_request_is_refused() -> None:
    """Closed: nothing of the application answers."""
    cls = controller()(type("Orders", (ByDepends,), {}))
    app = by_install(cls)
    app.get("/other")(signed_in)

    with pytest.raises(InterceptorError, match="The attribute 'member'"):
        TestClient(app).get("/other")
