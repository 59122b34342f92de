"""`explain`: the text for pipes, the JSON, and which routes a name means."""

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from tests.unit.cli.helpers import Result, run_process, write

Run = Callable[..., Result]

LAYERS = """
    from interceptors import global_interceptor

    class Layer:
        async def intercept(self, ctx, next):
            return await next()

    class Auth(Layer): ...
    class Metrics(Layer): ...
    class Cache(Layer): ...

    async def log(ctx, next):
        return await next()
"""
MAIN = """
    from fastapi import APIRouter, FastAPI, WebSocket
    from interceptors import Chain, InterceptorRegistry, intercept, skip_interceptors
    from interceptors.fastapi import controller, get, install, intercepted_route, post, websocket
    from shop.layers import Auth, Cache, Metrics, log

    registry = InterceptorRegistry(ordered_groups=["auth", "metrics"])
    registry.bind("caching", Cache)
    registry.add_global(Metrics, group="metrics")
    registry.add_global(Auth, group="auth")
    registry.add_global(log, source="job")

    @controller(prefix="/orders")
    class OrderController:
        @get("/{order_id}")
        @intercept("caching")
        @skip_interceptors(group="metrics")
        async def show(self, order_id: int) -> None: ...

        @post("")
        @get("")
        @intercept(log, Chain([log, "caching"]))
        def many(self) -> None: ...

        @websocket("/live")
        @skip_interceptors()
        async def live(self, socket: WebSocket) -> None: ...

    app = FastAPI()
    install(app, registry, controllers=[OrderController], routers=False)

    @app.api_route("/both", methods=["PUT", "DELETE"], include_in_schema=False)
    @skip_interceptors(Auth, Metrics)
    def both() -> None: ...

    plain = APIRouter(prefix="/plain")

    @plain.get("/health")
    async def health() -> None: ...

    @plain.websocket("/socket")
    async def socket(websocket: WebSocket) -> None: ...

    outer = APIRouter(prefix="/outer", route_class=intercepted_route(registry))
    outer.include_router(plain)

    @outer.get("/inner")
    async def inner() -> None: ...

    app.include_router(outer, prefix="/v1")
    mounted = FastAPI()
    mounted.get("/{item}")(both)
    app.mount("/mounted", mounted)
    app.add_route("/starlette", lambda request: None)
"""


@pytest.fixture
def shop(project: Path) -> Path:
    """An application with a route of each kind."""
    write(project, {"shop/__init__.py": "", "shop/layers.py": LAYERS, "shop/main.py": MAIN})
    return project


def place(name: str) -> str:
    """Where a layer stands: `file:line`."""
    lines = dedent(LAYERS).lstrip("\n").splitlines()
    line = next(n for n, line in enumerate(lines, 1) if line.startswith((f"class {name}", f"async def {name}")))
    return f"shop/layers.py:{line}"


TEXT = f"""\
GET /orders/{{order_id}}  OrderController.show
  1  global  auth  -  Auth  {place("Auth")}
  2  method  -  caching  Cache  {place("Cache")}
GET /orders  OrderController.many
  1  global  auth  -  Auth  {place("Auth")}
  2  global  metrics  -  Metrics  {place("Metrics")}
  3  method  -  -  log  {place("log")}
  4  method  -  -  Chain  -
    -  log  {place("log")}
    caching  Cache  {place("Cache")}
POST /orders  OrderController.many
  1  global  auth  -  Auth  {place("Auth")}
  2  global  metrics  -  Metrics  {place("Metrics")}
  3  method  -  -  log  {place("log")}
  4  method  -  -  Chain  -
    -  log  {place("log")}
    caching  Cache  {place("Cache")}
WEBSOCKET /orders/live  OrderController.live
  (no interceptors)
DELETE /both  both
  (no interceptors)
PUT /both  both
  (no interceptors)
GET /v1/outer/plain/health  health
  (not intercepted)
WEBSOCKET /v1/outer/plain/socket  socket
  (not intercepted)
GET /v1/outer/inner  inner
  1  global  auth  -  Auth  {place("Auth")}
  2  global  metrics  -  Metrics  {place("Metrics")}
GET /mounted/{{item}}  both
  (not intercepted)
"""


def test_the_text(shop: Path) -> None:
    """Declaration order, one entry per verb; files are relative below the current folder, absolute elsewhere."""
    result = run_process(shop, "explain", "shop.main:app")
    assert (result.code, result.err) == (0, "")
    assert result.out == TEXT


