"""Where resources stand: the paths of their routes, at the top and nested, and the checks that need all of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from interceptors.describing import location
from interceptors.resources.description import Description, Relation, kebab_case, snake_case
from interceptors.resources.errors import ResourceError, suggest_all
from interceptors.resources.operation import Parent
from interceptors.resources.options import path_of
from interceptors.resources.relations import check_relation

__all__ = ["Place", "connect", "places"]


@dataclass(frozen=True, slots=True)
class Place:
    """A path at which a resource has its routes, below the rows that the path names."""

    path: str
    description: Description
    parents: tuple[Parent, ...] = ()

    @property
    def link(self) -> str | None:
        """The foreign key that the path gives; None at the top."""
        return self.parents[-1].link.key if self.parents else None

    @property
    def title(self) -> str:
        """For the names of schemas: `UserPosts`, or `User` at the top."""
        if not self.parents:
            return self.description.name
        parent = self.parents[-1]
        return parent.description.name + "".join(word.title() for word in parent.relation.split("_"))

    @property
    def parameter(self) -> str:
        """The last path parameter: the primary key, with the model's name where a parent has the same."""
        key = self.description.key
        taken = {parent.parameter for parent in self.parents}
        return _parameter(self.description) if key in taken else key


def connect(descriptions: Mapping[type, Description]) -> None:
    """Fill in what clients may load with `with`. Raises ResourceError for a relation whose target has no resource."""
    for description in descriptions.values():
        for name in description.option("relations"):
            target = _target(descriptions, description, name, "relations")
            relation = Relation(name, description.relationship(name, "relations"), target)
            check_relation(relation)
            description.relations[name] = relation


def places(descriptions: Mapping[type, Description]) -> Iterator[Place]:
    """Every path, those of a resource before those nested in it. Raises ResourceError."""
    children = {
        description: [
            (name, _target(descriptions, description, name, "nested")) for name in description.option("nested")
        ]
        for description in descriptions.values()
    }
    for description in children:
        _check_no_cycle(description, children, ())
    nested = {target for owner, found in children.items() for _, target in found if target is not owner}
    for description in children:
        if description not in nested or description.option("top_level"):
            yield from _below(Place(f"/{path_of(description)}", description), children)


def _below(place: Place, children: Mapping[Description, list[tuple[str, Description]]]) -> Iterator[Place]:
    yield place
    owner = place.description
    if place.parents and place.parents[-1].description is owner:  # a self relation has one level
        return
    for name, target in children[owner]:
        parameter = _parameter(owner)
        above = place.parents[-1] if place.parents else None
        parent = Parent(owner, parameter, name, _link(owner, name, target), above)
        path = f"{place.path}/{{{parameter}}}/{kebab_case(name)}"
        yield from _below(Place(path, target, (*place.parents, parent)), children)


def _check_no_cycle(
    description: Description,
    children: Mapping[Description, list[tuple[str, Description]]],
    way: tuple[Description, ...],
) -> None:
    if description in way:
        names = " -> ".join(each.name for each in (*way[way.index(description) :], description))
        raise ResourceError(f"{description.place('nested')} is part of a cycle: {names}. Take one `nested` out.")
    for _, target in children[description]:
        if target is not description:
            _check_no_cycle(target, children, (*way, description))


def _link(owner: Description, name: str, target: Description) -> Any:
    """The attribute of the nested model that refers to the key of its parent."""
    local, remote = owner.nested_columns(name)
    if local is not owner.mapper.primary_key[0]:
        raise ResourceError(
            f"{owner.place('nested')} names {name!r}, whose foreign key refers to {local}; it has to refer to the primary key."
        )
    return getattr(target.model, target.mapper.get_property_by_column(remote).key)


def _parameter(description: Description) -> str:
    return snake_case(f"{description.name}_{description.key}")


def _target(descriptions: Mapping[type, Description], owner: Description, name: str, option: str) -> Description:
    model = owner.relationship(name, option).mapper.class_
    found = descriptions.get(model)
    if found is None:
        known = [each.__name__ for each in descriptions]
        raise ResourceError(
            f"{owner.place(option)} names {name!r}, but no resource has its model {model.__name__} "
            f"({location(model)}): resources.add({model.__name__}Resource).{suggest_all(model.__name__, known)}"
        )
    return found
