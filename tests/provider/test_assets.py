"""Meetings as assets: their addresses in Airflow, and how a run reads what has happened to them."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from airflow.sdk import Asset

from airflow_provider_meetings import version_compat
from airflow_provider_meetings.assets import check_uri, meeting_events, meetings_asset, meetings_uri, with_receipt
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.triggers.meetings import MeetingsEventTrigger
from tests.support.interpreter import modules_of

T0 = datetime(2026, 2, 2, 10, tzinfo=UTC)

ADDRESSES = {
    ("hiringcenter_default", None): "meetings://hiringcenter_default/",
    ("hiringcenter_default", "interviews"): "meetings://hiringcenter_default/interviews",
    ("Acme.Prod-2", "/north/week~1/"): "meetings://Acme.Prod-2/north/week~1",
    ("team/a:b(c)#d", "x"): "meetings://team%2Fa%3Ab%28c%29%23d/x",
}


@pytest.mark.parametrize(("parts", "address"), ADDRESSES.items(), ids=str)
def test_addresses(parts, address):
    """An address is made of the connection and a name, and Airflow keeps it as it is, whatever is in the id."""
    assert address == meetings_uri(*parts)
    assert address == meetings_asset(*parts).uri
    assert address == Asset(uri=address).uri
    assert address == Asset(uri=address.rstrip("/") + "/").uri


NONSENSE = {
    "meetings:///interviews": "there is no connection",
    "meetings://user:secret@c/x": "belong into the connection",
    "meetings://c/x?ownerId=1": "belong into the trigger",
    "meetings://c/a b": "is not a name",
    "meetings://c//x": "is not a name",
    "meetings://c/ä": "is not a name",
    "meetings://my%20connection/x": "cannot be the id of a connection",
}


@pytest.mark.parametrize(("address", "complaint"), NONSENSE.items(), ids=NONSENSE)
def test_nonsense_is_refused(address, complaint):
    """What is no address of meetings is refused with a text that says what is wrong and what one looks like."""
    with pytest.raises(ValueError, match=complaint) as refusal:
        check_uri(urlsplit(address))

    assert "meetings://<connection id>" in str(refusal.value)


def test_airflow_asks_the_handler():
    """Airflow itself refuses an asset with an address of this scheme that is none."""
    with pytest.raises(ValueError, match="belong into the trigger"):
        Asset(uri="meetings://c/x?ownerId=1")


def test_a_watched_asset():
    """An asset with a trigger has a watcher; a trigger of another connection is a mistake."""
    trigger = MeetingsEventTrigger(meetings_conn_id="c", ahead=60)
    asset = meetings_asset("c", "soon", trigger=trigger, group="interviews", extra={"team": "north"})

    assert [trigger] == [watcher.trigger for watcher in asset.watchers]
    assert ("interviews", {"team": "north"}) == (asset.group, asset.extra)
    assert meetings_asset("c").watchers == []
    with pytest.raises(MeetingsConfigurationError, match="watches 'c'"):
        meetings_asset("d", trigger=trigger)


def test_light():
    """Airflow imports the module wherever an asset is made: it brings nothing heavy along."""
    loaded = modules_of(
        "import airflow_provider_meetings.assets", "airflow", "aiohttp", "requests", "pendulum", "msgspec"
    )

    assert [] == [name for name in loaded if not name.startswith("airflow_provider_meetings")]


class _Asset(NamedTuple):
    name: str
    uri: str


class _Log:
    """The events of an asset, as Airflow stores them, and the runs that they have started."""

    asset = _Asset("meetings://c/", "meetings://c/")

    def __init__(self, monkeypatch):
        self.events = []
        monkeypatch.setattr(version_compat, "asset_history", self._history)

    def add(self, event_id, *runs, **payload):
        """Store an event that has started some runs, each ``dag_id/run_id``."""
        created = [SimpleNamespace(dag_id=run.split("/")[0], run_id=run.split("/")[1]) for run in runs]
        extra = {"from_trigger": True, "payload": {"event_id": event_id, "kind": "changed"} | payload}
        moment = T0 + timedelta(seconds=len(self.events))
        self.events.append(SimpleNamespace(timestamp=moment, extra=extra, asset=self.asset, created_dagruns=created))

    def add_all(self, *events):
        """Store events that have each started one run: ``a dag/1``; with an ``r`` behind it a repeat."""
        for event in events:
            event_id, run, *repeat = event.split()
            self.add(event_id, run, **({"repeat": True} if repeat else {}))

    def _history(self, name, uri, before, limit):
        assert (name, uri) == (self.asset.name, self.asset.uri)
        return [event for event in reversed(self.events) if event.timestamp <= before][:limit]

    def read(self, run):
        """Read the events as a task of a run does."""
        dag_id, run_id = run.split("/")
        own = [e for e in self.events if any((r.dag_id, r.run_id) == (dag_id, run_id) for r in e.created_dagruns)]
        context = {
            "dag_run": SimpleNamespace(dag_id=dag_id, run_id=run_id),
            "triggering_asset_events": {self.asset: own[::-1]} if own else {},
        }
        return [event["event_id"] for event in meeting_events(context)]


@pytest.fixture
def log(monkeypatch):
    """An asset's events."""
    return _Log(monkeypatch)


