"""Finding hooks and events: in files by convention, in code by decorators; and what is refused at start-up."""

import importlib
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, String
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase

from interceptors import InterceptorRegistry, intercept
from interceptors.errors import InterceptorError
from interceptors.events import EventDispatcher, EventError
from interceptors.resources import (
    DuplicateHookError,
    Handler,
    HookParameterError,
    InvalidHookError,
    Resource,
    ResourceError,
    Resources,
    UnknownHookError,
    UnknownModelError,
)
from tests.integration.resources.site_support import Database, Post, Site, User, only, taking

Files = Callable[..., str]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    """Writes the modules of a package `shop` and gives its name; afterwards they are forgotten."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(**modules: str) -> str:
        for name, content in {"__init__": "", **modules}.items():
            path = tmp_path / "shop" / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(content))
        importlib.invalidate_caches()
        return "shop"

    yield write
    for name in [name for name in sys.modules if name == "shop" or name.startswith("shop.")]:
        del sys.modules[name]


def hooks(**modules: str) -> dict[str, str]:
    """Modules in the folder of hooks."""
    return {f"hooks__in__{name}": content for name, content in modules.items()}


def events(**modules: str) -> dict[str, str]:
    """Modules in the folder of events."""
    return {f"events__in__{name}": content for name, content in modules.items()}


def declared(*resources: type[Resource]) -> Resources:
    registry, sessions = InterceptorRegistry(), async_sessionmaker()
    made = Resources(registry, sessions, EventDispatcher(registry, sessions=sessions))
    made.add(*(resources or only(*Handler)))
    return made


def refused(package: str, kind: type[Exception]) -> str:
    """The message of what is wrong with the files of a package."""
    resources = declared()
    with pytest.raises(kind) as raised:
        resources.discover(package)
        resources.router()
    assert isinstance(raised.value, ResourceError)
    return str(raised.value)


@pytest.fixture
async def shop(database: Database, site: Site) -> Site:
    """A user."""
    await database.add(User(name="ann"))
    return site


STAMP = """
    async def on_before_insert(form_data):
        form_data["role"] = "{}"
"""


async def role_of_a_new_user(site: Site) -> str:
    async with site.client() as client:
        answer = await client.post("/users", json={"name": "bob"})
    assert answer.status_code == 201, answer.text
    return answer.json()["role"]


# -- files -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["user_hooks", "UserHooks", "userHooks"])
async def test_a_file_of_hooks(shop: Site, files: Files, name: str):
    """`user_hooks.py` and the seed's `UserHooks` hold the hooks of User."""
    shop.use(*only(Handler.INSERT))
    shop.resources.discover(files(**hooks(**{name: STAMP.format("filed")})))
    assert await role_of_a_new_user(shop) == "filed"


async def test_a_file_of_events(shop: Site, files: Files, database: Database):
    """`events/user_events.py` holds its events, which are delivered."""
    written = files(
        **events(
            user_events="""
            from sqlalchemy import text

            told = []

            async def on_after_insert(item, session):
                told.append(item["name"])

            def onBeforeInsert(formData):
                told.append("before")
            """
        )
    )
    shop.use(*only(Handler.INSERT))
    shop.resources.discover(written)
    await role_of_a_new_user(shop)
    assert sorted(sys.modules["shop.events.user_events"].told) == ["before", "bob"]


async def test_the_package_itself(shop: Site, files: Files):
    """`discover` takes the module, too."""
    shop.use(*only(Handler.INSERT))
    shop.resources.discover(importlib.import_module(files(**hooks(user_hooks=STAMP.format("filed")))))
    assert await role_of_a_new_user(shop) == "filed"


@pytest.mark.parametrize("function", ["on_before_insert(form_data)", "onBeforeInsert(formData)"])
async def test_both_spellings_in_files(shop: Site, files: Files, function: str):
    """Functions and parameters may be spelled as in the seed."""
    name = "formData" if "formData" in function else "form_data"
    content = f"def {function}:\n    {name}['role'] = 'filed'\n"
    shop.use(*only(Handler.INSERT))
    shop.resources.discover(files(**hooks(user_hooks=content)))
    assert await role_of_a_new_user(shop) == "filed"


