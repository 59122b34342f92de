"""What the support asserts is told as what the tests assert, and FastAPI is probed as the library of a test has left it."""

import pytest

from interceptors.fastapi import probe

pytest.register_assert_rewrite("tests.compatibility.support")


@pytest.fixture(autouse=True)
def not_probed_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """In an application's process the library is there before the first application starts."""
    monkeypatch.setattr(probe._Probed, "is_well", False)
