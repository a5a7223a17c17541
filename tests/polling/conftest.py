"""The sandbox, for the tests of polling on a real event loop."""

from tests.support.sandbox import _quick, connect, kind, process, server  # noqa: F401 - fixtures
