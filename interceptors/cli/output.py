"""What a command says, and how it ends when it has to say no."""

import sys

__all__ = ["CommandError", "UsageError", "complain", "describe", "one_line", "printable", "say"]


class CommandError(Exception):
    """The answer is no: one line for stderr."""

    exit_code = 1


class UsageError(CommandError):
    """The question is wrong."""

    exit_code = 2


def say(*lines: str) -> None:
    """Print lines, now: a pipe that is closed is noticed while the command runs. What it cannot encode is escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    text = "".join(f"{line}\n" for line in lines)
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def complain(line: str) -> None:
    """Print a line on stderr: what is said beside the answer."""
    sys.stderr.write(f"{printable(line)}\n")


def describe(error: BaseException) -> str:
    """`<class>: <message>`, on one line."""
    message = one_line(str(error))
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def one_line(text: str) -> str:
    """The lines of a text one after the other."""
    return printable(" ".join(stripped for line in text.splitlines() if (stripped := line.strip())))


def printable(text: str) -> str:
    """A text without line ends and other control characters: these are escaped as in a Python literal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
