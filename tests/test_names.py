"""Names in the package: one class name has one meaning."""

import ast
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def classes_and_aliases() -> dict[str, list[str]]:
    """The modules that define a class or an alias of a type, by its name without underscores in front."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "interceptors").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found[node.name.lstrip("_")].append(f"{module}:{node.name}")
            elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation).endswith("TypeAlias"):
                found[ast.unparse(node.target).lstrip("_")].append(f"{module}:{ast.unparse(node.target)}")
    return found


def is_one_error(places: list[str]) -> bool:
    """Is the part's error the core's, as the part raises it?"""
    classes: list[Any] = [getattr(import_module(place.partition(":")[0]), place.partition(":")[2]) for place in places]
    return all(isinstance(cls, type) and issubclass(cls, Exception) for cls in classes) and any(
        all(issubclass(cls, base) for cls in classes) for base in classes
    )


def test_a_class_name_has_one_meaning() -> None:
    """A reader who meets a name knows what it is. Where a contract fixes an error's name twice, one derives from the other."""
    found = classes_and_aliases()
    assert "Chain" in found
    doubles = {name: places for name, places in found.items() if len(places) > 1 and not is_one_error(places)}
    assert doubles == {}
    assert len(found["InvalidHookError"]) == len(found["UnknownHookError"]) == 2


THE_ONE_PLACE = {
    "plan.py": "a plan makes its contexts, and fills and reads them where a call would be too slow",
    "members.py": "`entry.run` written out in a proxy's method, and a proxy's object",
    "methods.py": "the plan of a context, for calls that cannot afford to ask an entry for it",
    "registry.py": "`entry.run` written out in `invoke`, which would cost a second frame",
    "remoting/remote_hooks.py": "the parameters of a plan, which a context shows to nobody else",
}
"""The modules that read private names of others, and why. Those of other libraries stand in `undocumented` modules."""


def private_names_of_others(path: Path) -> list[str]:
    """Names with one underscore that a module reads from something that is not its own."""
    tree = ast.parse(path.read_text())
    own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    own |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    own |= {ast.unparse(node.target) for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)}
    own |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr not in own]
    read = [
        node.attr for node in attributes if ast.unparse(node.value) not in ("self", "cls")
    ]  # what is inherited is own
    imported = [alias.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for alias in n.names]
    return [name for name in (*read, *imported) if name.startswith("_") and not name.startswith("__")]


def test_private_names_of_others_stand_in_the_place_that_exists_for_them() -> None:
    """What a class keeps to itself can be changed by looking at one module."""
    readers = {
        str(path.relative_to(ROOT / "interceptors"))
        for path in (ROOT / "interceptors").rglob("*.py")
        if path.name != "undocumented.py" and private_names_of_others(path)
    }
    assert readers == set(THE_ONE_PLACE)
