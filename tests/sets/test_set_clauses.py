"""The clauses of sets, one by one: what a plan, its guards, its approval and its application must not do."""

import contextlib
import copy
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsPermissionError,
    MeetingsRejectedError,
    MeetingValidationError,
)
from airflow_provider_meetings.sets.approval import ApprovalStore
from airflow_provider_meetings.sets.keys import RowKeys
from airflow_provider_meetings.sets.run import Resumed, SetRun
from airflow_provider_meetings.sets.task import JOURNAL_KEY
from tests.support.model import BP, FAIR, HC, IN_FLIGHT, KINDS, NOON, BuilderPrimeCrm, Late, Luck
from tests.support.set_model import FAR_AWAY, WINDOW, Calendar
from tests.support.store import Killed, StateStore

both = pytest.mark.parametrize("kind", KINDS, ids=str)


class AskedError(Exception):
    """A person is being asked."""


class People:
    """Notes what people are asked, and what is left behind for them."""

    def __init__(self):
        self.asked = []
        self.noted = []
        self.reported = []

    def check_can_ask(self, argument):
        """Airflow can ask."""

    def check_terms(self):
        """They have any time to answer."""

    def ask(self, subject, body, approval):
        """Note the question."""
        del subject, body
        self.asked.append(approval)
        raise AskedError

    def note_approval(self, approval):
        """Note the approval."""
        self.noted.append(approval)

    def report(self, applied, plan):
        """Note what was done."""
        self.reported.append((applied, plan))


@pytest.fixture
def calendar(kind):
    """Three rows, none of which has a meeting."""
    made = Calendar(kind)
    made.declared = {1: 0, 2: 0, 3: 0}
    return made


def run(calendar, people=None, resumed=None, luck=FAIR, **given):
    """Run one try of the operator's work, on the vendors in memory."""
    usual = {
        "meetings": calendar.rows,
        "match_on": calendar.match_on,
        "filters": None,
        "delete_missing": False,
        "mode": "apply",
        "approval": "never",
        "max_deletes": None,
        "max_changes": None,
        "plan_destination": None,
        "state": None,
        "on_doubt": "fail",
    }
    log = SimpleNamespace(info=lambda *_: None, warning=lambda *_: None)
    hook, context = calendar.ti.start(luck)
    window = (WINDOW.start, WINDOW.end)
    return SetRun(hook, context, log, people or People(), usual | given, window, resumed or Resumed()).execute()


def asked(calendar, people=None, **given):
    """Run a try that asks a person about its plan; return what was asked."""
    people = people or People()
    with pytest.raises(AskedError):
        run(calendar, people, **({"approval": "always"} | given))
    return people.asked[-1]


def killed_in_flight(calendar, table, fate, *, save=0.05):
    """Declare a table of one row, and kill its try when its write is on its way; a save takes so many seconds."""
    for kill in range(2, 20):
        for becomes in ("acts", fate):
            trial = copy.deepcopy(calendar)
            trial.declared = table
            assert trial.ti.attempt(trial.rows, Luck(kill=kill, in_flight=(becomes,), save=save)) is None
            if becomes == "acts" and not writes(trial):
                break
        else:
            return trial
    raise AssertionError("the write was never on its way")


def ends_well(calendar, table=None):
    """Try it, with another table if one is given, let what is on its way arrive, and hold that all is as declared."""
    calendar.declared = table or calendar.declared
    assert calendar.ti.attempt(calendar.rows) is not None
    calendar.crm.advance(60.0)
    calendar.check()


def creates(calendar):
    """The creates that have reached the vendor."""
    return [one for one in calendar.crm.sent if one.method == "POST" and one.path == calendar.crm.collection]


def writes(calendar):
    """The writes that have reached the vendor."""
    return [one for one in calendar.crm.sent if one.method != "GET"]


# -- guards


@both
def test_an_empty_upstream_does_not_empty_a_calendar(calendar):
    """No rows and delete_missing are refused unless max_deletes says that it is meant; nothing is sent."""
    run(calendar)
    sent = len(calendar.crm.sent)
    with pytest.raises(MeetingsConfigurationError, match="must not empty a calendar"):
        run(calendar, meetings=[], delete_missing=True)
    assert sent == len(calendar.crm.sent)
    assert run(calendar, meetings=[], delete_missing=True, max_deletes=3)["deleted"] == 3


