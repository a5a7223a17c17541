"""Which meetings are booked and waited for: pure, so that the DAG asks for what the referee expects."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.rows import as_sent, table_row

#: Those that a run books are this long, and as far apart at least where they begin; several share a moment.
LENGTH = timedelta(minutes=30)

# Far from the meetings that the sandbox has of its own.
_FIRST_DAY = datetime(2031, 3, 3, 13, tzinfo=UTC)
_SLOTS_A_DAY, _DAYS = 16, 5


@dataclass(frozen=True)
class Item:
    """One meeting: the even ones are HiringCenter's, the odd ones Builder Prime's."""

    number: int

    @property
    def vendor(self) -> str:
        """With whom."""
        return ("hiringcenter", "builderprime")[self.number % 2]

    @property
    def marker(self) -> str:
        """The text in the meeting that nobody else has."""
        return f"scale-{self.number:05d}"

    @property
    def start(self) -> datetime:
        """When it begins."""
        day, slot = divmod(self.number // 2 % (_SLOTS_A_DAY * _DAYS), _SLOTS_A_DAY)
        return _FIRST_DAY + timedelta(days=day) + slot * LENGTH

    @property
    def row(self) -> dict[str, Any]:
        """The meeting as the sandbox's table has it when all is well."""
        start = int(self.start.timestamp() * 1000)
        if self.vendor == "hiringcenter":
            return table_row(self.vendor, start, f"{self.marker} interview", self.number)
        end = start + LENGTH // timedelta(milliseconds=1)
        return table_row(self.vendor, start, f"{self.marker} visit", self.number, endDateTime=end)

    @property
    def booking(self) -> dict[str, Any]:
        """The arguments of its `CreateMeetingOperator`."""
        meeting = as_sent(self.vendor, self.row, self.start, self.start + LENGTH)
        return {"meetings_conn_id": f"{self.vendor}_default", "meeting": meeting}

    @property
    def wait(self) -> dict[str, Any]:
        """The arguments of the `MeetingsSensor` that waits for it."""
        name = "notes" if self.vendor == "hiringcenter" else "title"
        return {
            "meetings_conn_id": f"{self.vendor}_default",
            "window_start": self.start.isoformat(),
            "window_end": (self.start + LENGTH).isoformat(),
            "match": {name: self.row[name]},
        }


def items(first: int, count: int) -> list[Item]:
    """The meetings with these numbers."""
    return [Item(number) for number in range(first, first + count)]
