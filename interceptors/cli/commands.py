"""The commands and their options, as typer reads them. What they do stands in one module each."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from interceptors.cli.check import check_application
from interceptors.cli.explain import explain_application
from interceptors.cli.new import NewInterceptor, create
from interceptors.cli.outbox import list_rows, show_dead, show_rows, show_status
from interceptors.cli.outbox_changes import ChosenRows, change_rows, purge_dead, reassign_rows
from interceptors.cli.output import CommandError, UsageError, one_line, say
from interceptors.cli.relay import relay_events
from interceptors.requirements import Requirement

__all__ = ["app", "run"]

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
outbox = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.add_typer(outbox, name="outbox", help="Look at stored events, and decide what becomes of them.")

App = Annotated[
    str,
    typer.Argument(
        metavar="APP",
        help="module:attribute, an application or a factory without parameters. The current folder is searched first.",
    ),
]

Events = Annotated[str, typer.Argument(metavar="EVENTS", help="module:attribute, an EventDispatcher with an outbox.")]
EventId = Annotated[str | None, typer.Argument(metavar="EVENT_ID", help="All rows of an event.")]
Ids = Annotated[list[int] | None, typer.Option("--id", metavar="ID", help="A row, by its id; may be repeated.")]
OfHandler = Annotated[str | None, typer.Option("--handler", metavar="NAME", help="Only rows of this handler.")]
OfKey = Annotated[str | None, typer.Option("--key", metavar="KEY", help="Only rows of this key.")]
OlderThan = Annotated[
    float | None, typer.Option(metavar="SECONDS", min=0.0, help="Only rows that were stored longer ago.")
]
Everything = Annotated[bool, typer.Option("--all", help="All that it can be done to.")]
AsJson = Annotated[bool, typer.Option("--json", help="As a list of objects.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be changed.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.callback()
def interceptors() -> None:
    """Interceptors: write new ones, and look at the chains of an application."""


@app.command()
def new(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="HttpAccess gives http_access.py, class HttpAccessInterceptor.")
    ] = None,
    is_global: Annotated[
        bool | None, typer.Option("--global/--local", help="Around everything, or for @intercept. [default: global]")
    ] = None,
    group: Annotated[str | None, typer.Option(help="The group that a global one is ordered by.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Only for invocations of this source type, e.g. route; may be repeated.")
    ] = None,
    directory: Annotated[
        str, typer.Option("--dir", help="A package below the current folder; a leading src/ is no part of its name.")
    ] = "app/interceptors",
    force: Annotated[bool, typer.Option("--force", help="Overwrite what exists.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be written.")] = False,
) -> int:
    """Write an interceptor and its test."""
    create(NewInterceptor(name, is_global, group, source or [], directory, force=force, dry_run=dry_run))
    return 0


@app.command()
def explain(
    application: App,
    route: Annotated[
        str | None, typer.Argument(metavar="ROUTE", help='"GET /orders/{id}", a path, or a target; all without it.')
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Also what does not run, and why.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON; always with what does not run.")] = False,
) -> int:
    """Show the chain of each route. The application is not started."""
    explain_application(application, route, why=why, as_json=as_json)
    return 0


@app.command()
def check(
    application: App,
    lock: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the chains to a lock file.")] = None,
    verify: Annotated[Path | None, typer.Option(metavar="FILE", help="Compare the chains with a lock file.")] = None,
    require: Annotated[str | None, typer.Option(metavar="KEY", help="A layer that every route has to run.")] = None,
    unless: Annotated[
        str | None, typer.Option(metavar="NAME", help="The annotation that excuses a route from --require.")
    ] = None,
) -> int:
    """Make the checks of the application's start without starting it."""
    if unless is not None and require is None:
        raise UsageError("--unless excuses routes from --require; give that, too")
    required = None if require is None else Requirement(require, unless=unless)
    return 0 if check_application(application, lock=lock, verify=verify, require=required) else 1


