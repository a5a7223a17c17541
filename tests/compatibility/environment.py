"""An environment for one Airflow: the exact versions, the wheel, and the tests without the package beside them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.compatibility.plan import CACHE, ROOT, TOOLS, Version
from tests.release.tools import UV, clean_environment, uv_environment

# What a test may look at. The package is not among it: what is tested is what was installed.
_COPIED = ("demo", "docs", "example_dags", "tests", "README.md", "pyproject.toml")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", "matrix.log")


class StepFailedError(RuntimeError):
    """A command did not end well; the message has the end of what it printed."""


def run(command: Sequence[object], *, log: Path, cwd: Path, env: dict[str, str], seconds: float) -> str:
    """Run a command, keep what it prints in the log, and return it.

    Raises:
        StepFailedError: It ended with another status than 0, or not within the seconds.
    """
    with log.open("w+", encoding="utf-8") as file:
        try:
            done = subprocess.run(
                [str(part) for part in command],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            )
            ended = f"status {done.returncode}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            ended = f"no end after {seconds:.0f} s"
        file.seek(0)
        printed = file.read()
    if ended:
        raise StepFailedError(f"{ended}; see {log}\n{printed[-4000:]}")
    return printed


def build_wheel(cache: Path = CACHE) -> Path:
    """Build the wheel in a folder below and return its path."""
    folder = cache / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [UV, "build", "--quiet", "--wheel", "--build-constraints", "constraints.txt", "--out-dir", folder, "."]
    run(command, log=cache / "build.log", cwd=ROOT, env=uv_environment(), seconds=300)
    (wheel,) = folder.glob("*.whl")
    return wheel


class Environment:
    """The environment of one version."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self.folder = version.folder
        self.python = self.folder / "venv" / "bin" / "python"
        self.tree = self.folder / "tree"
        self.home = self.folder / "home"

    def make(self, wheel: Path) -> str:
        """Make it anew; return which Airflow it has."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.home.mkdir(parents=True)
        self._copy_tests()
        env = uv_environment()
        log = self.folder / "install.log"
        make = [UV, "venv", "--quiet", "--no-project", "--python", sys.executable, self.folder / "venv"]
        run(make, log=log, cwd=self.folder, env=env, seconds=120)
        install = [
            *(UV, "pip", "install", "--quiet", "--system-certs", "--python", self.python),
            *("--constraint", self.version.constraints),
            *("apache-airflow", f"airflow-provider-meetings[parquet,sandbox] @ {wheel.as_uri()}", *TOOLS),
        ]
        run(install, log=log, cwd=self.folder, env=env, seconds=900)
        run([UV, "pip", "check", "--python", self.python], log=log, cwd=self.folder, env=env, seconds=120)
        ask = "from importlib.metadata import version; print(version('apache-airflow'))"
        installed = self.call("version", "-c", ask, seconds=60).strip()
        if not installed.startswith(f"{self.version.name}."):
            raise StepFailedError(f"Airflow {installed} was installed for {self.version.name}")
        return installed

    def call(self, name: str, *arguments: object, seconds: float) -> str:
        """Run the environment's Python in the copy of the tests; return what it printed."""
        return run(
            [self.python, *arguments],
            log=self.folder / f"{name}.log",
            cwd=self.tree,
            env=self._environment(),
            seconds=seconds,
        )

    def _copy_tests(self) -> None:
        self.tree.mkdir()
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.tree / name, ignore=_LEFT_OUT)
            else:
                shutil.copy(source, self.tree / name)
        for path in (self.tree / "example_dags").glob("*.py"):
            if self.version.beyond(path.stem):
                path.unlink()
            elif taken := self.version.leaves_out(path.stem):
                text = path.read_text(encoding="utf-8")
                if taken not in text:
                    raise StepFailedError(f"{path.name} has no {taken!r} to leave out")
                path.write_text(text.replace(taken, ""), encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        """The caller's environment without its Airflow and its Python, and with an Airflow home of its own."""
        path = f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return clean_environment(self.home, PATH=path, NO_COLOR="1", COLUMNS="200")