async def test_names_that_are_no_hooks(shop: Site, files: Files):
    """Other names in a hook file are ignored: imports, helpers, constants, and words that begin with "on"."""
    content = """
    import json
    from sqlalchemy import select

    ROLE = "filed"
    once = only = on = onward = 1
    _on_before_insert = "private"

    class Helper:
        pass

    def helper(form_data):
        form_data["role"] = ROLE

    async def on_before_insert(form_data):
        helper(form_data)
    """
    shop.use(*only(Handler.INSERT))
    shop.resources.discover(files(**hooks(user_hooks=content)))
    assert await role_of_a_new_user(shop) == "filed"


async def test_helpers_with_an_underscore(shop: Site, files: Files):
    """A module that starts with an underscore is not looked at, and may be imported by the others."""
    helpers = "def on_nonsense(): ...\nROLE = 'filed'\n"
    content = "from shop.hooks._helpers import ROLE\ndef on_before_insert(form_data): form_data['role'] = ROLE\n"
    shop.use(*only(Handler.INSERT))
    shop.resources.discover(files(**hooks(_helpers=helpers, user_hooks=content, _broken="raise RuntimeError")))
    assert await role_of_a_new_user(shop) == "filed"


async def test_an_imported_hook(shop: Site, files: Files):
    """A hook may be imported from elsewhere: its name in the file says what it is."""
    content = "from shop.common import stamp as on_before_insert\n"
    common = "def stamp(form_data): form_data['role'] = 'imported'\n"
    shop.use(*only(Handler.INSERT))
    shop.resources.discover(files(common=common, **hooks(user_hooks=content)))
    assert await role_of_a_new_user(shop) == "imported"


@pytest.mark.parametrize(
    "modules", [{}, {"hooks": "x = 1"}, {"hooks__in____init__": ""}], ids=["none", "module", "empty"]
)
async def test_missing_folders(shop: Site, files: Files, modules: dict[str, str]):
    """Without the folders, or with empty ones, nothing is found, and that is fine."""
    shop.use(*only(Handler.INSERT))
    shop.resources.discover(files(**modules))
    assert await role_of_a_new_user(shop) == "reader"


def test_a_missing_package(files: Files):
    """A package that does not exist is no missing folder."""
    with pytest.raises(ModuleNotFoundError, match="shopp"):
        declared().discover("shopp")


def test_an_error_in_a_file(files: Files):
    """What a file raises when it is imported comes out as it is."""
    with pytest.raises(ZeroDivisionError):
        declared().discover(files(**hooks(user_hooks="1 / 0")))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("ExamLesson", "exam_lesson_hooks"),
        ("ExamLesson", "ExamLessonHooks"),
        ("HTTPLog", "http_log_hooks"),
        ("HTTPLog", "HTTPLogHooks"),
    ],
)
def test_files_of_models_with_long_names(files: Files, model: str, name: str):
    """`exam_lesson_hooks` and `ExamLessonHooks` are those of ExamLesson; `http_log_hooks` those of HTTPLog."""
    base = type("Base", (DeclarativeBase,), {})
    mapped = type(model, (base,), {"__tablename__": model, "id": Column(Integer, primary_key=True)})
    resources = declared(type("R", (Resource,), {"model": mapped}))
    resources.discover(files(**hooks(**{name: "async def on_before_insert(): ..."})))
    assert resources.router().routes


# -- what is refused of files ---------------------------------------------------------------------------------------------------


def place_in(message: str, file: str, line: int) -> bool:
    """Is the file and the line in the message?"""
    return re.search(rf"{re.escape(file)}:{line}\b", message) is not None


@pytest.mark.parametrize("folder", ["hooks", "events"])
@pytest.mark.parametrize("name", ["user", "users", "user_hook", "user_event", "UserHook", "hooks", "events", "Hooks"])
def test_a_file_of_another_name(files: Files, folder: str, name: str):
    """A module that is not called after a model is an UnknownModelError that names it; silence would leave it dead."""
    message = refused(files(**{f"{folder}__in__{name}": "x = 1"}), UnknownModelError)
    assert f"shop.{folder}.{name}" in message
    assert f"<model>_{folder}" in message


