"""What came of the writes of a set, and the error that names those that did not succeed."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsAuthError,
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsInDoubtError,
    MeetingsPermissionError,
    MeetingsRateLimitError,
    MeetingValidationError,
)
from airflow_provider_meetings.sets.plan import Action, Change

__all__ = ["Applied", "Verdict", "Written", "verdict_on"]

#: ``done``; ``refused`` by the vendor for good; ``outdated``, since the meeting is gone; ``failed``, and may succeed
#: later; ``stopped``, as every other write would be; ``untried``, since another one was stopped.
Verdict: TypeAlias = Literal["done", "refused", "outdated", "failed", "stopped", "untried"]

# So many writes are named in an error.
_MAX_NAMED = 100


@dataclass(frozen=True, slots=True)
class Written:
    """What came of one write.

    Attributes:
        change: What was to be done.
        verdict: What came of it.
        meeting: The meeting as the vendor returned it, or, deleted, as it was listed. None: it is not known.
        error: Why it did not succeed.
        repeated: It was sent more than once, so that an earlier send may still arrive.
    """

    change: Change
    verdict: Verdict
    meeting: dict[str, Any] | None = None
    error: MeetingsError | None = None
    repeated: bool = False

    @property
    def meeting_id(self) -> Any:
        """The id of the meeting, where it is known."""
        return self.change.id if self.meeting is None else self.meeting.get("id")

    @property
    def maybe_sent(self) -> bool:
        """Whether the vendor may act, or have acted, on it although it did not succeed."""
        return self.error is not None and self.error.maybe_sent


def verdict_on(change: Change, error: MeetingsError) -> Verdict:
    """Tell what an error means for one write, and for the others."""
    if isinstance(error, MeetingsAuthError | MeetingsPermissionError | MeetingsConfigurationError):
        return "stopped"
    if isinstance(error, MeetingsRateLimitError):
        return "stopped"
    if isinstance(error, MeetingNotFoundError) and change.action != "create" and not error.maybe_sent:
        return "outdated"
    refusals = MeetingValidationError | MeetingNotFoundError | MeetingConflictError
    return "refused" if isinstance(error, refusals) and not error.maybe_sent else "failed"


@dataclass(slots=True)
class Applied:
    """What came of all writes of a plan.

    Attributes:
        total: How many there were to do.
        written: One by one, in the order in which they were begun.
        settled: Meetings that an earlier try's creates have made, as this one found out; they count as created.
        needs_probe: Whether nothing of the last batch got through: the vendor is down, or refuses in the words of a
            server that is.
        is_hopeless: Whether no other write would succeed, either.
    """

    total: int
    written: list[Written] = field(default_factory=list)
    settled: list[Mapping[str, Any]] = field(default_factory=list)
    needs_probe: bool = False
    is_hopeless: bool = False

    def of(self, *verdicts: Verdict) -> list[Written]:
        """Return the writes with some verdicts."""
        return [one for one in self.written if one.verdict in verdicts]

    def done(self, action: Action) -> list[Written]:
        """Return the writes of a kind that succeeded."""
        return [one for one in self.written if one.verdict == "done" and one.change.action == action]

    def add(self, results: Sequence[Written]) -> None:
        """Take what came of a batch."""
        self.written += [one for one in results if one.verdict != "untried"]
        verdicts = {one.verdict for one in results}
        # Where nothing at all gets through, nor does one that is far from those, the rest would not either.
        nothing_passed = verdicts == {"failed"}
        self.is_hopeless = "stopped" in verdicts or (nothing_passed and self.needs_probe)
        self.needs_probe = nothing_passed

    @property
    def counts(self) -> dict[str, int]:
        """How many meetings were made, changed and deleted."""
        return {kind: len(found) for kind, found in self.ids.items()}

    @property
    def ids(self) -> dict[str, list[Any]]:
        """The meetings that were made, changed and deleted."""
        kinds: dict[str, Action] = {"created": "create", "updated": "update", "deleted": "delete"}
        found = {kind: [one.meeting_id for one in self.done(action)] for kind, action in kinds.items()}
        return found | {"created": [*(meeting["id"] for meeting in self.settled), *found["created"]]}

    @property
    def is_clean(self) -> bool:
        """Whether all that was begun succeeded."""
        return all(one.verdict == "done" for one in self.written)

    def error(self) -> MeetingsError | None:
        """Return the error that names the writes which did not succeed; None: all of them did.

        It is one that Airflow retries, unless refusals are all that is left.
        """
        bad = [one for one in self.written if one.verdict != "done"]
        if not bad:
            return None
        first = next(one for verdict in _GRAVEST_FIRST for one in bad if one.verdict == verdict)
        cause = _longest_wait(bad) or first.error
        assert cause is not None  # noqa: S101 - what did not succeed has an error
        error = copy.copy(cause)
        error.message = self._text(bad, cause)
        error.args = (error.message,)
        error.maybe_sent = any(one.maybe_sent for one in bad)
        return error

    def _text(self, bad: Sequence[Written], cause: MeetingsError) -> str:
        done = len(self.written) - len(bad)
        left = self.total - len(self.written)
        lines = [f"\n  - {_name(one)}: {one.error}" for one in bad[:_MAX_NAMED]]
        more = f"\n  - and {len(bad) - _MAX_NAMED} more" if len(bad) > _MAX_NAMED else ""
        untried = f" {left} more were not tried." if left else ""
        only_refusals = all(one.verdict == "refused" for one in bad)
        advice = (
            "The others are done; correct these rows, then clear the task."
            if only_refusals
            else "The next try does what is left."
        )
        head = f"{len(bad)} of {self.total} writes did not succeed, {done} did.{untried} {advice}"
        return f"{head}{''.join(lines)}{more}" if len(bad) > 1 or self.total > 1 else f"{head} {_name(bad[0])}: {cause}"


# Which error is raised where there are several kinds.
_GRAVEST_FIRST: tuple[Verdict, ...] = ("stopped", "failed", "outdated", "refused")


def _longest_wait(bad: Sequence[Written]) -> MeetingsError | None:
    """Return the error of a create that is in doubt for the longest time; None: none is."""
    doubts = [one.error for one in bad if isinstance(one.error, MeetingsInDoubtError)]
    if any(one.verdict == "stopped" for one in bad):
        return None
    return max(doubts, key=lambda error: error.retry_after or 0.0, default=None)


def _name(one: Written) -> str:
    row = "" if one.change.row is None else f"row {one.change.row.index}, "
    return f"{one.change.action} of {row}{one.change.label}"
