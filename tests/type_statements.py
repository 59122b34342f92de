"""`type` statements for tests that run on Python 3.11, too, which cannot parse them."""

import builtins
import re
import sys
from typing import Any, ForwardRef, TypeVar

from typing_extensions import TypeAliasType

_STATEMENT = re.compile(r"type (\w+)(?:\[([\w, ]+)\])? = (.*)")


class _Forward(dict[str, Any]):
    def __missing__(self, name: str) -> Any:
        return ForwardRef(name)


def type_statements(text: str, **names: Any) -> dict[str, Any]:
    """Run `type` statements, one a line; gives the aliases and `names`. A name that is missing is one for type checkers.

    Before Python 3.12 the aliases are `TypeAliasType`s of typing_extensions, whose value is not lazy.
    """
    if sys.version_info >= (3, 12):
        found = {"__name__": __name__, **names}
        exec(text, found)
        return found
    found = _Forward({**vars(builtins), **names})
    for name, parameters, value in _STATEMENT.findall(text):
        variables = tuple(TypeVar(each) for each in re.findall(r"\w+", parameters))
        local = _Forward({**found, **{variable.__name__: variable for variable in variables}})
        found[name] = TypeAliasType(name, eval(value, {}, local), type_params=variables)
    return found
