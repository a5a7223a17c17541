"""Where the promise ends: what happens in the histories that cannot be told apart from others, said precisely."""

from types import SimpleNamespace

import pytest

from airflow_provider_meetings.exceptions import MeetingConflictError
from tests.support.model import BP, HC, Luck, TaskInstance, alone

DEAD = {"hiringcenter": Luck(kill=4), "builderprime": Luck(kill=5)}


def lost(kind, crm, **facts):
    """A task instance whose try died when its create had been acted on."""
    ti = TaskInstance(crm, **facts)
    assert ti.attempt(kind.body(), DEAD[kind.name]) is None
    assert len(crm.rows) == 1
    return ti


def mapped(crm, count):
    """Task instances of one mapped task in one run, after a clear."""
    tis = [TaskInstance(crm, "mapped", map_index=index) for index in range(count)]
    for ti in tis:
        ti.run = tis[0].run
    return tis


def test_two_candidates_are_a_loud_failure_and_nothing_is_sent():
    """An equal meeting was booked by somebody else beside a lost create: both are named, and nothing is made."""
    crm = BP.crm()
    ti = lost(BP, crm, owner="task")
    other = crm.insert(BP.body(), "human")["id"]
    for _ in range(2):
        crm.advance(60.0)
        with pytest.raises(MeetingConflictError, match=f"1, {other}"):
            ti.attempt(BP.body())
    assert len(crm.rows) == 2
    del crm.rows[str(other)]
    assert ti.attempt(BP.body()).outcome == "adopted"


def test_two_candidates_after_the_keys_life_are_a_loud_failure():
    """The same on HiringCenter, once the key may have been forgotten."""
    crm = HC.crm()
    ti = lost(HC, crm, owner="task")
    crm.insert(HC.body(), "human")
    crm.advance(90_000.0)
    with pytest.raises(MeetingConflictError, match="cannot be told"):
        ti.attempt(HC.body())
    assert len(crm.rows) == 2


@pytest.mark.parametrize("kind", [HC, BP])
def test_what_people_book_during_the_run_is_left_alone_after_a_clear(kind):
    """Two equal meetings were booked by somebody during the run, and no map index knows of them: one more is made."""
    crm = kind.crm()
    tis = mapped(crm, 2)
    crm.advance(10.0)
    for _ in range(2):
        crm.insert(kind.body(), "human")
    tis[0].clear()
    assert tis[1].attempt(kind.body()).outcome == "created"
    assert len(crm.rows) == 3


def test_equal_creates_of_two_runs_that_are_lost_at_once_are_not_told_apart():
    """Builder Prime: a create was lost, and another run made an equal meeting at once; it is taken for the lost one."""
    crm = BP.crm()
    first, second = TaskInstance(crm, "run 1"), TaskInstance(crm, "run 2")
    second.facts.run_id = "run 2"
    assert first.attempt(BP.body(), Luck(kill=5, writes=("lost",))) is None
    made = second.attempt(BP.body())
    crm.advance(60.0)
    booking = first.attempt(BP.body())
    assert (booking.outcome, booking.meeting["id"]) == ("adopted", made.meeting["id"])


@pytest.mark.parametrize("kind", [HC, BP])
def test_what_another_run_makes_long_after_a_lost_create_is_not_taken_for_it(kind):
    """The next try comes after another run has made an equal meeting: it is named, and neither adopted nor doubled."""
    crm = kind.crm()
    first, second = TaskInstance(crm, "run 1"), TaskInstance(crm, "run 2")
    second.facts.run_id = "run 2"
    assert first.attempt(kind.body(), Luck(kill=DEAD[kind.name].kill, writes=("lost",))) is None
    crm.advance(90_000.0)  # longer than a key lives
    second.attempt(kind.body())
    with pytest.raises(MeetingConflictError, match="cannot be told"):
        first.attempt(kind.body())
    assert len(crm.rows) == 1


@pytest.mark.parametrize("kind", [HC, BP])
def test_a_lost_create_is_told_from_what_another_run_makes_long_after_it(kind):
    """It has arrived, and another run made an equal meeting much later: the one of its time is adopted."""
    crm = kind.crm()
    first, second = lost(kind, crm, owner="run 1"), TaskInstance(crm, "run 2")
    (own,) = crm.rows.values()
    second.facts.run_id = "run 2"
    crm.advance(90_000.0)
    second.attempt(kind.body())
    assert first.attempt(kind.body()).meeting["id"] == own["id"]
    assert len(crm.rows) == 2


def test_equal_creates_of_two_runs_that_both_arrive_are_a_loud_failure():
    """Builder Prime: the lost create has arrived as well; both meetings are named, and nothing is sent."""
    crm = BP.crm()
    first = lost(BP, crm, owner="run 1")
    second = TaskInstance(crm, "run 2")
    second.facts.run_id = "run 2"
    crm.insert(BP.body(), "run 2")
    crm.advance(60.0)
    with pytest.raises(MeetingConflictError, match="1, 2"):
        first.attempt(BP.body())
    assert len(crm.rows) == 2


