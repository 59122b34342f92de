"""LoopBack 3, section 1.7: one call from its arguments to its answer (contract 1.3, 1.5, 1.6, 1.8).

| rule | what does not apply, and why |
|---|---|
| The instance is loaded before auth and before hooks (`sharedCtor`, #2064) | A controller loads its own; `ctx.instance` is the controller. |
| `rest.before`, `rest.after`, custom phases, `invoke:before/use/after` | Interceptors stand there, in groups. |
| `findById` gives 404 after the hooks, for `null` (#3901) | A method says so itself: its 404 is an error like any other. |
| Header and status returns are taken out of `ctx.result` | A method sets them on the response, or returns a `Response`. |
| `unsetAttribute`, `toJSON`: `delete ctx.result.prop` has no effect (#162) | A result is a plain object; deleting works. |
| Operation options in `ctx.args.options`, `optionsFromRequest` | `await ctx.current_user()`, `ctx.state`. |
| `ctx.ctorArgs`, `resultType`, `supportedTypes`, `typeRegistry`, `getScope()`, `sharedCtorError`, `req.remotingContext` | Parts of LB3's own machinery. |
"""

import asyncio
from typing import Annotated

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import Depends, FastAPI, HTTPException, Query, Response
from fastapi.responses import JSONResponse, RedirectResponse
from httpx2 import ASGITransport, AsyncClient
from pydantic import BaseModel

from interceptors import InterceptorRegistry
from interceptors.errors import ForgottenNextError, IgnoredAssignmentWarning, InvalidArgumentError, TargetNotBuiltError
from interceptors.fastapi import controller, get, install, post
from interceptors.remoting import RemoteHooks, remote_method
from tests.unit.remoting.support import REMOTE, call, context, invoke, texts, warned


class Order(BaseModel):
    """What the methods get and give."""

    id: int = 0
    note: str = ""


def with_calls():
    """Hooks of each kind that note their turn, and the log."""
    hooks, log = RemoteHooks(), []
    for number in (1, 2):
        hooks.before_remote("**", lambda ctx, number=number: log.append(f"before {number}"))
        hooks.after_remote("**", lambda ctx, number=number: log.append(f"after {number}"))
        hooks.after_remote_error("**", lambda ctx, number=number: log.append(f"error {number}"))
    return hooks, log


def noted(log, outcome="found"):
    async def method():
        log.append("method")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return method


# -- the course of a call ----------------------------------------------------------------------------------------------


async def test_before_method_after():
    """All before hooks in turn, the method, all after hooks in turn, and `ctx.result` goes out."""
    hooks, log = with_calls()
    assert await call(hooks, target=noted(log)) == "found"
    assert log == ["before 1", "before 2", "method", "after 1", "after 2"]


