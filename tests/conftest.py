"""What every test may use: an Airflow home that is nobody's, and the sandbox as a process."""

import atexit
import os
import shutil
import tempfile

import pytest

# Importing Airflow creates files in its home: set before any test module does, so that nobody's own home is touched.
_HOME = tempfile.mkdtemp(prefix="meetings-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith(("AIRFLOW_", "_AIRFLOW_"))]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = _HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] = "False"

from demo.processes import Processes  # noqa: E402
from demo.sandbox import start_sandbox  # noqa: E402


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory):
    """The ready file of a sandbox with its control API, stopped when the tests are over."""
    folder = tmp_path_factory.mktemp("sandbox")
    processes = Processes(folder)
    try:
        yield start_sandbox(processes, folder, control=True)
    finally:
        processes.stop()
