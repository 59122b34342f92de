"""The door: the one way into a chain, for every integration, this library's own included.

    entry = Entry(registry, handle_order, source="queue")       # once, where the integration is set up
    entry.check()                                               # at its start: raises what is wrong with the chain
    result = await entry(order_id=7)                            # for each message

Where an integration fills the context it is two steps: `ctx = entry.context(args, kwargs)`, then `await entry.run(ctx)`.
"""

from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Protocol, cast, final

from interceptors.candidates import Explanation
from interceptors.compiler import Registrations, compile_plan, explain
from interceptors.context import InvocationContext, InvocationSource, Running, innermost
from interceptors.current import Cell, current
from interceptors.describing import location, name_of
from interceptors.errors import InvalidTargetError, WrongCallError
from interceptors.metadata import changes
from interceptors.plan import Plan
from interceptors.sharing import KnownDoors, check_place
from interceptors.target import Target

__all__ = ["Entry", "Registered", "called_in", "run"]


class Registered(Protocol):
    """What an entry asks of its registry."""

    @property
    def registrations(self) -> Registrations: ...
    @property
    def doors(self) -> "KnownDoors[Entry]": ...


@final
class Entry:
    """A call through the chain that a registry has for it.

    `target`: a function; an object or a class, with the name of a `method`; or a `Target`, which also says how it is
    called. `source` says who starts the invocations: a type such as "job", an `InvocationSource`, or None.
    `context_class` is a subclass of `InvocationContext` that knows more of such a call.

    The chain is compiled when it is first needed, and kept until the registry changes, a decorator records something,
    or the target, its class or a base of it gets something else under this name.

    Raises InvalidTargetError if there is no such method, or what is given is no function; WrongCallError for what is no
    registry, no name of a method or no source.
    """

    __slots__ = ("__weakref__", "_holder", "_known_by", "_plan", "_source", "registry", "target")

    def __init__(
        self,
        registry: Registered,
        target: Any,
        method: str | None = None,
        source: str | InvocationSource | None = "job",
        context_class: type[InvocationContext] | None = None,
    ) -> None:
        if not isinstance(getattr(registry, "registrations", None), Registrations):
            raise WrongCallError(
                f"Entry takes an InterceptorRegistry first, not {name_of(registry)} ({location(registry)}): "
                f"Entry(registry, handle_order)",
                registry,
            )
        if source is not None and not isinstance(source, str | InvocationSource):
            raise WrongCallError(f'`source` takes a type or an InvocationSource, not {source!r}: source="job"', source)
        self.registry = registry
        found = target if isinstance(target, Target) else Target.of(target, method)
        self.target: Target = found if context_class is None else replace(found, context_class=context_class)
        is_object = method is not None and not isinstance(target, type | Target)
        self._holder: Any = target if is_object else None
        if not (is_object or self.target.is_fixed or isinstance(target, Target)):
            raise InvalidTargetError(
                f"{self.target.title} is an instance method; give an instance of {self.target.title.partition('.')[0]}.",
                target,
            )
        self._source = InvocationSource(source) if isinstance(source, str) else source
        self._plan: Plan | None = None
        self._known_by = registry.doors.add(self, self.target)

    @property
    def title(self) -> str:
        """For people: `OrderController.show`."""
        return self.target.title

    @property
    def source_type(self) -> str | None:
        """Who starts its invocations."""
        return None if self._source is None else self._source.type

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Run the chain around a call with these arguments, and give its result."""
        return run(self.context(args, kwargs))

    def context(
        self,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        request: Any = None,
        response: Any = None,
    ) -> InvocationContext:
        """The context of one call, to fill and to `run`.

        While another invocation runs it belongs to the same request, unless `request` starts afresh. Of a target that
        is called by name `kwargs` is the very dict that `ctx.args` changes. Raises what is wrong with the chain.
        """
        plan, target, holder = self._plan, self.target, self._holder
        found = None if holder is None else getattr(holder, target.name, None)
        if (
            plan is None
            or plan.registered is not self.registry.registrations
            or plan.revision != changes.count
            or (
                target.named
                and (target.has_bases or getattr(target.owner, target.name, None) is not target.function)
                and target.is_stale
            )
            or (holder is not None and (target.is_stale or not target.fits(holder, found)))
        ):
            plan = self._compile()
        ctx = plan.context_class()
        if args:
            ctx._positional = args
        ctx._keywords = {} if kwargs is None else kwargs
        if holder is not None:
            ctx._method = found
            if not (self.target.named and self.target.is_fixed):
                ctx._target = holder
        if request is not None:
            ctx._request, ctx._response = request, response
        elif current.get() is not None and ctx.belongs_to_request and (outer := innermost()) is not None:
            ctx._root = outer._root or outer
        return ctx

    def run(self, ctx: InvocationContext) -> Coroutine[Any, Any, Any]:
        """Run the chain in a context that `context` gave."""
        return run(ctx)

    def running_as(self, ctx: InvocationContext) -> Running:
        """`with` or `async with`: what is called inside belongs to the invocation, as what the chain calls does.

        For what an integration does around the chain: a commit when it has returned.
        """
        return Running(ctx)

    def check(self) -> None:
        """Compile the chain now. Raises what there is to find wrong with it: keys, constructors, signatures."""
        self._compile()

    def explain(self) -> Explanation:
        """Every interceptor that is declared for the target: what runs, and why the others do not."""
        return explain(self.registry.registrations, self._renewed(), self.source_type)

    @property
    def is_bare(self) -> bool:
        """Does nothing stand around the target? So it is with what runs at this moment."""
        plan = self._plan
        return plan is not None and plan.is_bare

    @property
    def context_type(self) -> type[InvocationContext]:
        """The class of this entry's contexts, which knows the names and annotations of the target."""
        return self._compile().context_class

    def _renewed(self) -> Target:
        if self._holder is None:
            return self.target.renewed()
        return replace(Target.at(self._holder, self.target.name), context_class=self.target.context_class)

    def _compile(self) -> Plan:
        if self._holder is not None or self.target.is_stale:
            self.target = self._renewed()
            self._known_by = self.registry.doors.add(self, self.target)
        self._check_place()
        plan = self._plan = compile_plan(self.registry.registrations, self.target, self._source)
        return plan

    def _check_place(self) -> None:
        """Refuse a function that was decorated for one of its places, in all places that are known here."""
        doors = self.registry.doors
        try:
            check_place(self.target, lambda function: (door.target for door in doors.of(function) if door is not self))
        except InvalidTargetError as error:
            for door in doors.of(error.target):
                door._plan = None
            changes.note()  # so that no call goes on with what it knows
            raise


def called_in(ctx: InvocationContext) -> Target:
    """What the chain of a context leads to."""
    return cast("Plan", ctx._plan).target


async def run(ctx: InvocationContext) -> Any:
    """Run the chain of a context, as the current invocation.

    The one place that sets and resets it; `with Running(ctx)` written out, which would cost a tenth of an invocation.
    """
    cell: Cell = [ctx, current.get()]
    token = current.set(cell)
    try:
        return await ctx._plan.run(ctx)
    finally:
        cell[0] = None
        try:  # noqa: SIM105 (as above)
            current.reset(token)
        except ValueError:  # closed in another context
            pass
