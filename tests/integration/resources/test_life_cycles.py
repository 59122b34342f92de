"""Every handler, at the top and nested: which hooks and events run, when, and what exactly they are given."""

import threading
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import Request, Response
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypeAliasType

from interceptors import InvocationContext, intercept
from interceptors.events import EventContext
from interceptors.resources import (
    Conditions,
    Handler,
    HookParameterError,
    Resource,
    ResourceContext,
    Sort,
    UnknownHookError,
)
from tests.integration.resources.site_support import (
    UNIQUE,
    Comment,
    Database,
    Post,
    Site,
    User,
    only,
    taking,
    watch,
)
from tests.integration.support import layer

DATABASES = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

# The contract's table: what each hook and event is given besides what all of them are.
SPECIAL: dict[str, set[str]] = {
    "on_before_insert": {"form_data"},
    "on_after_insert": {"form_data", "item"},
    "on_before_paginate": {"conditions", "query"},
    "on_after_paginate": {"conditions", "query", "result"},
    "on_before_all": {"conditions", "query"},
    "on_after_all": {"conditions", "query", "result"},
    "on_before_show": {"conditions", "query"},
    "on_after_show": {"conditions", "query", "item"},
    "on_before_update_query": {"query"},
    "on_after_update_query": {"query", "item"},
    "on_before_update": {"query", "item", "form_data"},
    "on_after_update": {"query", "item", "form_data"},
    "on_before_patch_query": {"query"},
    "on_after_patch_query": {"query", "item"},
    "on_before_patch": {"query", "item", "form_data"},
    "on_after_patch": {"query", "item", "form_data"},
    "on_before_delete_query": {"query"},
    "on_after_delete_query": {"query", "item"},
    "on_before_delete": {"query", "item"},
    "on_after_delete": {"query", "item"},
}
COMMON = {
    "request",
    "response",
    "model",
    "session",
    "database",
    "in_transaction",
    "relation",
    "parent_model",
    "params",
    "handler",
    "state",
    "ctx",
}
EVENT_COMMON = COMMON - {"response", "in_transaction", "state"} | {"facts", "event_id", "attempt"}
EVERYTHING = COMMON | EVENT_COMMON | set().union(*SPECIAL.values())

# What happens, in this order. On nested routes the parent is looked for first of all.
CYCLES: dict[Handler, list[str]] = {
    Handler.INSERT: ["hook on_before_insert", "insert Post", "select Post", "hook on_after_insert"],
    Handler.PAGINATE: ["hook on_before_paginate", "count Post", "select Post", "hook on_after_paginate"],
    Handler.ALL: ["hook on_before_all", "select Post", "hook on_after_all"],
    Handler.SHOW: ["hook on_before_show", "select Post", "hook on_after_show"],
    Handler.UPDATE: [
        "hook on_before_update_query",
        "select Post",
        "hook on_after_update_query",
        "hook on_before_update",
        "update Post",
        "select Post",
        "hook on_after_update",
    ],
    Handler.PATCH: [
        "hook on_before_patch_query",
        "select Post",
        "hook on_after_patch_query",
        "hook on_before_patch",
        "update Post",
        "select Post",
        "hook on_after_patch",
    ],
    Handler.DELETE: [
        "hook on_before_delete_query",
        "select Post",
        "hook on_after_delete_query",
        "hook on_before_delete",
        "delete Post",
        "hook on_after_delete",
    ],
}


@dataclass(frozen=True)
class Call:
    """How a handler is reached on posts."""

    verb: str
    path: str
    body: dict[str, Any] | None = None

    async def __call__(self, client: Any, *, nested: bool) -> Any:
        body = {} if self.body is None else {"json": self.body}
        return await client.request(self.verb, ("/users/1/posts" if nested else "/posts") + self.path, **body)


CALLS = {
    Handler.INSERT: Call("POST", "", {"title": "third", "user_id": 1}),
    Handler.PAGINATE: Call("GET", "?per_page=1&sort=-id"),
    Handler.ALL: Call("GET", "/all?sort=-id"),
    Handler.SHOW: Call("GET", "/1"),
    Handler.UPDATE: Call("PUT", "/1", {"title": "changed"}),
    Handler.PATCH: Call("PATCH", "/1", {"title": "changed"}),
    Handler.DELETE: Call("DELETE", "/1"),
}

READS = (Handler.PAGINATE, Handler.ALL, Handler.SHOW)

