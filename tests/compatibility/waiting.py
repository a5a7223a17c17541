"""Inside an environment of any Airflow: sensors wait in its triggerer until what they wait for is booked."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow import __version__

from airflow_provider_meetings.testing.kit import MeetingsSandbox
from demo.airflow_api import FINAL_STATES
from demo.airflow_home import AirflowHome
from demo.harness import Harness
from demo.processes import Processes
from demo.sandbox import start_sandbox

DAGS = Path(__file__).parent / "dags"
DAG = "matrix_waits"
_VENDORS = ("hiringcenter", "builderprime")
#: How often each vendor has to be asked in vain by the triggerer, which asks every five seconds.
_LOOKS = 2
_DAY = datetime(2097, 3, 4, 15, tzinfo=UTC)
_SECONDS = 300.0


def main() -> int:
    """Has them wait, books, and returns 0 if all went on."""
    with Harness("matrix") as harness:
        processes, clock = harness.processes, harness.clock
        sandbox, home = _start(harness.folder, processes)
        api = home.boot()
        api.wait_for_dags([DAG])
        api.unpause(DAG)
        run = api.trigger(DAG)

        def states() -> dict[str, str]:
            return {task["task_id"]: task["state"] for task in api.tasks(DAG, run)}

        def wait(what: str, condition: Callable[[], bool]) -> None:
            def holds() -> bool:
                if condition():
                    return True
                if api.run(DAG, run)["state"] in FINAL_STATES:
                    raise RuntimeError(f"Not so: {what}. {states()}")
                return False

            processes.wait(what, holds, _SECONDS)
            clock.say(what)

        wait("all are deferred", lambda: set(states().values()) == {"deferred"})
        known = max(row["id"] for row in sandbox.journal())
        wait(
            "the triggerer asks both vendors",
            lambda: all(len(sandbox.journal(vendor=vendor, since=known)) >= _LOOKS for vendor in _VENDORS),
        )
        if set(states().values()) != {"deferred"}:
            raise RuntimeError(f"Somebody does not wait for what is not there: {states()}")
        start = int(_DAY.timestamp() * 1000)
        sandbox.insert("hiringcenter", {"notes": "waited for", "meetingDate": start})
        end = start + timedelta(hours=1) // timedelta(milliseconds=1)
        sandbox.insert("builderprime", {"title": "waited for", "startDateTime": start, "endDateTime": end})
        state = api.wait_for_run(DAG, run, seconds=_SECONDS, while_waiting=processes.check)
        clock.say(f"the run ended: {state}")
        tries = {task["try_number"] for task in api.tasks(DAG, run)}
        harness.succeeded = state == "success" and tries == {1}
    if not harness.succeeded:
        print(f"WRONG  the run: {state}; tries: {tries}")
        return 1
    print("went on when their meetings were booked")
    return 0


def _start(folder: Path, processes: Processes) -> tuple[MeetingsSandbox, AirflowHome]:
    ready = start_sandbox(processes, folder, control=True)
    sandbox = MeetingsSandbox(ready)
    if not __version__.startswith("2."):
        return sandbox, AirflowHome(folder, processes, dag_folders=[DAGS], connections=ready["connections"])
    from tests.compatibility.airflow2 import Airflow2Home  # noqa: PLC0415 - another API, another webserver

    home = Airflow2Home(folder, processes, ready["connections"])
    home.env["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
    return sandbox, home


if __name__ == "__main__":
    sys.exit(main())