@both
@pytest.mark.parametrize("given", [{"max_changes": 2}, {"max_deletes": 0, "delete_missing": True}], ids=str)
def test_a_plan_that_is_too_large_is_refused_before_the_first_write(calendar, given):
    """A plan with more changes, or more deletes, than it may have writes nothing."""
    calendar.crm.insert(calendar.body(5, 0), "human")
    with pytest.raises(MeetingsConfigurationError, match="Nothing was written"):
        run(calendar, **given)
    assert writes(calendar) == []


@both
def test_a_person_may_let_a_plan_through_that_is_too_large(calendar):
    """With on_doubt="ask" a person decides about a plan above its limits; another approval is not enough."""
    given = {"max_changes": 2, "on_doubt": "ask"}
    approved = asked(calendar, approval="never", **given).approved("Ann")
    assert writes(calendar) == []
    with pytest.raises(MeetingsError):
        run(calendar, resumed=Resumed(answered=True, approval=replace(approved, anyway=False)), **given)
    assert writes(calendar) == []
    assert run(calendar, resumed=Resumed(answered=True, approval=approved), **given)["created"] == 3


@both
def test_plan_mode_writes_nothing(calendar):
    """A dry run tells what would be done, and sends reads only."""
    assert run(calendar, mode="plan")["created"] == 3
    assert writes(calendar) == []


@both
def test_two_rows_of_one_meeting_are_refused(calendar):
    """Nothing is sent where two rows are equal in match_on."""
    with pytest.raises(MeetingsConfigurationError, match="equals row 0"):
        run(calendar, meetings=[calendar.body(1, 0), calendar.body(1, 1)])
    assert calendar.crm.sent == []


# -- approval


@both
def test_nothing_is_written_before_a_person_has_approved(calendar):
    """The plan is asked about, and applied when it was approved; then nothing is kept of it."""
    question = asked(calendar)
    assert writes(calendar) == []

    result = run(calendar, resumed=Resumed(answered=True, approval=question.approved("Ann")), approval="always")
    assert result["created"] == 3
    assert ApprovalStore(calendar.ti.store).load() is None


@both
def test_deletes_are_asked_about(calendar):
    """With "deletes" a plan that deletes something is asked about, and one that does not is not."""
    assert run(calendar, approval="deletes")["created"] == 3
    calendar.crm.insert(calendar.body(5, 0), "human")
    asked(calendar, approval="deletes", delete_missing=True)


@both
def test_a_rejected_plan_is_not_applied(calendar):
    """The task fails with who has rejected it; the next one asks anew."""
    resumed = Resumed(answered=True, approval=asked(calendar), rejected="Bob has rejected plan 1a2b")
    with pytest.raises(MeetingsRejectedError, match="Bob has rejected"):
        run(calendar, resumed=resumed, approval="always")
    assert writes(calendar) == []


@both
def test_only_the_approved_plan_is_applied(calendar):
    """Where the meetings have changed since, the try fails and writes nothing."""
    approved = asked(calendar).approved("Ann")
    calendar.crm.insert(calendar.body(1, 3), "human")
    with pytest.raises(MeetingsError, match="have changed since Ann approved"):
        run(calendar, resumed=Resumed(answered=True, approval=approved), approval="always")
    assert writes(calendar) == []


@both
@pytest.mark.parametrize("more", [False, True], ids=["the same", "one row more"])
def test_killed_while_applying_the_next_try_asks_only_about_what_is_new(kind, more):
    """What is left of an approved plan goes on without a question; something that was not approved is asked about."""
    for kill in range(3, 22):
        calendar, people = Calendar(kind, parallel=1, max_wait=90.0), People()
        calendar.declared = {1: 0, 2: 0, 3: 0}
        approved = asked(calendar).approved("Ann")
        with contextlib.suppress(Killed):
            run(calendar, people, Resumed(answered=True, approval=approved), Luck(kill=kill), approval="always")
        calendar.crm.advance(90.0)
        stored = ApprovalStore(calendar.ti.store).load()
        calendar.declared |= {4: 0} if more else {}
        done = len(calendar.in_scope()) == len(calendar.declared)
        asks = not done and (more or stored is None or not stored.begun)
        with pytest.raises(AskedError) if asks else contextlib.nullcontext():
            run(calendar, people, approval="always")
        assert asks == bool(people.asked)
        assert (len(calendar.of_party(4)) == 1) == (more and not asks)


