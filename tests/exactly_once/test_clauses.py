"""Directed histories: one for each thing that the protocol must get right, and one for each bug that it had."""

import contextlib
import datetime as dt
import json
from types import SimpleNamespace

import pytest

from airflow_provider_meetings.exactly_once.journal import Decision
from airflow_provider_meetings.exactly_once.keys import key_for
from airflow_provider_meetings.exactly_once.siblings import BOOKINGS_KEY
from airflow_provider_meetings.exactly_once.task_state import CREATED_KEY
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsInDoubtError,
    MeetingsPermissionError,
    MeetingsServerError,
    MeetingsTransportError,
    MeetingValidationError,
)
from tests.support.model import BP, FAIR, GATEWAYS, HC, IN_FLIGHT, KINDS, NOON, Late, Luck, TaskInstance, alone, check
from tests.support.store import StateStore

DEAD_AFTER_SENDING = {"hiringcenter": Luck(kill=4), "builderprime": Luck(kill=5)}


@pytest.fixture(params=KINDS, ids=repr)
def kind(request):
    """Each of the two vendors."""
    return request.param


@pytest.fixture
def crm(kind):
    """An empty vendor."""
    return kind.crm()


@pytest.fixture
def ti(crm):
    """A task instance that has not been tried."""
    return TaskInstance(crm, "task")


def creates(crm):
    """The creates that reached the vendor."""
    return [request for request in crm.sent if request.method == "POST" and request.path == crm.collection]


def changes(crm):
    """The updates that reached the vendor."""
    return [request for request in crm.sent if request.method == "POST" and request.path != crm.collection]


def record(ti):
    """What the journal has of the item that was tried last."""
    journal = ti.journal
    return journal["records"][journal["last"]]


def dead(ti, body, kind, *writes):
    """A try that is killed when its create has gone out; the fault says what became of the create."""
    assert ti.attempt(body, Luck(kill=DEAD_AFTER_SENDING[kind.name].kill, writes=writes)) is None
    assert ti.outcome_unknown


def patiently(ti, body, luck=FAIR):
    """Try it, and go on after a wait without a worker's slot, as the operator does."""
    try:
        return ti.attempt(body, luck)
    except MeetingsInDoubtError as doubt:
        ti.crm.advance(doubt.retry_after)
        return ti.attempt(body, luck)


# -- the journal


def test_the_journal_is_written_before_a_create_is_sent(kind, crm, ti):
    """Killed at the very step that sends, a try leaves payload and key in the journal and nothing at the vendor."""
    before_sending = DEAD_AFTER_SENDING[kind.name].kill - 1
    assert ti.attempt(kind.body(), Luck(kill=before_sending)) is None
    assert record(ti)["pending_create"]["body"] == kind.body()
    assert record(ti)["pending_create"]["key"] == "dag/run/book"
    assert creates(crm) == []


def test_the_payload_is_dropped_once_the_id_is_known(kind, crm, ti):
    """Meetings hold people's data: the journal keeps digests and names of fields of what is settled."""
    body = kind.body(variant=3)
    booking = ti.attempt(body)
    assert record(ti)["id"] == booking.meeting["id"]
    assert record(ti)["pending_create"] is None
    assert "Main Street" not in str(ti.store.values)
    check(crm, "task", body)


def test_a_store_that_cannot_be_written_sends_nothing(kind, crm, ti):
    """The API server is away: the try fails before its create is sent."""

    def away(*_, **__):
        raise ConnectionError("the API server is away")

    ti.store.set, kept = away, ti.store.set
    with pytest.raises(ConnectionError):
        ti.attempt(kind.body())
    assert creates(crm) == []
    ti.store.set = kept
    assert ti.attempt(kind.body()).outcome == "created"


def test_a_store_that_is_slow_is_waited_for_once_more(kind, crm, ti):
    """However long the journal takes to be written, the create goes out, and its times in the journal are right."""
    dead_after = Luck(kill=DEAD_AFTER_SENDING[kind.name].kill + 3, save=9.0, writes=("lost",))
    assert ti.attempt(kind.body(), dead_after) is None
    assert record(ti)["pending_create"]["in_flight_until"] >= crm.now - 0.3 + crm.retry_limits.in_flight
    crm.advance(30.0)
    assert ti.attempt(kind.body(), Luck(save=9.0)) is not None
    check(crm, "task", kind.body())


@pytest.mark.parametrize("fault", [None, "lost"], ids=["it was acted on", "it was lost"])
def test_the_next_try_finds_out_what_became_of_a_create(kind, crm, ti, fault):
    """A try that died after sending is settled by the next one: adopted or made, and told in the log."""
    dead(ti, kind.body(), kind, fault)
    booking = ti.attempt(kind.body())
    check(crm, "task", kind.body())
    assert not ti.outcome_unknown
    assert ti.story[0].startswith("A previous try sent a create")
    assert booking.outcome == ("adopted" if fault is None or kind is HC else "created")


@pytest.mark.parametrize("status", GATEWAYS)
@pytest.mark.parametrize("killed", [False, True])
def test_a_gateways_answer_does_not_say_that_nothing_happened(kind, crm, ti, status, killed):
    """The vendor acts and a gateway answers in its own words: the create stays unknown, and is found out about."""
    after_answer = DEAD_AFTER_SENDING[kind.name].kill + 1
    luck = Luck(kill=after_answer if killed else None, writes=(f"{status} after",), reads=(None, *["lost"] * 9))
    with contextlib.suppress(MeetingsError):
        patiently(ti, kind.body(), luck)
    assert len(crm.owned("task")) == 1
    if ti.journal["records"]["dag/run/book"]["id"] is None:
        assert ti.outcome_unknown
    patiently(ti, kind.body())
    check(crm, "task", kind.body())
    assert not ti.outcome_unknown


@pytest.mark.parametrize("status", [status for status in GATEWAYS if status != 429])
def test_a_gateway_may_answer_before_the_vendor_has_acted(kind, crm, ti, status):
    """A page that comes at once, and a create that is carried out long after it: one meeting."""
    for _ in range(6):
        with contextlib.suppress(MeetingsError):
            ti.attempt(kind.body(), Luck(writes=(Late(IN_FLIGHT - 1.0, status),)))
        crm.advance(20.0)
    crm.advance(100.0)
    check(crm, "task", kind.body())
    assert len(crm.rows) == 1


@pytest.mark.parametrize("status", GATEWAYS)
def test_a_gateways_answer_to_a_change_leaves_it_on_its_way(kind, crm, ti, status):
    """Another change waits until the first can no longer arrive, and undoes whatever it has done."""
    ti.attempt(kind.body())
    fault = Late(IN_FLIGHT - 5.0, status)
    with contextlib.suppress(MeetingsError):
        ti.attempt(kind.body(variant=3), Luck(writes=(fault,) * 5))
    assert record(ti)["pending_update"]
    patiently(ti, kind.body(variant=5))
    crm.advance(100.0)
    check(crm, "task", kind.body(variant=5))


