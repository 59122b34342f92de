"""The registry: keys, global interceptors, invocations; what changes takes effect at the next invocation."""

import re
from typing import Annotated, Any

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide

from interceptors import (
    DuplicateKeyError,
    InjectionError,
    InterceptorRegistry,
    InvalidInterceptorError,
    InvocationContext,
    InvocationSource,
    Next,
    UnknownKeyError,
    WrongCallError,
    compose,
    intercept,
    skip_interceptors,
)
from interceptors.describing import location, name_of
from tests.unit.helpers import names, on_both_backends, passing, place, recording

EVENTS: list[str] = []
A, B, C = (recording(name, EVENTS) for name in "ABC")


class Service:
    async def work(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs


class Keyed:
    @intercept("key")
    async def work(self) -> str:
        return "worked"


def tag(text: str) -> Any:
    """An interceptor that puts `text` in front of the result."""

    async def interceptor(ctx: Any, next: Next) -> Any:
        return f"{text} {await next()}"

    return interceptor


# -- keys --------------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_a_key_is_what_it_is_bound_to() -> None:
    """A function, an object, a class, a chain, a provider or another key."""

    class Tag:
        async def intercept(self, ctx: Any, next: Next) -> Any:
            return f"class {await next()}"

    registry = InterceptorRegistry()
    registry.bind("other", tag("other"))
    for interceptor, text in (
        (tag("function"), "function"),
        (Tag(), "class"),
        (Tag, "class"),
        (compose(tag("a"), tag("b")), "a b"),
        (providers.Factory(Tag), "class"),
        ("other", "other"),
    ):
        registry.bind("key", interceptor)
        assert await registry.invoke(Keyed(), "work") == f"{text} worked"


@on_both_backends
async def test_binding_a_key_again_takes_effect_at_the_next_invocation() -> None:
    """The later binding replaces the earlier one; a run that is under way goes on as it began."""
    registry = InterceptorRegistry()

    async def rebind(ctx: Any, next: Next) -> Any:
        registry.bind("key", tag("after"))
        registry.add_global(tag("global"))
        return f"before {await next()}"

    registry.bind("key", rebind)

    assert await registry.invoke(Keyed(), "work") == "before worked"
    assert await registry.invoke(Keyed(), "work") == "global after worked"


@on_both_backends
async def test_a_key_may_be_a_dotted_path_in_the_container() -> None:
    """What is bound in the registry comes first."""

    class Aspects(containers.DeclarativeContainer):
        tag = providers.Object(tag("from the container"))

    class Container(containers.DeclarativeContainer):
        aspects = providers.Container(Aspects)

    class Pathed:
        @intercept("aspects.tag")
        async def work(self) -> str:
            return "worked"

    registry = InterceptorRegistry(Container())

    assert await registry.invoke(Pathed(), "work") == "from the container worked"
    registry.bind("aspects.tag", tag("bound"))
    assert await registry.invoke(Pathed(), "work") == "bound worked"
    registry.unbind("aspects.tag")
    assert await registry.invoke(Pathed(), "work") == "from the container worked"


@on_both_backends
async def test_an_unknown_key_is_found_before_anything_runs() -> None:
    """The first invocation names the key, who asked for it with file and line, what looks alike, and what to do."""
    EVENTS.clear()
    registry = InterceptorRegistry()
    registry.add_global(A)
    registry.bind("kay", B)
    text = (
        f"No key 'key' is bound (asked for by @intercept on Keyed.work, {place(Keyed.work)}). Did you mean 'kay'? "
        "Bind it with registry.bind, or give the container such a provider."
    )

    with pytest.raises(UnknownKeyError, match=f"^{re.escape(text)}$") as caught:
        await registry.invoke(Keyed(), "work")
    assert caught.value.key == "key"
    assert isinstance(caught.value, LookupError)
    assert EVENTS == []


def test_an_unknown_key_says_who_asked() -> None:
    """A class, a global, a chain: each is named."""

    @intercept("nowhere")
    class OfClass:
        async def work(self) -> None: ...

    with pytest.raises(UnknownKeyError) as caught:
        InterceptorRegistry().explain(OfClass, "work")
    assert caught.value.asked_by == f"@intercept on OfClass, {place(OfClass)}"

    registry = InterceptorRegistry()
    registry.add_global("nowhere")
    with pytest.raises(UnknownKeyError) as caught:
        registry.validate()
    assert caught.value.asked_by == "a global interceptor"

    registry = InterceptorRegistry()
    registry.add_global(compose(passing, "nowhere"))
    with pytest.raises(UnknownKeyError) as caught:
        registry.validate()
    assert caught.value.asked_by == "Chain([passing, 'nowhere'])"


def test_keys_that_stand_for_each_other_are_unknown() -> None:
    """A circle of keys ends in an error, not in an endless search."""
    registry = InterceptorRegistry()
    registry.bind("a", "b")
    registry.bind("b", "a")
    registry.add_global("a")

    with pytest.raises(UnknownKeyError, match="No key 'a' is bound"):
        registry.validate()


def test_a_chain_that_contains_itself_by_a_key_is_refused() -> None:
    """It has no end; the message shows the chain."""
    registry = InterceptorRegistry()
    registry.bind("a", compose(passing, "a"))
    registry.add_global("a")

    with pytest.raises(InvalidInterceptorError, match=re.escape("Chain([passing, 'a']) contains itself, by a key.")):
        registry.validate()


def test_unbind_forgets_a_key_and_the_global_that_is_bound_to_it() -> None:
    """Other globals stay, also if they are the same interceptor."""
    registry = InterceptorRegistry()
    registry.add_global(A, key="a")
    registry.add_global(B, key="b")
    registry.add_global(C)
    registry.unbind("a")

    assert names(registry, Service, "work") == ["B", "C"]
    with pytest.raises(UnknownKeyError, match="No key 'a' is bound"):

        class Asks:
            @intercept("a")
            async def work(self) -> None: ...

        registry.explain(Asks, "work")


def test_only_what_was_bound_can_be_unbound() -> None:
    """The error knows the keys that are bound; a key of the container is none of them."""

    class Container(containers.DeclarativeContainer):
        aspect = providers.Object(A)

    registry = InterceptorRegistry(Container())
    registry.bind("caching", A)
    text = (
        "No key 'cachin' is bound (asked for by registry.unbind). Did you mean 'caching'? "
        "Only what registry.bind bound can be unbound."
    )

    with pytest.raises(UnknownKeyError, match=f"^{re.escape(text)}$"):
        registry.unbind("cachin")
    with pytest.raises(UnknownKeyError):
        registry.unbind("aspect")


def test_a_key_must_not_be_empty() -> None:
    """The empty text is no name."""
    registry = InterceptorRegistry()
    for declare in (lambda: registry.bind("", A), lambda: registry.add_global(A, key="")):
        with pytest.raises(InvalidInterceptorError, match="An empty string is no key"):
            declare()


# -- globals -----------------------------------------------------------------------------------------------------------


def test_a_global_with_a_key_is_bound_to_it() -> None:
    """A class or method may name it."""
    registry = InterceptorRegistry()
    registry.add_global(A, key="key", source="route")

    assert names(registry, Keyed, "work", "job") == ["A"]
    assert names(registry, Service, "work", "job") == []


def test_a_global_that_is_added_again_under_its_key_stands_where_it_is_registered_now() -> None:
    """With the group, the sources and the place of the last time."""
    registry = InterceptorRegistry()
    registry.add_global(A, key="key", group="a")
    registry.add_global(B)
    registry.add_global(A, key="key")

    assert names(registry, Service, "work") == ["B", "A"]
    assert names(registry, Keyed, "work") == ["B", "A"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda r: r.bind(A, "key"), f"registry.bind takes a text as 'key', not A ({place(A)}). Write `registry.bind("),
        (lambda r: r.bind("key"), "registry.bind is called wrongly: missing a required argument: 'interceptor'."),
        (lambda r: r.bind("key", A, B), "registry.bind is called wrongly: too many arguments."),
        (lambda r: r.unbind(A), "registry.unbind takes a text as 'key', not A ("),
        (lambda r: r.add_global(A, "auth"), "registry.add_global is called wrongly: too many arguments."),
        (
            lambda r: r.add_global(A, groups="auth"),
            "registry.add_global does not take 'groups' (did you mean 'group'?).",
        ),
        (lambda r: r.add_global(A, group=None), "registry.add_global takes a text as 'group', not None."),
        (lambda r: r.add_global(A, group=["auth"]), "registry.add_global takes a text as 'group', not a list."),
        (lambda r: r.add_global(A, key=B), "registry.add_global takes a text or None as 'key', not B ("),
        (lambda r: r.add_global(A, source=1), "`source` takes a name or several names, not 1."),
        (
            lambda r: r.add_global(A, source=InvocationSource("job")),
            "`source` takes a name or several names, not an Inv",
        ),
        (lambda r: r.add_global(A, source=["job", 2]), "`source` takes a name or several names, not a list."),
        (lambda r: r.add_global(A, before=1), "`before` takes a name or several names, not 1."),
        (lambda r: r.add_global(A, after=[B]), "`after` takes a name or several names, not a list."),
        (lambda r: r.add_global(A, after=b"auth"), "`after` takes a name or several names, not b'auth'."),
    ],
)
def test_a_registration_that_is_called_wrongly_says_how_it_is_written(call: Any, says: str) -> None:
    """At the call, and nothing is changed."""
    registry = InterceptorRegistry()

    with pytest.raises(WrongCallError, match=f"^{re.escape(says)}") as caught:
        call(registry)
    assert "Write `" in str(caught.value)
    assert registry.explain(Service, "work").candidates == ()


