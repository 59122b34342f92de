"""`interceptors outbox status`, `list`, `show` and `dead`: what waits, runs and has failed."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from interceptors.cli.dispatchers import load_dispatcher
from interceptors.cli.output import CommandError, UsageError, complain, printable, say
from interceptors.cli.tables import in_words, table
from interceptors.describing import nearest

if TYPE_CHECKING:
    from interceptors.events import DeadEvent, HandlerStatus, Outbox, OutboxRow

__all__ = ["check_handler", "list_rows", "none_of", "rows_as_table", "show_dead", "show_rows", "show_status"]

_EMPTY = "The outbox is empty."
_STATUS = ["EVENT", "HANDLER", "KNOWN", "WAITING", "DUE", "RUNNING", "RETRYING", "DEAD", "OLDEST", "LAST ERROR"]
_ROWS = ["ID", "EVENT", "HANDLER", "KEY", "STATE", "ATTEMPTS", "AGE", "NEXT", "ERROR"]
_DEAD = ["EVENT ID", "EVENT", "HANDLER", "KEY", "ATTEMPTS", "ERROR"]


def show_status(text: str, *, as_json: bool) -> None:
    """Print how many rows each handler has, by state."""
    found = load_dispatcher(text).ask(lambda outbox: outbox.status())
    if as_json:
        _say_json(found)
    else:
        say(*(table(_STATUS, [_status_cells(each) for each in found]) if found else [_EMPTY]))


def list_rows(
    text: str,
    *,
    handler: str | None,
    state: Literal["waiting", "due", "running", "retrying", "dead"] | None,
    key: str | None,
    limit: int,
    after: int | None,
    as_json: bool,
) -> None:
    """Print rows, by id. Raises UsageError for a handler that there is not."""

    async def look(outbox: "Outbox") -> tuple[list["OutboxRow"], str]:
        if handler is not None:
            await check_handler(outbox, handler)
        rows = await outbox.list(handler, state, key, limit + 1, after)
        return rows, "" if rows else await none_of(outbox, "No row is like that.")

    found, nothing = load_dispatcher(text).ask(look)
    rows = found[:limit]
    if as_json:
        _say_json(rows)
    else:
        say(*(rows_as_table(rows) if rows else [nothing]))
    if len(found) > limit:
        complain(f"There are more: --after {rows[-1].id}")


def show_rows(text: str, event_id: str | None, ids: Sequence[int], *, as_json: bool) -> None:
    """Print everything of some rows. Raises UsageError if it is not said which, CommandError for those that are not there."""
    if (event_id is None) == (not ids):
        raise UsageError("say which rows: an EVENT_ID, or --id")
    asked = load_dispatcher(text)
    from interceptors.events.operations import Selection  # noqa: PLC0415 (needs SQLAlchemy)

    rows = asked.ask(lambda outbox: outbox.chosen(Selection(event_id, list(ids) or None)))
    if as_json:
        _say_json(rows)
    else:
        for row in rows:
            say(*map(printable, _whole(row)))
    there = {row.id for row in rows}
    missing = [str(id) for id in ids if id not in there]
    if event_id is not None and not rows:
        missing = [f"of the event {event_id!r}"]
    if missing:
        raise CommandError(f"there is no row {', '.join(missing)}: it is done or discarded, or was never stored")


def show_dead(text: str, *, as_json: bool) -> None:
    """Print what was tried as often as allowed."""

    async def look(outbox: "Outbox") -> tuple[list["DeadEvent"], str]:
        dead = await outbox.dead()
        return dead, "" if dead else await none_of(outbox, "Nothing is dead.")

    found, nothing = load_dispatcher(text).ask(look)
    if as_json:
        _say_json(found)
    else:
        say(*(table(_DEAD, [_dead_cells(each) for each in found]) if found else [nothing]))


async def check_handler(outbox: "Outbox", handler: str) -> None:
    """Raises UsageError for a handler that is neither declared nor has rows."""
    from interceptors.events.operations import Selection  # noqa: PLC0415 (needs SQLAlchemy)

    names = {name for _, name in outbox.known} | set(await outbox.counted(Selection(everything=True)))
    if handler not in names:
        near = nearest(handler, names)
        hint = f"; the nearest: {', '.join(map(repr, near))}" if near else ""
        raise UsageError(f"no handler is called {handler!r}, and no row is for one{hint}")


async def none_of(outbox: "Outbox", text: str) -> str:
    """What is said where nothing was found: a text, or that there is nothing at all."""
    return text if await outbox.list(limit=1) else _EMPTY


# -- as text -----------------------------------------------------------------------------------------------------------


def rows_as_table(rows: Sequence["OutboxRow"]) -> list[str]:
    """A line for each row."""
    return table(_ROWS, [_row_cells(row, time.time()) for row in rows])


def _status_cells(status: "HandlerStatus") -> list[str]:
    numbers = [status.waiting, status.due, status.running, status.retrying, status.dead]
    return [
        status.event,
        status.handler,
        "yes" if status.known else "no",
        *map(str, numbers),
        "" if status.oldest is None else in_words(status.oldest),
        status.last_error or "",
    ]


def _row_cells(row: "OutboxRow", now: float) -> list[str]:
    # Of a row that waits for its key `due` only says when it is looked at again.
    waits = row.due > now and (row.state == "retrying" or (row.state == "waiting" and row.key is None))
    return [
        str(row.id),
        row.name,
        row.handler,
        row.key or "",
        row.state,
        str(row.attempts),
        in_words(now - row.created),
        f"in {in_words(row.due - now)}" if waits else "now" if row.state == "due" else "",
        row.error or "",
    ]


def _dead_cells(event: "DeadEvent") -> list[str]:
    return [event.event_id, event.name, event.handler, event.key or "", str(event.attempts), event.error or ""]


def _whole(row: "OutboxRow") -> list[str]:
    """Everything of a row, a field a line; of what has several lines each one."""
    payload = row.payload if isinstance(row.payload, str) else json.dumps(row.payload, indent=2, ensure_ascii=False)
    fields = {**asdict(row), "created": _moment(row.created), "due": _moment(row.due), "payload": payload}
    lines: list[str] = []
    for name, value in fields.items():
        first, *more = ("-" if value is None else str(value)).splitlines() or [""]
        lines += [f"{name:<10}{first}", *[f"{'':<10}{line}" for line in more]]
    return [*lines, ""]


def _moment(seconds: float) -> str:
    ago = time.time() - seconds
    words = f"{in_words(ago)} ago" if ago >= 0 else f"in {in_words(-ago)}"
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC ({words})"
    except (ValueError, OverflowError, OSError):  # a delay may end after the year 9999
        return words


def _say_json(rows: Sequence[Any]) -> None:
    say(json.dumps([asdict(row) for row in rows], indent=2))
