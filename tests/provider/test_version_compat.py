"""What differs between the Airflow versions."""

import asyncio

import pytest
from airflow.providers.common.compat.sdk import BaseHook

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