EACH = pytest.mark.parametrize("handler", list(Handler))
PLACES = pytest.mark.parametrize("nested", [False, True], ids=["top", "nested"])


@pytest.fixture
async def shop(database: Database, site: Site) -> Site:
    """Two users; the first has two posts, the second one."""
    await database.add(
        User(name="ann", email="a@x", secret="s"),
        User(name="bob"),
        Post(user_id=1, title="first", note="private"),
        Post(user_id=1, title="second", note="also"),
        Post(user_id=2, title="other"),
    )
    return site


def row(number: int, title: str, note: str | None, user: int = 1) -> dict[str, Any]:
    """A row of posts, as hooks get it: everything of it."""
    return {"id": number, "user_id": user, "title": title, "note": note, "stars": 0}


def names_of(handler: Handler) -> list[str]:
    """The hooks and events of a handler, in their order."""
    return [step.removeprefix("hook ") for step in CYCLES[handler] if step.startswith("hook ")]


def where(query: Any) -> str | None:
    """What a query is limited to."""
    if query.whereclause is None:
        return None
    text = str(query.whereclause.compile(compile_kwargs={"literal_binds": True}))
    return text.replace(f"_{UNIQUE}", "")


# -- the order ---------------------------------------------------------------------------------------------------------


@DATABASES
@EACH
@PLACES
async def test_the_steps_of_a_request(shop: Site, database: Database, handler: Handler, nested: bool):
    """Interceptors outside, then the parents, then hooks around the built-in steps, each once, then the commit."""
    journal: list[str] = []
    shop.registry.add_global(layer(journal, "global"))

    @intercept(layer(journal, "class"))
    class Posts(only(handler)[1]):
        @intercept(layer(journal, "method"))
        async def insert(self, ctx: ResourceContext) -> Any:
            return await super().insert(ctx)

        @intercept(layer(journal, "method"))
        async def paginate(self, ctx: ResourceContext) -> Any:
            return await super().paginate(ctx)

        @intercept(layer(journal, "method"))
        async def all(self, ctx: ResourceContext) -> Any:
            return await super().all(ctx)

        @intercept(layer(journal, "method"))
        async def show(self, ctx: ResourceContext) -> Any:
            return await super().show(ctx)

        @intercept(layer(journal, "method"))
        async def update(self, ctx: ResourceContext) -> Any:
            return await super().update(ctx)

        @intercept(layer(journal, "method"))
        async def patch(self, ctx: ResourceContext) -> Any:
            return await super().patch(ctx)

        @intercept(layer(journal, "method"))
        async def delete(self, ctx: ResourceContext) -> Any:
            return await super().delete(ctx)

    shop.use(only(handler)[0], Posts)
    for name in SPECIAL:
        shop.hook(Post, name)(taking((), lambda _, name=name: journal.append(f"hook {name}"), called=name))
    async with shop.client() as client:
        watch(database, journal)
        answer = await CALLS[handler](client, nested=nested)
    assert answer.is_success, answer.text
    steps = [*(["select User"] if nested else []), *CYCLES[handler]]
    if handler in READS:  # no transaction of the whole: what a hook did is committed after it, if anything was done
        steps = [part for step in steps for part in ([step, "commit"] if "hook" in step else [step])]
        steps = steps if nested else [steps[0], *steps[2:]]
    outside = ["global", "class", "method"]
    entered, left = [f"{each}-pre" for each in outside], [f"{each}-post" for each in reversed(outside)]
    assert journal == [*entered, *steps, *left, *([] if handler in READS else ["commit"])]


@EACH
@PLACES
async def test_events_start_in_the_order_of_their_hooks(shop: Site, handler: Handler, nested: bool):
    """A handler has an event for each of its hooks, and they start in the same order; no other event starts."""
    started: list[str] = []
    shop.use(*only(handler))
    for name in SPECIAL:
        shop.event(Post, name)(taking(["ctx"], lambda given: started.append(given["ctx"].name), called=name))
    async with shop.client() as client:
        answer = await CALLS[handler](client, nested=nested)
    assert answer.is_success, answer.text
    assert started == [f"Post.{name}" for name in names_of(handler)]


