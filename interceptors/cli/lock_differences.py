"""What has become of the chains of an application since they were locked, a line for each difference."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from interceptors.cli.lock import Chains, LockedLayer, LockedRoute, by_path

__all__ = ["differences"]


def differences(old: Chains, new: Chains) -> Iterator[str]:
    """The differences, by route."""
    for route in sorted({*old, *new}, key=by_path):
        if route not in new:
            yield f"{route} is gone"
        elif route not in old:
            yield f"{route} is new" if new[route].is_intercepted else f"{route} is new, without a chain"
        else:
            yield from (f"{route} {difference}" for difference in _of_route(old[route], new[route]))


def _of_route(old: LockedRoute, new: LockedRoute) -> Iterator[str]:
    if old.is_intercepted is not new.is_intercepted:
        yield "has a chain now" if new.is_intercepted else "is without a chain now"
    yield from _of_lists(old.annotations, new.annotations, ordered=False)
    yield from _of_layers(old.layers, new.layers, "")


def _of_layers(old: Sequence[LockedLayer], new: Sequence[LockedLayer], within: str) -> Iterator[str]:
    """`within` is what the layers are parts of: ` of method - Chain`."""
    yield from _of_lists([layer.text for layer in old], [layer.text for layer in new], within, ordered=True)
    left = list(new)
    for layer in old:
        same = next((other for other in left if other.text == layer.text), None)
        if same is not None:
            left.remove(same)
            yield from _of_layers(layer.parts, same.parts, f" of {layer.text}{within}")


def _of_lists(old: Sequence[str], new: Sequence[str], within: str = "", *, ordered: bool) -> Iterator[str]:
    before, lost = _shared(old, new)
    after, gained = _shared(new, old)
    yield from (f"lost {text}{within}" for text in lost)
    yield from (f"gained {text}{within}" for text in gained)
    if ordered and not _in_order(before, new) and not _in_order(after, old):
        yield f"changed order{within}: {', '.join(before)} -> {', '.join(after)}"


def _shared(texts: Iterable[str], others: Iterable[str]) -> tuple[list[str], list[str]]:
    """The texts that are also among the others, one for one, and those that are not."""
    left = Counter(others)
    shared: list[str] = []
    alone: list[str] = []
    for text in texts:
        (shared if left[text] else alone).append(text)
        left[text] -= bool(left[text])
    return shared, alone


def _in_order(some: Iterable[str], texts: Iterable[str]) -> bool:
    """Do they come one after the other among the texts?"""
    rest = iter(texts)
    return all(text in rest for text in some)
