"""The servers that the tests use: where they are, and what happens without one."""

import os
import socket
from urllib.parse import urlsplit

import pytest


def server_url(name: str, default: str) -> str:
    """The URL in INTERCEPTORS_TEST_<name>_URL. If nothing answers there the test skips; with CI=true it fails."""
    variable = f"INTERCEPTORS_TEST_{name.upper()}_URL"
    url = os.environ.get(variable, default)
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname, place.port), timeout=2).close()
    except OSError as error:
        message = f"no {name} server at {place.hostname}:{place.port} ({error}); set {variable}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return url