def test_a_key_that_is_not_bound_yet_may_be_declared() -> None:
    """It may be bound later."""
    registry = InterceptorRegistry()
    registry.add_global("later", key="other name")
    registry.bind("later", A)

    assert names(registry, Service, "work") == ["A"]


class Provided(containers.DeclarativeContainer):
    aspect = providers.Object(passing)


@pytest.mark.parametrize(
    "first",
    [
        lambda registry: registry.add_global(A, key="key"),
        lambda registry: registry.add_global(A, key="key", source="job"),
        lambda registry: registry.bind("key", A),
        lambda registry: (registry.bind("other", A), registry.bind("key", "other")),
    ],
    ids=["a global", "a global of other sources", "a binding", "a binding of another key"],
)
@pytest.mark.parametrize("second", [B, compose(A), Provided.aspect, "unknown"], ids=name_of)
def test_a_key_that_means_another_interceptor_is_refused(first: Any, second: Any) -> None:
    """One of the two would be lost. Nothing is changed; the error names both with their places, and the key."""
    registry = InterceptorRegistry(Provided())
    first(registry)
    before = registry.explain(Keyed, "work").candidates

    with pytest.raises(DuplicateKeyError) as caught:
        registry.add_global(second, key="key", group="new")
    assert registry.explain(Keyed, "work").candidates == before
    assert (caught.value.key, caught.value.second) == ("key", second)
    assert isinstance(caught.value, ValueError)
    for words in ("'key'", f"{name_of(second)} ({location(second)})", "registry.bind('key', ...)"):
        assert words in str(caught.value)