@app.command()
def relay(
    dispatcher: Events,
    once: Annotated[bool, typer.Option("--once", help="Deliver what is due now, and end.")] = False,
) -> int:
    """Deliver stored events until SIGINT or SIGTERM; what runs then is waited for."""
    return relay_events(dispatcher, once=once)


@outbox.command()
def status(dispatcher: Events, as_json: AsJson = False) -> int:
    """Count the rows of each handler, by state."""
    show_status(dispatcher, as_json=as_json)
    return 0


@outbox.command("list")
def list_(
    dispatcher: Events,
    handler: OfHandler = None,
    state: Annotated[
        Literal["waiting", "due", "running", "retrying", "dead"] | None, typer.Option(help="Only rows in this state.")
    ] = None,
    key: OfKey = None,
    limit: Annotated[int, typer.Option(metavar="COUNT", min=1, help="How many at most.")] = 100,
    after: Annotated[int | None, typer.Option(metavar="ID", help="Only rows after the one with this id.")] = None,
    as_json: AsJson = False,
) -> int:
    """List rows by their id, oldest first."""
    list_rows(dispatcher, handler=handler, state=state, key=key, limit=limit, after=after, as_json=as_json)
    return 0


@outbox.command()
def show(dispatcher: Events, event_id: EventId = None, ids: Ids = None, as_json: AsJson = False) -> int:
    """Show all of a row: payload, whole error."""
    show_rows(dispatcher, event_id, ids or [], as_json=as_json)
    return 0


@outbox.command()
def dead(dispatcher: Events, as_json: AsJson = False) -> int:
    """List what was tried as often as allowed."""
    show_dead(dispatcher, as_json=as_json)
    return 0


@outbox.command()
def revive(
    dispatcher: Events,
    event_id: EventId = None,
    ids: Ids = None,
    handler: OfHandler = None,
    key: OfKey = None,
    older_than: OlderThan = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int:
    """Have dead rows start anew, retrying ones now."""
    chosen = ChosenRows(event_id, ids or (), handler, key, older_than, everything)
    change_rows(dispatcher, "revive", chosen, yes=yes, dry_run=dry_run)
    return 0


@outbox.command()
def discard(
    dispatcher: Events,
    event_id: EventId = None,
    ids: Ids = None,
    handler: OfHandler = None,
    key: OfKey = None,
    older_than: OlderThan = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int:
    """Delete dead rows; with --id whatever does not run."""
    chosen = ChosenRows(event_id, ids or (), handler, key, older_than, everything)
    change_rows(dispatcher, "discard", chosen, yes=yes, dry_run=dry_run)
    return 0


@outbox.command()
def reassign(
    dispatcher: Events,
    handler: Annotated[str, typer.Argument(metavar="HANDLER", help="Whose rows.")],
    to: Annotated[str, typer.Argument(metavar="TO", help="The handler that gets them.")],
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int:
    """Give the rows of a handler to another one."""
    reassign_rows(dispatcher, handler, to, yes=yes, dry_run=dry_run)
    return 0


@outbox.command()
def purge(
    dispatcher: Events,
    older_than: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.0, help="Only rows that were stored longer ago.")
    ] = 0.0,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int:
    """Delete dead rows by their age."""
    purge_dead(dispatcher, older_than, yes=yes, dry_run=dry_run)
    return 0


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; an error is one line on stderr. Gives the exit code."""
    try:
        code = app(args=arguments, standalone_mode=False)
    except CommandError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:  # typer does not take the options
        return _fail(error.format_message(), error.exit_code)
    except typer.Abort:
        say("")  # the cursor stands behind a question
        return _fail("aborted", 1)
    return int(code)


def _fail(message: str, exit_code: int) -> int:
    print(f"error: {one_line(message)}", file=sys.stderr)  # noqa: T201 (a command line prints)
    return exit_code
