"""The arguments of a call, by position (LoopBack 4's habit) and by name (LoopBack 3's)."""

from collections.abc import Iterable, Iterator, Mapping
from inspect import Parameter
from typing import Any

__all__ = ["ArgumentSpec", "Arguments"]

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class ArgumentSpec:
    """What is fixed about the arguments of one target: computed once from the parameters that a caller sees.

    Extra keyword arguments of a target with `**kwargs` are entries of their own; `*args` is one entry, a tuple.
    """

    __slots__ = (
        "declared",
        "defaults",
        "injected",
        "owner",
        "positional",
        "positional_only",
        "takes_extra",
        "variable",
    )

    def __init__(self, owner: str, parameters: list[Parameter], injected: Iterable[str] = ()) -> None:
        self.owner = owner
        self.injected = frozenset(injected)  # a caller may give one by name all the same; then nothing is injected
        self.takes_extra = any(p.kind is Parameter.VAR_KEYWORD for p in parameters)
        visible = [p for p in parameters if p.kind is not Parameter.VAR_KEYWORD]
        self.declared = tuple(p.name for p in visible)
        self.positional = tuple(p.name for p in visible if p.kind in _POSITIONAL)
        self.positional_only = frozenset(p.name for p in visible if p.kind is Parameter.POSITIONAL_ONLY)
        self.variable = next((p.name for p in visible if p.kind is Parameter.VAR_POSITIONAL), None)
        self.defaults = {p.name: p.default for p in visible if p.default is not Parameter.empty}
        if self.variable is not None:
            self.defaults[self.variable] = ()

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> "Arguments":
        """Bind a caller's arguments, defaults filled in. What is missing stays missing: an interceptor may set it.

        Raises TypeError for arguments that the target does not take, in Python's words.
        """
        values = dict(zip(self.positional, args, strict=False))
        if len(args) > len(self.positional):
            if self.variable is None:
                raise TypeError(f"{self.owner}() takes {len(self.positional)} positional arguments, got {len(args)}")
            values[self.variable] = args[len(self.positional) :]
        for name, value in kwargs.items():
            if name in values:
                raise TypeError(f"{self.owner}() got multiple values for argument {name!r}")
            by_name = self.takes(name) and name not in self.positional_only and name != self.variable
            if not (by_name or name in self.injected):
                raise TypeError(f"{self.owner}() got an unexpected keyword argument {name!r}")
            values[name] = value
        return Arguments(self, {**self.defaults, **values})

    def takes(self, name: str) -> bool:
        """May an argument have this name?"""
        return self.takes_extra or name in self.declared

    def unpack(self, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """What to call the target with: by name, but where only a position will do."""
        args: list[Any] = []
        by_name = dict(values)
        extra = by_name.pop(self.variable, ()) if self.variable is not None else ()
        for name in self.positional:
            if name not in by_name and extra:
                raise TypeError(f"{self.owner}() missing 1 required positional argument: {name!r}")
            if name not in by_name or not (extra or name in self.positional_only):
                break
            args.append(by_name.pop(name))
        return [*args, *extra], by_name


class Arguments:
    """A call's arguments: `args[0]`, `args["order"]`, `len`, iteration over values, assignment by either.

    It holds what the target declares and nobody injects, in declaration order, defaults filled in. What it holds when
    the target is reached is what the target gets. An unknown name is a `KeyError`, unless the target has `**kwargs`.
    """

    __slots__ = ("_spec", "_values")

    def __init__(self, spec: ArgumentSpec, values: dict[str, Any]) -> None:
        self._spec = spec
        self._values = values  # on a route this very dict is what FastAPI parsed

    @property
    def spec(self) -> ArgumentSpec:
        """What the target declares."""
        return self._spec

    @property
    def names(self) -> tuple[str, ...]:
        """The names that hold a value, in declaration order, extra keyword arguments last."""
        values = self._values
        declared = self._spec.declared
        known = tuple(name for name in declared if name in values)
        if len(known) == len(values):
            return known
        return known + tuple(name for name in values if name not in declared)

    def items(self) -> list[tuple[str, Any]]:
        """(name, value) pairs in the order of `names`."""
        return [(name, self._values[name]) for name in self.names]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of `name`, or `default` if it holds none."""
        return self._values.get(name, default)

    def __getitem__(self, key: int | str) -> Any:
        name = self._name_at(key) if isinstance(key, int) else key
        try:
            return self._values[name]
        except KeyError:
            raise self._unknown(name) from None

    def __setitem__(self, key: int | str, value: Any) -> None:
        name = self._name_at(key) if isinstance(key, int) else key
        if not self._spec.takes(name):
            raise self._unknown(name)
        self._values[name] = value

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter([self._values[name] for name in self.names])

    def _name_at(self, index: int) -> str:
        # Positions are those of the declaration, also while an argument in front is still missing.
        declared = self._spec.declared
        extra = (name for name in self._values if name not in declared)
        return (*declared, *extra)[index]

    def _unknown(self, name: str) -> KeyError:
        if name in self._spec.declared:
            return KeyError(f"{self._spec.owner}: no value was given for the argument {name!r}")
        known = ", ".join(self._spec.declared) or "none"
        return KeyError(f"{self._spec.owner} has no argument {name!r}; it has: {known}")

    def __repr__(self) -> str:
        return f"Arguments({', '.join(f'{name}={value!r}' for name, value in self.items())})"
