"""Hooks and events as they were declared: one function for each point of a model."""

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from interceptors.describing import location, name_of
from interceptors.events.marks import EventOptions
from interceptors.metadata import Metadata, metadata_of
from interceptors.resources.description import Description, snake_case
from interceptors.resources.errors import DuplicateHookError, UnknownModelError, suggest_all

__all__ = ["Declaration", "Functions"]


@dataclass(frozen=True, slots=True)
class Declaration:
    """A hook or an event."""

    function: Any
    model: str
    """The name of its model."""
    owner: type | None = None
    """Its model, where that was given."""
    module: ModuleType | None = None
    """The module in which it was found."""
    options: EventOptions = field(default_factory=EventOptions)
    recorded: Metadata = field(init=False, repr=False)
    """What decorators had recorded on the function then."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "recorded", metadata_of(self.function))

    @property
    def place(self) -> str:
        """Where it is written, or at least in which file."""
        if self.module is None or inspect.isfunction(self.function):
            return location(self.function)
        return str(self.module.__file__)

    @property
    def title(self) -> str:
        """For messages: its function, file and line."""
        return f"{name_of(self.function)} ({self.place})"


class Functions:
    """The hooks, or the events, of all models."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._found: dict[tuple[str, str], Declaration] = {}

    def add(self, point: str, declared: Declaration) -> None:
        """Raises DuplicateHookError if the model has one at this point already, in a file or in code."""
        known = self._found.setdefault((snake_case(declared.model), point), declared)
        if known is not declared:
            raise DuplicateHookError(
                f"{declared.model} has two {self._what}s on_{point}: {known.title} and {declared.title}; take one out.",
                known.function,
                declared.function,
            )

    def of(self, description: Description) -> Iterator[tuple[str, Declaration]]:
        """Those of one model, with their points."""
        for (model, point), declared in self._found.items():
            if model == snake_case(description.name):
                yield point, declared

    def check_models(self, descriptions: Iterable[Description]) -> None:
        """Raises UnknownModelError for a function of a model that no resource has."""
        models = {snake_case(description.name): description for description in descriptions}
        for (model, _), declared in self._found.items():
            if model not in models or declared.owner not in (None, models[model].model):
                raise UnknownModelError(
                    f"{declared.title} is a {self._what} of {declared.model}, but no resource has such a model."
                    f"{suggest_all(declared.model, [each.name for each in models.values()])}",
                    declared.model,
                )
