"""Classes that are built for an invocation: what can never work about them is refused before there is one."""

from __future__ import annotations

import abc
from dataclasses import InitVar, dataclass, field
from types import ModuleType
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Closing, Provide, Provider, inject
from fastapi import Depends, Header, Security
from typing_extensions import TypeAliasType

from interceptors import InjectionError, InterceptorRegistry, InvalidInterceptorError, compose
from tests.unit.helpers import place

Repo = Annotated[str, Provide["repo"]]
Again = TypeAliasType("Again", TypeAliasType("RepoAlias", Repo))


def user() -> str:
    return "ada"


async def slow() -> str:
    return "repo"


class Container(containers.DeclarativeContainer):
    repo = providers.Object("repo")
    slow = providers.Coroutine(slow)


class Layer:
    """The base of the interceptors here; what they are asked for is `self.found`."""

    async def intercept(self, ctx: Any, next: Any) -> Any:
        return self.found()

    def found(self) -> Any:
        return "found"


class Service:
    async def work(self) -> None: ...


async def asked(layer: Any) -> Any:
    """What a layer answers."""
    registry = InterceptorRegistry(Container())
    registry.add_global(layer)
    registry.validate()
    return await registry.invoke(Service(), "work")


def refused(layer: Any, error: type[Exception] = InjectionError) -> str:
    """The message with which a layer is refused at start-up."""
    registry = InterceptorRegistry(Container())
    registry.add_global(layer)
    with pytest.raises(error) as caught:
        registry.validate()
    return str(caught.value)


# -- attributes --------------------------------------------------------------------------------------------------------


class ByProvider(Layer):
    repo = Provider["repo"]


class ByClosing(Layer):
    repo: str = Closing["repo"]


class ByAnnotation(Layer):
    repo: Annotated[Missing, "a note", Provide["repo"]]  # noqa: F821


class ByClassVar(Layer):
    repo: ClassVar[Repo]


class ByAlias(Layer):
    repo: Again | None = None


class ByDepends(Layer):
    repo: Annotated[str, Depends(user)] = "nobody"


class BySecurity(Layer):
    repo: Any = Security(user)


class ByHeader(Layer):
    repo: str = Header()


class InSlots(Layer):
    __slots__ = ("repo",)
    repo: Repo


class Redeclared(BySecurity):
    repo: str


class OtherConstructor(Layer):
    repo: Repo

    def __init__(self, other: Repo = "") -> None: ...


class PlainParameter(Layer):
    repo: Annotated[str, Provide["other"]]

    def __init__(self, repo: str = "") -> None: ...


@dataclass
class NotInTheConstructor(Layer):
    repo: str = field(default=Provide["repo"], init=False)


class InATuple(NamedTuple):
    number: int = 5
    repo = Provide["repo"]

    async def intercept(self, ctx: Any, next: Any) -> Any: ...


MARKED = [
    ByProvider,
    ByClosing,
    ByAnnotation,
    ByClassVar,
    ByAlias,
    ByDepends,
    BySecurity,
    ByHeader,
    InSlots,
    Redeclared,
    PlainParameter,
    NotInTheConstructor,
]


@pytest.mark.parametrize("cls", MARKED, ids=lambda cls: cls.__name__)
def test_a_marked_attribute_that_no_parameter_sets_is_refused(cls: type) -> None:
    """It would be the marker, which is always true. The message names it, its class and place, and what to write."""
    message = refused(cls)

    assert message.startswith(f"The attribute 'repo' of the interceptor {cls.__name__} ({place(cls)})")
    assert "Take it in the constructor: `def __init__(self, repo: Annotated[T, " in message


def test_an_inherited_one_is_told_with_the_class_that_has_it() -> None:
    """The class that is built is named, and the one to change."""

    class Mixed(ByHeader): ...

    assert f"inherited from ByHeader ({place(ByHeader)}), is marked `Header`" in refused(Mixed)


class Replaced(ByDepends):
    repo = "replaced"

    def found(self) -> Any:
        return self.repo


class Computed(ByProvider):
    @property
    def repo(self) -> str:
        return "replaced"

    found = Replaced.found


class Written(Layer):
    repo: Repo

    def __init__(self, repo: Repo) -> None:
        self.repo = repo


class WrittenDifferently(Layer):
    repo: Repo

    def __init__(self, given: Repo) -> None:
        self.repo = given


class Private(Layer):
    """As attrs does it: the parameter has no underscore."""

    _repo: Annotated[str, "other", Provide["repo"]]

    def __init__(self, repo: Repo) -> None:
        self.repo = repo


@dataclass(slots=True)
class Slots(Layer):
    repo: Repo
    again: Again = field(default="")
    kind: ClassVar[str] = "kind"


@dataclass
class Initial(Layer):
    given: InitVar[Repo]
    repo: str = ""

    def __post_init__(self, given: str) -> None:
        self.repo = given


