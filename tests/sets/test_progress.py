"""How far a long apply is, in the log: every few seconds, and nothing at the end, which has a line of its own."""

from airflow_provider_meetings.core.flow import Log, Now
from airflow_provider_meetings.sets.applying import _Progress


def told(progress, done, now):
    """What is logged when so many writes are done at a moment."""
    lines = []
    flow = progress.tell(done)
    command = next(flow, None)
    while command is not None:
        if isinstance(command, Log):
            lines.append(command.text)
        try:
            command = flow.send(now if isinstance(command, Now) else None)
        except StopIteration:
            break
    return lines


def test_a_line_every_five_seconds():
    """How many of how many, at what rate, and how long it still takes."""
    progress = _Progress(500, 1000.0)

    assert [] == told(progress, 16, 1004.0)
    assert ["40 of 500 writes done, 8.0 a second, about 58 s left."] == told(progress, 40, 1005.0)
    assert [] == told(progress, 44, 1009.0)
    assert ["80 of 500 writes done, 8.0 a second, about 52 s left."] == told(progress, 80, 1010.0)


def test_what_takes_long_is_told_in_minutes():
    """Nobody counts in thousands of seconds."""
    assert ["10 of 5000 writes done, 2.0 a second, about 42 min left."] == told(_Progress(5000, 0.0), 10, 5.0)


def test_the_last_write_has_no_such_line():
    """What was done stands in the line that ends the task."""
    assert [] == told(_Progress(10, 0.0), 10, 60.0)
