"""LoopBack 3's remoting hooks, for people who come from there."""

from interceptors.errors import (
    DoubleCompletionWarning,
    ForgottenNextError,
    HookError,
    IgnoredAssignmentWarning,
    InvalidArgumentError,
    InvalidHookError,
    InvalidPatternError,
    InvalidTargetError,
    WrongCallError,
)
from interceptors.remoting.context import RemotingContext
from interceptors.remoting.methods import RemoteMethod, remote_method
from interceptors.remoting.remote_hooks import RemoteHooks

__all__ = [
    "DoubleCompletionWarning",
    "ForgottenNextError",
    "HookError",
    "IgnoredAssignmentWarning",
    "InvalidArgumentError",
    "InvalidHookError",
    "InvalidPatternError",
    "InvalidTargetError",
    "RemoteHooks",
    "RemoteMethod",
    "RemotingContext",
    "WrongCallError",
    "remote_method",
]
