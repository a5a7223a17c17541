"""A person's approval of a plan: what was shown, what was decided by whom, and what of it is still to be done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.sets.plan import Change, Plan
from airflow_provider_meetings.version_compat import max_stored_bytes, never_expire

__all__ = ["APPROVAL_KEY", "Approval", "ApprovalStore", "drift_error"]

#: Where in the task state store the approval lies; what does not fit goes under the same name with a number.
APPROVAL_KEY = "meetings_set_approval"
# The part of the longest value that a part of an approval may fill.
_SHARE = 0.9
# So many changes are named where the plan has become another one; so many are kept with their names at all.
_MAX_NAMED = 20
_MAX_LABELS = 1000
_MAX_LABEL = 80
# Of a change's digest so many characters tell it from the others of a plan.
_DIGEST = 24


@dataclass(frozen=True, slots=True)
class Approval:
    """A plan that a person was asked about.

    Attributes:
        digest: The plan's digest.
        changes: The digest of each change, and what it is for people.
        by: Who has approved it; empty: nobody yet.
        begun: It is being carried out, so that a part of it is as good as all of it.
        anyway: The person knew that the plan is larger than it may be.
    """

    digest: str
    changes: Mapping[str, str] = field(default_factory=dict)
    by: str = ""
    begun: bool = False
    anyway: bool = False

    @classmethod
    def of_plan(cls, plan: Plan, *, anyway: bool = False) -> Approval:
        """Make what a person is asked about."""
        labels = [_label(change) for change in plan.changes[:_MAX_LABELS]]
        labels += [""] * (len(plan.changes) - len(labels))
        return cls(
            plan.digest,
            {change.digest[:_DIGEST]: label for change, label in zip(plan.changes, labels, strict=True)},
            anyway=anyway,
        )

    def covers(self, plan: Plan) -> bool:
        """Whether a plan is the one that was approved, or, once that is begun, what is left of it."""
        if not self.by:
            return False
        if self.begun:
            return all(change.digest[:_DIGEST] in self.changes for change in plan.changes)
        return plan.digest == self.digest

    def approved(self, by: str) -> Approval:
        """Return it with the name of who has approved it."""
        return replace(self, by=by)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | None) -> Approval | None:
        """Read what :meth:`as_json` returned; None: there is none."""
        return None if not document else cls(**document)


@dataclass(frozen=True, slots=True)
class ApprovalStore:
    """Where an approval outlives a try: the task state store (Airflow 3.3+), in parts that each fit into a value."""

    store: Any

    def load(self) -> Approval | None:
        """Return what was stored; None: there is none, or no store."""
        document = self.store.get(APPROVAL_KEY) if self.store is not None else None
        if not document:
            return None
        changes: dict[str, str] = {}
        for number in range(document["parts"]):
            part = self.store.get(f"{APPROVAL_KEY}_{number}")
            if part is None or part["digest"] != document["digest"]:
                return None  # it was being written when the process died: nobody was asked about it
            changes |= part["changes"]
        return Approval(document["digest"], changes, document["by"], document["begun"], document["anyway"])

    def save(self, approval: Approval) -> None:
        """Store an approval: its parts first, so that it is there whole or not at all."""
        if self.store is None:
            return
        parts = _parts(approval.changes, int(max_stored_bytes() * _SHARE))
        known = self.store.get(APPROVAL_KEY)
        if not known or known["digest"] != approval.digest:
            for number, changes in enumerate(parts):
                self._set(f"{APPROVAL_KEY}_{number}", {"digest": approval.digest, "changes": changes})
        names = ("digest", "by", "begun", "anyway")
        self._set(APPROVAL_KEY, {name: getattr(approval, name) for name in names} | {"parts": len(parts)})

    def forget(self) -> None:
        """Forget the approval: it was carried out, rejected, or is of another plan."""
        if self.store is None or not self.store.get(APPROVAL_KEY):
            return
        self._set(APPROVAL_KEY, {})

    def _set(self, key: str, value: Any) -> None:
        self.store.set(key, value, retention=never_expire())


def drift_error(approval: Approval, plan: Plan) -> MeetingsError:
    """Make the error for a plan that is another one by now than the one that was approved."""
    now = {change.digest[:_DIGEST]: _label(change) for change in plan.changes}
    gone = [label or "a change" for digest, label in approval.changes.items() if digest not in now]
    new = [label for digest, label in now.items() if digest not in approval.changes]
    both = set(gone) & set(new)
    kinds = {
        "no longer": [label for label in gone if label not in both],
        "new": [label for label in new if label not in both],
        "other fields than approved": [label for label in new if label in both],
    }
    listed = [f"\n  - {kind}: {label}" for kind, labels in kinds.items() for label in labels[:_MAX_NAMED]]
    more = sum(max(0, len(labels) - _MAX_NAMED) for labels in kinds.values())
    rest = f"\n  - and {more} more" if more else ""
    return MeetingsError(
        f"The meetings have changed since {approval.by} approved plan {approval.digest[:12]}; the plan is "
        f"{plan.digest[:12]} now, and that one was approved by nobody. The next try asks again, if Airflow "
        "can show it the new plan; else start a new DAG run."
        f"{''.join(listed)}{rest}"
    )


def _label(change: Change) -> str:
    return f"{change.action} {change.label}"[:_MAX_LABEL]


def _parts(changes: Mapping[str, str], longest: int) -> list[dict[str, str]]:
    parts: list[dict[str, str]] = [{}]
    size = 0
    for digest, label in changes.items():
        entry = len(json.dumps({digest: label}))
        if size + entry > longest and parts[-1]:
            parts.append({})
            size = 0
        parts[-1][digest] = label
        size += entry
    return parts
