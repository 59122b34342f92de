"""LoopBack 3, section 1.5: registering remoting hooks, and what a call is called (contract 1 and 1.1).

| rule | what does not apply, and why |
|---|---|
| `registerPhaseHandler`, `phases.addBefore` | There are no phases: an interceptor in a group stands before or after. |
| `remoteMethod(..., {rest: {before, after}})` | A hook of one method only is `@intercept` on it, or its own pattern. |
| `this` of a hook | Python has none; `ctx.instance`, `ctx.method` and `ctx.invocation.target_class` say the same. |
| Registration put off until the model is attached | Patterns are compared when a call comes; a model need not exist yet. |
| `deleteModelByName` removes a model's hooks | Classes are not removed from an application. |
| Hooks of a client's RemoteObjects | Calls to other services are hooked by connectors. |
| `app.beforeRemote` of the migration guide | It does not exist in LB3 either; here it is `hooks.before_remote`. |
"""

import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import ASGITransport, AsyncClient

from interceptors import (
    Entry,
    InterceptorRegistry,
    InvocationSource,
    annotate,
    errors,
    intercept,
    remoting,
    skip_interceptors,
)
from interceptors.fastapi import controller, get, install, intercepted_route, post
from interceptors.remoting import RemoteHooks, remote_method
from tests.unit.remoting.support import REMOTE, invoke


class Customer:
    """A model with a few of the methods that LB3 gives to each."""

    async def find(self):
        return "found"

    @remote_method("findById")
    async def find_by_id(self, id):
        return id

    @remote_method("prototype.patchAttributes")
    async def patch(self, data):
        return data


def noting(log, name):
    def hook(ctx):
        log.append(f"{name} {ctx.method_string}")

    return hook


async def test_a_hook_of_a_model_is_stored_under_its_name():
    """`Model.beforeRemote(name, fn)` listens to `before.<Model>.<name>`; `hooks.model("Customer")` has the same three methods."""
    hooks, log = RemoteHooks(), []
    customers = hooks.model("Customer")
    customers.before_remote("find", noting(log, "before"))
    customers.after_remote("find", noting(log, "after"))
    customers.after_remote_error("find", noting(log, "error"))
    hooks.model("Order").before_remote("find", noting(log, "order's"))
    assert await invoke(hooks, Customer(), "find") == "found"
    assert log == ["before Customer.find", "after Customer.find"]


async def test_a_hook_of_the_application_has_the_whole_pattern():
    """`app.remotes().before(pattern, fn)`; `hooks.before_remote(pattern, fn)` is the same, and a decorator."""
    hooks, log = RemoteHooks(), []

    @hooks.before_remote("Customer.find")
    def one(ctx, next):
        log.append("one")
        next()

    assert one.__name__ == "one"
    hooks.before_remote("**", noting(log, "every"))
    await invoke(hooks, Customer(), "find")
    await invoke(hooks, Customer(), "find_by_id", 5)
    assert log == ["one", "every Customer.find", "every Customer.findById"]


@pytest.mark.parametrize("level", ["model", "application"])
async def test_the_number_of_parameters_decides_what_a_hook_gets(level):
    """Listeners of a model get `(ctx, result, next)`, those of the application `(ctx, next)`.

    Differs: the number decides at either level. In LB3 `(ctx, next)` on a model, as the migration guide and the
    documentation have it, gets the result for `next` and is a TypeError.
    """
    hooks, seen = RemoteHooks(), []
    register = hooks.model("Customer").after_remote if level == "model" else hooks.after_remote
    pattern = "find" if level == "model" else "Customer.find"

    @register(pattern)
    def one(ctx):
        seen.append(ctx.result)

    @register(pattern)
    def two(ctx, next):
        seen.append(ctx.result)
        next()

    @register(pattern)
    def three(ctx, result, next):
        seen.append(result)
        next()

    @register(pattern)
    def position_not_name(next, ctx):
        seen.append(next.result)
        ctx()

    assert await invoke(hooks, Customer(), "find") == "found"
    assert seen == ["found"] * 4


async def test_error_hooks_may_take_three_parameters_too():
    """`afterRemoteError` listeners get `(ctx, next)` even on a model.

    Differs: three are allowed here as well, so that one rule holds; the second is `ctx.result`.
    """
    hooks, seen = RemoteHooks(), []

    @hooks.before_remote("**")
    def before(ctx):
        ctx.result = "held"
        raise ValueError("no")

    @hooks.after_remote_error("**")
    def failed(ctx, result, next):
        seen.append((result, str(ctx.error)))
        next()

    with pytest.raises(ValueError, match="no"):
        await invoke(hooks, Customer(), "find")
    assert seen == [("held", "no")]


async def test_a_hook_of_everything_runs_for_everything():
    """`**` on the application is every remote method. Differs: `loopback.Model.beforeRemote('**')` never fires (#1027)."""
    hooks, log = RemoteHooks(), []
    hooks.before_remote("**", noting(log, "every"))
    await invoke(hooks, Customer(), "find")
    await invoke(hooks, Customer(), "patch", {})
    assert log == ["every Customer.find", "every Customer.prototype.patchAttributes"]


