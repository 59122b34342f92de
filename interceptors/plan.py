"""What is fixed per (class, method, source type): the folded chain, the call of the target, the context's class."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from inspect import Parameter, ismethod
from typing import Any, cast, final

from interceptors.arguments import Arguments, ArgumentSpec
from interceptors.chain import Step, fold
from interceptors.constructors import check_attributes, check_provider
from interceptors.context import InvocationContext, InvocationSource
from interceptors.describing import function_behind
from interceptors.errors import TargetNotBuiltError
from interceptors.injection import Getter, Injector, Pending, settle
from interceptors.kinds import InterceptorFunction, is_async
from interceptors.signatures import name_of_itself
from interceptors.target import Finish, Target

__all__ = ["Plan"]


@final
class Plan:
    """One chain, ready to run: `ctx = plan.context_class(); ...; await plan.run(ctx)`."""

    __slots__ = (
        "_build",
        "_builds_freely",
        "_injector",
        "_itself",
        "_target",
        "context_class",
        "is_bare",
        "registered",
        "revision",
        "run",
    )

    def __init__(
        self,
        target: Target,
        layers: Iterable[InterceptorFunction],
        injector: Injector,
        source: InvocationSource | None = None,
        registered: object = None,
        revision: int = 0,
    ) -> None:
        self._target = target
        self._injector = injector
        self.registered = registered
        self.revision = revision
        self._build, self._builds_freely = self._builder()
        is_wrapped_handler = target.owner is not None and not target.binds
        self._itself = name_of_itself(function_behind(target.function)) if is_wrapped_handler else None
        layers = tuple(layers)
        self.is_bare = not layers
        self.run: Step = fold(layers, self._attempt(self._call()))
        self.context_class: type[InvocationContext] = type(
            target.context_class.__name__,
            (target.context_class,),
            {
                "__module__": target.context_class.__module__,
                "_plan": self,
                "_source": source,
                "annotations": target.annotations,
                "method_name": target.name,
                "target_class": target.owner,
                "target_name": target.title,
            },
        )

    def _builder(self) -> tuple[Getter | None, bool]:
        """How to get an instance that the caller does not bring, and whether that may happen at any time."""
        target = self._target
        if not target.builds or target.owner is None:
            return None, False
        if target.is_fixed:
            check_attributes(target.owner, "controller")
            return None, False
        if target.provider is not None:
            provider = self._injector.own(target.provider)
            check_provider(provider, "controller", target.owner)
            return self._injector.from_provider(provider), False
        build, injects = self._injector.constructor(target.owner, "controller")
        return build, not injects

    def _call(self) -> Step:
        """The innermost step: find the function, collect its arguments, call it.

        It returns the target's own coroutine; only what is pending, or no `async def`, costs a frame.
        """
        target = self._target
        locate, collect = self._locate(), self._collect()
        finish = target.finish or _finish_of(target.function)
        name, owner = target.name, cast("Any", target.owner)

        def call_method(ctx: InvocationContext) -> Awaitable[Any]:
            # What `call` does for the commonest case, a method of an object that the caller brought.
            method: Callable[..., Awaitable[Any]] = ctx._method
            keywords = ctx._keywords
            if not keywords:
                return method(*ctx._positional)
            return method(*ctx._positional, **keywords) if ctx._arguments is None else call(ctx)

        def call(ctx: InvocationContext) -> Awaitable[Any]:
            function, arguments = locate(ctx), collect(ctx)
            if type(function) is Pending or type(arguments) is Pending:
                return _call_later(ctx, function, arguments, finish or _await)
            args, kwargs = arguments
            if finish is None:
                result: Awaitable[Any] = function(*args, **kwargs)
                return result
            return finish(ctx, function, args, kwargs)

        def call_by_name(ctx: InvocationContext) -> Awaitable[Any]:
            # The commonest case on a route.
            function = locate(ctx)
            if type(function) is Pending:
                return _call_later(ctx, function, ((), ctx._keywords), _await)
            result: Awaitable[Any] = function(**ctx._keywords)
            return result

        def call_fresh(ctx: InvocationContext) -> Awaitable[Any]:
            # The same where nothing is injected into the constructor.
            instance = ctx._target
            if instance is None:
                instance = ctx._target = owner()
            result: Awaitable[Any] = getattr(instance, name)(**ctx._keywords)
            return result

        if finish is not None or target.signature.injected:
            return call
        if not target.binds:
            by_name = call_fresh if self._builds_freely and self._itself is None else call_by_name
            return call if target.arguments.positional_only else by_name
        return call if target.is_fixed or target.builds else call_method

    def _attempt(self, call: Step) -> Step:
        """A run of the target that raises or is cancelled leaves nothing behind that its context can take back."""
        if self._target.context_class.begin_run is InvocationContext.begin_run:
            return call

        async def attempt(ctx: InvocationContext) -> Any:
            take_back = ctx.begin_run()
            try:
                return await call(ctx)
            except BaseException:
                take_back()
                raise

        return attempt

    def _locate(self) -> Getter:
        """The function to call: the target itself, or the method of the instance, which was brought or is built now.

        Built at every turn: what is injected may have been bound for this attempt. Kept if nothing is injected.
        """
        target, name, build, keeps = self._target, self._target.name, self._build, self._builds_freely
        if target.is_fixed:
            fixed = _by_name(target.function, self._itself)
            return lambda ctx: fixed
        if not target.builds:
            return lambda ctx: ctx._method

        itself = self._itself

        async def later(ctx: InvocationContext, instance: Pending) -> Any:
            ctx._target = await settle(instance)
            return _by_name(getattr(ctx._target, name), itself)

        def locate(ctx: InvocationContext) -> Any:
            instance = ctx._target
            if build is not None and not (keeps and instance is not None):
                instance = build(ctx)
                if type(instance) is Pending:
                    return Pending(partial(later, ctx, instance))
                ctx._target = instance
            method = getattr(instance, name)
            return method if itself is None else _by_name(method, itself)

        return locate

    def _collect(self) -> Getter:
        """The arguments, as (args, kwargs): the caller's own unless a layer looked at them, and what is injected."""
        target = self._target
        getters = self._injector.getters(target.signature.injected, target.title, target.function)
        unpack = target.arguments.unpack
        everything = ArgumentSpec(target.title, target.signature.parameters)

        def by_name(ctx: InvocationContext) -> Any:
            return (), ctx._keywords

        def bound(ctx: InvocationContext) -> Any:
            if ctx._arguments is None:
                return ctx._positional, ctx._keywords
            return unpack(ctx._arguments._values)

        def injected(ctx: InvocationContext) -> Any:
            values = dict(ctx.args._values)
            pending = False
            for name, get in getters:
                if name not in values:
                    value = values[name] = get(ctx)
                    pending = pending or type(value) is Pending
            return Pending(partial(_unpack_later, everything, values)) if pending else everything.unpack(values)

        if getters or (target.arguments.positional_only and not target.binds):
            return injected
        return bound if target.binds else by_name

    @property
    def target(self) -> Target:
        """What it was made for."""
        return self._target

    # -- what a context asks -------------------------------------------------------------------------------------------

    def arguments(self, ctx: InvocationContext) -> Arguments:
        """The arguments of a call. Where they came by name that very dict is the storage."""
        if self._target.binds:
            arguments = self._target.arguments.bind(ctx._positional, ctx._keywords)
            ctx._keywords = _LOOKED_AT
            return arguments
        return Arguments(self._target.arguments, ctx._keywords)

    def early_target(self, ctx: InvocationContext) -> Any:
        """`ctx.target` before the target's turn."""
        target = self._target
        if target.owner is None:
            return target.function
        if target.is_fixed:
            return getattr(target.function, "__self__", target.owner)
        if ctx._method is not None:
            return ctx._method.__self__
        if self._build is None or not self._builds_freely:
            raise TargetNotBuiltError(
                f"The {target.owner.__name__} of {target.title} is built when the method's turn comes, so that its "
                f"constructor sees what the layers bound; use `ctx.target_class`, or read `ctx.target` after `next()`."
            )
        ctx._target = self._build(ctx)
        return ctx._target

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters that `ctx.args` holds, with their annotations."""
        return {parameter.name: parameter for parameter in self._target.signature.visible}

    async def get(self, ctx: InvocationContext, key: str, default: Any) -> Any:
        """A key that is bound neither on the invocation nor on its request."""
        return await self._injector.get(ctx, key, default)

    def user_at_once(self, request: Any) -> Any:
        """The user if finding it needs no `await`."""
        return self._injector.users.at_once(request)

    async def user(self, ctx: InvocationContext) -> Any:
        """Who the user of the request is."""
        return await self._injector.users.find(ctx)

    @property
    def asked_for_user(self) -> str:
        """What is asked who the user is, for messages."""
        return str(self._injector.users)


_LOOKED_AT: dict[str, Any] = {"*": None}
"""In the place of a caller's keyword arguments: they are in `ctx.args` now. Truthy, which is what `call_method` asks."""


def _by_name(method: Any, itself: str | None) -> Any:
    """A bound method, so that its object is given by name; see `name_of_itself`."""
    return method if itself is None or not ismethod(method) else partial(method.__func__, **{itself: method.__self__})


async def _unpack_later(spec: ArgumentSpec, values: Mapping[str, object]) -> Any:
    return spec.unpack({name: await settle(value) for name, value in values.items()})


async def _call_later(ctx: InvocationContext, function: object, arguments: object, finish: Finish) -> Any:
    function = await settle(function)
    args, kwargs = await settle(arguments)
    return await finish(ctx, function, args, kwargs)


async def _await(ctx: InvocationContext, function: Any, args: Iterable[object], kwargs: Mapping[str, object]) -> Any:
    return await function(*args, **kwargs)


async def _inline(ctx: InvocationContext, function: Any, args: Iterable[object], kwargs: Mapping[str, object]) -> Any:
    result = function(*args, **kwargs)
    return await result if inspect.isawaitable(result) else result


def _finish_of(function: object) -> Finish | None:
    return None if is_async(function) else _inline
