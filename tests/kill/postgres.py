"""A PostgreSQL of one's own: on SQLite the tasks of many cells at once would wait for each other's locks too long."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from demo.processes import Processes, free_port

# The two drivers that Airflow needs for it; they go beside the virtual environment, not into it.
_DRIVERS = ("psycopg2-binary==2.9.13", "asyncpg==0.32.0")
_DRIVER_FOLDER = Path(__file__).parents[2] / ".cache" / "postgres-drivers"
_START_SECONDS = 60


def start_postgres(processes: Processes, folder: Path) -> dict[str, str]:
    """Start a server with its data in the folder; return what Airflow has to have in its environment."""
    programs = _programs()
    data, port = folder / "postgres", free_port()
    folder.chmod(0o711)  # the server does not run as root, but has to come through here
    data.mkdir()
    as_user: list[str] = []
    if os.getuid() == 0:
        shutil.chown(data, "postgres", "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    init = [*as_user, str(programs / "initdb"), "-D", str(data), "-U", "airflow", "-A", "trust", "-E", "UTF8"]
    done = subprocess.run([*init, "--no-sync", "--locale=C"], capture_output=True, text=True, cwd="/", check=False)
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stdout}{done.stderr}")
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(data),
        "fsync": "off",
        "max_connections": 200,
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    server = [*as_user, str(programs / "postgres"), "-D", str(data), "-p", str(port), *options]
    processes.start("postgres", server, {"PATH": os.environ["PATH"], "LANG": "C"})
    deadline = time.monotonic() + _START_SECONDS
    asked = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(asked, check=False).returncode:
        processes.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"PostgreSQL was not ready after {_START_SECONDS} s.")
        time.sleep(0.1)
    address = f"airflow@127.0.0.1:{port}/postgres"
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{address}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+asyncpg://{address}",
        "PYTHONPATH": os.pathsep.join(filter(None, (_drivers(), os.environ.get("PYTHONPATH")))),
    }


def _programs() -> Path:
    """Where Debian has PostgreSQL's programs; they are installed if need be."""
    for attempt in (1, 2):
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if found:
            return found[-1].parent
        if attempt == 1 and os.getuid() == 0 and shutil.which("apt-get"):
            print("Installing the system package postgresql", flush=True)
            # Without this Debian would make and start a cluster of its own.
            config = Path("/etc/postgresql-common/createcluster.conf")
            config.parent.mkdir(exist_ok=True)
            if not config.exists():
                config.write_text("create_main_cluster = false\n")
            env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", "update", "-qq"], env=env, check=True)  # noqa: S607 - the one in the path
            options = ["-o", "Dpkg::Options::=--force-confold"]
            subprocess.run(["apt-get", "install", "-qq", "-y", *options, "postgresql"], env=env, check=True)  # noqa: S607
    raise RuntimeError("PostgreSQL is needed for this: install Debian's package postgresql.")


def _drivers() -> str:
    if not (_DRIVER_FOLDER / "asyncpg").exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(_DRIVER_FOLDER), *_DRIVERS], check=True)
    return str(_DRIVER_FOLDER)