def test_a_file_in_the_wrong_folder(files: Files):
    """Events among the hooks are not found as hooks."""
    assert "shop.hooks.user_events" in refused(files(**hooks(user_events="")), UnknownModelError)


@pytest.mark.parametrize("folder", ["hooks", "events"])
def test_a_file_of_an_unknown_model(files: Files, folder: str):
    """A file of a model that no resource has: file, line, the name and the nearest ones."""
    content = "\n\nasync def on_after_insert(item): ...\n"
    message = refused(files(**{f"{folder}__in__usr_{folder}": content}), UnknownModelError)
    assert place_in(message, f"usr_{folder}.py", 3)
    assert "usr" in message
    assert "Did you mean 'User'" in message


def test_unknown_model_is_a_lookup_error(files: Files):
    """It is a LookupError and knows the name."""
    resources = declared()
    resources.discover(files(**hooks(usr_hooks="async def on_after_insert(item): ...\n")))
    with pytest.raises(LookupError) as raised:
        resources.router()
    assert isinstance(raised.value, UnknownModelError)
    assert raised.value.name == "usr"


def test_an_empty_file_of_an_unknown_model(files: Files):
    """A file without any hook of a model that nobody has is a mistake as well."""
    assert "usr" in refused(files(**hooks(usr_hooks="x = 1\n")), UnknownModelError)


@pytest.mark.parametrize("folder", ["hooks", "events"])
@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("on_before_insrt", "on_before_insert"),
        ("onBeforeInsrt", "on_before_insert"),
        ("on_before_inserts", "on_before_insert"),
        ("on_after_updat_query", "on_after_update_query"),
        ("on_before_pagination", "on_before_paginate"),
        ("onAfterForceDelete", "on_after_delete"),
    ],
)
def test_an_unknown_hook(files: Files, folder: str, name: str, nearest: str):
    """A name that is no hook's: file, line, the name, and the nearest ones."""
    content = f"\n\n\nasync def {name}(): ...\n"
    message = refused(files(**{f"{folder}__in__user_{folder}": content}), UnknownHookError)
    assert f"user_{folder}.py" in message
    assert f"'{name}'" in message
    assert f"'{nearest}'" in message.partition("There are:")[0]


def test_an_unknown_hook_is_a_lookup_error():
    """It is a LookupError and knows the name and the nearest ones."""
    with pytest.raises(LookupError) as raised:
        declared().hook(User, "on_before_insrt")(taking((), lambda _: None, called="f"))
    assert isinstance(raised.value, UnknownHookError)
    assert raised.value.name == "on_before_insrt"
    assert raised.value.nearest[0] == "on_before_insert"


def test_the_line_of_an_unknown_hook(files: Files):
    """The message names the line where the function stands."""
    content = "\n\n\nasync def on_before_insrt(): ...\n"
    assert place_in(refused(files(**hooks(user_hooks=content)), UnknownHookError), "user_hooks.py", 4)


@pytest.mark.parametrize(
    ("folder", "parameter", "nearest"),
    [
        ("hooks", "form_dat", "form_data"),
        ("hooks", "formDat", "form_data"),
        ("hooks", "item", None),
        ("hooks", "facts", None),
        ("hooks", "requst", "request"),
        ("events", "form_dat", "form_data"),
        ("events", "in_transaction", None),
        ("events", "atempt", "attempt"),
        ("hooks", "*args", None),
        ("hooks", "**kwargs", None),
        ("hooks", "form_data, /", None),
        ("events", "*args", None),
    ],
)
def test_a_wrong_parameter(files: Files, folder: str, parameter: str, nearest: str | None):
    """A parameter that is not given: file, line, its name, and the nearest ones; a TypeError."""
    content = f"\n\nasync def on_before_insert({parameter}): ...\n"
    message = refused(files(**{f"{folder}__in__user_{folder}": content}), HookParameterError)
    assert place_in(message, f"user_{folder}.py", 3)
    assert parameter.removesuffix(", /") in message
    assert "form_data" in message
    assert nearest is None or f"Did you mean '{nearest}'" in message


