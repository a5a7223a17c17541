"""Sets of equal rows in runs that overlap: a set's meetings are its window's, not its run's."""

import dataclasses

import pytest
from hypothesis import given as imagined
from hypothesis import strategies as st

from airflow_provider_meetings.exceptions import MeetingConflictError, MeetingsError
from tests.sets.test_set_histories import lucks
from tests.support.model import BP, FAIR, HC, IN_FLIGHT, KINDS, Luck, histories
from tests.support.set_model import Calendar, SetTaskInstance

TABLE = {1: 0, 2: 3, 3: 4}


@dataclasses.dataclass(frozen=True)
class Try:
    """A try of one of the runs."""

    run: int
    luck: Luck


@dataclasses.dataclass(frozen=True)
class Delete:
    """Somebody deletes a party's meeting."""

    party: int


def two_runs(kind, **options):
    """A calendar with the same rows in the tasks of two runs."""
    calendar = Calendar(kind, **options)
    calendar.declared = dict(TABLE)
    tis = [calendar.ti, SetTaskInstance(kind, calendar.crm, calendar.match_on, durable=options.get("durable", True))]
    tis[1].facts.run_id = "another run"
    return calendar, tis


def attempt(calendar, ti, luck=FAIR):
    """Try it; returns the plan and what came of it, or None where it failed or was killed."""
    try:
        return ti.attempt(calendar.rows, luck, delete=calendar.delete)
    except MeetingConflictError:
        if ti.store is not None or calendar.kind is not HC:
            raise  # else a row's key is in use by an earlier try that nothing remembers
    except MeetingsError:
        pass
    return None


def steps():
    """One step of a history."""
    tries = st.builds(Try, st.integers(0, 1), lucks())
    return st.one_of(tries, tries, tries, st.builds(Delete, st.sampled_from(sorted(TABLE))))


@pytest.mark.parametrize("kind", KINDS)
@histories(120)
@imagined(st.lists(steps(), min_size=1, max_size=8), st.booleans(), st.booleans())
def test_runs_that_take_turns_have_one_meeting_a_row_between_them(kind, history, durable, delete):
    """Tries of two runs follow each other, killed and refused: each row has one meeting, which both know."""
    calendar, tis = two_runs(kind, durable=durable, delete=delete)
    for step in history:
        if isinstance(step, Try):
            done = attempt(calendar, tis[step.run], step.luck)
            calendar.crm.advance(IN_FLIGHT + 20.0)
            if done is not None:
                calendar.check()
        elif not any(ti.store is None or ti.journal["creates"] for ti in tis):
            calendar.crm.remove(calendar.owner(step.party))
    for ti in (*tis, *tis):
        for _ in range(8):
            done = attempt(calendar, ti)
            calendar.crm.advance(IN_FLIGHT + 20.0)
            if done is not None:
                break
        calendar.check()
    assert done[0].changes == ()


@pytest.mark.parametrize("pause", [100.0, 3600.0, 90_000.0])
@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_create_whose_row_another_run_has_made_is_no_second_meeting(kind, pause):
    """The create of a killed run never arrived, and another run made the row's meeting later: it is the row's."""
    calendar, (first, second) = two_runs(kind)
    assert first.attempt(calendar.rows, Luck(kill=9, in_flight=("lost",) * 3, writes=("lost",) * 3)) is None
    assert first.journal["creates"]
    calendar.crm.advance(pause)
    second.attempt(calendar.rows)
    plan, _ = first.attempt(calendar.rows)
    assert plan.changes == ()
    calendar.check()


@pytest.mark.parametrize("kind", [HC, BP])
def test_two_runs_that_find_a_row_missing_at_the_same_time_both_make_it_and_the_next_names_them(kind):
    """Both have listed before either has written: the twins are named, and nothing more is written."""
    calendar, (first, second) = two_runs(kind)
    first.owner_of = lambda body: f"first run, {body[calendar.match_on[0]]}"
    hook, context = first.start()
    inner = hook.drive

    def drive(make_call, save=None, **options):
        result = inner(make_call, save, **options)
        if options.get("writes") is False:
            second.attempt(calendar.rows)  # after the list, before the first write
        return result

    hook.drive = drive
    first.go_on((hook, context), calendar.rows)
    assert len(calendar.crm.rows) == 2 * len(TABLE)
    sent = len(calendar.crm.sent)
    with pytest.raises(MeetingConflictError, match="1"):
        first.attempt(calendar.rows)
    assert all(request.method == "GET" for request in calendar.crm.sent[sent:])
