"""Interceptors: logic around a call, with its arguments, its result and its error in hand.

This is the core. FastAPI lives in `interceptors.fastapi`, helpers for tests in `interceptors.testing`.
"""

from interceptors.arguments import Arguments
from interceptors.bindings import InvocationBindings
from interceptors.candidates import Candidate, Explanation
from interceptors.chain import Chain, compose
from interceptors.context import InvocationContext, InvocationSource
from interceptors.decorators import annotate, global_interceptor, intercept, skip_interceptors
from interceptors.entry import Entry
from interceptors.errors import (
    AlreadyInstalledError,
    DuplicateKeyError,
    ForgottenReturnWarning,
    GroupOrderError,
    IncompatibleLibraryError,
    InjectionError,
    InterceptorError,
    InterceptorWarning,
    InvalidInterceptorError,
    InvalidTargetError,
    MissingLayerError,
    NothingDiscoveredWarning,
    OutsideInvocationError,
    TargetNotBuiltError,
    UnknownGroupWarning,
    UnknownKeyError,
    UnknownPackageError,
    UnknownRouteError,
    UnknownSourceWarning,
    UnreachedGlobalWarning,
    UnreachedInterceptorError,
    UnreachedRouteWarning,
    UserNotResolvedError,
    WrongCallError,
)
from interceptors.kinds import Interceptor, InterceptorFunction, InterceptorOrKey, Next
from interceptors.registry import InterceptorRegistry

__all__ = [
    "AlreadyInstalledError",
    "Arguments",
    "Candidate",
    "Chain",
    "DuplicateKeyError",
    "Entry",
    "Explanation",
    "ForgottenReturnWarning",
    "GroupOrderError",
    "IncompatibleLibraryError",
    "InjectionError",
    "Interceptor",
    "InterceptorError",
    "InterceptorFunction",
    "InterceptorOrKey",
    "InterceptorRegistry",
    "InterceptorWarning",
    "InvalidInterceptorError",
    "InvalidTargetError",
    "InvocationBindings",
    "InvocationContext",
    "InvocationSource",
    "MissingLayerError",
    "Next",
    "NothingDiscoveredWarning",
    "OutsideInvocationError",
    "TargetNotBuiltError",
    "UnknownGroupWarning",
    "UnknownKeyError",
    "UnknownPackageError",
    "UnknownRouteError",
    "UnknownSourceWarning",
    "UnreachedGlobalWarning",
    "UnreachedInterceptorError",
    "UnreachedRouteWarning",
    "UserNotResolvedError",
    "WrongCallError",
    "annotate",
    "compose",
    "global_interceptor",
    "intercept",
    "skip_interceptors",
]
