"""Public functions whose arguments are swapped, or of another kind: what is wrong is said at the call, never by Python alone.

`install` and `intercepted_route` are in test_install_calls.py, decorators without parentheses in test_calling.py, the registry's
own arguments in test_bindings.py and test_users.py.
"""

import inspect
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute

from interceptors import (
    Chain,
    Entry,
    InterceptorRegistry,
    InvalidInterceptorError,
    WrongCallError,
    compose,
    intercept,
    skip_interceptors,
)
from interceptors.fastapi import bind_request, controller, create_router, get, intercepted_route
from interceptors.testing import make_context, override, record, run_interceptor, without
from tests.unit.helpers import passing

registry = InterceptorRegistry()
app = FastAPI()


class Service:
    async def work(self) -> str:
        return "worked"


@controller()
class Items:
    @get("/items")
    async def index(self) -> str:
        return "index"


async def handler() -> None: ...


def a_request() -> Request:
    return Request({"type": "http", "headers": []})


service, request = Service(), a_request()
METHOD = (
    r"A method is named by a text, not by .* Write the object, or the class, and then the name: `service, \"work\"`"
)
KEY = "A key is a text, not .*; the key comes first, then its value"

WRONG: dict[str, tuple[Any, str]] = {
    # -- who calls methods by their names
    "invoke, swapped": (lambda: registry.invoke("work", service), METHOD),
    "invoke, the method itself": (lambda: registry.invoke(service, service.work), METHOD),
    "invoke, the function": (lambda: registry.invoke(service, Service.work), METHOD),
    "invoke, a number": (lambda: registry.invoke(handler, 3), METHOD),
    "explain, swapped": (lambda: registry.explain("work", Service), METHOD),
    "explain, the function": (lambda: registry.explain(Service, Service.work), METHOD),
    "door, swapped": (lambda: Entry(registry, "work", service), METHOD),
    "door, the method itself": (lambda: Entry(registry, service, service.work), METHOD),
    "context, the method itself": (lambda: make_context(target=service, method=service.work), METHOD),
    # -- who takes a registry
    "door, registry last": (lambda: Entry(handler, registry), r"takes an InterceptorRegistry first, not handler"),
    "door, object first": (
        lambda: Entry(service, registry, "work"),
        r"takes an InterceptorRegistry first, not Service",
    ),
    "door, a class": (
        lambda: Entry(InterceptorRegistry, handler),
        r"first, not InterceptorRegistry .*Entry\(registry, ",
    ),
    "door, an application": (lambda: Entry(app, handler), "takes an InterceptorRegistry first, not FastAPI"),
    "door, a source": (
        lambda: Entry(registry, handler, source=3),
        "`source` takes a type or an InvocationSource, not 3",
    ),
    "router, swapped": (lambda: create_router(registry, Items), "takes a class as 'cls', not an InterceptorRegistry"),
    "router, an instance": (lambda: create_router(Items(), registry), "takes a class as 'cls', not an Items"),
    "router, several": (
        lambda: create_router([Items], registry),
        r"Write `create_router\(OrderController, registry\)`",
    ),
    "router, an application": (
        lambda: create_router(Items, app),
        "takes an InterceptorRegistry as 'registry', not a Fast",
    ),
    "router, its object": (
        lambda: create_router(Items, registry, Items()),
        "`provider` takes a provider of .*, not <.*Items",
    ),
    "router, its class": (lambda: create_router(Items, registry, Items), r"provider=providers.Factory\(Items\)"),
    "router, a key": (lambda: create_router(Items, registry, "items"), "`provider` takes a provider .*, not 'items'"),
    "route class, swapped": (
        lambda: intercepted_route(APIRoute, registry),
        "takes an InterceptorRegistry as 'registry'",
    ),
    "route class, of anything": (
        lambda: intercepted_route(registry, str),
        "`base` takes a subclass of APIRoute, not str",
    ),
    "override, swapped": (lambda: override(passing, registry, passing), r"Write `override\(registry, audit, fake\)`"),
    "override, an application": (
        lambda: override(app, passing, passing),
        "an InterceptorRegistry as 'registry', not a Fast",
    ),
    "without, swapped": (lambda: without(passing, registry), r"Write `without\(registry, audit\)`"),
    "record, an application": (lambda: record(app), r"Write `record\(registry\)`"),
    "record, nothing": (record, r"missing a required argument: 'registry'. Write `record\(registry\)`"),
    "observe, no function": (lambda: registry.observe(3), "takes a function of .target, source_type, layers., not 3"),
    # -- who takes interceptors
    "chain, one": (lambda: Chain(passing), r"Chain takes a list, not passing .* or compose\(log, cache\)"),
    "chain, a key": (lambda: Chain("audit"), "Chain takes a list, not 'audit'"),
    "chain, a registry": (lambda: Chain(registry), "Chain takes a list, not InterceptorRegistry"),
    "run, swapped": (
        lambda: run_interceptor(make_context(), passing),
        "takes an InvocationContext or None as 'ctx', not pass",
    ),
    "run, a registry": (lambda: run_interceptor(passing, registry), r"Write `run_interceptor\(audit, ctx\)`"),
    # -- contexts
    "context, a number": (lambda: make_context(7), "takes a mapping as 'args', not 7"),
    "context, pairs": (
        lambda: make_context(headers=[("a", "b")]),
        r"takes a mapping as 'headers', not \[\('a', 'b'\)\]",
    ),
    "context, a verb": (lambda: make_context(method="GET", path="/x"), r"For the verb of a request write `verb='GET'`"),
    "bind, swapped": (lambda: make_context().bind(service, "service"), KEY),
    "bind for the request, swapped": (lambda: make_context().bind_request(service, "current_user"), KEY),
    "get, a class": (lambda: make_context().get(Service), KEY),
    "request, last": (
        lambda: bind_request("user", request, "ada"),
        r"Request or the WebSocket first, not 'user': bind_req",
    ),
    "request, a context": (
        lambda: bind_request(make_context(), "user", "ada"),
        "first, not <InvocationContext target>",
    ),
    "request, value first": (lambda: bind_request(request, service, "current_user"), KEY),
}


@pytest.mark.parametrize("way", WRONG)
async def test_a_wrong_call_says_what_to_write(way: str) -> None:
    """As an error of ours that is a TypeError."""
    call, message = WRONG[way]
    with pytest.raises(WrongCallError, match=message):
        found = call()
        if inspect.isawaitable(found):
            await found


def test_an_argument_that_is_missing_is_named() -> None:
    """`bind_request("key", request)`: there are two, so it is the value that is missing."""
    with pytest.raises(TypeError, match="'value'"):
        bind_request("key", request)  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize("decorate", [intercept, skip_interceptors, compose])
@pytest.mark.parametrize(
    "thing", [registry, app, [passing], None, InterceptorRegistry, service], ids=lambda each: type(each).__name__
)
def test_what_is_no_interceptor_says_what_one_is(decorate: Any, thing: Any) -> None:
    """A registry in its place, an application, a list, an object: named, with its place and what to write."""
    name = thing.__name__ if isinstance(thing, type) else type(thing).__name__
    with pytest.raises(InvalidInterceptorError, match=rf"^{name} \(.*\) is .*`?async def .*\(.*ctx, next\)") as caught:
        decorate(thing)
    assert caught.value.interceptor is thing
