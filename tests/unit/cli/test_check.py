"""`check`: every check of the start, hooks that never run, and the exit codes."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from fastapi import routing

from interceptors.fastapi import probe
from tests.unit.cli.helpers import Result, run_process, write

Run = Callable[..., Result]

BASE = """
    from typing import Annotated
    from dependency_injector.wiring import Provide
    from fastapi import APIRouter, FastAPI, WebSocket
    from interceptors import Chain, InterceptorRegistry, intercept, skip_interceptors
    from interceptors.fastapi import controller, create_router, get, install, intercepted_route, post

    class Layer:
        async def intercept(self, ctx, next): ...

    class Needy:
        def __init__(self, missing): ...
        async def intercept(self, ctx, next): ...

    class Hooks(Layer):
        def __init__(self, *names):
            self.names = names

        def find_problems(self, contexts):
            called = [context.target_name for context in contexts]
            return [f"{name} matches none of {', '.join(sorted(called))}" for name in self.names if name not in called]

    registry = InterceptorRegistry()
    app = FastAPI()
    install(app, registry)

"""


def program(text: str, *, routers: bool = True) -> dict[str, str]:
    """An application in `main.py`."""
    base = BASE if routers else BASE.replace("install(app, registry)", "install(app, registry, routers=False)")
    return {"main.py": dedent(base) + dedent(text)}


def test_nothing_to_complain_of(project: Path) -> None:
    """Exit code 0."""
    write(project, program('@app.get("/")\n@intercept(Layer)\nasync def root() -> None: ...'))
    assert run_process(project, "check", "main:app") == Result(0, "1 routes, 0 problems\n", "")


def test_near_misses_and_globals_that_never_run_are_problems(project: Path) -> None:
    """As at the start; a source of one's own is none."""
    text = """
        @skip_interceptors(Layer, group="auht")
        @app.get("/")
        async def root() -> None: ...

        class Other(Layer): ...
        class Third(Layer): ...

        registry.add_global(Layer, source="route", group="auth")
        registry.add_global(Other, source="Route")
        registry.add_global(Third, source=("job", "nightly"), before="Auth")
    """
    write(project, program(text))
    result = run_process(project, "check", "main:app")

    assert result.code == 1
    for words in (
        "UnknownSourceWarning: The global interceptor Other",
        "UnknownGroupWarning: The global interceptor Third",
        "UnknownGroupWarning: @skip_interceptors(group='auht') on root",
        "UnreachedGlobalWarning: The global interceptor Layer",
        "1 routes, 4 problems",
    ):
        assert words in result.out


def test_all_problems_at_once(project: Path) -> None:
    """A line for each, on stdout; the same problem of many routes once; exit code 1."""
    text = """
        @app.get("/one")
        @app.get("/two")
        @intercept("unknown")
        async def one() -> None: ...

        @app.get("/three")
        @intercept(Needy)
        async def three() -> None: ...

        @app.get("/four")
        @intercept(Chain([Layer, "missing"]))
        async def four(thing: Annotated[int, Provide["nothing"]]) -> None: ...

        router = APIRouter()

        @router.get("/five")
        @intercept(Layer)
        async def five() -> None: ...

        @router.websocket("/six")
        @intercept(Layer)
        async def six(socket: WebSocket) -> None: ...

        app.include_router(router, prefix="/v1")
    """
    write(project, program(text, routers=False))
    result = run_process(project, "check", "main:app")
    assert (result.code, result.err) == (1, "")
    assert [line.split(":")[:2] for line in result.lines[:-1]] == [
        ["problem", kind]
        for kind in (
            " UnknownKeyError",
            " InjectionError",
            " UnknownKeyError",
            " UnreachedInterceptorError",
            " UnreachedInterceptorError",
        )
    ]
    assert [name in line for name, line in zip(["'unknown'", "Needy", "'missing'", "five", "six"], result.lines)] == [
        True
    ] * 5
    assert result.lines[-1] == "6 routes, 5 problems"