@both
def test_an_approval_that_is_begun_is_stored_so(calendar):
    """Killed right after the first batch is written ahead, the store says that the approved plan is being applied."""
    resumed = Resumed(answered=True, approval=asked(calendar).approved("Ann"))
    with pytest.raises(MeetingsError):
        run(calendar, resumed=resumed, luck=Luck(writes=("500 before",) * 60), approval="always")
    stored = ApprovalStore(calendar.ti.store).load()
    assert (True, "Ann") == (stored.begun, stored.by)


@both
def test_an_approval_is_believed_whole_only(calendar):
    """Parts of another plan's question beside a head that was not rewritten are no approval."""
    asked(calendar)
    store = ApprovalStore(calendar.ti.store)
    part = calendar.ti.store.get("meetings_set_approval_0")
    calendar.ti.store.set("meetings_set_approval_0", part | {"digest": "another plan's"})
    assert store.load() is None


# -- what an earlier try has left


@both
def test_a_lost_create_is_settled_first(calendar):
    """A create that was acted on and not answered is found, and no row gets a second meeting."""
    with pytest.raises(MeetingsError):
        calendar.ti.attempt(calendar.rows, Luck(writes=("answer lost",) + ("lost",) * 30))
    assert calendar.ti.journal["creates"]
    for _ in range(3):
        calendar.crm.advance(60.0)
        if calendar.ti.attempt(calendar.rows) is not None:
            break
    calendar.check()


def test_a_create_in_flight_is_waited_for():
    """On Builder Prime a create that was not seen may still arrive: nothing is sent before it cannot any more."""
    calendar = killed_in_flight(Calendar(BP, max_wait=90.0), {1: 0}, Late(IN_FLIGHT - 2.0))
    assert calendar.ti.journal["creates"]
    assert calendar.ti.attempt(calendar.rows) is not None
    assert len(creates(calendar)) == 1
    calendar.check()


def test_a_create_after_a_slow_journal_is_waited_for_as_long():
    """Where writing the journal takes longer than it allows for, it is written once more before anything is sent."""
    calendar = killed_in_flight(Calendar(BP, max_wait=200.0), {1: 0}, Late(IN_FLIGHT - 1.0), save=14.0)
    ends_well(calendar)
    assert len(creates(calendar)) == 1


def test_a_create_that_cannot_be_settled_stays_in_the_journal():
    """A try that cannot find out what became of a create leaves it to the next one."""
    calendar = killed_in_flight(Calendar(BP), {1: 0}, "acts")
    before = calendar.ti.journal["creates"]
    with pytest.raises(MeetingsError):
        calendar.ti.attempt(calendar.rows, Luck(reads=("500 before",) * 10))
    assert before == calendar.ti.journal["creates"]


@pytest.mark.parametrize(("fate", "made"), [("lost", 0), ("acts", 1), (Late(20.0), 1)], ids=str)
@both
def test_a_lost_create_whose_row_is_gone_is_not_sent_again(kind, fate, made):
    """A row is taken away after the kill: its create is waited for, and no try makes the meeting any more."""
    calendar = killed_in_flight(Calendar(kind, max_wait=90.0), {1: 0}, fate)
    ends_well(calendar, {2: 0})
    assert made == len(calendar.of_party(1))
    assert calendar.ti.journal["creates"] == []


@pytest.mark.parametrize("fate", ["lost", "acts", Late(20.0)], ids=str)
@both
def test_a_lost_create_is_found_out_of_the_new_window(kind, fate):
    """The row and the window move after the kill: what was made in the old one is moved, not made a second time."""
    calendar = killed_in_flight(Calendar(kind, max_wait=90.0), {1: 0}, fate)
    moved = calendar.body(1, 0) | {calendar.crm.date: FAR_AWAY}
    calendar.ti.attempt([moved], window=Window(FAR_AWAY, FAR_AWAY + 1))
    (only,) = calendar.crm.rows.values()
    assert FAR_AWAY == only["body"][calendar.crm.date]


