"""The fixtures of this folder; see meetings_support.py."""

from meetings_support import _quick, connect, kind, process, server

__all__ = ["_quick", "connect", "kind", "process", "server"]
