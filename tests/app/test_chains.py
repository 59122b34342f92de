"""What runs around each route is written down in `app/chains.lock`; a change of it is a change of that file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOCK = Path(__file__).parents[2] / "app" / "chains.lock"


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "interceptors", "check", *arguments]
    return subprocess.run(command, cwd=LOCK.parents[1], env={**os.environ}, capture_output=True, text=True, check=False)


def test_the_chains_are_those_of_the_lock_file():
    """Nobody loses an authorization layer unseen. `python -m interceptors check app.main:app --lock` writes it anew."""
    result = check("app.main:app", "--verify", str(LOCK))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith(" routes, 0 problems\n")


LESS = """
from app.container import Container
from app.interceptors.authorization import authorize
from app.main import create_app

container = Container()
container.registry().remove_global(authorize)
app = create_app(container)
"""


def test_a_layer_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without authorization each route is one line that says what it has lost, and the exit code is 1."""
    (tmp_path / "less.py").write_text(LESS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    result = check("less:app", "--verify", str(LOCK))
    assert result.returncode == 1
    assert "POST /orders lost global auth authorize" in result.stdout.splitlines()
