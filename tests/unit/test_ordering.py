"""The order of global interceptors: ordered groups, and what `before=` and `after=` demand."""

import re
from typing import Any

import pytest

from interceptors import GroupOrderError, InterceptorRegistry, WrongCallError
from tests.unit.helpers import names, passing, recording


class Service:
    async def work(self) -> None: ...


def given(*groups: str, ordered: tuple[str, ...] = (), **constraints: dict[str, Any]) -> InterceptorRegistry:
    """A registry with one global interceptor per group, named after it."""
    registry = InterceptorRegistry(ordered_groups=ordered)
    for group in groups:
        registry.add_global(recording(group or "(none)", []), group=group, **constraints.get(group, {}))
    return registry


def order(*groups: str, ordered: tuple[str, ...] = (), **constraints: dict[str, Any]) -> list[str]:
    """The groups in the order in which their interceptors run."""
    return names(given(*groups, ordered=ordered, **constraints), Service, "work")


def test_groups_run_in_the_order_in_which_they_are_listed() -> None:
    """`ordered_groups` decides, whatever the order of registration."""
    assert order("log", "auth", "cache", ordered=("auth", "cache", "log")) == ["auth", "cache", "log"]


def test_groups_that_are_not_listed_run_first_in_code_point_order() -> None:
    """An unlisted group is further out than all listed ones; upper case sorts before lower."""
    assert order("zeta", "auth", "alpha", "log", "Upper", "ähm", ordered=("log", "auth")) == [
        "Upper",
        "alpha",
        "zeta",
        "ähm",
        "log",
        "auth",
    ]


def test_no_group_is_the_empty_name_and_may_be_listed() -> None:
    """Unlisted it sorts first; listed it stands where it is listed."""
    assert order("alpha", "", "log", ordered=("log",)) == ["(none)", "alpha", "log"]
    assert order("alpha", "", "log", "auth", ordered=("log", "", "auth")) == ["alpha", "log", "(none)", "auth"]


def test_ties_keep_the_order_of_registration() -> None:
    """Within one group the first registered is outermost."""
    registry = InterceptorRegistry()
    for name, group in (("b1", "b"), ("a1", "a"), ("b2", "b"), ("a2", "a"), ("b3", "b")):
        registry.add_global(recording(name, []), group=group)

    assert names(registry, Service, "work") == ["a1", "a2", "b1", "b2", "b3"]


def test_before_and_after_order_whole_groups() -> None:
    """One member's demand moves its whole group; one name or several."""
    registry = InterceptorRegistry()
    for name, group, demands in (
        ("a1", "a", {}),
        ("a2", "a", {"after": "b"}),
        ("b1", "b", {"before": ["c", "d"]}),
        ("c1", "c", {}),
        ("d1", "d", {"before": "c"}),
    ):
        registry.add_global(recording(name, []), group=group, **demands)

    assert names(registry, Service, "work") == ["b1", "a1", "a2", "d1", "c1"]


def test_demands_outweigh_unlisted_first_and_code_points() -> None:
    """`after=` moves an unlisted group behind a listed one; between demands the tie-breaks hold."""
    assert order("trace", "auth", "log", ordered=("auth", "log"), trace={"after": ("auth",)}) == [
        "auth",
        "trace",
        "log",
    ]
    assert order("trace", "auth", "log", ordered=("auth", "log"), trace={"after": ("log",)}) == ["auth", "log", "trace"]
    assert order("a", "b", "c", a={"after": "c"}) == ["b", "c", "a"]


def test_a_group_without_interceptors_passes_demands_on() -> None:
    """`before="x"` and `after="x"` order two groups also where nothing is in group x."""
    assert order("a", "b", a={"after": "x"}, b={"before": "x"}) == ["b", "a"]
    assert order("a", "b", ordered=("b", "x", "a")) == ["b", "a"]


def test_an_empty_group_decides_nothing_else() -> None:
    """A group that is only named does not move the groups that have no demand on it."""
    assert order("a", "b", "c", c={"before": "nothing"}, a={"after": "other"}) == ["a", "b", "c"]
    assert order("a", "b", ordered=("nothing", "b")) == ["a", "b"]


