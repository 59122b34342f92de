"""Who handles a row: names of real modules, however a program is started, and names that a handler had before."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher, EventError
from interceptors.resources import Resource, Resources
from tests.integration.events.shop import OrderPaid, OrderShipped, Shop

PROGRAM = """
import sys
sys.path.insert(0, {root!r})
from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher
from tests.integration.events.shop import OrderPaid

events = EventDispatcher(InterceptorRegistry())

@events.on(OrderPaid)
async def handle(event: OrderPaid) -> None: ...

class Mails:
    @staticmethod
    async def handle(event: OrderPaid) -> None: ...

events.on(OrderPaid)(Mails.handle)
names = [handler.name for handler in events._handlers["OrderPaid"]]

def tell():
    print(*names)

if __name__ == "__main__":
    if "spawn" in sys.argv:
        import multiprocessing
        child = multiprocessing.get_context("spawn").Process(target=tell)
        child.start()
        child.join()
    else:
        tell()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "command", "module"),
    [
        ("till.py", ["till.py"], "till"),
        ("till.py", ["-m", "till"], "till"),
        ("till.py", ["till.py", "spawn"], "till"),
        ("till.py", ["-m", "till", "spawn"], "till"),
        ("store/__main__.py", ["-m", "store"], "store.__main__"),
        ("store/__main__.py", ["store"], "store.__main__"),
        ("store/desk/till.py", ["store/desk/till.py"], "till"),
        ("store/__init__.py store/till.py", ["store/till.py"], "store.till"),
        ("store/__init__.py store/till.py", ["-m", "store.till"], "store.till"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_handler_has_the_name_of_its_real_module(tmp_path: Path, file: str, command: list[str], module: str) -> None:
    """So that a relay that imports it means the same one."""
    *others, program = file.split()
    for name in (*others, program):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(PROGRAM.format(root=str(Path.cwd())) if name == program else "")
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"{module}.handle", f"{module}.Mails.handle"]


def test_a_console_has_no_module_of_another_name() -> None:
    """What has no file stays `__main__`, which only this process means."""
    program = PROGRAM.format(root=str(Path.cwd()))
    done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "__main__.handle"


async def test_what_is_stored_under_former_names_is_delivered_in_the_order_of_its_key(shop: Shop) -> None:
    """Mixed with what is stored under the new one, by an old release that goes on publishing."""
    seen: list[int] = []
    old, new = shop.dispatcher(relay=False), shop.dispatcher(relay=False)
    old.on(OrderPaid, name="old")(_nothing)
    new.on(OrderPaid, name="new", aliases=["older", "old"])(_recorder(seen))
    for number in range(8):
        await (old, new)[number in (2, 3, 6)].publish(OrderPaid(order_id=number), key="order:1")
    while await new.relay(once=True):
        pass
    assert seen == list(range(8))


async def test_one_name_or_alias_means_one_handler(shop: Shop) -> None:
    """Of one event; the same function may handle another event under the same names."""
    for options in ({"name": "b", "aliases": ["a"]}, {"name": "b", "aliases": ["old"]}, {"name": "old"}, {"name": "a"}):
        events = shop.dispatcher()
        events.on(OrderPaid, name="a", aliases=["old"])(_nothing)
        with pytest.raises(EventError, match="'(a|old)'; give one another `name=`, or take it out of its `aliases=`"):
            events.on(OrderPaid, **options)(_nothing)
        events.on(OrderShipped, name="a", aliases=["old"])(_nothing)
    with pytest.raises(EventError, match="its own name"):
        events.on(OrderShipped, name="c", aliases=["c"])(_nothing)
    with pytest.raises(EventError, match="255"):
        events.on(OrderShipped, name="d", aliases=["x" * 256])(_nothing)


async def test_one_function_for_two_events_keeps_the_order_of_a_key(shop: Shop) -> None:
    """Order is the handler's, whatever the events are."""
    seen: list[int] = []
    events = shop.dispatcher(relay=False)

    async def index(event: BaseModel) -> None:
        seen.append(event.order_id)  # type: ignore[attr-defined]

    events.on(OrderPaid, name="index")(index)
    events.on(OrderShipped, name="index")(index)
    for number in range(6):
        event = OrderPaid(order_id=number) if number % 2 else OrderShipped(order_id=number)
        await events.publish(event, key="order:1")
    while await events.relay(once=True):
        pass
    assert seen == list(range(6))


def test_events_of_resources_have_names_and_aliases() -> None:
    """In code and in an event file's `@event`."""

    class Base(DeclarativeBase): ...

    class User(Base):
        __tablename__ = "named_users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    registry = InterceptorRegistry()
    events = EventDispatcher(registry)
    resources = Resources(registry, async_sessionmaker(), events=events)
    resources.add(type("UserResource", (Resource,), {"model": User, "fillable": {"name"}}))
    resources.event(User, "on_after_insert", name="index", aliases=["search.index"], timeout=5.0)(_of_resource)
    resources.router()
    (handler,) = events._handlers["User.on_after_insert"]
    assert (handler.name, handler.aliases, handler.timeout) == ("index", ("search.index",), 5.0)


def _recorder(seen: list[int]) -> Any:
    async def handle(event: OrderPaid) -> None:
        seen.append(event.order_id)

    return handle


async def _nothing(event: BaseModel) -> None: ...


async def _of_resource(item: dict[str, Any]) -> None: ...
