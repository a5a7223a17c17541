"""What people do in the vendors' apps while the assets are watched, and which events have to tell of it.

Each meeting has a story: steps that are taken one after the other. No step is taken before the one before it was there
at two looks, so each has to be told of, by itself and in these words. What nobody touches, or touches without changing
anything, must not be told of at all.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from demo.rows import table_row
from tests.triggerer_kill.questions import DATE, VENDORS
from tests.triggerer_kill.world import World

#: The watched window, in seconds from now.
PAST, AHEAD = 3600.0, 30 * 86_400.0
_MS, _MINUTE = 1000, 60_000
_TOPIC = {"hiringcenter": "notes", "builderprime": "title"}
_TOUCHED = {"hiringcenter": "updatedAt", "builderprime": "lastModifiedDate"}
#: The one step of those that only time moves.
BY_TIME = "time passes"
#: What a step does, and what has to be told of it.
TOLD = {
    "create": "created",
    "create elsewhere": None,
    "change": "changed",
    "change elsewhere": None,
    "touch": None,
    "move within": "changed",
    "move out": "moved_out",
    "move in": "moved_in",
    "delete": "gone",
    "delete elsewhere": None,
}


@dataclass(frozen=True)
class Expected:
    """An event that has to come.

    Attributes:
        kind: What happened.
        reason: Whether somebody has moved it, or time has.
        before: What it has to say of before, at least; None: nothing.
        after: And of afterwards.
        at: When it happened, in seconds since the epoch.
    """

    kind: str
    reason: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    at: float


@dataclass
class Story:
    """A meeting, and what happens to it.

    Attributes:
        vendor: Whose it is.
        row: As the table has it, or will have it.
        there: Whether the table has it.
        id: What it is called.
        steps: What has been done.
        expected: What has to be told.
        taken_at: When the last step was taken.
    """

    vendor: str
    row: dict[str, Any]
    there: bool = False
    id: Any = None
    steps: list[str] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)
    taken_at: float = 0.0

    @property
    def inside(self) -> bool:
        """Whether it is in the watched window."""
        return self.there and _inside(self.row[DATE[self.vendor]])

    @property
    def rest(self) -> float:
        """Seconds after its last step that count as the same moment: made just before it came in, it is new."""
        return 15.0 if self.steps[-1:] == ["create elsewhere"] else 0.0

    def choices(self) -> list[str]:
        """The steps that can be taken now."""
        if not self.there:
            # An id is never given twice, so nothing happens to a meeting that is gone.
            return [] if self.steps else ["create", "create", "create elsewhere"]
        if self.inside:
            touch = ["touch"] if self.vendor == "hiringcenter" else []
            return ["change", "change", "move within", "move out", "delete", *touch]
        return ["move in", "move in", "change elsewhere", "delete elsewhere"]


class Script:
    """All stories, and the calls that play them.

    Args:
        world: Whose vendors they are.
        chance: Decides who does what.
        stories: How many of each vendor's meetings have one.
        bystanders: How many are never touched.
    """

    def __init__(self, world: World, chance: random.Random, *, stories: int, bystanders: int) -> None:
        self._world = world
        self._chance = chance
        self.stories = [
            Story(vendor, self._row(vendor, inside=number % 8 != 2)) for vendor in VENDORS for number in range(stories)
        ]
        self._bystanders = bystanders

    def begin(self) -> None:
        """Put in what is there before the first look: half of those with a story, and all bystanders."""
        for vendor in VENDORS:
            rows = [self._row(vendor, inside=True) for _ in range(self._bystanders)]
            self._edit(vendor, "insert", meetings=rows)
        for story in self.stories[::2]:
            story.id = self._edit(story.vendor, "insert", meeting=story.row)["ids"][0]
            story.there = True

    def pass_time(self) -> None:
        """Put in a meeting of each vendor that time brings into the window, and one that it leaves behind."""
        for vendor in VENDORS:
            for reach, kinds in ((AHEAD, ("moved_in",)), (-PAST, ("created", "moved_out"))):
                now = time.time()
                at = now + self._chance.uniform(70, 90)
                row = self._row(vendor, inside=True) | {DATE[vendor]: int((at + reach) * _MS)} | self._stamps(vendor)
                story = Story(vendor, row, there=True, steps=[BY_TIME], taken_at=now)
                story.id = self._edit(vendor, "insert", meeting=row)["ids"][0]
                known = _told_of(vendor, row)
                told: dict[str, Expected] = {
                    "created": Expected("created", None, None, known, now),
                    "moved_in": Expected("moved_in", "time", None, known, at),
                    "moved_out": Expected("moved_out", "time", known, {}, at),
                }
                story.expected = [told[kind] for kind in kinds]
                self.stories.append(story)

    def play(self, count: int, quiet_since: Mapping[str, float]) -> list[str]:
        """Take a step in some stories whose last step was before the moment that is given for their vendor."""
        ready = [
            story
            for story in self.stories
            if story.taken_at + story.rest < quiet_since[story.vendor] and story.steps != [BY_TIME] and story.choices()
        ]
        done = []
        for story in self._chance.sample(ready, min(count, len(ready))):
            step = self._chance.choice(story.choices())
            self._take(story, step)
            done.append(step)
        return done

    def expected(self, looks: Mapping[str, Sequence[float]]) -> dict[tuple[str, str], list[Expected] | None]:
        """What has to be told of each meeting, in order; None: time went on before anybody had looked at it twice.

        Args:
            looks: When each vendor was looked at.
        """
        found: dict[tuple[str, str], list[Expected] | None] = {}
        for story in self.stories:
            if story.id is not None:
                seen = story.steps != [BY_TIME] or len(_between(looks[story.vendor], story)) > 1
                found[story.vendor, str(story.id)] = story.expected if seen else None
        return found

    def _take(self, story: Story, step: str) -> None:
        vendor, before = story.vendor, dict(story.row)
        now = int(time.time() * _MS)
        changes: dict[str, Any] = {_TOUCHED[vendor]: now}
        if step.startswith("create"):
            story.row = self._row(vendor, inside=step == "create") | self._stamps(vendor) | changes
            story.id = self._edit(vendor, "insert", meeting=story.row)["ids"][0]
            story.there = True
        elif step.startswith("delete"):
            self._edit(vendor, "delete", id=story.id)
            story.there = False
        else:
            if step.startswith("change"):
                changes[_TOPIC[vendor]] = f"said {len(story.steps)} {self._chance.randrange(10**9)}"
            elif step.startswith("move"):
                changes[DATE[vendor]] = self._moment(inside=step != "move out")
            story.row = story.row | changes
            self._edit(vendor, "edit", id=story.id, meeting=changes)
        story.taken_at = time.time()
        story.steps.append(step)
        kind = TOLD[step]
        if kind is not None:
            names = [name for name in changes if name != _TOUCHED[vendor]]
            was, now_is = _told_of(vendor, before), _told_of(vendor, story.row)
            differences = {name: before.get(name) for name in names}, {name: story.row[name] for name in names}
            told: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
                "created": (None, now_is),
                "changed": differences,
                "moved_in": (None, now_is),
                "moved_out": (was, differences[1]),
                "gone": (was, None),
            }
            reason = "edit" if kind.startswith("moved") else None
            story.expected.append(Expected(kind, reason, *told[kind], story.taken_at))

    def _edit(self, vendor: str, op: str, **more: Any) -> Any:
        return self._world.vendors.control("POST", "/meetings", json={"vendor": vendor, "op": op, **more})

    def _stamps(self, vendor: str) -> dict[str, Any]:
        return {"createdAt" if vendor == "hiringcenter" else "createdDate": int(time.time() * _MS)}

    def _moment(self, *, inside: bool) -> int:
        """Some minute well within the watched window, or well beyond it."""
        low, high = (0.0, AHEAD - 86_400) if inside else (AHEAD + 86_400, AHEAD + 20 * 86_400)
        minutes = int((time.time() + self._chance.uniform(low + 1800, high)) // 60)
        return minutes * _MINUTE

    def _row(self, vendor: str, *, inside: bool) -> dict[str, Any]:
        moment = self._moment(inside=inside)
        said = f"said {self._chance.randrange(10**9)}"
        if vendor == "hiringcenter":
            who = self._chance.randrange(1, 10**9)
            return table_row(vendor, moment, said, who, timeZone="UTC", meetingType="phone", ownerId=f"{2:032x}")
        return table_row(vendor, moment, said, self._chance.randrange(20), location="Yard 2")


def _between(looks: Sequence[float], story: Story) -> list[float]:
    return [look for look in looks if story.taken_at < look < story.expected[-1].at]


def _told_of(vendor: str, row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in (DATE[vendor], _TOPIC[vendor])}


def _inside(moment: int) -> bool:
    return -PAST <= moment / _MS - time.time() < AHEAD
