"""What the other map indexes of a task have booked in this run, as each of them pushes it to XCom.

The task state store of a task instance is read by that task instance alone. After a clear an item may come at another
map index, whose journal does not know it; and where two runs ask for equal meetings, the vendor does not tell which of
them is this run's. So each map index pushes the ids and digests in its journal to XCom, ahead of each create and after
it, and the others of the run read them.

Airflow deletes a task instance's XComs when its next try starts; the try pushes them again before all else. A map index
that has pushed nothing has sent nothing, or is between the two: it is *silent*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_meetings.exactly_once.journal import digest
from airflow_provider_meetings.exceptions import MeetingsInDoubtError
from airflow_provider_meetings.vendors.matching import PendingCreate

__all__ = ["BOOKINGS_KEY", "Siblings", "push_bookings", "read_siblings"]

#: The key in XCom.
BOOKINGS_KEY = "meetings_bookings"
# States of a task instance that does not start any more: it has sent what it has sent.
_OVER = frozenset({"removed", "skipped", "upstream_failed"})
# Digests of a meeting that is being changed, or that was adopted a moment ago.
_UNCERTAIN = frozenset({"", "?"})
# Seconds until those that have not said what they booked are asked again.
_UNTIL_HEARD = 15.0
# So many of them are named at most.
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Siblings:
    """What the other map indexes have booked in this run.

    Attributes:
        booked: The digests under which each meeting is booked, by its id as text.
        pending: The creates that were not answered, without their payloads, each with the payload's digest.
        silent: The map indexes that have not said what they booked.
    """

    booked: Mapping[str, frozenset[str]] = field(default_factory=dict)
    pending: tuple[tuple[str, PendingCreate], ...] = ()
    silent: tuple[int, ...] = ()

    def ids_of(self, wanted: str) -> list[str]:
        """Return the ids of the meetings that are booked under a digest."""
        return [meeting_id for meeting_id, digests in self.booked.items() if wanted in digests]

    def changing(self, others: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those meetings that are booked, and whose payloads' digests are not known for the moment."""
        return [one for one in others if self.booked.get(str(one.get("id")), frozenset()) & _UNCERTAIN]

    def pending_of(self, wanted: str, body: Mapping[str, Any], taken: AbstractSet[str]) -> list[PendingCreate]:
        """Return the creates of an item that were not answered.

        Args:
            wanted: The digest of the item's payload.
            body: The payload.
            taken: The ids of meetings that are the item's own map index's already.
        """
        taken = taken | self.booked.keys()
        found = {create.key: create for its_digest, create in self.pending if its_digest == wanted}
        return [
            replace(create, body=body, known=None if create.known is None else create.known | taken)
            for create in found.values()
        ]

    def check_heard(self, recent: Sequence[dict[str, Any]]) -> None:
        """Check that all of them have said what they booked, where there is a meeting that nobody has named.

        Args:
            recent: The look-alikes of an item that were made since the run began.

        Raises:
            MeetingsInDoubtError: One of them may have made one of these.
        """
        unnamed = [str(one.get("id")) for one in recent if str(one.get("id")) not in self.booked]
        if unnamed and self.silent:
            raise MeetingsInDoubtError(
                f"Meeting {', '.join(unnamed)} equals this item in all that can be compared. Map indexes "
                f"{', '.join(map(str, self.silent[:_MOST_NAMED]))} of this task have not started since the run was "
                "cleared, and only they can tell whether one of them has made it. Nothing was sent.",
                maybe_sent=False,
                retry_after=_UNTIL_HEARD,
            )


def push_bookings(ti: Any, document: Mapping[str, Any]) -> None:
    """Tell the other map indexes what a task instance's journal says."""
    booked: dict[str, str] = {}
    pending = []
    for record in document["records"].values():
        if record["id"] is not None:
            booked[str(record["id"])] = record["digest"]
        create = record["pending_create"]
        if create is not None:
            told = {name: create[name] for name in ("key", "first_sent", "in_flight_until", "known")}
            pending.append(told | {"digest": digest(create["body"])})
    ti.xcom_push(key=BOOKINGS_KEY, value={"map_index": ti.map_index, "booked": booked, "pending": pending})


def read_siblings(ti: Any) -> Siblings:
    """Read what the other map indexes of a task instance's run have pushed."""
    named = ti.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id]).get(ti.run_id, {})
    states = {name.removeprefix(f"{ti.task_id}_"): state for name, state in named.items()}
    pulled = ti.xcom_pull(task_ids=ti.task_id, key=BOOKINGS_KEY)
    pushed = [one for one in (pulled if isinstance(pulled, list) else [pulled]) if isinstance(one, Mapping)]
    booked: dict[str, frozenset[str]] = {}
    pending = []
    for one in pushed:
        if one["map_index"] == ti.map_index:
            continue
        for meeting_id, its_digest in one["booked"].items():
            booked[meeting_id] = booked.get(meeting_id, frozenset()) | {its_digest}
        pending += [(each["digest"], _pending_create(each)) for each in one["pending"]]
    heard = {ti.map_index, *(one["map_index"] for one in pushed)}
    silent = sorted(
        int(index)
        for index, state in states.items()
        if index.isdigit() and int(index) not in heard and str(getattr(state, "value", state)) not in _OVER
    )
    return Siblings(booked, tuple(pending), tuple(silent))


def _pending_create(told: Mapping[str, Any]) -> PendingCreate:
    known = None if told["known"] is None else frozenset(told["known"])
    return PendingCreate({}, told["key"], told["first_sent"], told["in_flight_until"], known)
