"""Reading signatures leniently: what is injected and what a caller gives, however the annotation is written."""

import sys
from dataclasses import dataclass, field
from typing import Annotated, Any, ForwardRef, Optional, Union

import pytest
from dependency_injector.wiring import Provide, Provider
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypeAliasType

from interceptors import InjectionError, InterceptorRegistry, InvocationContext
from interceptors.testing import make_context
from tests.unit import postponed
from tests.unit.helpers import call


def bare_request() -> Request:
    return Request({"type": "http", "headers": []})


async def test_a_marker_is_found_wherever_it_stands() -> None:
    """In the default, in `Annotated`, in an optional, inside a union: the parameter is injected."""

    async def target(
        amount: int,
        annotated: Annotated[str, Provide["key"]],
        noted: Annotated[str, "a note", Provide["key"], 5],
        optional: Annotated[str | None, Provide["key"]],
        in_union: Annotated[str, Provide["key"]] | None,
        in_typing_union: Union[int, Annotated[str, Provide["key"]]],
        in_optional: Optional[Annotated[str, Provide["key"]]],
        nested: Annotated[Annotated[str, Provide["key"]], "a note"],
        unannotated=Provide["key"],
        default: str = Provide["key"],
    ) -> Any:
        return [annotated, noted, optional, in_union, in_typing_union, in_optional, nested, unannotated, default]

    assert await call(target, 1, bind={"key": "value"}) == ["value"] * 9


async def test_the_default_counts_more_than_the_annotation() -> None:
    """A marker in the default wins over one in the annotation, and over a special type."""

    async def target(
        value: Annotated[str, Provide["annotation"]] = Provide["default"], request: Request = Provide["default"]
    ) -> Any:
        return value, request

    assert await call(target, bind={"default": 1, "annotation": 2}) == (1, 1)


async def test_request_response_and_context_are_recognised_by_type() -> None:
    """Also in an optional, in `Annotated`, and as a subclass; and nothing else is taken for them."""

    class MyRequest(Request): ...

    async def target(
        first: Request,
        mine: MyRequest,
        optional: Request | None,
        annotated: Annotated[Request, "a note"],
        response: Response,
        json: JSONResponse,
        ctx: InvocationContext,
        amount: int = 1,
        connection: HTTPConnection | None = None,
    ) -> Any:
        return [first, mine, optional, annotated], [response, json], ctx.args.names

    request = bare_request()

    assert await call(target, request=request) == ([request] * 4, [None, None], ("amount", "connection"))


async def test_a_marker_counts_more_than_a_special_type() -> None:
    """`Annotated[Request, Provide["other"]]` is the other request."""

    async def target(request: Annotated[Request, Provide["other"]]) -> Any:
        return request

    assert await call(target, bind={"other": 5}, request=bare_request()) == 5


async def test_postponed_annotations_are_evaluated_each_on_its_own() -> None:
    """A name that exists only under TYPE_CHECKING does no harm, also in an alias, a union or a generic."""
    assert await call(postponed.by_marker, 1, bind={"repo": "repo"}) == ["repo"] * 13


async def test_special_types_are_recognised_under_type_checking() -> None:
    """Where the class cannot be seen its bare name decides."""
    request = bare_request()

    found = await call(postponed.by_type, request=request)

    assert found == (request, request, request, request, request, None, ("amount",))


async def test_a_name_that_does_not_exist_is_no_reason_to_inject() -> None:
    """What has no marker and no special name is an argument like any other."""
    assert await call(postponed.visible, 1, maybe=2) == (1, 2)


async def test_what_cannot_be_evaluated_is_an_argument() -> None:
    """Whatever an annotation does when it is read, it is not ours to complain."""

    async def target(broken, raises, text="x") -> Any:
        return broken, raises, text

    target.__annotations__ = {"broken": "not python (", "raises": "1 / 0", "text": "'still text'", "return": "(("}

    assert await call(target, 1, 2) == (1, 2, "x")


async def test_forward_references_are_followed() -> None:
    """`ForwardRef`, text, and text in text all stand for what they name."""

    async def target(one, two, three, four) -> Any:
        return one, two, three, four

    target.__annotations__ = {
        "one": ForwardRef("Request"),
        "two": "'Request'",
        "three": Optional[ForwardRef("somewhere.Request")],
        "four": ForwardRef("InvocationContext | None"),
    }
    request = bare_request()
    one, two, three, four = await call(target, request=request)

    assert [one, two, three] == [request] * 3
    assert isinstance(four, InvocationContext)


