"""The contract of the connectors, on a SOAP server: one execute, and how its observers complete."""

import asyncio
import traceback
from typing import Any

import pytest
from zeep.exceptions import Fault, ValidationError
from zeep.xsd import AnyObject

from interceptors.chain import Chain
from interceptors.connectors import Connector
from interceptors.connectors.zeep import SOAPConnector, SOAPContext, SOAPRequest
from interceptors.errors import (
    DoubleCompletionWarning,
    ForgottenNextError,
    HookError,
    IgnoredAssignmentWarning,
    UnknownHookError,
)
from tests.integration.connectors.soap_support import (
    Boom,
    Log,
    Server,
    http,
    log,
    observe_all,
    server,
    shared_server,
    shop,
    soap,
)

__all__ = ["http", "log", "server", "shared_server", "shop", "soap"]


# -- one execute -------------------------------------------------------------------------------------------------------


async def test_the_parents_hooks_run_first_in_every_event(server: Server, http: Any, log: Log) -> None:
    parent: Connector[Any, Any] = Connector(name="all")
    soap = await SOAPConnector.load(server.wsdl, http=http, parent=parent)

    def layer(name: str) -> Any:
        async def intercept(ctx: SOAPContext, next: Any) -> Any:
            log.append(f"{name} in")
            try:
                return await next()
            finally:
                log.append(f"{name} out")

        return intercept

    soap.intercept(layer("first"))
    soap.intercept(Chain([layer("second")]))
    parent.intercept(layer("parent's"))
    for _ in "12":
        observe_all(soap, log)
    observe_all(parent, log, "parent's ")  # type: ignore[arg-type]

    assert await soap.client.service.Add(1, 2) == 3
    assert log == [
        *("parent's in", "first in", "second in"),
        *("parent's before", "before", "before", "parent's after", "after", "after"),
        *("second out", "first out", "parent's out"),
    ]
    log.clear()
    with pytest.raises(Fault, match="zero"):
        await soap.client.service.Divide(1, 0)
    assert log[3:9] == ["parent's before", "before", "before", "parent's error", "error", "error"]
    assert server.operations() == ["Add", "Divide"]


async def test_what_a_context_holds(soap: SOAPConnector, shop: Any) -> None:
    parent: Connector[Any, Any] = Connector()
    soap._parent = parent
    seen: list[SOAPContext] = []
    parent.before_execute(seen.append)

    @soap.before_execute
    def before(ctx: SOAPContext) -> None:
        assert (ctx.connector, ctx.options, ctx.state) == (soap, {}, {})
        assert ctx.req == SOAPRequest("Order", ["ann"], {"lines": []}, None)
        assert ctx.res is ctx.error is None
        ctx.state["started"] = True

    @soap.after_execute
    def after(ctx: SOAPContext) -> None:
        assert ctx.state == {"started": True}
        assert ctx.res.customer == "ann"
        assert ctx.results[0] is ctx.res
        seen.append(ctx)

    result = await shop.Order("ann", lines=[])
    assert seen[0] is seen[1]
    assert result is seen[0].res


async def test_without_hooks_the_call_is_zeeps_own(soap: SOAPConnector, shop: Any, server: Server) -> None:
    assert await shop.Add(1, b=2) == 3
    assert [call["args"] for call in server.seen()] == [{"a": 1, "b": 2}]
    observe_all(soap, log := [])
    soap.clear_observers()
    assert await shop.Known("ann") is True
    assert log == []


async def test_hooks_registered_meanwhile_are_for_the_next_execute(soap: SOAPConnector, shop: Any, log: Log) -> None:
    @soap.before_execute
    async def add(ctx: SOAPContext) -> None:
        soap.clear_observers()
        observe_all(soap, log)

    await shop.Nothing()
    assert log == []
    await shop.Nothing()
    assert log == ["before", "after"]


async def test_an_unknown_event_is_refused(soap: SOAPConnector) -> None:
    with pytest.raises(UnknownHookError, match="Did you mean 'before execute'"):
        soap.observe("before excute")  # type: ignore[call-overload]


# -- requests ----------------------------------------------------------------------------------------------------------