def test_the_global_interceptors(run: Run, project: Path) -> None:
    """They are checked where there is no route at all, and reported once where there are some."""
    text = 'registry.add_global("unknown")\n'
    write(project, program(text) | {"other.py": dedent(BASE) + dedent(text) + 'app.get("/")(print)'})
    problem = "problem: UnknownKeyError: No key 'unknown' is bound (asked for by a global interceptor). Bind it with "
    for name, routes in (("main", 0), ("other", 1)):
        result = run("check", f"{name}:app")
        assert (result.code, result.err, len(result.lines)) == (1, "", 2)
        assert result.lines[0].startswith(problem)
        assert result.lines[1] == f"{routes} routes, 1 problems"


PLAIN = """
    registry.add_global(Layer)
    router = APIRouter()

    @router.get("/plain")
    async def plain() -> None: ...

    app.include_router(router)
"""


def test_routes_that_a_global_misses(project: Path) -> None:
    """What is a warning at the start is a problem here, unless Python is told to ignore it."""
    write(project, program(PLAIN, routers=False))
    result = run_process(project, "check", "main:app")
    assert (result.code, result.err, result.lines[-1]) == (1, "", "1 routes, 1 problems")
    assert result.lines[0].startswith("problem: UnreachedRouteWarning: no chain runs around GET /plain (plain, ")
    ignored = run_process(project, "check", "main:app", python=("-W", "ignore::UserWarning", "-m", "interceptors"))
    assert ignored == Result(0, "1 routes, 0 problems\n", "")


@pytest.mark.parametrize(("action", "problems"), [("default", 1), ("error", 1), ("ignore", 0)])
def test_a_warning_in_this_process(run: Run, project: Path, action: str, problems: int) -> None:
    """The application itself may say what it ignores."""
    text = f"""
        import warnings
        from interceptors import UnreachedRouteWarning
        warnings.simplefilter("{action}", UnreachedRouteWarning)
    """
    write(project, program(dedent(text) + dedent(PLAIN), routers=False))
    result = run("check", "main:app")
    assert (result.code, result.err, result.lines[-1]) == (problems, "", f"1 routes, {problems} problems")


def test_routers_with_a_registry_of_their_own(run: Run, project: Path) -> None:
    """Their chains are compiled, too, where nothing is installed on the application."""
    text = """
        app = FastAPI()

        @controller(prefix="/a")
        @intercept("unknown")
        class A:
            @get("/")
            async def a(self) -> None: ...

        router = APIRouter(route_class=intercepted_route(InterceptorRegistry()))

        @router.get("/b")
        @intercept("absent")
        async def b() -> None: ...

        app.include_router(create_router(A, registry))
        app.include_router(router)
    """
    write(project, program(text))
    result = run("check", "main:app")
    assert (result.code, result.lines[-1]) == (1, "2 routes, 2 problems")
    assert ["'unknown'" in result.lines[0], "'absent'" in result.lines[1]] == [True, True]


def test_routes_of_another_registry(run: Run, project: Path) -> None:
    """Each is a problem; its chain is shown as it is, as somebody has to see what runs there."""
    text = """
        other = InterceptorRegistry()
        other.add_global(Layer)

        @controller()
        class A:
            @get("/a")
            async def a(self) -> None: ...

        router = create_router(A, other)
        app.include_router(router)
        app.get("/b")(router.routes[0].endpoint)
    """
    write(project, program(text))
    result = run("check", "main:app")
    assert (result.code, result.lines[-1]) == (1, "2 routes, 2 problems")
    for path, line in zip(("/a", "/b"), result.lines, strict=False):
        assert line.startswith(f"problem: AlreadyInstalledError: GET {path} (A.a, ")
    assert [line.split()[:5] for line in run("explain", "main:app").lines] == [
        ["GET", "/a", "A.a"],
        ["1", "global", "-", "-", "Layer"],
        ["GET", "/b", "A.a"],
        ["1", "global", "-", "-", "Layer"],
    ]


