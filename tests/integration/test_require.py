"""`registry.require`: every route runs a layer, or says why it need not; else the application does not start."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from dependency_injector import providers
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.responses import PlainTextResponse

from interceptors import (
    Chain,
    InterceptorRegistry,
    MissingLayerError,
    UnknownKeyError,
    UnknownRouteError,
    WrongCallError,
    annotate,
    intercept,
    skip_interceptors,
)
from interceptors.cli.check import check_application
from interceptors.cli.commands import run
from interceptors.fastapi import controller, get, install
from interceptors.requirements import Requirement
from interceptors.testing import override
from tests.integration.support import Next, place, started


async def auth(ctx: Any, next: Next) -> Any:
    return await next()


async def log(ctx: Any, next: Next) -> Any:
    return await next()


class Auth:
    async def intercept(self, ctx: Any, next: Next) -> Any:
        return await next()


def application(required: Any = "auth", **options: Any) -> tuple[FastAPI, InterceptorRegistry]:
    app, registry = FastAPI(), InterceptorRegistry()
    registry.bind("auth", auth)
    registry.require(*(() if required is None else (required,)), **options)
    install(app, registry)
    return app, registry


async def missing(app: FastAPI) -> dict[str, str]:
    """The routes for which an application does not start, with what is said of them."""
    try:
        async with started(app):
            return {}
    except MissingLayerError as error:
        return dict(zip(error.missing, error.reasons, strict=True))


async def show() -> str:
    return "in"


@pytest.mark.parametrize("layer", ["auth", auth, Chain(["auth"]), Chain([log, Chain([auth])])], ids=range(4))
@pytest.mark.parametrize("required", ["auth", auth], ids=["key", "itself"])
@pytest.mark.parametrize("level", ["function", "router", "global"])
async def test_however_it_is_named_and_wherever_it_stands(layer: Any, required: Any, level: str) -> None:
    """By its key or by itself, in a chain of chains, on the function, on a router around it or globally."""
    app, registry = application(required)
    router = APIRouter()

    async def handler() -> str:
        return "in"

    router.get("/x")(intercept(layer)(handler) if level == "function" else handler)
    app.include_router(intercept(layer)(router) if level == "router" else router)
    assert list(await missing(app)) == (["GET /x"] if level == "global" else [])
    if level == "global":
        registry.add_global(layer)
        assert await missing(app) == {}


async def test_what_is_said_of_each_route() -> None:
    """What handles it, where that is written, and why it does not run the layer."""
    app, registry = application()
    registry.add_global("auth", source="proxy")

    @app.get("/other")
    async def other() -> None: ...

    @app.get("/skips")
    @skip_interceptors("auth")
    @intercept("auth")
    async def skips() -> None: ...

    async def raw(request: Any) -> Any:
        return PlainTextResponse("raw")

    app.add_route("/raw", raw)
    said = await missing(app)
    assert said == {
        "GET /other": f"GET /other (other, {place(other)}): source: only proxy",
        "GET /skips": said["GET /skips"],
        "GET /raw": f"GET /raw (raw, {place(raw)}): no chain runs there",
    }
    with pytest.raises(MissingLayerError) as caught:
        async with started(app):
            pass
    assert str(caught.value).startswith(
        "registry.require asks for the layer 'auth' on every route, and 3 do not run it: "
    )
    assert '`exempt=["GET /path"]`' in str(caught.value)


async def test_a_skip_on_a_class_is_named_with_its_place() -> None:
    """A reader finds it there."""

    @controller()
    @skip_interceptors(group="security")
    class C:
        @get("/x")
        async def x(self) -> None: ...

    app, registry = FastAPI(), InterceptorRegistry()
    registry.add_global(auth, group="security")
    registry.require(group="security")
    install(app, registry, [C])
    (said,) = (await missing(app)).values()
    assert "skipped: @skip_interceptors(group='security'), on " in said
    assert f"{C.__name__} ({place(C)})" in said


@pytest.mark.parametrize("value", [True, "yes", 1])
async def test_an_annotation_excuses_where_it_is_true(value: object) -> None:
    """On the function, on its router, whatever is true."""
    app, _ = application(unless="public")
    router = annotate(public=value)(APIRouter())
    router.get("/router")(show)
    app.include_router(router)

    @app.get("/function")
    @annotate(public=value)
    async def function() -> None: ...

    @app.get("/none")
    @annotate(public=None)
    async def none() -> None: ...

    assert list(await missing(app)) == ["GET /none"]


async def test_every_kind_of_route_counts_once() -> None:
    """A WebSocket, a stream, each verb, each inclusion, what is mounted and has a registry of its own."""
    app, registry = application(exempt=["POST /verbs", "/v1/x"])
    app.api_route("/verbs", methods=["GET", "POST"])(show)
    router = APIRouter()
    router.get("/x")(show)
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")

    @app.websocket("/ws")
    async def talk(socket: WebSocket) -> None: ...

    @app.get("/stream")
    async def stream() -> AsyncIterator[str]:
        yield "x"

    inner, inner_registry = FastAPI(openapi_url=None), InterceptorRegistry()
    inner_registry.add_global(auth)
    inner.get("/guarded")(show)
    install(inner, inner_registry)
    app.mount("/inner", inner)
    bare = FastAPI(openapi_url=None)
    bare.get("/x")(show)
    app.mount("/bare", bare)
    assert list(await missing(app)) == ["GET /verbs", "GET /v2/x", "WEBSOCKET /ws", "GET /stream", "GET /bare/x"]


async def test_an_exemption_of_nothing_and_a_key_of_nothing_stop_the_start() -> None:
    """The near route or key is named."""
    app, _ = application(exempt=["GET /helth"])
    app.get("/health")(intercept(auth)(show))
    with pytest.raises(UnknownRouteError, match="Did you mean 'GET /health'"):
        async with started(app):
            pass
    app, _ = application("auht")
    with pytest.raises(UnknownKeyError, match="registry.require.*Did you mean 'auth'"):
        async with started(app):
            pass


async def test_what_it_is_bound_to_counts_when_the_application_starts() -> None:
    """Also a provider, and where a test has something else run in its place."""
    app, registry = application()
    registry.bind("auth", providers.Factory(Auth))
    registry.add_global("auth")
    app.get("/x")(show)
    assert await missing(app) == {}
    with override(registry, "auth", log):
        assert await missing(app) == {}


@pytest.mark.parametrize(
    ("given", "options"), [((), {}), (("auth",), {"group": "security"}), ((None,), {})], ids=["nothing", "both", "None"]
)
def test_an_interceptor_or_a_group(given: Any, options: Any) -> None:
    """One of them, and the message says how it is written."""
    with pytest.raises(WrongCallError, match=r'registry\.require\("auth"\)'):
        InterceptorRegistry().require(*given, **options)


def test_check_lists_all_that_do_not_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for each, also of an application without a registry, which intercepts nothing."""
    (tmp_path / "plain_shop_of_seven.py").write_text(
        "from fastapi import FastAPI\napp = FastAPI()\nfor n in range(7):\n    app.get(f'/r{n}')(lambda: 1)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert check_application("plain_shop_of_seven:app", lock=None, verify=None)
    assert not check_application("plain_shop_of_seven:app", lock=None, verify=None, require=Requirement("auth"))
    lines = [line for line in capsys.readouterr().out.splitlines() if "MissingLayerError" in line]
    assert len(lines) == 7
    assert "GET /r6" in lines[-1] and "no chain runs there" in lines[-1]


def test_check_says_once_that_a_required_key_is_not_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not that each route lacks what does not exist."""
    (tmp_path / "shop_of_a_typo.py").write_text(
        "from fastapi import FastAPI\nfrom interceptors import InterceptorRegistry\n"
        "from interceptors.fastapi import install\n\n\nasync def auth(ctx, next):\n    return await next()\n\n\n"
        "registry = InterceptorRegistry()\nregistry.bind('auth', auth)\nregistry.add_global('auth')\n"
        "app = FastAPI()\napp.get('/x')(lambda: 1)\ninstall(app, registry)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert check_application("shop_of_a_typo:app", lock=None, verify=None, require=Requirement("auth"))
    assert not check_application("shop_of_a_typo:app", lock=None, verify=None, require=Requirement("auht"))
    problems = [line for line in capsys.readouterr().out.splitlines() if "Error" in line]
    assert len(problems) == 1
    assert "UnknownKeyError" in problems[0] and "Did you mean 'auth'" in problems[0]


def test_unless_excuses_from_what_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    """Alone it says nothing."""
    assert run(["check", "shop:app", "--unless", "public"]) == 2
    assert "--unless excuses routes from --require" in capsys.readouterr().err


async def test_a_class_that_only_annotates_is_not_where_it_is_skipped() -> None:
    """Only what skips is named."""

    @controller()
    @annotate(area="shop")
    class C:
        @get("/x")
        @skip_interceptors("auth")
        async def x(self) -> None: ...

    app, registry = FastAPI(), InterceptorRegistry()
    registry.bind("auth", auth)
    registry.add_global("auth")
    registry.require("auth")
    install(app, registry, [C])
    (said,) = (await missing(app)).values()
    assert said.endswith(f", on C.x ({place(C.x)})")
