"""Operators and the sensor in runs of a partition, as their context is on Airflow 3.2 and newer."""

import datetime as dt
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.operators.meetings import (
    ListMeetingChangesOperator,
    ListMeetingsOperator,
    SyncMeetingsOperator,
)
from airflow_provider_meetings.sensors.meetings import MeetingsSensor
from tests.support.operators import CONN, START, context_of, run
from tests.support.sandbox import HOUR, NOON

PARTITION = {"data_interval_start": None, "data_interval_end": None, "partition_key": "noon", "partition_date": START}
LENGTHS = pytest.mark.parametrize("length", [dt.timedelta(hours=1), "{{ params.hours * 3600 }}"], ids=["span", "text"])


def starts(kind, meetings):
    """Return when meetings begin, earliest first."""
    return sorted(meeting[kind.date] for meeting in meetings)


@LENGTHS
def test_the_window_of_a_partition(server, kind, connect, tmp_path, length):
    """It begins at the partition's date and is half-open, for lists, changes and the sensor."""
    connect(kind)
    server.insert(kind, *(kind.row(NOON + offset) for offset in (-1, 0, HOUR - 1, HOUR)))
    values = PARTITION | {"params": {"hours": 1}}
    expected = [NOON, NOON + HOUR - 1]
    listing = ListMeetingsOperator(task_id="list", window_length=length, **CONN)
    assert expected == starts(kind, run(listing, **values))
    changes = ListMeetingChangesOperator(
        task_id="changes", window_length=length, snapshot=f"file://{tmp_path}/snapshot", **CONN
    )
    assert expected == starts(kind, [event["after"] for event in run(changes, **values)])
    sync = SyncMeetingsOperator(
        task_id="sync",
        window_length=length,
        meetings=[],
        match_on=[kind.date],
        delete_missing=True,
        max_deletes=9,
        mode="plan",
        **CONN,
    )
    assert 2 == run(sync, **values)["deleted"]
    sensor = MeetingsSensor(task_id="wait", window_length=length, min_count=2, **CONN)
    sensor.render_template_fields(context_of("wait") | values)
    assert expected == starts(kind, sensor.poke(context_of("wait") | values).xcom_value)


def test_no_partition_and_no_length(server, kind, connect):
    """Either one without the other is refused before anything is sent."""
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match="this run has none"):
        run(ListMeetingsOperator(task_id="list", window_length=3600, **CONN))
    with pytest.raises(MeetingsConfigurationError, match="give window_length"):
        run(ListMeetingsOperator(task_id="list", **CONN), **PARTITION)
    assert server.journal() == []


def test_an_outlet_gets_the_partition(kind, connect):
    """Where Airflow takes partitions with an event; an older one has the event alone."""
    connect(kind)
    asset = Asset(name="meetings", uri="meetings://meetings/")
    keys = []
    for event in (SimpleNamespace(extra={}, add_partitions=keys.extend), SimpleNamespace(extra={})):
        listing = ListMeetingsOperator(task_id="list", window_length=3600, outlets=[asset], **CONN)
        run(listing, **PARTITION, outlet_events={asset: event})
        assert event.extra["outcome"] == "listed"
    assert keys == ["noon"]