async def test_an_error_of_the_method_starts_the_error_hooks():
    """Serial, all of them; the same object is raised."""
    hooks, log = with_calls()
    error = ValueError("no")
    with pytest.raises(ValueError, match="no") as caught:
        await call(hooks, target=noted(log, error))
    assert caught.value is error
    assert log == ["before 1", "before 2", "method", "error 1", "error 2"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_error_of_a_hook_starts_the_error_hooks(when):
    """Remaining hooks of its kind and what follows are skipped."""
    hooks, log = with_calls()
    error = ValueError("no")
    register = hooks.before_remote if when == "before" else hooks.after_remote
    register("User.find", lambda ctx, next: next(error))
    with pytest.raises(ValueError, match="no") as caught:
        await call(hooks, target=noted(log))
    assert caught.value is error
    first = [] if when == "before" else ["before 1", "before 2", "method"]
    assert log == [*first, "error 1", "error 2"]


async def test_hooks_wait_for_each_other():
    """Strictly serial: the next one starts when the one before it has completed."""
    hooks, log = RemoteHooks(), []

    def slow(name):
        async def hook(ctx):
            log.append(f"{name} starts")
            await asyncio.sleep(0.005)
            log.append(f"{name} ends")

        return hook

    for name in ("a", "b"):
        hooks.before_remote("**", slow(name))
    await call(hooks, target=noted(log))
    assert log == ["a starts", "a ends", "b starts", "b ends", "method"]


async def test_calls_at_the_same_time_share_nothing():
    """Each has a context of its own."""
    hooks, seen = RemoteHooks(), []

    @hooks.before_remote("**")
    async def before(ctx):
        seen.append(ctx)
        ctx.state["mine"] = ctx.args["n"]
        await asyncio.sleep(0)

    class User:
        async def find(self, n: int):
            await asyncio.sleep(0)
            return n

    @hooks.after_remote("**")
    async def after(ctx):
        await asyncio.sleep(0)
        assert ctx.result == ctx.args["n"] == ctx.state["mine"]
        ctx.result += 100

    results = await asyncio.gather(*(invoke(hooks, User(), "find", n) for n in range(20)))
    assert results == [n + 100 for n in range(20)]
    assert len({id(ctx) for ctx in seen}) == 20


async def test_a_call_has_one_context():
    """Hooks of all kinds share it, and what they keep in `ctx.state`; LB3 keeps custom properties on the context itself."""
    hooks, seen = RemoteHooks(), []

    @hooks.before_remote("**")
    def before(ctx):
        ctx.state["txn"] = "open"
        seen.append(ctx)

    @hooks.after_remote("**")
    def after(ctx):
        assert ctx.state["txn"] == "open"
        seen.append(ctx)
        raise ValueError("no")

    @hooks.after_remote_error("**")
    def failed(ctx):
        assert ctx.state["txn"] == "open"
        seen.append(ctx)

    with pytest.raises(ValueError, match="no"):
        await call(hooks)
    assert seen[0] is seen[1] is seen[2]


async def test_the_chain_inside_runs_once():
    """However often a hook says `next`."""
    hooks, log = RemoteHooks(), []

    @hooks.before_remote("**")
    def twice(ctx, next):
        next()
        next()

    with warned():
        await call(hooks, target=noted(log))
    assert log == ["method"]


# -- arguments ---------------------------------------------------------------------------------------------------------


class Orders:
    """A model whose arguments are validated."""

    def __init__(self):
        self.got = None

    async def create(self, order: Order, count: int = 1, q: Annotated[str, Query(max_length=3)] = ""):
        self.got = (order, count, q)
        return order


async def created(hooks, *args, **kwargs):
    orders = Orders()
    await invoke(hooks, orders, "create", *args, **kwargs)
    return orders.got


async def test_arguments_are_a_dict_by_name():
    """In the order of the signature, defaults filled in."""
    hooks, seen = RemoteHooks(), []
    hooks.before_remote("**", lambda ctx: seen.append(dict(ctx.args)))
    order = Order()
    await created(hooks, order)
    assert seen == [{"order": order, "count": 1, "q": ""}]


async def test_a_changed_argument_reaches_the_method():
    """Changed in place, assigned, or updated."""
    hooks, order = RemoteHooks(), Order()

    @hooks.before_remote("**")
    def before(ctx):
        ctx.args["order"].note = "changed in place"
        ctx.args["count"] = 2
        ctx.args.update(q="abc")

    assert await created(hooks, order) == (order, 2, "abc")
    assert order.note == "changed in place"


async def test_assigning_args_updates_them():
    """Differs: LB3 replaces the dict, and what it leaves out is gone."""
    hooks, order = RemoteHooks(), Order()

    @hooks.before_remote("**")
    def before(ctx):
        ctx.args = {"count": 5}

    assert await created(hooks, order) == (order, 5, "")


async def test_assigned_arguments_are_validated_again():
    """As LB3 coerces at invoke: by annotation and metadata, lax, once, after the last before hook."""
    hooks, seen = RemoteHooks(), []

    @hooks.before_remote("Orders.create")
    def first(ctx):
        ctx.args["count"] = "not yet a number"
        ctx.args["order"] = {"id": "7"}

    @hooks.before_remote("**")
    def last(ctx):
        seen.append(ctx.args["count"])
        ctx.args["count"] = "5"

    assert await created(hooks, Order()) == (Order(id=7), 5, "")
    assert seen == ["not yet a number"]


async def test_an_argument_that_does_not_fit_is_a_400():
    """Error hooks see it; `detail` is like FastAPI's, with `loc` from "args"."""
    hooks, seen = RemoteHooks(), []

    @hooks.before_remote("**")
    def before(ctx):
        ctx.args.update(count="many", q="abcd")

    hooks.after_remote_error("**", lambda ctx: seen.append(ctx.error))
    with pytest.raises(InvalidArgumentError) as caught:
        await created(hooks, Order())
    assert seen == [caught.value]
    assert caught.value.status_code == 400
    assert [error["loc"] for error in caught.value.detail] == [["args", "count"], ["args", "q"]]


async def test_what_was_changed_in_place_is_not_validated():
    """`validate_assignment` on the model does that."""
    hooks, order = RemoteHooks(), Order()

    @hooks.before_remote("**")
    def before(ctx):
        ctx.args["order"].id = "no number"

    assert await created(hooks, order) == (order, 1, "")
    assert order.id == "no number"


async def test_an_unknown_argument_is_an_error_that_lists_the_known_ones():
    """Differs: in LB3 it is ignored, and `ctx.args[0]`, as the migration guide has it, is undefined."""
    hooks = RemoteHooks()
    hooks.before_remote("**", lambda ctx: ctx.args.update(ordre=1))
    with pytest.raises(KeyError, match="has no argument 'ordre'; it has: order, count, q"):
        await created(hooks, Order())
    hooks = RemoteHooks()
    hooks.before_remote("**", lambda ctx: ctx.args[0])
    with pytest.raises(KeyError):
        await created(hooks, Order())


async def test_arguments_assigned_too_late_change_nothing():
    """In after hooks and error hooks the method has run."""
    hooks = RemoteHooks()
    hooks.after_remote("**", lambda ctx: ctx.args.update(count="no number"))
    assert (await created(hooks, Order()))[1] == 1


# -- results -----------------------------------------------------------------------------------------------------------


async def test_the_result_before_the_method_matters_only_to_done():
    """It is None (LB3: `{}`); the method overwrites it, also with None."""
    hooks, seen = RemoteHooks(), []

    @hooks.before_remote("**")
    def before(ctx, result, next):
        seen.append(result)
        ctx.result = "held"
        next()

    hooks.before_remote("**", lambda ctx, result, next: (seen.append(result), next()))
    hooks.after_remote("**", lambda ctx: seen.append(ctx.result))
    assert await call(hooks, returns=None) is None
    assert seen == [None, "held", None]


@pytest.mark.parametrize("value", [None, 0, "", [], {"a": 1}])
async def test_an_assigned_result_goes_out(value):
    """Falsy values are results."""
    hooks = RemoteHooks()

    @hooks.after_remote("**")
    def after(ctx):
        ctx.result = value

    assert await call(hooks) == value


async def test_a_result_changed_in_place_goes_out():
    """Through `ctx.result` or through the second parameter."""
    hooks = RemoteHooks()
    hooks.after_remote("**", lambda ctx: ctx.result.pop("password"))
    hooks.after_remote("**", lambda ctx, result, next: (result.update(seen=True), next()))
    assert await call(hooks, returns={"name": "a", "password": "x"}) == {"name": "a", "seen": True}


async def test_the_second_parameter_is_the_result_when_the_hook_starts():
    """Assigning the local name has no effect; later hooks see what earlier ones put in `ctx.result`."""
    hooks, seen = RemoteHooks(), []

    @hooks.after_remote("User.find")
    def first(ctx, result, next):
        ctx.result = "replaced"
        seen.append(result)
        result = "local"
        next()

    hooks.after_remote("**", lambda ctx, result, next: (seen.append(result), next()))
    assert await call(hooks) == "replaced"
    assert seen == ["found", "replaced"]


# -- early answers -----------------------------------------------------------------------------------------------------


async def test_done_in_a_before_hook_answers_at_once():
    """`ctx.result = x; ctx.done(cb)` without `next` (the cache idiom): method, after and error hooks do not run."""
    for use in ("argument", "result"):
        hooks, log = with_calls()

        @hooks.before_remote("User.find")
        def cached(ctx, next, use=use):
            if use == "argument":
                return ctx.done("cached")
            ctx.result = "cached"
            return ctx.done()

        assert await call(hooks, target=noted(log)) == "cached"
        assert log == []


async def test_done_in_an_after_hook_skips_the_remaining_ones():
    """With a result, or with what `ctx.result` holds."""
    for given, answer in [(("other",), "other"), ((), "found"), ((None,), None)]:
        hooks, log = with_calls()
        hooks.after_remote("User.find", lambda ctx, given=given: ctx.done(*given))
        assert await call(hooks, target=noted(log)) == answer
        assert log == ["before 1", "before 2", "method"]


async def test_done_in_an_error_hook_settles_the_error():
    """The only way in LB3 is to write the response oneself (#2706, #1663)."""
    hooks, log = with_calls()
    hooks.after_remote_error("User.find", lambda ctx: ctx.done({"fallback": str(ctx.error)}))
    assert await call(hooks, target=noted(log, ValueError("no"))) == {"fallback": "no"}
    assert log == ["before 1", "before 2", "method"]


# -- error hooks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_hooks_time_out_starts_the_error_hooks(when):
    """A forgotten `next` is a failure like any other; an error hook may settle it. In LB3 the request hangs."""
    hooks, seen = RemoteHooks(next_timeout=0.02), []
    (hooks.before_remote if when == "before" else hooks.after_remote)("**", lambda ctx, next: None)
    hooks.after_remote_error("User.find", lambda ctx: seen.append(type(ctx.error)))
    with pytest.raises(ForgottenNextError):
        await call(hooks)
    hooks.after_remote_error("**", lambda ctx: ctx.done("settled"))
    assert await call(hooks) == "settled"
    assert seen == [ForgottenNextError] * 2


async def test_continuing_keeps_the_error():
    """An error hook cannot swallow by `next()`; the next one sees the same error."""
    hooks, seen = RemoteHooks(), []
    error = ValueError("no")
    for _ in range(2):
        hooks.after_remote_error("**", lambda ctx, next: (seen.append(ctx.error), next()))
    with pytest.raises(ValueError, match="no") as caught:
        await call(hooks, raises=error)
    assert caught.value is error
    assert seen == [error, error]
    assert error.__cause__ is None


async def test_an_error_changed_in_place_counts():
    """Each hook sees the changes of those before it."""
    hooks, seen = RemoteHooks(), []
    error = ValueError("no")
    error.codes = []
    for code in (1, 2):
        hooks.after_remote_error(
            "**", lambda ctx, code=code: (seen.append(list(ctx.error.codes)), ctx.error.codes.append(code))
        )
    with pytest.raises(ValueError, match="no"):
        await call(hooks, raises=error)
    assert error.codes == [1, 2]
    assert seen == [[], [1]]


async def test_assigning_the_error_is_ignored_with_a_warning():
    """In LB3 it is ignored silently."""
    hooks = RemoteHooks()
    error = ValueError("no")

    @hooks.after_remote_error("**")
    def replacing(ctx):
        ctx.error = KeyError("other")

    with warned() as caught, pytest.raises(ValueError, match="no") as left:
        await call(hooks, raises=error)
    assert left.value is error
    assert [warning.category for warning in caught] == [IgnoredAssignmentWarning]
    assert "replacing (" in texts(caught)[0]


async def test_another_error_replaces_it_and_skips_the_rest():
    """By `next(other)` or raising; `__cause__` is the old one, unless it has one."""
    old, cause = ValueError("old"), KeyError("cause")

    def raising(ctx):
        raise RuntimeError("new")

    def raising_from(ctx):
        raise RuntimeError("new") from cause

    for hook, expected in [
        (raising, old),
        (lambda ctx, next: next(RuntimeError("new")), old),
        (lambda ctx, next: next("new"), old),
        (raising_from, cause),
    ]:
        hooks, log = with_calls()
        hooks.after_remote_error("User.find", hook)
        with pytest.raises(RuntimeError, match="new") as caught:
            await call(hooks, raises=old)
        assert caught.value.__cause__ is expected
        assert log == ["before 1", "before 2"]


async def test_an_error_may_be_unwrapped():
    """`next(ctx.error.__cause__)`: what the old error came from goes out, and causes make no circle."""
    hooks = RemoteHooks()
    hooks.after_remote_error("**", lambda ctx, next: next(ctx.error.__cause__))
    inner, wrapping = KeyError("inner"), RuntimeError("wrapping")
    wrapping.__cause__ = inner
    with pytest.raises(KeyError) as caught:
        await call(hooks, raises=wrapping)
    assert caught.value is inner
    assert inner.__cause__ is None


async def test_error_hooks_do_not_start_the_error_hooks():
    """They run once."""
    hooks, log = RemoteHooks(), []

    @hooks.after_remote_error("**")
    def failed(ctx):
        log.append("error hook")
        raise RuntimeError("new")

    with pytest.raises(RuntimeError):
        await call(hooks, raises=ValueError())
    assert log == ["error hook"]


# -- the context -------------------------------------------------------------------------------------------------------


async def test_the_context_of_a_static_and_of_an_instance_method():
    """`ctx.method`: name, string name, is static, model; `ctx.instance` is the object called for `prototype.` methods."""
    hooks, seen = RemoteHooks(), []

    @hooks.before_remote("**")
    def before(ctx):
        seen.append((ctx.method.name, ctx.method.string_name, ctx.method.is_static, ctx.method.model, ctx.instance))
        assert ctx.method_string == ctx.method.string_name

    class User:
        async def find(self): ...
        @remote_method("prototype.save")
        async def save(self): ...

    user = User()
    await invoke(hooks, user, "find")
    await invoke(hooks, user, "save")
    assert seen == [("find", "User.find", True, "User", None), ("save", "User.prototype.save", False, "User", user)]


async def test_the_instance_of_a_controller():
    """Differs: LB3 has loaded the row by then. It is the controller, which loads its own.

    One whose constructor is injected is built when the method's turn comes: before hooks get an error that says so.
    """
    seen = []

    class Clock:
        pass

    class Base:
        @get("/{id}")
        @remote_method("prototype.save")
        async def save(self, id: int) -> str:
            seen.append(self)
            return "saved"

    @controller(prefix="/plain", model="Plain")
    class Plain(Base):
        """Takes nothing."""

    @controller(prefix="/injected", model="Injected")
    class Injected(Base):
        def __init__(self, clock: Annotated[Clock, Provide["clock"]]):
            self.clock = clock

    class Container(containers.DeclarativeContainer):
        clock = providers.Singleton(Clock)

    hooks = RemoteHooks()
    hooks.before_remote("Plain.**", lambda ctx: seen.append(ctx.instance))
    hooks.after_remote("**", lambda ctx: seen.append(ctx.instance))
    registry = InterceptorRegistry(Container())
    registry.add_global(hooks)
    app = FastAPI()
    install(app, registry, controllers=[Plain, Injected])
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/plain/1")).json() == "saved"
        assert [type(each) for each in seen] == [Plain] * 3
        assert seen[0] is seen[1] is seen[2]
        seen.clear()
        assert (await client.get("/injected/1")).json() == "saved"
        assert [type(each) for each in seen] == [Injected] * 2
        assert seen[0] is seen[1]
        hooks.before_remote("Injected.**", lambda ctx: seen.append(ctx.instance))
        with pytest.raises(TargetNotBuiltError):
            await client.get("/injected/1")


async def test_only_args_and_result_can_be_assigned():
    """Differs: LB3 takes any property. The error names `ctx.state`, which interceptors share, too."""
    hooks = RemoteHooks()

    @hooks.before_remote("**")
    def before(ctx):
        ctx.txn = "open"

    with pytest.raises(AttributeError, match=r'ctx.state\["txn"\] = \.\.\.'):
        await call(hooks)


async def test_there_are_no_options():
    """LB3's `ctx.options` is one object for all requests, in which people kept transactions."""
    hooks = RemoteHooks()
    hooks.before_remote("**", lambda ctx: ctx.options)
    with pytest.raises(AttributeError):
        await call(hooks)


async def test_the_current_user_stands_for_the_access_token():
    """`await ctx.current_user()`: None for an anonymous request."""
    hooks, seen = RemoteHooks(), []

    @hooks.before_remote("**")
    async def before(ctx):
        seen.append(await ctx.current_user())

    await call(hooks, ctx=context(user="alice"))
    await call(hooks)
    assert seen == ["alice", None]


# -- over HTTP ---------------------------------------------------------------------------------------------------------


def http(hooks, log, *layers, groups=("remoting",)):
    """An application with a controller, and a client for it."""
    registry = InterceptorRegistry(ordered_groups=groups)
    registry.add_global(hooks, group="remoting")
    for group, layer in layers:
        registry.add_global(layer, group=group)

    def dependency(fail: bool = False):
        if fail:
            raise HTTPException(418, "dependency")

    @controller(prefix="/orders", model="Order", dependencies=[Depends(dependency)])
    class OrderResource:
        @get("/{id}")
        @remote_method("findById")
        async def find_by_id(self, id: int, tag: str = "none") -> Order:
            log.append("method")
            if id == 404:
                raise HTTPException(404, "no such order")
            if id == 500:
                return {"id": "no number"}
            return Order(id=id, note=tag)

        @post("/")
        async def create(self, order: Order) -> Order:
            log.append("method")
            return order

    app = FastAPI()
    install(app, registry, controllers=[OrderResource])
    return AsyncClient(transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://test")


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/orders/x", 422),
        ("GET", "/orders/1?fail=1", 418),
        ("GET", "/nowhere", 404),
        ("PUT", "/orders/1", 405),
    ],
)
async def test_what_fails_before_the_chain_runs_no_hook(verb, path, status):
    """Arguments that cannot be parsed (LB3: 400), unknown routes, dependencies."""
    hooks, log = with_calls()
    async with http(hooks, log) as client:
        assert (await client.request(verb, path)).status_code == status
    assert log == []


