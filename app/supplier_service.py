"""A small supplier to try the shop with. It takes orders of up to 100 copies and forgets them."""

from itertools import count

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

MOST_COPIES = 100


def create_supplier() -> Starlette:
    """Make the supplier's application."""
    numbers = count(1)

    async def take_order(request: Request) -> JSONResponse:
        order = await request.json()
        if order["quantity"] > MOST_COPIES:
            return JSONResponse({"message": f"At most {MOST_COPIES} copies at a time."}, 502)
        number = next(numbers)
        return JSONResponse({**order, "days": 3}, 201, {"Location": f"/orders/{number}"})

    return Starlette(routes=[Route("/orders", take_order, methods=["POST"])])