def test_the_error_of_a_key_declared_twice_names_both() -> None:
    """With file and line."""
    registry = InterceptorRegistry()
    registry.add_global(A, key="guard")
    text = f"Two interceptors are declared under the key 'guard': A ({place(A)}) and B ({place(B)}). Give one of them"

    with pytest.raises(DuplicateKeyError, match=f"^{re.escape(text)}") as caught:
        registry.add_global(B, key="guard")
    assert (caught.value.first, caught.value.second) == (A, B)


def test_the_same_interceptor_by_another_way_is_no_second_one() -> None:
    """By its key, as a bound method fetched anew, as the container's own copy of a provider."""

    class Layer:
        async def method(self, ctx: Any, next: Next) -> Any: ...

    registry, layer = InterceptorRegistry(Provided()), Layer()
    registry.bind("a", A)
    registry.add_global(A, key="key")
    registry.add_global("a", key="key")
    registry.add_global(layer.method, key="method")
    registry.add_global(layer.method, key="method")
    registry.add_global(Provided.aspect, key="aspect of mine")
    registry.add_global("aspect", key="aspect of mine")

    assert len(registry.explain(Service, "work").chain) == 3


def test_a_key_is_free_again_when_it_is_unbound() -> None:
    """So a global of a key is replaced on purpose: by `bind` in its place, by `unbind` and `add_global` in another."""
    registry = InterceptorRegistry()
    registry.add_global(A, key="key", group="a")
    registry.unbind("key")
    registry.add_global(B, key="key")

    assert names(registry, Service, "work") == ["B"]


def test_binding_the_key_of_a_global_anew_changes_what_runs() -> None:
    """The key is what the global is; its group and place stay."""
    registry = InterceptorRegistry()
    registry.add_global(A, key="key", group="a")
    registry.add_global(B, group="b")
    registry.bind("key", C)

    assert names(registry, Service, "work") == ["C", "B"]


