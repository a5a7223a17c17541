"""The quick suites on other days than today: `python -m tests.clocks [--only WORD ...] [--jobs N]`.

Each run has its clock set ahead by libfaketime, the sandboxes that it starts as well, and New York's local time. The
clock goes on from there, so that the runs that begin shortly before something happens are in the middle of their tests
when it does. The monotonic clock, by which timeouts are counted, is left alone.
"""

import argparse
import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).parents[2]
NEW_YORK = "America/New_York"
#: Pure rules and the protocol, which take seconds: all that reads a date, computes with one, or compares two.
QUICK = ("core", "connection", "vendors", "exactly_once", "watching", "triggers")
#: Where another process has a clock as well: the sandbox, and Airflow's own task runner with its timeouts. The other
#: tests of these folders are about requests and errors, whatever the time is.
TIMED = (
    *QUICK,
    "operators",
    "hooks/test_writes_under_faults.py",
    "polling/test_planner.py",
    "polling/test_wanted.py",
    "sensors/test_parity.py",
    "sensors/test_vendor_wait.py",
)
#: After so many seconds a moment has failed. On two idle cores it takes a minute or two.
LONGEST = 900


@dataclass(frozen=True)
class Moment:
    """A moment to begin at, and the suites that run from then on."""

    name: str
    begins: Callable[[dt.datetime], dt.datetime]
    suites: tuple[str, ...] = QUICK


def _in_new_york(*numbers: int) -> Callable[[dt.datetime], dt.datetime]:
    return lambda _: dt.datetime(*numbers, tzinfo=ZoneInfo(NEW_YORK))


MOMENTS = (
    Moment("a year ahead", lambda now: now + dt.timedelta(days=365), TIMED),
    Moment("a month ahead", lambda now: now + dt.timedelta(days=30)),
    Moment("before the clocks go forward", _in_new_york(2027, 3, 14, 1, 59, 30)),
    Moment("before the clocks go back", _in_new_york(2027, 11, 7, 1, 59, 30)),
    Moment("on 29 February", _in_new_york(2028, 2, 29, 18, 59, 30)),
    Moment("before New Year in UTC", _in_new_york(2027, 12, 31, 18, 59, 30)),
    Moment("before New Year in New York", _in_new_york(2027, 12, 31, 23, 59, 30)),
)


def _library() -> Path:
    """Return the library that is loaded before all others."""
    spec = find_spec("libfaketime")
    if spec is None or spec.origin is None:
        sys.exit("libfaketime is not installed: make setup")
    (found,) = Path(spec.origin).parent.rglob("libfaketime.so.1")
    return found


def _environment(moment: Moment) -> dict[str, str]:
    now = dt.datetime.now(dt.UTC)
    ahead = round((moment.begins(now) - now).total_seconds())
    return os.environ | {
        "LD_PRELOAD": str(_library()),
        "FAKETIME": f"{ahead:+d}",  # not a moment: every process has to have the same time
        "DONT_FAKE_MONOTONIC": "1",
        "TZ": NEW_YORK,
        "MODEL_SHARE": "0.1",  # of the histories
    }


def run(moment: Moment) -> bool:
    """Run a moment's suites; print their output, whole, if a test fails. Returns whether all passed."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += [f"tests/{suite}" for suite in moment.suites]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=_environment(moment), capture_output=True, text=True, check=False, timeout=LONGEST
        )
    except subprocess.TimeoutExpired as late:
        print(f"{moment.name:28} no end after {LONGEST} s\n{(late.stdout or b'').decode()[-2000:]}", flush=True)
        return False
    summary = done.stdout.strip().rpartition("\n")[2]
    output = f"\n{done.stdout}{done.stderr}" if done.returncode else ""
    print(f"{moment.name:28} {time.monotonic() - begun:4.0f} s  {summary}{output}", flush=True)
    return not done.returncode


def main() -> int:
    """Run what the command line asks for; 0: every test passed at every moment."""
    parser = argparse.ArgumentParser(prog="python -m tests.clocks", description=__doc__)
    parser.add_argument("--only", nargs="*", metavar="WORD", help="only the moments whose name has one of the words")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many run side by side")
    arguments = parser.parse_args()
    words = arguments.only or [""]
    chosen = [moment for moment in MOMENTS if any(word in moment.name for word in words)]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        passed = list(pool.map(run, chosen))
    print(f"{sum(passed)} of {len(passed)} moments passed")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
