"""What came of a version, kept until that of every version is there: they may be tried one by one, of one commit."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from tests.compatibility.plan import CACHE, ROOT, Version

_RESULTS = CACHE / "results"


@dataclass
class Step:
    """What came of one step on one version."""

    name: str
    ok: bool
    told: str
    seconds: float


@dataclass
class Trial:
    """One version on its way through the steps."""

    version: Version
    airflow: str = ""
    steps: list[Step] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every step went well."""
        return bool(self.steps) and all(step.ok for step in self.steps)


def committed() -> str:
    """Return the commit that is checked out; empty where something was changed since, or there is no git."""
    try:
        changed = _git("status", "--porcelain", "--untracked-files=no")
        return "" if changed else _git("rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return ""


def keep(trial: Trial, commit: str) -> Trial:
    """Keep what came of a version of a commit, in the place of what was kept of it before, and return it."""
    path = _RESULTS / f"{trial.version.name}.json"
    path.unlink(missing_ok=True)
    # Neither source that may have changed meanwhile, nor a failure, has a place in the table.
    if commit and trial.ok and commit == committed():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"commit": commit, **asdict(trial)}), encoding="utf-8")
    return trial


def kept(versions: Iterable[Version]) -> list[Trial]:
    """Return what was kept; empty unless it is of each version, and all of the commit that is checked out."""
    commit = committed()
    found = []
    for version in versions:
        path = _RESULTS / f"{version.name}.json"
        if not commit or not path.exists():
            return []
        result = json.loads(path.read_text(encoding="utf-8"))
        if commit != result["commit"]:
            return []
        steps = [Step(**step) for step in result["steps"]]
        found.append(Trial(version, result["airflow"], steps, result["seconds"]))
    return found


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