async def test_an_edit_in_place(soap: SOAPConnector, shop: Any, server: Server) -> None:
    @soap.before_execute
    def edit(ctx: SOAPContext) -> None:
        ctx.req.args[0] += "a"
        ctx.req.kwargs["lines"].append({"article": "y", "quantity": 5})
        ctx.req.kwargs["lines"][0]["quantity"] = 3

    lines = [{"article": "x", "quantity": 1}]
    result = await shop.Order("ann", lines=lines)
    assert (result.customer, result.quantity, result.articles) == ("anna", 8, ["x", "y"])
    assert lines == [{"article": "x", "quantity": 1}]


async def test_a_replaced_request(soap: SOAPConnector, shop: Any, server: Server) -> None:
    @soap.before_execute
    def other(ctx: SOAPContext) -> None:
        ctx.req = SOAPRequest("Add", [20], {"b": 22})

    @soap.before_execute
    def last(ctx: SOAPContext) -> None:
        ctx.req.args[0] += 1

    assert await shop.Echo("x") == 43
    assert server.operations() == ["Add"]


async def test_another_operation(soap: SOAPConnector, shop: Any, server: Server) -> None:
    @soap.before_execute
    def other(ctx: SOAPContext) -> None:
        ctx.req.operation = "Known"

    assert await shop.Echo("ann") is True
    assert server.operations() == ["Known"]


async def test_an_operation_that_the_service_does_not_have(soap: SOAPConnector, shop: Any, server: Server) -> None:
    @soap.before_execute
    def other(ctx: SOAPContext) -> None:
        ctx.req.operation = "Ech"

    observe_all(soap, log := [])
    with pytest.raises(AttributeError, match="no operation 'Ech'. There are: .*Echo"):
        await shop.Echo("x")
    assert log == ["before", "error"]
    with pytest.raises(AttributeError, match="no operation 'Ech'"):
        shop.Ech  # noqa: B018 (zeep's own: there is no call yet)
    assert log == ["before", "error"]
    assert server.operations() == []


@pytest.mark.parametrize("value", [None, {"operation": "Add"}, "Add"])
async def test_what_is_no_request_is_an_error_in_the_hooks_own_line(soap: SOAPConnector, shop: Any, value: Any) -> None:
    @soap.before_execute
    def wrong(ctx: SOAPContext) -> None:
        ctx.req = value

    with pytest.raises(TypeError, match="takes a SOAPRequest, not") as caught:
        await shop.Add(1, 2)
    assert "ctx.req = value" in "".join(traceback.format_tb(caught.tb))


async def test_the_callers_objects_never_change(soap: SOAPConnector, shop: Any) -> None:
    client = soap.client
    line = client.get_type("{urn:shop}Line")(article="x", quantity=1)
    order = client.get_element("{urn:shop}Order")(customer="ann", lines=[line])
    something = AnyObject(client.get_element("{urn:shop}Echo"), {"text": ["x"]})
    mapping = {"list": [1, {"deep": []}]}
    headers = {"session": {"token": "t"}}

    @soap.before_execute
    def edit(ctx: SOAPContext) -> Any:
        pair, given_order, given_something, given_mapping = ctx.req.args
        assert given_order.__class__ is order.__class__ and given_order == order
        assert given_order.lines[0].__class__ is line.__class__
        pair[0]["a"] = 2
        given_order.customer = "bea"
        given_order.lines[0].quantity = 9
        given_order.lines.append(None)
        assert given_something.xsd_elm is something.xsd_elm
        given_something.value["text"].append("y")
        given_mapping["list"][1]["deep"].append(1)
        ctx.req.kwargs["more"].clear()
        ctx.req.headers["session"]["token"] = "u"
        ctx.end(None, "done")

    pair, more = ({"a": 1},), [1]
    assert await shop.Order(pair, order, something, mapping, more=more, _soapheaders=headers) == "done"
    assert (pair, more, mapping, headers) == (
        ({"a": 1},),
        [1],
        {"list": [1, {"deep": []}]},
        {"session": {"token": "t"}},
    )
    assert (order.customer, order.lines, line.quantity) == ("ann", [line], 1)
    assert something.value == {"text": ["x"]}