def test_a_global_is_removed_by_its_key_or_by_itself() -> None:
    """Every registration that means this interceptor goes; the binding of the key stays."""
    registry = InterceptorRegistry()
    registry.add_global(A, key="a")
    registry.add_global(B, key="b")
    registry.add_global(C, group="x")
    registry.add_global(C, group="y")
    registry.bind("other name of C", C)
    registry.remove_global("a")
    assert names(registry, Service, "work") == ["B", "C"]
    registry.remove_global(B)
    assert names(registry, Service, "work") == ["C"]
    registry.remove_global("other name of C")
    assert registry.explain(Service, "work").candidates == ()

    class Asks:
        @intercept("a", "b")
        async def work(self) -> None: ...

    assert names(registry, Asks, "work") == ["A", "B"]


def test_a_global_declared_by_key_is_removed_by_it() -> None:
    """Also when the key is bound nowhere."""
    registry = InterceptorRegistry()
    registry.add_global("nowhere")
    registry.remove_global("nowhere")

    assert registry.explain(Service, "work").candidates == ()


def test_bound_methods_and_providers_are_removed_by_what_they_are() -> None:
    """A bound method is the same one at each access, a provider of the class is the container's own."""

    class Container(containers.DeclarativeContainer):
        aspect = providers.Object(A)

    class Layer:
        async def method(self, ctx: Any, next: Next) -> Any: ...

    layer = Layer()
    registry = InterceptorRegistry(Container())
    registry.add_global(layer.method)
    registry.add_global(Container.aspect)
    registry.remove_global(layer.method)
    registry.remove_global(Container.aspect)

    assert registry.explain(Service, "work").candidates == ()


@pytest.mark.parametrize(
    ("thing", "key"), [("auht", "auht"), (A, "A"), (compose(A), "Chain")], ids=["key", "function", "chain"]
)
def test_only_a_global_can_be_removed(thing: Any, key: str) -> None:
    """The error names what was given, and the keys of the globals that look alike."""
    registry = InterceptorRegistry()
    registry.add_global(B, key="auth")
    registry.bind("A", A)

    with pytest.raises(UnknownKeyError, match=r"registry\.remove_global.*It is no global interceptor\.$") as caught:
        registry.remove_global(thing)
    assert caught.value.key == key
    assert list(caught.value.nearest) == (["auth"] if thing == "auht" else [])


@on_both_backends
async def test_removing_takes_effect_at_the_next_invocation() -> None:
    """A global that removes itself still ends its own run."""
    registry = InterceptorRegistry()

    async def once(ctx: Any, next: Next) -> Any:
        registry.remove_global(once)
        return f"once {await next()}"

    class Target:
        async def work(self) -> str:
            return "worked"

    registry.add_global(once)

    assert [await registry.invoke(Target(), "work") for _ in range(2)] == ["once worked", "worked"]


@on_both_backends
async def test_what_is_decorated_after_the_first_invocation_counts_at_the_next_one() -> None:
    """A chain is never older than its class."""

    class Target:
        async def work(self) -> str:
            return "worked"

    registry = InterceptorRegistry()
    assert await registry.invoke(Target(), "work") == "worked"
    intercept(tag("late"))(Target)
    assert await registry.invoke(Target(), "work") == "late worked"


@on_both_backends
async def test_registries_know_nothing_of_each_other() -> None:
    """Several live in one process, with keys, globals and chains of their own, for the same classes."""
    first, second = InterceptorRegistry(), InterceptorRegistry()
    first.bind("key", tag("first"))
    second.bind("key", tag("second"))
    second.add_global(tag("global"))

    for _ in range(2):
        assert await first.invoke(Keyed(), "work") == "first worked"
        assert await second.invoke(Keyed(), "work") == "global second worked"


# -- invoke ------------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_arguments_reach_the_method_as_they_were_given() -> None:
    """Names that `invoke` itself uses, other than `source` and `request`, are the method's."""
    registry = InterceptorRegistry()
    registry.add_global(passing)

    assert await registry.invoke(Service(), "work", 1, 2, x=3) == ((1, 2), {"x": 3})
    assert await registry.invoke(Service(), "work", target=2, method=3, ctx=4) == (
        (),
        {"target": 2, "method": 3, "ctx": 4},
    )


@on_both_backends
async def test_parameters_named_source_or_request_are_given_by_position_or_through_a_proxy() -> None:
    """By name they are `invoke`'s own."""

    class Target:
        async def work(self, source: str, request: str) -> Any:
            return source, request

    registry = InterceptorRegistry()

    assert await registry.invoke(Target(), "work", "s", "r") == ("s", "r")
    assert await registry.intercepted(Target()).work(source="s", request="r") == ("s", "r")


