"""SyncMeetingsOperator against the sandbox, for both vendors."""

import gzip
import json
import re
import tempfile

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath, TaskDeferred

from airflow_provider_meetings.core.retry import RetryLimits
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingsConfigurationError,
    MeetingsProtocolError,
    MeetingsServerError,
    MeetingValidationError,
)
from airflow_provider_meetings.operators.meetings import SyncMeetingsOperator
from tests.support.operators import CONN, INTERVAL, context_of, run
from tests.support.sandbox import BUILDERPRIME, DAY, HIRINGCENTER, HOUR, KINDS, NOON

WINDOW = {"window_start": NOON - DAY, "window_end": NOON + DAY}
PARTIES = {}


def row(kind, number, **changes):
    """A row; each has a party of its own."""
    return kind.declared(PARTIES[kind.name][number], number, **changes)


def sync(kind, rows, *, context=None, **options):
    """Make and execute an operator."""
    arguments = {"match_on": [kind.counterpart], **WINDOW, **CONN} | options
    operator = SyncMeetingsOperator(task_id="sync", meetings=rows, **arguments)
    return run(operator, context or context_of("sync"))


def stored(server, kind):
    """What the vendor has, by party."""
    name = "prospectId" if kind is HIRINGCENTER else "opportunityId"
    return {meeting[name]: meeting for meeting in server.meetings(kind)}


@pytest.fixture(autouse=True)
def _parties(server, monkeypatch):
    """Rows of Builder Prime are with opportunities that the sandbox has."""
    for one in KINDS:
        monkeypatch.setitem(PARTIES, one.name, server.counterparts(one))


def test_a_table_becomes_a_calendar(server, connect, kind):
    """Rows are created, changed where they differ, left alone where they do not, and the rest is deleted."""
    connect(kind)
    first = sync(kind, [row(kind, 0), row(kind, 1), row(kind, 2)])
    assert {name: first[name] for name in ("mode", "created", "updated", "deleted", "unchanged")} == {
        "mode": "apply",
        "created": 3,
        "updated": 0,
        "deleted": 0,
        "unchanged": 0,
    }
    assert len(set(first["ids"]["created"])) == 3

    second = sync(kind, [row(kind, 0), row(kind, 1, location="Elsewhere"), row(kind, 3)], delete_missing=True)
    assert [second[name] for name in ("created", "updated", "deleted", "unchanged")] == [1, 1, 1, 1]
    assert second["ids"]["updated"] == [first["ids"]["created"][1]]
    assert second["ids"]["deleted"] == [first["ids"]["created"][2]]
    assert sorted(server.acted()[3:5]) == ["created", "updated"]
    assert server.acted()[5:] == ["deleted"]
    table = stored(server, kind)
    assert [PARTIES[kind.name][number] for number in (0, 1, 3)] == sorted(table, key=PARTIES[kind.name].index)
    assert table[PARTIES[kind.name][1]]["location"] == "Elsewhere"


def test_a_second_run_with_nothing_to_do_writes_nothing(server, connect, kind):
    """All is as it should be: the pages are read, nothing is sent, and no state is written."""
    connect(kind)
    rows = [row(kind, number) for number in range(5)]
    sync(kind, rows)
    before = len(server.journal())
    context = context_of("sync")
    result = sync(kind, rows, context=context)

    assert [result[name] for name in ("created", "updated", "deleted", "unchanged")] == [0, 0, 0, 5]
    assert ["GET"] == [entry["method"] for entry in server.journal()[before:]]
    assert context["task_state_store"].values == {}


def test_a_set_in_one_afternoon_costs_its_rows_and_pages_and_five(server, connect, kind):
    """Wherever in a week its meetings lie, it knows where: a second run reads the pages and five more at most."""
    connect(kind, max_parallel_requests=4)
    week = {"window_start": NOON - 3 * DAY, "window_end": NOON + 4 * DAY}
    rows = [row(kind, 0, **{kind.date: NOON + number * 60_000}) for number in range(240)]
    sync(kind, rows, match_on=[kind.date], **week)
    assert len(server.journal()) <= len(rows) + 5
    before = len(server.journal())
    assert 240 == sync(kind, rows, match_on=[kind.date], **week)["unchanged"]
    assert len(server.journal()) - before <= 3 + 5


