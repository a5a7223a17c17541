"""A PostgreSQL of one's own: on SQLite many tasks at once would wait for each other's locks too long."""

import os
import shutil
import subprocess
from pathlib import Path

from demo.debian import programs
from demo.processes import Processes, free_port

_START_SECONDS = 60
_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")


def start_postgres(processes: Processes, folder: Path) -> dict[str, str]:
    """Start a server with its data in the folder; return what Airflow has to have in its environment."""
    binaries = _programs()
    data, port = folder / "postgres", free_port()
    folder.chmod(0o711)  # the server does not run as root, but has to come through here
    data.mkdir()
    as_user: list[str] = []
    if os.getuid() == 0:
        shutil.chown(data, "postgres", "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    init = [*as_user, str(binaries / "initdb"), "-D", str(data), "-U", "airflow", "-A", "trust", "-E", "UTF8"]
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
    server = [*as_user, str(binaries / "postgres"), "-D", str(data), "-p", str(port), *options]
    processes.start("postgres", server, {"PATH": os.environ["PATH"], "LANG": "C"})
    ask = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    processes.wait(
        "PostgreSQL answers", lambda: not subprocess.run(ask, check=False).returncode, _START_SECONDS, every=0.1
    )
    address = f"airflow@127.0.0.1:{port}/postgres"
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{address}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+asyncpg://{address}",
    }


def _programs() -> Path:
    """Where Debian has PostgreSQL's programs; they are installed if need be."""
    if os.getuid() == 0 and shutil.which("apt-get") and not _CLUSTER.exists():
        # Without this Debian's package would make a cluster of its own.
        _CLUSTER.parent.mkdir(exist_ok=True)
        _CLUSTER.write_text("create_main_cluster = false\n")
    return programs("/usr/lib/postgresql/*/bin/initdb", "postgresql").parent
