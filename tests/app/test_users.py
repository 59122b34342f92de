"""Users: signing up and in, who sees whom, and where a password is never to be found."""

import json
import logging
import threading

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy import text

from app.container import Container
from app.hooks import user_hooks
from app.passwords import Passwords
from app.seeds import DEMO_CUSTOMER_TOKEN, DEMO_USER_EMAIL

PASSWORD = "correct horse battery"
ADA = {"email": "Ada@Example.com", "name": " Ada Lovelace ", "password": PASSWORD}
SHOWN = {"id", "account_id", "email", "name", "created"}


async def signed_up(client: AsyncClient, **changes: str) -> dict[str, object]:
    answer = await client.post("/api/users", json={**ADA, **changes})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def signed_in(client: AsyncClient, email: str = "ada@example.com", password: str = PASSWORD) -> dict[str, str]:
    answer = await client.post("/accounts/token", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


async def everything_stored(container: Container) -> str:
    """All rows of all tables."""
    async with container.engine().connect() as connection:
        tables = (await connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))).scalars().all()
        return repr([(await connection.execute(text(f"SELECT * FROM {table}"))).all() for table in tables])


async def test_signing_up_gives_a_user(client: AsyncClient):
    """The answer is the new row in its one spelling, without what is hidden, and nobody may keep it."""
    answer = await client.post("/api/users", json=ADA)
    user = answer.json()
    assert (answer.status_code, set(user)) == (201, SHOWN)
    assert (user["email"], user["name"]) == ("ada@example.com", "Ada Lovelace")
    assert answer.headers["Cache-Control"] == "no-store"


async def test_who_signed_up_can_sign_in(client: AsyncClient):
    """The password of the sign-up opens a customer's account, by a new token each time; the last one is void then."""
    await signed_up(client)
    first, second = await signed_in(client), await signed_in(client, " ADA@example.com ")
    assert (await client.get("/accounts/me", headers=first)).status_code == 401
    me = (await client.get("/accounts/me", headers=second)).json()
    assert (me["name"], me["role"]) == ("ada@example.com", "customer")


async def test_a_wrong_password_is_a_401(client: AsyncClient):
    """Which of the two is wrong is not said."""
    await signed_up(client)
    for email, password in (
        ("ada@example.com", "wrong"),
        ("nobody@example.com", PASSWORD),
        (DEMO_USER_EMAIL, ""),
        (DEMO_USER_EMAIL, "x" * 500),
    ):
        answer = await client.post("/accounts/token", json={"email": email, "password": password})
        assert (answer.status_code, answer.json()["detail"]) == (
            401,
            {"code": "wrong_password", "message": "The e-mail address or the password is wrong."},
        )


@pytest.mark.usefixtures("no_relay")
async def test_a_password_is_stored_as_its_hash_and_found_nowhere(
    client: AsyncClient,
    app: FastAPI,
    container: Container,
    clerk: dict[str, str],
    caplog: pytest.LogCaptureFixture,
):
    """Neither the password nor, but for its one column, the hash: not in answers, logs, events or the documentation."""
    caplog.set_level(logging.INFO)
    answers = [await client.post("/api/users", json=ADA)]
    user = answers[0].json()
    async with container.engine().connect() as connection:
        hashed = (
            await connection.execute(text(f"SELECT password_hash FROM users WHERE id = {user['id']}"))
        ).scalar_one()
        outbox = repr((await connection.execute(text("SELECT * FROM interceptors_outbox"))).all())
    assert hashed.startswith("$argon2id$")
    assert "ada@example.com" in outbox
    own = await signed_in(client)
    place = f"/api/users/{user['id']}"
    answers += [
        await client.post("/api/users", json=ADA),
        await client.post("/api/users", json={**ADA, "email": "x", "name": ""}),
        await client.get(place, headers=own),
        await client.get(place, params={"fields": "password_hash"}, headers=own),
        await client.get(place, params={"q": json.dumps({"password_hash": hashed})}, headers=own),
        await client.get("/api/users", params={"sort": "password_hash"}, headers=clerk),
        await client.get("/api/users", headers=clerk),
        await client.put(place, json={"name": "Ada", "password": PASSWORD}, headers=own),
        await client.patch(place, json={"password": PASSWORD}, headers=own),
        await client.post("/accounts/token", json={"email": "ada@example.com", "password": PASSWORD + "!"}),
    ]
    assert await container.events().relay(once=True) == 1
    assert [answer.status_code for answer in answers] == [201, 409, 400, 200, 400, 400, 400, 200, 200, 200, 401]
    said = "\n".join(answer.text for answer in answers) + caplog.text + outbox + json.dumps(app.openapi())
    said += "".join(repr(vars(record)) for record in caplog.records)
    assert PASSWORD not in said + await everything_stored(container)
    assert "$argon2" not in said
    assert "password_hash" not in json.dumps(app.openapi())


