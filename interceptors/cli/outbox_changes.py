"""`interceptors outbox revive`, `discard`, `purge` and `reassign`: what changes rows says which, and asks before."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import typer

from interceptors.cli.dispatchers import load_dispatcher
from interceptors.cli.outbox import check_handler, none_of, rows_as_table
from interceptors.cli.output import CommandError, UsageError, printable, say
from interceptors.describing import nearest

if TYPE_CHECKING:
    from interceptors.events import Outbox, OutboxRow
    from interceptors.events.operations import Change, Selection

__all__ = ["ChosenRows", "change_rows", "purge_dead", "reassign_rows"]

_PAST = {"revive": "revived", "discard": "discarded", "purge": "purged", "reassign": "reassigned"}
_CAN_BE = {
    "revive": "only what is dead or waits for its next try can be",
    "discard": "only what is dead can be, by --id also what does not run",
}
_SHOWN = 20  # rows by --dry-run


@dataclass(frozen=True, slots=True)
class ChosenRows:
    """Which rows, as the options say it."""

    event_id: str | None = None
    ids: Sequence[int] = ()
    handler: str | None = None
    key: str | None = None
    older_than: float | None = None
    everything: bool = False

    def check(self) -> None:
        """Raises UsageError for options of which a command can make nothing."""
        others = [self.event_id, self.handler, self.key, self.older_than]
        has_others = any(each is not None for each in others)
        if bool(self.ids) + self.everything + has_others != 1:
            raise UsageError(
                "say which rows: EVENT_ID, --handler, --key, --older-than (those that meet all of them), or --id alone, "
                "or --all alone"
            )

    def selection(self) -> "Selection":
        """The same for the outbox."""
        from interceptors.events.operations import Selection  # noqa: PLC0415 (needs SQLAlchemy)

        ids = list(self.ids) or None
        return Selection(self.event_id, ids, self.handler, self.key, self.older_than, self.everything)


@dataclass(frozen=True, slots=True)
class _AskedChange:
    """What `do` does to which rows; `change` says to which it can be done."""

    verb: str
    change: "Change"
    chosen: ChosenRows
    do: "Callable[[Outbox], Awaitable[int | list[int]]]"
    to: str | None = None

    @property
    def where(self) -> str:
        return "" if self.to is None else f" to {self.to}"


@dataclass(frozen=True, slots=True)
class _Touched:
    """What would be touched, and why something that was named would not be."""

    counts: Mapping[str, int]
    rows: "Sequence[OutboxRow]"
    refused: Sequence[str]
    nothing: str


def change_rows(text: str, verb: Literal["revive", "discard"], chosen: ChosenRows, *, yes: bool, dry_run: bool) -> None:
    """Revive or discard rows. Raises UsageError, and CommandError for rows that were named and not changed."""
    chosen.check()

    async def do(outbox: "Outbox") -> int | list[int]:
        change: Any = outbox.revive if verb == "revive" else outbox.discard
        given = {"handler": chosen.handler, "key": chosen.key, "older_than": chosen.older_than}
        done: int | list[int] = await change(
            chosen.event_id, ids=list(chosen.ids) or None, all=chosen.everything, **given
        )
        return done

    _carry_out(text, _AskedChange(verb, verb, chosen, do), yes=yes, dry_run=dry_run)


def purge_dead(text: str, older_than: float, *, yes: bool, dry_run: bool) -> None:
    """Delete old dead rows."""
    action = _AskedChange(
        "purge", "discard", ChosenRows(older_than=older_than), lambda outbox: outbox.purge(older_than)
    )
    _carry_out(text, action, yes=yes, dry_run=dry_run)


def reassign_rows(text: str, handler: str, to: str, *, yes: bool, dry_run: bool) -> None:
    """Give the rows of a handler to another one. Raises UsageError if that cannot handle them."""
    chosen = ChosenRows(handler=handler)
    action = _AskedChange("reassign", "reassign", chosen, lambda outbox: outbox.reassign(handler, to), to)
    _carry_out(text, action, yes=yes, dry_run=dry_run)


def _carry_out(text: str, action: _AskedChange, *, yes: bool, dry_run: bool) -> None:
    """Say what would be touched, or ask, and do it."""
    if not (yes or dry_run or sys.stdin.isatty()):
        raise UsageError(
            "stdin is no terminal, so nobody can be asked: say --yes, or --dry-run to see what it would do"
        )
    asked = load_dispatcher(text)
    found = asked.ask(lambda outbox: _look(outbox, action))
    what = printable(f"{_counted(found.counts)}{action.where}")
    if found.counts and dry_run:
        say(*rows_as_table(found.rows), f"Would {action.verb} {what}. Nothing was changed.")
    elif found.counts:
        if not yes and not _is_confirmed(f"{action.verb.capitalize()} {what}?"):
            raise CommandError("nothing was changed")
        done = asked.ask(action.do)
        count = done if isinstance(done, int) else len(done)
        say(f"{_PAST[action.verb].capitalize()} {_rows(count)}{printable(action.where)}.")
    elif not found.refused:
        say(found.nothing)
    if found.refused:
        raise CommandError(f"not {_PAST[action.verb]}: {', '.join(found.refused)}")


def _is_confirmed(question: str) -> bool:
    """Ask on stderr, which is seen also where the answer of the command goes into a file."""
    try:
        sys.stderr.write(f"{question} [y/N]: ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        raise typer.Abort from None
    if not answer.endswith("\n"):  # Ctrl-D: the cursor stands behind the question
        sys.stderr.write("\n")
    return answer.strip().casefold() in ("y", "yes")


async def _look(outbox: "Outbox", action: _AskedChange) -> _Touched:
    """Find out what an action would touch. Raises UsageError for a handler that cannot be meant."""
    chosen, selection = action.chosen, action.chosen.selection()
    if chosen.handler is not None:
        await check_handler(outbox, chosen.handler)
    if action.to is not None:
        await _check_new_handler(outbox, str(chosen.handler), action.to)
    counts = await outbox.counted(selection, action.change)
    rows = await outbox.chosen(selection, action.change, _SHOWN)
    refused: list[str] = []
    if chosen.ids or (chosen.event_id is not None and not counts):
        refused = await _refused(outbox, action)
    nothing = "" if counts else await none_of(outbox, f"There is nothing to {action.verb}.")
    return _Touched(counts, rows, refused, nothing)


async def _refused(outbox: "Outbox", action: _AskedChange) -> list[str]:
    """Why rows that were named cannot be changed."""
    chosen, selection = action.chosen, action.chosen.selection()
    states = {row.id: row.state for row in await outbox.chosen(selection)}
    can_be = {row.id for row in await outbox.chosen(selection, action.change)}
    if not chosen.ids and not states:
        return [f"there is no such row of the event {chosen.event_id!r}"]
    missing = [f"there is no row {id}" for id in chosen.ids if id not in states]
    other = [f"row {id} is {state}" for id, state in states.items() if id not in can_be]
    if other:
        other[-1] += f" ({_CAN_BE[action.verb]})"
    return [*missing, *other]


async def _check_new_handler(outbox: "Outbox", handler: str, to: str) -> None:
    """Raises UsageError for a name that is not known here, where any is, or not for the events of the rows."""
    names = {name for _, name in outbox.known}
    if names and to not in names:
        near = nearest(to, names, likeness=0)
        raise UsageError(f"no handler is called {to!r} here; the nearest: {', '.join(map(repr, near))}")
    for status in await outbox.status():
        if names and status.handler == handler and (status.event, to) not in outbox.known:
            able = (
                " or ".join(sorted(repr(name) for event, name in outbox.known if event == status.event)) or "none here"
            )
            raise UsageError(f"{to!r} does not handle {status.event!r}, which rows of {handler!r} are; {able} does")


def _counted(counts: Mapping[str, int]) -> str:
    """`3 rows (2 of shop.mail, 1 of shop.search)`"""
    if len(counts) == 1:
        return f"{_rows(sum(counts.values()))} of {next(iter(counts))}"
    return f"{_rows(sum(counts.values()))} ({', '.join(f'{count} of {name}' for name, count in counts.items())})"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