async def test_what_fails_after_the_chain_runs_no_error_hook():
    """The response model, as `rest.after` in LB3."""
    hooks, log = with_calls()
    async with http(hooks, log) as client:
        assert (await client.get("/orders/500")).status_code == 500
    assert log == ["before 1", "before 2", "method", "after 1", "after 2"]


async def test_a_404_of_the_method_runs_the_error_hooks():
    """Differs: LB3's `findById` gives 404 after the hooks, and `afterRemoteError` misses it (#3901)."""
    hooks, log = with_calls()
    async with http(hooks, log) as client:
        assert (await client.get("/orders/404")).status_code == 404
    assert log == ["before 1", "before 2", "method", "error 1", "error 2"]


async def test_a_hook_cannot_supply_a_missing_required_argument():
    """Differs: in LB3 it can. FastAPI parses first; give the parameter a default."""
    hooks, log = RemoteHooks(), []
    hooks.model("Order").before_remote("create", lambda ctx: ctx.args.update(order=Order(id=1)))
    hooks.model("Order").before_remote("findById", lambda ctx: ctx.args.update(tag="supplied"))
    async with http(hooks, log) as client:
        assert (await client.post("/orders/")).status_code == 422
        assert (await client.get("/orders/1")).json() == {"id": 1, "note": "supplied"}


