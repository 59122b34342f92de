"""Running something after the outermost commit of a session, and never if what it belongs to was rolled back.

SQLAlchemy's `after_commit` also fires when a savepoint is released; what happened in it may still be undone by what is
around it. So each entry belongs to a transaction: the release of a savepoint hands its entries to the one around it.
"""

from collections.abc import Callable
from typing import TypeAlias

from interceptors.errors import MissingExtraError

try:
    from sqlalchemy import event
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session, SessionTransaction
except ImportError as error:
    raise MissingExtraError("interceptors.events.after_commit", "sqlalchemy") from error

__all__ = ["call_after_commit"]

_KEY = "interceptors.after_commit"

PendingCall: TypeAlias = "tuple[SessionTransaction | None, Callable[[], object]]"
"""The savepoint to which a call belongs, None for the outermost transaction."""


def call_after_commit(session: AsyncSession | Session, thunk: Callable[[], object]) -> None:
    """Call `thunk` right after the outermost commit of the session's transaction, in the order of registration.

    It is dropped if that transaction, or the savepoint in which it is registered, is rolled back or closed. As
    `session.add` does, it begins a transaction where there is none: otherwise a rollback would find nothing to undo.
    `thunk` must not use the session, nor raise.
    """
    sync: Session = session.sync_session if isinstance(session, AsyncSession) else session
    if not sync.in_transaction():
        sync.begin()
    entries: list[PendingCall] | None = sync.info.get(_KEY)
    if entries is None:
        entries = sync.info[_KEY] = []
        event.listen(sync, "after_commit", _committed)
        event.listen(sync, "after_transaction_end", _ended)
    entries.append((sync.get_nested_transaction(), thunk))


def _committed(session: Session) -> None:
    entries: list[PendingCall] = session.info[_KEY]
    savepoint = session.get_nested_transaction()
    if savepoint is None:
        calls = [thunk for _, thunk in entries]
        entries.clear()
        for thunk in calls:
            thunk()
        return
    around = savepoint.parent
    while around is not None and not around.nested:  # the outermost, or that of a flush in which the savepoint was set
        around = around.parent
    entries[:] = [(around if owner is savepoint else owner, thunk) for owner, thunk in entries]


def _ended(session: Session, transaction: SessionTransaction) -> None:
    # Also after a commit, whose entries have gone by then. A flush opens transactions of its own, which own nothing.
    entries: list[PendingCall] = session.info[_KEY]
    if transaction.parent is None:
        entries.clear()
    else:
        entries[:] = [(owner, thunk) for owner, thunk in entries if owner is not transaction]
