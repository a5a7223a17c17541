"""What people do in the CRM while a set is applied, and what the next try and the next run know of it."""

import pytest

from airflow_provider_meetings.exceptions import MeetingsAuthError, MeetingsError
from airflow_provider_meetings.operators import set_people
from airflow_provider_meetings.operators.meetings import SyncMeetingsOperator
from tests.support.operators import CONN, context_of, run
from tests.support.sandbox import BUILDERPRIME, DAY, EMPTY_LIST, HIRINGCENTER, NOON

WINDOW = {"window_start": NOON - DAY, "window_end": NOON + DAY}


@pytest.fixture
def row(server, kind):
    """Make rows; each has a party of its own."""
    parties = server.counterparts(kind)

    def make(number, **changes):
        return kind.declared(parties[number], number, **changes)

    return make


def sync(kind, rows, *, context=None, **options):
    """Make and execute an operator."""
    arguments = {"match_on": [kind.counterpart], **WINDOW, **CONN} | options
    operator = SyncMeetingsOperator(task_id="sync", meetings=rows, **arguments)
    return run(operator, context or context_of("sync"))


def context_in_which(edit):
    """Make a context in which somebody edits the CRM once the plan is made, before its first write is sent."""
    context = context_of("sync")
    store = context["task_state_store"]
    keep, edits = store.set, [edit]

    def save(key, value, **more):
        while edits:
            edits.pop()()
        keep(key, value, **more)

    store.set = save
    return context


@pytest.fixture
def replaced(server, connect, kind, row):
    """Two meetings; somebody deletes the first, and books one of nobody's rows, before the first write is sent."""
    connect(kind)
    first = sync(kind, [row(0), row(1)])["ids"]["created"][0]

    def edit():
        server.remove(kind, first)
        server.insert(kind, kind.row(NOON))

    rows = [row(0, location="Here"), row(1, location="There")]
    return rows, context_in_which(edit)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"approval": "deletes"}, "The plan needs an approval. This try does not apply it."),
        ({"max_deletes": 0}, "The plan has 1 deletes, and max_deletes allows 0. This try does not apply it."),
    ],
    ids=["approval", "max_deletes"],
)
def test_a_plan_that_is_made_anew_has_the_same_guards(server, kind, replaced, limits, told, capfd, monkeypatch):  # noqa: PLR0917 - fixtures
    """A meeting is gone by the time it is updated: the new plan deletes one, which nobody has approved or allowed."""
    monkeypatch.setattr(set_people, "check_can_ask", lambda _: None)  # on Airflow 2.11 and 3.0, too: nobody is asked
    rows, context = replaced
    with pytest.raises(MeetingsError) as raised:
        sync(kind, rows, context=context, delete_missing=True, **limits)

    assert type(raised.value) is MeetingsError  # so that the next try plans, and asks, again
    assert "1 of 2 writes did not succeed, 1 did. The next try does what is left." in str(raised.value)
    assert "Nothing was written" not in str(raised.value)
    assert ["created", "created", "updated"] == server.acted()
    assert told in capfd.readouterr().out


def test_a_plan_that_is_made_anew_is_applied_where_nothing_forbids_it(server, kind, replaced):
    """What is gone is made again, what nobody declares is deleted, in the same try; all of it is counted."""
    rows, context = replaced
    result = sync(kind, rows, context=context, delete_missing=True)

    assert [1, 1, 1] == [result[name] for name in ("created", "updated", "deleted")]
    assert ["created", "created", "updated", "created", "deleted"] == server.acted()


def test_a_list_that_is_behind_makes_no_second_meeting(server, connect, kind, row):
    """The plan is made anew from a list that does not have the meetings yet that this try has just made."""
    connect(kind)
    (first,) = sync(kind, [row(0)])["ids"]["created"]
    body = EMPTY_LIST[kind.name].partition(b"\r\n\r\n")[2].decode()
    server.fault("answer", match={"method": "GET", "path_regex": "/(meetings|v1)$"}, status=200, body=body, skip=1)
    rows = [row(0, location="Here"), row(1), row(2)]
    result = sync(kind, rows, context=context_in_which(lambda: server.remove(kind, first)))

    assert [3, 0] == [result[name] for name in ("created", "updated")]
    assert 3 == len(server.meetings(kind))


def test_twins_that_come_up_meanwhile_end_the_try(server, connect, kind, row, capfd):
    """The plan cannot be made anew: what was written already is named as such."""
    connect(kind)
    first, second = sync(kind, [row(0), row(1)])["ids"]["created"]
    stored = "prospectId" if kind is HIRINGCENTER else "opportunityId"

    def edit():
        server.remove(kind, first)
        server.insert(kind, kind.row(NOON, **{stored: row(1)[kind.counterpart]}))

    rows = [row(0, location="Here"), row(1, location="There")]
    with pytest.raises(MeetingsError, match="1 of 2 writes did not succeed, 1 did"):
        sync(kind, rows, context=context_in_which(edit))

    assert "The plan cannot be made anew: It cannot be told which meeting is whose" in capfd.readouterr().out
    assert "There" in [meeting["location"] for meeting in server.meetings(kind) if meeting["id"] == second]


def test_what_was_not_tried_stays_remembered(server, connect, kind, row, tmp_path):
    """Meetings were moved out of the scope, and the key fails half-way: the next try puts the rest back, too."""
    connect(kind, max_parallel_requests=1)
    state = str(tmp_path / "rows.json")
    rows = [row(number) for number in range(8)]
    ids = sync(kind, rows, state=state)["ids"]["created"]
    for meeting_id in ids:
        server.edit(kind.name, meeting_id, **{kind.date: NOON + 30 * DAY})
    server.fault("status", match={"method": "POST"}, status=401, html=False, skip=2)
    with pytest.raises(MeetingsAuthError):
        sync(kind, rows, state=state)
    result = sync(kind, rows, state=state)

    assert [0, 6, 2] == [result[name] for name in ("created", "updated", "unchanged")]
    assert sorted(ids, key=str) == sorted((meeting["id"] for meeting in server.meetings(kind)), key=str)


@pytest.mark.parametrize("kind", [BUILDERPRIME], ids=str)  # the other vendor cancels nothing
def test_a_cancelled_meeting_does_not_hide_one_that_was_moved_away(server, connect, kind, row, tmp_path):
    """The row's first meeting was cancelled, its second moved out of the scope: that one is put back."""
    connect(kind)
    state = str(tmp_path / "rows.json")
    (first,) = sync(kind, [row(0)], state=state)["ids"]["created"]
    server.cancel(kind.name, first)
    (second,) = sync(kind, [row(0)], state=state)["ids"]["created"]
    server.edit(kind.name, second, startDateTime=NOON + 30 * DAY)

    assert [second] == sync(kind, [row(0)], state=state)["ids"]["updated"]
