"""What came of it, as tables."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from typing import TYPE_CHECKING

from demo.tables import table
from tests.triggerer_kill.questions import VENDORS
from tests.triggerer_kill.referee import busiest, cost, deadlines_of, expected, looks, polling
from tests.triggerer_kill.world import WATCHED

if TYPE_CHECKING:
    from tests.triggerer_kill.play import Play


def report(play: Play) -> str:
    """All of it."""
    parts = (_scenes, _shared, _kills, _sensors, _vain, _limits, _steps, _events)
    return "\n\n".join(part(play) for part in parts)


def _scenes(play: Play) -> str:
    rows = []
    for scene in play.scenes:
        made = [row for row in play.journal if scene.start <= row["at"] / 1000 < scene.end]
        counts = Counter(row["vendor"] for row in made)
        rows.append((scene.name, f"{scene.end - scene.start:.0f}", *(counts[vendor] for vendor in VENDORS)))
    return table(("scene", "seconds", *VENDORS.values()), rows)


def _shared(play: Play) -> str:
    rows = []
    for scene, (vendor, name) in itertools.product(polling(play), VENDORS.items()):
        asked, alone, most = cost(play, scene, vendor)
        rows.append((scene.name, name, asked, f"{alone:.0f}", f"{most:.0f}"))
    return table(("lists for those who wait", "vendor", "asked for", "one by one", "at most"), rows)


def _kills(play: Play) -> str:
    rows = [
        (
            number,
            killed.job,
            " ".join(map(str, killed.pids)),
            killed.triggers,
            f"{killed.started_at - killed.at:.1f} s",
            f"{killed.back_at - killed.at:.1f} s",
        )
        for number, killed in enumerate(play.world.kills, 1)
    ]
    return table(("kill", "job", "pids", "triggers", "next one started after", "and asked after"), rows)


def _sensors(play: Play) -> str:
    rows = []
    for vendor, name in VENDORS.items():
        mine = [wait for wait in play.plan.waits if wait.vendor == vendor and wait.own]
        states = [play.states[wait.dag, wait.index] for wait in mine]
        late = [
            state["end_date"].timestamp() - wait.booked_at
            for wait, state in zip(mine, states, strict=True)
            if state["end_date"] is not None
        ]
        rows.append(
            (
                name,
                len(mine),
                sum(state["state"] == "success" for state in states),
                sum(len(wait.own) for wait in mine),
                sum(state["try_number"] > 1 for state in states),
                f"{statistics.median(late):.0f} s" if late else "",
                f"{max(late):.0f} s" if late else "",
            )
        )
    heads = ("sensors", "waiting", "successful", "meetings", "tried again", "booked to done, median", "longest")
    return table(heads, rows)


def _vain(play: Play) -> str:
    rows = []
    for wait in play.plan.in_vain:
        state = play.states[wait.dag, wait.index]
        deadline = next(iter(deadlines_of(play, wait)), float("nan"))
        late = state["scheduled_at"].timestamp() - deadline if state["scheduled_at"] else float("nan")
        survived = deadline > play.world.kills[0].back_at
        rows.append(
            (
                wait.index,
                VENDORS[wait.vendor],
                f"{wait.timeout:.0f} s",
                "yes" if wait.soft_fail else "no",
                state["state"],
                "after the restart" if survived else "before it",
                f"{late:.1f} s",
            )
        )
    return table(("in vain", "vendor", "timeout", "soft_fail", "ended", "deadline", "its wait ended after that"), rows)


def _limits(play: Play) -> str:
    rows = []
    for vendor, name in VENDORS.items():
        mine = [row for row in play.journal if row["vendor"] == vendor]
        asking = sum(60 / wait.poke_interval for wait in play.plan.waits if wait.vendor == vendor)
        limit = play.world.limits["rate_limit_per_minute"] if vendor == "hiringcenter" else "none known"
        refused = sum(row["sent"] == 429 for row in mine)
        rows.append((name, len(mine), busiest(mine, vendor, 60), limit, f"{asking:.0f}", refused))
    heads = ("requests", "all", "most in any minute", "limit", "a minute, one by one", "429")
    return table(heads, rows)


def _steps(play: Play) -> str:
    rows = [
        (scene.name, counts.total(), ", ".join(f"{count} {step}" for step, count in counts.most_common()))
        for scene in play.scenes
        if (counts := play.steps.get(scene.name))
    ]
    return table(("edits while", "in all", "of these"), rows)


def _events(play: Play) -> str:
    rows = []
    for vendor, name in VENDORS.items():
        awaited = [one for (whose, _), some in expected(play).items() if whose == vendor for one in some or ()]
        events = [event for event in play.events if event["vendor"] == vendor]
        ids = Counter(event["event_id"] for event in events)
        runs = [run for run in play.told if run["dag_id"] == WATCHED[vendor]]
        told = sum(len(run["value"] or ()) for run in runs)
        first = {event["event_id"]: event for event in reversed(events)}
        late = [event["at"] - event["seen_at"] / 1000 for event in first.values()]
        rows.append(
            (
                name,
                len(looks(play.journal, vendor)),
                len(awaited),
                len(events),
                len(ids),
                ids.total() - len(ids),
                len(runs),
                told,
                f"{statistics.median(late):.1f} s" if late else "",
            )
        )
    heads = ("events", "looks", "expected", "stored", "distinct", "repeats", "runs", "told to them", "seen to stored")
    return table(heads, rows)
