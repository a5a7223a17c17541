"""The command line: `python -m demo.celery [--tasks N] [--measured N] [--slots N]`."""

import argparse
import sys

from demo.celery.run import run_scale

_TASKS, _SLOTS = 300, 8


def main() -> int:
    """Runs what the command line asks for and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo.celery", description="Airflow on Celery, under fire")
    tasks = "creates, and as many sensors, of the run with the kills"
    parser.add_argument("--tasks", type=int, default=_TASKS, metavar="N", help=tasks)
    parser.add_argument("--measured", type=int, metavar="N", help="the same of each measured run; a part of --tasks")
    parser.add_argument("--slots", type=int, default=_SLOTS, metavar="N", help="tasks that a worker runs at once")
    arguments = parser.parse_args()
    measured = arguments.measured or min(40, max(10, arguments.tasks // 5))
    return run_scale(tasks=arguments.tasks, measured=measured, slots=arguments.slots)


if __name__ == "__main__":
    sys.exit(main())