@pytest.mark.parametrize("source", ["job", 5, ("job", 1), InvocationSource])
@on_both_backends
async def test_a_source_is_an_invocation_source(source: Any) -> None:
    """Anything else is refused, with what to write."""
    text = f'`source` takes an InvocationSource, not {source!r}: InvocationSource("job")'
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        await InterceptorRegistry().invoke(Service(), "work", source=source)


@on_both_backends
async def test_each_source_type_has_a_chain_of_its_own() -> None:
    """Globals are chosen by the type of the source, its value makes no difference."""
    registry = InterceptorRegistry()
    registry.add_global(tag("job"), source="job")

    class Target:
        async def work(self) -> str:
            return "worked"

    target = Target()
    for value in (1, 2):
        assert await registry.invoke(target, "work", source=InvocationSource("job", value)) == "job worked"
        assert await registry.invoke(target, "work", source=InvocationSource("cli", value)) == "worked"
        assert await registry.invoke(target, "work") == "job worked"
        assert await registry.intercepted(target).work() == "worked"


@on_both_backends
async def test_a_class_and_its_instances_have_chains_of_their_own() -> None:
    """A static or class method is invoked on either, in any order."""

    class Plain:
        @classmethod
        async def of_class(cls) -> str:
            return "class method"

        @staticmethod
        async def same() -> str:
            return "static"

    registry = InterceptorRegistry()

    assert await registry.invoke(Plain(), "same") == await registry.invoke(Plain, "same") == "static"
    for _ in range(2):
        assert await registry.invoke(Plain, "of_class") == "class method"
    assert await registry.invoke(Plain(), "of_class") == "class method"


@on_both_backends
async def test_invoke_refuses_what_an_interceptor_lacks_before_anything_runs() -> None:
    """All that is wrong with a chain is found when it is computed."""
    EVENTS.clear()

    class Needy:
        def __init__(self, needed: int) -> None: ...

        async def intercept(self, ctx: Any, next: Next) -> Any: ...

    registry = InterceptorRegistry()
    registry.add_global(A)
    registry.add_global(Needy)
    for _ in range(2):
        with pytest.raises(InjectionError):
            await registry.invoke(Service(), "work")
    assert EVENTS == []


# -- validate ----------------------------------------------------------------------------------------------------------


class NoInterceptor: ...


def test_validate_checks_the_globals_of_every_source() -> None:
    """Keys, constructors, and what a provider provides."""

    class Needy:
        def __init__(self, needed: int) -> None: ...

        async def intercept(self, ctx: Any, next: Next) -> Any: ...

    class Fine:
        def __init__(self, given: Annotated[int, Provide["anything"]]) -> None: ...

        async def intercept(self, ctx: Any, next: Next) -> Any: ...

    for interceptor, error in (
        ("nowhere", UnknownKeyError),
        (Needy, InjectionError),
        (compose(passing, compose(Needy)), InjectionError),
        (providers.Factory(NoInterceptor), InvalidInterceptorError),
    ):
        registry = InterceptorRegistry()
        registry.add_global(interceptor, source="never")
        with pytest.raises(error):
            registry.validate()
    registry = InterceptorRegistry()
    for interceptor in (
        Fine,
        passing,
        compose(),
        providers.Factory(Fine, given=1),
        providers.Callable(lambda: passing),
    ):
        registry.add_global(interceptor)
    registry.validate()


async def test_a_skipped_interceptor_is_not_built() -> None:
    """What does not run is not checked for this method either."""

    class Needy:
        def __init__(self, needed: int) -> None: ...

        async def intercept(self, ctx: Any, next: Next) -> Any: ...

    class Target:
        @skip_interceptors(Needy)
        async def work(self, ctx: InvocationContext) -> str:
            return "worked"

    registry = InterceptorRegistry()
    registry.add_global(Needy)

    assert await registry.invoke(Target(), "work") == "worked"


def test_a_registry_shows_what_it_was_made_of() -> None:
    """Container, ordered groups and debug are attributes."""

    class Container(containers.DeclarativeContainer): ...

    container = Container()
    registry = InterceptorRegistry(container, ordered_groups=["a", "b"], debug=True)

    assert (registry.container, registry.ordered_groups, registry.debug) == (container, ("a", "b"), True)
    assert (InterceptorRegistry().container, InterceptorRegistry().ordered_groups) == (None, ())
