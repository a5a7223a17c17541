"""The command line: `python -m demo.scale [--tasks N] [--measured N] [--slots N]`."""

import argparse
import sys

from demo.scale.run import run_scale


def main() -> int:
    """Runs what the command line asks for and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo.scale", description="Airflow on Celery, under fire")
    parser.add_argument(
        "--tasks", type=int, default=300, metavar="N", help="creates, and sensors, of the run with kills"
    )
    parser.add_argument("--measured", type=int, default=40, metavar="N", help="the same of the two measured runs")
    parser.add_argument("--slots", type=int, default=8, metavar="N", help="tasks that a worker runs at once")
    arguments = parser.parse_args()
    return run_scale(tasks=arguments.tasks, measured=arguments.measured, slots=arguments.slots)


if __name__ == "__main__":
    sys.exit(main())