async def test_zeeps_own_values_as_arguments(soap: SOAPConnector, shop: Any) -> None:
    line = soap.client.get_type("{urn:shop}Line")(article="x", quantity=1)

    @soap.before_execute
    def edit(ctx: SOAPContext) -> None:
        ctx.req.kwargs["lines"][0].quantity += 6

    assert (await shop.Order("ann", lines=[line])).quantity == 7
    assert line.quantity == 1


async def test_headers_in_and_out(soap: SOAPConnector, shop: Any, server: Server) -> None:
    @soap.before_execute
    def token(ctx: SOAPContext) -> None:
        if ctx.req.headers is None:
            ctx.req.headers = {"session": {"token": "hook's"}}
        else:
            ctx.req.headers["session"]["token"] += "!"

    @soap.after_execute
    def number(ctx: SOAPContext) -> None:
        ctx.res.header.receipt.number += "."

    result = await shop.Renew("book", _soapheaders={"session": {"token": "mine"}})
    assert (result.header.receipt.number, result.body.text) == ("mine!-1.", "renewed book")
    assert (await shop.Renew("book")).header.receipt.number == "hook's-1."
    assert [call["headers"] for call in server.seen()] == [
        {"Session": {"token": "mine!"}},
        {"Session": {"token": "hook's"}},
    ]


async def test_headers_of_the_client_join_those_of_the_call(soap: SOAPConnector, shop: Any) -> None:
    element = soap.client.get_element("{urn:shop}Session")
    seen: Log = []
    soap.before_execute(lambda ctx: seen.append(ctx.req.headers))
    soap.client.set_default_soapheaders({"session": {"token": "default"}})
    assert (await shop.Renew("book")).header.receipt.number == "default-1"
    soap.client.set_default_soapheaders(None)
    headers = [element(token="as a list")]
    assert (await shop.Renew("book", _soapheaders=headers)).header.receipt.number == "as a list-1"
    assert seen == [None, headers]


# -- results -----------------------------------------------------------------------------------------------------------

FALSY = [None, 0, "", [], False, {}]


async def test_falsy_answers_of_the_server_are_results(soap: SOAPConnector, shop: Any) -> None:
    seen: Log = []
    soap.after_execute(lambda ctx: seen.append(ctx.res))
    answers = [await shop.Add(1, -1), await shop.Known("bea"), await shop.Find("z"), await shop.Nothing()]
    assert answers == seen == [0, False, [], None]


@pytest.mark.parametrize("value", FALSY)
async def test_falsy_results_of_hooks(soap: SOAPConnector, shop: Any, server: Server, value: Any) -> None:
    @soap.before_execute
    def answer(ctx: SOAPContext) -> None:
        ctx.end(None, value)

    assert await shop.Add(1, 2) is value
    assert server.operations() == []


def assign(ctx: SOAPContext) -> None:
    ctx.res = ctx.res * 10


def assign_first(ctx: SOAPContext) -> None:
    ctx.results[0] = ctx.results[0] * 10


def assign_list(ctx: SOAPContext) -> None:
    ctx.results = [ctx.res * 10]


def assign_two(ctx: SOAPContext) -> None:
    ctx.results = [ctx.res, ctx.res * 10]


def end_with_two(ctx: SOAPContext) -> None:
    ctx.end(None, ctx.res * 10)


def end_with_three(ctx: SOAPContext) -> None:
    ctx.end(None, ctx, ctx.res * 10)


@pytest.mark.parametrize("hook", [assign, assign_first, assign_list, assign_two, end_with_two, end_with_three])
async def test_every_way_to_change_a_result(soap: SOAPConnector, shop: Any, hook: Any) -> None:
    soap.after_execute(hook)
    assert await shop.Add(1, 2) == 30


async def test_an_edit_of_the_parsed_value_in_place(soap: SOAPConnector, shop: Any) -> None:
    @soap.after_execute
    def edit(ctx: SOAPContext) -> None:
        ctx.res.customer = "bea"
        ctx.res.articles.append("y")

    result = await shop.Order("ann", [{"article": "x", "quantity": 1}])
    assert (result.customer, result.articles) == ("bea", ["x", "y"])