def test_a_contradiction_names_the_cycle_and_who_demands_what() -> None:
    """The error lists each step of the cycle with its origin; its `cycle` begins and ends with the same group."""
    registry = given("auth", "log", ordered=("auth", "log"))
    text = (
        "The order of the groups is a cycle: 'auth' -> 'log' -> 'auth'\n"
        "  'auth' before 'log': ordered_groups\n"
        "  'log' before 'auth': before='auth' of early\n"
        "Take one of these demands away."
    )

    with pytest.raises(GroupOrderError, match=f"^{re.escape(text)}$") as caught:
        registry.add_global(recording("early", []), group="log", before="auth")
    assert caught.value.cycle == ("auth", "log", "auth")
    assert isinstance(caught.value, ValueError)


def test_a_contradiction_says_what_after_demands() -> None:
    """`after=` is told as it was written, with the interceptor that wrote it."""
    registry = given("auth", "log", log={"after": "auth"})

    with pytest.raises(GroupOrderError) as caught:
        registry.add_global(recording("late", []), group="auth", after=("log",))
    assert str(caught.value).splitlines()[1:] == [
        "  'auth' before 'log': after='auth' of log",
        "  'log' before 'auth': after='log' of late",
        "Take one of these demands away.",
    ]


def test_a_longer_cycle_is_shown_without_what_hangs_on_it() -> None:
    """Groups that only wait for the cycle are not part of it."""
    registry = given("a", "b", "c", "d", a={"before": "b"}, b={"before": "c"}, c={"before": "d"})

    with pytest.raises(GroupOrderError) as caught:
        registry.add_global(recording("back", []), group="c", before="a")
    assert len(caught.value.cycle) == 4
    assert set(caught.value.cycle) == {"a", "b", "c"}
    assert caught.value.cycle[0] == caught.value.cycle[-1]


def test_a_group_cannot_be_before_itself() -> None:
    """The smallest cycle has one group."""
    with pytest.raises(GroupOrderError, match="'a' -> 'a'") as caught:
        InterceptorRegistry().add_global(recording("a", []), group="a", before="a")
    assert caught.value.cycle == ("a", "a")


def test_a_group_listed_twice_is_a_contradiction() -> None:
    """It is reported where the registry is made."""
    with pytest.raises(GroupOrderError) as caught:
        InterceptorRegistry(ordered_groups=["a", "b", "a"])
    assert set(caught.value.cycle) == {"a", "b"}


def test_a_refused_interceptor_leaves_the_registry_as_it_was() -> None:
    """After a GroupOrderError the registry runs what it ran before."""
    registry = given("a", "b", a={"before": "b"})

    with pytest.raises(GroupOrderError):
        registry.add_global(recording("wrong", []), group="b", before="a", key="wrong")
    assert names(registry, Service, "work") == ["a", "b"]
    registry.bind("other", recording("other", []))
    assert names(registry, Service, "work") == ["a", "b"]


@pytest.mark.parametrize(
    "given", [1, None, ["auth", 1], {"auth", "log"}, frozenset({"auth"}), b"auth", [["auth"]], passing]
)
def test_what_is_no_list_of_names_says_what_to_write(given: Any) -> None:
    """Nor is a set, which has no order."""
    with pytest.raises(WrongCallError) as error:
        InterceptorRegistry(ordered_groups=given)
    assert str(error.value) == (
        f'`ordered_groups` takes a list of names, the outermost first, not {given!r}: ordered_groups=["logging", "auth"].'
    )


def test_any_order_of_names_will_do() -> None:
    """A tuple, a generator, the keys of a dict."""
    for given in (("b", "a"), (name for name in "ba"), {"b": 1, "a": 2}):
        assert InterceptorRegistry(ordered_groups=given).ordered_groups == ("b", "a")


def test_ordered_groups_is_a_list_of_names() -> None:
    """One text in its place would be taken for letters, and is refused."""
    with pytest.raises(TypeError, match=re.escape("`ordered_groups` takes a list of names: ('auth',)")):
        InterceptorRegistry(ordered_groups="auth")


def test_removing_the_one_who_demands_takes_the_demand_away() -> None:
    """Demands live as long as the interceptor that made them."""
    registry = given("b")
    early = recording("a", [])
    registry.add_global(early, group="a", after="b")
    assert names(registry, Service, "work") == ["b", "a"]

    registry.remove_global(early)
    registry.add_global(early, group="a")
    assert names(registry, Service, "work") == ["a", "b"]
