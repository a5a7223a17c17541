"""Test your own DAGs against the sandbox: no account, no mock, and nothing left behind.

With pytest, say so in the ``conftest.py`` at the top of your tests, and ask for the fixture::

    pytest_plugins = ["airflow_provider_meetings.testing"]


    def test_it_books_one(meetings_sandbox):
        book.execute({})  # an operator of yours; its connection is the sandbox
        assert len(meetings_sandbox.meetings("hiringcenter")) == 1

The fixture ``meetings_sandbox`` is a :class:`MeetingsSandbox`: a server of both APIs in a process of its own, on a free
port, with its own database. It starts once a run and begins each test empty, with both default connections set.
Without pytest, :func:`run_sandbox` is the same as a context manager. Both need the extra ``sandbox``.

Nothing is loaded into other people's test runs: there is no entry point, the line above is the whole installation.
PYTEST_DONT_REWRITE: there are no asserts in here.
"""

from airflow_provider_meetings.testing.kit import DEFAULT_CONN_IDS, MeetingsSandbox, Vendor, run_sandbox
from airflow_provider_meetings.testing.process import SandboxProcess

__all__ = ["DEFAULT_CONN_IDS", "MeetingsSandbox", "SandboxProcess", "Vendor", "run_sandbox"]

try:
    import pytest  # noqa: F401 - only whether it is there
except ImportError:
    pass
else:
    # pytest looks for fixtures in the module that `pytest_plugins` names
    from airflow_provider_meetings.testing.fixtures import (
        _meetings_sandbox_server,  # noqa: F401
        meetings_sandbox,  # noqa: F401
    )