def test_a_write_costs_a_request_and_a_batch_two_saves_at_most(server, connect, kind):
    """Thirty rows take thirty requests and the page of the list; the journal is written once for each batch."""
    connect(kind, max_parallel_requests=4)
    context = context_of("sync")
    saves = []
    store = context["task_state_store"]
    keep = store.set
    store.set = lambda key, value, **more: (saves.append(value), keep(key, value, **more))
    result = sync(kind, [row(kind, number) for number in range(30)], context=context)

    assert result["created"] == 30
    assert len(server.journal()) == 31
    assert len(saves) <= 2 * -(-30 // 4)
    assert saves[-1]["creates"] == []


def test_many_writes_have_no_line_each(server, connect, kind, capfd):
    """Of more than fifty writes the log has those that did not go well; it ends with what was done."""
    connect(kind, max_parallel_requests=4, timeout=1)  # so long a create on Builder Prime is looked for, twice
    server.fault("status", match={"method": "POST"}, status=503, skip=20, times=1)
    rows = [row(kind, 0, **{kind.date: NOON + number * 60_000}, location=f"Room {number}") for number in range(51)]
    sync(kind, rows, match_on=[kind.date])
    told = capfd.readouterr().out

    assert ["answered 503"] == re.findall(r"POST \S+ (answered \d+)", told)
    assert "51 created, 0 updated, 0 deleted, 0 unchanged." in told.strip().splitlines()[-1]


def test_only_what_differs_is_sent(server, connect, kind):
    """An update carries the fields that differ, and those of the row that the vendor does not give back."""
    connect(kind)
    sync(kind, [row(kind, 0)])
    sync(kind, [row(kind, 0, location="Elsewhere")])
    along = {} if kind is HIRINGCENTER else {"meetingTypeId": 1012}

    assert {"location": "Elsewhere"} | along == json.loads(server.journal()[-1]["body"])


def test_none_clears_a_field(server, connect, kind):
    """None in a row means that the field is empty."""
    connect(kind)
    sync(kind, [row(kind, 0)])
    result = sync(kind, [row(kind, 0, location=None)])

    assert result["updated"] == 1
    assert stored(server, kind)[PARTIES[kind.name][0]]["location"] is None
    assert sync(kind, [row(kind, 0, location=None)])["unchanged"] == 1


def test_what_is_out_of_scope_is_never_touched(server, connect, kind):
    """Meetings outside the window, at its end, or left out by the filters, survive delete_missing."""
    connect(kind)
    party = PARTIES[kind.name]
    own = "prospectId" if kind is HIRINGCENTER else "opportunityId"
    kept = server.insert(
        kind,
        kind.row(NOON - DAY - 1, **{own: party[0]}),
        kind.row(NOON + DAY, **{own: party[0]}),
        kind.row(NOON, **{own: party[1]}),
    )
    gone = server.insert(kind, kind.row(NOON - DAY, **{own: party[0]}), kind.row(NOON + DAY - 1, **{own: party[0]}))
    filters = {"prospectId" if kind is HIRINGCENTER else "opportunity-id": party[0]}
    result = sync(kind, [], delete_missing=True, max_deletes=5, filters=filters)

    assert sorted(map(str, gone)) == sorted(map(str, result["ids"]["deleted"]))
    assert {str(one["id"]) for one in server.meetings(kind)} == set(map(str, kept))


def test_a_filter_that_is_lost_on_the_way_deletes_nothing(server, connect, kind):
    """A gateway drops the query's filter: the list has meetings of others, which no set may touch."""
    connect(kind)
    field, name = ("prospectId", "prospectId") if kind is HIRINGCENTER else ("opportunityId", "opportunity-id")
    own, other = PARTIES[kind.name][:2]
    server.insert(kind, kind.row(NOON, **{field: own}))
    server.fault(
        "rewrite", match={"method": "GET"}, find=f'("{field}": ?"?){own}', put=f'"{field}":{json.dumps(other)[:-1]}'
    )
    options = {"filters": {name: own}, "delete_missing": True, "max_deletes": 5}
    with pytest.raises(MeetingsProtocolError, match=f"asked for {name}={own}, and 1 of the 1 .* Nothing was written"):
        sync(kind, [], **options)

    assert server.acted() == []
    assert sync(kind, [], **options)["deleted"] == 1


def test_plan_mode_writes_nothing(server, connect, kind, tmp_path):
    """A dry run returns what would be done, and writes all of it to a file."""
    connect(kind)
    created = sync(kind, [row(kind, 0), row(kind, 1), row(kind, 2)])["ids"]["created"]
    before = server.meetings(kind)
    rows = [row(kind, 0), row(kind, 1, location="Elsewhere"), row(kind, 3)]
    destination = tmp_path / "new" / "plan.jsonl"
    plan = sync(kind, rows, delete_missing=True, mode="plan", plan_destination=str(destination))

    assert [plan[name] for name in ("mode", "created", "updated", "deleted", "unchanged")] == ["plan", 1, 1, 1, 1]
    assert plan["ids"] == {"created": [], "updated": [created[1]], "deleted": [created[2]]}
    assert ["update", "create", "delete"] == [change["action"] for change in plan["changes"]]
    assert plan["changes"][0]["after"] == {"location": "Elsewhere"}
    assert plan["changes"] == [json.loads(line) for line in destination.read_text().splitlines()]
    assert server.meetings(kind) == before

    applied = sync(kind, rows[::-1], delete_missing=True, plan_destination=str(destination))
    assert applied["plan_digest"] == plan["plan_digest"]
    assert len(destination.read_text().splitlines()) == 3


def test_a_refused_row_does_not_stop_the_others(server, connect, kind):
    """The vendor refuses one row for good: the others are done, deletes are not, and the error names the row."""
    connect(kind)
    sync(kind, [row(kind, 5)])
    rows = [row(kind, 0), row(kind, 1, location="poison"), row(kind, 2)]
    server.fault("status", match={"body_regex": "poison"}, status=422, html=False, times=None)
    context = context_of("sync")
    with pytest.raises(MeetingValidationError, match=r"1 of 4 writes did not succeed, 2 did") as caught:
        sync(kind, rows, context=context, delete_missing=True)

    assert isinstance(caught.value, AirflowFailException)  # no retries are spent
    assert f"create of row 1, {kind.counterpart}={PARTIES[kind.name][1]}" in str(caught.value)
    assert len(server.meetings(kind)) == 3

    server.control("DELETE", "/faults")
    again = sync(kind, rows, context=context, delete_missing=True)  # after a clear, only what is left is done
    assert [again[name] for name in ("created", "updated", "deleted", "unchanged")] == [1, 0, 1, 2]
    assert len(server.meetings(kind)) == 3


def test_a_row_that_may_succeed_later_is_retried(server, connect, kind):
    """An update that the vendor cannot do now is named in an error that Airflow retries; the others are done."""
    connect(kind, max_attempts=1)
    sync(kind, [row(kind, 0), row(kind, 1)])
    server.fault("status", match={"body_regex": "sick"}, status=503, times=None)
    context = context_of("sync")
    rows = [row(kind, 0, location="sick"), row(kind, 1, location="well"), row(kind, 2)]
    with pytest.raises(MeetingsServerError, match=r"1 of 3 writes did not succeed, 2 did") as caught:
        sync(kind, rows, context=context)

    assert not isinstance(caught.value, AirflowFailException)
    server.control("DELETE", "/faults")
    again = sync(kind, rows, context=context)
    assert [again[name] for name in ("created", "updated", "unchanged")] == [0, 1, 2]


def test_a_vendor_that_is_down_is_not_asked_for_every_row(server, connect, kind, monkeypatch):
    """Where nothing of a batch gets through, the rest is left to the next try."""
    # Each create that got no answer is looked for when it can no longer arrive: here that is soon.
    monkeypatch.setattr(RetryLimits, "in_flight", 0.2)
    connect(kind, max_attempts=1, max_parallel_requests=1)
    server.fault("status", match={"method": "POST"}, status=503, times=None)
    with pytest.raises(MeetingsServerError, match=r"25 more were not tried"):
        sync(kind, [row(kind, number) for number in range(30)])

    assert len([entry for entry in server.journal() if entry["method"] == "POST"]) == 5


def test_rows_that_the_server_breaks_on_do_not_stop_the_others(server, connect, kind, monkeypatch):
    """Rows of a wrong shape are answered 500, more of them than a batch has: all the others are written."""
    monkeypatch.setattr(RetryLimits, "in_flight", 0.05)
    connect(kind, max_attempts=1, max_parallel_requests=1)
    server.fault("status", match={"method": "POST", "body_regex": "Broken"}, status=500, html=False, times=None)
    rows = [row(kind, number, **({"location": "Broken"} if number < 10 else {})) for number in range(16)]
    with pytest.raises(MeetingsServerError, match="10 of 16 writes did not succeed, 6 did"):
        sync(kind, rows)

    assert 6 == len(server.meetings(kind))


def test_twins_are_a_conflict_before_anything_is_written(server, connect, kind):
    """Two stored meetings equal one row: both are named, and nothing is written."""
    connect(kind)
    own = "prospectId" if kind is HIRINGCENTER else "opportunityId"
    twins = server.insert(kind, *(kind.row(NOON, **{own: PARTIES[kind.name][0]}) for _ in range(2)))
    with pytest.raises(MeetingConflictError, match="Nothing was written") as caught:
        sync(kind, [row(kind, 0), row(kind, 1)])

    assert all(str(twin) in str(caught.value) for twin in twins)
    assert server.acted() == []


@pytest.mark.parametrize(
    "case",
    [
        ({"max_deletes": 1}, "The plan has 2 deletes, and max_deletes allows 1"),
        ({"max_changes": "2"}, "The plan has 3 changes, and max_changes allows 2"),
    ],
)
def test_a_plan_that_is_too_large_is_refused(server, connect, kind, case, tmp_path):
    """The guards look at the plan before the first write; the plan's file tells what it was."""
    options, told = case
    connect(kind)
    sync(kind, [row(kind, 0), row(kind, 1)])
    before = server.meetings(kind)
    destination = tmp_path / "plan.jsonl"
    with pytest.raises(MeetingsConfigurationError, match=f"{told}(.|\n)*Nothing was written"):
        sync(kind, [row(kind, 2)], delete_missing=True, plan_destination=str(destination), **options)

    assert server.meetings(kind) == before
    assert len(destination.read_text().splitlines()) == 3


class Frame:
    """A data frame, which iterates over the names of its columns."""

    columns = ("prospectId", "meetingDate")

    def __iter__(self):
        return iter(self.columns)


def bad_inputs():
    """What must be refused before anything is sent: a name, the arguments, and what is said."""
    return {
        "nothing": ({"meetings": []}, "An empty upstream must not empty a calendar"),
        "no list": ({"meetings": {"a": 1}}, "meetings must be a list"),
        "text": ({"meetings": "rows"}, "is text that is no JSON list"),
        "an empty template": ({"meetings": ""}, "did a template come out empty"),
        "a row that is no dict": ({"meetings": [5]}, "row 0, meeting"),
        "a missing file": ({"meetings": "/nowhere/rows.jsonl"}, "there is no such file"),
        "an unknown scheme": ({"meetings": "nothing://rows.jsonl"}, "meetings cannot be"),
        "an unknown mode": ({"mode": "dry"}, "mode: must be one of apply, plan"),
        "an unknown approval": ({"approval": "sometimes"}, "approval: must be one of never, always, deletes"),
        "a negative guard": ({"max_deletes": -1}, "max_deletes: must be a whole number"),
        "a guard that is none": ({"max_changes": "many"}, "max_changes: must be a whole number"),
        "a flag that is none": ({"delete_missing": "perhaps"}, "delete_missing: must be true or false"),
        "an unknown filter": ({"filters": {"color": "red"}}, "is not a filter of"),
        "an unknown field to match on": ({"match_on": ["colour"]}, "match_on cannot be used"),
        "no field to match on": ({"match_on": []}, "must name at least one field"),
        "a window that is empty": ({"window_end": NOON - DAY}, "window_end must be after window_start"),
        "a window that is no moment": ({"window_end": "soon"}, "is not an ISO 8601 date"),
        "a row outside the window": ({"window_end": NOON - HOUR}, "begins outside the window"),
        "a folder for the plan": ({"plan_destination": "/tmp/"}, "plan_destination cannot be written to"),  # noqa: S108
        "a plan nowhere": ({"plan_destination": "/proc/plan.jsonl"}, "plan_destination cannot be written to"),
        "an empty plan": ({"plan_destination": ""}, "plan_destination is empty"),
        "one file for two things": (
            {"plan_destination": f"file://{tempfile.gettempdir()}/one", "state": f"{tempfile.gettempdir()}/one"},
            "state and plan_destination are the same file",
        ),
        "a data frame": ({"meetings": Frame()}, "meetings is a Frame: pass its rows as a list of dicts"),
        "a state nowhere": ({"state": "/proc/state.json"}, "state cannot be written to"),
    }


@pytest.mark.parametrize("name", bad_inputs())
def test_bad_input_is_refused_before_anything_is_sent(server, connect, kind, name):
    """Each kind of bad input has its own words, and no request."""
    connect(kind)
    changes, told = bad_inputs()[name]
    options = {"meetings": [row(kind, 0), row(kind, 1)], "match_on": [kind.counterpart], "delete_missing": True}
    operator = SyncMeetingsOperator(task_id="sync", **WINDOW | CONN | options | changes)
    with pytest.raises(MeetingsConfigurationError, match=told) as caught:
        run(operator, context_of("sync"))

    assert "othing was sent" in str(caught.value)
    assert server.journal() == []


def test_rows_with_equal_keys_or_none_are_refused_before_anything_is_sent(server, connect, kind):
    """Rows that cannot be told apart, or have nothing to be told by, are named."""
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match=r"row 1, match_on: equals row 0") as caught:
        sync(kind, [row(kind, 0), row(kind, 0), row(kind, 2, **{kind.counterpart: None})])

    assert f"row 2, {kind.counterpart}: is " in str(caught.value)
    assert server.journal() == []