def test_what_looks_like_a_lost_create_may_be_another_rows():
    """A meeting that match_on tells apart is not taken for what a lost create made, which is waited for."""
    calendar = killed_in_flight(Calendar(BP, match=2, max_wait=90.0), {1: 0}, "lost")
    (entry,) = calendar.ti.journal["creates"]
    document = calendar.ti.journal
    document["creates"] = [entry | {"match_key": ["1", "another title"]}]
    calendar.ti.store.set(JOURNAL_KEY, document)
    calendar.crm.insert(calendar.body(1, 0), "human")
    task_story = calendar.ti.story
    calendar.ti.attempt(calendar.rows)
    assert not [line for line in task_story if "has made meeting" in line]
    assert calendar.crm.now >= entry["in_flight_until"]


def test_what_looks_alike_before_a_create_is_never_taken_for_it():
    """A cancelled meeting that equals a row is none, and the journal says that it was there before the create."""
    calendar = Calendar(BP)
    there = calendar.crm.insert(calendar.body(1, 0), "human")
    calendar.crm.shape = lambda row: (
        BuilderPrimeCrm.shape(calendar.crm, row) | {"isMeetingCancelled": row["id"] == there["id"]}
    )
    calendar = killed_in_flight(calendar, {1: 0}, "acts")
    (entry,) = calendar.ti.journal["creates"]
    assert [str(there["id"])] == entry["known"]


@both
def test_an_update_that_would_undo_another_is_waited_for(kind):
    """An update that was not answered arrives late; the next try, which asks for something else, comes after it."""
    calendar = Calendar(kind, max_wait=90.0)
    calendar.crm.insert(calendar.body(1, 0), "human")
    calendar = killed_in_flight(calendar, {1: 2}, Late(20.0))
    assert calendar.ti.journal["writes"]
    ends_well(calendar, {1: 3})


def test_below_airflow_3_3_a_lost_create_is_waited_for():
    """Without a store, a retry on Builder Prime waits once for what an earlier try may have sent."""
    calendar = killed_in_flight(Calendar(BP, durable=False), {1: 0}, Late(20.0))
    ends_well(calendar)
    assert len(creates(calendar)) == 1


@both
def test_below_airflow_3_3_a_row_that_changes_is_an_update(kind):
    """Without a store, a create that was acted on is found by match_on, and changed to what the row is by now."""
    calendar = killed_in_flight(Calendar(kind, durable=False), {1: 2}, "acts")
    calendar.declared = {1: 3}
    plan, _ = calendar.ti.attempt(calendar.rows)
    assert ["update"] == [change.action for change in plan.changes]
    calendar.check()


def test_below_airflow_3_3_a_row_that_changes_while_its_create_is_worked_on_fails_loudly():
    """HiringCenter takes the row's key for another payload's: one meeting at most, and a clear changes it."""
    calendar = killed_in_flight(Calendar(HC, durable=False), {1: 2}, Late(40.0))
    calendar.declared = {1: 3}
    with pytest.raises(MeetingConflictError):
        calendar.ti.attempt(calendar.rows)
    calendar.crm.advance(60.0)
    calendar.ti.attempt(calendar.rows)
    calendar.check()


def test_below_airflow_3_3_a_deleted_meeting_of_a_row_that_changes_fails_loudly():
    """HiringCenter remembers the key of a meeting that somebody has deleted: another payload under it is refused."""
    calendar = Calendar(HC, durable=False)
    calendar.declared = {1: 2}
    calendar.ti.attempt(calendar.rows)
    calendar.crm.rows.clear()
    calendar.declared = {1: 3}
    with pytest.raises(MeetingConflictError):
        calendar.ti.attempt(calendar.rows)


@both
def test_a_remembered_meeting_must_still_be_its_rows(calendar):
    """A meeting that somebody has given to another party is not put back."""
    calendar.declared = {1: 0}
    calendar.ti.attempt(calendar.rows)
    (row,) = calendar.of_party(1)
    row["body"] |= {calendar.match_on[0]: calendar.kind.counterpart(9), calendar.crm.date: FAR_AWAY}
    row["owner"] = "human"
    plan, _ = calendar.ti.attempt(calendar.rows)
    assert ["create"] == [change.action for change in plan.changes]
    assert FAR_AWAY == row["body"][calendar.crm.date]


