"""Mails: after the commit, once, and to whom it may concern."""

import asyncio
import logging
import threading
from pathlib import Path

import pytest
from dependency_injector import providers
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import func, select

from app.container import Container
from app.events import user_events
from app.mailbox import Mailbox
from app.main import create_app
from app.models import Base
from app.seeds import DEMO_USER_EMAIL
from interceptors import Next
from interceptors.resources import ResourceContext
from tests.app.waiting import mails

ADA = {"email": "ada@example.com", "name": "Ada", "password": "correct horse"}
ORDER = {"lines": [{"book_id": 1, "quantity": 2}]}


async def test_a_new_user_is_welcomed(client: AsyncClient, container: Container, clerk: dict[str, str]):
    """One mail, to the address of the sign-up; clerks can read it."""
    await client.post("/api/users", json=ADA)
    (mail,) = await mails(container)
    assert (mail.to, mail.subject) == ("ada@example.com", "Welcome to the bookshop")
    assert mail.text.startswith("Dear Ada,")
    assert (await client.get("/mails", headers=clerk)).json() == [mail.model_dump()]


@pytest.mark.parametrize("name", ["Zoë\u2028 ☕", "{0.__class__} {name}", "a" * 200])
async def test_a_name_is_only_a_name(client: AsyncClient, container: Container, name: str):
    """Whatever people are called, the mail says it."""
    await client.post("/api/users", json={**ADA, "name": name})
    (mail,) = await mails(container)
    assert f"Dear {name}," in mail.text


@pytest.mark.usefixtures("no_relay")
async def test_two_deliveries_are_one_mail(client: AsyncClient, container: Container):
    """An event may be delivered twice, its process having died in between: the file of its id is there already."""
    await client.post("/api/users", json=ADA)
    item, facts = {"id": 2, "email": ADA["email"], "name": ADA["name"]}, {}
    assert await container.events().relay(once=True) == 1
    (file,) = container.settings().mailbox.iterdir()
    event_id = file.stem.removeprefix("welcome-")
    before = file.read_bytes()
    for _ in range(2):
        user_events.on_after_insert(item, facts, event_id, container.mailbox())
    assert [other.read_bytes() for other in container.settings().mailbox.iterdir()] == [before]


async def test_an_event_whose_handler_dies_after_the_mail_runs_again(
    client: AsyncClient, container: Container, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """The mail is written and then the delivery fails: the next attempt finds it, and it stays one."""
    put, names = Mailbox.put, []

    def die_the_first_time(mailbox: Mailbox, name: str, **mail: str) -> bool:
        names.append(name)
        new = put(mailbox, name, **mail)
        if len(names) == 1:
            raise OSError("the disk is on fire")
        assert not new
        return new

    monkeypatch.setattr(Mailbox, "put", die_the_first_time)
    await client.post("/api/users", json=ADA)
    (mail,) = await mails(container)
    assert names == [mail.name] * 2
    assert "correct horse" not in caplog.text


def test_many_deliveries_at_the_same_time_are_one_mail(tmp_path: Path):
    """Of many threads that put the same mail one does."""
    mailbox, new = Mailbox(tmp_path / "new" / "mailbox"), []
    barrier = threading.Barrier(8)

    def put() -> None:
        barrier.wait()
        new.append(mailbox.put("welcome-1", to="ada@example.com", subject="Hello", text="Hello"))

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new) == [False] * 7 + [True]
    assert [file.name for file in (tmp_path / "new" / "mailbox").iterdir()] == ["welcome-1.eml"]


async def test_a_sign_up_that_is_rolled_back_has_no_mail(container: Container, clerk: dict[str, str]):
    """Something fails after the user is written and the event stored: neither is there."""
    stored: list[int] = []

    async def fail_once(ctx: ResourceContext, next: Next) -> object:
        result = await next()
        if ctx.target_name == "UserResource.insert" and not stored:
            stored.append(
                await ctx.session.scalar(select(func.count()).select_from(Base.metadata.tables["interceptors_outbox"]))
            )
            raise ZeroDivisionError
        return result

    container.registry().add_global(fail_once, group="remoting", source="route")
    app = create_app(container)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://shop") as client,
    ):
        assert (await client.post("/api/users", json=ADA)).status_code == 500
        assert stored == [1]
        assert await mails(container) == []
        users = (await client.get("/api/users", headers=clerk)).json()["data"]
        assert [user["email"] for user in users] == [DEMO_USER_EMAIL]
        assert len((await client.get("/accounts", headers=clerk)).json()) == 2
        # And again: the address is free.
        assert (await client.post("/api/users", json=ADA)).status_code == 201
        assert [mail.to for mail in await mails(container)] == ["ada@example.com"]