async def test_the_parsed_body_is_the_argument():
    """In LB3 replacing `ctx.req.body` does nothing and changing it does; here the argument is what counts."""
    hooks, log = RemoteHooks(), []

    @hooks.model("Order").before_remote("create")
    def stamp(ctx):
        ctx.args["order"].note = f"from {ctx.req.client.host}"

    async with http(hooks, log) as client:
        assert (await client.post("/orders/", json={"id": 1})).json() == {"id": 1, "note": "from 127.0.0.1"}


async def test_invalid_assigned_arguments_are_a_400_over_http():
    """With FastAPI's form."""
    hooks, log = RemoteHooks(), []
    hooks.before_remote("**", lambda ctx: ctx.args.update(id="x"))
    async with http(hooks, log) as client:
        answer = await client.get("/orders/1")
    assert answer.status_code == 400
    assert answer.json() == {
        "detail": [
            {
                "type": "int_parsing",
                "loc": ["args", "id"],
                "msg": "Input should be a valid integer, unable to parse string as an integer",
                "input": "x",
            }
        ]
    }
    assert log == []


async def test_headers_and_status_set_on_the_response_are_kept_on_success():
    """`ctx.res` is the response that FastAPI injects."""
    hooks, log = RemoteHooks(), []

    @hooks.after_remote("**")
    def after(ctx):
        ctx.res.headers["X-Hook"] = "seen"
        ctx.res.status_code = 202

    async with http(hooks, log) as client:
        answer = await client.get("/orders/1")
    assert (answer.status_code, answer.headers["x-hook"], answer.json()["id"]) == (202, "seen", 1)


