"""The commands and their options, as typer reads them. What they do stands in one module each."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from interceptors.cli.check import check_application
from interceptors.cli.explain import explain_application
from interceptors.cli.new import NewInterceptor, create
from interceptors.cli.output import CommandError, UsageError, one_line, say
from interceptors.cli.relay import relay_events
from interceptors.requirements import Requirement

__all__ = ["app", "run"]

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

App = Annotated[
    str,
    typer.Argument(
        metavar="APP",
        help="module:attribute, an application or a factory without parameters. The current folder is searched first.",
    ),
]


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
    dispatcher: Annotated[
        str, typer.Argument(metavar="EVENTS", help="module:attribute, an EventDispatcher with an outbox.")
    ],
    once: Annotated[bool, typer.Option("--once", help="Deliver what is due now, and end.")] = False,
) -> int:
    """Deliver stored events until SIGINT or SIGTERM; what runs then is waited for."""
    return relay_events(dispatcher, once=once)


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
