"""`check --lock` and `check --verify`: the file, the differences, and what cannot be read or written."""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.cli.lock import LockedLayer, LockedRoute, read_lock, write_lock
from interceptors.cli.lock_differences import differences
from tests.unit.cli.helpers import Result, files_in, run_process, write

Run = Callable[..., Result]

MAIN = """
    from fastapi import APIRouter, FastAPI
    from interceptors import InterceptorRegistry, annotate, compose, intercept, skip_interceptors
    from interceptors.fastapi import controller, get, install, post, websocket

    class AuthInterceptor:
        async def intercept(self, ctx, next): ...

    class Metrics(AuthInterceptor): ...

    async def caching(ctx, next): ...

    registry = InterceptorRegistry(ordered_groups=["", "auth"])
    registry.bind("caching", caching)
    registry.bind("audit", Metrics)
    registry.add_global(AuthInterceptor, group="auth")
    registry.add_global(Metrics)

    @controller(prefix="/orders")
    @annotate(scope="class")
    class OrderController:
        @post("")
        @get("/{order_id}")
        @annotate(roles=["clerk"])
        @intercept("caching", compose("audit", compose(caching)))
        @skip_interceptors(Metrics)
        async def show(self, order_id: int = 0) -> None: ...

        @websocket("")
        async def live(self) -> None: ...

    app = FastAPI()
    install(app, registry, controllers=[OrderController], routers=False)

    @app.get("/a")
    @app.get("/b")
    @skip_interceptors()
    async def a() -> None: ...

    @app.get("/b")
    async def shadowed() -> None: ...

    router = APIRouter()

    @router.get("/plain")
    @skip_interceptors()
    async def plain() -> None: ...

    app.include_router(router)
"""
LOCK = """\
# interceptors chain lock 2
GET /a
GET /b
POST /orders
  annotate roles=["clerk"]
  annotate scope="class"
  global auth AuthInterceptor
  method - caching = caching
  method - Chain
    audit = Metrics
    Chain
      caching
WEBSOCKET /orders
  annotate scope="class"
  global - Metrics
  global auth AuthInterceptor
GET /orders/{order_id}
  annotate roles=["clerk"]
  annotate scope="class"
  global auth AuthInterceptor
  method - caching = caching
  method - Chain
    audit = Metrics
    Chain
      caching
GET /plain
  (not intercepted)
"""
LOCK_1 = """\
# interceptors chain lock 1
GET /a
GET /b
POST /orders
  global auth AuthInterceptor
  method - caching
  method - Chain
WEBSOCKET /orders
  global - Metrics
  global auth AuthInterceptor
GET /orders/{order_id}
  global auth AuthInterceptor
  method - caching
  method - Chain
GET /plain
"""


def test_the_file(project: Path) -> None:
    """Routes by path, then verb; no files and no lines of the code, so moving code changes nothing."""
    write(project, {"main.py": MAIN})
    assert run_process(project, "check", "main:app", "--lock", "chains.lock") == Result(0, "7 routes, 0 problems\n", "")
    assert (project / "chains.lock").read_bytes() == LOCK.encode()
    assert run_process(project, "check", "main:app", "--verify", "chains.lock") == Result(
        0, "7 routes, 0 problems\n", ""
    )
    write(project, {"moved.py": "\n\n# moved\n" + dedent(MAIN)})
    assert run_process(project, "check", "moved:app", "--verify", "chains.lock").code == 0


def test_it_is_overwritten(run: Run, project: Path) -> None:
    """That is what it is for."""
    write(project, {"main.py": MAIN, "chains.lock": "old"})
    assert run("check", "main:app", "--lock", "chains.lock").code == 0
    assert (project / "chains.lock").read_text() == LOCK


