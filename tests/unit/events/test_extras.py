"""What works without SQLAlchemy and taskiq, and what is said where they are needed; and numbers that cannot be."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData

import interceptors.events
from interceptors.errors import MissingExtraError
from interceptors.events import Outbox
from interceptors.events.stored import _text

ROOT = Path(interceptors.events.__file__).parents[2]

IN_PROCESS = """
import sys
for name in ("sqlalchemy", "taskiq"):
    sys.modules[name] = None

import asyncio
from pydantic import BaseModel
from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher, EventContext, event

class Paid(BaseModel):
    order_id: int

events = EventDispatcher(InterceptorRegistry())

@events.on(Paid)
async def handle(event: Paid, ctx: EventContext) -> None:
    print(event.order_id)

async def main():
    async with events:
        await events.publish(Paid(order_id=5))

asyncio.run(main())
try:
    from interceptors.events import Outbox
except ImportError as error:
    print(error)
"""


def test_in_process_without_either() -> None:
    """Only the outbox asks for its extra."""
    done = subprocess.run([sys.executable, "-c", IN_PROCESS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "5\ninterceptors.events.Outbox needs more libraries: pip install 'interceptors[sqlalchemy]'\n"


@pytest.mark.parametrize(
    ("module", "library"), [("outbox", "sqlalchemy"), ("after_commit", "sqlalchemy"), ("taskiq", "taskiq")]
)
def test_a_missing_library(monkeypatch: pytest.MonkeyPatch, module: str, library: str) -> None:
    """The error names the extra."""
    importlib.import_module(f"interceptors.events.{module}")
    monkeypatch.delitem(sys.modules, f"interceptors.events.{module}")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'interceptors\[{library}\]'"):
        importlib.import_module(f"interceptors.events.{module}")


def test_every_public_name_is_there() -> None:
    """And no other."""
    assert [name for name in interceptors.events.__all__ if not hasattr(interceptors.events, name)] == []
    assert interceptors.events.Outbox is Outbox
    with pytest.raises(AttributeError, match="nothing"):
        _ = interceptors.events.nothing


@pytest.mark.parametrize(
    "options",
    [{"attempts": 0}, {"backoff": -1}, {"max_backoff": -1}, {"lease": 0}, {"poll": 0}, {"lease": float("nan")}],
)
def test_numbers_that_cannot_be(options: dict[str, Any]) -> None:
    """Refused where the outbox is made."""
    with pytest.raises(ValueError, match=next(iter(options))):
        Outbox(lambda: None, metadata=MetaData(), **options)


def test_the_wait_has_a_limit() -> None:
    """However many attempts there were."""
    outbox = Outbox(lambda: None, metadata=MetaData(), max_backoff=60.0)
    for attempt, longest in ((1, 1), (2, 2), (3, 4), (7, 60), (10_000, 60)):
        waits = [outbox.delay(attempt) for _ in range(200)]
        assert 0 <= min(waits) < longest / 4
        assert longest * 3 / 4 < max(waits) <= longest


def test_errors_are_stored_as_databases_take_them() -> None:
    """Without NUL and lone surrogates, and not for ever."""
    assert _text(ValueError("a\0\udcff")) == "ValueError: a\\x00\\udcff"
    assert len(_text(ValueError("x" * 100_000))) == 10_000


def test_limits_of_an_outbox() -> None:
    """What cannot be is refused where it is written."""
    for wrong in ({"attempts": 0}, {"backoff": -1.0}, {"lease": 0.0}, {"poll": 0.0}, {"unknown_after": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Outbox(lambda: None, metadata=MetaData(), **wrong)  # type: ignore[arg-type]
