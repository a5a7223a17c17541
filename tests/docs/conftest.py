"""What the blocks of the documentation run against: the sandbox with some meetings, and an Airflow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_meetings.testing import run_sandbox

_CANDIDATE = "c1a7e9d34b8f4c2aa6d15e0f7b3c9d42"
_RECRUITER = "b2e7a1d94c3f4a8eb6d05c1f9a7e2d45"
#: 11 January 2027, 9:00 in New York; the pages' meetings are on that day and the next.
_MORNING = 1_799_676_000_000
_DAY = 86_400_000


class Reader:
    """Somebody who follows the documentation: has the sandbox, both connections, and some meetings."""

    def __init__(self, sandbox) -> None:
        self.sandbox = sandbox
        self._page = ""

    def start(self) -> None:
        """Make everything as a reader finds it."""
        self.sandbox.reset()
        who = {"prospectId": _CANDIDATE, "ownerId": _RECRUITER, "timeZone": "America/New_York"}
        self.sandbox.insert(
            "hiringcenter",
            who | {"meetingDate": _MORNING, "meetingType": "virtual"},
            who | {"meetingDate": _MORNING + _DAY, "meetingType": "phone"},
        )
        self.sandbox.insert("builderprime", {"startDateTime": _MORNING, "opportunityId": 102988, "title": "Site visit"})
        self._page = ""

    def turn_to(self, page: str) -> None:
        """Start anew with each page."""
        if page != self._page:
            self.start()
            self._page = page


@pytest.fixture(scope="session")
def reader():
    """A reader with an empty machine but for the sandbox."""
    with run_sandbox() as sandbox:
        yield Reader(sandbox)


class Dags:
    """Runs DAG files in an Airflow of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._dags = folder / "dags"
        self._dags.mkdir()
        self._log = folder / "airflow.log"
        env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")}
        env |= {
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self._dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW_VAR_MEETINGS_FOLDER": f"file://{folder}/meetings",
        }
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("dag_runner.py"))],
                env=env,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def run(self, name: str, text: str) -> dict:
        """Run the DAGs of a file; returns each one's state and its tasks'."""
        path = self._dags / f"{name}.py"
        path.write_text(text)
        begin = self._log.stat().st_size
        print(path, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        log = self._log.read_bytes()[begin:].decode(errors="replace")
        print(log[-20_000:])  # pytest shows it when the test fails
        assert answer, "the Airflow of these tests has ended"
        result = json.loads(answer)
        assert result["errors"] == {}
        return result["dags"]

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


@pytest.fixture(scope="session")
def dags(reader, tmp_path_factory):  # noqa: ARG001 - the connections have to be there before
    """An Airflow with a database."""
    runner = Dags(tmp_path_factory.mktemp("airflow"))
    yield runner
    runner.stop()