def test_differences_are_printed(run: Run, project: Path) -> None:
    """Exit code 1."""
    locked = (
        LOCK.replace("GET /a\n", "")
        .replace('"class"\n  global auth AuthInterceptor\n', '"class"\n  global auth Other\n', 1)
        .replace(
            "  global - Metrics\n  global auth AuthInterceptor\n", "  global auth AuthInterceptor\n  global - Metrics\n"
        )
        .replace("GET /plain\n  (not intercepted)\n", "GET /plain\n  global - Metrics\nGET /x\n")
    )
    write(project, {"main.py": MAIN, "chains.lock": locked})
    assert run("check", "main:app", "--verify", "chains.lock") == Result(
        1,
        "7 routes, 0 problems\n"
        "GET /a is new\n"
        "POST /orders lost global auth Other\n"
        "POST /orders gained global auth AuthInterceptor\n"
        "WEBSOCKET /orders changed order: global auth AuthInterceptor, global - Metrics -> "
        "global - Metrics, global auth AuthInterceptor\n"
        "GET /plain is without a chain now\n"
        "GET /plain lost global - Metrics\n"
        "GET /x is gone\n",
        "",
    )
    assert (project / "chains.lock").read_text() == locked


def test_problems_come_first(run: Run, project: Path) -> None:
    """With problems nothing is written; what can be compared is."""
    dead = """
        class Hooks(AuthInterceptor):
            def find_problems(self, contexts): return ["dead"]

        registry.add_global(Hooks())
    """
    broken = '\n@app.get("/new")\n@intercept("unknown")\nasync def broken() -> None: ...\n'
    write(project, {"main.py": dedent(MAIN) + dedent(dead), "chains.lock": LOCK})
    assert run("check", "main:app", "--lock", "new.lock") == Result(1, "problem: dead\n7 routes, 1 problems\n", "")
    assert files_in(project) == ["chains.lock", "main.py"]
    assert run("check", "main:app", "--verify", "chains.lock") == Result(
        1,
        "problem: dead\n"
        "7 routes, 1 problems\n"
        "POST /orders gained global - Hooks\n"
        "WEBSOCKET /orders gained global - Hooks\n"
        "GET /orders/{order_id} gained global - Hooks\n",
        "",
    )
    sys.modules.pop("main")
    write(project, {"main.py": dedent(MAIN) + broken})
    result = run("check", "main:app", "--verify", "chains.lock")
    assert (result.code, len(result.lines), result.lines[1:]) == (1, 2, ["8 routes, 1 problems"])


def test_lock_and_verify(run: Run, project: Path) -> None:
    """One of them."""
    assert run("check", "main:app", "--lock", "a", "--verify", "b") == Result(
        2, "", "error: --lock writes the file that --verify compares with; give one of them\n"
    )


@pytest.mark.parametrize(
    ("file", "why"), [("missing/chains.lock", "No such file or directory"), (".", "Is a directory")]
)
def test_a_file_that_cannot_be_written(run: Run, project: Path, file: str, why: str) -> None:
    """Exit code 1."""
    write(project, {"main.py": MAIN})
    assert run("check", "main:app", "--lock", file) == Result(1, "", f"error: cannot write {file}: {why}\n")


HEADER = "# interceptors chain lock 2\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"", "the first line is not '# interceptors chain lock 2'"),
        (b"# interceptors chain lock 3\n", "the first line is not '# interceptors chain lock 2'"),
        (b"\n" + LOCK.encode(), "the first line is not '# interceptors chain lock 2'"),
        *(
            (f"{HEADER}{text}".encode(), f"line {line} is neither a new route nor a layer: {what!r}")
            for text, line, what in (
                ("  global - a\n", 2, "  global - a"),
                ("GET /a\n<<<<<<< HEAD\n", 3, "<<<<<<< HEAD"),
                ("GET /a\n\nGET /a\n", 4, "GET /a"),
                ("GET /a\n  local - a\n", 3, "  local - a"),
                ("GET /a\n  global a\n", 3, "  global a"),
                ("GET /a\n global - a\n", 3, " global - a"),
                ("GET a\n", 2, "GET a"),
                ("GET /a\n    audit\n", 3, "    audit"),
                ("GET /a\n  (not intercepted)\n    audit\n", 4, "    audit"),
                ("GET /a\n  global - Chain\n      audit\n", 4, "      audit"),
            )
        ),
    ],
)
def test_a_file_that_cannot_be_read(run: Run, project: Path, content: bytes | None, why: str) -> None:
    """Exit code 2, before the application is loaded."""
    if content is not None:
        (project / "chains.lock").write_bytes(content)
    assert run("check", "missing:app", "--verify", "chains.lock") == Result(
        2, "", f"error: cannot read chains.lock: {why}\n"
    )


