"""Who may do what: 401, 403, tokens."""

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select

from app.container import Container
from app.models import AccountRow
from app.seeds import DEMO_CLERK_TOKEN, DEMO_CUSTOMER_TOKEN

PROTECTED = [
    ("GET", "/accounts/me"),
    ("GET", "/accounts"),
    ("GET", "/orders"),
    ("GET", "/orders/1"),
    ("POST", "/orders"),
    ("POST", "/books"),
    ("POST", "/books/1/deliveries"),
    ("GET", "/books/export"),
    ("GET", "/mails"),
    ("GET", "/api/users"),
    ("GET", "/api/orders/1/lines"),
]
BODIES = {
    "/orders": {"lines": [{"book_id": 1}]},
    "/books": {"title": "T", "author": "A", "year": 1900, "price_cents": 1, "cost_cents": 1},
    "/books/1/deliveries": {"quantity": 1},
}


@pytest.mark.parametrize(("verb", "path"), PROTECTED)
async def test_nobody_is_a_401(client: AsyncClient, verb: str, path: str):
    """Without a token that exists, a method with roles answers 401 and says which scheme it wants."""
    for header in (None, "Bearer wrong", "Bearer ", "Basic abc", "nonsense"):
        headers = {"Authorization": header} if header else {}
        answer = await client.request(verb, path, headers=headers, json=BODIES.get(path))
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), header
        assert answer.json()["detail"]["code"] == "not_signed_in", header


@pytest.mark.parametrize(("verb", "path"), [("GET", "/accounts"), ("POST", "/books"), ("POST", "/books/1/deliveries")])
async def test_the_wrong_role_is_a_403(client: AsyncClient, customer: dict[str, str], verb: str, path: str):
    """A customer may not do what is annotated for clerks; nothing happens."""
    before = (await client.get("/books/1")).json()
    answer = await client.request(verb, path, headers=customer, json=BODIES.get(path))
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        {"code": "not_allowed", "message": "Only for: clerk."},
    )
    assert (await client.get("/books/1")).json() == before


async def test_a_token_says_who_it_is(client: AsyncClient, customer: dict[str, str], clerk: dict[str, str]):
    """The injected current user is the account whose token was sent, and the answer may not be stored."""
    answers = [await client.get("/accounts/me", headers=headers) for headers in (customer, clerk)]
    assert [answer.json()["role"] for answer in answers] == ["customer", "clerk"]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}


async def test_signing_up_gives_a_token_that_works(client: AsyncClient):
    """A new account can sign in with the token of the answer, and is a customer."""
    answer = await client.post("/accounts", json={"name": "  Ada "})
    account = answer.json()
    token = account.pop("token")
    assert (answer.status_code, account) == (201, {"id": 3, "name": "Ada", "role": "customer"})
    me = await client.get("/accounts/me", headers={"Authorization": f"Bearer {token}"})
    assert me.json() == account


async def test_a_name_is_taken_once(client: AsyncClient, clerk: dict[str, str]):
    """The second account of a name is a 409, and leaves nothing behind."""
    assert (await client.post("/accounts", json={"name": "Ada"})).status_code == 201
    answer = await client.post("/accounts", json={"name": "Ada"})
    assert (answer.status_code, answer.json()["detail"]["code"]) == (409, "name_taken")
    accounts = (await client.get("/accounts", headers=clerk)).json()
    assert [account["name"] for account in accounts] == ["Demo Customer", "Demo Clerk", "Ada"]


async def test_nobody_signs_up_as_a_clerk(client: AsyncClient):
    """The role is not for the client to choose."""
    answer = await client.post("/accounts", json={"name": "Eve", "role": "clerk"})
    assert answer.json()["role"] == "customer"


async def test_tokens_are_not_stored(client: AsyncClient, container: Container):
    """The database holds sha256 hashes and no token."""
    async with container.sessions()() as session:
        hashes = list(await session.scalars(select(AccountRow.token_hash)))
    assert [len(bytes.fromhex(h)) for h in hashes] == [32, 32]
    assert not {DEMO_CUSTOMER_TOKEN, DEMO_CLERK_TOKEN} & set(hashes)
