"""The compatibility matrix: `python -m tests.compatibility [VERSION ...] [--jobs N] [--lock]`."""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.compatibility.environment import Environment, StepFailedError, build_wheel
from tests.compatibility.plan import CONSTRAINTS, ROOT, TESTS, VERSIONS, Version
from tests.compatibility.report import matrix, write_table
from tests.compatibility.trial import Step, Trial, committed, keep, kept
from tests.release.tools import UV


def main() -> int:
    """Runs what the command line asks for; 0 if every step of every version went well."""
    parser = argparse.ArgumentParser(prog="python -m tests.compatibility", description=__doc__)
    names = [version.name for version in VERSIONS]
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"some of {', '.join(names)}; all by default")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="versions at a time")
    parser.add_argument("--lock", action="store_true", help="renew the exact versions of these Airflows, and end")
    arguments = parser.parse_args()
    if unknown := set(arguments.versions) - set(names):
        parser.error(f"no such version: {', '.join(sorted(unknown))}")
    chosen = [version for version in VERSIONS if version.name in (arguments.versions or names)]
    if arguments.lock:
        return _lock(chosen)
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - start:6.1f} s  {text}", flush=True)

    commit = committed()
    wheel = build_wheel()
    say(f"{wheel.name} is built")
    with ThreadPoolExecutor(arguments.jobs) as pool:
        trials = list(pool.map(lambda version: keep(_try(version, wheel, say), commit), chosen))
    seconds = time.monotonic() - start
    print(f"\n{matrix(trials)}\n")
    failed = [trial.version.name for trial in trials if not trial.ok]
    print(f"{len(trials) - len(failed)} of {len(trials)} versions passed in {seconds:.0f} s.")
    if table := kept(VERSIONS):
        write_table(table, commit)
    return 1 if failed else 0


def _try(version: Version, wheel: Path, say: Callable[[str], None]) -> Trial:
    """Take a version through all steps; later ones run although an earlier one failed, unless nothing is installed."""
    environment, trial = Environment(version), Trial(version)
    start = time.monotonic()
    steps: dict[str, Callable[[], str]] = {
        "install": lambda: environment.make(wheel),
        "airflow providers": lambda: _providers(environment),
        "imports": lambda: _imports(environment),
        "tests": lambda: _tests(environment),
        "example DAGs": lambda: _dags(environment),
        "deferred sensors": lambda: _waits(environment),
        "event-driven DAGs": lambda: _events(environment),
        "connection forms": lambda: _forms(environment),
    }
    for name, step in steps.items():
        begun = time.monotonic()
        try:
            ok, told = True, step()
        except StepFailedError as error:
            ok, told = False, str(error)
        trial.steps.append(Step(name, ok, told if ok else told.splitlines()[0], time.monotonic() - begun))
        say(f"Airflow {version.name}, {name}: {told if ok else f'FAILED {told}'}")
        if name == "install":
            trial.airflow = told if ok else ""
            if not ok:
                break
    trial.seconds = time.monotonic() - start
    return trial


def _imports(environment: Environment) -> str:
    return _last_line(environment.call("imports", "-m", "tests.compatibility.inside", "imports", seconds=300))


def _providers(environment: Environment) -> str:
    shown = environment.call(
        "providers-get", "-m", "airflow", "providers", "get", "airflow-provider-meetings", seconds=300
    )
    if not re.search(r"airflow-provider-meetings\s*\|\s*\d", shown):
        raise StepFailedError(f"airflow providers get shows no version\n{shown}")
    return _last_line(environment.call("providers", "-m", "tests.compatibility.inside", "providers", seconds=300))


def _forms(environment: Environment) -> str:
    if environment.version.numbers < (3, 0):
        # The webserver that ran the example DAGs had them filled in as well.
        saved = set(re.findall(r"(\w+): saved again", (environment.folder / "dags.log").read_text(encoding="utf-8")))
        if saved != {"hiringcenter", "builderprime"}:
            raise StepFailedError(f"saved on the webserver: {', '.join(sorted(saved)) or 'none'}")
        return "both (filled in, saved, read by the hooks and saved again on a real webserver)"
    return _last_line(environment.call("forms", "-m", "tests.compatibility.inside", "forms", seconds=300))


def _tests(environment: Environment) -> str:
    beyond = environment.version.tests_beyond()
    folders = [f"tests/{name}" for name in TESTS if name not in beyond]
    options = ["-q", "--tb=short", "-p", "no:cacheprovider", "-p", "tests.compatibility.installed"]
    options += [f"--ignore=tests/{path}" for path in beyond]
    printed = environment.call("tests", "-m", "pytest", *options, *folders, seconds=1800)
    found = re.search(r"(\d+) passed", printed)
    if not found or re.search(r"\d+ (skipped|xfailed|deselected)", printed.splitlines()[-1]):
        raise StepFailedError(f"not every test was run: {printed.splitlines()[-1]}")
    told = f" (not {'; '.join(f'{path}: drives {what}' for path, what in beyond.items())})" if beyond else ""
    return f"{found[1]} passed{told}"


def _dags(environment: Environment) -> str:
    version = environment.version
    dags = sorted(path.stem for path in (environment.tree / "example_dags").glob("*.py"))
    missing = sorted({path.stem for path in (ROOT / "example_dags").glob("*.py")} - set(dags))
    what = ["-m", "demo"] if version.numbers >= (3, 0) else ["-m", "tests.compatibility.airflow2"]
    printed = environment.call("dags", "-W", "ignore", *what, seconds=1500)
    ended = re.findall(r"(\w+): the run ended: success", printed)
    if sorted(ended) != dags:
        raise StepFailedError(f"only {', '.join(sorted(ended))} succeeded\n{printed[-4000:]}")
    changed = [f"{dag} without{version.leaves_out(dag).strip(',')}" for dag in dags if version.leaves_out(dag)]
    notes = [*changed, *(f"not {dag}: {version.beyond(dag)}" for dag in missing)]
    told = f" ({'; '.join(notes)})" if notes else ""
    return f"{len(dags)} of {len(dags) + len(missing)}{told}"


def _waits(environment: Environment) -> str:
    return _last_line(environment.call("waits", "-W", "ignore", "-m", "tests.compatibility.waiting", seconds=1500))


def _events(environment: Environment) -> str:
    if beyond := environment.version.beyond("meetings_watch"):
        return f"none ({beyond})"
    return _last_line(environment.call("events", "-W", "ignore", "-m", "tests.compatibility.watching", seconds=1500))


def _last_line(printed: str) -> str:
    return printed.strip().splitlines()[-1]


def _lock(versions: list[Version]) -> int:
    """Renew the exact versions with what fits together today."""
    for version in versions:
        wanted = CONSTRAINTS / f"{version.name}.in"
        if not wanted.exists():
            continue
        options = "--quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url --upgrade"
        inputs = ["--extra", "sandbox", ROOT / "pyproject.toml", CONSTRAINTS / "tests.in", wanted]
        command = [UV, "pip", "compile", *options.split(), *inputs, "-o", CONSTRAINTS / f"{version.name}.txt"]
        subprocess.run([str(part) for part in command], check=True, cwd=ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