def test_a_create_in_flight_is_waited_for(crm, ti, kind):
    """A request that arrives long after its sender died makes the one meeting there is."""
    dead(ti, kind.body(), kind, Late(IN_FLIGHT - 0.1))
    for _ in range(6):
        with contextlib.suppress(MeetingsServerError, MeetingsInDoubtError):
            ti.attempt(kind.body())
        crm.advance(20.0)
    crm.advance(100.0)
    check(crm, "task", kind.body())
    assert len(crm.rows) == 1


@pytest.mark.parametrize("save", [0.05, 0.99])
def test_a_create_that_left_late_is_waited_for_as_long(save):
    """The journal says when it was written, not when the request left, up to a second later."""
    crm, ti = alone(BP)
    dead_after = Luck(kill=5, writes=(Late(IN_FLIGHT - 0.05),), save=save)
    assert ti.attempt(BP.body(), dead_after) is None
    crm.advance(IN_FLIGHT - 0.45)
    ti.attempt(BP.body(), Luck(save=save))
    crm.advance(100.0)
    check(crm, "task", BP.body())


def test_what_arrives_while_the_list_is_on_its_way_is_not_overlooked():
    """A list tells what was there when it was asked for, not when it was read."""
    for fraction in range(40):
        crm = BP.crm()
        ti = TaskInstance(crm, "task")
        assert ti.attempt(BP.body(), Luck(kill=5, writes=(Late(IN_FLIGHT - 0.01),), save=0.99)) is None
        crm.advance(IN_FLIGHT - 0.3 - fraction * 0.02)
        ti.attempt(BP.body())
        crm.advance(100.0)
        check(crm, "task", BP.body())


@pytest.mark.parametrize("kill", range(14))
def test_a_try_may_die_while_it_settles(kind, crm, ti, kill):
    """A kill at any step of the settling of a kill leaves the next try with the same task."""
    dead(ti, kind.body(), kind)
    ti.attempt(kind.body(), Luck(kill=kill))
    ti.attempt(kind.body(variant=5))
    check(crm, "task", kind.body(variant=5))


def test_what_was_settled_is_written_down_at_once():
    """A try that settles and then fails has told the journal whose meeting it is, whatever becomes of it then."""
    crm, ti = alone(BP)
    dead(ti, BP.body(), BP)
    with pytest.raises(MeetingsServerError):
        ti.attempt(BP.body(), Luck(reads=(None, *["500 before"] * 5)))
    crm.touch("task", title="edited")
    assert ti.attempt(BP.body()).outcome == "updated"
    check(crm, "task", BP.body())


def test_a_wait_that_is_too_long_for_a_worker_is_left_to_the_next_try():
    """With little `max_wait` the doubt is an error that says for how long, and nothing is sent meanwhile."""
    crm, ti = alone(BP, max_wait=1.0)
    with pytest.raises(MeetingsInDoubtError) as caught:
        ti.attempt(BP.body(), Luck(writes=(Late(30.0),)))
    assert len(creates(crm)) == 1
    crm.advance(caught.value.retry_after)
    assert ti.attempt(BP.body()).outcome == "adopted"
    check(crm, "task", BP.body())


# -- both vendors


@pytest.mark.parametrize("skew", [0, -61, -3700, 3700])
@pytest.mark.parametrize("tells_time", [True, False])
def test_a_vendors_clock_that_differs_makes_no_replay_of_a_fresh_create(kind, skew, tells_time):
    """A vendor's clock is compared with itself: a create is a create, and is not read once more."""
    crm = kind.crm(skew=skew)
    crm.tells_time = tells_time
    assert TaskInstance(crm, "task").attempt(kind.body()).outcome == "created"
    looks = [request.path for request in crm.sent if request.method == "GET"]
    assert looks == ([crm.collection] if kind is BP else [])


@pytest.mark.parametrize("skew", [0, -3700, 3700])
def test_a_replay_is_noticed_whatever_the_vendors_clock_shows(skew):
    """The journal is gone, and the vendor answers a create with a meeting of some minutes ago: it is read."""
    crm, ti = alone(HC, skew=skew)
    ti.attempt(HC.body())
    crm.touch("task", meetingType="changed by hand")
    ti.store.values.clear()
    crm.advance(300.0)
    ti.attempt(HC.body())
    check(crm, "task", HC.body())


def test_hiringcenter_is_sent_the_same_bytes_under_the_same_key():
    """What settles a lost create is that very create."""
    crm, ti = alone(HC)
    dead(ti, HC.body(), HC)
    ti.attempt(HC.body(variant=3))
    first, second = creates(crm)
    assert (first.body, first.idempotency_key) == (second.body, second.idempotency_key)
    check(crm, "task", HC.body(variant=3))


@pytest.mark.parametrize("fault", [None, "lost"], ids=["it was acted on", "it was lost"])
def test_hiringcenter_is_looked_at_once_the_key_may_have_expired(fault):
    """Past the key's life the same create would make a second meeting, so that it is looked for."""
    crm = HC.crm()
    crm.insert(HC.body(), "human")
    crm.advance(600.0)
    ti = TaskInstance(crm, "task")
    dead(ti, HC.body(), HC, fault)
    crm.advance(86_400.0)
    assert ti.attempt(HC.body()).outcome == ("created" if fault else "adopted")
    check(crm, "task", HC.body())
    assert len(creates(crm)) == 1


def test_a_key_is_not_trusted_to_live_while_a_settling_takes_its_time():
    """A settling that begins in the last minutes of a key may end after it: it looks instead of sending."""
    crm, ti = alone(HC, max_wait=60.0, timeout=30.0)
    dead(ti, HC.body(), HC)
    crm.advance(86_400.0 - 100.0)
    with pytest.raises(MeetingsTransportError):
        ti.attempt(HC.body(), Luck(writes=("timeout",) * 5, reads=("timeout",) * 5))
    ti.attempt(HC.body(), Luck(writes=("timeout", "timeout", "timeout", "timeout", None)))
    check(crm, "task", HC.body())


def test_a_keys_life_is_counted_from_the_first_send():
    """Repeats do not make a key younger: what counts is when it was first used."""
    crm, ti = alone(HC, window=300.0)
    with pytest.raises(MeetingsTransportError):
        ti.attempt(HC.body(), Luck(writes=("answer lost", "timeout", "timeout", "timeout", "timeout")))
    assert ti.attempt(HC.body()).outcome == "adopted"
    assert len(creates(crm)) == 1
    check(crm, "task", HC.body())


def test_a_short_life_of_keys_does_not_shorten_the_flight_of_a_request():
    """With keys that are forgotten at once, a lost create is looked for until it cannot arrive any more."""
    crm, ti = alone(HC, window=10.0, max_wait=1.0)
    dead(ti, HC.body(), HC, Late(40.0))
    with pytest.raises(MeetingsInDoubtError) as caught:
        ti.attempt(HC.body())
    crm.advance(caught.value.retry_after)
    assert ti.attempt(HC.body()).outcome == "adopted"
    check(crm, "task", HC.body())


@pytest.mark.parametrize("fault", ["answer lost", "lost", "false after", "500 before"])
def test_look_alikes_from_before_are_left_alone(kind, crm, ti, fault):
    """Equal meetings that were there before are neither adopted nor changed."""
    before = [crm.insert(kind.body(), "human")["id"] for _ in range(2)]
    crm.advance(10.0)
    dead(ti, kind.body(), kind, fault)
    booking = ti.attempt(kind.body())
    assert booking.meeting["id"] not in before
    check(crm, "task", kind.body())
    assert len(crm.owned("human")) == 2


