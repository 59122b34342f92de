"""What a registry takes for `current_user`: a function of the request, or a provider; anything else says what to write."""

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import Depends, Header, Request
from fastapi.security import OAuth2PasswordBearer

from interceptors import InterceptorRegistry, InvocationBindings, InvocationContext, WrongCallError
from tests.unit.helpers import place

WRITTEN = "Write `async def current_user(request): ...`, or give a provider: `current_user=container.user`."
OF_FASTAPI = (
    'FastAPI would have to give; from a dependency of FastAPI\'s say `bind_request(request, "current_user", user)`'
)


def no_arguments() -> str:
    return "ada"


def two_arguments(request: Any, database: Any) -> str:
    return "ada"


def keyword_only(*, request: Any) -> str:
    return "ada"


def generates(request: Any) -> Iterator[str]:
    yield "ada"


async def generates_later(request: Any) -> AsyncIterator[str]:
    yield "ada"


@functools.wraps(generates)
def wraps_a_generator(*args: Any) -> Any:
    return generates(*args)


async def of_fastapi(token: Annotated[str, Depends(OAuth2PasswordBearer("token"))]) -> str:
    return token


def of_a_header(x_user: str = Header()) -> str:
    return x_user


class NoArguments:
    def __init__(self) -> None: ...


@pytest.mark.parametrize(
    ("ask", "problem"),
    [
        (no_arguments, "which cannot be called with the request alone"),
        (two_arguments, "which cannot be called with the request alone"),
        (keyword_only, "which cannot be called with the request alone"),
        (NoArguments, "which cannot be called with the request alone"),
        (generates, "a generator, which would be the user itself"),
        (generates_later, "a generator, which would be the user itself"),
        (of_fastapi, f"whose parameter 'token' {OF_FASTAPI}"),
        (of_a_header, f"whose parameter 'x_user' {OF_FASTAPI}"),
    ],
)
def test_a_function_of_another_shape_is_refused(ask: Any, problem: str) -> None:
    """It would be called with the request; its name and place are told."""
    with pytest.raises(WrongCallError) as error:
        InterceptorRegistry(current_user=ask)
    assert str(error.value) == f"`current_user` is {ask.__name__} ({place(ask)}), {problem}. {WRITTEN}"


def test_so_is_one_that_wraps_such_a_function() -> None:
    """What is behind `functools.wraps` counts."""
    with pytest.raises(WrongCallError, match="a generator, which would be the user itself"):
        InterceptorRegistry(current_user=wraps_a_generator)


@pytest.mark.parametrize("ask", ["ada", 1, {"name": "ada"}, Depends(no_arguments), ("ada",), False, ""])
def test_a_user_is_nobody_to_ask(ask: Any) -> None:
    """What cannot be called is refused where it is given."""
    with pytest.raises(WrongCallError) as error:
        InterceptorRegistry(current_user=ask)
    assert str(error.value) == f"`current_user` is {ask!r}, which cannot be called with the request. {WRITTEN}"


def test_a_marker_is_for_parameters() -> None:
    """Give the provider that it names."""
    with pytest.raises(WrongCallError, match="is Provide\\['user'\\], a marker for parameters"):
        InterceptorRegistry(current_user=Provide["user"])


def test_a_provider_that_depends_on_the_user_is_refused() -> None:
    """It would ask for itself; directly, or by what it is made of."""

    class Container(containers.DeclarativeContainer):
        inner = providers.List(InvocationBindings.current_user)
        user = providers.Factory(list, inner)

    container = Container()
    for ask in (container.user, Container.user, InvocationBindings.current_user):
        with pytest.raises(WrongCallError, match="depends on the current user that it is to find"):
            InterceptorRegistry(container, current_user=ask)


class Asks:
    def __init__(self, request: Any = None) -> None:
        self.request = request

    def __call__(self, request: Any) -> Any:
        return request.headers["x-user"]

    async def method(self, request: Any, database: str = "database") -> Any:
        return self(request)


class User(Asks):
    def __eq__(self, other: object) -> bool:
        return self.request.headers["x-user"] == other

    __hash__ = None


@pytest.mark.parametrize(
    "ask",
    [
        Asks(),
        Asks().method,
        User,
        functools.partial(lambda database, request: request.headers["x-user"], "database"),
        lambda *args: args[0].headers["x-user"],
        providers.Factory(User, InvocationBindings.request),
        providers.Coroutine(Asks().method, InvocationBindings.request),
    ],
)
async def test_whatever_can_be_called_with_the_request_may_be_asked(ask: Any) -> None:
    """A function, a method, an object, a class, a provider."""

    class Service:
        async def who(self, ctx: InvocationContext) -> Any:
            return await ctx.current_user()

    request = Request({"type": "http", "headers": [(b"x-user", b"ada")]})
    assert await InterceptorRegistry(current_user=ask).invoke(Service(), "who", request=request) == "ada"


def test_what_does_not_say_what_it_takes_may_be_asked() -> None:
    """A builtin, for example."""
    InterceptorRegistry(current_user=getattr)