async def test_the_same_function_registered_twice_runs_twice():
    """In LB3, too: nothing is de-duplicated."""
    hooks, log = RemoteHooks(), []
    hook = noting(log, "hook")
    hooks.before_remote("Customer.find", hook)
    hooks.model("Customer").before_remote("find", hook)
    await invoke(hooks, Customer(), "find")
    assert log == ["hook Customer.find"] * 2


async def test_hooks_are_not_inherited_by_child_models():
    """In LB3 neither (#702): the name is the concrete class's. Differs: a model that is *named* is inherited with its name."""

    class VipController(Customer):
        """A child without a name of its own."""

    @controller(model="Customer")
    class Customers(Customer):
        """A controller of the model, by name."""

    class MoreCustomers(Customers):
        """Its child."""

    hooks, log = RemoteHooks(), []
    hooks.model("Customer").before_remote("find", noting(log, "customer's"))
    hooks.model("Vip").before_remote("find", noting(log, "vip's"))
    await invoke(hooks, VipController(), "find")
    assert log == ["vip's Vip.find"]
    log.clear()
    await invoke(hooks, MoreCustomers(), "find")
    assert log == ["customer's Customer.find"]


async def test_only_the_name_is_matched():
    """Aliases never match: `upsert`, `updateAttributes`, and the Python name where there is another one (#1955, #1216).

    In LB3 such a hook is dead and nobody says so; `find_problems`, which `interceptors check` asks, names it.
    """
    hooks, log = RemoteHooks(), []
    for name in ("upsert", "updateAttributes", "prototype.updateAttributes", "find_by_id", "Find"):
        hooks.model("Customer").before_remote(name, noting(log, name))
    for method, *args in [("find",), ("find_by_id", 1), ("patch", {})]:
        await invoke(hooks, Customer(), method, *args)
    assert log == []
    registry = InterceptorRegistry()
    contexts = [type_of_context(registry, Customer(), name) for name in ("find", "find_by_id", "patch")]
    assert len(list(hooks.find_problems(contexts))) == 5


def type_of_context(registry, target, method):
    return Entry(registry, target, method, source="route").context_type


async def test_hooks_run_for_remote_calls_only():
    """Never for direct calls (#3224): not for a plain call, a proxy, or an `invoke` that does not say where it comes from."""
    hooks, log = RemoteHooks(), []
    hooks.before_remote("**", noting(log, "before"))
    registry = InterceptorRegistry()
    registry.add_global(hooks)
    customer = Customer()
    assert await customer.find() == "found"
    assert await registry.intercepted(customer).find() == "found"
    assert await registry.invoke(customer, "find") == "found"
    assert await registry.invoke(customer, "find", source=InvocationSource("proxy")) == "found"
    assert log == []
    assert await registry.invoke(customer, "find", source=REMOTE) == "found"
    assert await registry.invoke(customer, "find", source=InvocationSource("job")) == "found"
    assert log == ["before Customer.find"] * 2


async def test_a_call_inside_a_remote_one_is_not_remote():
    """What a method calls through a proxy runs no hooks, although a remote call is under way."""
    hooks, log = RemoteHooks(), []
    hooks.before_remote("**", noting(log, "before"))
    registry = InterceptorRegistry()
    registry.add_global(hooks)
    inner = registry.intercepted(Customer())

    class Order:
        async def find(self):
            return await inner.find()

    assert await registry.invoke(Order(), "find", source=REMOTE) == "found"
    assert log == ["before Order.find"]


async def test_hooks_may_be_added_at_any_time():
    """Also after the first call, and from inside a hook: the next call sees them."""
    hooks, log = RemoteHooks(), []
    registry = InterceptorRegistry()
    registry.add_global(hooks)
    customer = Customer()
    await registry.invoke(customer, "find", source=REMOTE)
    hooks.before_remote("**", noting(log, "added"))
    await registry.invoke(customer, "find", source=REMOTE)
    assert log == ["added Customer.find"]


async def test_an_application_may_have_several():
    """Each is a layer of its own: all of its hooks around all of the inner one's."""
    log = []
    outer, inner = RemoteHooks(), RemoteHooks()
    for name, hooks in [("outer", outer), ("inner", inner)]:
        hooks.before_remote("**", noting(log, f"{name} before"))
        hooks.after_remote("**", noting(log, f"{name} after"))
    registry = InterceptorRegistry(ordered_groups=("first", "second"))
    registry.add_global(inner, group="second")
    registry.add_global(outer, group="first")
    await registry.invoke(Customer(), "find", source=REMOTE)
    assert [entry.split(" Customer")[0] for entry in log] == [
        "outer before",
        "inner before",
        "inner after",
        "outer after",
    ]


async def test_they_are_an_interceptor_like_any_other():
    """On a class or a method by `@intercept`, and left out by `@skip_interceptors`."""
    hooks, log = RemoteHooks(), []
    hooks.before_remote("**", noting(log, "before"))

    @intercept(hooks)
    class Order:
        async def find(self):
            return "found"

        @skip_interceptors(hooks)
        async def count(self):
            return 0

    registry = InterceptorRegistry()
    await registry.invoke(Order(), "find", source=REMOTE)
    await registry.invoke(Order(), "count", source=REMOTE)
    assert log == ["before Order.find"]


