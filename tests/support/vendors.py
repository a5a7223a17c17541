"""Both vendors in memory, without a socket: they list meetings in every way that the vendors' pages leave open."""

import itertools
import random

from airflow_provider_meetings.exceptions import MeetingsError
from tests.support.flows import answer, problem

#: Where each vendor says when a meeting begins, and when it was made and changed.
DATE_FIELDS = {"hiringcenter": "meetingDate", "builderprime": "startDateTime"}
STAMPS = {"hiringcenter": ("createdAt", "updatedAt"), "builderprime": ("createdDate",)}


class MeetingTable:
    """A vendor's meetings, and how people book, change and delete them.

    Args:
        kind: ``hiringcenter`` or ``builderprime``.
        now: Returns the time in milliseconds, for when a meeting was made or changed; None: that is not recorded.
        number_of: Makes a meeting's number, of which its id is made, from a count.
    """

    def __init__(self, kind, *, now=None, number_of=int):
        self.kind = kind
        self.date_field = DATE_FIELDS[kind]
        self.random = random.Random(0)  # noqa: S311 - a test's dice
        self.rows = {}
        self.numbers = {}  # of each meeting, by its id
        self._serial = itertools.count(1)
        self._now = now
        self._number_of = number_of

    def book(self, date, **fields):
        """Make a meeting; return its id."""
        number = self._number_of(next(self._serial))
        meeting_id = fields.pop("id", f"m{number}" if self.kind == "hiringcenter" else number)
        self.numbers[meeting_id] = number
        self.rows[meeting_id] = {"id": meeting_id, self.date_field: date, **self._stamps(STAMPS[self.kind]), **fields}
        return meeting_id

    def edit(self, meeting_id, **changes):
        """Change a meeting."""
        self.rows[meeting_id] |= changes | self._stamps(STAMPS[self.kind][1:])

    def delete(self, meeting_id):
        """Delete a meeting."""
        del self.rows[meeting_id]

    def _stamps(self, names):
        return {} if self._now is None else dict.fromkeys(names, self._now())


class ChangingTable(MeetingTable):
    """A table whose ids tell nothing about a meeting's place; some meetings stay, and others may go again.

    Args:
        kind: The vendor.
        dates: When the meetings are that stay.
        seed: Of everything that happens at random.
    """

    def __init__(self, kind, dates, seed=0):
        super().__init__(kind, number_of=lambda count: count * 7919 % 1_000_003)
        self.random = random.Random(seed)  # noqa: S311 - a test's dice
        self.ever = {}
        self.removable = set()
        self.staying = {self.book(date) for date in dates}

    def book(self, date, **fields):
        """Make a meeting; return its id."""
        meeting_id = super().book(date, **fields)
        self.ever[meeting_id] = date
        return meeting_id

    def book_removable(self, date):
        """Make a meeting that may go again."""
        self.removable.add(self.book(date))

    def remove_one(self):
        """Delete a meeting that is not one of those that stay."""
        here = sorted(self.removable & self.rows.keys())
        if here:
            self.delete(self.random.choice(here))


class _Fake:
    """What both vendors have in common."""

    collection = ""
    #: The field that each filter compares.
    filters = {}  # noqa: RUF012 - each vendor's own
    item = ""

    def __init__(self, table, *, ignores=(), meanwhile=lambda: None):
        self.table = table
        self.ignores, self.meanwhile = frozenset(ignores), meanwhile
        self.count = 0

    def __call__(self, request):
        """Answer a request: for a list, or for one meeting."""
        assert request.method == "GET"
        if self.count:
            self.meanwhile()
        self.count += 1
        if request.path == self.collection:
            return self.list({name: value for name, value in request.params if name not in self.ignores})
        meeting_id = request.path.removeprefix(f"{self.collection}/")
        found = [row for key, row in self.table.rows.items() if str(key) == meeting_id]
        return answer(200, {"success": True, self.item: found[0]}) if found else problem(404)

    def rows(self, params, lies_within):
        """The rows that match, each with its date and its number; what a row does not have is not compared."""
        wanted = {name: params[key] for key, name in self.filters.items() if key in params}
        date_field = self.table.date_field
        return [
            (row[date_field], self.table.numbers[key], row)
            for key, row in self.table.rows.items()
            if lies_within(row[date_field], params)
            and all(str(row.get(name, text)) == text for name, text in wanted.items())
        ]


