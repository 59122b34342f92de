"""The status that an error carries itself, and the mark without which nobody reads it."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pytest

from interceptors.carried_status import mark_status, take_status


def error(text: str = "text", **attributes: Any) -> Exception:
    """An error with attributes."""
    found = RuntimeError(text)
    vars(found).update(attributes)
    return found


def marked(text: str = "text", **attributes: Any) -> Exception:
    """The same, marked."""
    found = error(text, **attributes)
    mark_status(found)
    return found


def test_only_a_marked_error_has_a_status() -> None:
    """The `status_code` of some SDK's error must not become ours."""
    assert take_status(error(status_code=404)) is None
    assert take_status(marked(status_code=404)) == (404, "text")


@pytest.mark.parametrize("name", ["status_code", "status"])
@pytest.mark.parametrize(("status", "answers"), [(399, False), (400, True), (599, True), (600, False), (0, False)])
def test_a_status_is_400_to_599(name: str, status: int, answers: bool) -> None:
    """From either attribute."""
    assert (take_status(marked(**{name: status})) is not None) is answers


@pytest.mark.parametrize("no_status", ["404", 404.0, None, [404], True, False])
def test_a_status_is_an_int(no_status: Any) -> None:
    """Anything else is not read as one."""
    assert take_status(marked(status_code=no_status)) is None
    assert take_status(marked(status=no_status)) is None


def test_status_code_goes_before_status() -> None:
    """`status` stands in only where `status_code` is no int."""
    assert take_status(marked(status_code=409, status=404)) == (409, "text")
    assert take_status(marked(status_code="gone", status=404)) == (404, "text")
    assert take_status(marked(status_code=200, status=404)) is None


def test_an_enum_is_an_int() -> None:
    """It is given as a plain one."""
    found = take_status(marked(status_code=HTTPStatus.CONFLICT))
    assert found == (409, "text")
    assert type(found[0]) is int


@pytest.mark.parametrize("detail", ["reason", {"code": 5}, [], None, ""])
def test_the_detail_is_the_errors_own(detail: Any) -> None:
    """Whatever it is."""
    assert take_status(marked(status=404, detail=detail)) == (404, detail)


def test_without_a_detail_it_is_the_text() -> None:
    """`str(error)`."""
    assert take_status(marked("no such order", status=404)) == (404, "no such order")


def test_a_status_may_be_the_classes() -> None:
    """As in an exception class of the application's."""

    class NotFound(Exception):
        status_code = 404
        detail = "not found"

    found = NotFound("text")
    mark_status(found)
    assert take_status(found) == (404, "not found")


def test_the_mark_is_taken_away_when_it_is_read() -> None:
    """The same object may be raised again where no hooks are."""
    found = marked(status_code=404)
    assert take_status(found) is not None
    assert take_status(found) is None


def test_a_frozen_error_can_be_marked() -> None:
    """A frozen dataclass takes no attribute in the ordinary way."""

    @dataclass(frozen=True)
    class Gone(Exception):
        status_code: int = 410

    found = Gone()
    mark_status(found)
    assert take_status(found) == (410, str(found))