async def test_an_early_answer_passes_the_response_model():
    """Like any result: what does not fit is a 500, what is too much is cut off."""
    hooks, log = RemoteHooks(), []
    hooks.model("Order").before_remote("findById", lambda ctx: ctx.done({"id": 9, "note": "hook", "secret": 1}))
    async with http(hooks, log) as client:
        answer = await client.get("/orders/1")
    assert answer.json() == {"id": 9, "note": "hook"}
    assert log == []


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(JSONResponse({"sent": "by hook"}, 203), id="json"),
        pytest.param(RedirectResponse("/elsewhere"), id="redirect"),
        pytest.param(Response(b"plain", media_type="text/plain"), id="plain"),
    ],
)
async def test_an_early_response_is_sent_as_it_is(response):
    """LB3's `ctx.res.send(...)`, `redirect(...)` without `next`: method and after hooks do not run."""
    hooks, log = with_calls()
    hooks.before_remote("Order.findById", lambda ctx: ctx.done(response))
    async with http(hooks, log) as client:
        answer = await client.get("/orders/1")
    assert (answer.status_code, answer.content) == (response.status_code, response.body)
    assert log == []


async def test_responding_and_going_on_answers_once():
    """In LB3 the method still runs, and then it is "headers already sent" (#2574)."""
    hooks, log = RemoteHooks(), []

    @hooks.before_remote("**")
    def hook(ctx, next):
        ctx.done(JSONResponse({"sent": "by hook"}))
        next()

    with warned() as caught:
        async with http(hooks, log) as client:
            answer = await client.get("/orders/1")
    assert answer.json() == {"sent": "by hook"}
    assert log == []
    assert len(caught) == 1