@pytest.mark.parametrize(
    "cls", [Replaced, Computed, Written, WrittenDifferently, Private, Slots, Initial], ids=lambda cls: cls.__name__
)
async def test_one_that_a_parameter_sets_or_a_subclass_replaces_works(cls: type) -> None:
    """By a parameter of its name or of its annotation; by a value or a property."""
    expected = "replaced" if issubclass(cls, ByDepends | ByProvider) else "repo"
    cls.found = lambda self: self.repo

    assert await asked(cls) == expected


@dataclass
class Fields(Layer):
    repo: str = Provide["repo"]

    found = Replaced.found


async def test_an_object_is_looked_at_itself() -> None:
    """What the caller has built may have been given the value; one that still has the marker is refused."""

    class Given(Fields):
        async def check(self, ctx: Any, next: Any) -> Any:
            return self.repo

    slots = Slots("given")
    Slots.found = Replaced.found
    for layer in (Given("given"), Given("given").check, slots):
        assert await asked(layer) == "given"
    for layer in (Given(), Given().check, compose(Given()), ByHeader(), ByAnnotation(), InATuple(), InSlots()):
        assert "The attribute 'repo' of the interceptor" in refused(layer)


def test_what_a_provider_makes_is_looked_at() -> None:
    """If it says what that is; `add_attributes` sets an attribute."""
    for provider in (
        providers.Factory(ByHeader),
        providers.Singleton(ByAnnotation),
        providers.ThreadLocalSingleton(ByAlias),
    ):
        assert "The attribute 'repo' of the interceptor" in refused(provider)


async def test_a_provider_may_set_an_attribute() -> None:
    """By `add_attributes`; by the constructor, with a value or with a provider."""
    attribute = providers.Factory(ByHeader)
    attribute.add_attributes(repo="given")
    ByHeader.found = Replaced.found

    for provider in (
        attribute,
        providers.Factory(Fields, "given"),
        providers.Factory(Fields, repo=providers.Object("given")),
    ):
        assert await asked(provider) == "given"


# -- constructors ------------------------------------------------------------------------------------------------------


class WithRepo(Layer):
    def __init__(self, *, repo: Again) -> None:
        self.repo = repo

    found = Replaced.found


class ByArgs(Layer):
    def __init__(self, repo: Repo) -> None: ...


class Forwards(WithRepo):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)


class ForwardsArgs(ByArgs):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)


class ForwardsFromFurther(Forwards):
    def __init__(self, *args: Any, level: int = 3, **options: Any) -> None:
        super().__init__(*args, **options)


class Cooperates:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class Mixes(Cooperates, WithRepo): ...


class HidesADefault(Fields):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


@pytest.mark.parametrize(
    ("cls", "taken", "hidden"),
    [
        (Forwards, "**options", WithRepo),
        (ForwardsArgs, "*args", ByArgs),
        (ForwardsFromFurther, "*args, **options", WithRepo),
        (Mixes, "*args, **kwargs", WithRepo),
    ],
)
def test_a_constructor_that_hides_what_its_base_needs_is_refused(cls: type, taken: str, hidden: Any) -> None:
    """Nothing shows that it is to be injected: the base would get nothing, or a default that is a marker."""
    assert refused(cls) == (
        f"The constructor of the interceptor {cls.__name__} ({place(cls)}) takes `{taken}`, which hides the parameter 'repo' "
        f"of {hidden.__init__.__qualname__} ({place(hidden.__init__)}): nothing would be injected. Write it in the "
        f"constructor of {cls.__name__}, too."
    )
    assert "hides the parameter 'repo' of" in refused(HidesADefault)


class Gives(WithRepo):
    def __init__(self) -> None:
        super().__init__(repo="given")


class TakesAnything(Gives):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__()


class ShowsIt(WithRepo):
    def __init__(self, repo: Repo, **kwargs: Any) -> None:
        super().__init__(repo=repo, **kwargs)


class OneOnly(type):
    """A metaclass that keeps one instance, as one finds it everywhere."""

    instances: ClassVar[dict[type, Any]] = {}

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls not in cls.instances:
            cls.instances[cls] = super().__call__(*args, **kwargs)
        return cls.instances[cls]


class ByMetaclass(WithRepo, metaclass=OneOnly): ...


class ByNew(ByArgs):
    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return super().__new__(cls)

    def __init__(self, repo: Repo) -> None:
        self.repo = repo


@pytest.mark.parametrize(
    ("cls", "expected"),
    [(TakesAnything, "given"), (ShowsIt, "repo"), (ByMetaclass, "repo"), (ByNew, "repo")],
    ids=lambda each: getattr(each, "__name__", None),
)
async def test_one_that_shows_it_or_gives_it_works(cls: type, expected: str) -> None:
    """Also where a metaclass or `__new__` takes anything: that is for `__init__`, which says what it is."""
    cls.found = Replaced.found

    assert await asked(cls) == expected


