"""Histories of runs of one DAG that overlap and ask for equal meetings, made up by hypothesis; one invariant.

Two or three runs (scheduled, by hand, of a backfill) have the same tasks in flight at the same time: one that is not
mapped, and one that is mapped over three items. The payloads of an item are equal in all runs. Tries of one run happen
between two requests of a try of another one; each is killed, refused, retried, cleared, and its mapped list comes in
another order.

Whenever a try ends in success, and at the end of each history after a last try that nothing disturbs, each item of each
run has exactly one meeting, its own: none is shared by two runs, none is lost, and none has a second one at any moment.
No try may end in a ``MeetingConflictError``.

The histories keep out of three limits of the promise (``test_limits.py`` holds what happens there):

* Of two runs that create equal meetings at the same time, one gets no answer. Nothing tells later which of the two
  runs made what. On HiringCenter it is so only once the vendor has forgotten the key; and there, where nobody has
  looked before the create, "at the same time" includes the five seconds before it, which clocks do not tell apart.
* Below Airflow 3.3 nothing outlives a try on Builder Prime: there the payloads have something of their run in them.
* Below Airflow 3.3 a try on HiringCenter fails loudly while the vendor works on the create of an earlier one.
"""

import dataclasses
import datetime as dt
from types import SimpleNamespace

import pytest
from hypothesis import given as imagined
from hypothesis import strategies as st

from airflow_provider_meetings.exactly_once.journal import digest
from airflow_provider_meetings.exceptions import MeetingConflictError, MeetingsConfigurationError, MeetingsError
from tests.support.model import (
    BP,
    FAIR,
    FAULTS,
    HC,
    IN_FLIGHT,
    KINDS,
    Late,
    Luck,
    TaskInstance,
    check,
    histories,
)

RUNS = ("scheduled", "manual", "backfill")
#: The items of the mapped task; the task that is not mapped has one of its own.
ITEMS, SINGLE = (1, 2, 3), 9
#: Seconds in which a history of live idempotency keys is over.
LIFE_TIME = 80_000.0
#: Seconds in which a vendor's clock cannot tell which of two creates was first.
SLACK = 6.0


def lucks():
    """What tries meet with."""
    late = st.builds(Late, st.floats(0.3, IN_FLIGHT, exclude_max=True))
    fault = st.none() | st.sampled_from(FAULTS) | late
    reading = st.none() | st.sampled_from(["lost", "500 before", "429"])
    return st.just(FAIR) | st.builds(
        Luck,
        kill=st.none() | st.integers(0, 20),
        writes=st.lists(fault, max_size=3).map(tuple),
        reads=st.lists(reading, max_size=2).map(tuple),
    )


def answered(luck):
    """Return the same luck without what leaves a create unanswered."""
    definite = tuple(fault for fault in luck.writes if fault in {"unsent", "429", "refused"})
    return dataclasses.replace(luck, kill=None, writes=definite)


@dataclasses.dataclass(frozen=True)
class Try:
    """A try of a run's task instance.

    Attributes:
        run: Which run.
        index: The map index; -1: of the task that is not mapped.
        luck: What it meets with.
        after: After how many of its requests another try happens.
        other: That try; None: there is none.
    """

    run: int
    index: int
    luck: Luck
    after: int = 0
    other: "Try | None" = None


@dataclasses.dataclass(frozen=True)
class Clear:
    """A run is cleared; its mapped list is turned by so many places."""

    run: int
    turn: int


@dataclasses.dataclass(frozen=True)
class Delete:
    """Somebody deletes the meeting of a run's item, or cancels it."""

    run: int
    item: int
    cancels: bool = False


@dataclasses.dataclass(frozen=True)
class Wait:
    """Time that goes by."""

    seconds: float


def steps():
    """One step of a history."""
    run, index = st.integers(0, 2), st.integers(-1, 2)
    inner = st.none() | st.builds(Try, run, index, lucks())
    tries = st.builds(Try, run, index, lucks(), st.integers(1, 5), inner)
    waits = st.sampled_from([1.0, 20.0, 60.0, 3600.0, 86_390.0, 200_000.0])
    return st.one_of(
        tries,
        tries,
        tries,
        st.builds(Clear, run, st.integers(0, 2)),
        st.builds(Delete, run, st.sampled_from([*ITEMS, SINGLE]), st.booleans()),
        st.builds(Wait, waits),
    )


class Run:
    """A run of the DAG and its task instances."""

    def __init__(self, crm, number, run_type, *, durable):
        self.name = f"run {number}"
        self.crm = crm
        self.order = list(ITEMS)
        now = dt.datetime.fromtimestamp(crm.now, dt.UTC)
        due = now - dt.timedelta(days=90 if run_type == "backfill" else 0, seconds=3)
        self.facts = SimpleNamespace(
            clear_number=0, run_type=run_type, queued_at=now, start_date=now, run_after=due, logical_date=due, xcoms={}
        )
        single = TaskInstance(crm, task_id="book")
        self.tis = {-1: single} | {index: TaskInstance(crm, task_id="visit", map_index=index) for index in range(3)}
        for ti in self.tis.values():
            ti.facts.run_id = self.name
            ti.run = self.facts
            ti.store = ti.store if durable else None
            ti.begin()

    def item(self, index):
        """What an index stands for now."""
        return SINGLE if index < 0 else self.order[index]

    def owner(self, item):
        """Whom the meeting of an item is counted for."""
        return f"{self.name}, item {item}"

    def clear(self, turn):
        """Clear all of it: Airflow gives the run a new start."""
        self.order = self.order[turn:] + self.order[:turn]
        self.facts.clear_number += 1
        self.facts.start_date = dt.datetime.fromtimestamp(self.crm.now, dt.UTC)
        self.facts.queued_at = self.facts.start_date


