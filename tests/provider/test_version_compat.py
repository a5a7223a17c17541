"""What differs between the Airflow versions."""

import asyncio
import functools

import pytest
from airflow.providers.common.compat.sdk import BaseHook, BaseSensorOperator

from airflow_provider_meetings.operators.base import MeetingsOperator
from airflow_provider_meetings.operators.meetings import SyncMeetingsOperator
from airflow_provider_meetings.sensors.meetings import MeetingsSensor
from airflow_provider_meetings.version_compat import with_secrets


def _is_on_a_loop(conn):
    """Whether a call that blocks, such as Airflow 3.0's ones about secrets, would be an error here."""
    assert conn == "connection"
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize("is_there", [True, False])
def test_secrets_are_read_where_airflow_can_be_told(monkeypatch, is_there):
    """A connection is read on the event loop, but in a thread where Airflow's own calls may not be made on it."""
    if is_there:
        monkeypatch.setattr(BaseHook, "aget_connection", None, raising=False)
    else:
        monkeypatch.delattr(BaseHook, "aget_connection", raising=False)

    assert is_there == asyncio.run(with_secrets(_is_on_a_loop, "connection"))


@pytest.mark.parametrize("name", ["sync", "sensor"])
def test_no_operator_executes_its_base_through_airflows_guard(name, monkeypatch):
    """Airflow 2 warns of a call of a base class's guarded execute, or refuses it (`allow_nested_operators`)."""

    class WorkedError(Exception):
        """The operator's own work has begun."""

    def work(*_):
        raise WorkedError

    def guard(execute):
        @functools.wraps(execute)
        def refuse(*_, **__):
            raise AssertionError("called through the guard")

        return refuse

    operator = (
        SyncMeetingsOperator(task_id="sync", meetings=[], match_on=["prospectId"], meetings_conn_id="meetings")
        if name == "sync"
        else MeetingsSensor(
            task_id="wait", deferrable=False, poke_interval=0.01, timeout=1, meetings_conn_id="meetings"
        )
    )
    base = MeetingsOperator if name == "sync" else BaseSensorOperator
    monkeypatch.setattr(base, "execute", guard(base.execute))
    monkeypatch.setattr(type(operator), "_hook" if name == "sync" else "poke", work)
    with pytest.raises(WorkedError):
        operator.execute({"ti": None})
