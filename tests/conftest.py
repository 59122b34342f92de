"""How many examples hypothesis tries: `HYPOTHESIS_PROFILE=ci` or `campaign` for more than a quick run's."""

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("fast", max_examples=20, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True)
settings.register_profile("campaign", max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture(autouse=True, scope="module")
def only_what_is_new() -> None:
    """Every collection of garbage would look through all modules, tests and what FastAPI's caches keep of the applications before."""
    gc.collect()
    gc.freeze()
