"""The broker that carries events to workers. `make run-workers` starts what belongs together; by hand, each on its own:

export BOOKSHOP_BROKER_URL=amqp://guest:guest@127.0.0.1:5672/
python -m app.prepare                           # the tables, once
BOOKSHOP_RELAY=no python -m app                 # serves, and stores events
python -m interceptors relay app.main:events    # sends what is stored
taskiq worker app.main:broker                   # handles it
"""

from typing import TYPE_CHECKING

from app.settings import Settings

if TYPE_CHECKING:
    from taskiq import AsyncBroker


def create_broker(settings: Settings) -> "AsyncBroker | None":
    """Make it, if there is to be one; nothing connects yet."""
    if settings.broker_url is None:
        return None
    from taskiq_aio_pika import AioPikaBroker, Exchange, Queue  # noqa: PLC0415 (a shop without workers starts without it)

    return AioPikaBroker(
        settings.broker_url,
        exchange=Exchange(name=settings.queue),
        task_queues=[Queue(name=settings.queue)],
        dead_letter_queue=Queue(name=f"{settings.queue}.dead_letter"),
    )
