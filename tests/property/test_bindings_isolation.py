"""Bindings, state and the current user never mix, however invocations are nested and interleaved.

A tree of invocations is generated: each runs a few steps in an outer layer before `next`, in an inner layer, in the target, and after
`next` on the way out. A step binds, reads, pauses, or invokes other nodes, one after the other or concurrently. At a pause a task waits
until a conductor lets it go on, in an order that is generated as well.

The model is told of each step when it happens, and knows of the library only what the contract says: which request a node belongs to is
known from its place in the tree (an invocation started within another one belongs to its request, `request=` starts afresh, outside
HTTP the outermost invocation plays the request's part).

A long campaign: `HYPOTHESIS_PROFILE=campaign python -m pytest tests/property`.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count

import anyio
import anyio.lowlevel
import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from hypothesis import event, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from interceptors import InterceptorRegistry, InvocationBindings, InvocationContext, InvocationSource, intercept

EXAMPLES = 4 * settings().max_examples  # of the profile that tests/conftest.py has loaded

KEYS = ("k", "l", "m")
NOTHING = "nothing"


# -- a tree of invocations ---------------------------------------------------------------------------------------------


class Shown:
    """Printed by its `repr`: hypothesis would try every way to break a tree of calls into lines."""

    def _repr_pretty_(self, printer, cycle):
        printer.text(repr(self))


@dataclass(frozen=True)
class Bind:
    key: str


@dataclass(frozen=True)
class BindRequest:
    key: str


@dataclass(frozen=True)
class SetState:
    key: str


@dataclass(frozen=True)
class SetArgument:
    """Changes the argument `number` of this invocation."""


@dataclass(frozen=True)
class SetUser:
    """What an auth interceptor does."""


@dataclass(frozen=True)
class AskUser:
    """Asks who the current user is."""


@dataclass(frozen=True)
class Pause:
    """Lets others run."""


@dataclass(frozen=True)
class Invoke:
    """Invokes nodes: one after the other, or all at the same time."""

    nodes: tuple["Node", ...]
    concurrently: bool


@dataclass(frozen=True)
class Node(Shown):
    steps: tuple[tuple[object, ...], ...]  # five phases: outer layer, inner layer, target, and out again
    how: str = "invoke"  # or "proxy", "static"
    request: int | None = None  # the number of a request that is given with `request=`; a proxied call gives none


STEPS = (
    Pause(),
    AskUser(),
    SetArgument(),
    SetUser(),
    *(kind(key) for kind in (Bind, BindRequest, SetState) for key in KEYS),
    Pause(),
)
simple_steps = st.sampled_from(STEPS)
orders = st.lists(st.integers(0, 20), max_size=30)


@st.composite
def worlds(draw):
    """A forest: drawn as a list in which each node names its parent, as that is much easier to shrink than a recursion."""
    steps, children, roots = [], [], []
    for number in range(draw(st.integers(1, 8))):
        steps.append([[] for _ in range(5)])
        for phase, step in draw(st.lists(st.tuples(st.integers(0, 4), simple_steps), max_size=6)):
            steps[-1][phase].append(step)
        children.append([[] for _ in range(5)])
        parent = draw(st.integers(0, number))
        if parent:
            children[parent - 1][draw(st.integers(0, 4))].append(number)
        else:
            roots.append(number)
    nodes = {}
    for number in reversed(range(len(steps))):
        for phase in range(5):
            if found := children[number][phase]:
                invoke = Invoke(tuple(nodes[child] for child in found), draw(st.booleans()))
                steps[number][phase].insert(draw(st.integers(0, len(steps[number][phase]))), invoke)
        how = draw(st.sampled_from(["invoke", "proxy", "static"]))
        request = None if how == "proxy" else draw(st.sampled_from([None, 0, 1]))
        nodes[number] = Node(tuple(map(tuple, steps[number])), how, request)
    return tuple(nodes[number] for number in roots)


# -- the model ---------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class ModelRequest:
    """What the invocations of one request share. `number` is None outside HTTP."""

    number: int | None
    bound: dict = field(default_factory=dict)
    asked: bool = False

    @property
    def user(self):
        if "current_user" in self.bound:
            return self.bound["current_user"]
        return None if self.number is None else f"user of request {self.number}"


@dataclass(eq=False)
class ModelInvocation:
    request: ModelRequest
    number: int
    bound: dict = field(default_factory=dict)
    state: dict = field(default_factory=dict)
    context: object = None  # whatever the first layer got: the others have to get the same
    reached: int | None = None  # the argument `number` when the target was reached

    def get(self, key):
        return self.bound.get(key, self.request.bound.get(key, "container's k" if key == "k" else NOTHING))


# -- the real thing ----------------------------------------------------------------------------------------------------


class Conductor:
    """Decides which of the tasks that pause goes on next."""

    def __init__(self, order):
        self.order = list(order)
        self.waiting = []
        self.done = False

    async def pause(self):
        turn = anyio.Event()
        self.waiting.append(turn)
        await turn.wait()

    async def conduct(self):
        while not self.done or self.waiting:
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            if self.waiting:
                self.waiting.pop((self.order.pop() if self.order else 0) % len(self.waiting)).set()


class Container(containers.DeclarativeContainer):
    k = providers.Object("container's k")


class World:
    """Runs a tree, tells the model what happens, and compares."""

    def __init__(self, order):
        self.conductor = Conductor(order)
        self.numbers = count(1)
        self.asked = Counter()
        self.http = [Request({"type": "http", "headers": [], "number": number}) for number in range(2)]
        self.shared = {number: ModelRequest(number) for number in range(2)}
        self.invocations = 0
        self.models = []
        world = self

        async def current_user(request):
            number = request.scope["number"]
            world.asked[number] += 1
            await world.conductor.pause()
            return f"user of request {number}"

        self.registry = InterceptorRegistry(Container(), current_user=current_user)

        async def outer(ctx, next):
            await world.phase(ctx, 0)
            result = await next()
            await world.phase(ctx, 4)
            return result

        class Inner:
            """Built at its turn: what is injected is what the invocation has then."""

            def __init__(self, ctx: InvocationContext, k: str = Provide["k"]) -> None:
                model = ctx.args["model"]
                assert k == model.get("k")
                assert InvocationBindings.context() is ctx

            async def intercept(self, ctx, next):
                await world.phase(ctx, 1)
                result = await next()
                await world.phase(ctx, 3)
                return result

        @intercept(outer, Inner)
        class Service:
            async def work(self, node, model, number, ctx: InvocationContext, k: str = Provide["k"]):
                return await target(node, model, number, ctx, k)

            @staticmethod
            async def static(node, model, number, ctx: InvocationContext, k: str = Provide["k"]):
                return await target(node, model, number, ctx, k)

        async def target(node, model, number, ctx, k):
            assert number == model.number
            assert k == model.get("k")
            model.reached = number
            await world.phase(ctx, 2)
            return number

        self.service = Service()
        self.proxy = self.registry.intercepted(self.service)

    async def phase(self, ctx, phase):
        node, model = ctx.args["node"], ctx.args["model"]
        model.context = model.context or ctx
        assert model.context is ctx
        await self.check(ctx, model)
        for step in node.steps[phase]:
            await self.step(ctx, model, step)
            await self.check(ctx, model)

    async def step(self, ctx, model, step):
        value = next(self.numbers)
        match step:
            case Bind(key):
                ctx.bind(key, value)
                model.bound[key] = value
            case BindRequest(key):
                ctx.bind_request(key, value)
                model.request.bound[key] = value
            case SetState(key):
                ctx.state[key] = value
                model.state[key] = value
            case SetArgument():
                ctx.args["number"] = value
                model.number = value
            case SetUser():
                ctx.bind_request("current_user", value)
                model.request.bound["current_user"] = value
            case AskUser():
                before = model.request.user
                user = await ctx.current_user()
                # While we waited somebody may have said who the user is.
                assert user in (before, model.request.user)
            case Pause():
                await self.conductor.pause()
            case Invoke(nodes, concurrently):
                await self.invoke_all(nodes, model.request, concurrently)
            case _:
                raise AssertionError(step)

    async def check(self, ctx, model):
        """What an invocation sees is what the model says, right now."""
        for key in KEYS:
            assert await ctx.get(key, NOTHING) == model.get(key)
        assert ctx.state == model.state
        assert ctx.args["number"] == model.number
        assert ctx.request is (None if model.request.number is None else self.http[model.request.number])
        assert InvocationBindings.context() is ctx
        assert InvocationBindings.request() is ctx.request
        assert await ctx.get("context") is ctx
        if "current_user" in model.request.bound:
            assert await ctx.current_user() == model.request.user
            assert InvocationBindings.current_user() == model.request.user

    async def invoke_all(self, nodes, outer, concurrently):
        if not concurrently:
            for node in nodes:
                await self.invoke(node, outer)
            return
        async with anyio.create_task_group() as tasks:
            for node in nodes:
                tasks.start_soon(self.invoke, node, outer)

    async def invoke(self, node, outer):
        """Invoke a node from an invocation of the request `outer`, or from nowhere."""
        self.invocations += 1
        number = next(self.numbers)
        if node.request is not None:
            request = self.shared[node.request]
        else:
            request = ModelRequest(None) if outer is None else outer
        model = ModelInvocation(request, number)
        self.models.append(model)
        if node.how == "proxy":
            result = await self.proxy.work(node, model, number)
        else:
            options = {} if node.request is None else {"request": self.http[node.request]}
            method = "static" if node.how == "static" else "work"
            source = InvocationSource("job", number)
            result = await self.registry.invoke(
                self.service, method, node, model, number=number, source=source, **options
            )
        assert result == model.reached


def run(backend, roots, order):
    """Run a world on a backend; gives it back for more questions."""

    async def main():
        world = World(order)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.conductor.conduct)
            await world.invoke_all(roots, None, concurrently=True)
            world.conductor.done = True
        return world

    return anyio.run(main, backend=backend)


# -- the properties ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(deadline=None, max_examples=EXAMPLES)
@given(worlds(), orders)
def test_nothing_is_mixed_up(backend, roots, order):
    """Every invocation sees its own bindings, state and arguments, its request's bindings and user, and nothing else."""
    world = run(backend, roots, order)
    event(f"{min(world.invocations, 8)} invocations")
    assert all(times == 1 for times in world.asked.values())


