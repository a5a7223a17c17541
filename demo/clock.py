"""Lines with the time in front."""

import time


class Clock:
    """Prints lines with the seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        """Prints one line at once."""
        print(f"{time.monotonic() - self._start:6.1f} s  {text}", flush=True)
