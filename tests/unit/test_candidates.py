"""The effective list: globals, then class level, then method level; what is moved, skipped or doubled, and why."""

from typing import Any

import pytest
from dependency_injector import containers, providers

from interceptors import Candidate, InterceptorRegistry, InvocationSource, compose, intercept, skip_interceptors
from tests.unit.helpers import names, place, recording

EVENTS: list[str] = []
A, B, C, D, G, H = (recording(name, EVENTS) for name in "ABCDGH")


def given(*interceptors: Any, **bindings: Any) -> InterceptorRegistry:
    """A registry with these globals and bindings."""
    registry = InterceptorRegistry()
    for key, interceptor in bindings.items():
        registry.bind(key, interceptor)
    for interceptor in interceptors:
        registry.add_global(interceptor)
    return registry


def reasons(registry: InterceptorRegistry, *args: Any) -> list[tuple[str, str, str | None]]:
    """Level, name and reason of every candidate."""
    return [(c.level, c.name, c.reason) for c in registry.explain(*args).candidates]


def test_globals_then_class_then_method() -> None:
    """The first is outermost; all three levels run in this order."""

    @intercept(A)
    class Service:
        @intercept(B)
        async def work(self) -> None: ...

    assert reasons(given(G, H), Service, "work") == [
        ("global", "G", None),
        ("global", "H", None),
        ("class", "A", None),
        ("method", "B", None),
    ]


def test_a_function_has_globals_and_a_method_level() -> None:
    """What stands on a function counts as method level."""

    @intercept(B)
    async def function() -> None: ...

    assert reasons(given(G), function) == [("global", "G", None), ("method", "B", None)]


def test_the_more_local_position_wins() -> None:
    """What a more local level names again leaves its place further out; explain says so."""

    @intercept(A, G)
    class Service:
        @intercept(B, A)
        async def work(self) -> None: ...

    registry = given(G, H)

    assert names(registry, Service, "work") == ["H", "G", "B", "A"]
    assert reasons(registry, Service, "work") == [
        ("global", "G", "moved: named again at class level"),
        ("global", "H", None),
        ("class", "A", "moved: named again at method level"),
        ("class", "G", None),
        ("method", "B", None),
        ("method", "A", None),
    ]


def test_a_key_on_a_method_moves_the_global_bound_to_it() -> None:
    """`@intercept("metrics")` names the global of that key, and puts it in that place."""

    class Service:
        @intercept(A, "metrics", B)
        async def work(self) -> None: ...

    registry = given(H, a=A)
    registry.add_global(G, key="metrics")

    assert names(registry, Service, "work") == ["H", "A", "G", "B"]


def test_what_one_decorator_names_twice_runs_at_the_first_place() -> None:
    """Repetitions are kept as candidates that do not run."""

    class Service:
        @intercept(A, B, A)
        async def work(self) -> None: ...

    assert reasons(given(), Service, "work") == [
        ("method", "A", None),
        ("method", "B", None),
        ("method", "A", "named twice: the first one runs"),
    ]


def test_what_an_override_names_again_moves() -> None:
    """Within one level the subclass is the more local one."""

    class Base:
        @intercept(A, B)
        async def work(self) -> None: ...

    class Service(Base):
        @intercept(A)
        async def work(self) -> None: ...

    assert reasons(given(), Service, "work") == [
        ("method", "A", "moved: named again at method level"),
        ("method", "B", None),
        ("method", "A", None),
    ]


def test_inherit_false_is_a_reason() -> None:
    """Explain names the class or method that does not inherit."""

    @intercept(A)
    class Base:
        @intercept(B)
        async def work(self) -> None: ...

    @intercept(C, inherit=False)
    class Service(Base):
        @intercept(inherit=False)
        async def work(self) -> None: ...

    name = "Service"
    assert reasons(given(G), Service, "work") == [
        ("global", "G", None),
        ("class", "A", f"not inherited: @intercept(..., inherit=False) on {name}"),
        ("class", "C", None),
        ("method", "B", f"not inherited: @intercept(..., inherit=False) on {name}.work"),
    ]