@EACH
async def test_an_event_starts_right_after_the_hook_of_its_name(shop: Site, handler: Handler):
    """The snapshot is taken when the hook has returned and before anything else is done."""
    journal: list[str] = []
    shop.event_facts = lambda ctx: journal.append("event") or {}
    shop.use(*only(handler))
    for name in SPECIAL:
        shop.hook(Post, name)(taking((), lambda _, name=name: journal.append(f"hook {name}"), called=name))
        shop.event(Post, name)(taking((), lambda _: None, called=name))
    async with shop.client() as client:
        watch(shop.database, journal)
        answer = await CALLS[handler](client, nested=False)
    assert answer.is_success, answer.text
    expected = [part for step in CYCLES[handler] for part in ([step, "event"] if "hook" in step else [step])]
    assert [each for each in journal if each != "commit"] == expected


# -- the parameters: which -----------------------------------------------------------------------------------------------


def accepted(declare: Callable[..., Any], name: str, parameter: str) -> bool:
    """May a function of this name have this parameter?"""
    try:
        declare(Post, name)(taking([parameter], lambda _: None, called=name))
    except HookParameterError as error:
        assert error.parameter == parameter
        return False
    return True


@pytest.mark.parametrize("name", SPECIAL)
def test_what_a_hook_may_ask_for(site: Site, name: str):
    """A hook may ask for what the table gives it and for what all hooks get, and for nothing else."""
    found = set()
    for parameter in EVERYTHING:
        site.renew()
        if accepted(site.hook, name, parameter):
            found.add(parameter)
    assert found == SPECIAL[name] | COMMON


@pytest.mark.parametrize("name", SPECIAL)
def test_what_an_event_may_ask_for(site: Site, name: str):
    """An event may ask for what its hook may, without the answer and the transaction, and for what all events get."""
    found = set()
    for parameter in EVERYTHING:
        site.renew()
        if accepted(site.event, name, parameter):
            found.add(parameter)
    assert found == SPECIAL[name] | EVENT_COMMON


def test_the_names_are_those_of_the_table(site: Site):
    """There is no other hook: the message of an unknown one lists them all."""
    with pytest.raises(UnknownHookError) as raised:
        site.hook(Post, "on_before_nothing")(taking((), lambda _: None, called="on_before_nothing"))
    listed = str(raised.value).partition("There are: ")[2]
    assert {name.strip(" '.") for name in listed.split(",")} == set(SPECIAL)


# -- the parameters: their values ----------------------------------------------------------------------------------------

_PAGE = {
    "total": 2,
    "lastPage": 2,
    "perPage": 1,
    "currentPage": 1,
    "from": 0,
    "to": 1,
    "prevPage": None,
    "nextPage": 2,
}


def special_values(handler: Handler) -> dict[str, dict[str, Any]]:
    """What each hook of a handler is given on the nested route, the query aside."""
    first, second = row(1, "first", "private"), row(2, "second", "also")
    changed = row(1, "changed", "private")
    sorting = {"sort": [Sort("id", "DESC")]}
    return {
        Handler.INSERT: {
            "on_before_insert": {"form_data": {"title": "third", "user_id": 1}},
            "on_after_insert": {"form_data": {"title": "third", "user_id": 1}, "item": row(4, "third", None)},
        },
        Handler.PAGINATE: {
            "on_before_paginate": {"conditions": Conditions(per_page=1, **sorting)},
            "on_after_paginate": {
                "conditions": Conditions(per_page=1, **sorting),
                "result": {"data": [second], "pagination": _PAGE},
            },
        },
        Handler.ALL: {
            "on_before_all": {"conditions": Conditions(**sorting)},
            "on_after_all": {"conditions": Conditions(**sorting), "result": [second, first]},
        },
        Handler.SHOW: {
            "on_before_show": {"conditions": Conditions()},
            "on_after_show": {"conditions": Conditions(), "item": first},
        },
        Handler.UPDATE: {
            "on_before_update_query": {},
            "on_after_update_query": {"item": first},
            "on_before_update": {"item": first, "form_data": {"title": "changed"}},
            "on_after_update": {"item": changed, "form_data": {"title": "changed"}},
        },
        Handler.PATCH: {
            "on_before_patch_query": {},
            "on_after_patch_query": {"item": first},
            "on_before_patch": {"item": first, "form_data": {"title": "changed"}},
            "on_after_patch": {"item": changed, "form_data": {"title": "changed"}},
        },
        Handler.DELETE: {
            "on_before_delete_query": {},
            "on_after_delete_query": {"item": first},
            "on_before_delete": {"item": first},
            "on_after_delete": {"item": first},
        },
    }[handler]


