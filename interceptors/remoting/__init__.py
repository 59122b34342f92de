"""LoopBack 3's remoting hooks, for people who come from there."""

from interceptors.remoting.context import RemotingContext
from interceptors.remoting.methods import RemoteMethod, remote_method
from interceptors.remoting.remote_hooks import RemoteHooks

__all__ = ["RemoteHooks", "RemoteMethod", "RemotingContext", "remote_method"]
