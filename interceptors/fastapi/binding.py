"""Binding values for a request from FastAPI's dependencies, which run before there is an invocation."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, params
from starlette.requests import HTTPConnection

from interceptors.calling import written
from interceptors.context import RequestState, check_key
from interceptors.errors import WrongCallError
from interceptors.undocumented import is_marker

__all__ = ["bind_request", "bound"]


def bind_request(request: HTTPConnection, key: str, value: object) -> None:
    """`ctx.bind_request` for FastAPI dependencies, which run before there is an invocation. Raises WrongCallError."""
    state = RequestState.of(request)
    if state is None:
        raise WrongCallError(
            f"bind_request takes the Request or the WebSocket first, not {request!r}: "
            f'bind_request(request, "tenant", tenant)',
            request,
        )
    check_key(key)
    state.bindings[key] = value


@written('bound("session", get_session)')
def bound(key: str, dependency: Callable[..., Any] | params.Depends) -> Any:
    """`Depends(dependency)` whose value is also bound for the request, so that it reaches injected constructors.

    It stands where `Depends(...)` stands: in `dependencies=[...]` of an application, a router, an inclusion or a route,
    or in `Annotated[Session, bound("session", get_session)]`. FastAPI asks the dependency once per request, documents it
    and closes it as always; what refuses binds nothing. `Depends(get_session, use_cache=False)` and
    `Security(get_user, scopes=[...])` are taken, too. A dependency that runs later may bind the key anew. Raises
    WrongCallError for what is no dependency.
    """
    inner = dependency if isinstance(dependency, params.Depends) else Depends(dependency)
    if not callable(inner.dependency) or is_marker(inner.dependency):
        raise WrongCallError(
            f"bound takes a key, and the function that FastAPI is to ask for the value, not {inner.dependency!r}. "
            f'Write `bound("session", get_session)`.',
            dependency,
        )

    def bind(connection: HTTPConnection, value: Annotated[Any, inner]) -> Any:
        bind_request(connection, key, value)
        return value

    return Depends(bind)