def test_a_fastapi_that_works_otherwise(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would stop the start is a problem here, and the others are told as well."""

    async def never(**options: Any) -> str:
        return "well"

    monkeypatch.setattr(routing, "run_endpoint_function", never)
    monkeypatch.setattr(probe._Probed, "is_well", False)
    write(project, program('registry.add_global("unknown")'))
    result = run("check", "main:app")
    assert (result.code, result.lines[-1]) == (1, "0 routes, 2 problems")
    assert result.lines[0].startswith(f"problem: IncompatibleLibraryError: fastapi {version('fastapi')} ")
    assert result.lines[1].startswith("problem: UnknownKeyError: ")


def test_mounted_applications(run: Run, project: Path) -> None:
    """They start for themselves; what they serve counts for the hooks of a registry that is used on both."""
    text = """
        registry.add_global(Hooks("root", "shared", "x"))

        @app.get("/")
        async def root() -> None: ...

        router = APIRouter(route_class=intercepted_route(registry))

        @router.get("/shared")
        async def shared() -> None: ...

        first, second, third = FastAPI(), FastAPI(), FastAPI()
        first.include_router(router)
        install(second, own := InterceptorRegistry())
        own.add_global("unknown")
        own.add_global(Hooks("y"))

        @third.get("/third")
        @intercept(Layer)
        async def unreached() -> None: ...

        second.mount("/third", third)
        app.mount("/first", first)
        app.mount("/second", second)
    """
    write(project, program(text))
    result = run("check", "main:app")
    assert [line.split(" (")[0] for line in result.lines] == [
        "problem: UnknownKeyError: No key 'unknown' is bound",
        "problem: UnreachedInterceptorError: unreached",
        "problem: UnreachedRouteWarning: no chain runs around GET /third/third",
        "problem: x matches none of root, shared",
        "problem: y matches none of",
        "3 routes, 5 problems",
    ]


@pytest.mark.parametrize("options", [["--lock", "new.lock"], []])
def test_an_error_while_loading(run: Run, project: Path, options: list[str]) -> None:
    """It is the only answer."""
    write(project, program("install(app, InterceptorRegistry())"))
    result = run("check", "main:app", *options)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: AlreadyInstalledError: The application 'FastAPI' has another")
    assert not (project / "new.lock").exists()


# -- hooks that never run ----------------------------------------------------------------------------------------------


def check_hooks(run: Run, project: Path, text: str) -> list[str]:
    """The problems of an application with two controllers."""
    controllers = """
        def controllers(layer, other=Layer, broken=Layer):
            @controller(prefix="/customers")
            @intercept(layer)
            class Customer:
                @get("/")
                async def find(self) -> None: ...

                @post("/")
                @skip_interceptors()
                async def create(self) -> None: ...

            @controller(prefix="/users")
            @intercept(other)
            class User:
                @get("/")
                async def find(self) -> None: ...

                @post("/")
                @intercept(broken)
                async def login(self) -> None: ...

            install(app, registry, controllers=[Customer, User])
    """
    write(project, program(dedent(controllers) + dedent(text)))
    result = run("check", "main:app")
    *problems, last = result.lines
    assert (result.code, result.err, last) == (int(bool(problems)), "", f"4 routes, {len(problems)} problems")
    return problems


def test_an_interceptor_is_asked_about_the_routes_whose_chains_hold_it(run: Run, project: Path) -> None:
    """A skipped one runs no hook."""
    problems = check_hooks(run, project, 'controllers(Hooks("Customer.find", "Customer.create", "User.find"))')
    assert problems == [
        "problem: Customer.create matches none of Customer.find",
        "problem: User.find matches none of Customer.find",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "hooks = {}\nregistry.add_global(hooks)\ncontrollers(Layer)",
        "hooks = {}\ncontrollers(hooks, hooks, hooks)",
        "hooks = {}\ncontrollers(Chain([Layer, hooks]), Chain([Chain([hooks])]))",
        "registry.bind('hooks', {})\ncontrollers('hooks', Chain(['hooks', Layer]))",
        "from dependency_injector import providers as p\nhooks = p.Singleton(Hooks, *{}.names)\ncontrollers(hooks, hooks)",
        "from dependency_injector import providers as p\nhooks = p.Factory(Hooks, *{}.names)\ncontrollers(hooks, hooks)",
        "from dependency_injector.providers import Object\nhooks = Object({})\ncontrollers(hooks, hooks)",
    ],
)
def test_wherever_it_stands(run: Run, project: Path, text: str) -> None:
    """As a global, in chains, behind keys and providers; once, with all its routes."""
    problems = check_hooks(run, project, text.format('Hooks("Customer.find", "User.find", "x")'))
    assert problems == ["problem: x matches none of Customer.find, User.find, User.login"]


def test_two_of_the_same_class_are_two(run: Run, project: Path) -> None:
    """Each answers for its own routes."""
    assert check_hooks(run, project, 'controllers(Hooks("User.find"), Hooks("Customer.find"))') == [
        "problem: User.find matches none of Customer.find",
        "problem: Customer.find matches none of User.find, User.login",
    ]


def test_a_global_that_is_in_no_chain(run: Run, project: Path) -> None:
    """All its hooks are dead; not so for other source types, which are not known here."""
    text = """
        registry.add_global(Hooks("x"))
        registry.add_global(Hooks("y"), source="job")

        @app.get("/")
        @skip_interceptors()
        async def root() -> None: ...
    """
    write(project, program(text))
    assert run("check", "main:app").lines == ["problem: x matches none of", "1 routes, 1 problems"]


def test_routes_whose_chains_are_broken(run: Run, project: Path) -> None:
    """Their methods are there: no hook is called dead for that. The dead ones still are."""
    text = """
        registry.add_global(Hooks("User.login", "Customer.find", "x"))
        controllers(Layer, broken={})
    """
    for broken in ('"unknown"', "Needy"):
        problems = check_hooks(run, project, text.format(broken))
        assert len(problems) == 2
        assert problems[1] == "problem: x matches none of Customer.find, User.find, User.login"
        sys.modules.pop("main")


def test_a_broken_global_and_a_controller_that_cannot_be_built(run: Run, project: Path) -> None:
    """Nothing is known of such a route but its hooks are still asked."""
    text = """
        registry.add_global("unknown")
        registry.add_global(Hooks("x"))

        @controller(prefix="/a")
        class A:
            def __init__(self, missing): ...

            @get("/")
            async def a(self) -> None: ...

        install(app, registry, controllers=[A])
    """
    write(project, program(text))
    lines = run("check", "main:app").lines
    assert [line.split(":")[1] for line in lines[:1]] == [" UnknownKeyError"]
    assert lines[1:] == ["problem: x matches none of", "1 routes, 2 problems"]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "class Angry(Layer):\n    def find_problems(self, contexts): raise ValueError('no\\nidea')\ncontrollers(Angry())",
            1,
        ),
        ("class Built(Hooks):\n    def __init__(self): self.names = ['x']\ncontrollers(Built)", 0),
        (
            "from dependency_injector.providers import Factory\ncontrollers(Factory(Hooks, Factory(open, 'missing')))",
            0,
        ),
        ("class Long(Layer):\n    def find_problems(self, contexts): yield 'two\\n  lines'\ncontrollers(Long())", 1),
    ],
)
def test_who_cannot_answer(run: Run, project: Path, text: str, problems: int) -> None:
    """An error is a problem; a class, and what a provider cannot build here, is not asked."""
    found = check_hooks(run, project, text)
    assert len(found) == problems
    assert found in ([], ["problem: ValueError: no idea"], ["problem: two lines"])


def test_the_remoting_hooks_of_the_library(run: Run, project: Path) -> None:
    """LoopBack 3's silent dead hook."""
    text = """
        from interceptors.remoting import RemoteHooks
        hooks = RemoteHooks()
        registry.add_global(hooks)

        @hooks.before_remote("Customer.upsert")
        def normalise(ctx): ...

        @hooks.before_remote("Customer.*")
        def log(ctx): ...

        controllers(Layer)
    """
    (problem,) = check_hooks(run, project, text)
    assert problem.startswith("problem: ")
    assert "normalise" in problem
    assert "'Customer.upsert'" in problem