def test_a_window_that_no_vendor_lists_is_refused(server, connect):
    """Builder Prime lists 31 days at most in one request: a window of centuries is a slip of the pen."""
    connect(BUILDERPRIME)
    with pytest.raises(MeetingsConfigurationError, match="wider than a set may be"):
        sync(BUILDERPRIME, [], window_start="1500-01-01T00:00Z", window_end="2500-01-01T00:00Z")

    assert server.journal() == []


@pytest.mark.usefixtures("server")
def test_the_window_is_the_data_interval_where_none_is_given(connect, kind):
    """Without bounds the run's data interval is the scope; a run that has none is told so."""
    connect(kind)
    none = {"window_start": None, "window_end": None}
    assert sync(kind, [row(kind, 0)], context=context_of("sync") | INTERVAL, **none)["created"] == 1
    with pytest.raises(MeetingsConfigurationError, match="no data interval"):
        sync(kind, [row(kind, 0)], **none)


@pytest.mark.parametrize("form", ["json", "jsonl", "gz", "path", "sequence"])
@pytest.mark.usefixtures("server")
def test_rows_come_in_any_form(connect, kind, form, tmp_path):
    """JSON text, a JSON Lines file, compressed or not, and any sequence are lists of rows."""
    connect(kind)
    rows = [row(kind, 0), row(kind, 1)]
    text = "\n".join(json.dumps(one) for one in rows) + "\n\n"
    (tmp_path / "rows.jsonl").write_text("\ufeff" + text)
    (tmp_path / "rows.JSONL.GZ").write_bytes(gzip.compress(text.encode()))
    given = {
        "json": json.dumps(rows),
        "jsonl": f"file://{tmp_path}/rows.jsonl",
        "gz": str(tmp_path / "rows.JSONL.GZ"),
        "path": ObjectStoragePath(f"file://{tmp_path}/rows.jsonl"),
        "sequence": iter(rows),
    }[form]

    assert sync(kind, given)["created"] == 2


