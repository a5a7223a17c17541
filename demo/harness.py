"""What every program that boots an Airflow needs: a folder, the processes in it, a clock, and an end to all of it."""

import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from demo.clock import Clock
from demo.processes import Processes


class Harness:
    """Stops all processes when it is left, also on Ctrl-C or SIGTERM, and removes the folder after a success.

    Args:
        name: Part of the folder's name.

    Attributes:
        folder: Where logs and databases are.
        processes: What runs.
        clock: Prints lines with the time in front.
        succeeded: To be set when all went well.
        keeps_folder: Keep the folder also then.
        keeps_running: Stop nothing.
    """

    def __init__(self, name: str, *, keeps_folder: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"meetings-{name}-"))
        self.processes = Processes(self.folder)
        self.clock = Clock()
        self.succeeded = self.keeps_running = False
        self.keeps_folder = keeps_folder

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, _exit_on_signal)
        self.clock.say(f"Logs and databases are in {self.folder}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self.keeps_running:
            return
        self.clock.say("Stopping everything")
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
        self.processes.stop()
        signal.signal(signal.SIGINT, interrupt)
        if self.succeeded and kind is None and not self.keeps_folder:
            shutil.rmtree(self.folder)
        else:
            print(f"All logs are in {self.folder}", file=sys.stderr)


def _exit_on_signal(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)