@st.composite
def crowds(draw):
    """Many invocations of two requests and of none, all at the same time, which do the same: the worst neighbours."""
    steps = draw(st.lists(simple_steps, min_size=1, max_size=4).map(tuple))
    pausing = tuple(step for one in steps for step in (one, Pause()))
    inner = Node((pausing, (), pausing, (), ()), draw(st.sampled_from(["invoke", "proxy"])))
    node = Node((pausing, (Invoke((inner, inner), concurrently=True),), pausing, pausing, (AskUser(),)))
    requests = draw(st.lists(st.sampled_from([None, 0, 1]), min_size=2, max_size=6))
    return tuple(replace(node, request=request) for request in requests)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(deadline=None, max_examples=EXAMPLES)
@given(crowds(), orders)
def test_nothing_is_mixed_up_in_a_crowd(backend, roots, order):
    """The same with many like invocations at the same time."""
    world = run(backend, roots, order)
    assert world.invocations == 3 * len(roots)
    assert all(times == 1 for times in world.asked.values())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(deadline=None, max_examples=EXAMPLES)
@given(st.integers(1, 6), st.integers(0, 4), orders)
def test_the_user_is_asked_until_somebody_answers(backend, askers, failures, order):
    """Concurrent invocations of one request ask once; an exception goes to the one that asked, and the next one asks again."""
    conductor, request = Conductor(order), Request({"type": "http", "headers": []})
    asked, outcomes = count(), []

    async def current_user(request):
        number = next(asked)
        await conductor.pause()
        if number < failures:
            raise ConnectionError
        return number

    class Service:
        async def work(self, ctx: InvocationContext):
            await conductor.pause()
            try:
                outcomes.append(await ctx.current_user())
            except ConnectionError:
                outcomes.append("failed")

    registry = InterceptorRegistry(current_user=current_user)

    async def ask_all():
        async with anyio.create_task_group() as tasks:
            for _ in range(askers):
                tasks.start_soon(invoke)

    async def invoke():
        await registry.invoke(Service(), "work", request=request)

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conductor.conduct)
            await ask_all()
            conductor.done = True

    anyio.run(main, backend=backend)
    failed = min(askers, failures)
    assert sorted(map(str, outcomes)) == [str(failures)] * (askers - failed) + ["failed"] * failed
    assert next(asked) == min(askers, failures + 1)


def test_the_model_sees_what_it_should():
    """A fixed tree with the answers written out: the model itself is right."""
    inner = Node(((BindRequest("l"), Bind("m")), (), (), (), ()))
    apart = Node(((BindRequest("l"), Bind("m")), (), (), (), ()), request=1)
    root = Node(((Bind("k"), Invoke((inner, apart), concurrently=False)), (), (), (), ()), request=0)
    world = run("asyncio", (root,), [])
    assert world.invocations == 3
    first, second = world.shared[0].bound, world.shared[1].bound
    assert list(first) == list(second) == ["l"]
    assert first != second
    (seen,) = [model for model in world.models if model.request.number == 0 and "k" in model.bound]
    assert (seen.get("k"), seen.get("l"), seen.get("m")) == (seen.bound["k"], first["l"], NOTHING)
