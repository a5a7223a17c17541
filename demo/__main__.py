"""The command line: `python -m demo [--keep]` and `python -m demo --stop FOLDER`."""

import argparse
import sys
from pathlib import Path

from demo.processes import stop_recorded
from demo.run import run_demo


def main() -> int:
    """Runs what the command line asks for and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave Airflow and the sandbox running")
    parser.add_argument("--stop", type=Path, metavar="FOLDER", help="stop what --keep left running in this folder")
    arguments = parser.parse_args()
    if arguments.stop is not None:
        return stop_recorded(arguments.stop)
    return run_demo(keep=arguments.keep)


if __name__ == "__main__":
    sys.exit(main())
