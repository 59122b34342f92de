"""`registry.discover`: import a package with everything in it, take what is marked with `@global_interceptor`."""

import re
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module, invalidate_caches
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from interceptors import (
    DuplicateKeyError,
    InterceptorRegistry,
    InvalidInterceptorError,
    NothingDiscoveredWarning,
    UnknownPackageError,
    WrongCallError,
)
from tests.unit.helpers import names

_numbers = count()

HEADER = """
from interceptors import global_interceptor

"""


def marked(name: str, arguments: str = "") -> str:
    return f"@global_interceptor({arguments})\nasync def {name}(ctx, next):\n    return await next()\n\n"


class Service:
    async def work(self) -> str:
        return "worked"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, str]], str]]:
    """Writes a package that can be imported until the end of the test, and gives its name."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def write(files: dict[str, str]) -> str:
        name = f"discovered_{next(_numbers)}"
        made.append(name)
        for path, text in files.items():
            file = tmp_path / path.replace("PACKAGE", name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(HEADER + dedent(text).replace("PACKAGE", name))
        invalidate_caches()  # of the folder's content, which may be younger than the clock's tick
        return name

    yield write
    for module in [known for known in sys.modules if known.partition(".")[0] in made]:
        del sys.modules[module]


Write = Callable[[dict[str, str]], str]


async def test_what_is_marked_in_a_package_becomes_global(package: Write) -> None:
    """Functions and classes, in the package itself, its modules and the packages below it, run from then on."""
    name = package(
        {
            "PACKAGE/__init__.py": marked("at_the_top"),
            "PACKAGE/auth.py": marked("auth") + "async def not_marked(ctx, next): ...\n",
            "PACKAGE/below/__init__.py": "",
            "PACKAGE/below/deeper/__init__.py": marked("deep"),
            "PACKAGE/classes.py": """
                @global_interceptor()
                class Metrics:
                    async def intercept(self, ctx, next):
                        return f"counted {await next()}"
            """,
        }
    )
    registry = InterceptorRegistry()
    added = registry.discover(name)

    assert [thing.__name__ for thing in added] == ["at_the_top", "auth", "deep", "Metrics"]
    assert names(registry, Service, "work") == ["at_the_top", "auth", "deep", "Metrics"]
    assert await registry.invoke(Service(), "work") == "counted worked"


def test_the_order_is_that_of_module_names_and_of_the_lines_in_them(package: Write) -> None:
    """Ties within a group are settled by where an interceptor is written, not by what imports what."""
    name = package(
        {
            "PACKAGE/__init__.py": "import PACKAGE.b\n" + marked("z") + marked("y"),
            "PACKAGE/b.py": marked("b2") + marked("b1"),
            "PACKAGE/a.py": "import PACKAGE.c\n" + marked("a"),
            "PACKAGE/c.py": marked("c"),
        }
    )
    registry = InterceptorRegistry()
    registry.discover(name)

    assert names(registry, Service, "work") == ["z", "y", "a", "b2", "b1", "c"]


def test_the_marks_arguments_are_those_of_add_global(package: Write) -> None:
    """Group, key, source, before and after are taken over."""
    name = package(
        {
            "PACKAGE/__init__.py": marked("first", "'log', key='first', source='route'")
            + marked("second", "group='auth', source=['proxy', 'job'], before='log'")
            + marked("third", "'trace', after=('auth', 'log')"),
        }
    )
    registry = InterceptorRegistry(ordered_groups=["trace"])
    registry.discover(name)
    found = [(c.name, c.group, c.key, c.reason) for c in registry.explain(Service, "work", "route").candidates]

    assert found == [
        ("second", "auth", None, "source: only proxy, job"),
        ("first", "log", "first", None),
        ("third", "trace", None, None),
    ]


def test_what_a_module_only_imports_is_not_its_own(package: Write) -> None:
    """An interceptor belongs to the package that defines it."""
    other = package({"PACKAGE/__init__.py": marked("theirs")})
    name = package({"PACKAGE/__init__.py": f"from {other} import theirs\n" + marked("ours")})
    registry = InterceptorRegistry()

    assert [thing.__name__ for thing in registry.discover(name)] == ["ours"]


def test_an_interceptor_with_two_names_is_added_once(package: Write) -> None:
    """An alias in its module, or an import in a sister module, does not add it again."""
    name = package(
        {
            "PACKAGE/__init__.py": marked("one") + "alias = one\n",
            "PACKAGE/sister.py": "from PACKAGE import one\n",
        }
    )
    registry = InterceptorRegistry()

    assert [thing.__name__ for thing in registry.discover(name)] == ["one"]
    assert len(registry.explain(Service, "work").candidates) == 1


def test_discovering_twice_adds_nothing_the_second_time(package: Write) -> None:
    """What is global already, by itself or by its key, is left as it is."""
    name = package({"PACKAGE/__init__.py": marked("one") + marked("two", "key='two'")})
    registry = InterceptorRegistry()
    module = import_module(name)
    registry.add_global(module.one, group="by hand")

    assert [thing.__name__ for thing in registry.discover(name)] == ["two"]
    assert registry.discover(name) == []
    assert names(registry, Service, "work") == ["two", "one"]


def test_a_module_object_will_do(package: Write) -> None:
    """Instead of the name the module itself, also one that is no package."""
    name = package({"PACKAGE/__init__.py": "", "PACKAGE/single.py": marked("only")})
    registry = InterceptorRegistry()

    assert [thing.__name__ for thing in registry.discover(import_module(f"{name}.single"))] == ["only"]
    assert registry.discover(import_module(name)) == []
    assert [thing.__name__ for thing in InterceptorRegistry().discover(f"{name}.single")] == ["only"]


def test_tests_are_left_alone(package: Write) -> None:
    """`test_*` modules and packages and `conftest` are not imported."""
    fails = "raise AssertionError\n"
    name = package(
        {
            "PACKAGE/__init__.py": marked("one"),
            "PACKAGE/test_one.py": fails,
            "PACKAGE/conftest.py": fails,
            "PACKAGE/test_more/__init__.py": fails,
            "PACKAGE/below/__init__.py": "",
            "PACKAGE/below/test_two.py": fails,
            "PACKAGE/testimony.py": marked("two"),
        }
    )

    assert [thing.__name__ for thing in InterceptorRegistry().discover(name)] == ["one", "two"]


def test_a_subclass_of_what_is_marked_is_not_marked(package: Write) -> None:
    """Nor is an instance of it, nor one of its subclass: only the class that carries the mark."""
    name = package(
        {
            "PACKAGE/__init__.py": """
                @global_interceptor()
                class Base:
                    async def intercept(self, ctx, next):
                        return await next()

                class Derived(Base): ...

                instance = Base()
                another = Derived()
            """,
        }
    )
    registry = InterceptorRegistry()

    assert [thing.__name__ for thing in registry.discover(name) if isinstance(thing, type)] == ["Base"]
    assert len(registry.explain(Service, "work").candidates) == 1


def test_other_things_in_a_module_are_no_trouble(package: Write) -> None:
    """Numbers, modules, mocks and objects with odd attributes are passed by."""
    name = package(
        {
            "PACKAGE/__init__.py": """
                import sys
                from unittest.mock import MagicMock

                number = 5
                mock = MagicMock(__module__=__name__)
                class Odd:
                    def __getattr__(self, name):
                        raise AttributeError(name)
                odd = Odd()
            """,
            "PACKAGE/one.py": marked("one"),
        }
    )

    assert len(InterceptorRegistry().discover(name)) == 1


def test_a_package_that_cannot_be_imported_raises_its_own_error(package: Write) -> None:
    """Discovery hides nothing: a missing package, a module that fails, a wrong mark."""
    registry = InterceptorRegistry()
    for path in ("PACKAGE/__init__.py", "PACKAGE/bad.py"):
        with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere") as caught:
            registry.discover(package({"PACKAGE/__init__.py": "", path: "import no_such_module_anywhere"}))
        assert not isinstance(caught.value, UnknownPackageError)
    with pytest.raises(ZeroDivisionError):
        registry.discover(package({"PACKAGE/__init__.py": "", "PACKAGE/bad.py": "1 / 0"}))
    with pytest.raises(InvalidInterceptorError):
        registry.discover(package({"PACKAGE/__init__.py": "@global_interceptor()\ndef plain(ctx, next): ...\n"}))


def test_two_registries_discover_the_same_package_each_for_itself(package: Write) -> None:
    """Marks are read, not used up."""
    name = package({"PACKAGE/__init__.py": marked("one")})
    found: list[list[Any]] = [InterceptorRegistry().discover(name) for _ in range(2)]

    assert found[0] == found[1] != []


# -- where there is nothing, or not what was meant ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "files",
    [
        {"PACKAGE/__init__.py": ""},
        {"PACKAGE/__init__.py": "async def not_marked(ctx, next): ...\n", "PACKAGE/below/__init__.py": ""},
        {"PACKAGE/__init__.py": "from OTHER import theirs\n"},
        {"PACKAGE/__init__.py": "", "PACKAGE/test_marked.py": marked("one")},
        {"PACKAGE.py": "def make():\n    @global_interceptor()\n    async def made(ctx, next): ...\n"},
        {"PACKAGE/nothing.py": ""},
    ],
    ids=["empty", "not marked", "only imported", "only in tests", "never made", "no __init__"],
)
def test_a_package_in_which_nothing_is_marked_is_told(package: Write, files: dict[str, str]) -> None:
    """The warning names the package, and the line that discovers it."""
    other = package({"PACKAGE/__init__.py": marked("theirs")})
    name = package({path: text.replace("OTHER", other) for path, text in files.items()})
    with pytest.warns(NothingDiscoveredWarning, match=f"nothing in '{name}'") as caught:
        assert InterceptorRegistry().discover(name) == []
    assert caught[0].filename == __file__
    with pytest.warns(NothingDiscoveredWarning, match=f"nothing in '{name}'"):
        assert InterceptorRegistry().discover(import_module(name)) == []


def test_what_is_found_again_is_no_empty_discovery(package: Write) -> None:
    """By the same name, by the package around it, and where it was added by hand."""
    name = package({"PACKAGE/__init__.py": "", "PACKAGE/one.py": marked("one", "key='k'")})
    registry = InterceptorRegistry()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        registry.add_global(import_module(f"{name}.one").one)
        assert registry.discover(f"{name}.one") == []
        assert registry.discover(name) == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("PACKAGE.layer", "There is no package or module 'PACKAGE.layer'. Did you mean 'layers'?"),
        ("PACKAGE.layers.deep", "There is no package or module 'PACKAGE.layers.deep'."),
        ("xPACKAGE", "There is no package or module 'xPACKAGE'. Did you mean 'PACKAGE'"),
        ("xPACKAGE.layers", "There is no package or module 'xPACKAGE'. Did you mean 'PACKAGE'"),
        ("PACKAGE/layers", "'PACKAGE/layers' is no name of a package. Write registry.discover("),
        (".layers", "'.layers' is no name of a package."),
        ("", "'' is no name of a package."),
    ],
)
def test_a_package_that_does_not_exist_is_told_with_what_is_there(package: Write, wrong: str, says: str) -> None:
    """The part that is misspelt, and what stands beside it."""
    name = package({"PACKAGE/__init__.py": "", "PACKAGE/layers.py": marked("one")})
    text = re.escape(says.replace("PACKAGE", name))

    with pytest.raises(UnknownPackageError, match=f"^{text}") as caught:
        InterceptorRegistry().discover(wrong.replace("PACKAGE", name))
    assert isinstance(caught.value, ModuleNotFoundError)


@pytest.mark.parametrize("wrong", [Service, Service(), 5, None, ["app.interceptors"], Path("app/interceptors"), marked])
def test_only_a_name_or_a_module_can_be_discovered(wrong: Any) -> None:
    """Anything else would be found to be empty."""
    with pytest.raises(WrongCallError, match=re.escape('Write `registry.discover("app.interceptors")`.')):
        InterceptorRegistry().discover(wrong)


def test_folders_without_init_are_packages_too(package: Write) -> None:
    """As for Python's import, at the top and further in; what stands in one that marks nothing is not imported."""
    name = package(
        {
            "PACKAGE/one.py": marked("one"),
            "PACKAGE/layers/deep/two.py": marked("two"),
            "PACKAGE/scripts/job.py": "raise AssertionError\n".replace("global_interceptor", ""),
            "PACKAGE/not-a-name/three.py": marked("three"),
        }
    )
    (Path(import_module(name).__path__[0]) / "scripts" / "job.py").write_text("raise AssertionError\n")

    assert [thing.__name__ for thing in InterceptorRegistry().discover(name)] == ["two", "one"]


