"""`interceptors outbox status | list | show | dead`: tables for people, JSON for scripts."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.helpers import Result, run_process
from tests.unit.cli.operated import in_project

Run = Callable[..., Result]

EVENTS = "app.main:events"
LOOKING = ["status", "list", "dead"]


def row(id: int) -> Any:
    async def find(main: Any) -> Any:
        return (await main.outbox.list(after=id - 1, limit=1))[0]

    return in_project(find)


def test_status(run: Run, operated: Path) -> None:
    """A line for each event and handler: known here or not, the counts, ages in words, the last error on one line."""
    assert run("outbox", "status", EVENTS) == Result(
        0,
        "EVENT    HANDLER         KNOWN  WAITING  DUE  RUNNING  RETRYING  DEAD  OLDEST  LAST ERROR\n"
        "Paid     shop.mail       yes          1    1        1         0     1  3 min   ConnectionError: smtp is down port 25\n"
        "Shipped  shop.stock      yes          1    0        0         1     0  3 min   LookupError: no such article\n"
        "Shipped  shop.warehouse  no           1    0        0         0     0  3 min   -\n",
        "",
    )


def test_list(run: Run, operated: Path) -> None:
    """A line for each row, by its id: when it was stored, and when its time comes."""
    assert run("outbox", "list", EVENTS) == Result(
        0,
        "ID  EVENT    HANDLER         KEY      STATE     ATTEMPTS  AGE    NEXT       ERROR\n"
        " 1  Paid     shop.mail       order:1  dead             1  3 min  -          ConnectionError: smtp is down port 25\n"
        " 2  Shipped  shop.stock      order:2  retrying         1  3 min  in 10 min  LookupError: no such article\n"
        " 3  Shipped  shop.stock      order:2  waiting          0  3 min  -          -\n"
        " 4  Paid     shop.mail       -        due              0  3 min  now        -\n"
        " 5  Paid     shop.mail       -        running          0  3 min  -          -\n"
        " 6  Shipped  shop.warehouse  -        waiting          0  3 min  -          -\n"
        " 7  Paid     shop.mail       -        waiting          0  3 min  in 10 min  -\n",
        "",
    )


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--handler", "shop.stock"], [2, 3]),
        (["--handler", "shop.warehouse"], [6]),
        (["--state", "waiting"], [3, 6, 7]),
        (["--key", "order:2"], [2, 3]),
        (["--key", "order:2", "--state", "retrying"], [2]),
        (["--after", "4"], [5, 6, 7]),
        (["--limit", "7"], [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_list_takes_filters(run: Run, operated: Path, options: list[str], ids: list[int]) -> None:
    """The rows that meet all of them; nothing is said of others."""
    result = run("outbox", "list", EVENTS, "--json", *options)
    assert ([each["id"] for each in json.loads(result.out)], result.code, result.err) == (ids, 0, "")


def test_list_says_that_there_are_more(run: Run, operated: Path) -> None:
    """Beside the answer: how to go on."""
    result = run("outbox", "list", EVENTS, "--limit", "2")
    assert (len(result.lines), result.err) == (3, "There are more: --after 2\n")
    assert run("outbox", "list", EVENTS, "--limit", "0").code == 2


def test_dead(run: Run, operated: Path) -> None:
    """What was tried as often as allowed."""
    event_id = row(1).event_id
    assert run("outbox", "dead", EVENTS).lines == [
        f"{'EVENT ID':<32}  EVENT  HANDLER    KEY      ATTEMPTS  ERROR",
        f"{event_id}  Paid   shop.mail  order:1         1  ConnectionError: smtp is down port 25",
    ]


@pytest.mark.parametrize("by", ["event_id", "id"])
def test_show(run: Run, operated: Path, by: str) -> None:
    """Everything of a row, its error with all lines and its payload included."""
    event_id = row(1).event_id
    result = run("outbox", "show", EVENTS, *([event_id] if by == "event_id" else ["--id", "1"]))
    assert (result.code, result.err) == (0, "")
    named = [line for line in result.lines if not line.startswith(("due ", "created "))]
    assert named == [
        "id        1",
        f"event_id  {event_id}",
        "name      Paid",
        "handler   shop.mail",
        "key       order:1",
        "state     dead",
        "attempts  1",
        "error     ConnectionError: smtp is down",
        "          port 25",
        "payload   {",
        '            "n": 1',
        "          }",
        "",
    ]
    (created,) = [line for line in result.lines if line.startswith("created ")]
    assert created.endswith(" UTC (3 min ago)")


def test_show_of_several_rows(run: Run, operated: Path) -> None:
    """One after the other; a time that no calendar has is said in words, and what is no JSON as it is."""
    in_project(lambda main: main.change(3, due=1e300, payload=[1]))
    result = run("outbox", "show", EVENTS, "--id", "2", "--id", "3")
    assert [line for line in result.lines if line.startswith("id ")] == ["id        2", "id        3"]
    due = [line for line in result.lines if line.startswith("due ")]
    assert due[0].endswith(" UTC (in 10 min)")
    assert due[1].endswith(" days") and "UTC" not in due[1]
    assert "payload   [1]" in result.lines


def test_show_of_rows_that_are_not_there(run: Run, operated: Path) -> None:
    """They may have been done meanwhile: the answer is no, and what is there is shown."""
    result = run("outbox", "show", EVENTS, "--id", "8", "--id", "4", "--id", "9")
    assert "id        4" in result.lines
    assert (result.code, result.err) == (
        1,
        "error: there is no row 8, 9: it is done or discarded, or was never stored\n",
    )
    result = run("outbox", "show", EVENTS, "beef", "--json")
    assert (result.code, result.out) == (1, "[]\n")
    assert result.err == "error: there is no row of the event 'beef': it is done or discarded, or was never stored\n"


def test_show_of_nothing(run: Run) -> None:
    """The question is wrong."""
    expected = Result(2, "", "error: say which rows: an EVENT_ID, or --id\n")
    assert run("outbox", "show", EVENTS) == run("outbox", "show", EVENTS, "beef", "--id", "1") == expected


def test_json_has_the_fields_of_the_methods_rows(run: Run, operated: Path) -> None:
    """A list of objects."""

    async def ask(main: Any) -> list[list[dict[str, Any]]]:
        outbox = main.outbox
        found = [await outbox.status(), await outbox.list(), await outbox.dead(), (await outbox.list())[2:3]]
        return [[asdict(each) for each in rows] for rows in found]

    status, *others = in_project(ask)
    asked = [["status"], ["list"], ["dead"], ["show", "--id", "3"]]
    told, *rest = [json.loads(run("outbox", verb, EVENTS, "--json", *more).out) for verb, *more in asked]
    assert rest == others
    for before, after in zip(status, told, strict=True):
        assert before.pop("oldest") == pytest.approx(after.pop("oldest"), abs=30)
    assert told == status


@pytest.mark.parametrize("verb", LOOKING)
def test_an_empty_outbox(run: Run, shop: Path, verb: str) -> None:
    """That is an answer."""
    in_project(lambda main: main.create())
    assert run("outbox", verb, EVENTS) == Result(0, "The outbox is empty.\n", "")
    assert run("outbox", verb, EVENTS, "--json") == Result(0, "[]\n", "")


def test_nothing_of_a_kind(run: Run, shop: Path) -> None:
    """The outbox is not empty, and that is not said."""

    async def fill(main: Any) -> None:
        await main.create()
        await main.events.publish(main.Paid(n=1))

    in_project(fill)
    assert run("outbox", "dead", EVENTS) == Result(0, "Nothing is dead.\n", "")
    assert run("outbox", "list", EVENTS, "--state", "dead") == Result(0, "No row is like that.\n", "")
    assert run("outbox", "list", EVENTS, "--handler", "shop.stock") == Result(0, "No row is like that.\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", EVENTS, "--handler", "shop.warehose"],
        ["revive", EVENTS, "--handler", "shop.warehose", "--yes"],
        ["discard", EVENTS, "--handler", "shop.warehose", "--dry-run"],
        ["reassign", EVENTS, "shop.warehose", "shop.stock", "--yes"],
    ],
)
def test_a_handler_that_there_is_not(run: Run, operated: Path, arguments: list[str]) -> None:
    """Neither declared nor stored: the question is wrong, and the nearest names are said."""
    says = "error: no handler is called 'shop.warehose', and no row is for one; the nearest: 'shop.warehouse'"
    result = run("outbox", *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(says)


def test_a_handler_that_is_like_no_other(run: Run, operated: Path) -> None:
    """There is nothing to suggest."""
    says = "error: no handler is called 'x', and no row is for one\n"
    assert run("outbox", "list", EVENTS, "--handler", "x") == Result(2, "", says)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("app.main", "'app.main' is not of the form module:attribute, such as app.main:app"),
        ("app.nope:events", "there is no module 'app.nope'"),
        ("app.main:nope", "the module 'app.main' has no attribute 'nope'"),
        ("app.main:number", "'app.main:number' is no EventDispatcher"),
        ("app.main:bare", "'app.main:bare' has no outbox: make it an EventDispatcher(registry, outbox=Outbox(...))"),
        ("app.broken:events", "ValueError: no way"),
    ],
)
def test_what_cannot_be_loaded(run: Run, shop: Path, target: str, says: str) -> None:
    """One line on stderr, exit code 2, for `relay`, too."""
    for command in (["outbox", "status"], ["outbox", "purge", "--yes"], ["relay"]):
        assert run(*command, target) == Result(2, "", f"error: {says}\n")


def test_without_a_table(run: Run, shop: Path) -> None:
    """What the database says is the answer: one line, exit code 1."""
    result = run("outbox", "status", EVENTS)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(
        "error: EventError: There is no table 'interceptors_outbox' in the database: create it "
    )


@pytest.mark.slow
def test_no_connection_stays_open(operated: Path) -> None:
    """Python, which looks for everything here, has nothing to complain of."""
    for arguments in (["status"], ["list"], ["revive", "--all", "--yes"], ["show", "--id", "1"]):
        verb, *options = arguments
        python = ("-W", "error", "-m", "interceptors")
        result = run_process(operated, "outbox", verb, EVENTS, *options, python=python)
        assert (result.code, result.err) == (0, "")
