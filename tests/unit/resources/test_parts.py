"""What of resources needs no request: their errors, and what they are without SQLAlchemy."""

import importlib
import pickle
import sys

import pytest

from interceptors.errors import MissingExtraError
from interceptors.resources import ApiError


def test_an_api_error_survives_pickling() -> None:
    """It goes between processes with all that it knows."""
    error = pickle.loads(pickle.dumps(ApiError("no", 402, {"x-price": "7"})))
    assert (error.message, error.status, error.headers, str(error)) == ("no", 402, {"x-price": "7"}, "no")


def test_without_sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the error says what to install."""
    monkeypatch.delitem(sys.modules, "interceptors.resources")
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'interceptors\[sqlalchemy\]'"):
        importlib.import_module("interceptors.resources")