def test_what_the_package_gives():
    """Four names of its own, and the library's errors and warnings that its hooks may meet."""
    raised = {"ForgottenNextError", "HookError", "InvalidArgumentError", "InvalidHookError", "InvalidPatternError"}
    warned = {"DoubleCompletionWarning", "IgnoredAssignmentWarning"}
    library = {name for name in remoting.__all__ if hasattr(errors, name)}
    assert set(remoting.__all__) - library == {"RemoteHooks", "RemoteMethod", "RemotingContext", "remote_method"}
    assert library >= raised | warned
    for name in library:
        assert getattr(remoting, name) is getattr(errors, name)


# -- what a call is called ---------------------------------------------------------------------------------------------


def application(hooks):
    """Controllers and function routes with a hook for everything."""
    registry = InterceptorRegistry()
    registry.add_global(hooks, group="remoting")

    @controller(prefix="/customers", model="Customer")
    class CustomerResource:
        @get("/")
        async def find(self): ...
        @remote_method("findById")
        @get("/{id}")
        async def find_by_id(self, id: int): ...
        @post("/{id}")
        @annotate(audited=True)
        @remote_method("prototype.patchAttributes")
        async def patch(self, id: int): ...

    @controller(prefix="/orders")
    class OrderController:
        @get("/")
        async def find(self): ...

    app = FastAPI()
    install(app, registry, controllers=[CustomerResource, OrderController])

    @app.get("/ping")
    async def ping(): ...

    @app.post("/login")
    @remote_method("Customer.login")
    async def sign_in(): ...

    return app


async def test_what_calls_are_called_over_http():
    """`Model.method`, `Model.prototype.method`; camel case is not guessed. A function route is its name as it stands."""
    hooks, log = RemoteHooks(), []
    hooks.before_remote("**", noting(log, "before"))
    hooks.before_remote("**", lambda ctx: log.append((ctx.method.name, ctx.method.is_static, ctx.method.model)))
    async with AsyncClient(transport=ASGITransport(application(hooks)), base_url="http://test") as client:
        for verb, path in [
            ("GET", "/customers/"),
            ("GET", "/customers/5"),
            ("POST", "/customers/5"),
            ("GET", "/orders/"),
            ("GET", "/ping"),
            ("POST", "/login"),
        ]:
            assert (await client.request(verb, path)).status_code == 200
    assert log == [
        "before Customer.find",
        ("find", True, "Customer"),
        "before Customer.findById",
        ("findById", True, "Customer"),
        "before Customer.prototype.patchAttributes",
        ("patchAttributes", False, "Customer"),
        "before Order.find",
        ("find", True, "Order"),
        "before ping",
        ("ping", True, None),
        "before Customer.login",
        ("login", True, None),
    ]


async def test_a_function_without_a_name_of_its_own_is_one_segment():
    """Only `**`, `*` and its own name match it."""
    hooks, log = RemoteHooks(), []
    for pattern in ("**", "*", "ping", "*.ping", "*.*", "**.*", "Ping"):
        hooks.before_remote(pattern, noting(log, pattern))
    async with AsyncClient(transport=ASGITransport(application(hooks)), base_url="http://test") as client:
        await client.get("/ping")
    assert sorted(log) == ["* ping", "** ping", "**.* ping", "ping ping"]


async def test_a_router_of_functions_is_remote_too():
    """With `intercepted_route`."""
    hooks, log = RemoteHooks(), []
    hooks.before_remote("**", noting(log, "before"))
    registry = InterceptorRegistry()
    registry.add_global(hooks)
    router = APIRouter(route_class=intercepted_route(registry))

    @router.get("/status")
    def status():
        return "fine"

    app = FastAPI()
    app.include_router(router)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/status")).json() == "fine"
    assert log == ["before status"]


def test_names_leave_openapi_alone():
    """The document of an application with names and hooks is that of one without."""

    def document(named, model):
        @controller(prefix="/customers", **model)
        class CustomerController:
            @named("prototype.save")
            @get("/{id}")
            async def save(self, id: int) -> str:
                """Save it."""

        app = FastAPI()
        registry = InterceptorRegistry()
        if model:
            hooks = RemoteHooks()
            hooks.before_remote("**", lambda ctx: None)
            registry.add_global(hooks)
        install(app, registry, controllers=[CustomerController])
        return app.openapi()

    assert document(remote_method, {"model": "Client"}) == document(lambda name: lambda function: function, {})


@pytest.mark.parametrize("name", ["", "a..b", "*", "find*"])
def test_a_name_that_is_none_is_refused_where_it_is_declared(name):
    """Differs: LB3 takes any text, and the hook is dead."""
    with pytest.raises(ValueError, match=r"write"):
        remote_method(name)
    with pytest.raises(ValueError, match=r"write"):
        controller(model=name)
    with pytest.raises(ValueError, match=r"write"):
        RemoteHooks().model(name)
