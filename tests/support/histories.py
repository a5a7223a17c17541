"""What the histories of single meetings and of sets have in common."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wait:
    """Time that goes by."""

    seconds: float


def until_done(attempt, ti):
    """Have Airflow retry a task instance, undisturbed, until it succeeds."""
    for _ in range(8):
        result = attempt()
        if result is not None:
            return result
        ti.crm.advance(30.0)
    raise AssertionError(f"it never succeeds: {ti.story[-8:]}")