# -- with interceptors -------------------------------------------------------------------------------------------------


def layer(log, name):
    async def interceptor(ctx, next):
        log.append(f"{name} in")
        try:
            return await next()
        except Exception as error:
            log.append(f"{name} error {error}")
            raise
        finally:
            log.append(f"{name} out")

    return interceptor


async def through(hooks, log, outer, inner, method):
    """A call with a layer outside and one inside."""

    class User:
        async def find(self):
            return await method()

    registry = InterceptorRegistry(ordered_groups=("outer", "remoting", "inner"))
    registry.add_global(hooks, group="remoting")
    registry.add_global(outer, group="outer")
    registry.add_global(inner, group="inner")
    return await registry.invoke(User(), "find", source=REMOTE)


async def test_layers_inside_run_between_before_and_after_hooks():
    """And layers outside see the outcome."""
    hooks, log = with_calls()
    await through(hooks, log, layer(log, "outer"), layer(log, "inner"), noted(log))
    assert log == [
        "outer in",
        "before 1",
        "before 2",
        "inner in",
        "method",
        "inner out",
        "after 1",
        "after 2",
        "outer out",
    ]


async def test_a_failing_layer_inside_is_a_failing_method():
    """Its error starts the error hooks; one that a hook settled, no layer outside sees."""
    hooks, log = with_calls()

    async def refusing(ctx, next):
        raise PermissionError("no")

    with pytest.raises(PermissionError):
        await through(hooks, log, layer(log, "outer"), refusing, noted(log))
    assert log == ["outer in", "before 1", "before 2", "error 1", "error 2", "outer error no", "outer out"]
    log.clear()
    hooks.after_remote_error("User.find", lambda ctx: ctx.done("settled"))
    assert await through(hooks, log, layer(log, "outer"), refusing, noted(log)) == "settled"
    assert log == ["outer in", "before 1", "before 2", "outer out"]