def test_a_global_registered_twice_runs_once() -> None:
    """The first registration that applies is the one that runs."""
    registry = InterceptorRegistry()
    registry.add_global(A, source="proxy")
    registry.add_global(A, source="route")
    registry.add_global(A)

    class Service:
        async def work(self) -> None: ...

    assert [c.reason for c in registry.explain(Service, "work", "route").candidates] == [
        "source: only proxy",
        None,
        "registered twice: the first one runs",
    ]


# -- sources -----------------------------------------------------------------------------------------------------------


class Plain:
    async def work(self) -> None: ...


@pytest.mark.parametrize(
    ("source", "of_call", "runs"),
    [
        (None, "route", True),
        (None, None, True),
        ("route", "route", True),
        ("route", "proxy", False),
        ("route", None, True),
        (("route", "proxy"), "proxy", True),
        (["route", "proxy"], "job", False),
        ((), "route", False),
        ((), None, True),
        ("", "route", True),
    ],
)
def test_a_source_limits_a_global_to_invocations_of_these_types(source: Any, of_call: str | None, runs: bool) -> None:
    """An invocation without a source gets every global; a global without a source goes everywhere."""
    registry = InterceptorRegistry()
    registry.add_global(G, source=source)

    assert names(registry, Plain, "work", of_call) == (["G"] if runs else [])


def test_explain_says_for_which_sources_a_global_is() -> None:
    """The reason lists the source types."""
    registry = InterceptorRegistry()
    registry.add_global(G, source=("route", "job"))

    assert reasons(registry, Plain, "work", "proxy") == [("global", "G", "source: only route, job")]


def test_explain_takes_a_source_as_it_is_given_to_invoke() -> None:
    """An InvocationSource stands for its type."""
    registry = InterceptorRegistry()
    registry.add_global(G, source="job")

    assert names(registry, Plain, "work", InvocationSource("job", "nightly")) == ["G"]
    assert registry.explain(Plain, "work", InvocationSource("job")).source == "job"
    assert registry.explain(Plain, "work").source is None


def test_a_source_limits_globals_only() -> None:
    """What is declared on the class or the method runs for every source, also if it is such a global."""
    registry = InterceptorRegistry()
    registry.add_global(G, source="route")

    class Service:
        @intercept(G)
        async def work(self) -> None: ...

    assert names(registry, Service, "work", "proxy") == ["G"]


# -- skips -------------------------------------------------------------------------------------------------------------


def test_a_skip_removes_what_its_own_level_and_the_levels_outside_put_there() -> None:
    """On a method it concerns globals, the class and the method itself; on a class globals and the class."""

    @intercept(A)
    class Service:
        @skip_interceptors(G, A, B)
        @intercept(B, C)
        async def work(self) -> None: ...

    @skip_interceptors(G, A, B)
    @intercept(A)
    class Other:
        @intercept(B)
        async def work(self) -> None: ...

    assert names(given(G, H), Service, "work") == ["H", "C"]
    assert names(given(G, H), Other, "work") == ["H", "B"]


def test_a_more_local_intercept_brings_a_skipped_interceptor_back() -> None:
    """A method may have what its class skips, a subclass what its base skips."""

    @skip_interceptors(G)
    class Base:
        @intercept(G)
        async def work(self) -> None: ...

        @skip_interceptors(A)
        async def other(self) -> None: ...

    class Service(Base):
        @intercept(A)
        async def other(self) -> None: ...

    assert names(given(G), Base, "work") == ["G"]
    assert names(given(A), Service, "other") == ["A"]
    assert reasons(given(G), Base, "work")[0] == ("global", "G", "skipped: @skip_interceptors(G)")


def test_skips_accumulate_along_the_mro() -> None:
    """A subclass and an override skip what their base skips, too."""

    @skip_interceptors(G)
    class Base:
        @skip_interceptors(H)
        async def work(self) -> None: ...

    @skip_interceptors(A)
    class Service(Base):
        @skip_interceptors(B)
        async def work(self) -> None: ...

    assert names(given(G, H, A, B, C), Service, "work") == ["C"]
    assert names(given(G, H, A, B, C), Base, "work") == ["A", "B", "C"]


