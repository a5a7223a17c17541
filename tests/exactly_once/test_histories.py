"""Histories of tries, faults, kills, clears and other people's edits, made up by hypothesis; one invariant.

Whenever a try ends in success, and at the end of each history after a last try that nothing disturbs:

* exactly one meeting for each task instance (for a mapped task: for each item), equal to what was asked last, without
  fields that only an earlier try asked for; and at no moment more than one;
* what other people booked is as they left it, known look-alikes are never adopted.

No try of these histories may end in a ``MeetingConflictError``: none of them is one in which the promise allows to
give up. The promise has these limits, and the histories keep out of them (``test_model_limits.py`` holds what happens):

* Between a create that was lost and the try that settles it, by look-up, somebody changes the meeting that it made:
  nothing tells whose it is any more, and another one is made. Deleting it is fine. Under a live idempotency key
  (HiringCenter, within ``idempotency_window``) changing it is fine, too.
* In the same span somebody books an equal meeting: with the lost one's there are two candidates, a loud failure;
  without it, the equal one is adopted.
* The payload of a mapped task's item changes in the same clear that moves it, or before the last change was booked: it
  is another item, the old meeting stays.
* A mapped task's list changes its order by a clear within ``RetryLimits.in_flight`` seconds of a create that was lost.
* An item that leaves a mapped task's list keeps its meeting: nobody is asked to delete it.
* Two items of a mapped task with the same party: see the module of the limits.
* Equal but for what the vendor does not show (Builder Prime lists neither end, type nor reminders), two items of a
  mapped task are one to a look-up.
"""

import dataclasses

import pytest
from hypothesis import given as imagined
from hypothesis import strategies as st

from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingsConfigurationError,
    MeetingsError,
)
from tests.support.histories import Wait, until_done
from tests.support.model import (
    BP,
    FAIR,
    FAULTS,
    GATEWAYS,
    HC,
    IN_FLIGHT,
    KINDS,
    Late,
    Luck,
    TaskInstance,
    check,
    histories,
    visible,
)


def lucks():
    """What tries meet with: mostly little, sometimes all at once."""
    meanwhile = st.sampled_from([None, None, 504, *(status for status in GATEWAYS if status != 429)])
    late = st.builds(Late, st.floats(0.3, IN_FLIGHT, exclude_max=True), meanwhile)
    fault = st.none() | st.sampled_from(FAULTS) | late
    reading = st.none() | st.sampled_from(["lost", "500 before", "404 before", "429", "garbage after", "unsent"])
    return st.builds(
        Luck,
        kill=st.none() | st.integers(0, 24),
        writes=st.lists(fault, max_size=4).map(tuple),
        reads=st.lists(reading, max_size=3).map(tuple),
        save=st.sampled_from([0.05, 0.05, 0.99, 4.0]),
    )


WAITS = st.sampled_from([0.0, 1.0, 20.0, 60.0, 3600.0, 86_390.0, 200_000.0])


@dataclasses.dataclass(frozen=True)
class Try:
    """A try of one of the tasks, asking for one of its payloads."""

    task: int
    variant: int
    luck: Luck
    clear: bool


@dataclasses.dataclass(frozen=True)
class Meddle:
    """Somebody else's doing: an edit, a deletion, an equal booking of a task's payload."""

    what: str
    task: int
    variant: int = 0


def steps():
    """One step of a history of tasks that are not mapped."""
    number = st.integers(0, 1)
    variant = st.integers(0, 5)
    tries = st.builds(Try, number, variant, lucks(), st.booleans())
    meddling = st.builds(Meddle, st.sampled_from(["edit", "delete", "cancel", "equal"]), number, variant)
    return st.one_of(tries, tries, tries, meddling, st.builds(Wait, WAITS))


def attempt(ti, body, luck=FAIR):
    """Try it; returns the booking, None where it failed or was killed. Giving up is no way out."""
    try:
        return ti.attempt(body, luck)
    except (MeetingConflictError, MeetingsConfigurationError):
        raise
    except MeetingsError as error:
        ti.crm.advance(getattr(error, "retry_after", None) or 0.0)
        return None