def test_why(run: Run, shop: Path) -> None:
    """Behind the chain what does not run, and the reason."""
    job = f"  -  global  -  -  log  {place('log')}  source: only job"
    assert run("explain", "shop.main:app", "GET /orders/{order_id}", "--why").lines == [
        "GET /orders/{order_id}  OrderController.show",
        f"  1  global  auth  -  Auth  {place('Auth')}",
        f"  2  method  -  caching  Cache  {place('Cache')}",
        job,
        f"  -  global  metrics  -  Metrics  {place('Metrics')}  skipped: @skip_interceptors(group='metrics')",
    ]
    assert run("explain", "shop.main:app", "/both", "--why").lines[:5] == [
        "DELETE /both  both",
        "  (no interceptors)",
        job,
        f"  -  global  auth  -  Auth  {place('Auth')}  skipped: @skip_interceptors(Auth)",
        f"  -  global  metrics  -  Metrics  {place('Metrics')}  skipped: @skip_interceptors(Metrics)",
    ]
    assert run("explain", "shop.main:app", "health", "--why").lines[1:] == ["  (not intercepted)"]


@pytest.mark.parametrize("options", [["--json"], ["--json", "--why"]])
def test_the_json(run: Run, shop: Path, options: list[str]) -> None:
    """It always says what was left out."""
    result = run("explain", "shop.main:app", "OrderController.show", *options)
    assert (result.code, result.err) == (0, "")

    def layer(level: str, group: str | None, key: str | None, name: str) -> dict[str, object]:
        file, line = place(name).split(":")
        return {"level": level, "group": group, "key": key, "name": name, "file": file, "line": int(line)}

    assert json.loads(result.out) == {
        "version": 1,
        "app": "shop.main:app",
        "routes": [
            {
                "method": "GET",
                "path": "/orders/{order_id}",
                "target": "OrderController.show",
                "intercepted": True,
                "chain": [
                    {"position": 1, **layer("global", "auth", None, "Auth")},
                    {"position": 2, **layer("method", None, "caching", "Cache")},
                ],
                "left_out": [
                    {**layer("global", "", None, "log"), "reason": "source: only job"},
                    {
                        **layer("global", "metrics", None, "Metrics"),
                        "reason": "skipped: @skip_interceptors(group='metrics')",
                    },
                ],
            }
        ],
    }


def test_the_json_of_a_route_that_is_not_intercepted(run: Run, shop: Path) -> None:
    """Nothing is known of it but its name."""
    assert json.loads(run("explain", "shop.main:app", "health", "--json").out)["routes"] == [
        {
            "method": "GET",
            "path": "/v1/outer/plain/health",
            "target": "health",
            "intercepted": False,
            "chain": [],
            "left_out": [],
        }
    ]


def test_text_and_json_tell_the_same(run: Run, shop: Path) -> None:
    """One entry per line that is not indented."""
    routes = json.loads(run("explain", "shop.main:app", "--json").out)["routes"]
    titles = [line for line in TEXT.splitlines() if not line.startswith(" ")]
    assert [f"{route['method']} {route['path']}  {route['target']}" for route in routes] == titles


@pytest.mark.parametrize(
    ("route", "found"),
    [
        ("GET /orders/{order_id}", ["GET /orders/{order_id}"]),
        ("/orders", ["GET /orders", "POST /orders"]),
        ("OrderController.many", ["GET /orders", "POST /orders"]),
        ("WEBSOCKET /orders/live", ["WEBSOCKET /orders/live"]),
        ("both", ["DELETE /both", "PUT /both", "GET /mounted/{item}"]),
        ("PUT /both", ["PUT /both"]),
        ("/v1/outer/inner", ["GET /v1/outer/inner"]),
    ],
)
def test_a_route_by_name(run: Run, shop: Path, route: str, found: list[str]) -> None:
    """Verb and path, a path, or a target, compared exactly."""
    result = run("explain", "shop.main:app", route)
    assert [line.split("  ")[0] for line in result.lines if not line.startswith(" ")] == found


@pytest.mark.parametrize(
    ("route", "nearest"),
    [
        ("GET /orders/{id}", "GET /orders/{order_id}"),
        ("get /orders", "GET /orders"),
        ("/orders/", "/orders"),
        ("OrderController.shows", "OrderController.show"),
        ("/outer/inner", "/v1/outer/inner"),
        ("bot", "both"),
    ],
)
def test_there_is_no_such_route(run: Run, shop: Path, route: str, nearest: str) -> None:
    """The nearest is named, exit code 2."""
    for options in ([], ["--json"]):
        assert run("explain", "shop.main:app", route, *options) == Result(
            2, "", f"error: there is no route {route!r}; the nearest is {nearest!r}\n"
        )


def test_the_nearest_is_named_however_far(run: Run, shop: Path) -> None:
    """Something to go on."""
    assert run("explain", "shop.main:app", "ÿ").err.startswith("error: there is no route 'ÿ'; the nearest is '")


def test_an_application_without_routes(run: Run, project: Path) -> None:
    """Nothing to say, and no nearest one."""
    write(project, {"main.py": "from fastapi import FastAPI\napp = FastAPI()"})
    assert run("explain", "main:app") == Result(0, "", "")
    assert json.loads(run("explain", "main:app", "--json").out) == {"version": 1, "app": "main:app", "routes": []}
    assert run("explain", "main:app", "/") == Result(
        2, "", "error: there is no route '/'; the application has no API routes\n"
    )


