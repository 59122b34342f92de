"""What `taskiq worker tests.integration.events.worker:broker` runs; the environment says against which servers."""

import asyncio
import os
from pathlib import Path
from typing import Any

from nats.js.api import ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from sqlalchemy.ext.asyncio import AsyncSession
from taskiq import AsyncBroker
from taskiq_aio_pika import AioPikaBroker, Exchange, Queue, QueueType
from taskiq_nats import PullBasedJetStreamBroker

from interceptors.events import EventDispatcher
from tests.integration.events.shop import OrderPaid, Shop, make_shop


def make_broker(url: str, name: str) -> AsyncBroker:
    """RabbitMQ or NATS JetStream, with queues of this name only."""
    if url.startswith("amqp"):
        return AioPikaBroker(
            url,
            exchange=Exchange(name=name, auto_delete=True),
            task_queues=[Queue(name=name, type=QueueType.CLASSIC, durable=True)],
            dead_letter_queue=Queue(name=f"{name}_dead", type=QueueType.CLASSIC, durable=True),
        )
    return PullBasedJetStreamBroker(
        url,
        subject=name,
        stream_name=name,
        durable=name,
        stream_config=StreamConfig(storage=StorageType.MEMORY, retention=RetentionPolicy.WORK_QUEUE),
        consumer_config=ConsumerConfig(durable_name=name, ack_wait=1.0),
        pull_consume_timeout=0.5,
    )


async def remove_queues(broker: Any, name: str) -> None:
    """Leave nothing on the server."""
    await broker.startup()
    if isinstance(broker, AioPikaBroker):
        for queue in (name, f"{name}_dead"):
            await broker.write_channel.queue_delete(queue)
    else:
        await broker.js.delete_stream(name)
    await broker.shutdown()


def build(environment: Any) -> tuple[Shop, AsyncBroker, EventDispatcher]:
    """The same dispatcher in the relay's process and in the worker."""
    shop = make_shop(environment["SHOP_DATABASE"], environment["SHOP_PREFIX"])
    broker = make_broker(environment["SHOP_BROKER"], environment["SHOP_QUEUE"])
    folder = Path(environment["SHOP_FOLDER"])
    events = shop.dispatcher(broker=broker, lease=1.0)

    @events.on(OrderPaid, name="pay")
    async def pay(event: OrderPaid, *, session: AsyncSession, attempt: int) -> None:
        (folder / f"started-{event.order_id}-{attempt}").touch()
        await shop.add_effect(session, event.order_id)
        if event.order_id == 1 and attempt == 1:
            await asyncio.sleep(60)

    return shop, broker, events


if "SHOP_DATABASE" in os.environ:
    _shop, broker, _events = build(os.environ)