def test_a_key_in_a_skip_names_what_it_is_bound_to() -> None:
    """By key or by object, the same interceptor is left out, however it was declared."""

    @intercept("key", B)
    class Service:
        @skip_interceptors("other key", "b")
        async def work(self) -> None: ...

        @skip_interceptors(A)
        async def by_object(self) -> None: ...

        @skip_interceptors("path.to.it")
        async def by_path(self) -> None: ...

    bindings = {"key": A, "other key": "key", "b": B}
    assert names(given(**bindings), Service, "work") == []
    assert names(given(**bindings), Service, "by_object") == ["B"]
    assert names(given(**bindings), Service, "by_path") == ["A", "B"]


def test_an_unknown_key_in_a_skip_is_no_error() -> None:
    """What it names may not be installed in this application."""

    class Service:
        @skip_interceptors("not installed")
        async def work(self) -> None: ...

    assert names(given(G), Service, "work") == ["G"]


def test_a_group_in_a_skip_concerns_globals_only() -> None:
    """One group or several; no group is the group of the globals without one."""
    registry = InterceptorRegistry()
    for interceptor, group in ((A, "auth"), (B, "log"), (C, ""), (D, "trace")):
        registry.add_global(interceptor, group=group)

    @intercept(H)
    class Service:
        @skip_interceptors(group="auth")
        async def one(self) -> None: ...

        @skip_interceptors(group=["log", "trace"])
        @skip_interceptors(A)
        async def several(self) -> None: ...

        @skip_interceptors(group="")
        async def without(self) -> None: ...

        @skip_interceptors(group=["no such group"])
        async def unknown(self) -> None: ...

        @skip_interceptors(group=[])
        async def none(self) -> None: ...

    assert names(registry, Service, "one") == ["C", "B", "D", "H"]
    assert names(registry, Service, "several") == ["C", "H"]
    assert names(registry, Service, "without") == ["A", "B", "D", "H"]
    assert names(registry, Service, "unknown") == names(registry, Service, "none") == ["C", "A", "B", "D", "H"]
    assert "skipped: @skip_interceptors(group='auth')" in str(registry.explain(Service, "one"))


def test_a_skip_without_arguments_skips_everything_from_further_out() -> None:
    """Globals, the class and the base; what stands beside it, or is more local, runs."""

    @intercept(A)
    class Root:
        @intercept(D)
        async def work(self) -> None: ...

    class Base(Root):
        @skip_interceptors()
        @intercept(B)
        async def work(self) -> None: ...

    class Service(Base):
        @intercept(C)
        async def work(self) -> None: ...

    @skip_interceptors()
    @intercept(B)
    class Quiet(Root):
        @intercept(C)
        async def work(self) -> None: ...

    assert names(given(G), Base, "work") == ["B"]
    assert names(given(G), Service, "work") == ["B", "C"]
    assert names(given(G), Quiet, "work") == ["B", "D", "C"]
    assert reasons(given(G), Base, "work")[0] == ("global", "G", "skipped: @skip_interceptors()")


def test_a_chain_is_skipped_as_one() -> None:
    """What is in a chain cannot be skipped alone; the chain can."""
    chain = compose(A, B)

    @intercept(chain)
    class Service:
        @skip_interceptors(A)
        async def part(self) -> None: ...

        @skip_interceptors(chain)
        async def whole(self) -> None: ...

    assert names(given(), Service, "part") == ["Chain"]
    assert names(given(), Service, "whole") == []


def test_a_skipped_interceptor_does_not_move_another() -> None:
    """What is named again and skipped there runs nowhere."""

    class Service:
        @intercept(G)
        @skip_interceptors(G)
        async def work(self) -> None: ...

    assert names(given(G), Service, "work") == []


# -- explain -----------------------------------------------------------------------------------------------------------


class Aspect:
    async def intercept(self, ctx: Any, next: Any) -> Any: ...