PARENT = {
    True: {"relation": "posts", "parent_model": User},
    False: {"relation": None, "parent_model": None},
}


@DATABASES
@EACH
@PLACES
async def test_what_hooks_are_given(shop: Site, handler: Handler, nested: bool):
    """Each hook gets the values of the table; `item` is the old row before a write and the new one after it."""
    found: dict[str, dict[str, Any]] = {}
    seen: list[Any] = []

    def note(name: str, given: dict[str, Any]) -> None:
        seen.append((given["request"], given["response"], given["session"], given["state"], given["ctx"]))
        assert isinstance(given["request"], Request)
        assert isinstance(given["response"], Response)
        assert isinstance(given["session"], AsyncSession)
        assert given["database"] is given["session"]
        assert isinstance(given["ctx"], ResourceContext)
        assert isinstance(given["ctx"], InvocationContext)
        assert all(getattr(given["ctx"], key) is given[key] for key in given if key != "ctx")
        assert all(given["ctx"].args[key] is given[key] for key in SPECIAL[name])
        assert given["state"] == {"seen": len(seen) - 1} if len(seen) > 1 else given["state"] == {}
        given["state"]["seen"] = len(seen)
        if "query" in given:
            assert isinstance(given["query"], Select)
            given["query"] = where(given["query"])
        found[name] = {key: deepcopy(given[key]) for key in given if key not in _LIVE}

    shop.use(*only(handler))
    for name, special in SPECIAL.items():
        shop.hook(Post, name)(taking(COMMON | special, lambda g, n=name: note(n, g), called=name))
    async with shop.client() as client:
        answer = await CALLS[handler](client, nested=nested)
    assert answer.is_success, answer.text
    key = {"id": 1} if handler in (Handler.SHOW, Handler.UPDATE, Handler.PATCH, Handler.DELETE) else {}
    common = {
        "model": Post,
        "handler": handler,
        "in_transaction": handler not in READS,
        "params": ({"user_id": 1} if nested else {}) | key,
        **PARENT[nested],
    }
    assert found == {name: common | special for name, special in expected(handler, nested).items()}
    assert all(values[:3] == seen[0][:3] and values[3:] == seen[0][3:] for values in seen)  # one of each per request


_LIVE = {"request", "response", "session", "database", "state", "ctx"}


def expected(handler: Handler, nested: bool) -> dict[str, dict[str, Any]]:
    """The special values with the query, which is limited to the parent."""
    values = special_values(handler)
    for name, given in values.items():
        if "query" in SPECIAL[name]:
            given["query"] = "posts.user_id = 1" if nested else None
        if not nested and "result" in given:  # the post of the other user is there, too
            other = row(3, "other", None, user=2)
            if handler is Handler.ALL:
                given["result"] = [other, *given["result"]]
            else:
                given["result"] = {"data": [other], "pagination": _PAGE | {"total": 3, "lastPage": 3}}
    return values


@DATABASES
@EACH
@PLACES
async def test_what_events_are_given(shop: Site, handler: Handler, nested: bool):
    """Each event gets what its hook got, as JSON values without hidden columns, and what identifies it."""
    found: dict[str, dict[str, Any]] = {}
    hooks: list[Any] = []
    identities: list[str] = []

    def note(name: str, given: dict[str, Any]) -> None:
        ctx = given["ctx"]
        assert isinstance(ctx, EventContext)
        assert (ctx.name, ctx.event_id, ctx.attempt) == (f"Post.{name}", given["event_id"], given["attempt"])
        assert (ctx.source.type, str(ctx.source)) == ("event", f"event Post.{name}")
        assert isinstance(given["request"], Request)
        assert given["request"] is not hooks[0].request
        assert (given["request"].method, given["request"].url.path) == (CALLS[handler].verb, hooks[0].request.url.path)
        assert isinstance(given["session"], AsyncSession)
        assert given["database"] is given["session"] is ctx.session
        assert given["session"] is not hooks[0].session
        identities.append(given["event_id"])
        if "query" in given:
            given["query"] = where(given["query"])
        found[name] = {key: given[key] for key in given if key not in _LIVE | {"event_id"}}

    shop.use(*only(handler))
    for name, special in SPECIAL.items():
        shop.hook(Post, name)(taking(["ctx"], lambda given: hooks.append(given["ctx"]), called=name))
        shop.event(Post, name)(taking(EVENT_COMMON | special, lambda g, n=name: note(n, g), called=name))
    async with shop.client() as client:
        answer = await CALLS[handler](client, nested=nested)
    assert answer.is_success, answer.text
    key = {"id": 1} if handler in (Handler.SHOW, Handler.UPDATE, Handler.PATCH, Handler.DELETE) else {}
    common = {
        "model": Post,
        "handler": handler,
        "params": ({"user_id": 1} if nested else {}) | key,
        "facts": {},
        "attempt": 1,
        **PARENT[nested],
    }
    assert found == {name: common | without_notes(given) for name, given in expected(handler, nested).items()}
    assert len(set(identities)) == len(identities)


