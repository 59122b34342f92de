"""What a call is called: `Customer.find`, `Customer.prototype.patchAttributes`."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from interceptors import annotate, intercept
from interceptors.fastapi import controller, get
from interceptors.remoting import RemoteMethod, remote_method
from interceptors.remoting.methods import method_of
from interceptors.testing import make_context
from tests.unit.helpers import passing


def method(target: Any, name: str | None = None) -> RemoteMethod:
    """The remote method of a function, or of a method of an object."""
    return method_of(type(make_context(target=target, method=name)))


class Customer:
    """A model, and two ways to name its methods."""

    async def find(self) -> None: ...
    @remote_method("findById")
    async def find_by_id(self) -> None: ...
    @remote_method("prototype.patchAttributes")
    async def patch(self) -> None: ...
    @staticmethod
    async def count() -> None: ...
    @classmethod
    async def exists(cls) -> None: ...


def test_a_method_is_called_by_class_and_name() -> None:
    """Camel case is not guessed."""
    assert method(Customer(), "find") == RemoteMethod("find", "Customer.find", is_static=True, model="Customer")
    assert method(Customer(), "count").string_name == "Customer.count"
    assert method(Customer(), "exists").string_name == "Customer.exists"


def test_a_method_may_be_named() -> None:
    """With the names of old."""
    assert method(Customer(), "find_by_id") == RemoteMethod("findById", "Customer.findById", True, "Customer")
    assert method(Customer(), "patch") == RemoteMethod(
        "patchAttributes", "Customer.prototype.patchAttributes", is_static=False, model="Customer"
    )


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("CustomerController", "Customer"),
        ("ControllerOfCustomers", "ControllerOfCustomers"),
        ("ControllerController", "Controller"),
        ("Controller", "Controller"),
        ("customercontroller", "customercontroller"),
    ],
)
def test_the_model_is_the_class_without_controller(name: str, model: str) -> None:
    """Only at the end, once, and not if nothing were left."""
    assert method(type(name, (Customer,), {})(), "find").string_name == f"{model}.find"


def test_the_model_may_be_named() -> None:
    """With `controller(model=...)`, which is inherited like any annotation."""

    @controller(model="Customer")
    class Customers:
        @get("/")
        async def find(self) -> None: ...

    class MoreCustomers(Customers): ...

    @controller(model="Client")
    class Clients(Customers): ...

    assert method(Customers(), "find").string_name == "Customer.find"
    assert method(MoreCustomers(), "find").string_name == "Customer.find"
    assert method(Clients(), "find").string_name == "Client.find"


def test_without_a_name_a_subclass_has_its_own() -> None:
    """The concrete class's."""

    class VipController(Customer): ...

    assert method(VipController(), "find_by_id").string_name == "Vip.findById"


def test_an_override_keeps_the_name_of_the_method() -> None:
    """Unless it has another one."""

    class Vip(Customer):
        async def find_by_id(self) -> None: ...
        @remote_method("patch")
        async def patch(self) -> None: ...

    assert method(Vip(), "find_by_id").string_name == "Vip.findById"
    assert method(Vip(), "patch") == RemoteMethod("patch", "Vip.patch", is_static=True, model="Vip")


def test_a_function_is_its_remote_method_as_it_stands() -> None:
    """Else its name: one segment, of no model."""

    async def login() -> None: ...
    @remote_method("Customer.login")
    async def sign_in() -> None: ...
    @remote_method("Customer.prototype.save")
    async def save() -> None: ...

    assert method(login) == RemoteMethod("login", "login", is_static=True, model=None)
    assert method(sign_in) == RemoteMethod("login", "Customer.login", is_static=True, model=None)
    assert method(save) == RemoteMethod("save", "Customer.prototype.save", is_static=False, model=None)


@pytest.mark.parametrize(
    ("name", "is_static"),
    [
        ("prototype.save", False),
        ("a.prototype.save", False),
        ("prototype", True),
        ("prototype.a.save", True),
        ("Prototype.save", True),
    ],
)
def test_a_call_is_static_unless_its_last_segment_but_one_is_prototype(name: str, is_static: bool) -> None:
    """In a method's name and in a function's."""

    @remote_method(name)
    async def function() -> None: ...

    class Model:
        method = staticmethod(function)

    assert method(function).is_static is is_static
    # Of a method, the model stands before the name, so it is never the last segment but one by itself.
    assert method(Model(), "method").is_static is is_static


def test_remote_method_stacks_with_the_other_decorators() -> None:
    """In any order; it gives back the very function."""

    async def find() -> None: ...

    for decorators in ([remote_method("all"), annotate(a=1)], [annotate(a=1), remote_method("all")]):
        decorated: Any = find
        for decorate in [*decorators, intercept(passing)]:
            decorated = decorate(decorated)
        assert decorated is find
        context = make_context(target=find)
        assert method(find).string_name == "all"
        assert dict(context.annotations) == {"a": 1, "remote_method": "all"}


def test_a_model_stacks_with_the_other_decorators() -> None:
    """In any order."""

    class Upper:
        async def find(self) -> None: ...

    class Lower(Upper): ...

    controller(model="Customer")(intercept(passing)(annotate(a=1)(Upper)))
    annotate(a=1)(intercept(passing)(controller(model="Client")(Lower)))
    assert method(Upper(), "find").string_name == "Customer.find"
    assert method(Lower(), "find").string_name == "Client.find"
    for target in (Upper(), Lower()):
        assert make_context(target=target, method="find").annotations["a"] == 1


@pytest.mark.parametrize("name", ["", "a..b", "find*", "*"])
def test_a_name_that_is_none_is_refused_where_it_is_declared(name: str) -> None:
    """Empty segments and wildcards."""
    with pytest.raises(ValueError, match=r"is no name of a remote method"):
        remote_method(name)


@pytest.mark.parametrize("name", ["", "a..b", "Cust*", "*", ".a"])
def test_a_model_that_is_none_is_refused_where_it_is_declared(name: str) -> None:
    """Empty segments and wildcards, as for a method."""
    with pytest.raises(ValueError, match=r"model"):
        controller(model=name)(Customer)


def test_a_remote_method_is_frozen() -> None:
    """A hook cannot change what is called."""
    found = method(Customer(), "find")
    with pytest.raises(FrozenInstanceError):
        found.name = "other"  # type: ignore[misc]
    assert hash(found) == hash(method(Customer(), "find"))
