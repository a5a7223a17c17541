"""A run of a partition that the scheduler of a real Airflow makes: the window, and the partition of an outlet."""

import pendulum
import pytest

from demo.run import start_runs
from tests.system.conftest import RUN_SECONDS

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def partition(system):
    """Its run."""
    dag_id = "partitioned"
    run_id = start_runs(system.home, system.api, [dag_id])[dag_id]
    assert system.api.wait_for_run(dag_id, run_id, seconds=RUN_SECONDS) == "success"
    return system.api.run(dag_id, run_id)


def test_the_window_is_the_partitions_day(system, partition):
    """A meeting is made at its beginning, and found by the sensor, the list and the look for changes."""
    run_id, start = partition["dag_run_id"], pendulum.parse(partition["partition_date"]).int_timestamp * 1000
    made = system.xcom("partitioned", "make", run_id)
    assert (1, 0, 0) == (made["created"], made["updated"], made["deleted"])
    for task_id in ("wait", "list"):
        found = system.xcom("partitioned", task_id, run_id)
        assert [(made["ids"]["created"][0], start)] == [(row["id"], row["meetingDate"]) for row in found]
    (event,) = system.xcom("partitioned", "changes", run_id)
    assert (made["ids"]["created"][0], start) == (event["id"], event["after"]["meetingDate"])


def test_the_outlet_gets_the_runs_partition(system, partition):
    """The asset's event carries the run's key."""
    query = {"source_dag_id": "partitioned", "source_run_id": partition["dag_run_id"]}
    events = system.api._call("GET", "/assets/events", params=query)["asset_events"]
    assert [partition["partition_key"]] == [event["partition_key"] for event in events]
    assert partition["partition_key"]