def test_a_key_tells_that_what_looks_alike_after_a_clear_is_somebody_elses():
    """HiringCenter knows of no such key in this run, so none of two equal meetings is its own: it makes one."""
    crm = HC.crm()
    tis = mapped(crm, 2)
    crm.advance(10.0)
    for _ in range(2):
        crm.insert(HC.body(), "human")
    tis[0].clear()
    tis[1].attempt(HC.body())
    assert len(crm.rows) == 3


def test_a_date_of_creation_that_tells_nothing_does_not_matter_after_a_clear():
    """A vendor tells the day only, so that an equal meeting may be from before the run: no map index has made it."""
    crm = HC.crm()
    row = crm.insert(HC.body(), "human")
    row["created"] -= row["created"] % 86_400_000
    crm.advance(10.0)
    (ti,) = mapped(crm, 1)
    crm.advance(90_000.0)  # longer than the vendor keeps a key, which would tell
    ti.clear()
    assert ti.attempt(HC.body()).outcome == "created"
    assert len(crm.rows) == 2


def test_a_date_of_creation_that_tells_nothing_is_a_loud_failure_in_a_loop():
    """The same in an iteration of a loop, where no other map index tells: nobody adopts it."""
    crm = HC.crm()
    row = crm.insert(HC.body(), "human")
    row["created"] -= row["created"] % 86_400_000
    crm.advance(10.0)
    (ti,) = mapped(crm, 1)
    ti.loop = SimpleNamespace(index=0)
    crm.advance(90_000.0)
    ti.clear()
    with pytest.raises(MeetingConflictError, match="cannot be told"):
        ti.attempt(HC.body())
    assert len(crm.rows) == 1


def test_two_candidates_are_a_loud_failure_in_a_loop():
    """Of two equal meetings that were made since the run began nothing tells which one an iteration has made."""
    crm = HC.crm()
    crm.advance(10.0)
    (ti,) = mapped(crm, 1)
    ti.loop = SimpleNamespace(index=0)
    crm.advance(90_000.0)
    for _ in range(2):
        crm.insert(HC.body(), "human")
    crm.advance(10.0)
    ti.clear()
    with pytest.raises(MeetingConflictError, match="cannot be told"):
        ti.attempt(HC.body())
    assert len(crm.rows) == 2


def test_an_edit_under_a_live_key_is_settled():
    """HiringCenter replays what a lost create made, so that somebody's edit of it does not hide it."""
    crm = HC.crm()
    ti = lost(HC, crm, owner="task")
    crm.touch("task", location="elsewhere", meetingDate=1_796_500_000_000)
    ti.attempt(HC.body(variant=3))
    assert len(crm.rows) == 1


def test_an_edit_hides_what_a_lost_create_made():
    """On Builder Prime nothing tells whose an edited meeting is: it is left alone, and one more is made."""
    crm = BP.crm()
    ti = lost(BP, crm, owner="human")  # whose it is cannot be told, not even by this test's invariant
    crm.touch("human", title="edited")
    crm.advance(60.0)
    assert ti.attempt(BP.body()).outcome == "created"
    assert sorted(row["body"]["title"] for row in crm.rows.values()) == ["Visit", "edited"]


def test_an_equal_booking_stands_in_for_a_create_that_did_not_happen():
    """Somebody books the equal meeting after the look and the create is lost: it is taken for the task's own."""
    crm, ti = alone(BP)
    assert ti.attempt(BP.body(), Luck(kill=5, writes=("lost",))) is None
    crm.insert(BP.body(), "human")
    assert ti.attempt(BP.body()).outcome == "adopted"
    assert len(crm.rows) == 1


def test_whom_a_booked_meeting_is_with_cannot_be_changed():
    """HiringCenter updates everything but the prospect: another one is a loud failure, and nothing is made."""
    crm, ti = alone(HC)
    ti.attempt(HC.body("p1"))
    with pytest.raises(MeetingConflictError, match="with somebody else"):
        ti.attempt(HC.body("p2"))
    assert len(crm.rows) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("kind", [HC, BP])
def test_a_list_that_grows_at_the_front_with_one_party_moves_nobodys_meeting(kind, order):
    """The new first item fails loudly instead of taking the meeting of the one that it pushed back."""
    crm = kind.crm()
    tis = mapped(crm, 2)
    first = tis[0].attempt(kind.body(variant=0))
    before = {number: dict(row["body"]) for number, row in crm.rows.items()}
    crm.advance(100.0)
    tis[0].clear()
    bodies = (kind.body(variant=3), kind.body(variant=0))
    bookings = {}
    for index in order:
        try:
            bookings[index] = tis[index].attempt(bodies[index])
        except MeetingConflictError as error:
            bookings[index] = error
    assert isinstance(bookings[0], MeetingConflictError)
    assert "idempotency_key" in str(bookings[0])
    assert bookings[1].meeting["id"] == first.meeting["id"]
    assert {number: dict(row["body"]) for number, row in crm.rows.items()} == before


def test_two_equal_items_share_a_meeting_on_hiringcenter():
    """An item without a key of its own is its payload: HiringCenter makes one meeting of two equal ones."""
    crm = HC.crm()
    bookings = [ti.attempt(HC.body()) for ti in mapped(crm, 2)]
    assert len({booking.meeting["id"] for booking in bookings}) == 1
    assert len(crm.rows) == 1