async def test_hashing_does_not_hold_up_the_loop(client: AsyncClient, monkeypatch: pytest.MonkeyPatch):
    """The hook runs in another thread."""
    threads: list[int] = []
    hash = Passwords.hash

    def watched(passwords: Passwords, password: object) -> str:
        threads.append(threading.get_ident())
        return hash(passwords, password)

    monkeypatch.setattr(Passwords, "hash", watched)
    await signed_up(client)
    assert threads
    assert threading.get_ident() not in threads


def test_a_hook_is_a_function(container: Container):
    """A unit test calls it: the password becomes its hash, and a change without one stays as it is."""
    passwords, secret = container.passwords(), SecretStr(PASSWORD)
    new, changed, renamed = {"password": secret}, {"password": secret}, {"name": "Ada"}
    user_hooks.on_before_insert(new, passwords)
    user_hooks.on_before_update(changed, passwords)
    user_hooks.on_before_update(renamed, passwords)
    assert (set(new), set(changed), renamed) == ({"password_hash"}, {"password_hash"}, {"name": "Ada"})
    assert new != changed  # salted
    assert passwords.match(secret, new["password_hash"])
    assert not passwords.match(secret, None)


async def test_all_that_is_wrong_is_said_at_once(client: AsyncClient):
    """Each field has its messages, and none repeats what was sent."""
    answer = await client.post("/api/users", json={"email": "ada", "name": " ", "password": "hunter2"})
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {"email", "name", "password"})
    assert "hunter2" not in answer.text


async def test_what_is_no_address_is_refused(client: AsyncClient):
    """Least of all one that would write another header into a mail."""
    for email in ("", "ada", "ada@", "@b.cc", "ada@example", "a b@c.dd", "ada@example.com\nBcc: x@y.zz", "ä@b.cc"):
        answer = await client.post("/api/users", json={**ADA, "email": email})
        assert (answer.status_code, set(answer.json()["errors"])) == (400, {"email"}), email


async def test_an_address_signs_up_once(client: AsyncClient, clerk: dict[str, str]):
    """The second time is a 409 and leaves nothing behind, whatever the spelling."""
    await signed_up(client)
    assert (await client.post("/api/users", json={**ADA, "email": "ADA@EXAMPLE.COM"})).status_code == 409
    users = (await client.get("/api/users", headers=clerk)).json()["data"]
    assert [user["email"] for user in users] == [DEMO_USER_EMAIL, "ada@example.com"]
    assert len((await client.get("/accounts", headers=clerk)).json()) == 3


async def test_what_is_not_for_users_to_choose_is_ignored(client: AsyncClient):
    """Neither key, account, hash nor time can be sent."""
    user = await signed_up(
        client, **{"id": "77", "account_id": "2", "password_hash": "x", "created": "1999-01-01T00:00"}
    )
    assert (user["id"], user["account_id"]) == (2, 3)
    assert not str(user["created"]).startswith("1999")
    await signed_in(client)


