"""The referee: reads what was asked from the sandbox's journal, and what came of it from Airflow."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from demo.celery.referee import busiest as most_within
from tests.triggerer_kill.edits import AHEAD, PAST, Expected
from tests.triggerer_kill.questions import FIRST_MS, VENDORS, Wait

if TYPE_CHECKING:
    from tests.triggerer_kill.play import Play, Scene

#: The scene in which nobody comes and nobody goes, and those in which another triggerer goes on with those who wait.
SETTLED = "all deferred"
RESTARTED = ("second triggerer", "third triggerer")
#: The most lists for those who wait, as a part of those that it were one by one: a list for each of them in each of its
#: poke intervals. HiringCenter has all of them in some three pages, which is a fiftieth. Builder Prime has no more than
#: 31 days in a list, and its lists do not tell who goes there, so each such filter is asked for by itself: that takes a
#: dozen lists for fewer sensors, which is a third. How fast the machine is makes no difference to either.
MOST = {"hiringcenter": 1 / 8, "builderprime": 2 / 3}
# After a restart each may be asked for by itself once, until it is known what a wider list takes; and the fewer of them
# are left, the less there is to share, so the part is larger.
_MOST_AFTER = {"hiringcenter": 1 / 4, "builderprime": 3 / 4}
# Lists of the watched window with no longer pause between them belong to one look.
_PAUSE = 1.5
# Seconds that a request may take.
_REQUEST = 30.0
# Seconds that a deadline in Airflow's table may be later than the trigger's own, which was fixed before it was stored.
_STORED = 10.0
# Differences between our clocks, and how far a list may be behind the time that it is made for.
_SLACK = 60.0
_LISTS = ("/meetings", "/meetings/v1")
_BOUNDS = {
    "hiringcenter": ("meetingDateAfter", "meetingDateBefore"),
    "builderprime": ("start-date-from", "start-date-to"),
}
_BOTH = {"hiringcenter": ("meetingDate", "notes", "prospectId"), "builderprime": ("startDateTime", "title", "location")}


def lists(journal: Iterable[dict[str, Any]], vendor: str, since: float, until: float) -> list[dict[str, Any]]:
    """Return the lists that a vendor was asked for because of those who wait, and not of those who watch."""
    last = _BOUNDS[vendor][1]
    return [
        row
        for row in journal
        if row["vendor"] == vendor
        and row["path"].endswith(_LISTS)
        and since <= row["at"] / 1000 < until
        and float(dict(parse_qsl(row["query"])).get(last, "inf")) > FIRST_MS
    ]


def one_by_one(play: Play, vendor: str, since: float, until: float) -> float:
    """Return how many lists it were if each sensor that is deferred asked by itself, once in its poke interval."""
    found = 0.0
    looks_around = [(at, count) for at, count in play.waiting if since <= at < until]
    for (at, counts), (later, _) in itertools.pairwise([*looks_around, (until, Counter())]):
        found += sum(n / interval for (whose, interval), n in counts.items() if whose == vendor) * (later - at)
    return found


def cost(play: Play, scene: Scene, vendor: str) -> tuple[int, float, float]:
    """Return how many lists those who wait took, how many it were one by one, and how many are too many."""
    alone = one_by_one(play, vendor, scene.start, scene.end)
    if scene.name == SETTLED:
        most = alone * MOST[vendor]
    else:
        met = next((counts for at, counts in play.waiting if at >= scene.start), Counter())
        most = sum(n for (whose, _), n in met.items() if whose == vendor) + alone * _MOST_AFTER[vendor]
    return len(lists(play.journal, vendor, scene.start, scene.end)), alone, most


def busiest(journal: Iterable[dict[str, Any]], vendor: str, seconds: float) -> int:
    """The most requests of a vendor in any span of so many seconds, wherever it begins."""
    return most_within([row["at"] for row in journal if row["vendor"] == vendor], round(seconds * 1000))


def judge(play: Play) -> list[str]:
    """Say what was violated, in sentences."""
    return [*_answers(play), *_vain(play), *_requests(play), *_changes(play), *_repeats(play), *_told(play)]


def _name(wait: Wait) -> str:
    return f"{wait.dag}[{wait.index}]"


def _answers(play: Play) -> list[str]:
    problems = []
    for wait in play.plan.waits:
        if not wait.own:
            continue
        state = play.states.get((wait.dag, wait.index), {}).get("state")
        if state != "success":
            problems.append(f"{_name(wait)} ended in {state}, and its meetings were there")
            continue
        found = play.xcoms[wait.dag, wait.index]
        expected = {str(made): row for made, row in zip(wait.ids, wait.own, strict=True)}
        ids = Counter(str(meeting["id"]) for meeting in found)
        if ids != Counter(list(expected)):
            problems.append(f"{_name(wait)} returned {dict(ids)} and not its own {sorted(expected)}")
            continue
        wrong = [
            f"{meeting['id']}.{name} is {meeting[name]!r}, not {expected[str(meeting['id'])][name]!r}"
            for meeting, name in itertools.product(found, _BOTH[wait.vendor])
            if meeting[name] != expected[str(meeting["id"])][name]
        ]
        problems += [f"{_name(wait)}: {some}" for some in wrong]
    return problems


def _vain(play: Play) -> list[str]:
    problems = []
    back = play.world.kills[0].back_at
    for wait in play.plan.in_vain:
        row = play.states.get((wait.dag, wait.index), {})
        expected_state = "skipped" if wait.soft_fail else "failed"
        deadlines = deadlines_of(play, wait)
        if row.get("state") != expected_state:
            problems.append(f"{_name(wait)} ended in {row.get('state')}, not {expected_state}, when its time was over")
        elif len(deadlines) != 1 or row["scheduled_at"] is None:
            problems.append(f"{_name(wait)} had {len(deadlines)} deadlines in one try")
        else:
            late = row["scheduled_at"].timestamp() - deadlines[0]
            anew = back + wait.timeout - deadlines[0]
            latest = anew if anew > 0 else wait.timeout  # below: it was deferred by the next one only
            if not -_STORED <= late < latest:
                told = f"{late:.1f} s after its deadline, where one that had begun anew had ended after {anew:.1f} s"
                problems.append(f"the wait of {_name(wait)} ended {told}")
    if not any(deadline > back for wait in play.plan.in_vain for deadline in deadlines_of(play, wait)):
        problems.append("nobody who waited in vain lived through a kill: it took too long to come to it")
    return problems


def deadlines_of(play: Play, wait: Wait) -> list[float]:
    """When the last try of a sensor that waits in vain had to end, as Airflow told at any time."""
    last = play.states.get((wait.dag, wait.index), {}).get("try_number", 0)
    return sorted(play.deadlines.get((wait.dag, wait.index, last), ()))


def _requests(play: Play) -> list[str]:
    problems = [
        f"request {row['id']} to {row['vendor']} was answered with {row['sent']}: {row['path']}?{row['query']}"
        for row in play.journal
        if row["sent"] != 200 and not _is_gone(row) and not _cut_off(play, row)
    ]
    limits = play.world.limits
    for seconds, limit in ((60, limits["rate_limit_per_minute"]), (3600, limits["rate_limit_per_hour"])):
        most = busiest(play.journal, "hiringcenter", seconds)
        if most > limit:
            problems.append(f"{most} requests to HiringCenter within {seconds} s, and {limit} are allowed")
    for scene, vendor in itertools.product(polling(play), VENDORS):
        asked, alone, most = cost(play, scene, vendor)
        told = f"{asked} lists from {vendor}, {scene.name}, and {alone:.0f} were one by one"
        if asked > most:
            problems.append(f"{told}: {most:.0f} are the most for those who share them")
        if not asked:
            problems.append(f"{told}: nobody has asked for those who wait")
    return problems


def polling(play: Play) -> Sequence[Scene]:
    """The scenes in which many wait, and only the triggerer asks."""
    return [scene for scene in play.scenes if scene.name in {SETTLED, RESTARTED[0]}]


def unanswered(play: Play) -> int:
    """How many requests are still on their way."""
    return sum(row["status"] is None and not _cut_off(play, row) for row in play.journal)


def _is_gone(row: dict[str, Any]) -> bool:
    """Whether it was asked for one meeting, and there is none such: so it is found out that it is gone."""
    return row["sent"] == 404 and not row["path"].endswith(_LISTS)


def _cut_off(play: Play, row: dict[str, Any]) -> bool:
    """Whether whoever asked was killed before the answer."""
    at = row["at"] / 1000
    return row["sent"] is None and any(killed.at - _REQUEST < at <= killed.dead_at for killed in play.world.kills)


# -- events


def looks(journal: Iterable[dict[str, Any]], vendor: str) -> list[float]:
    """When the watched window was looked at, by the lists that cover it and were answered."""
    first, last = _BOUNDS[vendor]
    found: list[float] = []
    latest = float("-inf")
    for row in journal:
        if row["vendor"] != vendor or row["method"] != "GET" or not row["path"].endswith(_LISTS):
            continue
        query, at = dict(parse_qsl(row["query"])), row["at"] / 1000
        low, high = float(query.get(first, "-inf")) / 1000, float(query.get(last, "inf")) / 1000
        first_page = "pageToken" not in query
        if low <= at - PAST + _SLACK and high >= at + AHEAD - _SLACK and row["status"] == 200 and first_page:
            if at - latest > _PAUSE:
                found.append(at)
            latest = at
    return found


def distinct(play: Play) -> dict[tuple[str, str], dict[str, list[dict[str, Any]]]]:
    """The events of each meeting by their ids, in the order in which they came first."""
    found: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    for event in play.events:
        of_meeting = found.setdefault((event["vendor"], str(event["id"])), {})
        of_meeting.setdefault(event["event_id"], []).append(event)
    return found


def expected(play: Play) -> dict[tuple[str, str], list[Expected] | None]:
    """What has to be told of each meeting."""
    return play.script.expected({vendor: looks(play.journal, vendor) for vendor in VENDORS})


def missing(play: Play) -> int:
    """How many of the expected events are not there yet."""
    found = distinct(play)
    return sum(max(0, len(told or ()) - len(found.get(key, ()))) for key, told in expected(play).items())


def is_told(play: Play) -> bool:
    """Whether the runs have been told of every event, and are over."""
    told = {event["event_id"] for run in play.told for event in run["value"] or ()}
    return all(run["state"] == "success" for run in play.told) and {e["event_id"] for e in play.events} <= told


def _changes(play: Play) -> list[str]:
    problems = []
    found = distinct(play)
    for key, wanted_events in expected(play).items():
        story = f"{key[0]} {key[1]}"
        came = [events[0] for events in found.pop(key, {}).values()]
        if wanted_events is None:
            continue
        kinds = [event["kind"] for event in came]
        if kinds != [one.kind for one in wanted_events]:
            problems.append(f"{story} was told as {kinds}, and was {[one.kind for one in wanted_events]}")
            continue
        for event, one in zip(came, wanted_events, strict=True):
            if event["reason"] != one.reason:
                problems.append(f"{story} {one.kind} for {event['reason']}, and it was for {one.reason}")
            for side, wanted in (("before", one.before), ("after", one.after)):
                if not _says(event[side], wanted, exactly=one.kind == "changed"):
                    problems.append(f"{story} {one.kind}: {side} is {event[side]}, and was {wanted}")
    problems += [
        f"{vendor} {meeting} was told as {[events[0]['kind'] for events in some.values()]}, and nothing happened to it"
        for (vendor, meeting), some in found.items()
    ]
    return problems


def _repeats(play: Play) -> list[str]:
    problems = []
    for event_id, events in itertools.chain.from_iterable(some.items() for some in distinct(play).values()):
        if "repeat" in events[0]:
            problems.append(f"event {event_id} says that it is a repeat, and came for the first time")
        first = _payload(events[0])
        problems += [
            f"event {event_id} came as {first} and then as {_payload(event)}"
            for event in events
            if _payload(event) != first
        ]
    return problems


def _told(play: Play) -> list[str]:
    problems = [
        f"run {run['run_id']} of {run['dag_id']} is {run['state']}" for run in play.told if run["state"] != "success"
    ]
    counts = Counter(event["event_id"] for run in play.told for event in run["value"] or ())
    ids = {event["event_id"] for event in play.events}
    problems += [f"event {event_id} has not been told to any run" for event_id in sorted(ids - counts.keys())]
    problems += [f"event {event_id} was told to {count} runs" for event_id, count in counts.items() if count > 1]
    return problems


def _says(said: dict[str, Any] | None, wanted: dict[str, Any] | None, *, exactly: bool) -> bool:
    if said is None or wanted is None:
        return said is wanted
    return said == wanted if exactly else {**said, **wanted} == said


def _payload(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in {"at", "repeat"}}