async def test_a_refusal_outside_runs_no_hook():
    """Differs: LB3 runs its error hooks, and only these, for a 401. Authorization belongs outside."""
    hooks, log = with_calls()

    async def refusing(ctx, next):
        raise PermissionError("401")

    with pytest.raises(PermissionError):
        await through(hooks, log, refusing, layer(log, "inner"), noted(log))
    assert log == []


async def test_a_second_layer_of_hooks_sees_the_refusal():
    """The way to have error hooks, and only these, for a 401: another `RemoteHooks` in a group before `auth`."""
    hooks, log = with_calls()
    seeing = RemoteHooks()
    seeing.after_remote_error("**", lambda ctx: log.append(f"seen {ctx.error}"))

    async def auth(ctx, next):
        if ctx.args["token"] != "good":
            raise PermissionError("401")
        return await next()

    class User:
        async def find(self, token):
            log.append("method")

    registry = InterceptorRegistry(ordered_groups=("errors", "auth", "remoting"))
    registry.add_global(hooks, group="remoting")
    registry.add_global(auth, group="auth")
    registry.add_global(seeing, group="errors")
    with pytest.raises(PermissionError):
        await registry.invoke(User(), "find", "bad", source=REMOTE)
    assert log == ["seen 401"]
    log.clear()
    await registry.invoke(User(), "find", "good", source=REMOTE)
    assert log == ["before 1", "before 2", "method", "after 1", "after 2"]