async def test_users_change_themselves(client: AsyncClient, container: Container):
    """PATCH and PUT change the name, and the password where one is sent; the address stays."""
    user = await signed_up(client)
    own, place = await signed_in(client), f"/api/users/{user['id']}"
    renamed = await client.patch(place, json={"name": "Countess", "email": "x@y.zz"}, headers=own)
    assert (renamed.status_code, renamed.json()) == (200, {**user, "name": "Countess"})
    assert (await client.patch(place, json={"password": "another horse"}, headers=own)).status_code == 200
    assert (await client.patch(place, json={"password": None}, headers=own)).status_code == 200
    own = await signed_in(client, password="another horse")
    assert (await client.put(place, json={"password": "a third horse"}, headers=own)).status_code == 400
    put = await client.put(place, json={"name": "Ada", "password": "a third horse"}, headers=own)
    assert (put.status_code, put.json()) == (200, {**user, "name": "Ada"})
    await signed_in(client, password="a third horse")


async def test_customers_see_and_change_only_themselves(client: AsyncClient, clerk: dict[str, str]):
    """Another user is not found, whatever the query string says; clerks see everybody."""
    user = await signed_up(client)
    own = await signed_in(client)
    mine, others = f"/api/users/{user['id']}", "/api/users/1"
    assert (await client.get(mine, headers=own)).json() == user
    for answer in (
        await client.get(others, headers=own),
        await client.get(others, params={"q": '[{"id": 1}, {"$or.id": 1}]'}, headers=own),
        await client.patch(others, json={"name": "Eve"}, headers=own),
        await client.put(others, json={"name": "Eve"}, headers=own),
    ):
        assert (answer.status_code, answer.json()) == (404, {"error": "The item is not found on User."})
        assert answer.headers["X-Request-ID"]
    assert (await client.get(others, headers=clerk)).json()["name"] == "Demo Customer"
    assert (await client.patch(mine, json={"name": "A. Lovelace"}, headers=clerk)).json()["name"] == "A. Lovelace"


async def test_who_may_do_what(client: AsyncClient, customer: dict[str, str]):
    """Everybody signs up; the list is for clerks; the rest needs an account; nobody is deleted."""
    assert (await client.get("/api/users")).status_code == 401
    assert (await client.get("/api/users/1", headers={"Authorization": "Bearer wrong"})).status_code == 401
    assert (await client.patch("/api/users/1", json={"name": "Eve"})).status_code == 401
    refused = await client.get("/api/users", headers=customer)
    assert (refused.status_code, refused.json()["detail"]["code"]) == (403, "not_allowed")
    assert (await client.delete("/api/users/1", headers=customer)).status_code == 405


async def test_clerks_search_users(client: AsyncClient, clerk: dict[str, str]):
    """By pattern and by time, sorted, page by page, some fields."""
    for name in ("Charlotte", "Emily", "Anne"):
        await signed_up(client, name=name, email=f"{name}@example.com")
    query = {
        "q": '{"email$like": "*@example.com", "created$gt": "2020-01-01T00:00:00Z"}',
        "sort": "name",
        "fields": "name",
        "per_page": "2",
    }
    page = (await client.get("/api/users", params=query, headers=clerk)).json()
    assert page["data"] == [{"name": "Anne"}, {"name": "Charlotte"}]
    assert (page["pagination"]["total"], page["pagination"]["nextPage"]) == (3, 2)
    later = {"q": '{"created$gt": "2999-01-01T00:00:00Z"}'}
    assert (await client.get("/api/users", params=later, headers=clerk)).json()["data"] == []


async def test_the_access_log_knows_resources(
    client: AsyncClient, customer: dict[str, str], caplog: pytest.LogCaptureFixture
):
    """The globals run around resources as around controllers: one line each, with the status."""
    caplog.set_level(logging.INFO, logger="bookshop")
    await client.get("/api/users/1", headers=customer)
    await client.get("/api/users/999", headers=customer)
    await client.get("/api/users", headers=customer)
    lines = [record for record in caplog.records if record.name == "bookshop.access"]
    assert [(line.fields["target"], line.fields["outcome"]) for line in lines] == [
        ("UserResource.show", "ok"),
        ("UserResource.show", "404"),
        ("UserResource.paginate", "403"),
    ]
    assert DEMO_CUSTOMER_TOKEN not in caplog.text
