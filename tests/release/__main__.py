"""`make dist`: builds a release twice, compares and checks it, installs it into an empty environment and tries it."""

import hashlib
import shutil
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.release.contents import sdist_problems, version_problems, wheel_problems
from tests.release.tools import ROOT, build, clean_environment, fresh_folder, make_venv, run

_START = time.monotonic()


def main() -> int:
    """Do all of it; the release is in `dist` afterwards."""
    commit = run(["git", "rev-parse", "--short", "HEAD"]).strip()
    epoch = run(["git", "log", "-1", "--format=%ct"]).strip()
    if run(["git", "status", "--porcelain", "--untracked-files=no"]).strip():
        print("There are changes that are not committed: they are not in the release.")
    first, second = (_build_from_commit(name, epoch) for name in ("first", "second"))
    digests = {path.name: _digest(path) for path in sorted(first.iterdir())}
    if digests != {path.name: _digest(path) for path in sorted(second.iterdir())}:
        sys.exit("Two builds of one commit differ: the release is not reproducible.")
    _say(f"commit {commit}: built twice, equal byte by byte")

    (wheel,), (sdist,) = first.glob("*.whl"), first.glob("*.tar.gz")
    version = sdist.name.removesuffix(".tar.gz").rpartition("-")[2]
    problems = list(_problems(wheel, sdist, version))
    if problems:
        sys.exit("\n".join(problems))
    run([sys.executable, "-m", "twine", "check", "--strict", wheel, sdist])
    _say("contents, metadata and changelog are as they should be; twine says the same")

    _try_out(wheel)
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    for path in (wheel, sdist):
        shutil.copy(path, dist)
        print(f"  dist/{path.name}  {path.stat().st_size:>9,} bytes  sha256 {digests[path.name]}")
    return 0


def _build_from_commit(name: str, epoch: str) -> Path:
    """Build what is committed, in a folder whose name and files' times are other ones each time."""
    folder = fresh_folder(name)
    source, out = folder / f"source-{name}", folder / "out"
    run(["git", "archive", "--output", folder / "source.tar", "HEAD"])
    with tarfile.open(folder / "source.tar") as tar:
        tar.extractall(source, filter="data")
    for path in source.rglob("*"):
        path.touch()
    build(out, source, epoch=epoch)
    (out / ".gitignore").unlink(missing_ok=True)
    return out


def _problems(wheel: Path, sdist: Path, version: str) -> Iterator[str]:
    yield from wheel_problems(wheel)
    yield from sdist_problems(sdist)
    yield from version_problems(version, (ROOT / "CHANGELOG.md").read_text())


def _try_out(wheel: Path) -> None:
    """Install the wheel into an empty environment and run the smoke test there."""
    folder = fresh_folder("empty")
    constraints = ROOT / "constraints.txt"
    python = make_venv(folder / "venv", "-c", constraints, f"airflow-provider-meetings[sandbox] @ {wheel.as_uri()}")
    _say("installed into an empty environment")
    shutil.copy(Path(__file__).parent / "smoke.py", folder)
    env = clean_environment(folder / "home", PYTHONWARNINGS="ignore", AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR")
    print(run([python, "smoke.py"], cwd=folder, env=env), end="")
    _say("works there")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _say(text: str) -> None:
    print(f"{time.monotonic() - _START:5.1f} s  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
