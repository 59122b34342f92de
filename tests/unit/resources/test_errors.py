"""The errors of resources that the core has, too: whoever catches the core's catches these, facts and all."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from interceptors import InterceptorRegistry, errors
from interceptors.resources import InvalidHookError, ResourceError, Resources, UnknownHookError


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)


def resources() -> Resources:
    return Resources(InterceptorRegistry(), async_sessionmaker())


@pytest.mark.parametrize("name", ["on_before_insrt", "onBeforeInsrt", "on_insert"])
def test_an_unknown_hook_is_the_cores_unknown_hook(name: str) -> None:
    with pytest.raises(errors.UnknownHookError, match=r"^.*\d+: there is no hook or event") as caught:
        resources().hook(User, name)(lambda form_data: None)
    assert isinstance(caught.value, (UnknownHookError, ResourceError, LookupError))
    assert caught.value.name == name
    assert "on_before_insert" in caught.value.nearest or name == "on_insert"


@pytest.mark.parametrize("hook", [object(), User, "on_before_insert"])
def test_what_is_no_hook_is_the_cores_invalid_hook(hook: Any) -> None:
    with pytest.raises(errors.InvalidHookError) as caught:
        resources().hook(User, "on_before_insert")(hook)
    assert isinstance(caught.value, InvalidHookError)
    assert caught.value.hook is hook


def test_an_error_of_resources_is_no_error_of_connectors() -> None:
    """The core's class is the wider one."""
    assert not issubclass(errors.UnknownHookError, UnknownHookError)
    assert not issubclass(errors.InvalidHookError, InvalidHookError)