@pytest.mark.parametrize("arguments", [(), (None,), (None, "x"), (None, "res", "x"), (0, None, "x"), ("", "x")])
async def test_end_in_a_before_observer(soap: SOAPConnector, shop: Any, server: Server, arguments: Any) -> None:
    @soap.observe("before execute")
    def answer(ctx: SOAPContext, next: Any) -> None:
        ctx.end(*arguments)

    observe_all(soap, log := [])
    assert await shop.Echo("y") == (arguments[-1] if len(arguments) > 1 else None)
    assert log == []
    assert server.operations() == []


async def test_end_in_an_after_observer(soap: SOAPConnector, shop: Any) -> None:
    soap.after_execute(end_with_two)
    observe_all(soap, log := [])
    assert await shop.Add(1, 2) == 30
    assert log == ["before"]


async def test_end_takes_three_arguments(soap: SOAPConnector, shop: Any) -> None:
    soap.before_execute(lambda ctx: ctx.end(None, 1, 2, 3))
    with pytest.raises(TypeError, match="not 4 arguments"):
        await shop.Echo("x")


async def test_results_is_always_one_live_place(soap: SOAPConnector, shop: Any) -> None:
    @soap.after_execute
    def look(ctx: SOAPContext) -> None:
        results = ctx.results
        ctx.res = "new"
        assert list(results) == results == ["new"]
        assert len(results) == 1
        for wrong in ([], [1, 2, 3]):
            with pytest.raises(TypeError, match="takes"):
                ctx.results = wrong

    assert await shop.Echo("x") == "new"


# -- errors ------------------------------------------------------------------------------------------------------------


async def test_a_fault_is_an_error(soap: SOAPConnector, shop: Any) -> None:
    seen: Log = []

    @soap.after_execute_error
    def look(ctx: SOAPContext) -> None:
        assert ctx.res is None
        assert ctx.results == [None]
        seen.append(ctx.error)

    observe_all(soap, log := [])
    with pytest.raises(Fault, match="division by zero") as caught:
        await shop.Divide(1, 0)
    assert seen == [caught.value]
    assert caught.value.code == "soap:Client"
    assert caught.value.detail.findtext("reason") == "zero"
    assert log == ["before", "error"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [(([1, 2, 3], {}), TypeError), (([], {"c": 1}), TypeError), (([1], {}), ValidationError)],
)
async def test_wrong_arguments_are_errors(
    soap: SOAPConnector, shop: Any, server: Server, arguments: Any, error: Any
) -> None:
    args, kwargs = arguments
    observe_all(soap, log := [])
    with pytest.raises(error):
        await shop.Add(*args, **kwargs)
    assert log == ["before", "error"]
    assert server.operations() == []


def raising(ctx: SOAPContext, next: Any) -> None:
    raise Boom


def next_with_it(ctx: SOAPContext, next: Any) -> None:
    next(Boom())


def end_with_it(ctx: SOAPContext, next: Any) -> None:
    ctx.end(Boom())


def end_with_it_and_a_result(ctx: SOAPContext, next: Any) -> None:
    ctx.end(Boom(), "result")


async def raising_later(ctx: SOAPContext) -> None:
    await asyncio.sleep(0)
    raise Boom


FAILING = [raising, next_with_it, end_with_it, end_with_it_and_a_result, raising_later]


@pytest.mark.parametrize("hook", FAILING)
async def test_a_before_observer_that_fails(soap: SOAPConnector, shop: Any, server: Server, hook: Any) -> None:
    soap.before_execute(hook)
    observe_all(soap, log := [])
    with pytest.raises(Boom):
        await shop.Echo("x")
    assert log == []
    assert server.operations() == []


@pytest.mark.parametrize("hook", FAILING)
async def test_an_after_observer_that_fails(soap: SOAPConnector, shop: Any, server: Server, hook: Any) -> None:
    soap.after_execute(hook)
    observe_all(soap, log := [])
    with pytest.raises(Boom):
        await shop.Echo("x")
    assert log == ["before"]
    assert server.operations() == ["Echo"]


