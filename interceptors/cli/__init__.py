"""The command line: `new`, `explain`, `check`, `relay` and `outbox`. It rests on typer, the extra `cli`."""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Gives the exit code: 0 done, 1 the answer is no, 2 the question is wrong."""
    try:
        from interceptors.cli.commands import run  # noqa: PLC0415 (typer may be missing)
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        print("error: the command line needs typer: pip install 'interceptors[cli]'", file=sys.stderr)  # noqa: T201 (a command line prints)
        return 1
    return run(arguments)
