"""The text of a new interceptor and of its test. It is formatted as `ruff format` would do it, whatever the names."""

from collections.abc import Sequence

__all__ = ["interceptor_module", "interceptor_test"]

_WIDTH = 88

_MODULE = '''\
"""{name}: say here what it is for."""

import logging

from interceptors import {imports}

logger = logging.getLogger(__name__)


{decorator}class {name}:
    """Say here what it does to a call."""

    async def intercept(self, ctx: InvocationContext, next: Next) -> object:
        """Run around the call."""
        # Before: look at ctx.args, change them, or answer without calling next().
        logger.debug("%s begins", ctx.target_name)
        try:
            result = await next()
        except Exception as error:
            # Error: let it pass, raise another one, or answer instead.
            logger.debug("%s failed: %r", ctx.target_name, error)
            raise
        # After: look at the result, change it, or answer with another one.
        logger.debug("%s ends", ctx.target_name)
        return result
'''

_TEST = '''\
"""What {name} does to a call."""

import asyncio

import pytest
from interceptors.testing import run_interceptor

{imported}


def test_the_result_goes_out() -> None:
    """What the method returns is what the caller sees."""
{returning}
    assert asyncio.run(call) == "done"


def test_an_error_goes_out() -> None:
    """What the method raises is what the caller sees, the very same object."""
    error = ValueError("refused")
{raising}
    with pytest.raises(ValueError, match="refused") as raised:
        asyncio.run(call)
    assert raised.value is error
'''


def interceptor_module(name: str, *, group: str | None, sources: Sequence[str]) -> str:
    """A module with an interceptor class: a global one, or a local one if there is no group."""
    if group is None:
        return _MODULE.format(name=name, imports="InvocationContext, Next", decorator="")
    imports = "InvocationContext, Next, global_interceptor"
    return _MODULE.format(name=name, imports=imports, decorator=f"{_decorator(group, sources)}\n")


def interceptor_test(module: str, name: str) -> str:
    """A module that tests it, next to it."""
    opening, indent = "call = run_interceptor(", "    "
    return _TEST.format(
        name=name,
        imported=_one_line(f"from .{module} import {name}") or _wrapped(f"from .{module} import (", [name], ")"),
        returning=_in_brackets(opening, [name, 'returns="done"'], ")", indent),
        raising=_in_brackets(opening, [name, "raises=error"], ")", indent),
    )


def _decorator(group: str, sources: Sequence[str]) -> str:
    opening, arguments = "@global_interceptor(", [f"group={_literal(group)}"]
    literals = [_literal(source) for source in sources]
    if len(literals) < 2:
        arguments += [f"source={literal}" for literal in literals]
        return _in_brackets(opening, arguments, ")")
    return _one_line(f"{opening}{arguments[0]}, source=({', '.join(literals)}))") or _wrapped(
        opening, [*arguments, _wrapped("source=(", literals, ")", "    ").lstrip()], ")"
    )


def _in_brackets(opening: str, items: Sequence[str], closing: str, indent: str = "") -> str:
    line = _one_line(f"{indent}{opening}{', '.join(items)}{closing}")
    return line or _wrapped(opening, items, closing, indent)


def _one_line(line: str) -> str | None:
    """The line if it fits. Whatever is not ASCII may be wider than it is long."""
    return line if line.isascii() and len(line) <= _WIDTH else None


def _wrapped(opening: str, items: Sequence[str], closing: str, indent: str = "") -> str:
    """One item per line; the comma behind the last one keeps it so, also where there would be room."""
    lines = "".join(f"{indent}    {item},\n" for item in items)
    return f"{indent}{opening}\n{lines}{indent}{closing}"


def _literal(text: str) -> str:
    """A string literal with the quotes that need fewer escapes, double ones if it is all the same."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return f"{quote}{''.join(_escaped(char, quote) for char in text)}{quote}"


def _escaped(char: str, quote: str) -> str:
    if char in (quote, "\\"):
        return f"\\{char}"
    return char if char.isprintable() else repr(char)[1:-1]
