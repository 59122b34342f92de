"""`registry.discover`: import a package with everything in it, take what is marked with `@global_interceptor`."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from interceptors import InterceptorRegistry, InvalidInterceptorError
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
    with pytest.raises(ModuleNotFoundError):
        registry.discover("no_such_package_anywhere")
    with pytest.raises(ZeroDivisionError):
        registry.discover(package({"PACKAGE/__init__.py": "", "PACKAGE/bad.py": "1 / 0"}))
    with pytest.raises(InvalidInterceptorError):
        registry.discover(package({"PACKAGE/__init__.py": "@global_interceptor()\ndef plain(ctx, next): ...\n"}))


def test_two_registries_discover_the_same_package_each_for_itself(package: Write) -> None:
    """Marks are read, not used up."""
    name = package({"PACKAGE/__init__.py": marked("one")})
    found: list[list[Any]] = [InterceptorRegistry().discover(name) for _ in range(2)]

    assert found[0] == found[1] != []
