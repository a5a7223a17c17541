"""No secret is left anywhere by a run of everything: not in a log, a table, a file, a number or a trigger."""

import time

import pytest

from tests.security.canaries import PLANTED, secrets
from tests.security.leaks import Search
from tests.system.conftest import WRONG_KEY

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]

DAG_ID = "secretive"
#: The sandbox prints its keys on purpose: they open nothing else.
THE_SANDBOXS = ("sandbox.log", "sandbox.json")
WAITING = ("wait_hiringcenter_default", "wait_builderprime_narrow_keys", "wait_hiringcenter_proxied")
STATES = (
    dict.fromkeys(WAITING, "deferred")
    | dict.fromkeys(("book", "move", "show", "cancel", "careless", "sync"), "success")
    | {"sync_asks": "awaiting_input", "sync_odd_key": "failed"}
    | {f"list_{name}_odd_key": "failed" for name in ("hiringcenter", "builderprime")}
    | dict.fromkeys(
        ("list_hiringcenter_proxied", "list_hiringcenter_login_in_host", "wait_hiringcenter_odd_key"), "failed"
    )
)


@pytest.fixture(scope="module")
def ran(system, examples, failures):  # noqa: ARG001 - what they leave behind is searched too
    """The system after the examples, the failures, and a DAG of which only the tasks that wait have not ended."""
    system.api.wait_for_dags([DAG_ID])
    system.api.unpause(DAG_ID)
    system.runs[DAG_ID] = system.api.trigger(DAG_ID)
    system.api.wait_for_states(DAG_ID, system.runs[DAG_ID], STATES, seconds=600)
    _wait_until_the_triggers_ask(system, time.monotonic() + 600)
    return system


def _wait_until_the_triggers_ask(system, deadline):
    """Every other task has ended: what the vendors are asked from now on, with their keys, the triggers ask."""
    before = system.sandbox.journal()[-1]["id"]
    while {"main", "read"} - {row["keyName"] for row in system.sandbox.journal(since=before)}:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def _found(system, wanted):
    """Every place that has one of the secrets, named without it."""
    search = Search(wanted, fernet_key=system.home.env["AIRFLOW__CORE__FERNET_KEY"])
    found = {*search.files(system.folder, without=THE_SANDBOXS), *search.database(system.folder / "airflow.db")}
    return found | {leak for line in system.statsd._lines for leak in search.data("statsd", line.encode())}


def test_no_secret_is_anywhere(ran):
    """Keys, right or wrong, and the passwords of a proxy and in a host, are in no file, table, trigger or number."""
    assert [] == sorted(_found(ran, secrets(ran.ready) | {"WRONG_KEY": WRONG_KEY}))


def test_the_search_looks_where_secrets_would_be(ran):
    """What a careless task prints, returns and is given, a trigger waits for, a plan says: the same search finds it."""
    # what was written last is in the database's write-ahead log
    places = {leak.place.partition("/")[0].removesuffix("-wal") for leak in _found(ran, {"it": PLANTED})}

    assert {
        "airflow.db",
        "logs",
        "xcom.value",
        "rendered_task_instance_fields.rendered_fields",
        "trigger.kwargs (opened)",
        "serialized_dag.data",
        "sets",
        "hitl_detail.body",
    } <= places