async def test_a_retry_outside_runs_all_hooks_again():
    """With a new context; `ctx.state` is the invocation's, so it stays."""
    hooks, seen, log = RemoteHooks(), [], []

    @hooks.before_remote("**")
    def before(ctx):
        seen.append(ctx)
        ctx.state["tries"] = ctx.state.get("tries", 0) + 1
        if ctx.state["tries"] == 1:
            raise ConnectionError

    async def retry(ctx, next):
        try:
            return await next()
        except ConnectionError:
            return await next()

    await through(hooks, log, retry, layer(log, "inner"), noted(log))
    assert len(seen) == 2
    assert seen[0] is not seen[1]
    assert seen[0].state is seen[1].state
    assert log == ["inner in", "method", "inner out"]


async def test_interceptors_and_hooks_share_state_and_arguments():
    """The context is a view of the invocation's."""
    hooks, log = RemoteHooks(), []

    async def outer(ctx, next):
        ctx.state["trace"] = ["outer"]
        ctx.args["id"] = 7
        return await next()

    @hooks.before_remote("**")
    def before(ctx):
        ctx.state["trace"].append("hook")
        log.append(ctx.args["id"])
        assert ctx.invocation.target_name == "User.find"

    class User:
        async def find(self, id: int):
            return id

    registry = InterceptorRegistry()
    registry.add_global(outer, group="a")
    registry.add_global(hooks, group="b")
    assert await registry.invoke(User(), "find", 1, source=REMOTE) == 7
    assert log == [7]