def without_notes(given: Any) -> Any:
    """The same without the hidden column."""
    if isinstance(given, dict):
        return {key: without_notes(value) for key, value in given.items() if key != "note"}
    return [without_notes(value) for value in given] if isinstance(given, list) else given


@PLACES
async def test_depth_three(shop: Site, database: Database, nested: bool):
    """Below two parents `relation` and `parent_model` are those of the last, and every key is in `params`, typed."""
    await database.add(Comment(post_id=1, text="hm"))
    found: list[Any] = []

    @shop.hook(Comment)
    async def on_after_show(params: Any, relation: Any, parent_model: Any, query: Any) -> None:
        found.append((params, relation, parent_model, where(query)))

    @shop.event(Comment, "on_after_show")
    async def event(params: Any, relation: Any, parent_model: Any, query: Any) -> None:
        found.append((params, relation, parent_model, where(query)))

    path = "/users/1/posts/1/comments/1" if nested else "/posts/1/comments/1"
    async with shop.client() as client:
        assert (await client.get(path)).json() == {"id": 1, "post_id": 1, "text": "hm"}
    params = ({"user_id": 1} if nested else {}) | {"post_id": 1, "id": 1}
    assert found == [(params, "comments", Post, "comments.post_id = 1")] * 2


# -- PATCH ----------------------------------------------------------------------------------------------------------------

_FETCH_AND_WRITE = ("before_{}_query", "after_{}_query", "before_{}", "after_{}")


async def run_by_patch(shop: Site, hooks: list[str], events: list[str]) -> tuple[list[str], list[str]]:
    """The hooks and events of these that a PATCH runs."""
    ran: list[str] = []
    started: list[tuple[str, Handler]] = []
    shop.use(*only(Handler.PATCH))

    def start(given: dict[str, Any]) -> None:
        started.append((given["ctx"].name.removeprefix("Post.on_"), given["handler"]))

    for name in hooks:
        shop.hook(Post, f"on_{name}")(taking((), lambda _, name=name: ran.append(name), called=f"on_{name}"))
    for name in events:
        shop.event(Post, f"on_{name}")(taking(["ctx", "handler"], start, called=f"on_{name}"))
    async with shop.client() as client:
        assert (await client.patch("/posts/1", json={"title": "changed"})).status_code == 200
    assert {handler for _, handler in started} <= {Handler.PATCH}
    return ran, [name for name, _ in started]


UPDATE_NAMES = [name.format("update") for name in _FETCH_AND_WRITE]
PATCH_NAMES = [name.format("patch") for name in _FETCH_AND_WRITE]


async def test_patch_takes_the_update_names(shop: Site):
    """Where no Patch name is defined PATCH runs the hooks and events of UPDATE, as the seed page has it."""
    assert await run_by_patch(shop, UPDATE_NAMES, UPDATE_NAMES) == (UPDATE_NAMES, UPDATE_NAMES)


async def test_patch_prefers_its_own_names(shop: Site):
    """Where both are defined PATCH runs its own and not those of UPDATE."""
    both = UPDATE_NAMES + PATCH_NAMES
    assert await run_by_patch(shop, both, both) == (PATCH_NAMES, PATCH_NAMES)


@pytest.mark.parametrize("own", range(4))
async def test_patch_chooses_name_by_name(shop: Site, own: int):
    """One Patch name replaces that Update name and no other; and hooks say nothing about events."""
    hooks = UPDATE_NAMES + [PATCH_NAMES[own]]
    events = UPDATE_NAMES + [PATCH_NAMES[3 - own]]
    ran, started = await run_by_patch(shop, hooks, events)
    assert ran == [PATCH_NAMES[n] if n == own else UPDATE_NAMES[n] for n in range(4)]
    assert started == [PATCH_NAMES[n] if n == 3 - own else UPDATE_NAMES[n] for n in range(4)]


