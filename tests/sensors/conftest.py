"""The sandbox, for the sensors."""

from tests.support.sandbox import _quick, connect, kind, process, server  # noqa: F401 - fixtures
