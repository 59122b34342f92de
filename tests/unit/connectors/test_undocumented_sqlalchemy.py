"""Undocumented names of SQLAlchemy in the SQL connector: whichever is renamed is loud, and names the version."""

from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, column, exc, insert, table
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.sql import compiler

from interceptors.connectors.sql import undocumented
from interceptors.connectors.sqlalchemy import SQLConnector, SQLContext
from interceptors.errors import IncompatibleLibraryError
from tests.unit.vanishing import asked_for, hide, import_again, remove, titles

ASKED = asked_for(undocumented)


@pytest.mark.parametrize(("owner", "name"), ASKED, ids=titles(ASKED))
def test_a_renamed_name_stops_the_import(owner: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remove(monkeypatch, owner, name)
    with pytest.raises(IncompatibleLibraryError, match=f"sqlalchemy {version('sqlalchemy')} .*{name}") as caught:
        import_again(undocumented)
    assert caught.value.library == "sqlalchemy"


def test_a_wrapper_of_errors_without_a_parameter_stops_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """It might show parameters that are to be hidden."""
    monkeypatch.setattr(exc.DBAPIError, "instance", lambda statement, params, orig, base, hidden, dialect: orig)
    with pytest.raises(IncompatibleLibraryError, match=r"DBAPIError\.instance"):
        import_again(undocumented)


def test_connections_that_are_made_otherwise_stop_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could tell the dialect's own queries."""
    monkeypatch.setattr(Connection, "__init__", lambda self, engine, *, _begins=True: None)
    with pytest.raises(IncompatibleLibraryError, match="_allow_autobegin"):
        import_again(undocumented)


def test_contexts_that_always_have_a_text_stop_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column's default would be taken for the INSERT that it is for."""
    monkeypatch.setattr(DefaultExecutionContext, "statement", "", raising=False)
    with pytest.raises(IncompatibleLibraryError, match="column defaults"):
        import_again(undocumented)


def test_columns_that_are_called_otherwise_stop_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """That `_result_columns` is there is not enough."""
    monkeypatch.setattr(compiler.ResultColumnsEntry, "keyname", property(lambda self: None))
    with pytest.raises(IncompatibleLibraryError, match="_result_columns"):
        import_again(undocumented)


# -- what only objects have, so that nothing can be said at import -----------------------------------------------------


@pytest.mark.parametrize(("cls", "name"), [(Connection, "_allow_autobegin"), (Engine, "hide_parameters")])
async def test_a_renamed_attribute_fails_the_statement(
    cls: type[Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No statement passes unhooked, and no error is shown that is to be hidden."""
    engine = create_async_engine("sqlite+aiosqlite://")
    db = SQLConnector(engine)

    @db.before_execute
    def seen(ctx: SQLContext) -> None:
        pass

    async with engine.connect() as connection:  # its own queries are done
        hide(monkeypatch, cls, name)
        with pytest.raises(IncompatibleLibraryError, match=name):
            await connection.exec_driver_sql("SELECT nothing")
        monkeypatch.undo()
    await engine.dispose()


def test_a_renamed_attribute_of_sentinels_is_told() -> None:
    """An INSERT of many would give rows to the wrong objects."""
    compiled: Any = insert(table("t", column("a"))).compile()
    context: Any = SimpleNamespace(compiled=compiled)
    compiled._insertmanyvalues = object()
    with pytest.raises(IncompatibleLibraryError, match="implicit_sentinel"):
        undocumented.needs_sentinels(context)