def test_what_a_function_of_another_module_made_is_found(package: Write) -> None:
    """It stands in no module but the one that asked for it."""
    other = package(
        {
            "PACKAGE/__init__.py": """
                def make(name):
                    @global_interceptor(name)
                    async def layer(ctx, next):
                        return await next()

                    return layer
            """
        }
    )
    name = package({"PACKAGE/__init__.py": f"from {other} import make\none, two = make('a'), make('b')\n"})
    registry = InterceptorRegistry()
    registry.discover(name)

    assert [candidate.group for candidate in registry.explain(Service, "work").chain] == ["a", "b"]


# -- two under one key -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["one module", "two modules", "a class and a function", "with a third one between"])
def test_two_that_are_marked_with_one_key_are_an_error(package: Write, kind: str) -> None:
    """One was lost, and it may have been the one that authenticates. Nothing is added."""
    one, two = marked("one", "'auth', key='guard'"), marked("two", "'limit', key='guard', source='route'")
    as_class = (
        "@global_interceptor(key='guard')\nclass two:\n    async def intercept(self, ctx, next): return await next()\n"
    )
    files = {
        "one module": {"PACKAGE/__init__.py": one + two},
        "two modules": {"PACKAGE/__init__.py": "", "PACKAGE/a.py": one, "PACKAGE/below/b.py": two},
        "a class and a function": {"PACKAGE/__init__.py": one + as_class},
        "with a third one between": {"PACKAGE/__init__.py": one + marked("three", "key='other'") + two},
    }[kind]
    name = package(files)
    registry = InterceptorRegistry()

    with pytest.raises(DuplicateKeyError, match=r"'guard': one \(.*\.py:\d+\) and two \(.*\.py:\d+\)") as caught:
        registry.discover(name)
    assert (caught.value.key, caught.value.first.__name__, caught.value.second.__name__) == ("guard", "one", "two")
    assert registry.explain(Service, "work").candidates == ()


@pytest.mark.parametrize("first", ["discovered", "added", "bound"])
def test_what_is_discovered_must_not_take_a_key_that_is_taken(package: Write, first: str) -> None:
    """By another package, by `add_global` or by `bind`."""
    registry = InterceptorRegistry()
    one = import_module(package({"PACKAGE/__init__.py": marked("one", "key='guard'")})).one
    {
        "discovered": lambda: registry.discover(one.__module__),
        "added": lambda: registry.add_global(one, key="guard"),
        "bound": lambda: registry.bind("guard", one),
    }[first]()
    name = package({"PACKAGE/__init__.py": marked("free") + marked("two", "key='guard'")})

    with pytest.raises(DuplicateKeyError, match="one.*two"):
        registry.discover(name)
    assert names(registry, Service, "work") == ([] if first == "bound" else ["one"])


def test_a_key_may_be_bound_to_what_is_discovered_under_it(package: Write) -> None:
    """It is the same interceptor."""
    name = package({"PACKAGE/__init__.py": marked("one", "key='guard'")})
    registry = InterceptorRegistry()
    registry.bind("guard", import_module(name).one)

    assert len(registry.discover(name)) == 1