async def test_type_aliases_are_looked_through() -> None:
    """An alias of the `type` statement stands for its value, `TypeAliasType` of typing_extensions, too."""
    Key = TypeAliasType("Key", Annotated[str, Provide["key"]])
    MaybeRequest = TypeAliasType("MaybeRequest", Request | None)
    Count = TypeAliasType("Count", int)

    async def target(count: Count, key: Key, request: MaybeRequest, optional: Key | None) -> Any:
        return count, key, request, optional

    request = bare_request()

    assert await call(target, 3, bind={"key": "k"}, request=request) == (3, "k", request, "k")


async def test_a_type_alias_over_a_missing_name_is_an_argument() -> None:
    """A `type` statement over a name that exists only under TYPE_CHECKING cannot be looked through."""
    if sys.version_info >= (3, 12):
        namespace: dict[str, Any] = {}
        exec("type Missing = OnlyForCheckers", namespace)
        missing = namespace["Missing"]
    else:

        class TypeAliasType:  # a `type` statement is evaluated when it is asked for its value
            @property
            def __value__(self) -> Any:
                raise NameError

        missing = TypeAliasType()

    async def target(value) -> Any:
        return value

    target.__annotations__ = {"value": missing}

    assert await call(target, 5) == 5


async def test_constructors_are_read_where_they_were_written() -> None:
    """Postponed annotations of a constructor, of a dataclass and of a base in another module are understood."""

    class Inherits(postponed.Injected): ...

    async def target() -> str:
        return "result"

    for cls in (postponed.Injected, Inherits):
        registry = InterceptorRegistry()
        registry.bind("layer", cls)
        assert await call_with(registry, target) == ("repo", True, "result")
    registry = InterceptorRegistry()
    registry.bind("layer", postponed.InjectedDataclass)
    assert await call_with(registry, target) == ("repo", None, 5, "result")


async def call_with(registry: InterceptorRegistry, target: Any) -> Any:
    """Call through a layer that binds `repo`, and then the one that is bound to the key "layer"."""

    async def bind(ctx: InvocationContext, next: Any) -> Any:
        ctx.bind("repo", "repo")
        return await next()

    registry.add_global(bind)
    registry.add_global("layer")
    return await call(target, registry=registry)


async def test_dataclass_constructors_are_injected() -> None:
    """Fields with a marker are given, fields with a default keep it."""

    @dataclass
    class Layer:
        repo: Annotated[str, Provide["repo"]]
        marked: str = Provide["repo"]
        number: int = 5
        items: list[int] = field(default_factory=list)

        async def intercept(self, ctx: Any, next: Any) -> Any:
            return self

    registry = InterceptorRegistry()
    registry.bind("layer", Layer)

    async def target() -> None: ...

    assert await call_with(registry, target) == Layer("repo", "repo", 5, [])


async def test_a_constructor_that_python_cannot_read_takes_nothing() -> None:
    """A class built on a builtin has no signature; it is called without arguments."""

    class Layer(dict):
        async def intercept(self, ctx: Any, next: Any) -> Any:
            return self

    registry = InterceptorRegistry()
    registry.bind("layer", Layer)

    async def target() -> None: ...

    assert await call_with(registry, target) == {}


async def test_a_class_whose_module_is_gone_can_be_read() -> None:
    """A class without a constructor of its own, from a module that nobody imported, is built like any other."""

    async def intercept(self: Any, ctx: Any, next: Any) -> str:
        return "layer"

    registry = InterceptorRegistry()
    registry.bind("layer", type("Layer", (), {"__module__": "gone", "intercept": intercept}))

    async def target() -> None: ...

    assert await call_with(registry, target) == "layer"


async def test_variable_parameters_of_a_constructor_are_left_out() -> None:
    """`*args` and `**kwargs` of a constructor get nothing, and are no error."""

    class Layer:
        def __init__(self, *args: Any, repo: Annotated[str, Provide["repo"]], **kwargs: Any) -> None:
            self.got = (args, repo, kwargs)

        async def intercept(self, ctx: Any, next: Any) -> Any:
            return self.got

    registry = InterceptorRegistry()
    registry.bind("layer", Layer)

    async def target() -> None: ...

    assert await call_with(registry, target) == ((), "repo", {})


def test_only_dependency_injectors_own_markers_are_markers() -> None:
    """An object that looks like one is a value."""

    async def target(value: Annotated[str, object()] = "default", other: Any = ...) -> None: ...

    assert make_context(target=target).args.items() == [("value", "default"), ("other", ...)]


def test_a_marker_that_names_nothing_is_refused() -> None:
    """`Provide` and `Provider` without a key or a provider say which parameter of what is wrong, and where."""

    async def bare(value: Annotated[str, Provide]) -> None: ...

    async def number(value: Annotated[str, Provide[5]]) -> None: ...

    async def provider(value: Annotated[str, Provider[object]]) -> None: ...

    for target in (number, provider):
        with pytest.raises(InjectionError, match=f"The parameter 'value' of .*{target.__name__}"):
            make_context(target=target)
    assert make_context(target=bare) is not None
