"""The order of global interceptors: ordered groups, and constraints between groups."""

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Any

from interceptors.errors import GroupOrderError, WrongCallError

__all__ = ["check_ordered", "order_groups"]


def check_ordered(groups: Any) -> tuple[str, ...]:
    """The names in an order. Raises WrongCallError for what has no order, for one name alone, and for what are no names."""
    if isinstance(groups, str):
        raise WrongCallError(f"`ordered_groups` takes a list of names: ({groups!r},)", groups)
    try:
        names: list[Any] = list(groups)
    except TypeError:
        names = [groups]
    if type(groups) in (set, frozenset) or not all(isinstance(name, str) for name in names):
        raise WrongCallError(
            f"`ordered_groups` takes a list of names, the outermost first, not {groups!r}: "
            f'ordered_groups=["logging", "auth"].',
            groups,
        )
    return tuple(names)


def order_groups(
    used: Iterable[str],
    ordered: Sequence[str] = (),
    constraints: Mapping[tuple[str, str], str] | None = None,
) -> list[str]:
    """Sort the names of groups.

    Listed groups keep the order of `ordered`, and each pair (earlier, later) of `constraints`, whose value says who
    demands it, is as binding. Where both leave a choice, a group that is not listed goes first, and among these the
    order is by code points. A group that has no interceptor only passes constraints on.

    Raises GroupOrderError, with the cycle, if the demands contradict each other.
    """
    demands = dict.fromkeys(pairwise(ordered), "ordered_groups") | dict(constraints or {})
    used = set(used)
    index = {group: number for number, group in enumerate(ordered)}
    groups = used | index.keys() | {group for pair in demands for group in pair}
    later: dict[str, list[str]] = {group: [] for group in groups}
    waiting = dict.fromkeys(groups, 0)
    for first, second in demands:
        later[first].append(second)
        waiting[second] += 1

    def rank(group: str) -> tuple[bool, bool, int, str]:
        # An unused group goes out as soon as it can, so that it never decides between two used ones.
        return group in used, group in index, index.get(group, 0), group

    ready = [rank(group) for group in groups if not waiting[group]]
    heapify(ready)
    result: list[str] = []
    while ready:
        group = heappop(ready)[-1]
        result.append(group)
        for follower in later[group]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heappush(ready, rank(follower))
    if len(result) < len(groups):
        raise _contradiction(groups.difference(result), demands)
    return [group for group in result if group in used]


def _contradiction(stuck: set[str], demands: Mapping[tuple[str, str], str]) -> GroupOrderError:
    """Walk backwards among the groups that are left: each waits for another one, so a group must come again."""
    group = min(stuck)
    path: list[str] = []
    while group not in path:
        path.append(group)
        group = min(first for first, second in demands if second == group and first in stuck)
    cycle = [*path[path.index(group) :], group][::-1]
    lines = [f"  {first!r} before {second!r}: {demands[first, second]}" for first, second in pairwise(cycle)]
    return GroupOrderError(
        f"The order of the groups is a cycle: {' -> '.join(map(repr, cycle))}\n"
        + "\n".join(lines)
        + "\nTake one of these demands away.",
        cycle,
    )
