"""`interceptors outbox revive | discard | reassign | purge`: what would be touched is said, and asked, before."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from interceptors.cli import main
from tests.unit.cli.helpers import Result, environment
from tests.unit.cli.operated import ALL, in_project, states

Run = Callable[..., Result]

EVENTS = "app.main:events"


def event_of(id: int) -> str:
    async def find(main: Any) -> str:
        return (await main.outbox.list(after=id - 1, limit=1))[0].event_id

    return in_project(find)


@pytest.mark.parametrize(
    ("arguments", "says", "after"),
    [
        (["revive", "--all"], "Revived 2 rows.", ALL | {1: "due", 2: "due"}),
        (["revive", "--handler", "shop.mail"], "Revived 1 row.", ALL | {1: "due"}),
        (["revive", "--key", "order:2"], "Revived 1 row.", ALL | {2: "due"}),
        (["revive", "--older-than", "100", "--handler", "shop.stock"], "Revived 1 row.", ALL | {2: "due"}),
        (["revive", "--id", "1", "--id", "2"], "Revived 2 rows.", ALL | {1: "due", 2: "due"}),
        (["discard", "--all"], "Discarded 1 row.", {1: None}),
        (["discard", "--key", "order:1"], "Discarded 1 row.", {1: None}),
        (["discard", "--id", "2", "--id", "6"], "Discarded 2 rows.", {2: None, 3: "waiting", 6: None}),
        (["purge"], "Purged 1 row.", {1: None}),
        (["purge", "--older-than", "100"], "Purged 1 row.", {1: None}),
        (["reassign", "shop.warehouse", "shop.stock"], "Reassigned 1 row to shop.stock.", ALL | {6: "due"}),
    ],
)
def test_what_is_changed(
    run: Run, operated: Path, arguments: list[str], says: str, after: dict[int, str | None]
) -> None:
    """Only with --yes; --dry-run changes nothing."""
    verb, *options = arguments
    dry = run("outbox", verb, EVENTS, *options, "--dry-run")
    assert (dry.code, dry.err, states()) == (0, "", ALL)
    assert dry.lines[-1].startswith(f"Would {verb} ")
    refused = run("outbox", verb, EVENTS, *options)
    assert (refused.code, refused.out, states()) == (2, "", ALL)
    assert refused.err.startswith("error: stdin is no terminal, so nobody can be asked: say --yes, or --dry-run")
    assert run("outbox", verb, EVENTS, *options, "--yes") == Result(0, f"{says}\n", "")
    assert states() == {id: state for id, state in (ALL | after).items() if state is not None}


def test_by_the_event(run: Run, operated: Path) -> None:
    """The rows of all its handlers."""
    event_id = event_of(1)
    assert run("outbox", "revive", EVENTS, event_id, "--yes") == Result(0, "Revived 1 row.\n", "")
    assert states()[1] == "due"


def test_a_dry_run_shows_the_rows(run: Run, operated: Path) -> None:
    """And how many they are, of which handlers."""
    assert run("outbox", "revive", EVENTS, "--all", "--dry-run").lines == [
        "ID  EVENT    HANDLER     KEY      STATE     ATTEMPTS  AGE    NEXT       ERROR",
        " 1  Paid     shop.mail   order:1  dead             1  3 min  -          ConnectionError: smtp is down port 25",
        " 2  Shipped  shop.stock  order:2  retrying         1  3 min  in 10 min  LookupError: no such article",
        "Would revive 2 rows (1 of shop.mail, 1 of shop.stock). Nothing was changed.",
    ]
    dry = run("outbox", "reassign", EVENTS, "shop.warehouse", "shop.stock", "--dry-run")
    assert dry.lines[-1] == "Would reassign 1 row of shop.warehouse to shop.stock. Nothing was changed."


@pytest.mark.parametrize("verb", ["revive", "discard"])
@pytest.mark.parametrize(
    "options", [[], ["--all", "--handler", "shop.mail"], ["--id", "1", "--all"], ["beef", "--id", "1"]]
)
def test_which_rows_is_said_in_one_way(run: Run, verb: str, options: list[str]) -> None:
    """The question is wrong."""
    assert run("outbox", verb, EVENTS, *options, "--yes") == Result(
        2,
        "",
        "error: say which rows: EVENT_ID, --handler, --key, --older-than (those that meet all of them), or --id alone, or "
        "--all alone\n",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["revive", "--key", "order:9"],
        ["revive", "--older-than", "1000"],
        ["discard", "--handler", "shop.stock"],
        ["purge", "--older-than", "1000"],
        ["reassign", "shop.mail", "shop.mail"],
    ],
)
def test_where_there_is_nothing_to_do(run: Run, operated: Path, arguments: list[str]) -> None:
    """That is said, and no error: nobody named a row."""
    verb, *options = arguments
    if verb == "reassign":  # only what runs is left
        assert run("outbox", "discard", EVENTS, "--id", "1", "--id", "4", "--id", "7", "--yes").code == 0
    for how in ("--yes", "--dry-run"):
        assert run("outbox", verb, EVENTS, *options, how) == Result(0, f"There is nothing to {verb}.\n", "")


def test_where_there_is_nothing_at_all(run: Run, shop: Path) -> None:
    """That is said instead."""
    in_project(lambda main: main.create())
    assert run("outbox", "revive", EVENTS, "--all", "--yes") == Result(0, "The outbox is empty.\n", "")
    assert run("outbox", "purge", EVENTS, "--yes") == Result(0, "The outbox is empty.\n", "")


def test_a_row_that_was_named_and_is_not_changed(run: Run, operated: Path) -> None:
    """The others are; which one is not, and why, is said, and the answer is no."""
    result = run("outbox", "revive", EVENTS, "--id", "9", "--id", "1", "--id", "4", "--yes")
    assert result == Result(
        1,
        "Revived 1 row.\n",
        "error: not revived: there is no row 9, row 4 is due (only what is dead or waits for its next try can be)\n",
    )
    assert states()[1] == "due"
    result = run("outbox", "discard", EVENTS, "--id", "5", "--dry-run")
    says = "error: not discarded: row 5 is running (only what is dead can be, by --id also what does not run)\n"
    assert result == Result(1, "", says)
    result = run("outbox", "discard", EVENTS, event_of(4), "--yes")
    assert result == Result(1, "", says.replace("row 5 is running", "row 4 is due"))
    result = run("outbox", "discard", EVENTS, "beef", "--yes")
    assert result == Result(1, "", "error: not discarded: there is no such row of the event 'beef'\n")


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("shop.stok", "no handler is called 'shop.stok' here; the nearest: 'shop.stock', 'shop.mail'"),
        (
            "shop.mail",
            "'shop.mail' does not handle 'Shipped', which rows of 'shop.warehouse' are; 'shop.stock' does",
        ),
    ],
)
def test_a_handler_that_cannot_handle_the_rows(run: Run, operated: Path, to: str, says: str) -> None:
    """They would wait for ever."""
    assert run("outbox", "reassign", EVENTS, "shop.warehouse", to, "--yes") == Result(2, "", f"error: {says}\n")
    assert states() == ALL


def test_nobody_here_handles_the_event(run: Run, operated: Path) -> None:
    """That is said, too; where no handler is declared at all, another process has them, and any name will do."""

    async def rename(main: Any) -> None:
        await main.change(6, name="Returned")

    in_project(rename)
    result = run("outbox", "reassign", EVENTS, "shop.warehouse", "shop.stock", "--yes")
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith("which rows of 'shop.warehouse' are; none here does\n")
    result = run("outbox", "reassign", "app.main:silent", "shop.warehouse", "shop.returns", "--yes")
    assert result == Result(0, "Reassigned 1 row to shop.returns.\n", "")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "after"), [("y\n", "due"), ("Yes\n", "due"), ("n\n", "dead"), ("\n", "dead"), ("", "dead")]
)
def test_a_question(
    operated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, after: str
) -> None:
    """Whoever does not say yes has changed nothing, and that is said."""
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    code = main(["outbox", "revive", EVENTS, "--handler", "shop.mail"])
    asks, refused = "Revive 1 row of shop.mail? [y/N]: ", "error: nothing was changed\n"
    if after == "due":
        assert (code, *capsys.readouterr()) == (0, "Revived 1 row.\n", asks)
    else:
        ends = "" if answer else "\n"
        assert (code, *capsys.readouterr()) == (1, "", f"{asks}{ends}{refused}")
    assert states()[1] == after


class Interrupted(Terminal):
    def readline(self, *_: object) -> str:  # type: ignore[override]
        raise KeyboardInterrupt


def test_a_question_that_is_interrupted(
    operated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where `new` asks."""
    monkeypatch.setattr(sys, "stdin", Interrupted())
    assert main(["outbox", "purge", EVENTS]) == 1
    assert capsys.readouterr() == ("\n", "Purge 1 row of shop.mail? [y/N]: error: aborted\n")
    assert states() == ALL


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "code", "last"),
    [(b"y\n", 0, "Discarded 1 row."), (b"\x04", 1, "error: nothing was changed"), (b"", 1, "error: aborted")],
)
def test_a_question_on_a_terminal(operated: Path, answer: bytes, code: int, last: str) -> None:
    """Ctrl-D is no yes, Ctrl-C leaves at once."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "interceptors", "outbox", "discard", EVENTS, "--all"],
        cwd=operated,
        env=environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        with suppress(OSError):  # Linux tells so that the other end is closed
            while chunk := os.read(ours, 1024):
                seen += chunk
                if seen.endswith(b"Discard 1 row of shop.mail? [y/N]: "):
                    os.write(ours, answer) if answer else process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == code
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert seen.decode().splitlines()[-1] == last
    assert (1 in states()) == (code == 1)