@pytest.mark.parametrize("hook", FAILING)
async def test_an_error_observer_maps_the_fault(soap: SOAPConnector, shop: Any, hook: Any) -> None:
    soap.after_execute_error(hook)
    observe_all(soap, log := [])
    with pytest.raises(Boom) as caught:
        await shop.Divide(1, 0)
    assert isinstance(caught.value.__cause__, Fault)
    assert log == ["before"]


async def test_an_error_that_is_no_exception(soap: SOAPConnector, shop: Any) -> None:
    soap.observe("before execute", lambda ctx, go_on: go_on({"code": 7}))
    with pytest.raises(HookError) as caught:
        await shop.Echo("x")
    assert caught.value.value == {"code": 7}


@pytest.mark.parametrize("value", [*FALSY, "answer"])
async def test_an_error_observer_recovers(soap: SOAPConnector, shop: Any, value: Any) -> None:
    @soap.after_execute_error
    def recover(ctx: SOAPContext) -> None:
        ctx.end(None, value)

    observe_all(soap, log := [])
    assert await shop.Divide(1, 0) is value
    assert log == ["before"]


async def test_an_assigned_error_changes_nothing(soap: SOAPConnector, shop: Any) -> None:
    @soap.after_execute_error
    def assign_error(ctx: SOAPContext) -> None:
        ctx.error = Boom()

    with pytest.warns(IgnoredAssignmentWarning, match="assign_error"), pytest.raises(Fault):
        await shop.Divide(1, 0)


# -- how an observer completes -----------------------------------------------------------------------------------------


async def test_every_form_of_an_observer(soap: SOAPConnector, shop: Any, log: Log) -> None:
    @soap.before_execute
    def plain(ctx: SOAPContext) -> str:
        log.append("plain")
        return "ignored"

    @soap.before_execute
    def later(ctx: SOAPContext, next: Any) -> None:
        def go_on() -> None:
            log.append("later")
            next(None, "ignored")

        asyncio.get_running_loop().call_later(0.02, go_on)

    @soap.before_execute
    def awaitable(ctx: SOAPContext, next: Any) -> Any:
        return asyncio.sleep(0.01)

    @soap.before_execute
    async def at_its_end(ctx: SOAPContext) -> None:
        await asyncio.sleep(0.01)
        log.append("at its end")

    @soap.before_execute
    async def after_next(ctx: SOAPContext, next: Any) -> None:
        await next()
        await asyncio.sleep(0.01)
        log.append("after next")

    assert await shop.Add(1, 2) == 3
    assert log == ["plain", "later", "at its end", "after next"]


async def test_a_forgotten_next(soap: SOAPConnector, shop: Any, server: Server) -> None:
    @soap.before_execute
    def forgetful(ctx: SOAPContext, next: Any) -> None:
        pass

    with pytest.raises(ForgottenNextError, match=r"forgetful .*before execute of shop"):
        await shop.Echo("x")
    assert server.operations() == []
    soap.clear_observers("before execute")
    assert await shop.Echo("x") == "x"


async def test_an_answer_later_on_the_loop(soap: SOAPConnector, shop: Any) -> None:
    @soap.before_execute
    def later(ctx: SOAPContext, next: Any) -> None:
        asyncio.get_running_loop().call_later(0.02, ctx.end, None, "later")

    assert await shop.Echo("x") == "later"


async def test_the_first_signal_counts(soap: SOAPConnector, shop: Any) -> None:
    @soap.before_execute
    def twice(ctx: SOAPContext, next: Any) -> None:
        ctx.end(None, "first")
        ctx.end(None, "second")

    with pytest.warns(DoubleCompletionWarning, match="twice"):
        assert await shop.Echo("x") == "first"


async def test_an_exception_after_next_or_end_fails_the_execute(soap: SOAPConnector, shop: Any) -> None:
    @soap.before_execute
    async def fails(ctx: SOAPContext, next: Any) -> None:
        ctx.end(None, "answer")
        raise Boom

    with pytest.raises(Boom):
        await shop.Echo("x")


# -- interceptors ------------------------------------------------------------------------------------------------------


async def test_an_interceptor_gives_the_result(soap: SOAPConnector, shop: Any) -> None:
    @soap.intercept
    async def double(ctx: SOAPContext, next: Any) -> Any:
        result = await next()
        assert result == ctx.res
        return result * 2

    assert await shop.Add(1, 2) == 6