def test_a_wrong_parameter_is_a_type_error():
    """It is a TypeError and knows the function and the parameter."""

    def on_before_insert(nothing: Any) -> None:
        raise AssertionError

    with pytest.raises(TypeError) as raised:
        declared().hook(User)(on_before_insert)
    assert isinstance(raised.value, HookParameterError)
    assert (raised.value.hook, raised.value.parameter) == (on_before_insert, "nothing")


def test_a_parameter_with_a_default():
    """A default does not help: nothing would ever give the parameter."""

    def on_before_insert(nothing: Any = 1) -> None:
        raise AssertionError

    with pytest.raises(HookParameterError, match="nothing"):
        declared().hook(User)(on_before_insert)


@pytest.mark.parametrize("folder", ["hooks", "events"])
@pytest.mark.parametrize(
    "content",
    [
        "on_before_insert = 5",
        "on_before_insert = 'text'",
        "on_before_insert = None",
        "class on_before_insert: ...",
        "class C:\n    def __call__(self): ...\non_before_insert = C()",
        "import functools\non_before_insert = functools.partial(print)",
        "on_before_insert = print",
    ],
)
def test_what_is_no_function(files: Files, folder: str, content: str):
    """A hook is a function: anything else of such a name is an InvalidHookError, a TypeError, that names the file."""
    resources = declared()
    with pytest.raises(TypeError) as raised:
        resources.discover(files(**{f"{folder}__in__user_{folder}": content}))
    assert isinstance(raised.value, InvalidHookError)
    assert isinstance(raised.value, ResourceError)
    assert raised.value.hook is sys.modules[f"shop.{folder}.user_{folder}"].on_before_insert
    assert f"user_{folder}.py" in str(raised.value)


@pytest.mark.parametrize("content", ["def on_before_insert():\n    yield", "async def on_before_insert():\n    yield"])
@pytest.mark.parametrize("folder", ["hooks", "events"])
def test_a_generator_is_no_hook(files: Files, folder: str, content: str):
    """A function with `yield` would never run: it is refused."""
    resources = declared()
    with pytest.raises((InvalidHookError, EventError)) as raised:
        resources.discover(files(**{f"{folder}__in__user_{folder}": content}))
        resources.router()
    assert f"user_{folder}.py" in str(raised.value)


# -- duplicates ------------------------------------------------------------------------------------------------------------------


def test_snake_and_camel_in_one_file(files: Files):
    """Two spellings of one name are two functions for one hook: both places are named."""
    content = "async def on_before_insert(): ...\n\nasync def onBeforeInsert(): ...\n"
    message = refused(files(**hooks(user_hooks=content)), DuplicateHookError)
    assert place_in(message, "user_hooks.py", 1)
    assert place_in(message, "user_hooks.py", 3)
    assert "on_before_insert" in message
    assert "User" in message or "user" in message


@pytest.mark.parametrize("folder", ["hooks", "events"])
def test_two_files_of_one_model(files: Files, folder: str):
    """`user_hooks.py` beside `UserHooks.py`: the second function of a name is refused."""
    content = "async def on_before_insert(): ...\n"
    suffix = folder.title()
    message = refused(
        files(**{f"{folder}__in__user_{folder}": content, f"{folder}__in__User{suffix}": content}), DuplicateHookError
    )
    assert f"user_{folder}.py:1" in message
    assert f"User{suffix}.py:1" in message


@pytest.mark.parametrize("folder", ["hooks", "events"])
@pytest.mark.parametrize("code_first", [True, False])
def test_file_and_code(files: Files, folder: str, code_first: bool):
    """A function in a file and one in code for the same name: both places are named."""
    package = files(**{f"{folder}__in__user_{folder}": "async def on_before_insert(): ...\n"})
    resources = declared()
    declare = resources.hook if folder == "hooks" else resources.event

    async def in_code() -> None:
        raise AssertionError

    steps = [lambda: declare(User, "on_before_insert")(in_code), lambda: resources.discover(package)]
    with pytest.raises(ValueError, match="on_before_insert") as raised:
        for step in steps if code_first else reversed(steps):
            step()
    assert isinstance(raised.value, DuplicateHookError)
    assert f"user_{folder}.py:1" in str(raised.value)
    assert Path(__file__).name in str(raised.value)
    assert in_code in (raised.value.first, raised.value.second)