@both
def test_a_journal_of_another_version_is_refused(calendar):
    """Nothing is sent where another version of the provider has written the journal."""
    calendar.ti.store.set(JOURNAL_KEY, {"version": 99})
    with pytest.raises(MeetingsConfigurationError, match="version 99"):
        calendar.ti.attempt(calendar.rows)
    assert calendar.crm.sent == []


# -- application


@both
def test_deletes_wait_for_everything_else(calendar):
    """No delete is sent in the batch of a create, and none at all where a create was refused."""
    calendar.crm.insert(calendar.body(5, 0), "human")
    _refuse(calendar, 2)
    with pytest.raises(MeetingValidationError, match="did not succeed"):
        calendar.ti.attempt(calendar.rows, delete=True)
    assert "DELETE" not in [one.method for one in calendar.crm.sent]
    assert len(calendar.of_party(1)) == len(calendar.of_party(3)) == 1

    calendar.crm.refuse = lambda _: None
    calendar.ti.attempt(calendar.rows, delete=True)
    methods = [one.method for one in writes(calendar)]
    assert methods.index("DELETE") == len(methods) - 1
    calendar.delete = True
    calendar.check()


@both
def test_a_refused_row_does_not_stop_the_next_batch(calendar):
    """A batch with a refusal in it is followed by the others, whatever the last row is answered with."""
    calendar.ti.parallel = 1
    calendar.declared = dict.fromkeys(range(1, 7), 0)
    _refuse(calendar, 2, 6)
    with pytest.raises(MeetingValidationError):
        calendar.ti.attempt(calendar.rows)
    assert [1, 0, 1, 1, 1, 0] == [len(calendar.of_party(party)) for party in calendar.declared]


@both
def test_what_was_refused_is_sent_under_a_new_key(calendar):
    """HiringCenter may keep a refusal with its key: the next try has another one."""
    calendar.declared = {1: 0}
    for _ in range(2):
        calendar.crm.refuse = lambda _: _refusal(calendar)
        with pytest.raises(MeetingValidationError):
            calendar.ti.attempt(calendar.rows)
    first, second = creates(calendar)
    assert calendar.kind is BP or first.idempotency_key != second.idempotency_key


@both
def test_where_nothing_gets_through_the_rest_is_not_tried(calendar):
    """A vendor that is down is asked for one batch and one row far from it, not for every row."""
    calendar.ti.parallel = 1
    calendar.declared = dict.fromkeys(range(1, 20), 0)
    with pytest.raises(MeetingsError, match="14 more were not tried"):
        calendar.ti.attempt(calendar.rows, Luck(writes=("500 before",) * 400))
    asked = {json.loads(one.body)[calendar.match_on[0]] for one in creates(calendar)}
    assert asked == {calendar.kind.counterpart(party) for party in (1, 2, 3, 4, 19)}


@both
def test_rows_that_the_server_breaks_on_do_not_stop_the_others(calendar):
    """A vendor may refuse a row with 500: after a batch of only such, one row far from it tells that it is not down."""
    calendar.ti.parallel = 1
    calendar.declared = dict.fromkeys(range(1, 13), 0)
    _refuse(calendar, *range(1, 9), status=500)
    with pytest.raises(MeetingsError, match="8 of 12 writes did not succeed, 4 did"):
        calendar.ti.attempt(calendar.rows)
    assert [0] * 8 + [1] * 4 == [len(calendar.of_party(party)) for party in calendar.declared]


@both
def test_a_key_without_the_scope_is_asked_once_a_lane(calendar):
    """Where the key may not write, the writes of a batch that have not begun are not sent."""
    calendar.ti.parallel = 1
    calendar.declared = dict.fromkeys(range(1, 5), 0)
    calendar.crm.deny = {"meetings.create", "meetings.write"} | {_create_scope(calendar)}
    with pytest.raises(MeetingsPermissionError):
        calendar.ti.attempt(calendar.rows)
    assert len(creates(calendar)) == 1


