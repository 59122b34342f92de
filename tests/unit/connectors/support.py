"""What the tests of the neutral part share."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from interceptors.connectors import Connector, ConnectorContext

Ctx = ConnectorContext[Any, Any]
EVENTS = ("before execute", "after execute", "after execute error")


class Boom(Exception):
    pass


async def echo(req: Any) -> Any:
    """An operation that answers with its request."""
    return f"<{req}>"


async def fail(req: Any) -> Any:
    """An operation that fails."""
    raise LookupError(req)


def connector(**options: Any) -> Connector[Any, Any]:
    return Connector(**options)


@contextmanager
def warned(category: type[Warning]) -> Iterator[list[warnings.WarningMessage]]:
    """The warnings of this category; any other is an error, as ever."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.simplefilter("always", category)
        yield caught


def place(function: Any) -> tuple[str, int]:
    return function.__code__.co_filename, function.__code__.co_firstlineno
