"""The one table of names, and the tables of the README that tell it."""

import re
from pathlib import Path

from interceptors.resources.life_cycles import LIFE_CYCLES, points_of
from interceptors.resources.names import COMMON, NAMES, SPECIAL, Handler, fallback

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


def table_below(title: str) -> dict[str, str]:
    """The rows of the last table of a section: what stands in the first column, and in the second."""
    section = README.partition(f"### {title}\n")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", section, re.MULTILINE)
    return dict(rows[1:])


def test_every_point_is_on_one_way() -> None:
    """The life cycles have exactly the points that have parameters, each in one handler."""
    points = [point for handler in Handler for point in points_of(handler)]
    assert sorted(points) == sorted(SPECIAL)
    assert len(points) == len(set(points)) == 20
    assert NAMES == tuple(f"on_{point}" for point in SPECIAL)
    assert set(LIFE_CYCLES) == set(Handler)


def test_patch_has_the_points_of_update() -> None:
    """Where PATCH has no hook that of UPDATE runs, which has the same parameters; nothing else falls back."""
    for point in SPECIAL:
        assert SPECIAL[fallback(point)] == SPECIAL[point]
        assert (fallback(point) == point) == ("patch" not in point)
    assert [fallback(point) for point in points_of(Handler.PATCH)] == list(points_of(Handler.UPDATE))


def test_the_readme_has_the_parameters() -> None:
    """Its table names each point once, with exactly its parameters; the last row has what every hook may have."""
    *rows, (every, common) = table_below("Hooks").items()
    found = {
        point: tuple(sorted(re.findall(r"`(\w+)`", parameters)))
        for points, parameters in rows
        for point in re.findall(r"`(\w+)`", points)
    }
    assert found == {point: tuple(sorted(names)) for point, names in SPECIAL.items()}
    assert every == "every hook"
    assert re.findall(r"`(\w+)`", common.partition("Provide")[0]) == [*COMMON]


def test_the_readme_has_the_life_cycles() -> None:
    """Its table names the points of each handler in their order."""
    rows = {
        name: text for name, text in table_below("The life of a request to a resource").items() if name in list(Handler)
    }
    assert list(rows) == [handler.value for handler in Handler]
    for handler in Handler:
        names = re.findall(r"`(\w+)`", rows[handler.value])
        if handler is Handler.PATCH:
            assert set(names) == set(points_of(handler))
        else:
            assert tuple(names) == points_of(handler)
