"""The sandbox, for the hooks."""

from tests.support.sandbox import _quick, connect, kind, process, server  # noqa: F401 - fixtures
