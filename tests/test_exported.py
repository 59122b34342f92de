"""What can be imported, what importing it costs, and what is shipped."""

import ast
import inspect
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import interceptors
import interceptors.connectors
import interceptors.errors
import interceptors.events
import interceptors.fastapi
import interceptors.remoting
import interceptors.resources
import interceptors.testing

ROOT = Path(__file__).parents[1]
PARTS = [
    interceptors.connectors,
    interceptors.events,
    interceptors.fastapi,
    interceptors.remoting,
    interceptors.resources,
]
FACADES = [
    interceptors,
    interceptors.connectors,
    interceptors.fastapi,
    interceptors.remoting,
    interceptors.resources,
]
LAZY = [interceptors.events]  # some of its names are imported when they are asked for
MODULES = [interceptors.errors, interceptors.testing]


@pytest.mark.parametrize("module", [*FACADES, *LAZY, *MODULES], ids=lambda module: module.__name__)
def test_everything_in_all_can_be_imported(module: ModuleType) -> None:
    """`from ... import *` gives each name once, in alphabetical order."""
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert sorted(set(module.__all__), key=lambda name: (not name.isupper(), name[0].islower(), name)) == module.__all__


@pytest.mark.parametrize("module", FACADES, ids=lambda module: module.__name__)
def test_a_package_has_no_other_public_names(module: ModuleType) -> None:
    """What it imports is what it offers; its modules are found by their own names."""
    names = {name for name, value in vars(module).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert names == set(module.__all__)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_module_offers_what_it_defines(module: ModuleType) -> None:
    """Each public function and class that is written in it; fixtures are pytest's to find."""
    names = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    }
    assert names == set(module.__all__)


def test_public_objects_have_docstrings() -> None:
    """Each class and function that can be imported says what it is."""
    undocumented = [
        f"{module.__name__}.{name}"
        for module in (*FACADES, *LAZY, *MODULES)
        for name in module.__all__
        if (inspect.isclass(getattr(module, name)) or inspect.isfunction(getattr(module, name)))
        and not inspect.getdoc(getattr(module, name))
    ]
    assert undocumented == []


def named_in(path: Path) -> set[str]:
    """The errors and warnings of the library that the code of a module names, but for those that it defines."""
    tree = ast.parse(path.read_text())
    module = vars(import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")))
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    bases = (interceptors.errors.InterceptorError, interceptors.errors.InterceptorWarning)
    return {n for n in names - own if inspect.isclass(module.get(n)) and issubclass(module[n], bases)}


# What a part lets the core say in its name.
SAID_BY_HELPERS = {
    "interceptors.calling": "calling.py",
    "interceptors.completion": "completion.py",
    "interceptors.libraries": "libraries.py",
}


@pytest.mark.parametrize("part", PARTS, ids=lambda module: module.__name__)
def test_a_part_exports_the_errors_that_it_raises(part: ModuleType) -> None:
    """Whoever uses a part finds there what may be caught, and which warnings there are."""
    files = list((ROOT / "interceptors" / part.__name__.rpartition(".")[2]).rglob("*.py"))
    helpers = {name for file in files for name in SAID_BY_HELPERS if f"from {name} import" in file.read_text()}
    files += [ROOT / "interceptors" / SAID_BY_HELPERS[helper] for helper in helpers]
    raised = {name for file in files for name in named_in(file)} - {"InterceptorError"}
    assert raised
    assert raised - set(part.__all__) == set()


def test_an_error_has_one_class_wherever_it_is_exported() -> None:
    """But for resources' own hook errors, which derive from the core's."""
    for part in PARTS:
        for name in set(part.__all__) & set(interceptors.errors.__all__):
            exported, known = getattr(part, name), getattr(interceptors.errors, name)
            assert exported is known or (part is interceptors.resources and issubclass(exported, known))


CORE_ALONE = """
import sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(name)

sys.meta_path.insert(0, Blocked())

import asyncio
import interceptors

async def log(ctx, next):
    return f"logged {{await next()}}"

class Service:
    @interceptors.intercept(log)
    async def work(self, amount):
        return amount

registry = interceptors.InterceptorRegistry()
assert asyncio.run(registry.invoke(Service(), "work", 5)) == "logged 5"
assert asyncio.run(registry.intercepted(Service()).work(5)) == "logged 5"
loaded = [name for name in sys.modules if name.startswith("interceptors.")]
assert not [name for name in loaded if name.split(".")[1] in {integrations!r}], loaded
"""


def test_the_core_needs_no_web_framework_and_no_test_tool() -> None:
    """`import interceptors` works where nothing but its two dependencies is installed, and loads no integration.

    (dependency-injector itself imports FastAPI where it finds it, so looking at `sys.modules` would tell nothing.)
    """
    blocked = {
        "fastapi",
        "starlette",
        "pydantic",
        "pytest",
        "httpx",
        "httpx2",
        "sqlalchemy",
        "pymongo",
        "zeep",
        "taskiq",
    }
    integrations = {path.parent.name for path in (ROOT / "interceptors").glob("*/__init__.py")} | {"testing"}
    script = CORE_ALONE.format(blocked=blocked, integrations=integrations)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_importing_the_integration_needs_no_test_tool() -> None:
    """`interceptors.fastapi` is for servers."""
    script = "import sys; sys.modules['pytest'] = None; import interceptors.fastapi"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_wheel_ships_the_package_alone() -> None:
    """Not the application, the tests or the benchmarks; typed, for Python and dependencies that are declared."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert project["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["interceptors"]}
    assert (ROOT / "interceptors" / "py.typed").is_file()
    names = {requirement.partition(">")[0].partition("[")[0] for requirement in project["project"]["dependencies"]}
    assert names == {"anyio", "dependency-injector", "fastapi"}


def test_every_module_can_be_imported() -> None:
    """Or says which extra of ours it needs."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    modules = sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "interceptors").rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    )
    assert "interceptors.chain" in modules
    for name in modules:
        try:
            assert import_module(name).__name__ == name
        except interceptors.errors.MissingExtraError as error:
            assert error.extra in extras
