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
    with Processes(folder) as processes:
        yield start_sandbox(processes, folder, control=True)


#: The suites of which tests share an Airflow, a mock or a sandbox, with what takes longest in front. When `make test`
#: spreads the tests over processes, the whole suite stays in one (True), or each of its files (False).
_TOGETHER = {
    "tests/system/": True,
    "tests/docs/": False,
    "tests/contract/": True,
    "tests/ui/": True,
    "tests/sandbox/": False,
}


def _group(nodeid):
    """Return how early a test is run, and the name of what runs in the same process."""
    for rank, (suite, whole) in enumerate(_TOGETHER.items()):
        if nodeid.startswith(suite):
            return rank, suite if whole else nodeid.partition("::")[0]
    return len(_TOGETHER), nodeid


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Begin with the groups when the tests are spread over processes."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _group(item.nodeid)[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep each group in one process (the marker xdist_group does so no more with pytest 9.2)."""
    # Not installed where the tests run with older versions.
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return _group(nodeid)[1]

    config.option.loadscopereorder = False
    return Scheduling(config, log)