async def test_an_order_has_a_receipt(client: AsyncClient, container: Container, customer: dict[str, str]):
    """The user of the account gets one mail with the number and the total."""
    await client.post("/orders", json=ORDER, headers=customer)
    (mail,) = await mails(container)
    assert (mail.to, mail.subject) == (DEMO_USER_EMAIL, "Your order 1")
    assert "order 1: 17.98 euros" in mail.text


async def test_an_account_without_an_address_has_no_receipt(client: AsyncClient, container: Container):
    """The event is handled, and there is nobody to write to."""
    token = (await client.post("/accounts", json={"name": "Ada"})).json()["token"]
    assert (await client.post("/orders", json=ORDER, headers={"Authorization": f"Bearer {token}"})).status_code == 201
    assert await mails(container) == []


async def test_an_order_that_is_rolled_back_has_no_receipt(
    client: AsyncClient, container: Container, customer: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    """Sold out, or failing after the event was published: no order and no mail."""
    publish = type(container.events()).publish

    async def then_fail(*args: object, **kwargs: object) -> None:
        await publish(*args, **kwargs)
        raise ZeroDivisionError

    assert (await client.post("/orders", json={"lines": [{"book_id": 20}]}, headers=customer)).status_code == 409
    monkeypatch.setattr(type(container.events()), "publish", then_fail)
    with pytest.raises(ZeroDivisionError):
        await client.post("/orders", json=ORDER, headers=customer)
    assert await mails(container) == []
    assert (await client.get("/orders", headers=customer)).json() == []


async def test_a_mail_that_waits_is_sent_by_the_next_process(container: Container, customer: dict[str, str]):
    """Nobody relays while the order is placed; another application on the same database does."""
    settings = container.settings()
    async with asyncio.timeout(30):
        for relay in (False, True):
            shop = Container(
                settings=providers.Object(
                    type(settings)(database_url=settings.database_url, mailbox=settings.mailbox, relay=relay)
                )
            )
            app = create_app(shop)
            async with (
                app.router.lifespan_context(app),
                AsyncClient(transport=ASGITransport(app), base_url="http://shop") as client,
            ):
                if not relay:
                    await client.post("/orders", json=ORDER, headers=customer)
                    assert (await shop.outbox().pending(), shop.mailbox().all()) == (1, [])
                else:
                    assert len(await mails(shop)) == 1


async def test_a_mail_says_who_did_it_in_the_log(
    client: AsyncClient, container: Container, clerk: dict[str, str], caplog: pytest.LogCaptureFixture
):
    """The facts that the event carries link it to its request, and each delivery is a line of the event log."""
    caplog.set_level(logging.INFO, logger="bookshop")
    await client.post("/api/users", json=ADA, headers={**clerk, "X-Request-ID": "sign-up-1"})
    (mail,) = await mails(container)
    (record,) = [record for record in caplog.records if record.name == "bookshop.mail"]
    assert record.fields == {
        "event_id": mail.name.removeprefix("welcome-"),
        "user": 2,
        "new": True,
        "account": 2,
        "request_id": "sign-up-1",
    }
    (line,) = [record for record in caplog.records if record.name == "bookshop.events"]
    assert (line.getMessage(), line.fields["target"]) == ("event User.on_after_insert: ok", "on_after_insert")
    assert ADA["email"] not in caplog.text


async def test_mails_are_for_clerks(client: AsyncClient, customer: dict[str, str], clerk: dict[str, str]):
    """They are other people's; a shop without mails has an empty list."""
    assert (await client.get("/mails")).status_code == 401
    assert (await client.get("/mails", headers=customer)).status_code == 403
    assert (await client.get("/mails", headers=clerk)).json() == []
