"""Servers in memory that list meetings in every way that the vendors' pages leave open, without a socket."""

import itertools
import random

from airflow_provider_meetings.exceptions import MeetingsError
from tests.support.flows import answer


class Shelf:
    """Meetings that a server has, and how they come and go.

    Args:
        dates: When the meetings are that stay.
        seed: Of everything that happens at random.
        id_field: What ids look like: text or numbers.
    """

    def __init__(self, dates, seed=0):
        self.random = random.Random(seed)  # noqa: S311 - a test's dice
        self._numbers = itertools.count(1)
        self.meetings = {}
        self.ever = {}
        self.staying = {self.add(date) for date in dates}
        self.mortal = set()

    def add(self, date):
        """Add a meeting; its id tells nothing about its place."""
        number = next(self._numbers)
        meeting_id = (number * 7919) % 1_000_003
        self.meetings[meeting_id] = self.ever[meeting_id] = date
        return meeting_id

    def add_mortal(self, date):
        """Add a meeting that may go again."""
        self.mortal.add(self.add(date))

    def remove_one(self):
        """Remove a meeting that is not one of those that stay."""
        here = sorted(self.mortal & self.meetings.keys())
        if here:
            del self.meetings[self.random.choice(here)]


class FakeHiringCenter:
    """Lists meetings, latest first, with tokens.

    Args:
        shelf: The meetings.
        tokens: ``offset`` counts meetings, ``keyset`` names the last one seen.
        after_inclusive: Whether ``meetingDateAfter`` includes its bound.
        before_inclusive: Likewise.
        old_envelope: The token stands at the top level.
        cap: The longest page.
        order: ``latest``, ``earliest`` or ``shuffled``.
        ties: Meetings of one millisecond: ``id``, ``descending`` or ``unstable``.
        ignores: Parameters that have no effect.
        eager: A full page always has a token, although nothing may follow.
        totals: The pagination has a totalCount.
        meanwhile: Called before each request but the first.
    """

    def __init__(
        self,
        shelf,
        *,
        tokens="offset",
        after_inclusive=False,
        before_inclusive=False,
        old_envelope=False,
        cap=200,
        order="latest",
        ties="id",
        ignores=(),
        eager=False,
        totals=False,
        meanwhile=lambda: None,
    ):
        self.shelf = shelf
        self.tokens, self.order, self.ties = tokens, order, ties
        self.after_inclusive, self.before_inclusive = after_inclusive, before_inclusive
        self.old_envelope, self.cap, self.eager = old_envelope, cap, eager
        self.ignores, self.meanwhile, self.totals = frozenset(ignores), meanwhile, totals
        self.count = 0

    def __call__(self, request):
        """Answer a request."""
        assert (request.method, request.path) == ("GET", "/meetings")
        if self.count:
            self.meanwhile()
        self.count += 1
        params = {name: value for name, value in request.params if name not in self.ignores}
        rows = self._ordered(
            [(date, number) for number, date in self.shelf.meetings.items() if self._lies_within(date, params)]
        )
        limit = min(int(params.get("limit", 50)), self.cap)
        start = self._start(rows, params.get("pageToken"))
        page = rows[start : start + limit]
        more = len(page) == limit if self.eager else start + limit < len(rows)
        token = self._token(page, start + limit) if more else self.shelf.random.choice([None, ""])
        items = [{"id": f"m{number}", "meetingDate": date} for date, number in page]
        if self.old_envelope:
            return answer(200, {"success": True, "items": items, "nextPageToken": token})
        total = {"totalCount": len(rows)} if self.totals else {}
        return answer(200, {"success": True, "items": items, "pagination": {"nextPageToken": token} | total})

    def _lies_within(self, date, params):
        after, before = params.get("meetingDateAfter"), params.get("meetingDateBefore")
        if after is not None and not (date > int(after) or (self.after_inclusive and date == int(after))):
            return False
        return before is None or date < int(before) or (self.before_inclusive and date == int(before))

    def _ordered(self, rows):
        if self.order == "shuffled":
            return sorted(rows, key=lambda row: (row[1] * 31) % 1009)
        if self.ties == "unstable":
            self.shelf.random.shuffle(rows)
        else:
            rows.sort(key=lambda row: row[1], reverse=self.ties == "descending")
        return sorted(rows, key=lambda row: row[0], reverse=self.order == "latest")

    def _token(self, page, offset):
        return f"o{offset}" if self.tokens == "offset" else f"k{page[-1][0]}|{page[-1][1]}"

    def _start(self, rows, token):
        if token is None:
            return 0
        if token.startswith("o"):
            return int(token[1:])
        date, number = map(int, token[1:].split("|"))
        sign = -1 if self.ties == "descending" else 1
        passed = (-date, sign * number)
        return sum((-row[0], sign * row[1]) <= passed for row in rows)


