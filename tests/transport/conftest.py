"""The sandbox, for the transports."""

from tests.support.sandbox import _quick, connect, kind, process, server

__all__ = ["_quick", "connect", "kind", "process", "server"]
