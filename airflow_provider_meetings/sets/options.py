"""The settings of a set, as a DAG author or a template gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.sets.plan import Plan
from airflow_provider_meetings.vendors.fields import invalid_arguments

__all__ = ["SetOptions"]

T = TypeVar("T")

_MODES = ("apply", "plan")
_APPROVALS = ("never", "always", "deletes")
_ON_DOUBT = ("fail", "ask")


@dataclass(frozen=True, slots=True)
class SetOptions:
    """What may be done, and who is asked.

    Attributes:
        mode: ``apply``, or ``plan``: nothing is written.
        approval: ``never``, ``always``, or ``deletes``: where something would be deleted.
        delete_missing: Meetings of the scope that have no row are deleted.
        max_deletes: How many deletes a plan may have; None: any number.
        max_changes: How many changes of all kinds a plan may have; None: any number.
        on_doubt: ``fail``, or ``ask``: a person says whether a plan is carried out that is larger than it may be.
    """

    mode: str = "apply"
    approval: str = "never"
    delete_missing: bool = False
    max_deletes: int | None = None
    max_changes: int | None = None
    on_doubt: str = "fail"

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> SetOptions:
        """Read the settings, by name; a template may have turned them into text.

        Raises:
            MeetingsConfigurationError: Some cannot be right; all are named.
        """
        readers: dict[str, Callable[[Any], Any]] = {
            "mode": lambda value: _one_of(value, _MODES),
            "approval": lambda value: _one_of(value, _APPROVALS),
            "delete_missing": _flag,
            "max_deletes": _count,
            "max_changes": _count,
            "on_doubt": lambda value: _one_of(value, _ON_DOUBT),
        }
        values: dict[str, Any] = {}
        problems: dict[str, str] = {}
        for name, read in readers.items():
            try:
                values[name] = read(given[name])
            except ValueError as error:
                problems[name] = str(error)
        if problems:
            raise invalid_arguments("The set cannot be synchronised, nothing was sent", problems)
        return cls(**values)

    def check_rows(self, count: int) -> None:
        """Refuse to delete everything for want of rows, unless somebody has said how many deletes are fine.

        Raises:
            MeetingsConfigurationError: There are no rows, and the meetings that have none are to be deleted.
        """
        if count == 0 and self.delete_missing and self.max_deletes is None:
            raise MeetingsConfigurationError(
                "meetings is empty, and delete_missing would delete every meeting of the window. An empty upstream "
                "must not empty a calendar: give max_deletes where that is meant. Nothing was sent."
            )

    def check_plan(self, plan: Plan) -> None:
        """Refuse a plan that is too large.

        Raises:
            MeetingsConfigurationError: It has more deletes, or more changes, than it may have. Nothing was written.
        """
        excess = self.excess(plan)
        if excess:
            raise MeetingsConfigurationError(
                f"{excess} Look at the plan in the log; if it is right, raise the limit, or let a person decide with "
                "on_doubt='ask'. Nothing was written."
            )

    def excess(self, plan: Plan) -> str:
        """Return by how much a plan is larger than it may be, as sentences; empty: it is not."""
        found_limits = (
            ("max_deletes", self.max_deletes, len(plan.of("delete")), "deletes"),
            ("max_changes", self.max_changes, len(plan.changes), "changes"),
        )
        return " ".join(
            f"The plan has {found} {kind}, and {name} allows {most}."
            for name, most, found, kind in found_limits
            if most is not None and found > most
        )

    def question(self) -> str:
        """Return the argument by which a person may be asked; empty: none is."""
        if self.mode == "plan":
            return ""
        if self.approval != "never":
            return f"approval={self.approval!r}"
        return "on_doubt='ask'" if self.on_doubt == "ask" else ""

    def needs_approval(self, plan: Plan) -> bool:
        """Whether a person has to look at a plan before it is carried out."""
        if self.mode == "plan" or not plan.changes:
            return False
        return self.approval == "always" or (self.approval == "deletes" and bool(plan.of("delete")))


def _one_of(value: Any, choices: tuple[str, ...]) -> str:
    text = value.strip() if isinstance(value, str) else value
    if text not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}, not {value!r}")
    return str(text)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise ValueError(f"must be true or false, not {value!r}")


def _count(value: Any) -> int | None:
    if value is None or (isinstance(value, str) and value.strip() in {"", "None"}):
        return None
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"must be a whole number from 0 on, not {value!r}")
