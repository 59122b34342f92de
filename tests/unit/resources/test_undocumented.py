"""Undocumented names of SQLAlchemy in resources: whichever is renamed stops the import, and the version is named."""

from importlib.metadata import version
from typing import Any

import pytest
import sqlalchemy.types as sql
from sqlalchemy.orm import ColumnProperty, RelationshipProperty

from interceptors.errors import IncompatibleLibraryError
from interceptors.resources import undocumented
from tests.unit.vanishing import asked_for, hide, import_again, remove, titles

ASKED = asked_for(undocumented)


def refuses(name: str) -> None:
    with pytest.raises(IncompatibleLibraryError, match=f"sqlalchemy {version('sqlalchemy')} ") as caught:
        import_again(undocumented)
    assert caught.value.name == name


@pytest.mark.parametrize(("owner", "name"), ASKED, ids=titles(ASKED))
def test_a_renamed_name_stops_the_import(owner: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remove(monkeypatch, owner, name)
    refuses(f"{type(owner).__name__}.{name}")


@pytest.mark.parametrize(
    "name",
    [
        "direction",
        "local_columns",
        "local_remote_pairs",
        "order_by",
        "primaryjoin",
        "remote_side",
        "secondary",
        "secondaryjoin",
        "synchronize_pairs",
    ],
)
def test_a_relationship_without_one_of_its_columns_stops_the_import(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of somebody else would be answered."""
    monkeypatch.delitem(RelationshipProperty.__annotations__, name)
    refuses(f"RelationshipProperty.{name}")


def test_a_type_that_hides_what_it_decorates_stops_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sql.TypeDecorator, "impl_instance")
    refuses("TypeDecorator.impl_instance")


def test_columns_that_are_deferred_otherwise_stop_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would be loaded by itself, when the answer is written."""
    monkeypatch.setattr(ColumnProperty, "deferred", property(lambda self: None, lambda self, value: None))
    refuses("ColumnProperty.deferred")


def test_an_enumeration_that_has_its_values_elsewhere_stops_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client could send anything."""
    monkeypatch.setattr(sql.Enum, "enums", property(lambda self: (), lambda self, value: None), raising=False)
    refuses("Enum.enums")


def test_a_relationship_of_which_nobody_knows_whether_it_is_a_list_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only objects have it: it is asked when a relation is loaded, and fails then."""
    found: Any = RelationshipProperty("Post")
    assert undocumented.is_list(found) is False
    hide(monkeypatch, RelationshipProperty, "uselist")
    with pytest.raises(IncompatibleLibraryError, match="uselist"):
        undocumented.is_list(found)