async def test_a_patch_hook_leaves_the_update_event(shop: Site):
    """Hooks and events are looked for apart: a Patch hook runs with the Update event."""
    assert await run_by_patch(shop, PATCH_NAMES, UPDATE_NAMES) == (PATCH_NAMES, UPDATE_NAMES)


async def test_update_never_takes_patch_names(shop: Site):
    """PUT runs no Patch hook and no Patch event."""
    ran: list[str] = []
    shop.use(*only(Handler.UPDATE))
    for name in PATCH_NAMES:
        shop.hook(Post, f"on_{name}")(taking((), lambda _: ran.append("hook"), called=f"on_{name}"))
        shop.event(Post, f"on_{name}")(taking((), lambda _: ran.append("event"), called=f"on_{name}"))
    async with shop.client() as client:
        assert (await client.put("/posts/1", json={"title": "changed"})).status_code == 200
    assert ran == []


# -- spellings and kinds ---------------------------------------------------------------------------------------------------


def camel(name: str) -> str:
    """`parent_model` gives `parentModel`."""
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


@EACH
async def test_the_seeds_spelling(shop: Site, handler: Handler):
    """`onBeforeInsert({formData})`: names and parameters in camelCase are the same hooks, events and values."""
    journal: list[tuple[str, str, set[str]]] = []
    values: dict[str, dict[str, Any]] = {}

    def note(kind: str, name: str, given: dict[str, Any]) -> None:
        journal.append((kind, name, set(given)))
        if kind == "hook":
            values[name] = {key: deepcopy(given[key]) for key in ("formData", "item", "result") if key in given}
            assert given["parentModel"] is User
            assert given["inTransaction"] is given["ctx"].in_transaction
        else:
            assert given["parentModel"] is User
            assert given["eventId"] == given["ctx"].event_id

    shop.use(*only(handler))
    for name, special in SPECIAL.items():
        hooked = [camel(each) for each in COMMON | special]
        told = [camel(each) for each in EVENT_COMMON | special]
        shop.hook(Post)(taking(hooked, lambda g, n=name: note("hook", n, g), called=camel(name)))
        shop.event(Post)(taking(told, lambda g, n=name: note("event", n, g), called=camel(name)))
    async with shop.client() as client:
        answer = await CALLS[handler](client, nested=True)
    assert answer.is_success, answer.text
    names = names_of(handler)
    assert [name for kind, name, _ in journal if kind == "hook"] == names
    assert [name for kind, name, _ in journal if kind == "event"] == names
    wanted = special_values(handler)
    for name in names:
        plain = {camel(key): value for key, value in wanted[name].items() if key not in ("conditions", "query")}
        assert values[name] == plain


async def test_def_runs_in_the_thread_pool(shop: Site):
    """A plain `def` hook or event runs in a thread, where it may block; the loop's thread runs the others."""
    threads: dict[str, int] = {}
    shop.use(*only(Handler.INSERT))

    @shop.hook(Post)
    def on_before_insert(form_data: Any) -> None:
        threads["def hook"] = threading.get_ident()
        form_data["title"] = "by a thread"

    @shop.hook(Post)
    async def on_after_insert() -> None:
        threads["async hook"] = threading.get_ident()

    @shop.event(Post, "on_before_insert")
    def before(form_data: Any) -> None:
        threads["def event"] = threading.get_ident()
        assert form_data == {"title": "by a thread", "user_id": 1}

    @shop.event(Post, "on_after_insert")
    async def after() -> None:
        threads["async event"] = threading.get_ident()

    async with shop.client() as client:
        answer = await CALLS[Handler.INSERT](client, nested=True)
    assert answer.json()["title"] == "by a thread"
    here = threading.get_ident()
    assert {name: found == here for name, found in threads.items()} == {
        "def hook": False,
        "async hook": True,
        "def event": False,
        "async event": True,
    }


class Stamp:
    """A service of the container."""

    def __init__(self, number: int) -> None:
        self.number = number


async def make_slowly() -> Stamp:
    return Stamp(8)


class Container(containers.DeclarativeContainer):
    stamp = providers.Factory(Stamp, 7)
    slow = providers.Coroutine(make_slowly)