class FakeHiringCenter(_Fake):
    """Lists meetings, latest first, with tokens.

    Args:
        table: The meetings.
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

    collection, item = "/meetings", "item"
    filters = {name: name for name in ("prospectId", "ownerId", "meetingType")}  # noqa: RUF012 - it does not change

    def __init__(
        self,
        table,
        *,
        tokens="offset",
        after_inclusive=False,
        before_inclusive=False,
        old_envelope=False,
        cap=200,
        order="latest",
        ties="id",
        eager=False,
        totals=False,
        **options,
    ):
        super().__init__(table, **options)
        self.tokens, self.order, self.ties = tokens, order, ties
        self.after_inclusive, self.before_inclusive = after_inclusive, before_inclusive
        self.old_envelope, self.cap, self.eager, self.totals = old_envelope, cap, eager, totals

    def list(self, params):
        """Answer a request for a page."""
        rows = self._ordered(self.rows(params, self._lies_within))
        limit = min(int(params.get("limit", 50)), self.cap)
        start = self._start(rows, params.get("pageToken"))
        page = rows[start : start + limit]
        more = len(page) == limit if self.eager else start + limit < len(rows)
        token = self._token(page, start + limit) if more else self.table.random.choice([None, ""])
        items = [row for _, _, row in page]
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
            self.table.random.shuffle(rows)
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


class FakeBuilderPrime(_Fake):
    """Lists meetings by page number, in any order.

    Args:
        table: The meetings.
        order: ``start``, ``descending``, ``id`` or ``unstable``.
        from_inclusive: Whether ``start-date-from`` includes its bound.
        to_inclusive: Likewise.
        max_window: The longest window that is taken.
        max_limit: The largest ``limit`` that is taken.
        ignores: Parameters that have no effect.
        meanwhile: Called before each request but the first.
    """

    collection, item = "/meetings/v1", "data"
    filters = {"opportunity-id": "opportunityId", "employee-id": "employee"}  # noqa: RUF012 - it does not change

    def __init__(
        self,
        table,
        *,
        order="start",
        from_inclusive=True,
        to_inclusive=True,
        max_window=31 * 86_400_000,
        max_limit=100,
        **options,
    ):
        super().__init__(table, **options)
        self.order = order
        self.from_inclusive, self.to_inclusive = from_inclusive, to_inclusive
        self.max_window, self.max_limit = max_window, max_limit

    def list(self, params):
        """Answer a request for a page."""
        first, last = int(params["start-date-from"]), int(params["start-date-to"])
        limit, number = int(params["limit"]), int(params.get("page", 0))
        if last <= first or last - first > self.max_window or limit > self.max_limit:
            error = {"code": "INVALID", "message": f"a window of {last - first} ms, a limit of {limit}"}
            return answer(400, {"success": False, "errors": [error]})
        rows = self._ordered(self.rows(params, self._lies_within))
        page = rows[number * limit : (number + 1) * limit]
        return answer(200, {"success": True, "data": [row for _, _, row in page]})

    def _lies_within(self, date, params):
        first, last = int(params["start-date-from"]), int(params["start-date-to"])
        return "dates" in self.ignores or (
            (first <= date if self.from_inclusive else first < date)
            and (date <= last if self.to_inclusive else date < last)
        )

    def _ordered(self, rows):
        if self.order == "unstable":
            self.table.random.shuffle(rows)
            return rows
        return sorted(
            rows, key=lambda row: row[1] if self.order == "id" else row[:2], reverse=self.order == "descending"
        )


def listed(meetings):
    """Check that no meeting is there twice; return the ids."""
    ids = [meeting["id"] for meeting in meetings]
    assert len(ids) == len(set(ids)), "a meeting was listed twice"
    return set(ids)


def check(table, window, got):
    """Check that a list has every meeting that stayed, and nothing outside the window, nor anything that never was."""
    assert {key for key in table.staying if table.ever[key] in window} <= got
    assert all(key in table.ever and table.ever[key] in window for key in got)


def complete_or_error(read):
    """Read a list; None: it ended in a typed error, which is allowed where a server cannot be trusted."""
    try:
        return read()
    except MeetingsError:
        return None
