"""Saying once that something is down, and once that it is back."""

import logging

from interceptors.events.sql import is_lost_race

__all__ = ["Outage"]

log = logging.getLogger("interceptors.events")


class Outage:
    """Whether something that is needed again and again is down."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_on = False

    def begins(self, error: BaseException) -> None:
        """It failed; a lost race is no outage."""
        if is_lost_race(error):
            return
        if not self._is_on:
            log.error("%s failed, and is tried again", self._what, exc_info=error)
        self._is_on = True

    def ends(self) -> None:
        """It worked."""
        if self._is_on:
            log.warning("%s works again", self._what)
        self._is_on = False