class Office:
    """Two tasks of one run that book with the same party at the same moments, and people who meddle."""

    def __init__(self, kind, **options):
        self.kind = kind
        self.crm = kind.crm(**options)
        self.tis = [TaskInstance(self.crm, name, task_id=name) for name in ("task a", "task b")]
        self.asked = [None, None]
        self.foreign = {}
        self.crm.advance(10.0)

    def body(self, task, variant):
        """The payloads of the two tasks differ in a field that comes back."""
        return self.kind.body(self.kind.counterpart(1), variant, ("phone", "virtual")[task])

    def play(self, step):
        """Take one step."""
        if isinstance(step, Wait):
            self.crm.advance(step.seconds)
        elif isinstance(step, Try):
            if step.clear:
                self.tis[step.task].clear()
            self.asked[step.task] = step.variant
            self.attempt(step.task, step.luck)
        elif not self.tis[step.task].outcome_unknown:
            self.meddle(step)

    def meddle(self, step):
        """Do what somebody else does, within the limits of the promise."""
        owner = self.tis[step.task].owner
        if step.what == "delete":
            self.crm.remove(owner)
        elif step.what == "cancel":
            self.crm.cancel(owner)
        elif step.what == "edit":
            self.crm.touch(owner, location="moved by hand", **{self.crm.date: 1_796_500_000_000 + step.variant})
        else:
            row = self.crm.insert(self.body(step.task, step.variant), "human")
            self.foreign[row["id"]] = dict(row["body"])
            self.crm.advance(10.0)

    def attempt(self, task, luck=None):
        """Try a task, and hold the invariant where it succeeds."""
        ti, body = self.tis[task], self.body(task, self.asked[task])
        booking = until_done(lambda: attempt(ti, body), ti) if luck is None else attempt(ti, body, luck)
        if booking is not None:
            row = check(self.crm, ti.owner, body)
            assert row["id"] == booking.meeting["id"]
            assert not ti.outcome_unknown
        untouched = {row["id"]: row["body"] for row in self.crm.owned("human")}
        assert untouched == self.foreign

    def end(self):
        """Let what is left arrive, then try what was ever tried for a last time, until it finds all as it is."""
        for settled in (60.0, 90_000.0):
            for task, variant in enumerate(self.asked):
                if variant is not None:
                    self.attempt(task)
            self.crm.advance(settled)
        for task, variant in enumerate(self.asked):
            if variant is not None:
                ti, body = self.tis[task], self.body(task, variant)
                assert until_done(lambda ti=ti, body=body: attempt(ti, body), ti).outcome == "unchanged"
        owners = {row["owner"] for row in self.crm.rows.values()} - {"human", "cancelled"}
        assert owners == {ti.owner for ti, variant in zip(self.tis, self.asked, strict=True) if variant is not None}


def play(kind, history, **options):
    """Play a history to its end."""
    office = Office(kind, **options)
    for step in history:
        office.play(step)
    office.end()


@histories(1200)
@imagined(
    st.lists(steps(), min_size=1, max_size=8), st.sampled_from([60.0, 60.0, 5.0]), st.sampled_from([0, 3700, -90])
)
def test_builder_prime_has_one_meeting_a_task_instance(history, max_wait, skew):
    """Whatever happens to tries, requests and meetings, each task instance has one meeting on Builder Prime."""
    play(BP, history, max_wait=max_wait, skew=skew)


@histories(900)
@imagined(
    st.lists(steps(), min_size=1, max_size=8),
    st.sampled_from([86_400.0, 86_400.0, 300.0]),
    st.sampled_from([0, -90, 3700]),
)
def test_hiringcenter_has_one_meeting_a_task_instance(history, window, skew):
    """Whatever happens to tries, requests and meetings, each task instance has one meeting on HiringCenter."""
    play(HC, history, window=window, skew=skew)


# -- mapped tasks


@dataclasses.dataclass(frozen=True)
class Run:
    """A try of the task instance at an index."""

    index: int
    luck: Luck


@dataclasses.dataclass(frozen=True)
class Clear:
    """The upstream list changes, and everything is cleared."""

    what: str
    index: int
    variant: int


def mapped_steps():
    """One step of a history of a mapped task."""
    index = st.integers(0, 3)
    runs = st.builds(Run, index, lucks())
    what = st.sampled_from(["turn", "swap", "front", "change", "delete", "cancel"])
    clears = st.builds(Clear, what, index, st.integers(0, 5))
    return st.one_of(runs, runs, runs, clears, clears, st.builds(Wait, WAITS))


