"""The contracts of import-linter know every module: one that was forgotten would be held to nothing."""

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CONTRACTS: list[Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def contract(name: str) -> Any:
    return next(each for each in CONTRACTS if each["name"] == name)


def test_every_module_of_the_core_knows_no_web_framework() -> None:
    """Those that have no part of their own: `debug`, `completion`, the status that an error carries, whatever comes."""
    core = {f"interceptors.{path.stem}" for path in (ROOT / "interceptors").glob("*.py") if path.stem[:2] != "__"}
    assert set(contract("the core knows no web framework")["source_modules"]) == core


def test_layers_leave_no_module_out() -> None:
    """Where modules are layered, each has its layer; the core's parts are layered by themselves."""
    for each in CONTRACTS:
        if each["type"] == "layers" and each["name"].startswith(("the core", "inside")):
            assert each["exhaustive"] is True
    parts = {path.parent.name for path in (ROOT / "interceptors").glob("*/__init__.py")}
    assert set(contract("the core's layers point down")["exhaustive_ignores"]) == {"__main__", *parts}
