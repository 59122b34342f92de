"""Undocumented names of dependency-injector: whichever is renamed, the import fails and says which version it is."""

import re
from importlib.metadata import version

import pytest
from dependency_injector import wiring

from interceptors import undocumented
from interceptors.errors import IncompatibleLibraryError, InterceptorError
from tests.unit.vanishing import asked_for, import_again, remove, titles

ASKED = asked_for(undocumented)


@pytest.mark.parametrize(("owner", "name"), ASKED, ids=titles(ASKED))
def test_a_renamed_name_stops_the_import(owner: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the library, its version, the name, what it is needed for, and what to install."""
    remove(monkeypatch, owner, name)
    with pytest.raises(IncompatibleLibraryError) as caught:
        import_again(undocumented)

    assert (caught.value.library, caught.value.version) == ("dependency-injector", version("dependency-injector"))
    assert caught.value.name.endswith(f".{name}")
    assert re.search(
        rf"dependency-injector {re.escape(version('dependency-injector'))} .*pip install", str(caught.value)
    )


def test_markers_that_are_no_instances_of_their_classes_stop_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """They could not be told from other values: an injected parameter would be the client's to give."""

    class Factory(wiring.Provide):  # type: ignore[misc, valid-type, name-defined]
        def __class_getitem__(cls, item: object) -> object:
            return object()

    monkeypatch.setattr(wiring, "Provide", Factory)
    with pytest.raises(IncompatibleLibraryError, match=r"wiring\.Provide"):
        import_again(undocumented)


def test_a_marker_that_keeps_its_key_elsewhere_stops_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the attribute is there is not enough."""
    monkeypatch.setattr(
        wiring.Provide, "provider", property(lambda self: None, lambda self, value: None), raising=False
    )
    with pytest.raises(IncompatibleLibraryError, match=r"Provide\.provider"):
        import_again(undocumented)


def test_an_incompatible_library_is_not_taken_for_a_missing_one() -> None:
    """A part that says which extra to install when an import fails does not say so of a library that is there."""
    assert issubclass(IncompatibleLibraryError, InterceptorError)
    assert not issubclass(IncompatibleLibraryError, ImportError)
