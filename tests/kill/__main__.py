"""The kill matrix: `python -m tests.kill [--airflow VERSION ...] [--slice] [--part PART] [--only REGEX] ...`."""

import argparse
import json
import random
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from demo.harness import Harness
from tests.compatibility.plan import VERSIONS
from tests.kill import cells as plan
from tests.kill import set_cells
from tests.kill.booted import AIRFLOW, HAS_STORE, MINOR
from tests.kill.report import matrix, renew, results
from tests.kill.runner import Case, World

_LOG_LINES = 60


def main() -> int:
    """Runs what the command line asks for; 0 if every cell passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    parser.add_argument("--slice", action="store_true", help="a representative part, for continuous integration")
    parser.add_argument("--part", default="", choices=["singles", "sets"], help="only one of the two tables' cells")
    parser.add_argument("--only", default="", metavar="REGEX", help="only the cells whose label matches")
    parser.add_argument("--seed", type=int, default=3)
    names = [each.name for each in VERSIONS]
    words = "on these versions, one after the other, each but this one in an environment of its own"
    parser.add_argument("--airflow", nargs="+", default=[], choices=names, metavar="VERSION", help=words)
    parser.add_argument("--result", type=Path, help="write what the docs should say into a file, not into the docs")
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs also if all went well")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    failed = 0
    for name in arguments.airflow or [MINOR]:
        failed += _here(arguments) if name == MINOR else _elsewhere(name, arguments)
    return 1 if failed else 0


def _elsewhere(name: str, arguments: argparse.Namespace) -> int:
    """Run it on another Airflow; the status of that run."""
    from tests.kill.elsewhere import run_elsewhere  # noqa: PLC0415 - of no use in the other environment

    handed_on = ["--seed", str(arguments.seed), "--only", arguments.only]
    handed_on += ["--part", arguments.part] if arguments.part else []
    handed_on += [f"--{option}" for option in ("slice", "keep") if getattr(arguments, option)]
    status, told = run_elsewhere(name, handed_on)
    for each in told:
        renew(each)
    return status


def _here(arguments: argparse.Namespace) -> int:
    """Run it on the Airflow that is installed; 0 if every cell passed."""
    start = time.monotonic()
    with Harness("kill", keeps_folder=arguments.keep) as harness:
        say = harness.clock.say
        world = World(harness.folder, harness.processes)
        say(f"Airflow {AIRFLOW} and the sandbox are up")
        cases = _run(world, arguments, say)
        world.finally_judged([case for case in cases if case.cell.group != "mapped"])
        _print_failures(world, cases)
        failed = [case for case in cases if not case.ok]
        harness.succeeded = bool(cases) and not failed
    seconds = time.monotonic() - start
    print(f"\n{matrix(cases)}\n")
    print(f"{len(cases) - len(failed)} of {len(cases)} cells passed in {seconds:.0f} s, seed {arguments.seed}.")
    if not (arguments.slice or arguments.only or failed):
        told = results(cases, seconds=seconds, airflow=AIRFLOW, seed=arguments.seed)
        if arguments.result:
            arguments.result.write_text(json.dumps([each.document() for each in told]), encoding="utf-8")
        else:
            for each in told:
                renew(each)
    return 0 if harness.succeeded else 1


def _run(world: World, arguments: argparse.Namespace, say: Callable[[str], None]) -> list[Case]:
    chance = random.Random(arguments.seed)  # noqa: S311 - repeatable on purpose
    if not HAS_STORE:
        cells = plan.numbered(_parts(arguments, plan.older(AIRFLOW), set_cells.set_older(AIRFLOW)), 1)
        if arguments.slice:
            cells = _slice(cells, chance)
        cells = [cell for cell in cells if re.search(arguments.only, cell.label)]
        say(f"{len(cells)} cells")
        return world.run(cells, say)
    wait = 20 if arguments.slice else 90
    usual = [
        *plan.waits(wait),
        *([] if arguments.slice else plan.late()),  # a minute of waiting
        *plan.orphans(),
        *plan.matrix(),
        *plan.settling(),
        *plan.lost(),
        *plan.special(),
        *plan.without_journal(),
    ]
    singles = _parts(arguments, usual, set_cells.sets())
    stopped, killed = _parts(arguments, plan.outage("stopped")), _parts(arguments, plan.outage("killed"))
    items = _parts(arguments, plan.mapped(*((15, 5) if arguments.slice else (100, 20)), chance))
    start = 1
    for part in (singles, stopped, killed, items):
        plan.numbered(part, start)
        start += len(part)
    if arguments.slice:
        singles, stopped, killed = _slice(singles, chance), stopped[1:3], []
    wanted = re.compile(arguments.only)
    singles, stopped, killed, items = (
        [cell for cell in part if wanted.search(cell.label)] for part in (singles, stopped, killed, items)
    )
    say(f"{sum(map(len, (singles, stopped, killed, items)))} cells")
    cases = world.run(singles, say)
    if items:
        cases += world.run_mapped(items, chance, say)
    if stopped:
        cases += world.run_outage(stopped, say, seconds=20 if arguments.slice else 35, kill=False)
    if killed:
        cases += world.run_outage(killed, say, seconds=35, kill=True)
    return cases


def _parts(
    arguments: argparse.Namespace, singles: list[plan.Cell], sets: list[plan.Cell] | None = None
) -> list[plan.Cell]:
    """The cells of the parts that are wanted."""
    return [*([] if arguments.part == "sets" else singles), *([] if arguments.part == "singles" else sets or [])]


def _slice(cells: list[plan.Cell], chance: random.Random) -> list[plan.Cell]:
    """Some cells of each kind: every point of a create on both vendors, and of the rest a sample."""
    creates = [cell for cell in cells if cell.group == "matrix" and cell.operation == "create"]
    chosen = [
        chance.choice([cell for cell in creates if (cell.vendor, cell.point) == (vendor, point)])
        for vendor in plan.VENDORS
        for point in plan.POINTS
        if creates
    ]
    sets = [cell for cell in cells if isinstance(cell, set_cells.SetCell)]
    chosen += _slice_of_sets(sets, chance)
    rest: dict[tuple[str, str], list[plan.Cell]] = {}
    for cell in cells:
        if cell not in chosen and cell not in sets and not (cell.group == "matrix" and cell.operation == "create"):
            rest.setdefault((cell.group, cell.operation), []).append(cell)
    for (group, _), found in rest.items():
        chosen += chance.sample(found, min(len(found), 3 if group in {"matrix", "kill while settling"} else 1))
    return [cell for cell in cells if cell in chosen]


def _slice_of_sets(cells: list[set_cells.SetCell], chance: random.Random) -> list[plan.Cell]:
    """Of each vendor one set of each operation, in different batches, and one that is struck in three tries."""
    found = [cell for cell in cells if cell.kind == "task"]
    chosen: list[plan.Cell] = []
    for vendor in plan.VENDORS:
        groups = dict(zip(plan.OPERATIONS, chance.sample(set_cells.MATRIX_GROUPS, 3), strict=True))
        for operation, group in (groups | {set_cells.ALL_KINDS: set_cells.AGAIN}).items():
            own = [one for one in found if (one.vendor, one.operation, one.group) == (vendor, operation, group)]
            chosen += chance.sample(own, min(1, len(own)))
    return chosen


def _print_failures(world: World, cases: list[Case]) -> None:
    for case in cases:
        if not case.ok and case.cell.group != "mapped":
            log = world.airflow.home.task_log(case.cell.dag, case.cell.marker, "task").splitlines()
            print(f"\n{case.cell.marker} {case.cell.label}\n  {'; '.join(case.problems)}")
            print(*(f"  {line}" for line in log[-_LOG_LINES:]), sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
