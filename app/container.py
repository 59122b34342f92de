"""What the shop is made of. Interceptors and controllers ask for it by these names."""

from dependency_injector import containers, providers
from pwdlib import PasswordHash
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.broker import create_broker
from app.cache import AnswerCache
from app.connectors.statements import hook_statements
from app.connectors.supplier import Supplier
from app.database import create_engine
from app.dispatcher import build_events, create_outbox
from app.interceptors.caching import CachingInterceptor
from app.mailbox import Mailbox
from app.passwords import Passwords
from app.remote_hooks import hooks
from app.repositories.accounts import AccountRepository
from app.repositories.books import BookRepository
from app.repositories.orders import OrderRepository
from app.resources import build_resources
from app.security import Authenticator
from app.services.stock import StockService
from app.settings import Settings
from interceptors import InterceptorRegistry

# Outermost first.
GROUPS = ("request", "log", "errors", "auth", "remoting")


def build_registry(container: containers.Container, authenticate: Authenticator) -> InterceptorRegistry:
    """Make the registry, with the global interceptors of `app.interceptors`."""
    registry = InterceptorRegistry(container, ordered_groups=GROUPS, current_user=authenticate)
    registry.discover("app.interceptors")
    registry.add_global(hooks, group="remoting", source="route")
    return registry


def audited(registry: InterceptorRegistry, service: StockService) -> StockService:
    """Put the interceptors that the service's class declares around it."""
    return registry.intercepted(service)


class Aspects(containers.DeclarativeContainer):
    """Interceptors that are bound by key: `"aspects.caching"`."""

    answers = providers.Dependency(instance_of=AnswerCache)
    caching = providers.Singleton(CachingInterceptor, answers)


class Container(containers.DeclarativeContainer):
    """The shop's container. `session` is missing on purpose: `Transaction` binds it for one call."""

    __self__: "providers.Self[Container]" = providers.Self()

    settings = providers.Singleton(Settings.from_environment)
    engine = providers.Singleton(create_engine, settings.provided.database_url)
    # Whether anybody is there must be known under load, too: it is not asked for in the queue at the pool.
    health_engine = providers.Singleton(create_engine, settings.provided.database_url)
    statements = providers.Singleton(hook_statements, engine, settings.provided.slow_query_seconds)
    supplier = providers.Singleton(Supplier, settings.provided.supplier_url)
    sessions = providers.Singleton(async_sessionmaker[AsyncSession], engine, expire_on_commit=False)

    books = providers.Singleton(BookRepository, sessions)
    orders = providers.Singleton(OrderRepository, sessions)
    accounts = providers.Singleton(AccountRepository, sessions)

    password_hash = providers.Singleton(PasswordHash.recommended)
    passwords = providers.Singleton(Passwords, password_hash)
    mailbox = providers.Singleton(Mailbox, settings.provided.mailbox)

    answers = providers.Singleton(AnswerCache)
    aspects = providers.Container(Aspects, answers=answers)

    authenticate = providers.Singleton(Authenticator, accounts)
    registry = providers.Singleton(build_registry, __self__, authenticate)
    stock = providers.Singleton(audited, registry, providers.Singleton(StockService))

    broker = providers.Singleton(create_broker, settings)
    outbox = providers.Singleton(create_outbox, sessions)
    events = providers.Singleton(build_events, registry, outbox, broker, settings)
    resources = providers.Singleton(build_resources, registry, sessions, events)
