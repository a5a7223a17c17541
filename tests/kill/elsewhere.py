"""The matrix on an older Airflow: in an environment of its own, with the package installed from the wheel."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.compatibility.environment import Environment, build_wheel, run
from tests.compatibility.plan import ROOT, Version
from tests.kill.report import Result
from tests.release.tools import UV, uv_environment

_CACHE = ROOT / ".cache" / "kill"
_GRACE_SECONDS = 90
# What PostgreSQL is spoken to with, in the newest Airflow's versions.
_DRIVERS = ("asyncpg", "psycopg2-binary")


class _Version(Version):
    """A version whose environment lies apart from the compatibility matrix's, which may be in the making."""

    @property
    def folder(self) -> Path:
        return _CACHE / self.name


def run_elsewhere(name: str, arguments: Sequence[str]) -> tuple[int, list[Result]]:
    """Install an Airflow and run the matrix on it.

    Args:
        name: Its minor version.
        arguments: Of the command line there.

    Returns:
        The status, and what the run says in the docs: nothing if it was a part only, or did not pass.
    """
    environment = Environment(_Version(name))
    installed = environment.make(build_wheel(_CACHE))
    print(f"Airflow {installed} is installed in {environment.folder}", flush=True)
    _install_drivers(environment)
    told = environment.folder / "result.json"
    told.unlink(missing_ok=True)  # an earlier run's
    command = [environment.python, "-W", "ignore", "-m", "tests.kill", "--result", told, *arguments]
    process = subprocess.Popen([str(part) for part in command], cwd=environment.tree, env=environment._environment())
    try:
        status = process.wait()
    except BaseException:
        process.terminate()  # it stops what it has started
        process.wait(_GRACE_SECONDS)
        raise
    documents = json.loads(told.read_text(encoding="utf-8")) if told.exists() else []
    return status, [Result(**document) for document in documents]


def _install_drivers(environment: Environment) -> None:
    command = [
        *(UV, "pip", "install", "--quiet", "--system-certs", "--python", environment.python),
        *("--constraint", ROOT / "constraints.txt", "--no-deps", *_DRIVERS),
    ]
    log = environment.folder / "drivers.log"
    run(command, log=log, cwd=environment.folder, env=uv_environment(), seconds=300)