class Mapping:
    """A mapped task; its items are with different parties, and each party's meeting is counted."""

    def __init__(self, kind):
        self.kind = kind
        self.crm = kind.crm()
        self.crm.advance(10.0)
        self.tis = []
        self.order = [1, 2, 3]
        self.variant = dict.fromkeys(range(1, 12), 0)
        #: Of each item: the payloads that tries have asked for since the last one that was booked, and where.
        self.asked = {item: set() for item in self.variant}
        self.homes = {item: set() for item in self.variant}
        self.booked = {}
        self.clears = 0

    def ti(self, index):
        """The task instance at an index."""
        while len(self.tis) <= index:
            self.tis.append(TaskInstance(self.crm, map_index=len(self.tis)))
            self.tis[-1].run = self.tis[0].run
        return self.tis[index]

    def body(self, item):
        """What is asked for an item now."""
        return self.kind.body(self.kind.counterpart(item), self.variant[item])

    def moment(self, item, variant):
        """When a payload's meeting takes place."""
        body = self.kind.body(self.kind.counterpart(item), variant)
        return body.get("meetingDate", body.get("startDateTime"))

    def play(self, step):
        """Take one step."""
        if isinstance(step, Wait):
            self.crm.advance(step.seconds)
        elif isinstance(step, Run):
            self.attempt(step.index % len(self.order), step.luck)
        elif step.what in {"delete", "cancel"}:
            take_away = self.crm.remove if step.what == "delete" else self.crm.cancel
            if not any(ti.outcome_unknown for ti in self.tis):
                take_away(str(self.kind.counterpart(self.order[step.index % len(self.order)])))
        else:
            self.clear(step)

    def clear(self, step):
        """Change the list within the limits of the promise, and clear."""
        index = step.index % len(self.order)
        if step.what == "change":
            item = self.order[index]
            variant = visible(step.variant) if self.kind is BP else step.variant
            moved = self.moment(item, variant) != self.moment(item, self.variant[item])
            if not moved and (self.homes[item] <= {index} or self.booked.get(index) == item):
                # What a look-up cannot tell apart is a limit of the promise, and so is another time after a clear.
                self.variant[item] = variant
        elif all(self.asked[item] <= {self.variant[item]} for item in self.order):
            self.crm.advance(400.0)
            if step.what == "turn":
                self.order = self.order[index:] + self.order[:index]
            elif step.what == "swap":
                self.order[0], self.order[index] = self.order[index], self.order[0]
            elif step.what == "front":
                self.order = [max(self.order) + 1, *self.order] if max(self.order) < 8 else self.order
            self.booked = {}
        self.ti(0).clear()

    def attempt(self, index, luck=None):
        """Try an index, and hold the invariant where it succeeds."""
        item, ti = self.order[index], self.ti(index)
        self.asked[item].add(self.variant[item])
        self.homes[item].add(index)
        booking = (
            until_done(lambda: attempt(ti, self.body(item)), ti) if luck is None else attempt(ti, self.body(item), luck)
        )
        if booking is not None:
            self.asked[item] = {self.variant[item]}
            self.booked[index] = item
            row = check(self.crm, str(self.kind.counterpart(item)), self.body(item))
            assert row["id"] == booking.meeting["id"]

    def end(self):
        """Run every index undisturbed."""
        self.crm.advance(400.0)
        for index in range(len(self.order)):
            self.attempt(index)
        self.crm.advance(400.0)
        for item in self.order:
            check(self.crm, str(self.kind.counterpart(item)), self.body(item))
        assert len([row for row in self.crm.rows.values() if row["owner"] != "cancelled"]) == len(self.order)


@histories(800)
@imagined(st.sampled_from(KINDS), st.lists(mapped_steps(), max_size=10))
def test_mapped_items_keep_their_meetings(kind, history):
    """Orders change, lists grow, payloads are fixed and cleared: each item has one meeting, and it stays its own."""
    mapping = Mapping(kind)
    for step in history:
        mapping.play(step)
    mapping.end()


@pytest.mark.parametrize("kind", KINDS)
def test_each_step_may_be_the_last_one(kind):
    """A create and an update, killed before each of their steps in turn, twice in a row, leave one meeting."""
    for first in range(12):
        for second in range(16):
            tries = [Try(0, 0, Luck(kill=first), clear=False), Try(0, 3, Luck(kill=second), clear=False)]
            play(kind, tries)
