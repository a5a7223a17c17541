"""Runs every benchmark, or those named on the command line, and prints their tables.

    python tests/benchmarks/run.py [listing] [imports] [memory] [files] [volume] [booking] [sets] [waiting] [pages]

Figures inform, they do not judge: the status is 0 whatever they are, unless a benchmark cannot run at all.
"""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = ("listing", "imports", "memory", "files", "changes", "volume", "booking", "sets", "waiting", "pages")


def main() -> int:
    """Run them one after the other, each in a process of its own."""
    chosen = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in chosen if name not in BENCHMARKS]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    folder = Path(__file__).parent
    failed = [
        name for name in chosen if subprocess.run([sys.executable, folder / f"{name}.py"], check=False).returncode
    ]
    if failed:
        print(f"could not run: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