class FakeBuilderPrime:
    """Lists meetings by page number, in any order.

    Args:
        shelf: The meetings.
        order: ``start``, ``descending``, ``id`` or ``unstable``.
        from_inclusive: Whether ``start-date-from`` includes its bound.
        to_inclusive: Likewise.
        max_window: The longest window that is taken.
        max_limit: The largest ``limit`` that is taken.
        ignores: Parameters that have no effect.
        meanwhile: Called before each request but the first.
    """

    def __init__(
        self,
        shelf,
        *,
        order="start",
        from_inclusive=True,
        to_inclusive=True,
        max_window=31 * 86_400_000,
        max_limit=100,
        ignores=(),
        meanwhile=lambda: None,
    ):
        self.shelf, self.order = shelf, order
        self.from_inclusive, self.to_inclusive = from_inclusive, to_inclusive
        self.max_window, self.max_limit = max_window, max_limit
        self.ignores, self.meanwhile = frozenset(ignores), meanwhile
        self.count = 0

    def __call__(self, request):
        """Answer a request."""
        assert (request.method, request.path) == ("GET", "/meetings/v1")
        if self.count:
            self.meanwhile()
        self.count += 1
        params = dict(request.params)
        first, last = int(params["start-date-from"]), int(params["start-date-to"])
        limit, number = int(params["limit"]), int(params["page"])
        if last <= first or last - first > self.max_window or limit > self.max_limit:
            complaint = {"code": "INVALID", "message": f"a window of {last - first} ms, a limit of {limit}"}
            return answer(400, {"success": False, "errors": [complaint]})
        if "dates" in self.ignores:
            rows = [(date, key) for key, date in self.shelf.meetings.items()]
        else:
            rows = [(date, key) for key, date in self.shelf.meetings.items() if self._lies_within(date, first, last)]
        rows = self._ordered(rows)
        if "page" in self.ignores:
            number = 0
        page = rows[number * limit : (number + 1) * limit]
        data = [{"id": key, "startDateTime": date} for date, key in page]
        return answer(200, {"success": True, "data": data})

    def _lies_within(self, date, first, last):
        return (first <= date if self.from_inclusive else first < date) and (
            date <= last if self.to_inclusive else date < last
        )

    def _ordered(self, rows):
        if self.order == "unstable":
            self.shelf.random.shuffle(rows)
            return rows
        return sorted(rows, key=lambda row: row[1] if self.order == "id" else row, reverse=self.order == "descending")


def listed(meetings, prefix=""):
    """Check that no meeting is there twice; return the ids as the shelf has them."""
    ids = [int(str(meeting["id"]).removeprefix(prefix)) for meeting in meetings]
    assert len(ids) == len(set(ids)), "a meeting was listed twice"
    return set(ids)


def check(shelf, window, got):
    """Check that a list has every meeting that stayed, and nothing outside the window, nor anything that never was."""
    assert {key for key in shelf.staying if shelf.ever[key] in window} <= got
    assert all(key in shelf.ever and shelf.ever[key] in window for key in got)


def complete_or_error(read):
    """Read a list; None: it ended in a typed error, which is allowed where a server cannot be trusted."""
    try:
        return read()
    except MeetingsError:
        return None