def test_new_and_init_that_do_not_agree_are_refused() -> None:
    """Python passes both the same arguments, so the class could never be built."""

    class New(ByArgs):
        def __new__(cls, other: Again) -> Any:
            return super().__new__(cls)

    class Init(ByArgs):
        def __new__(cls) -> Any:
            return super().__new__(cls)

    for cls in (New, Init):
        message = refused(cls)
        assert message.startswith(f"The interceptor {cls.__name__} ({place(cls)}) cannot be built: ")
        assert "give them the same parameters" in message


class PositionalOnly(Layer):
    def __init__(self, repo: Repo, /) -> None:
        self.values = repo


class AfterADefault(Layer):
    def __init__(self, cls: int = 3, repo: str = Provide["repo"], last: str = "last", /, *, name: Repo) -> None:
        self.values = [cls, repo, last, name]


class Pending(Layer):
    def __init__(self, repo: Annotated[str, Provide["slow"]], /, other: Repo, **values: Any) -> None:
        self.values = [repo, other, values]


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (PositionalOnly, "repo"),
        (AfterADefault, [3, "repo", "last", "repo"]),
        (Pending, ["repo", "repo", {}]),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
async def test_positional_only_parameters_are_injected(cls: type, expected: Any) -> None:
    """Those before them that have a default keep it; a value that is awaited is awaited."""
    cls.found = lambda self: self.values

    assert await asked(cls) == expected


def test_a_provider_has_to_give_what_the_constructor_needs() -> None:
    """Nothing is injected into what a provider makes: a missing argument, or a marker, is told at start-up."""

    class Mixed(Layer):
        def __init__(self, level: int, repo: Repo = Provide["repo"]) -> None: ...

    for provider, problem in (
        (providers.Factory(ByArgs), "missing a required argument: 'repo'"),
        (providers.Singleton(Mixed, 3), "its parameter 'repo' stays the marker Provide"),
        (providers.Factory(Mixed, 3, other=3), "got an unexpected keyword argument 'other'"),
    ):
        message = refused(provider)
        assert message.startswith(
            f"The provider of the interceptor {provider.provides.__name__} ({place(provider.provides)})"
        )
        assert problem in message


async def test_inject_gives_what_is_marked() -> None:
    """dependency-injector's own decorator, for a class that is made by a provider."""

    class Injected(Layer):
        @inject
        def __init__(self, repo: str = Provide["repo"]) -> None:
            self.repo = repo

        found = Replaced.found

    module = ModuleType("wired")
    module.Injected = Injected
    container = Container()
    container.wire(modules=[module])

    assert await asked(providers.Factory(Injected)) == "repo"
    container.unwire()


# -- abstract classes --------------------------------------------------------------------------------------------------


class Abstract(Layer, abc.ABC):
    @property
    @abc.abstractmethod
    def level(self) -> int: ...

    @abc.abstractmethod
    async def check(self) -> None: ...


class AbstractIntercept(abc.ABC):
    @abc.abstractmethod
    async def intercept(self, ctx: Any, next: Any) -> Any: ...


class Duck(Protocol):
    async def intercept(self, ctx: Any, next: Any) -> Any: ...


class Concrete(Abstract):
    level = 3

    async def check(self) -> None: ...


class OfADuck(Duck):
    async def intercept(self, ctx: Any, next: Any) -> Any:
        return "found"


@pytest.mark.parametrize(
    ("layer", "cls", "problem"),
    [
        (Abstract, Abstract, "is abstract: nothing implements 'check', 'level'"),
        (AbstractIntercept, AbstractIntercept, "is abstract: nothing implements 'intercept'"),
        (Duck, Duck, "is a Protocol, which has no instances"),
        (compose(Abstract), Abstract, "is abstract"),
        (providers.Factory(Abstract), Abstract, "is abstract"),
        (providers.ThreadSafeSingleton(Duck), Duck, "is a Protocol"),
    ],
)
def test_an_abstract_interceptor_is_refused(layer: Any, cls: type, problem: str) -> None:
    """It could not be built when its turn comes; nor could a provider build it."""
    message = refused(layer, InvalidInterceptorError)

    assert message.startswith(f"The interceptor {cls.__name__} ({place(cls)}) {problem}")
    assert message.endswith("Implement it in a subclass and use that, or give an instance or a provider.")


async def test_what_can_be_built_of_an_abstract_class_works() -> None:
    """A subclass, an instance of one, a provider that is overridden."""
    overridden = providers.AbstractFactory(Abstract)
    overridden.override(providers.Factory(Concrete))
    replaced = providers.Factory(Abstract)
    replaced.override(providers.Factory(Concrete))

    def make() -> Any:
        return Concrete()

    made = (providers.Callable(Concrete), providers.Factory(make))
    for layer in (Concrete, Concrete(), overridden, replaced, *made, OfADuck):
        assert await asked(layer) == "found"


def test_an_abstract_provider_may_be_overridden_later() -> None:
    """That is what it is for; until then it says itself that it is not."""
    registry = InterceptorRegistry()
    registry.add_global(providers.AbstractFactory(Abstract))
    registry.validate()
