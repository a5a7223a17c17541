"""What `make dist` and `make test-lowest` share: running commands, and uv as this machine's pip is set up."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
CACHE = ROOT / ".cache" / "dist"


def run(command: Sequence[object], *, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Run a command and return what it printed on both channels; what goes wrong ends the program with it."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(str(part) for part in command)}\nended with status {done.returncode}:\n{done.stdout}")
    return done.stdout


def uv_environment(**more: str) -> dict[str, str]:
    """Return an environment for uv, which is not told what pip is: it is handed over, as .ci/venv does."""
    env = dict(os.environ)
    for name, setting, own in (
        ("PIP_INDEX_URL", "global.index-url", "UV_DEFAULT_INDEX"),
        ("PIP_CERT", "global.cert", "SSL_CERT_FILE"),
    ):
        command = [sys.executable, "-m", "pip", "config", "get", setting]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        value = os.environ.get(name) or told.stdout.strip()
        if value:
            env.setdefault(own, value)
    return env | more


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """Return the caller's environment without its Airflow and its Python, and with an Airflow home."""
    foreign = ("AIRFLOW_", "_AIRFLOW_", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    airflow = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return kept | airflow | more


def fresh_folder(name: str) -> Path:
    """Return an empty folder of the cache."""
    folder = CACHE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def make_venv(folder: Path, *requirements: object) -> Path:
    """Make a virtual environment of this Python with these requirements, and return its interpreter."""
    env = uv_environment()
    run([UV, "venv", "--quiet", "--no-project", "--python", sys.executable, folder], env=env)
    python = folder / "bin" / "python"
    run([UV, "pip", "install", "--quiet", "--system-certs", "--python", python, *requirements], env=env)
    return python


def build(out: Path, source: Path, *, epoch: str) -> None:
    """Build the sdist and, from it, the wheel."""
    constraints = ROOT / "constraints.txt"
    command = [UV, "build", "--quiet", "--system-certs", "--build-constraints", constraints, "--out-dir", out, source]
    run(command, env=uv_environment(SOURCE_DATE_EPOCH=epoch))
