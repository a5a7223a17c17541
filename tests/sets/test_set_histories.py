"""Histories of a set's tries, faults, kills, changing tables and other people's edits, made up by hypothesis.

Whenever a try ends in success, and at the end of each history after a last try that nothing disturbs:

* each row has exactly one meeting in the scope, equal to what it declares, and no row ever has two at any moment;
* with ``delete_missing``, nothing else is in the scope; without it, what no row asks for is as it was.

The promise has the limits of single meetings (``tests/exactly_once/test_histories.py``), and the histories keep out of
them: while a create is not settled, nobody edits or moves what it may have made, and nobody books an equal meeting.
"""

import dataclasses

import pytest
from hypothesis import given as imagined
from hypothesis import strategies as st

from airflow_provider_meetings.exceptions import MeetingConflictError, MeetingsConfigurationError, MeetingsError
from tests.support.histories import Wait, until_done
from tests.support.model import BP, FAIR, FAULTS, HC, HOUR, IN_FLIGHT, KINDS, NOON, Late, Luck, histories
from tests.support.set_model import FAR_AWAY, Calendar

LATE = st.floats(0.3, IN_FLIGHT, exclude_max=True).map(Late)
PARTIES = st.integers(1, 6)
VARIANTS = st.integers(0, 5)


def lucks():
    """What tries meet with: mostly little, sometimes all at once."""
    fault = st.none() | st.sampled_from(FAULTS) | LATE
    reading = st.none() | st.sampled_from(["lost", "500 before", "429", "garbage after", "unsent"])
    return st.builds(
        Luck,
        kill=st.none() | st.integers(0, 35),
        in_flight=st.lists(st.sampled_from(["lost", "acts"]) | LATE, max_size=4).map(tuple),
        writes=st.lists(fault, max_size=6).map(tuple),
        reads=st.lists(reading, max_size=3).map(tuple),
        save=st.sampled_from([0.05, 0.05, 0.99, 14.0]),
        seed=st.integers(0, 3),
    )


@dataclasses.dataclass(frozen=True)
class Declare:
    """The table becomes another one."""

    table: dict


@dataclasses.dataclass(frozen=True)
class Try:
    """A try of the task."""

    luck: Luck


@dataclasses.dataclass(frozen=True)
class Meddle:
    """Somebody else's doing to a party's meeting."""

    what: str
    party: int
    variant: int


def steps():
    """One step of a history."""
    tables = st.dictionaries(PARTIES, VARIANTS, max_size=6)
    what = st.sampled_from(["edit", "shift", "away", "delete", "cancel", "book"])
    tries = st.builds(Try, lucks())
    waits = st.sampled_from([0.0, 1.0, 20.0, 60.0, 3600.0, 86_390.0, 200_000.0])
    return st.one_of(
        tries,
        tries,
        tries,
        st.builds(Declare, tables),
        st.builds(Meddle, what, PARTIES, VARIANTS),
        st.builds(Wait, waits),
    )


def attempt(calendar, luck=FAIR):
    """Try it; returns what came of it, None where it failed or was killed. Giving up is no way out.

    But for a try that remembers nothing: that a row's key is in use may be its own doing of a moment ago. It fails
    loudly, and somebody clears it later.
    """
    try:
        return calendar.ti.attempt(calendar.rows, luck, delete=calendar.delete)
    except MeetingConflictError:
        if calendar.ti.store is not None or calendar.kind is not HC:
            raise
        calendar.crm.advance(IN_FLIGHT)
        return None
    except MeetingsConfigurationError:
        raise
    except MeetingsError as error:
        calendar.crm.advance(getattr(error, "retry_after", None) or 0.0)
        return None