@pytest.fixture
def values(monkeypatch):
    """What the asset's state store has."""
    kept = {}
    store = SimpleNamespace(get=kept.get, set=kept.__setitem__)
    monkeypatch.setattr(version_compat, "asset_state_store", lambda *_: store)
    return kept


def test_each_event_belongs_to_one_run(log):
    """A repeat that arrives in another run is dropped there; the run that had it first gets it in every try."""
    log.add_all("a dag/1", "b dag/1", "b dag/2", "c dag/2")

    assert ["a", "b"] == log.read("dag/1")
    assert ["c"] == log.read("dag/2")
    assert ["a", "b"] == log.read("dag/1")


def test_nothing_twice_in_a_run(log):
    """A repeat that arrives in the same run is dropped; the order is that of the first time."""
    for event_id in ("a", "b", "a", "b"):
        log.add(event_id, "dag/1")

    assert ["a", "b"] == log.read("dag/1")


def test_what_says_that_it_is_a_repeat(log, monkeypatch):
    """Such an event is dropped also where Airflow cannot be asked for its history; what it took along is not."""
    monkeypatch.setattr("airflow_provider_meetings.version_compat.asset_history", lambda *_: [])
    log.add_all("a dag/1", "b dag/2", "c dag/2", "c dag/2 r", "c dag/3 r")

    assert [["a"], ["b", "c"], []] == [log.read(f"dag/{number}") for number in (1, 2, 3)]


def test_every_dag_has_its_own(log):
    """What another DAG's run has got is new for this one, and so is what has started no run at all."""
    log.add("a", "other/1")
    log.add("b")
    log.add("a", "dag/1", "other/2")
    log.add("b", "dag/1")

    assert ["a", "b"] == log.read("dag/1")
    assert log.read("other/2") == []


def test_only_repeats_have_no_news(log):
    """A run that was started by repeats alone has nothing to do."""
    log.add_all("a dag/1", "a dag/2", "a dag/3")

    assert [[], []] == [log.read("dag/2"), log.read("dag/3")]


def test_what_is_none_of_ours(log):
    """Events that a task or a person has made of the asset are left out, and a run by hand has none."""
    log.add("a", "dag/1")
    log.events[0].extra = {"outcome": "created", "meeting_ids": [1]}

    assert log.read("dag/1") == []
    assert log.read("dag/by_hand") == []
    assert meeting_events({}) == []


def test_a_repeat_whose_original_has_no_run_is_news(log):
    """Where Airflow has never given the original to a run of this DAG, the repeat is what tells of it, once."""
    log.add("a", "other/1")
    log.add("a", "dag/1", "other/2", repeat=True)
    log.add("a", "dag/2", repeat=True)

    assert [["a"], [], []] == [log.read("dag/1"), log.read("dag/2"), log.read("other/2")]
    assert ["a"] == log.read("dag/1")


@pytest.mark.usefixtures("values")
def test_the_receipts_tell_where_airflow_cannot(log, monkeypatch):
    """While the history cannot be read, each event belongs to one run as far as the runs have noted it."""
    log.add("a", "dag/1", "other/1")
    log.add_all("b dag/1", "a dag/2", "c dag/2", "c dag/3 r")
    assert ["a", "b"] == log.read("dag/1")
    monkeypatch.setattr(version_compat, "asset_history", lambda *_: None)

    assert ["c"] == log.read("dag/2")
    assert log.read("dag/3") == []
    assert [["a", "b"], ["c"]] == [log.read("dag/1"), log.read("dag/2")]
    assert ["a"] == log.read("other/1")


