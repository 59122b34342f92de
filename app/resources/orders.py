"""Orders to be searched and read with their lines; placing one takes books off the shelf: `OrderController` does that."""

from fastapi import Depends

from app.models import Order, OrderLine
from app.security import bearer
from interceptors import annotate
from interceptors.resources import Handler, Resource

READ = frozenset({Handler.PAGINATE, Handler.SHOW})


@annotate(roles=["customer", "clerk"])
class OrderResource(Resource):
    """`/api/orders`, and below each its lines."""

    model = Order
    handlers = READ
    nested = ("lines",)
    relations = ("lines",)
    dependencies = (Depends(bearer),)


@annotate(roles=["customer", "clerk"])
class OrderLineResource(Resource):
    """`/api/orders/{order_id}/lines`."""

    model = OrderLine
    handlers = READ
    dependencies = (Depends(bearer),)