def test_twice_in_code():
    """So are two functions in code, also in two spellings; a hook and an event of one name are none."""
    resources = declared()

    def first() -> None:
        raise AssertionError

    resources.hook(User, "on_before_insert")(first)
    resources.event(User, "on_before_insert")(first)
    resources.hook(Post, "on_before_insert")(first)
    for declare in (resources.hook, resources.event):
        with pytest.raises(DuplicateHookError):
            declare(User, "onBeforeInsert")(taking((), lambda _: None, called="second"))


# -- in code -----------------------------------------------------------------------------------------------------------------------


async def test_hooks_in_code(shop: Site):
    """`@resources.hook(User)` takes the function's name, gives the function back, and may stand before `add`."""
    resources = Resources(shop.registry, shop.database.sessions, shop.events)

    @resources.hook(User)
    async def on_before_insert(form_data: dict[str, Any]) -> None:
        form_data["role"] = "coded"

    assert on_before_insert.__name__ == "on_before_insert"
    resources.add(*only(Handler.INSERT))
    shop.resources = resources
    assert await role_of_a_new_user(shop) == "coded"


def test_a_hook_of_a_model_without_resource():
    """A hook of a model that has no resource is an UnknownModelError that names function, file and line."""
    base = type("Base", (DeclarativeBase,), {})
    other = type("Usre", (base,), {"__tablename__": "usre", "id": Column(String, primary_key=True)})
    resources = declared()

    @resources.hook(other)
    async def on_before_insert() -> None:
        raise AssertionError

    with pytest.raises(UnknownModelError) as raised:
        resources.router()
    message = str(raised.value)
    assert "on_before_insert" in message
    assert re.search(rf"{re.escape(Path(__file__).name)}:\d+", message)
    assert "'Usre'" in message or "Usre" in message
    assert "Did you mean 'User'" in message


def test_a_hook_of_another_class_of_that_name():
    """A model is told by its class, not by its name alone: a namesake elsewhere is not the resource's model."""
    base = type("Base", (DeclarativeBase,), {})
    namesake = type("User", (base,), {"__tablename__": "namesake", "id": Column(Integer, primary_key=True)})
    resources = declared()

    @resources.hook(namesake)
    async def on_before_insert() -> None:
        raise AssertionError

    with pytest.raises(UnknownModelError):
        resources.router()


@pytest.mark.parametrize("thing", [5, "text", None, Handler], ids=repr)
def test_decorating_what_is_no_function(thing: Any):
    """The decorator refuses it where it stands."""
    for declare in (declared().hook, declared().event):
        with pytest.raises(InvalidHookError):
            declare(User, "on_before_insert")(thing)


def test_an_unknown_name_in_code():
    """A function whose name is none of a hook's needs the name to be given."""
    with pytest.raises(UnknownHookError, match=rf"{re.escape(Path(__file__).name)}:\d+.*'tidy'"):

        @declared().hook(User)
        def tidy() -> None:
            raise AssertionError


def test_every_error_is_a_resource_error():
    """And an InterceptorError, with the built-in class that the contract names."""
    kinds = {
        UnknownModelError: LookupError,
        UnknownHookError: LookupError,
        HookParameterError: TypeError,
        DuplicateHookError: ValueError,
        InvalidHookError: TypeError,
    }
    for kind, builtin in kinds.items():
        assert issubclass(kind, ResourceError)
        assert issubclass(kind, builtin)
    assert issubclass(ResourceError, ValueError)
    assert issubclass(ResourceError, InterceptorError)


def test_a_decorated_hook():
    """No chain runs around a hook, so @intercept on one would be a silent no-op: it is refused."""

    async def layer(ctx: Any, next: Any) -> Any:
        raise AssertionError

    resources = declared()
    with pytest.raises(InvalidHookError, match=r"on_before_show .*@intercept"):

        @resources.hook(User)
        @intercept(layer)
        async def on_before_show() -> None:
            raise AssertionError