def test_a_run_that_drops_a_repeat_takes_it_from_nobody(log, values, monkeypatch):
    """The run with the repeat asks first, and then Airflow's history is away: the original is still the other run's."""
    log.add_all("a dag/1", "a dag/2 r")
    assert log.read("dag/2") == []
    assert ["a"] == values["meetings/received"]["dag"]["ids"]
    monkeypatch.setattr(version_compat, "asset_history", lambda *_: None)

    assert ["a"] == log.read("dag/1")


@pytest.mark.parametrize("error", [RuntimeError("500"), AttributeError("at"), TypeError("no")])
def test_a_history_that_airflow_cannot_tell(monkeypatch, caplog, error):
    """Airflow answers 500 while a run that an event has started has not begun: the log says so, and nothing fails."""

    class Events:
        def __init__(self, **_):
            raise error

    monkeypatch.setattr("airflow.sdk.execution_time.context.InletEventsAccessor", Events)

    assert version_compat.asset_history("n", "meetings://c/", datetime(2027, 1, 11, tzinfo=UTC), 5) is None
    assert f"Airflow cannot tell the earlier events of meetings://c/: {error}" in caplog.text


def test_a_run_tells_the_watch_what_it_has_received(values, monkeypatch):
    """Each event of the run is noted in the asset's state store under its DAG, repeats and events of others too."""
    monkeypatch.setattr(version_compat, "asset_history", lambda *_: [])
    asset = meetings_asset("crm")
    payloads = [{"event_id": "a", "kind": "created"}, {"event_id": "b", "kind": "gone", "repeat": True}]
    events = [
        SimpleNamespace(timestamp=number, extra={"payload": payload}, created_dagruns=[])
        for number, payload in enumerate([*payloads, {"somebody": "else's"}])
    ]
    context = {
        "dag_run": SimpleNamespace(dag_id="dag", run_id="run"),
        "triggering_asset_events": {asset: events},
    }
    assert payloads[:1] == meeting_events(context)
    assert ["a", "b"] == values["meetings/received"]["dag"]["ids"]


def test_a_store_that_is_away_costs_no_run(monkeypatch):
    """A receipt that cannot be written is no error of the task."""

    def away(*_):
        raise RuntimeError("not now")

    monkeypatch.setattr(version_compat, "asset_state_store", lambda *_: SimpleNamespace(get=away, set=away))
    monkeypatch.setattr(version_compat, "asset_history", lambda *_: [])
    payload = {"event_id": "a", "kind": "created"}
    event = SimpleNamespace(timestamp=1, extra={"payload": payload}, created_dagruns=[])
    context = {
        "dag_run": SimpleNamespace(dag_id="dag", run_id="run"),
        "triggering_asset_events": {meetings_asset("crm"): [event]},
    }
    assert [payload] == meeting_events(context)


def test_receipts_are_bounded_and_written_once():
    """A DAG's receipt keeps the latest hundred ids; what it has already is not written again."""
    other = {"ids": ["x"], "runs": ["1"], "at": 1.0}
    receipts = with_receipt({"other": other}, "dag", "run", {str(number): True for number in range(150)}, 2.0)

    assert other == receipts["other"]
    assert {"ids": [str(number) for number in range(50, 150)], "at": 2.0} == {
        name: value for name, value in receipts["dag"].items() if name != "runs"
    }
    assert with_receipt(receipts, "dag", "run", {"149": True}, 3.0) is None
    assert {"ids": [], "runs": [], "at": 3.0} == with_receipt(receipts, "new", "run", {}, 3.0)["new"]


def test_the_receipts_of_many_dags_fit_into_a_value():
    """Fifty DAGs on one asset leave receipts that the store still takes."""
    receipts = {}
    for _ in range(2):
        for dag in range(50):
            ids = {f"{number:032x}": True for number in range(100)}
            receipts = with_receipt(receipts, f"dag{dag}", "run", ids, 2.0) or receipts

    assert len(json.dumps(receipts)) < 60_000