def test_line_ends_of_windows_and_blank_lines(run: Run, project: Path) -> None:
    """An editor or git may have changed them."""
    write(project, {"main.py": MAIN})
    (project / "chains.lock").write_bytes(f"{LOCK}\n".replace("\n", "\r\n").encode())
    assert run("check", "main:app", "--verify", "chains.lock").code == 0


def test_odd_texts_stay_on_their_lines(run: Run, project: Path) -> None:
    """A group with a line end does not break the file."""
    odd = 'registry.add_global(caching, group="two\\nlines  größe", key="a b")\napp.get("/a b/größe")(plain)'
    write(project, {"main.py": dedent(MAIN) + odd})
    assert run("check", "main:app", "--lock", "chains.lock").code == 0
    assert "GET /a b/größe\nGET /b\n" in (project / "chains.lock").read_text()
    assert "\n  global two\\nlines  größe a b = caching\n" in (project / "chains.lock").read_text()
    assert run("check", "main:app", "--verify", "chains.lock").code == 0


def test_a_lock_of_version_1_is_compared_by_what_it_has(run: Run, project: Path) -> None:
    """Layers of routes that have a chain; keys without what they are bound to. Stderr says to write it anew."""
    write(project, {"main.py": MAIN, "chains.lock": LOCK_1})
    again = "chains.lock is of version 1, which says less: write it anew with --lock chains.lock\n"
    assert run("check", "main:app", "--verify", "chains.lock") == Result(0, "7 routes, 0 problems\n", again)
    write(project, {"chains.lock": LOCK_1.replace("  method - caching\n", "", 1)})
    answer = "7 routes, 0 problems\nPOST /orders gained method - caching\n"
    assert run("check", "main:app", "--verify", "chains.lock") == Result(1, answer, again)