async def test_an_interceptor_answers(soap: SOAPConnector, shop: Any, server: Server) -> None:
    class Cache:
        async def intercept(self, ctx: SOAPContext, next: Any) -> Any:
            return "cached"

    soap.intercept(Cache())
    observe_all(soap, log := [])
    assert await shop.Add(1, 2) == "cached"
    assert (log, server.operations()) == ([], [])


async def test_an_interceptor_calls_again_with_another_request(soap: SOAPConnector, shop: Any, server: Server) -> None:
    @soap.intercept
    async def again(ctx: SOAPContext, next: Any) -> Any:
        try:
            return await next()
        except Fault as fault:
            assert ctx.error is fault
            ctx.req.kwargs["b"] = 2
            return await next()

    observe_all(soap, log := [])
    assert await shop.Divide(a=10, b=0) == 5
    assert log == ["before", "error", "before", "after"]
    assert [call["args"] for call in server.seen()] == [{"a": 10, "b": 0}, {"a": 10, "b": 2}]


async def test_the_same_request_can_be_sent_again(soap: SOAPConnector, shop: Any, server: Server) -> None:
    element = soap.client.get_element("{urn:shop}Session")

    @soap.intercept
    async def thrice(ctx: SOAPContext, next: Any) -> Any:
        return [(await next()).header.receipt.number for _ in range(3)]

    assert await shop.Renew("book", _soapheaders=[element(token="t")]) == ["t-1"] * 3
    assert await shop.Renew("book", _soapheaders={"session": {"token": "t"}}) == ["t-1"] * 3


async def test_an_interceptor_sees_the_mapped_error(soap: SOAPConnector, shop: Any) -> None:
    @soap.intercept
    async def recover(ctx: SOAPContext, next: Any) -> Any:
        try:
            await next()
        except Boom:
            return None

    soap.after_execute_error(raising)
    assert await shop.Divide(1, 0) is None


# -- many executes, and executes inside executes -----------------------------------------------------------------------


async def test_200_concurrent_executes_share_nothing(soap: SOAPConnector, shop: Any) -> None:
    @soap.intercept
    async def around(ctx: SOAPContext, next: Any) -> Any:
        ctx.state["a"] = ctx.req.args[0]
        await asyncio.sleep(0.001 * (ctx.state["a"] % 5))
        result = await next()
        await asyncio.sleep(0)
        return result, ctx.state["a"]

    @soap.before_execute
    async def edit(ctx: SOAPContext) -> None:
        assert ctx.req.args == [ctx.state["a"]]
        await asyncio.sleep(0.001 * (ctx.state["a"] % 3))
        ctx.req.kwargs["b"] = 1000

    @soap.after_execute
    async def check(ctx: SOAPContext) -> None:
        await asyncio.sleep(0)
        assert ctx.res == ctx.req.args[0] + 1000
        ctx.res += 1

    results = await asyncio.gather(*(shop.Add(number, b=0) for number in range(200)))
    assert results == [(number + 1001, number) for number in range(200)]


async def test_a_hook_may_call_its_own_service(soap: SOAPConnector, shop: Any, server: Server, log: Log) -> None:
    @soap.before_execute
    async def ask(ctx: SOAPContext) -> None:
        log.append(ctx.req.operation)
        assert await shop.Known("ann") is True
        assert await asyncio.create_task(soap.client.service["Add"](1, 2)) == 3

    assert await shop.Echo("x") == "x"
    assert log == ["Echo"]
    assert server.operations() == ["Known", "Add", "Echo"]
    await shop.Echo("x")
    assert log == ["Echo", "Echo"]


async def test_another_connector_is_hooked_meanwhile(soap: SOAPConnector, shop: Any, server: Server, http: Any) -> None:
    other = await SOAPConnector.load(server.wsdl, http=http)
    observe_all(other, log := [])

    @soap.before_execute
    async def ask(ctx: SOAPContext) -> None:
        await other.client.service.Known("ann")

    await shop.Echo("x")
    assert log == ["before", "after"]
