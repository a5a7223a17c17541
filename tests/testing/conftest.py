"""The kit's own fixture, as its users have it."""

from airflow_provider_meetings.testing.fixtures import _meetings_sandbox_server, meetings_sandbox

__all__ = ["_meetings_sandbox_server", "meetings_sandbox"]