@both
def test_the_journal_fits_into_a_value_of_the_store(calendar):
    """Long notes make shorter batches: Airflow takes values of 64 KB."""
    calendar.ti.parallel = 16
    rows = [calendar.body(party, 0) | {"location": "x" * 2000} for party in range(1, 60)]
    calendar.ti.attempt(rows)  # the driver checks each document's length
    assert len(calendar.in_scope()) == 59


@both
def test_an_update_that_was_repeated_is_remembered(kind):
    """The first send of an update may arrive after the second was answered, and undo what the next try asks for."""
    calendar = Calendar(kind, max_wait=90.0)
    calendar.crm.insert(calendar.body(1, 0), "human")
    calendar.declared = {1: 2}
    assert calendar.ti.attempt(calendar.rows, Luck(writes=(Late(25.0),))) is not None
    assert calendar.ti.journal["writes"]
    ends_well(calendar, {1: 3})


def test_a_meeting_that_is_gone_is_made_again():
    """HiringCenter repeats its answer to the same key, though the meeting was deleted: another key makes it."""
    calendar = Calendar(HC)
    calendar.declared = {1: 0}
    calendar.ti.attempt(calendar.rows)
    calendar.crm.advance(60.0)
    calendar.crm.rows.clear()
    assert calendar.ti.attempt(calendar.rows) is not None
    calendar.check()


@both
def test_a_meeting_that_is_kept_under_another_name_is_told(calendar):
    """A vendor that keeps a field of match_on otherwise than it was sent would get another meeting with each run."""
    calendar = Calendar(HC) if calendar.kind is HC else Calendar(BP, match=2)
    calendar.declared = {1: 0}
    insert = calendar.crm.insert
    calendar.crm.insert = lambda body, owner: insert(body | {calendar.match_on[-1]: "otherwise"}, owner)
    if calendar.kind is BP:  # its create answers with the id only, so that only the next list tells
        calendar.ti.attempt(calendar.rows)
        return
    with pytest.raises(MeetingConflictError, match="No row would find it again"):
        calendar.ti.attempt(calendar.rows)


# -- keys


def test_the_key_of_a_row():
    """It is made of dag, run, task, row, payload, map index and a loop's iteration, and of nothing that changes."""
    calendar = Calendar(HC)
    vendor = calendar.crm.rules()
    facts = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=1, id="1")

    def key(party=1, variant=0, *, iteration=None, durable=True, **changes):
        from airflow_provider_meetings.sets.rows import check_rows  # noqa: PLC0415 - of no use elsewhere

        _, (row,) = check_rows(vendor, [calendar.body(party, variant)], ["prospectId"], window=WINDOW)
        ti = SimpleNamespace(**(vars(facts) | changes))
        return RowKeys.of_task(ti, durable=durable, iteration=iteration).key(row, 1)

    assert key() == key(try_number=2, id="2")
    others = {key(2), key(variant=1), key(map_index=0), key(iteration=0), key(iteration=1), key(task_id="u"), key()}
    assert len(others) == 7
    assert key(durable=False) == key(variant=1, durable=False)


def test_iterations_of_a_loop_send_keys_of_their_own():
    """An iteration that makes a row's meeting again, which somebody has deleted, has a key of its own for it."""
    calendar = Calendar(HC)
    calendar.declared = {1: 0}
    for index in (0, 1):
        calendar.ti.loop, calendar.ti.store = SimpleNamespace(index=index), StateStore()
        calendar.ti.attempt(calendar.rows)
        calendar.crm.rows.clear()
    first, second = (one.idempotency_key for one in creates(calendar))
    assert ("loop-0" in first, "loop-1" in second) == (True, True)


def _refuse(calendar, *parties, status=400):
    refused = {calendar.kind.counterpart(party) for party in parties}
    party = calendar.match_on[0]
    calendar.crm.refuse = lambda body: _refusal(calendar, status) if body[party] in refused else None


def _refusal(calendar, status=400):
    return status, json.loads(calendar.crm.complaint("no"))


def _create_scope(calendar):
    vendor = calendar.crm.rules()
    flow = vendor.create(vendor.check_meeting(calendar.body(1, 0)), idempotency_key="k", known=frozenset())
    command, answer = next(flow), None
    while getattr(command, "method", "") != "POST":
        answer = NOON / 1000 if type(command).__name__ == "Now" else None
        command = flow.send(answer)
    return command.scope
