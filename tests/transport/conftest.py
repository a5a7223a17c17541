"""The sandbox, for the transports, and an address that is dead."""

import contextlib
import socket

import pytest

from tests.support.sandbox import _quick, connect, kind, process, server  # noqa: F401 - fixtures


@pytest.fixture
def dead():
    """An address that drops packets: a listener whose queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - socket's own signature
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()