def test_a_bad_line_of_a_file_is_named(server, connect, kind, tmp_path):
    """A line that is no JSON is a row that is no meeting."""
    connect(kind)
    (tmp_path / "rows.jsonl").write_text(json.dumps(row(kind, 0)) + "\n{broken\n")
    with pytest.raises(MeetingsConfigurationError, match="row 1, meeting"):
        sync(kind, str(tmp_path / "rows.jsonl"))

    assert server.journal() == []


def test_a_meeting_that_was_moved_away_is_put_back(server, connect, kind, tmp_path):
    """With a state, a meeting out of the scope is found by its id; without, its row gets another one."""
    connect(kind)
    state = str(tmp_path / "state" / "rows.json")
    (meeting_id,) = sync(kind, [row(kind, 0)], state=state)["ids"]["created"]
    server.edit(kind.name, meeting_id, **{kind.date: NOON + 30 * DAY})
    result = sync(kind, [row(kind, 0)], state=state)

    assert result["ids"]["updated"] == [meeting_id]
    assert [NOON] == [meeting[kind.date] for meeting in server.meetings(kind)]

    server.edit(kind.name, meeting_id, **{kind.date: NOON + 30 * DAY})
    assert sync(kind, [row(kind, 0)])["created"] == 1


def test_a_remembered_meeting_must_still_be_its_rows(server, connect, kind, tmp_path):
    """A meeting that is gone, or with somebody else by now, is no more the row's than any other."""
    connect(kind)
    state = str(tmp_path / "rows.json")
    own = "prospectId" if kind is HIRINGCENTER else "opportunityId"
    first, second = sync(kind, [row(kind, 0), row(kind, 1)], state=state)["ids"]["created"]
    server.edit(kind.name, first, **{kind.date: NOON + 30 * DAY, own: PARTIES[kind.name][9]})
    server.remove(kind, second)

    assert sync(kind, [row(kind, 0), row(kind, 1)], state=state)["created"] == 2


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 9}', "null", '{"version": 1, "meetings_conn_id": "x"}'])
@pytest.mark.usefixtures("server")
def test_a_state_that_cannot_be_read_is_ignored(connect, kind, tmp_path, content, capfd):
    """A hint that is broken, or somebody else's, costs a warning."""
    connect(kind)
    state = tmp_path / "rows.json"
    state.write_text(content)

    assert sync(kind, [row(kind, 0)], state=str(state))["created"] == 1
    assert "is ignored" in capfd.readouterr().out
    assert json.loads(state.read_text())["meetings"][0]["key"] == [str(PARTIES[kind.name][0])]