CHANGES = {
    "an annotation is lost": ('        @annotate(roles=["clerk"])\n', "", ['lost annotate roles=["clerk"]']),
    "an annotation is gained": (
        'roles=["clerk"]',
        'roles=["clerk"], public=True',
        ["gained annotate public=true"],
    ),
    "an annotation is another one": (
        'roles=["clerk"]',
        'roles=["clerk", "guest"]',
        ['lost annotate roles=["clerk"]', 'gained annotate roles=["clerk", "guest"]'],
    ),
    "a key is bound to something else": (
        'registry.bind("caching", caching)',
        'registry.bind("caching", type("Other", (AuthInterceptor,), {}))',
        ["lost method - caching = caching", "gained method - caching = Other"],
    ),
    "a part is lost": ('compose("audit", ', "compose(", ["lost audit = Metrics of method - Chain"]),
    "a part of a part is lost": (
        "compose(caching)",
        "compose()",
        ["lost caching of Chain of method - Chain"],
    ),
    "parts change their order": (
        'compose("audit", compose(caching))',
        'compose(compose(caching), "audit")',
        ["changed order of method - Chain: audit = Metrics, Chain -> Chain, audit = Metrics"],
    ),
    "what a part is bound to": (
        'registry.bind("audit", Metrics)',
        'registry.bind("audit", AuthInterceptor)',
        ["lost audit = Metrics of method - Chain", "gained audit = AuthInterceptor of method - Chain"],
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_what_decides_who_gets_in_is_seen(run: Run, project: Path, kind: str) -> None:
    """Annotations, what keys are bound to, and what is inside of a `Chain`."""
    old, new, found = CHANGES[kind]
    assert old in dedent(MAIN) or old in MAIN
    write(project, {"main.py": MAIN.replace(old, new), "chains.lock": LOCK})
    lines = run("check", "main:app", "--verify", "chains.lock").lines
    assert lines[1:] == [f"{route} {line}" for route in ("POST /orders", "GET /orders/{order_id}") for line in found]


NEW = {
    "a function of a plain router": ("app.include_router(added)", "GET /new is new, without a chain"),
    "a WebSocket of a plain router": ("app.include_router(sockets)", "WEBSOCKET /new is new, without a chain"),
    "a route of Starlette's": ('app.add_route("/new", raw, methods=["POST"])', "POST /new is new, without a chain"),
    "a WebSocket of Starlette's": (
        'app.router.add_websocket_route("/new", raw)',
        "WEBSOCKET /new is new, without a chain",
    ),
    "a class of Starlette's": ('app.add_route("/new", Page)', "ANY /new is new, without a chain"),
    "another ASGI application": ('app.mount("/new", raw)', "MOUNT /new is new, without a chain"),
    "a mounted application": ('app.mount("/new", mounted)', "GET /new/inner is new, without a chain"),
    "a mounted application in a wrapper": (
        'app.mount("/new", GZipMiddleware(mounted))',
        "GET /new/inner is new, without a chain",
    ),
    "static files": ('app.mount("/new", StaticFiles(directory="."))', "MOUNT /new is new, without a chain"),
    "a function of the application": ('app.get("/new")(plain)', "GET /new is new"),
}
ADDED = """
    from starlette.endpoints import HTTPEndpoint
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.staticfiles import StaticFiles

    class Page(HTTPEndpoint): ...

    async def raw(*args): ...

    added, sockets, mounted = APIRouter(), APIRouter(), FastAPI()
    added.get("/new")(plain)
    sockets.websocket("/new")(raw)
    mounted.get("/inner")(plain)
"""


@pytest.mark.parametrize("kind", NEW)
def test_a_new_route_is_seen_whoever_made_it(run: Run, project: Path, kind: str) -> None:
    """FastAPI's own documentation is none."""
    added, found = NEW[kind]
    write(project, {"main.py": dedent(MAIN) + dedent(ADDED), "chains.lock": LOCK})
    assert run("check", "main:app", "--verify", "chains.lock").code == 0
    sys.modules.pop("main")
    write(project, {"main.py": dedent(MAIN) + dedent(ADDED) + added})
    result = run("check", "main:app", "--verify", "chains.lock")
    assert result.code == 1 and found in [line.removeprefix("problem: ") for line in result.lines]


def test_values_of_annotations_are_the_same_in_every_process(run: Run, project: Path) -> None:
    """Sets are sorted; members, functions and classes are their names, any other object the name of its class."""
    text = """
        import enum
        from dataclasses import dataclass
        from fastapi import FastAPI
        from interceptors import InterceptorRegistry, annotate
        from interceptors.fastapi import install

        class Role(enum.Enum):
            ADMIN = "admin"

        class Level(enum.IntEnum):
            HIGH = 3

        class Rule: ...

        def helper() -> None: ...

        app = FastAPI()
        install(app, InterceptorRegistry())

        @app.get("/")
        @annotate(role=Role.ADMIN, level=Level.HIGH, names={"b", "a", "c"}, nested={"x": (1, {"y": None}), 2: [Rule()]})
        @annotate(helper=helper, cls=Rule, text="größe\\\\n", number=1.5, nothing=None, yes=True)
        async def index() -> None: ...
    """
    write(project, {"main.py": text})
    assert run_process(project, "check", "main:app", "--lock", "chains.lock", PYTHONHASHSEED="1").code == 0
    assert (project / "chains.lock").read_text(encoding="utf-8").splitlines()[2:] == [
        '  annotate cls="Rule"',
        '  annotate helper="helper"',
        '  annotate level="Level.HIGH"',
        '  annotate names=["a", "b", "c"]',
        '  annotate nested={"2": ["Rule"], "x": [1, {"y": null}]}',
        "  annotate nothing=null",
        "  annotate number=1.5",
        '  annotate role="Role.ADMIN"',
        '  annotate text="größe\\\\n"',
        "  annotate yes=true",
    ]
    assert run_process(project, "check", "main:app", "--verify", "chains.lock", PYTHONHASHSEED="2").code == 0
    assert run("check", "main:app", "--verify", "chains.lock") == Result(0, "1 routes, 0 problems\n", "")


# -- the rules of differences ------------------------------------------------------------------------------------------


def layer_of(text: str, parts: Iterable[LockedLayer] = ()) -> LockedLayer:
    return LockedLayer(text, tuple(parts))


parts = st.recursive(
    st.builds(layer_of, st.sampled_from(["a", "b", "key = b"])),
    lambda inner: st.builds(layer_of, st.just("Chain"), st.lists(inner, max_size=3)),
    max_leaves=4,
)
layers = st.one_of(
    st.builds(layer_of, st.sampled_from(["global - a", "global auth a", "method - b"])),
    st.builds(layer_of, st.sampled_from(["class - Chain", "method - k = Chain"]), st.lists(parts, max_size=3)),
)
routes = st.one_of(
    st.builds(
        LockedRoute,
        st.lists(layers, max_size=4).map(tuple),
        st.lists(st.sampled_from(["annotate a=1", "annotate a=2", "annotate b=[]"]), unique=True).map(tuple),
    ),
    st.just(LockedRoute(is_intercepted=False)),
)
chains = st.dictionaries(st.sampled_from(["GET /a", "POST /a", "GET /b", "WEBSOCKET /b/c", "CONNECTOR db"]), routes)


@given(chains)
def test_the_same_has_no_differences(some: dict[str, LockedRoute]) -> None:
    """Whatever it is."""
    assert list(differences(some, some)) == []


@given(chains, chains)
def test_something_else_has_differences(old: dict[str, LockedRoute], new: dict[str, LockedRoute]) -> None:
    """No change goes unseen, and each line names a route that has changed."""
    found = list(differences(old, new))

    def shape(locked: LockedRoute | None) -> object:  # annotations have no order
        return locked and (locked.layers, sorted(locked.annotations), locked.is_intercepted)

    changed = {route for route in {*old, *new} if shape(old.get(route)) != shape(new.get(route))}
    assert {route for route in changed if any(line.startswith(f"{route} ") for line in found)} == changed
    assert all(any(line.startswith(f"{route} ") for route in changed) for line in found)


texts = st.lists(st.sampled_from(["global - a", "global auth a", "method - b", "class - C"]), max_size=5)


def route_of(some: Iterable[str]) -> LockedRoute:
    return LockedRoute(tuple(map(layer_of, some)))


@given(texts, texts)
def test_what_was_lost_and_gained_makes_up_the_difference(old: list[str], new: list[str]) -> None:
    """One for one."""
    found = list(differences({"GET /a": route_of(old)}, {"GET /a": route_of(new)}))
    lost = [line.removeprefix("GET /a lost ") for line in found if " lost " in line]
    gained = [line.removeprefix("GET /a gained ") for line in found if " gained " in line]
    assert sorted([*old, *gained]) == sorted([*new, *lost])
    assert not set(lost) & set(gained)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("a b", "b a", ["changed order: a, b -> b, a"]),
        ("a b c", "c a", ["lost b", "changed order: a, c -> c, a"]),
        ("a b", "b x a", ["gained x", "changed order: a, b -> b, a"]),
        ("a b a", "a b", ["lost a"]),
        ("a b a", "b a", ["lost a"]),
        ("b a", "a b a", ["gained a"]),
        ("a a", "a", ["lost a"]),
        ("a", "", ["lost a"]),
    ],
)
def test_order(old: str, new: str, found: list[str]) -> None:
    """Only what is in both can change its order; of two of one name either may have gone."""
    lines = differences({"GET /a": route_of(old.split())}, {"GET /a": route_of(new.split())})
    assert list(lines) == [f"GET /a {line}" for line in found]


@given(chains)
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, some: dict[str, LockedRoute]) -> None:
    """The very same."""
    file = tmp_path_factory.getbasetemp() / "chains.lock"
    write_lock(file, some)
    assert read_lock(file).chains == some
    routes = [line for line in file.read_text().splitlines()[1:] if re.match("[A-Z]", line)]
    assert routes == sorted(some, key=lambda route: (route.startswith("CONNECTOR"), route.split()[::-1]))
