"""The supplier's API, and the hooks around it."""

from typing import Any

from httpx2 import ASGITransport, AsyncClient

from app.errors import SupplierError
from app.schemas import Reorder
from app.supplier_service import create_supplier
from interceptors import InvocationBindings
from interceptors.connectors.httpx import RESTConnector, RESTContext


class Supplier:
    """Orders books from the supplier."""

    def __init__(self, url: str | None) -> None:
        # Without an address a small supplier runs in this very process, so that the shop can be tried alone.
        transport = None if url else ASGITransport(create_supplier())
        self._client = AsyncClient(base_url=url or "http://supplier", transport=transport, timeout=5)
        self.connector = RESTConnector(self._client, name="bookshop.supplier")
        self.connector.before_execute(sign)
        self.connector.after_execute(put_location_into_body)
        self.connector.after_execute(refuse_errors)

    async def reorder(self, book_id: int, quantity: int) -> Reorder:
        """Order copies; says where the supplier keeps the order. Raises SupplierError."""
        answer = await self._client.post("/orders", json={"book_id": book_id, "quantity": quantity})
        return Reorder.model_validate(answer.json())

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def sign(ctx: RESTContext) -> None:
    """Tell the supplier which of our requests this is."""
    ctx.req.headers["X-Request-ID"] = await InvocationBindings.context().get("request_id")


def put_location_into_body(ctx: RESTContext) -> None:
    """The supplier says in a header where the new order is; our schema wants it in the body."""
    if ctx.req.method == "POST" and ctx.res.status_code == 201 and "location" in ctx.res.headers:
        ctx.res.body["location"] = ctx.res.headers["location"]


def refuse_errors(ctx: RESTContext) -> None:
    """The supplier's refusals are no server errors of ours: they go on with the supplier's own words."""
    if ctx.res.status_code >= 400:
        raise SupplierError(_message_of(ctx.res.body) or "The supplier does not answer as agreed.")


def _message_of(body: Any) -> str | None:
    try:
        message: str | None = body["message"]
    except (KeyError, TypeError):  # not even the supplier's errors are as agreed
        return None
    return message