def meddle(calendar, step):
    """Do what somebody else does, within the limits of the promise."""
    journal = calendar.ti.journal
    if journal["creates"] or any(write["until"] > calendar.crm.now for write in journal["writes"].values()):
        return
    found = calendar.of_party(step.party)
    if step.what == "book":
        if not found:
            calendar.crm.insert(calendar.body(step.party, step.variant), "human")
        return
    for row in found:
        if step.what == "delete":
            del calendar.crm.rows[str(row["id"])]
        elif step.what == "cancel":
            calendar.crm.cancel(row["owner"])
        elif step.what == "edit":
            row["body"]["location"] = f"by hand {step.variant}"
        elif step.what == "shift":
            row["body"][calendar.crm.date] = NOON + step.variant * HOUR
        else:
            row["body"][calendar.crm.date] = FAR_AWAY + step.variant
            row["owner"] = "human"


def play(kind, history, **options):
    """Play a history to its end."""
    calendar = Calendar(kind, **options)
    for step in history:
        if isinstance(step, Wait):
            calendar.crm.advance(step.seconds)
        elif isinstance(step, Declare):
            calendar.declared = dict(step.table)
        elif isinstance(step, Meddle):
            meddle(calendar, step)
        elif attempt(calendar, step.luck) is not None:
            calendar.check()
    for settled in (IN_FLIGHT + 20.0, 90_000.0):
        until_done(lambda: attempt(calendar), calendar.ti)
        calendar.check()
        calendar.crm.advance(settled)
        calendar.check()
    plan, _ = until_done(lambda: attempt(calendar), calendar.ti)
    assert plan.changes == ()
    assert not calendar.ti.journal["creates"]


OPTIONS = st.fixed_dictionaries(
    {"delete": st.booleans(), "match": st.integers(1, 2), "parallel": st.sampled_from([1, 2, 4])}
)


@histories(1200)
@imagined(
    st.lists(steps(), min_size=1, max_size=8), OPTIONS, st.sampled_from([60.0, 60.0, 5.0]), st.sampled_from([0, 3700])
)
def test_builder_prime_has_one_meeting_a_row(history, options, max_wait, skew):
    """Whatever happens to tries, requests and meetings, each row has one meeting on Builder Prime."""
    play(BP, history, **options, max_wait=max_wait, skew=skew)


@histories(1200)
@imagined(st.lists(steps(), min_size=1, max_size=8), OPTIONS, st.sampled_from([86_400.0, 86_400.0, 300.0]))
def test_hiringcenter_has_one_meeting_a_row(history, options, window):
    """Whatever happens to tries, requests and meetings, each row has one meeting on HiringCenter."""
    play(HC, history, **options, window=window)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fate", ["lost", "acts", Late(20.0)], ids=["lost", "acts", "late"])
def test_each_step_may_be_the_last_one(kind, fate):
    """A try that makes, changes and deletes meetings, killed before each of its steps in turn, leaves one a row."""
    for kill in range(70):
        history = [
            Declare(dict.fromkeys(range(1, 7), 0)),
            Try(Luck(kill=kill, in_flight=(fate,) * 4, seed=kill)),
            Declare(dict.fromkeys(range(2, 8), 3)),
            Try(Luck(kill=kill, in_flight=(fate,) * 4, seed=kill)),
        ]
        play(kind, history, delete=True)


def forgetful_steps():
    """One step of a history in which nothing outlives a try: a try, or time that goes by."""
    waits = st.sampled_from([0.0, 1.0, 20.0, 60.0, 3600.0])
    return st.one_of(st.builds(Try, lucks()), st.builds(Try, lucks()), st.builds(Wait, waits))


@pytest.mark.parametrize("kind", KINDS)
@histories(300)
@imagined(st.lists(forgetful_steps(), min_size=1, max_size=6), st.dictionaries(PARTIES, VARIANTS, min_size=1), OPTIONS)
def test_below_airflow_3_3_each_row_has_one_meeting(kind, history, table, options):
    """Without a task state store, rows that stay as they are from try to try have one meeting each."""
    play(kind, [Declare(table), *history], **options, durable=False)