class World:
    """The runs, and the vendor."""

    def __init__(self, kind, *, durable=True, **options):
        self.kind = kind
        self.durable = durable
        self.equal = kind is HC or durable
        self.crm = kind.crm(**options)
        #: Whether the vendor itself tells, by a key that it has not forgotten, whose a meeting is.
        self.keyed = kind is HC and self.crm.window > LIFE_TIME
        self.runs = {}
        self.crm.advance(10.0)

    def run(self, number):
        """Return a run; it begins when it is first spoken of."""
        if number not in self.runs:
            self.runs[number] = Run(self.crm, number, RUNS[number], durable=self.durable)
            self.crm.advance(5.0)
        return self.runs[number]

    def body(self, run, item):
        """Return the payload of an item: the same in each run, but where nothing could tell them apart."""
        body = self.kind.body(self.kind.counterpart(item), 3)
        return body if self.equal else body | {"location": run.name}

    def play(self, step):
        """Take one step."""
        if isinstance(step, Wait):
            self.crm.advance(min(step.seconds, 3600.0) if self.keyed else step.seconds)
        elif isinstance(step, Try):
            self.attempt(step)
        elif isinstance(step, Clear):
            self.run(step.run).clear(step.turn)
        else:
            run = self.run(step.run)
            if not any(ti.store is None or ti.outcome_unknown for ti in run.tis.values()):
                (self.crm.cancel if step.cancels else self.crm.remove)(run.owner(step.item))

    def is_open(self, run, item):
        """Whether a create of a run's item was not answered, and no other map index has found out what became of it."""
        records = [record for ti in run.tis.values() if ti.store for record in ti.journal["records"].values()]
        digest_ = digest(self.body(run, item))
        is_pending = any(
            record["pending_create"] and digest(record["pending_create"]["body"]) == digest_ for record in records
        )
        return is_pending and not any(record["id"] and record["digest"] == digest_ for record in records)

    def is_excluded(self, run, item):
        """Whether a try might make an equal meeting while another run's create of one is not settled."""
        if self.keyed or not self.equal or self.crm.owned(run.owner(item)):
            return False
        return any(self.is_open(other, item) for other in self.runs.values() if other is not run)

    def attempt(self, step, luck=None):
        """Try a task instance, and hold the invariant where it succeeds; tells whether it has."""
        if luck is None and self.kind is HC and not self.keyed:
            self.crm.advance(SLACK)
        run = self.run(step.run)
        item, ti = run.item(step.index), run.tis[step.index]
        if self.is_excluded(run, item):
            return False
        ti.owner = run.owner(item)
        body = self.body(run, item)
        meanwhile = None
        luck, other = luck or step.luck, step.other
        if other is not None and other.run != step.run:
            inner = other.luck
            if not self.keyed and self.equal and self.run(other.run).item(other.index) == item:
                luck, inner = answered(luck), answered(inner)
            meanwhile = (step.after, lambda: self.attempt(other, inner))
        try:
            booking = ti.attempt(body, luck, meanwhile=meanwhile)
        except MeetingConflictError:
            if self.kind is not HC or self.durable:
                raise
            self.crm.advance(IN_FLIGHT)  # an earlier try's, which nothing remembers, is still being worked on
            return False
        except MeetingsConfigurationError:
            raise
        except MeetingsError as error:
            self.crm.advance(getattr(error, "retry_after", None) or 0.0)
            return False
        if booking is None:
            return False
        assert check(self.crm, run.owner(item), body)["id"] == booking.meeting["id"]
        return True

    def until_done(self):
        """Have Airflow retry all that is not done, undisturbed, until it is."""
        waiting = [(number, index) for number, run in self.runs.items() for index in run.tis]
        for _ in range(6):
            waiting = [one for one in waiting if not self.attempt(Try(*one, FAIR))]
            self.crm.advance(30.0)
        assert not waiting, [self.run(number).tis[index].story[-5:] for number, index in waiting]

    def end(self):
        """Let what is left arrive, then try all that was ever begun until it finds all as it is."""
        self.crm.advance(400.0)
        self.until_done()
        self.crm.advance(90_000.0)
        for run in self.runs.values():
            for item in (*ITEMS, SINGLE):
                check(self.crm, run.owner(item), self.body(run, item))
        assert len([row for row in self.crm.rows.values() if row["owner"] != "cancelled"]) == 4 * len(self.runs)


def play(kind, history, **options):
    """Play a history to its end."""
    world = World(kind, **options)
    for step in history:
        world.play(step)
    world.end()


@histories(100)
@imagined(st.lists(steps(), min_size=1, max_size=9), st.sampled_from([86_400.0, 86_400.0, 300.0]))
def test_overlapping_runs_share_no_meeting_on_hiringcenter(history, window):
    """Each item of each run has its own meeting on HiringCenter."""
    play(HC, history, window=window)


@histories(120)
@imagined(st.lists(steps(), min_size=1, max_size=9), st.sampled_from([0, 3700, -90]))
def test_overlapping_runs_share_no_meeting_on_builder_prime(history, skew):
    """Each item of each run has its own meeting on Builder Prime."""
    play(BP, history, skew=skew)


@pytest.mark.parametrize("kind", KINDS)
@histories(50)
@imagined(st.lists(steps(), min_size=1, max_size=9))
def test_below_airflow_3_3_overlapping_runs_share_no_meeting(kind, history):
    """Without a task state store each item of each run has its own meeting, equal ones on HiringCenter."""
    play(kind, history, durable=False)
