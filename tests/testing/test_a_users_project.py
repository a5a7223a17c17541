"""The test kit as its users meet it: the project of docs/testing-your-dags.md, in a folder, run by pytest."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "testing-your-dags.md"


def _blocks():
    """The page's blocks of Python, by the file that their first line names."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return {block.splitlines()[0].removeprefix("# "): block for block in blocks}


def _pytest(folder, *arguments):
    """Runs pytest as a user does: in their folder, with an Airflow of their own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTEST_"))}
    env |= {
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # the plugins of our own tests are not theirs
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-W",
        "error::pytest.PytestWarning",
        *arguments,
    ]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False, timeout=250)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with the files of the page, and nothing else."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in _blocks().items():
        if name.endswith(".py"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")  # whose folder it is; the page's reader has one anyway
    return folder


def test_the_page_has_a_project():
    """The page shows a DAG, the one line of set-up and tests: all that the next tests lay out and run."""
    files = {name for name in _blocks() if name.endswith(".py")}

    assert {"dags/invite.py", "tests/conftest.py", "tests/test_invite.py", "tests/test_whole_dag.py"} <= files


def test_the_quick_tests_pass(project):
    """Operators, sensors and hooks of a user's project run against the sandbox, without a database or a warning."""
    done = _pytest(project, "tests/test_invite.py", "tests/test_calendar.py", "tests/test_trouble.py")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
    assert not (project / "home" / "airflow.db").exists()


def test_a_whole_dag_runs(project):
    """`dag.test()` runs a user's DAG to success, and the meeting with its rendered template is in the sandbox."""
    done = _pytest(project, "tests/test_whole_dag.py")

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "1 passed" in done.stdout


def test_a_wrong_dag_fails_its_test(project, tmp_path):
    """The user's test is a real one: without the meeting it fails, and shows what was found instead."""
    for name in ("dags/invite.py", "tests/conftest.py", "tests/test_invite.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((project / name).read_text().replace('"virtual",', '"phone",'))
    done = _pytest(tmp_path, "tests")

    assert done.returncode == 1
    assert "assert 'phone' == 'virtual'" in done.stdout


def test_the_block_without_pytest_runs(tmp_path):
    """The page's last block is a script that runs by itself."""
    (script,) = (block for name, block in _blocks().items() if not name.endswith(".py"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=env | {"AIRFLOW_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )

    assert done.returncode == 0, done.stderr
