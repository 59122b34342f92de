"""Near misses: what a misspelt name was meant to be, if nothing else can have been meant."""

import pytest

from interceptors.describing import near_miss


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("routes", "route"),
        ("Route", "route"),
        ("ROUTE ", "route"),
        ("rotue", "route"),
        ("rout", "route"),
        ("proxies", "proxy"),
        ("Proxies", "proxy"),
        ("porxy", "proxy"),
        (" event", "event"),
        ("eventt", "event"),
        ("conector", "connector"),
        ("auht", "auth"),
        ("Auth", "auth"),
        ("atuh", "auth"),
    ],
)
def test_a_slip_of_the_pen_has_one_meaning(name: str, meant: str) -> None:
    """Another case, blanks, a plural, two letters in the wrong order, one too many or too few."""
    assert near_miss(name, ["connector", "event", "proxy", "route", "auth"]) == meant


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("route", ["route"]),
        ("job", ["route", "proxy", "event", "connector"]),
        ("nightly", ["route", "proxy", "event", "connector"]),
        ("remote", ["route"]),
        ("authz", ["authn"]),
        ("phase2", ["phase1", "phase3"]),
        ("v2", ["v1"]),
        ("log", ["metrics", "auth"]),
        ("", ["auth"]),
        ("auth", []),
    ],
)
def test_a_name_of_its_own_is_no_slip(name: str, known: list[str]) -> None:
    """Itself, another word, a word that differs by a letter that tells two apart, another number."""
    assert near_miss(name, known) is None


def test_the_likeliest_of_several_is_meant() -> None:
    """Not the first of the alphabet."""
    assert near_miss("routes", ["reroute", "route", "router"]) == "route"
