"""Undocumented names of PyMongo in the MongoDB connector: whichever is renamed is loud, and names the version."""

from importlib.metadata import version
from typing import Any

import pymongo.operations
import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.command_cursor import AsyncCommandCursor
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.asynchronous.database import AsyncDatabase

from interceptors.connectors.mongo import undocumented
from interceptors.connectors.pymongo import MongoConnector
from interceptors.errors import IncompatibleLibraryError
from tests.unit.vanishing import asked_for, import_again, remove, titles

ASKED = asked_for(undocumented)


@pytest.mark.parametrize(("owner", "name"), ASKED, ids=titles(ASKED))
def test_a_renamed_name_stops_the_import(owner: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remove(monkeypatch, owner, name)
    with pytest.raises(IncompatibleLibraryError, match=f"pymongo {version('pymongo')} .*{name}") as caught:
        import_again(undocumented)
    assert caught.value.library == "pymongo"


def refuses(message: str) -> None:
    with pytest.raises(IncompatibleLibraryError, match=message):
        import_again(undocumented)


@pytest.mark.parametrize("name", sorted(undocumented.CALLS))
def test_a_method_that_is_no_coroutine_function_any_more_stops_the_import(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would not be hooked, without a word."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        """A plain function, whatever it returns."""

    monkeypatch.setattr(AsyncCollection, name, method)
    refuses(rf"AsyncCollection\.{name}`")


def test_a_method_that_a_base_class_has_is_hooked_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyMongo writes it down is PyMongo's."""
    plain = AsyncCollection.insert_one
    monkeypatch.delattr(AsyncCollection, "insert_one")
    monkeypatch.setattr(AsyncCollection.__mro__[1], "insert_one", plain, raising=False)
    import_again(undocumented)


def test_a_find_with_parameters_of_its_own_stops_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would not be a cursor's."""
    monkeypatch.setattr(AsyncCollection, "find", lambda self, filter=None, sort=None: None)
    refuses(r"AsyncCollection\.find`")


def test_a_cursor_with_other_parameters_stops_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncCursor, "__init__", lambda self, collection, options=None: None)
    refuses(r"`AsyncCursor`")


def test_a_cursor_that_is_refreshed_at_once_stops_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """That `_refresh` is there is not enough."""
    monkeypatch.setattr(AsyncCursor, "_refresh", lambda self: 0)
    refuses(r"AsyncCursor\._refresh")


def test_a_command_cursor_with_other_parameters_stops_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncCommandCursor, "__init__", lambda self, client, cursor_info: None)
    refuses("AsyncCommandCursor")


@pytest.mark.parametrize("name", ["UpdateOne", "UpdateMany", "ReplaceOne", "DeleteOne", "DeleteMany"])
def test_an_operation_without_slots_stops_the_import(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook would change the caller's own."""

    class Operation:
        def __init__(self, *given: Any) -> None:
            self.given = given

    monkeypatch.setattr(pymongo, name, type(name, (Operation,), {}))
    refuses(rf"{name}\.__slots__")


@pytest.mark.parametrize("cls", [AsyncMongoClient, AsyncDatabase, AsyncCollection])
async def test_a_way_past_the_hooks_stops_the_connector(cls: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken by a mere attribute is hooked as what is taken by name, or there is no connector."""
    other = AsyncMongoClient[Any]()
    taken = {AsyncMongoClient: other["a"], AsyncDatabase: other["a"]["b"], AsyncCollection: other["a"]["b"]["c"]}
    client = AsyncMongoClient[Any]()
    monkeypatch.setattr(cls, "__getattr__", lambda self, name: taken[cls])
    with pytest.raises(IncompatibleLibraryError, match=rf"{cls.__name__}\.__getattr__"):
        MongoConnector(client)
    monkeypatch.undo()
    await client.close()
    await other.close()
