"""The pytest fixtures; the package has them under its own name for `pytest_plugins`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_meetings.testing.kit import MeetingsSandbox, run_sandbox

__all__ = ["meetings_sandbox"]


@pytest.fixture(scope="session")
def _meetings_sandbox_server() -> Iterator[MeetingsSandbox]:
    """Run one sandbox for all tests; its connections are each test's own."""
    with run_sandbox(conn_ids={}) as sandbox:
        yield sandbox


@pytest.fixture
def meetings_sandbox(_meetings_sandbox_server: MeetingsSandbox) -> Iterator[MeetingsSandbox]:
    """A local server of both vendors' APIs, empty, with the two default connections pointing to it."""
    _meetings_sandbox_server.reset()
    with _meetings_sandbox_server.connected() as sandbox:
        yield sandbox