class Container(containers.DeclarativeContainer):
    aspect = providers.Singleton(Aspect)
    number = providers.Object(5)


def test_a_candidate_has_level_group_key_interceptor_and_place() -> None:
    """What is declared by key shows the key and what it is bound to; a group is a global's, "" for none."""
    registry = InterceptorRegistry(Container())
    registry.add_global(G, group="log")
    registry.add_global(H, key="h")
    registry.add_global("aspect")

    @intercept(A)
    class Service:
        @intercept("b", Container.aspect)
        async def work(self) -> None: ...

    registry.bind("b", B)
    found = [(c.level, c.group, c.key, c.interceptor) for c in registry.explain(Service, "work").chain]
    own = registry.container.aspect

    assert found == [
        ("global", "", "h", H),
        ("global", "log", None, G),
        ("class", None, None, A),
        ("method", None, "b", B),
        ("method", None, None, own),
    ]
    assert [c.name for c in registry.explain(Service, "work").chain][-1] == "Aspect"


def test_a_global_declared_by_key_shows_its_key() -> None:
    """`add_global("key")` is explained by that key."""
    registry = InterceptorRegistry(Container())
    registry.add_global("aspect", group="a")

    assert [(c.group, c.key) for c in registry.explain(Plain, "work").chain] == [("a", "aspect")]


def test_an_interceptor_with_an_attribute_named_provides_is_explained_by_its_own_name() -> None:
    """Only a provider is called after what it provides."""

    class Renders:
        provides = "text/html"

        async def intercept(self, ctx: Any, next: Any) -> Any: ...

    registry = given(Renders())

    assert names(registry, Plain, "work") == ["Renders"]
    assert registry.explain(Plain, "work").chain[0].file_and_line is not None


def test_a_provider_of_a_value_is_explained_by_its_own_class() -> None:
    """What provides no class and no function has no better name."""
    assert names(given(providers.Object(Aspect())), Plain, "work") in (["Object"], ["Aspect"])


def test_explain_as_text() -> None:
    """One line per candidate: position, level, group, key, name, place, and why it does not run."""
    registry = InterceptorRegistry()
    registry.add_global(G, group="log", key="g")
    registry.add_global(H, source="route")
    made = type("Made", (Aspect,), {})

    @intercept(A)
    class Service:
        @intercept(made, "g")
        async def work(self) -> None: ...

    assert str(registry.explain(Service, "work", "job")) == "\n".join(
        [
            "Service.work  (source: job)",
            f"  -  global  -  -  H  {place(H)}  source: only route",
            f"  -  global  log  g  G  {place(G)}  moved: named again at method level",
            f"  1  class  -  -  A  {place(A)}",
            "  2  method  -  -  Made  -",
            f"  3  method  -  g  G  {place(G)}",
        ]
    )
    assert str(registry.explain(Plain, "work")).splitlines()[0] == "Plain.work"


def test_explain_is_about_a_class_an_object_or_a_function() -> None:
    """An object stands for its class, a bound method for the method of its class."""

    @intercept(A)
    class Service:
        @intercept(B)
        async def work(self) -> None: ...

    registry = given(G)
    expected = ["G", "A", "B"]

    assert names(registry, Service, "work") == expected
    assert names(registry, Service(), "work") == expected
    assert names(registry, Service().work) == expected
    assert registry.explain(Service().work).target == "Service.work"


def test_an_explanation_does_not_change() -> None:
    """It tells what was so when it was asked for."""
    registry = given(G)
    explanation = registry.explain(Plain, "work")
    registry.add_global(H)

    assert [candidate.name for candidate in explanation.chain] == ["G"]
    with pytest.raises(AttributeError):
        explanation.candidates = ()


def test_a_candidate_can_be_made_by_hand() -> None:
    """For tools: level, group, key and interceptor are enough, and it runs unless a reason says no."""
    candidate = Candidate("global", "", None, A)

    assert (candidate.runs, candidate.name) == (True, "A")
    candidate.reason = "because"
    assert not candidate.runs