def in_doubt(fault="answer lost"):
    """A lost create of Builder Prime's beside equal meetings that somebody has made since; and the candidates."""
    crm, ti = alone(BP)
    dead(ti, BP.body(), BP, fault)
    for _ in range(1 if fault == "answer lost" else 2):
        crm.insert(BP.body(), "human")
    crm.advance(IN_FLIGHT + 1)
    with pytest.raises(MeetingConflictError) as caught:
        ti.attempt(BP.body())
    return crm, ti, caught.value.candidates


def test_meetings_that_cannot_be_told_apart_are_named_by_the_error():
    """The error carries the candidates as the vendor returned them, for whoever has to decide."""
    crm, _, candidates = in_doubt()
    assert 2 == len(candidates)
    assert {str(meeting["id"]) for meeting in candidates} <= set(map(str, crm.rows))


def test_what_a_person_chooses_is_adopted_and_nothing_is_sent():
    """The meeting that was chosen is this task's own from then on; the other one is left alone."""
    crm, ti, candidates = in_doubt()
    chosen, sent = str(candidates[0]["id"]), len(creates(crm))
    booking = ti.attempt(BP.body(), decision=Decision(chosen, "ann"))
    assert (chosen, "adopted") == (str(booking.meeting["id"]), booking.outcome)
    assert sent == len(creates(crm))
    assert ti.attempt(BP.body()).outcome == "unchanged"
    assert 2 == len(crm.rows)


def test_a_decision_outlives_a_kill():
    """It is written down before anything else is done: the next try does not ask again."""
    crm, ti, candidates = in_doubt()
    chosen = str(candidates[1]["id"])
    assert ti.attempt(BP.body(), Luck(kill=0), Decision(chosen, "ann")) is None
    assert chosen == str(ti.attempt(BP.body()).meeting["id"])
    assert ti.journal["decision"] is None
    assert 2 == len(crm.rows)


def test_another_meeting_is_made_once_where_a_person_wants_that():
    """The doubt is settled with it; what becomes of the new create is a question of its own."""
    crm, ti, _ = in_doubt("lost")
    assert ti.attempt(BP.body(), decision=Decision(None, "ann")).outcome == "created"
    assert 3 == len(crm.rows)
    assert ti.journal["decision"] is None
    assert ti.attempt(BP.body()).outcome == "unchanged"


def test_a_decision_about_a_meeting_that_is_no_candidate_decides_nothing():
    """Somebody has deleted or changed it meanwhile: the doubt remains, and nothing is sent."""
    crm, ti, _ = in_doubt()
    sent = len(creates(crm))
    with pytest.raises(MeetingConflictError):
        ti.attempt(BP.body(), decision=Decision("999999", "ann"))
    assert sent == len(creates(crm))


def test_a_key_that_may_not_read_is_told_which_scope_is_missing():
    """Without meetings.read nothing can be settled: the error names the scope, and nothing is sent a second time."""
    crm, ti = alone(BP)
    dead(ti, BP.body(), BP)
    crm.deny.add("meetings.read")
    for _ in range(3):
        with pytest.raises(MeetingsPermissionError, match=r"meetings\.read"):
            ti.attempt(BP.body())
    assert len(creates(crm)) == 1
    crm.deny.clear()
    assert ti.attempt(BP.body()).outcome == "adopted"
    check(crm, "task", BP.body())


def test_a_key_that_may_not_read_makes_nothing():
    """What could not be settled is not begun."""
    crm = BP.crm()
    crm.deny.add("meetings.read")
    with pytest.raises(MeetingsPermissionError, match=r"meetings\.read"):
        TaskInstance(crm, "task").attempt(BP.body())
    assert creates(crm) == []


# -- converge


def test_the_same_again_writes_nothing(kind, crm, ti):
    """A clear of a task that has succeeded, with nothing changed, reads and writes nothing."""
    ti.attempt(kind.body())
    ti.clear()
    assert ti.attempt(kind.body()).outcome == "unchanged"
    assert len(creates(crm)) == 1
    assert changes(crm) == []


@pytest.mark.parametrize("variant", range(1, 6))
def test_a_changed_payload_changes_the_same_meeting(kind, crm, ti, variant):
    """A fix and a clear, or a template with now(), update; what is asked no more is cleared, seen or unseen."""
    made = ti.attempt(kind.body())
    ti.clear()
    booking = ti.attempt(kind.body(variant=variant))
    assert (booking.outcome, booking.meeting["id"]) == ("updated", made.meeting["id"])
    check(crm, "task", kind.body(variant=variant))
    ti.attempt(kind.body())
    check(crm, "task", kind.body())


@pytest.mark.parametrize("fault", [None, "lost", Late(20.0), "500 after", "429", "false before"])
@pytest.mark.parametrize("mapped", [False, True])
def test_a_payload_with_now_in_it_is_one_meeting(kind, fault, mapped):
    """A payload that is another one each time never meets a 409, nor makes a second meeting."""
    crm, ti = alone(kind, max_wait=5.0, map_index=3 if mapped else -1)
    for number in range(5):
        body = {**kind.body(variant=3), "location": f"made at {number}"}
        try:
            ti.attempt(body, Luck(writes=(fault,), kill=(5, 9, None, 7, None)[number]))
        except MeetingConflictError:
            raise
        except MeetingsError:
            crm.advance(50.0)
        assert len(crm.rows) <= 1
    crm.advance(60.0)
    ti.attempt(body)
    check(crm, "task", body)


def late_change(kind, crm, **options):
    """A task instance whose try was killed while a change to variant 3 was on its way, for most of its time."""
    ti = TaskInstance(crm, "task")
    ti.attempt(kind.body())
    sent = len(crm.sent)
    for kill in range(20):
        assert ti.attempt(kind.body(variant=3), Luck(kill=kill, writes=(Late(IN_FLIGHT - 0.1),), **options)) is None
        if any(request.method == "POST" for request in crm.sent[sent:]):
            return ti
    raise AssertionError("it never sends")


@pytest.mark.parametrize("save", [0.05, 9.0])
def test_a_change_in_flight_does_not_undo_a_later_one(kind, crm, save):
    """A killed try's change that arrives long after its sender died is waited for before another one is sent."""
    ti = late_change(kind, crm, save=save)
    if save > 1:
        crm.advance(IN_FLIGHT - 1.0)
    assert patiently(ti, kind.body(variant=5)).outcome == "updated"
    crm.advance(100.0)
    check(crm, "task", kind.body(variant=5))


def test_a_send_that_was_repeated_does_not_undo_a_later_change(kind, crm, ti):
    """The first send of a change is lost on the way, the second is answered: the first may come after the next try."""
    ti.attempt(kind.body())
    assert ti.attempt(kind.body(variant=3), Luck(writes=(Late(IN_FLIGHT - 5.0),))).outcome == "updated"
    assert patiently(ti, kind.body(variant=5)).outcome == "updated"
    crm.advance(100.0)
    check(crm, "task", kind.body(variant=5))