def test_a_long_wait_frees_the_slot(server, connect, kind):
    """A vendor that wants to be left alone for long: the task defers, and goes on with what is left."""
    connect(kind, max_wait=1, max_parallel_requests=1)
    context = context_of("sync")
    rows = [row(kind, number) for number in range(6)]
    server.fault("ratelimit", match={"method": "POST"}, retry_after=300, skip=4, times=1)
    operator = SyncMeetingsOperator(task_id="sync", meetings=rows, match_on=[kind.counterpart], **WINDOW, **CONN)
    with pytest.raises(TaskDeferred) as deferred:
        run(operator, context)

    assert deferred.value.method_name == "execute_after_wait"
    assert len(server.meetings(kind)) == 4
    result = operator.execute_after_wait(context, None, **deferred.value.kwargs)
    assert [result["created"], result["unchanged"]] == [2, 4]


def test_keys_are_the_rows_own(server, connect):
    """HiringCenter's keys name dag, run and task, are printable, and differ from row to row."""
    connect(HIRINGCENTER)
    sync(HIRINGCENTER, [row(HIRINGCENTER, number) for number in range(3)])
    keys = {entry["idempotencyKey"] for entry in server.journal() if entry["method"] == "POST"}

    assert len(keys) == 3
    assert all(re.fullmatch(r"dag/run/sync/[0-9a-f]{32}/[0-9a-f]{32}", key) for key in keys)


def test_a_meeting_that_was_deleted_is_made_again_under_a_key_that_replays(server, connect):
    """Somebody deletes a meeting and clears the task: the vendor's old answer under the key is not believed."""
    connect(HIRINGCENTER)
    context = context_of("sync")
    (first,) = sync(HIRINGCENTER, [row(HIRINGCENTER, 0)], context=context)["ids"]["created"]
    server.remove(HIRINGCENTER, first)
    result = sync(HIRINGCENTER, [row(HIRINGCENTER, 0)], context=context)

    assert len(server.meetings(HIRINGCENTER)) == 1
    assert result["ids"]["created"] == [server.meetings(HIRINGCENTER)[0]["id"]]


@pytest.mark.usefixtures("server")
def test_called_by_hand_it_works_without_a_task(connect, kind):
    """Outside of a run there is no task instance: each call is a task of its own."""
    connect(kind)
    operator = SyncMeetingsOperator(
        task_id="sync", meetings=[row(kind, 0)], match_on=[kind.counterpart], **WINDOW, **CONN
    )

    assert operator.execute({})["created"] == 1
    assert operator.execute({})["unchanged"] == 1
