"""What is tried on which Airflow: the versions, and what a version cannot do."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONSTRAINTS = Path(__file__).parent / "constraints"
#: Where the environments are made; everything in it can be made again.
CACHE = ROOT / ".cache" / "matrix"

#: The folders of tests that hold on every version. The others are about the newest one (`provider`, `system`, `kill`,
#: `benchmarks`), or about no Airflow at all (`core`, `vendors`, `contract`, `sandbox`, `docs`).
TESTS = (
    *("connection", "transport", "hooks", "exactly_once"),
    *("operators", "observability", "sensors", "polling", "sets", "ui"),
)
#: Later than each version.
NONE = (99,)
#: Tests that drive what only newer versions have inside, and what that is.
NEWER_TESTS = {
    "exactly_once/test_histories.py": (NONE, "no Airflow"),
    "exactly_once/test_overlapping_runs.py": (NONE, "no Airflow"),
    "ui": ((3, 1), "the pages that Airflow's UI shows from 3.1 on"),
    "observability/test_traces.py": ((3, 0), "the outlet events of a task of Airflow 3"),
    "observability/test_set_outcome.py": ((3, 0), "the outlet events of a task of Airflow 3"),
    "operators/test_on_doubt.py": ((3, 3), "a task that asks, in the task runner of Airflow 3.3"),
    "operators/test_partitions.py": ((3, 2), "runs of a partition"),
    "operators/test_retry_policy.py": ((3, 3), "the retry policies of Airflow 3.3"),
    "polling/test_loop.py": ((3, 3), "how long a turn of the loop takes, which also counts Airflow's look-ups"),
    "sensors/test_parity.py": ((3, 3), "the task runner of Airflow 3.3"),
    "sensors/test_vendor_wait.py": ((3, 3), "the task runner of Airflow 3.3"),
    "sensors/test_starting.py": ((3, 3), "how Airflow 3.3 stores a task that starts in the triggerer"),
    "sets/test_approval.py": ((3, 3), "a task that asks, in the task runner of Airflow 3.3"),
    "sets/test_asking.py": ((3, 3), "a task that asks, in the task runner of Airflow 3.3"),
    "sets/test_formats.py": (NONE, "DuckDB, which is not installed here: `make test` runs it"),
    "sets/test_object_stores.py": (NONE, "an S3 server, which is not installed here: `make test` runs it"),
    "sets/test_set_histories.py": (NONE, "no Airflow"),
    "sets/test_set_overlapping_runs.py": (NONE, "no Airflow"),
    "sets/test_set_secrets.py": ((3, 3), "a task that asks, in the task runner of Airflow 3.3"),
}
#: What the tests need besides the package with its sandbox.
TOOLS = ("pytest", "pytest-asyncio", "pytest-timeout", "hypothesis", "requests-mock", "jsonschema")
#: Example DAGs that need more than the oldest version, and why.
NEEDS = {"meetings_watch": ((3, 0), "assets that a trigger watches")}
#: From here on what is changed while no triggerer runs is told by the next one, out of the asset's state store.
KEEPS_WATCHES = (3, 3)
#: What a reader of an example has to leave out for an older version: the DAG, the version that has it, the text.
LEFT_OUT = {"builderprime_site_visits": ((3, 0), ", run_immediately=True")}


@dataclass(frozen=True)
class Version:
    """A minor version of Airflow."""

    name: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version as numbers."""
        return tuple(int(part) for part in self.name.split("."))

    @property
    def constraints(self) -> Path:
        """The exact versions that are installed; the newest Airflow is the one that everything else is tested with."""
        own = CONSTRAINTS / f"{self.name}.txt"
        return own if own.exists() else ROOT / "constraints.txt"

    @property
    def folder(self) -> Path:
        """Its environment, and its copy of the tests."""
        return CACHE / self.name

    def beyond(self, dag_id: str) -> str:
        """Why this version cannot run an example DAG; empty: it can."""
        least, what = NEEDS.get(dag_id, ((0,), ""))
        return "" if self.numbers >= least else f"{what} are there from {'.'.join(map(str, least))} on"

    def tests_beyond(self) -> dict[str, str]:
        """The test files that this version cannot run, and what they drive."""
        return {path: what for path, (least, what) in NEWER_TESTS.items() if self.numbers < least}

    def leaves_out(self, dag_id: str) -> str:
        """The text that an example must not have on this version; empty: it runs as it is."""
        least, text = LEFT_OUT.get(dag_id, ((0,), ""))
        return "" if self.numbers >= least else text


VERSIONS = tuple(Version(name) for name in ("2.11", "3.0", "3.1", "3.2", "3.3"))
