"""The sandbox, for the tests of what a task leaves behind."""

from tests.support.sandbox import _quick, connect, kind, process, server  # noqa: F401 - fixtures
