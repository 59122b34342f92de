"""The databases, for every test of this folder."""

from tests.integration.events.shop import postgres, shop

__all__ = ["postgres", "shop"]