ODD = """
    from dependency_injector import containers, providers
    from fastapi import FastAPI
    from interceptors import InterceptorRegistry, intercept
    from interceptors.fastapi import install

    class Layer:
        async def intercept(self, ctx, next): ...

    def written(text):
        exec(text, space := {})
        return space["nowhere"]

    class Container(containers.DeclarativeContainer):
        layer = providers.Singleton(Layer)

    registry = InterceptorRegistry(Container())
    registry.add_global(written("async def nowhere(ctx, next): ..."), group="two\\nlines", key="größe")
    app = FastAPI()
    install(app, registry)

    class Handlers:
        @intercept("layer")
        async def bound(self) -> None: ...

        @intercept(Container.layer)
        async def __call__(self) -> None: ...

    class Nowhere: ...
    exec("class Nowhere:\\n async def intercept(self, ctx, next): ...", space := {"__name__": "nowhere"})

    app.get("/bound")(Handlers().bound)
    app.get("/callable")(Handlers())
    app.get("/written")(intercept(space["Nowhere"])(lambda: None))
"""


def test_odd_layers_and_handlers(run: Run, project: Path) -> None:
    """Bound methods, callables, providers, what has no source file, texts with line ends."""
    write(project, {"main.py": ODD})
    assert run("explain", "main:app").lines == [
        "GET /bound  Handlers.bound",
        "  1  global  two\\nlines  größe  nowhere  <string>:1",
        "  2  method  -  layer  Layer  main.py:6",
        "GET /callable  Handlers.__call__",
        "  1  global  two\\nlines  größe  nowhere  <string>:1",
        "  2  method  -  -  Layer  main.py:6",
        "GET /written  <lambda>",
        "  1  global  two\\nlines  größe  nowhere  <string>:1",
        "  2  method  -  -  Nowhere  -",
    ]
    (route,) = json.loads(run("explain", "main:app", "/written", "--json").out)["routes"]
    assert [(layer["key"], layer["file"], layer["line"]) for layer in route["chain"]] == [
        ("größe", "<string>", 1),
        (None, None, None),
    ]


def test_files_through_links(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is below the current folder is relative, by whatever name it was imported."""
    write(project, {"real/layers.py": LAYERS})
    outside = project.parent / "outside"
    outside.mkdir()
    (outside / "linked").symlink_to(project / "real")
    (project / "away").symlink_to(outside)
    monkeypatch.syspath_prepend(str(outside / "linked"))
    main = dedent(MAIN).replace("shop.layers", "layers")
    write(project, {"main.py": main, "away/far.py": "async def far(ctx, next): ..."})
    assert run("explain", "main:app", "GET /v1/outer/inner").lines[1] == (
        f"  1  global  auth  -  Auth  {place('Auth').replace('shop', 'real')}"
    )
    write(
        project,
        {"other.py": main.replace("registry.add_global(Auth", "from away.far import far\nregistry.add_global(far")},
    )
    assert run("explain", "other:app", "GET /v1/outer/inner").lines[1].endswith("  far  away/far.py:1")


def test_a_file_elsewhere(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not below the current folder has its whole path, so that an editor finds it."""
    outside = project.parent / "outside"
    write(outside, {"layers.py": LAYERS})
    monkeypatch.syspath_prepend(str(outside))
    write(project, {"main.py": dedent(MAIN).replace("shop.layers", "layers")})
    assert run("explain", "main:app", "GET /v1/outer/inner").lines[1] == (
        f"  1  global  auth  -  Auth  {place('Auth').replace('shop', str(outside))}"
    )


def test_a_chain_that_cannot_be_put_together(run: Run, project: Path) -> None:
    """One line, exit code 1; other routes can still be asked for."""
    write(
        project,
        {
            "main.py": """
                from fastapi import FastAPI
                from interceptors import InterceptorRegistry, intercept
                from interceptors.fastapi import install

                registry = InterceptorRegistry()
                app = FastAPI()
                install(app, registry)

                @app.get("/broken")
                @intercept("unknown")
                async def broken() -> None: ...

                @app.get("/sound")
                async def sound() -> None: ...
            """
        },
    )
    for options in ([], ["--json"]):
        result = run("explain", "main:app", *options)
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith("error: UnknownKeyError: No key 'unknown' is bound (asked for by @intercept on")
        assert result.err.count("\n") == 1
    assert run("explain", "main:app", "sound") == Result(0, "GET /sound  sound\n  (no interceptors)\n", "")


def test_the_installed_script(shop: Path) -> None:
    """The entry point of pyproject.toml is the same command."""
    script = "import sys; from importlib import import_module as i; sys.exit(i('interceptors.cli').main())"
    result = run_process(shop, "explain", "shop.main:app", python=("-c", script))
    assert result.out == TEXT