def test_the_same_change_again_does_not_wait(kind, crm):
    """A retry that asks for what is on its way already need not wait for it."""
    ti = late_change(kind, crm)
    before = crm.now
    assert ti.attempt(kind.body(variant=3)).outcome == "updated"
    assert crm.now - before < 5
    crm.advance(100.0)
    check(crm, "task", kind.body(variant=3))


def test_a_change_in_flight_for_too_long_frees_the_slot(kind):
    """With little `max_wait`, the doubt says for how long, and nothing is sent meanwhile."""
    crm = kind.crm(max_wait=1.0)
    ti = late_change(kind, crm)
    sent = len(changes(crm))
    with pytest.raises(MeetingsInDoubtError) as caught:
        ti.attempt(kind.body(variant=5))
    assert len(changes(crm)) == sent
    crm.advance(caught.value.retry_after)
    ti.attempt(kind.body(variant=5))
    crm.advance(100.0)
    check(crm, "task", kind.body(variant=5))


def test_a_change_that_is_refused_is_not_waited_for(kind, crm, ti):
    """A definite no: the next try may send another change at once."""
    ti.attempt(kind.body())
    with pytest.raises(MeetingValidationError):
        ti.attempt(kind.body(variant=3), Luck(writes=("refused",)))
    before = crm.now
    assert ti.attempt(kind.body(variant=5)).outcome == "updated"
    assert crm.now - before < 5
    check(crm, "task", kind.body(variant=5))


@pytest.mark.parametrize("lag", [0.5, 2.5])
def test_a_meeting_that_is_not_seen_everywhere_yet_is_not_made_again(kind, crm, ti, monkeypatch, lag):
    """A vendor whose copies lag behind answers 404 for a moment: the meeting is looked for once more."""
    dead(ti, kind.body(), kind)
    serve, until = crm.serve, crm.now + lag

    def lagging(request, *, refused):
        single = request.method == "GET" and request.path != crm.collection
        missing = 404, json.loads(crm.complaint("NOT_FOUND"))
        return missing if single and crm.now < until else serve(request, refused=refused)

    monkeypatch.setattr(crm, "serve", lagging)
    assert ti.attempt(kind.body()).outcome == "adopted"
    check(crm, "task", kind.body())


def normalising(crm, monkeypatch, *names, whole=True):
    """A vendor that keeps some fields in a form of its own, which is no equal of what was sent."""
    shape = crm.shape

    def tidied(row):
        stored = shape(row)
        return stored | {name: f"~{stored[name]}~" for name in names if stored.get(name)}

    monkeypatch.setattr(crm, "shape", tidied)
    if not whole:
        serve = crm.serve

        def partly(request, *, refused):
            status, content = serve(request, refused=refused)
            writes = request.method == "POST" and status < 300
            name = "item" if "item" in content else "data"
            return status, {**content, name: {"id": content[name]["id"]}} if writes else content

        monkeypatch.setattr(crm, "serve", partly)


@pytest.mark.parametrize("whole", [True, False])
def test_what_the_vendor_writes_its_own_way_is_changed_once_at_most(kind, crm, ti, monkeypatch, whole):
    """A field that never comes back as it was sent does not make each try write anew, and an edit is still noticed."""
    normalising(crm, monkeypatch, "location", whole=whole)
    for _ in range(2):
        ti.attempt(kind.body(variant=3))
    written = len(changes(crm))
    for _ in range(3):
        assert ti.attempt(kind.body(variant=3)).outcome == "unchanged"
    assert len(changes(crm)) == written <= 1
    crm.touch("task", location="elsewhere")
    assert ti.attempt(kind.body(variant=3)).outcome == "updated"
    check(crm, "task", kind.body(variant=3))


# -- what looks alike


@pytest.mark.parametrize("fault", [None, "lost"])
def test_an_older_meeting_that_was_moved_here_is_not_adopted(fault):
    """An equal meeting that was made long before the create was only moved: it is nobody's but its owner's."""
    crm = BP.crm()
    row = crm.insert(BP.body() | {"startDateTime": NOON - 3_600_000}, "human")
    crm.advance(86_400.0)
    ti = TaskInstance(crm, "task")
    dead(ti, BP.body(), BP, fault)
    row["body"]["startDateTime"] = NOON
    crm.advance(60.0)
    if fault is None:
        assert ti.attempt(BP.body()).outcome == "adopted"
        check(crm, "task", BP.body())
    else:
        with pytest.raises(MeetingConflictError, match=f"meetings {row['id']}"):
            ti.attempt(BP.body())
        assert len(crm.rows) == 1


def test_clocks_that_differ_do_not_hide_a_lost_create():
    """The worker that settles has another clock than the one that sent: the date of creation is a second witness."""
    crm, ti = alone(BP)
    crm.now += 300.0  # the first worker is five minutes ahead of everybody
    crm.skew = -300.0
    dead(ti, BP.body(), BP)
    crm.skew = 0.0
    crm.advance(600.0)
    assert ti.attempt(BP.body()).outcome == "adopted"
    check(crm, "task", BP.body())