async def test_provided_parameters(database: Database):
    """Hooks and events, `async def` and `def`, may have parameters that the container gives."""
    found: list[Any] = []
    site = Site(database, only(Handler.INSERT), container=Container())

    @site.hook(User)
    async def on_before_insert(stamp: Annotated[Stamp, Provide["stamp"]], form_data: dict[str, Any]) -> None:
        found.append(("hook", stamp.number, form_data))

    @site.hook(User)
    def on_after_insert(item: dict[str, Any], slow: Annotated[Stamp, Provide["slow"]]) -> None:
        found.append(("def hook", slow.number, item["id"]))

    @site.event(User, "on_after_insert")
    async def event(item: dict[str, Any], stamp: Annotated[Stamp, Provide["stamp"]]) -> None:
        found.append(("event", stamp.number, item["id"]))

    async with site.client() as client:
        assert (await client.post("/users", json={"name": "ann"})).status_code == 201
    assert found == [("hook", 7, {"name": "ann"}), ("def hook", 8, 1), ("event", 7, 1)]


async def test_parameters_by_an_alias_of_an_alias(database: Database):
    """What stands behind aliases, generic and in a union, is given as if it were written out."""
    found: list[Any] = []
    site = Site(database, only(Handler.INSERT), container=Container())
    T = TypeVar("T")
    Stamped = TypeAliasType("Stamped", Annotated[T, Provide["stamp"]], type_params=(T,))
    Again = TypeAliasType("Again", Stamped[Stamp])
    Asked = TypeAliasType("Asked", TypeAliasType("Inner", Request) | None)

    @site.hook(User)
    async def on_before_insert(stamp: Again, asked: Asked) -> None:
        found.append((stamp.number, asked.method))

    @site.event(User, "on_after_insert")
    async def event(stamp: Again | None, item: dict[str, Any]) -> None:
        found.append((stamp.number, item["id"]))

    async with site.client() as client:
        assert (await client.post("/users", json={"name": "ann"})).status_code == 201
    assert found == [(7, "POST"), (7, 1)]


async def test_parameters_by_type(shop: Site):
    """`Request`, `Response` and contexts are also found by their type, whatever the parameter is called."""
    found: list[Any] = []
    shop.use(*only(Handler.SHOW))

    @shop.hook(Post)
    async def on_before_show(asked: Request, answered: Response, invocation: ResourceContext) -> None:
        assert (invocation.request, invocation.response) == (asked, answered)
        answered.headers["x-seen"] = asked.method
        found.append("hook")

    @shop.event(Post, "on_before_show")
    async def event(asked: Request, delivery: EventContext) -> None:
        found.append((asked.method, delivery.name))

    async with shop.client() as client:
        assert (await client.get("/posts/1")).headers["x-seen"] == "GET"
    assert found == ["hook", ("GET", "Post.on_before_show")]


async def test_one_function_for_several_names(shop: Site):
    """`@resources.hook(User, "on_before_insert", "on_before_update")` makes one function both hooks."""
    found: list[Handler] = []
    shop.use(*only(Handler.INSERT, Handler.UPDATE))

    @shop.hook(Post, "on_before_insert", "onBeforeUpdate")
    async def tidy(form_data: dict[str, Any], handler: Handler) -> None:
        form_data["title"] = form_data["title"].strip()
        found.append(handler)

    @shop.event(Post, "on_after_insert", "on_after_update")
    async def tell(handler: Handler) -> None:
        found.append(handler)

    async with shop.client() as client:
        assert (await client.post("/users/1/posts", json={"title": " a "})).json()["title"] == "a"
        assert (await client.put("/posts/1", json={"title": " b "})).json()["title"] == "b"
    assert sorted(found) == [Handler.INSERT] * 2 + [Handler.UPDATE] * 2


async def test_a_resource_of_its_own_hooks(shop: Site):
    """Hooks are those of one model: a request to another resource runs none of them."""
    ran: list[str] = []
    shop.use(*only(Handler.SHOW, Handler.PAGINATE))
    for name in SPECIAL:
        shop.hook(User, name)(taking((), lambda _, name=name: ran.append(name), called=name))
    async with shop.client() as client:
        assert (await client.get("/posts/1?with=user")).status_code == 200
        assert (await client.get("/users/1/posts")).status_code == 200
        assert ran == []
        assert (await client.get("/users/1")).status_code == 200
    assert ran == ["on_before_show", "on_after_show"]


def test_resource_has_a_method_for_each_handler():
    """The handlers are methods of `Resource`, named as in lower case."""
    assert [handler for handler in Handler if not callable(getattr(Resource, handler.lower(), None))] == []