@pytest.mark.parametrize("unit", [1000, 60_000])
@pytest.mark.parametrize("past", [317, 29_700, 30_317, 59_999])
@pytest.mark.parametrize("rounds", [False, True])
def test_a_start_that_the_vendor_keeps_to_the_second_or_minute_is_found(unit, past, rounds):
    """A start with milliseconds, as of now(), comes back cut or rounded: the lost create is found all the same."""
    crm, ti = alone(BP)
    body = BP.body() | {"startDateTime": NOON + past}
    insert = crm.insert

    def keep(given, owner):
        moment = given["startDateTime"] + (unit // 2 if rounds else 0)
        return insert(given | {"startDateTime": moment // unit * unit}, owner)

    crm.insert = keep
    dead(ti, body, BP)
    assert ti.attempt(body).outcome == "adopted"
    assert len(crm.rows) == 1


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("A title  with\tspaces ", "a title with spaces"),
        ("Smith & Sons' <roof>", "Smith &amp; Sons&#39; &lt;roof&gt;"),
        ("Café", "Cafe\u0301"),
        ("x" * 300, "x" * 255),
        ("Visit \U0001f600 5", "Visit ? 5"),
        ("Visit \U0001f600 5", "Visit"),
        ("<b>d'Or</b>", "d\u2019Or"),
    ],
    ids=["tidied", "escaped", "decomposed", "cut", "without emoji", "cut at an emoji", "without tags"],
)
def test_a_text_that_the_vendor_keeps_its_own_way_is_found(monkeypatch, sent, stored):
    """A title comes back tidied, escaped, in another normal form, or cut: the lost create is found all the same."""
    crm, ti = alone(BP)
    shape = crm.shape
    monkeypatch.setattr(crm, "shape", lambda row: shape(row) | {"title": stored})
    body = BP.body() | {"title": sent}
    dead(ti, body, BP)
    assert ti.attempt(body).outcome == "adopted"
    assert len(crm.rows) == 1


@pytest.mark.parametrize("mapped", [False, True])
def test_a_wait_in_the_same_try_does_not_forget_whose_meeting_it_is(mapped):
    """After a deferral a template is rendered anew in the same try: it is the same task instance all the same."""
    crm, ti = alone(BP, max_wait=1.0, map_index=0 if mapped else -1)
    with pytest.raises(MeetingsInDoubtError):
        ti.attempt(BP.body(), Luck(writes=(Late(30.0),)))
    ti.facts.try_number -= 1
    crm.advance(50.0)
    assert ti.attempt(BP.body(variant=3)).outcome == "updated"
    check(crm, "task", BP.body(variant=3))


@pytest.mark.parametrize("how", ["known", "lost"])
def test_a_meeting_that_was_deleted_is_made_again_once(kind, crm, ti, how):
    """Somebody deletes the meeting, known to the journal or not yet: the next try makes it once more, and only once."""
    if how == "known":
        ti.attempt(kind.body())
    else:
        dead(ti, kind.body(), kind)
    crm.remove("task")
    ti.clear()
    ti.attempt(kind.body(), Luck(kill=7))
    ti.attempt(kind.body())
    check(crm, "task", kind.body())
    assert ti.attempt(kind.body()).outcome == "unchanged"


@pytest.fixture
def cancelling(monkeypatch):
    """Builder Prime with meetings that are cancelled and stay in the list."""
    crm = BP.crm()
    shape = crm.shape
    monkeypatch.setattr(
        crm, "shape", lambda row: shape(row) | {"isMeetingCancelled": bool(row["touched"].get("cancelled"))}
    )
    return crm


def test_a_cancelled_meeting_is_one_that_is_gone(cancelling):
    """Somebody cancels the task's meeting: the next try makes it again, once."""
    ti = TaskInstance(cancelling, "task")
    ti.attempt(BP.body())
    (row,) = cancelling.owned("task")
    row["touched"]["cancelled"], row["owner"] = True, "human"
    ti.clear()
    assert ti.attempt(BP.body()).outcome == "created"
    check(cancelling, "task", BP.body())
    assert ti.attempt(BP.body()).outcome == "unchanged"


@pytest.mark.parametrize("fault", [None, "lost"])
def test_a_cancelled_look_alike_is_not_adopted(cancelling, fault):
    """A create is lost, and its equal is there, cancelled: it is nobody's."""
    ti = TaskInstance(cancelling, "task")
    dead(ti, BP.body(), BP, fault)
    cancelling.insert(BP.body(), "human")["touched"]["cancelled"] = True
    assert patiently(ti, BP.body()).outcome == ("created" if fault else "adopted")
    check(cancelling, "task", BP.body())


def test_an_edit_by_hand_is_taken_back(kind, crm, ti):
    """What a try asks for is what is there afterwards, whatever somebody did to it."""
    ti.attempt(kind.body(variant=3))
    crm.touch("task", location="elsewhere", **{crm.date: NOON - 1})
    assert ti.attempt(kind.body(variant=3)).outcome == "updated"
    check(crm, "task", kind.body(variant=3))


@pytest.mark.parametrize("luck", [Luck(kill=3), Luck(kill=4), Luck(kill=5), Luck(writes=("500 after",) * 5)], ids=repr)
@pytest.mark.parametrize("variant", range(1, 6))
def test_a_change_that_was_not_seen_to_end_is_taken_back_whole(kind, crm, ti, variant, luck):
    """A, then B whose update is not answered, then A again: nothing of B stays, not even what does not come back."""
    ti.attempt(kind.body())
    with contextlib.suppress(MeetingsServerError):
        assert ti.attempt(kind.body(variant=variant), luck) is None
    patiently(ti, kind.body())
    check(crm, "task", kind.body())


def test_a_change_that_speaks_of_what_is_not_there_makes_no_second_meeting(kind, crm, ti, monkeypatch):
    """A 404 to an update need not mean the meeting: it is read, and being there it is not made again."""
    ti.attempt(kind.body())
    missing = 404, {"error": "Not found", "message": "no such employee", "success": False, "errors": ["no"]}
    serve = crm.serve

    def no_such_employee(request, *, refused):
        updates = request.method == "POST" and request.path != crm.collection
        return missing if updates else serve(request, refused=refused)

    monkeypatch.setattr(crm, "serve", no_such_employee)
    with pytest.raises(MeetingNotFoundError):
        ti.attempt(kind.body(variant=5))
    assert len(crm.rows) == 1
    monkeypatch.undo()
    ti.attempt(kind.body(variant=5))
    check(crm, "task", kind.body(variant=5))


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("killed", [False, True])
def test_a_refused_payload_is_forgotten(kind, crm, ti, status, killed):
    """A payload that the vendor refuses, at once or when a killed try is settled, is not pinned onto the next try."""
    envelope = {"error": "no", "message": "no", "success": False, "errors": [{"code": "NO", "message": "no"}]}
    crm.refuse = lambda body: (status, envelope) if body.get(crm.date) == NOON else None
    if killed:
        dead(ti, kind.body(), kind, "lost")
        crm.advance(60.0)
    with pytest.raises((MeetingValidationError, MeetingNotFoundError)):
        ti.attempt(kind.body())
    assert not ti.outcome_unknown
    ti.clear()
    assert ti.attempt(kind.body(variant=3 if kind is BP else 1)).outcome == "created"
    check(crm, "task", kind.body(variant=3 if kind is BP else 1))


def test_a_fix_of_whom_a_meeting_is_with_counts_from_then_on(kind, crm, ti):
    """The first payload was refused for the prospect: the one that was booked is the one that later tries compare."""
    with pytest.raises(MeetingValidationError):
        ti.attempt(kind.body(kind.counterpart(8)), Luck(writes=("refused",)))
    ti.attempt(kind.body(kind.counterpart(9)))
    assert ti.attempt(kind.body(kind.counterpart(9), variant=3)).outcome == "updated"
    check(crm, "task", kind.body(kind.counterpart(9), variant=3))


def test_a_conflict_is_never_got_past_with_a_new_key():
    """The journal is gone and the payload another: the vendor's 409 stays an error, try after try."""
    crm, ti = alone(HC)
    ti.attempt(HC.body())
    ti.store.values.clear()
    for _ in range(3):
        with pytest.raises(MeetingConflictError):
            ti.attempt(HC.body(variant=3))
    assert len(crm.rows) == 1
    ti.attempt(HC.body())
    check(crm, "task", HC.body())


@pytest.mark.parametrize("luck", [FAIR, Luck(writes=("refused",)), Luck(kill=5), Luck(writes=("500 after",) * 5)])
def test_a_clear_of_a_task_in_any_state_ends_with_one_meeting(kind, crm, ti, luck):
    """Finished, failed or running when it is cleared: the next try ends with the one meeting."""
    for variant in (0, 0, 3):
        try:
            patiently(ti, kind.body(variant=variant), luck)
        except (MeetingValidationError, MeetingsServerError):
            crm.advance(1.0)
        ti.clear()
    patiently(ti, kind.body(variant=5))
    check(crm, "task", kind.body(variant=5))


# -- mapped tasks


def mapped(kind, crm, count):
    """Task instances of one mapped task in one run; they are counted by whom their meetings are with."""
    tis = [TaskInstance(crm, map_index=index) for index in range(count)]
    for ti in tis:
        ti.run = tis[0].run
    return tis, lambda number, variant=0: kind.body(kind.counterpart(number), variant)


@pytest.mark.parametrize("order", [(2, 1, 3), (3, 1, 2), (9, 1, 2, 3), (3, 2, 1), (2, 3)])
def test_a_list_that_changes_its_order_moves_nobodys_meeting(kind, crm, order):
    """After a clear each item keeps its meeting, at whatever index it is now, and a new one gets its own."""
    crm.advance(10.0)
    tis, body = mapped(kind, crm, 4)
    ids = {number: ti.attempt(body(number)).meeting["id"] for ti, number in zip(tis, (1, 2, 3), strict=False)}
    crm.advance(100.0)
    tis[0].clear()
    for ti, number in zip(tis, order, strict=False):
        booking = ti.attempt(body(number))
        assert booking.meeting["id"] == ids.get(number, booking.meeting["id"])
    assert len(crm.rows) == len({1, 2, 3, *order})
    assert changes(crm) == []


def test_a_create_that_another_items_try_left_unknown_is_not_mistaken_for_this_ones(kind, crm):
    """At the map index of a lost create there is another item now: each gets its own meeting, and both only one."""
    crm.advance(10.0)
    tis, body = mapped(kind, crm, 2)
    dead(tis[0], body(1), kind)
    crm.advance(60.0)
    tis[0].clear()
    assert tis[0].attempt(body(2)).outcome == "created"
    assert tis[1].attempt(body(1)).outcome == "adopted"
    tis[0].clear()
    crm.advance(60.0)
    assert [ti.attempt(body(number)).outcome for ti, number in zip(tis, (1, 2), strict=True)] == ["adopted"] * 2
    for number in (1, 2):
        check(crm, str(kind.counterpart(number)), body(number))
    assert len(crm.rows) == 2


def test_an_item_that_was_moved_and_deleted_is_made_again(kind, crm):
    """The vendor may still know the key under which another map index made it: what it replays is looked at."""
    crm.advance(10.0)
    tis, body = mapped(kind, crm, 2)
    tis[0].attempt(body(1))
    crm.remove(str(kind.counterpart(1)))
    tis[0].clear()
    tis[1].attempt(body(1))
    check(crm, str(kind.counterpart(1)), body(1))


@pytest.mark.parametrize(("cleared", "variant"), [(False, 3), (False, 2), (True, 2)])
def test_a_mapped_payload_that_is_fixed_changes_the_same_meeting(kind, crm, cleared, variant):
    """The same map index is the same item; after a clear, if it is the same one to meet at the same time."""
    crm.advance(10.0)
    (ti,), body = mapped(kind, crm, 1)
    made = ti.attempt(body(1))
    if cleared:
        ti.clear()
    booking = ti.attempt(body(1, variant))
    assert (booking.outcome, booking.meeting["id"]) == ("updated", made.meeting["id"])
    check(crm, str(kind.counterpart(1)), body(1, variant))


@pytest.mark.parametrize("loop", [None, SimpleNamespace(index=0)])
def test_a_fix_of_what_does_not_come_back_is_made(loop):
    """After a clear, a payload that differs in what Builder Prime does not show is no other map index's meeting."""
    crm = BP.crm()
    crm.advance(10.0)
    (ti,), body = mapped(BP, crm, 1)
    ti.loop = loop
    ti.attempt(body(1, 0))
    ti.clear()
    assert ti.attempt(body(1, 1)).outcome == "updated"
    check(crm, "1", body(1, 1))


def test_nobody_elses_meeting_is_adopted_by_a_retry(kind, crm):
    """Somebody books an equal meeting during the run; a retry that had sent nothing makes its own."""
    (ti,), body = mapped(kind, crm, 1)
    assert ti.attempt(body(1), Luck(kill=0)) is None
    crm.insert(body(1), "human")
    crm.advance(10.0)
    ti.attempt(body(1))
    check(crm, str(kind.counterpart(1)), body(1))
    assert len(crm.rows) == 2


@pytest.mark.parametrize("loop", [None, SimpleNamespace(index=0)])
def test_what_was_booked_before_a_run_of_an_old_date_is_left_alone(kind, crm, loop):
    """A run with a logical date of last year began today: an equal meeting of yesterday is not its own."""
    crm.insert(kind.body(kind.counterpart(1)), "human")
    crm.advance(86_400.0)
    (ti,), body = mapped(kind, crm, 1)
    ti.run.logical_date = ti.run.run_after - dt.timedelta(days=365)
    ti.loop = loop
    ti.clear()
    assert ti.attempt(body(1)).outcome == "created"
    assert len(crm.owned("human")) == 1


def backfilled(crm, run_id):
    """A mapped task instance of a backfill's run: due long ago, begun now."""
    ti = TaskInstance(crm, run_id, map_index=0)
    ti.facts.run_id = run_id
    ti.run.run_type = "backfill"
    ti.run.start_date = dt.datetime.fromtimestamp(crm.now, dt.UTC)
    ti.run.run_after -= dt.timedelta(days=90)
    return ti


def cleared(ti):
    """Clear it: the run gets a new start."""
    ti.clear()
    ti.run.start_date = dt.datetime.fromtimestamp(ti.crm.now, dt.UTC)


@pytest.mark.parametrize("loop", [None, SimpleNamespace(index=0)])
def test_another_runs_meeting_is_not_adopted_after_a_clear_of_a_backfill(kind, crm, loop):
    """Two runs of a backfill ask for equal meetings; the second, refused and cleared, makes one of its own."""
    crm.advance(10.0)
    first = backfilled(crm, "run 1")
    first.attempt(kind.body())
    crm.advance(300.0)
    second = backfilled(crm, "run 2")
    second.loop = loop
    with contextlib.suppress(MeetingsError):
        second.attempt(kind.body(), Luck(writes=("refused",)))
    crm.advance(300.0)
    cleared(second)
    second.attempt(kind.body())
    check(crm, "run 1", kind.body())
    check(crm, "run 2", kind.body())


@pytest.mark.parametrize("loop", [None, SimpleNamespace(index=0)])
@pytest.mark.parametrize("given_key", [None, "visit"])
def test_what_an_overlapping_run_has_made_is_not_adopted_after_a_clear(given_key, loop):
    """HiringCenter: the key tells whose meeting it is, whatever another run has made since this one began."""
    crm = HC.crm()
    crm.advance(10.0)
    first, second = (TaskInstance(crm, run_id, map_index=0) for run_id in ("run 1", "run 2"))
    for ti, run_id in ((first, "run 1"), (second, "run 2")):
        ti.facts.run_id, ti.loop = run_id, loop
        ti.given = given_key and f"{given_key}/{ti.facts.run_id}"
    crm.advance(60.0)
    second.attempt(HC.body())
    crm.advance(60.0)
    cleared(first)
    first.attempt(HC.body())
    assert len(crm.rows) == 2


def test_what_may_be_another_runs_is_never_adopted_without_knowing_when_this_one_began(kind, crm):
    """In a loop no XCom tells: a map index that is new after the clear of a backfill fails loudly and sends nothing."""
    crm.advance(10.0)
    backfilled(crm, "run 1").attempt(kind.body())
    crm.advance(300.0)
    second = backfilled(crm, "run 2")
    second.loop = SimpleNamespace(index=0)
    cleared(second)
    with pytest.raises(MeetingConflictError, match="cannot be told"):
        second.attempt(kind.body())
    assert len(crm.rows) == 1


# -- what the other map indexes of a run say of theirs


def siblings(crm, run_id, count):
    """Task instances of a mapped task of a run, of which Airflow knows from the beginning."""
    tis = [TaskInstance(crm, run_id, map_index=index) for index in range(count)]
    for ti in tis:
        ti.facts.run_id, ti.run = run_id, tis[0].run
        ti.begin()
    return tis


def test_a_new_item_after_a_clear_does_not_take_an_equal_meeting_of_another_run(kind, crm):
    """The list of a cleared run has grown; another run has made an equal meeting meanwhile: each has its own."""
    crm.advance(10.0)
    first, second = siblings(crm, "run 1", 2), siblings(crm, "run 2", 1)
    first[0].attempt(kind.body(kind.counterpart(2)))
    second[0].owner = "new item of run 2"
    second[0].attempt(kind.body())
    crm.advance(60.0)
    cleared(first[0])
    first[0].attempt(kind.body(kind.counterpart(2)))
    first[1].owner = "new item of run 1"
    first[1].attempt(kind.body())
    check(crm, "new item of run 1", kind.body())
    check(crm, "new item of run 2", kind.body())


def test_a_moved_item_finds_its_meeting_beside_an_equal_one_of_another_run():
    """Builder Prime, after a clear with another order: the map index that made it says which of the two it is."""
    crm = BP.crm()
    crm.advance(10.0)
    first, second = siblings(crm, "run 1", 2), siblings(crm, "run 2", 1)
    made = first[0].attempt(BP.body())
    second[0].attempt(BP.body())
    crm.advance(60.0)
    cleared(first[0])
    assert first[1].attempt(BP.body()).meeting["id"] == made.meeting["id"]
    assert len(crm.rows) == 2


def test_a_moved_item_is_found_by_its_id_where_somebody_has_edited_it():
    """Builder Prime: no look-up would find it; another map index knows its id, and it is put back as asked for."""
    crm = BP.crm()
    crm.advance(10.0)
    tis = siblings(crm, "run 1", 2)
    made = tis[0].attempt(BP.body())
    crm.touch("run 1", title="edited")
    cleared(tis[0])
    booking = tis[1].attempt(BP.body())
    assert (booking.outcome, booking.meeting["id"]) == ("updated", made.meeting["id"])


def test_a_moved_item_whose_change_is_not_settled_is_found():
    """Builder Prime: the map index that had it was killed while it changed it; no digest tells, and it is adopted."""
    crm = BP.crm()
    crm.advance(10.0)
    tis = siblings(crm, "run 1", 2)
    made = tis[0].attempt(BP.body(variant=0))
    assert tis[0].attempt(BP.body(variant=1), Luck(writes=("answer lost",), kill=6)) is None
    crm.advance(300.0)
    cleared(tis[0])
    assert tis[1].attempt(BP.body(variant=0)).meeting["id"] == made.meeting["id"]
    assert len(crm.rows) == 1


def test_an_item_waits_for_a_map_index_that_has_not_said_what_it_booked():
    """Builder Prime: Airflow deletes what a try pushed when the next one starts; until it is there nothing is sent."""
    crm = BP.crm()
    crm.advance(10.0)
    tis = siblings(crm, "run 1", 2)
    made = tis[0].attempt(BP.body())
    cleared(tis[0])
    tis[0].run.xcoms["book", 0].xcoms.clear()
    sent = len(creates(crm))
    with pytest.raises(MeetingsInDoubtError, match="Map indexes 0 of this task have not started") as doubt:
        tis[1].attempt(BP.body())
    assert (sent, 15.0) == (len(creates(crm)), doubt.value.retry_after)
    assert not doubt.value.maybe_sent
    tis[0].owner = "another item"
    tis[0].attempt(BP.body(2))
    assert tis[1].attempt(BP.body()).meeting["id"] == made.meeting["id"]


def test_a_try_says_again_what_was_booked_before_it_does_anything_else():
    """Builder Prime: it is killed at its first step, and the other map index finds its meeting all the same."""
    crm = BP.crm()
    crm.advance(10.0)
    tis = siblings(crm, "run 1", 2)
    made = tis[0].attempt(BP.body())
    cleared(tis[0])
    assert tis[0].attempt(BP.body(2), Luck(kill=0)) is None
    assert tis[1].attempt(BP.body()).meeting["id"] == made.meeting["id"]


def test_what_another_map_index_has_booked_for_another_item_is_not_taken_for_a_lost_create():
    """Builder Prime shows no type: two items that differ in it alone look the same, and each keeps its meeting."""
    crm = BP.crm()
    crm.advance(10.0)
    tis = siblings(crm, "run 1", 3)
    dead(tis[0], BP.body(variant=0), BP, "lost")
    crm.advance(1.0)
    tis[1].owner = "the other item"
    other = tis[1].attempt(BP.body(variant=1))
    crm.advance(300.0)
    cleared(tis[0])
    booking = tis[2].attempt(BP.body(variant=0))
    assert (booking.outcome, booking.meeting["id"] != other.meeting["id"]) == ("created", True)


def test_an_item_that_was_lost_made_and_deleted_is_made_again(kind, crm):
    """Another map index did not see the answer to its create; what it made is found, and is gone: one more is made."""
    crm.advance(10.0)
    tis = siblings(crm, "run 1", 2)
    dead(tis[0], kind.body(), kind)
    crm.advance(90_000.0)
    cleared(tis[0])
    tis[1].attempt(kind.body())
    crm.remove("run 1")
    tis[1].attempt(kind.body())
    check(crm, "run 1", kind.body())


def test_what_another_map_index_lost_and_somebody_deleted_is_made_again(kind, crm):
    """HiringCenter repeats its answer to the lost create, whose meeting is gone: asked once, and one more is made."""
    crm.advance(10.0)
    tis = siblings(crm, "run 1", 2)
    dead(tis[0], kind.body(), kind)
    crm.remove("run 1")
    crm.advance(300.0)
    cleared(tis[0])
    assert tis[1].attempt(kind.body()).outcome == "created"
    check(crm, "run 1", kind.body())


@pytest.mark.parametrize("state", ["removed", "skipped", "upstream_failed"])
def test_a_map_index_that_does_not_start_any_more_is_not_waited_for(state):
    """Builder Prime: one that the shorter list has no more, and that has pushed nothing, has sent nothing."""
    crm = BP.crm()
    crm.advance(10.0)
    tis = siblings(crm, "run 1", 2)
    crm.insert(BP.body(), "human")
    tis[0].run.xcoms["book", 0].state = state
    cleared(tis[0])
    assert tis[1].attempt(BP.body()).outcome == "created"
    check(crm, "run 1", BP.body())


def test_an_item_waits_for_a_create_of_another_map_index_that_may_still_arrive():
    """Builder Prime, cleared at once after a kill: the moved item adopts what arrives late, and makes no second one."""
    crm = BP.crm()
    crm.advance(10.0)
    tis = siblings(crm, "run 1", 2)
    dead(tis[0], BP.body(), BP, Late(40.0))
    cleared(tis[0])
    assert patiently(tis[1], BP.body()).outcome == "adopted"
    check(crm, "run 1", BP.body())


def test_an_item_whose_create_is_still_being_worked_on_is_no_conflict():
    """HiringCenter, cleared at once after a kill: the key is in use by another map index that sent the same item."""
    crm = HC.crm()
    crm.advance(10.0)
    tis = siblings(crm, "run 1", 2)
    dead(tis[0], HC.body(), HC, Late(50.0))
    cleared(tis[0])
    with pytest.raises(MeetingsServerError, match="still being processed"):
        tis[1].attempt(HC.body())
    crm.advance(60.0)
    assert tis[1].attempt(HC.body()).outcome == "adopted"
    check(crm, "run 1", HC.body())


def test_an_item_does_not_wait_for_a_create_that_can_no_longer_arrive():
    """Builder Prime: the create of another map index was lost; an equal meeting from before it is somebody else's."""
    crm = BP.crm()
    crm.advance(10.0)
    tis = siblings(crm, "run 1", 2)
    crm.insert(BP.body(), "human")
    crm.advance(10.0)
    dead(tis[0], BP.body(), BP, "lost")
    crm.advance(300.0)
    cleared(tis[0])
    assert tis[1].attempt(BP.body()).outcome == "created"
    check(crm, "run 1", BP.body())


def test_two_equal_items_that_come_to_a_third_index_are_a_loud_failure():
    """Builder Prime: two map indexes say of two meetings that they are this very item's: both are named."""
    crm = BP.crm()
    crm.advance(10.0)
    tis = siblings(crm, "run 1", 3)
    for number, ti in enumerate(tis[:2]):
        ti.owner = f"equal item {number}"
        ti.attempt(BP.body())
    cleared(tis[0])
    with pytest.raises(MeetingConflictError, match="1, 2"):
        tis[2].attempt(BP.body())
    assert len(crm.rows) == 2


def test_what_a_map_index_says_holds_no_personal_data():
    """Ids, digests and moments go to XCom; the payload of a create that was not answered does not."""
    crm = BP.crm()
    (ti,) = siblings(crm, "run 1", 1)
    dead(ti, BP.body(variant=3), BP)
    assert "Main Street" not in ti.run.xcoms["book", 0].xcoms[BOOKINGS_KEY]


def test_a_store_less_item_that_comes_to_a_fresh_index_after_a_clear_is_found():
    """Builder Prime below Airflow 3.3: the first try of a map index after a clear looks for what this run has made."""
    crm = BP.crm()
    crm.advance(10.0)
    tis = siblings(crm, "run 1", 2)
    for ti in tis:
        ti.store = None
    made = tis[0].attempt(BP.body())
    crm.advance(60.0)
    cleared(tis[0])
    assert tis[1].attempt(BP.body()).meeting["id"] == made.meeting["id"]
    assert len(crm.rows) == 1


def test_each_iteration_of_a_loop_is_a_meeting_of_its_own(kind, crm):
    """Airflow 3.4 runs one task several times in one run; its index is a part of the key, and absent outside loops."""
    keys = {key_for(TaskInstance(crm).facts, kind.body(), None, index)[0] for index in (None, 0, 1)}
    assert keys == {"dag/run/book", "dag/run/book/loop-0", "dag/run/book/loop-1"}


def test_iterations_of_a_loop_book_under_keys_of_their_own():
    """Each iteration has a task state store of its own, and asks for the same meeting: HiringCenter gets two keys."""
    crm = HC.crm()
    ti = TaskInstance(crm)
    for index in (0, 1):
        ti.loop, ti.store, ti.owner = SimpleNamespace(index=index), StateStore(), f"iteration {index}"
        ti.attempt(HC.body())
    keys = [one.idempotency_key for one in crm.sent if one.method == "POST"]
    assert keys == ["dag/run/book/loop-0", "dag/run/book/loop-1"]
    assert len(crm.rows) == 2


def test_a_retry_without_a_journal_counts_from_the_start_of_a_late_run():
    """A run that was due last year and is made up for today: what was booked before it started is not its own."""
    crm = BP.crm()
    crm.insert(BP.body(), "human")
    crm.advance(86_400.0)
    ti = TaskInstance(crm, "task")
    ti.run.start_date = dt.datetime.fromtimestamp(crm.now, dt.UTC)
    ti.run.run_after -= dt.timedelta(days=365)
    ti.store = None
    assert ti.attempt(BP.body(), Luck(kill=0)) is None
    crm.advance(300.0)
    assert ti.attempt(BP.body()).outcome == "created"
    check(crm, "task", BP.body())


@pytest.mark.parametrize("length", [511, 512, 513])
def test_a_long_key_of_the_authors_takes_a_new_one_after_a_deletion(length):
    """What is appended for a meeting that is made again does not make the key longer than the vendor takes."""
    crm, ti = alone(HC)
    ti.given = "k" * length
    ti.attempt(HC.body())
    crm.remove("task")
    assert ti.attempt(HC.body()).outcome == "created"
    first, second = creates(crm)
    assert len(second.idempotency_key) <= 512
    assert first.idempotency_key != second.idempotency_key
    check(crm, "task", HC.body())


def test_a_journal_of_another_version_is_not_guessed_at(kind, crm, ti):
    """What another version of the provider has written may mean a meeting: nothing is sent, and the error says why."""
    ti.store.set(CREATED_KEY, {"version": 1, "items": []})
    with pytest.raises(MeetingsConfigurationError, match="version 2"):
        ti.attempt(kind.body())
    assert crm.sent == []


def test_two_tasks_at_one_instant_keep_to_their_own(kind, crm):
    """Two lost creates for the same party at the same moment are told apart by what differs in them."""
    tis = [TaskInstance(crm, name, task_id=name) for name in ("one", "two")]
    bodies = [kind.body(kind.counterpart(1), 0, title) for title in ("phone", "virtual")]
    for ti, body in zip(tis, bodies, strict=True):
        dead(ti, body, kind)
    for ti, body in zip(tis, bodies, strict=True):
        assert ti.attempt(body).outcome == "adopted"
        check(crm, ti.owner, body)
    assert len(crm.rows) == 2


def test_an_item_that_comes_back_to_an_index_where_it_was_refused_is_found(kind, crm):
    """Refused at one map index, made at another after a clear, back at the first: it is the one that was made."""
    crm.advance(10.0)
    tis, body = mapped(kind, crm, 2)
    with contextlib.suppress(MeetingsError):
        tis[0].attempt(body(1), Luck(writes=("refused",)))
    crm.advance(400.0)
    tis[0].clear()
    made = tis[1].attempt(body(1))
    crm.advance(400.0)
    tis[0].clear()
    booking = tis[0].attempt(body(1))
    assert booking.meeting["id"] == made.meeting["id"]
    check(crm, str(kind.counterpart(1)), body(1))
