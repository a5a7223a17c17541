"""HiringCenter's lists: each meeting of the window exactly once, whatever the page leaves open."""

import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import MeetingsError, MeetingsProtocolError, MeetingsRateLimitError
from tests.support.flows import BASE, Line, answer, examples, hiringcenter, retry_limits
from tests.support.vendors import ChangingTable, FakeHiringCenter, check, complete_or_error, listed


@st.composite
def dates_and_window(draw, *, most=40):
    """Dates of meetings, dense or sparse, and a window that may begin or end on one."""
    unit = draw(st.sampled_from([1, 1, 1_000, 86_400_000]))
    width = draw(st.sampled_from([3, 12, 60]))
    places = st.integers(0, width)
    dates = [BASE + place * unit for place in draw(st.lists(places, max_size=most))]
    start, end = sorted(draw(st.tuples(st.integers(-1, width + 1), st.integers(-1, width + 1))))
    nudge = draw(st.sampled_from([0, 0, 1]))
    window = Window(
        draw(st.sampled_from([None, BASE + start * unit, BASE + start * unit])),
        draw(st.sampled_from([None, BASE + end * unit + 1, BASE + end * unit + nudge])),
    )
    assume(window.start is None or window.end is None or window.start < window.end)
    return dates, window


#: Page after page, and four parts of the window at once.
AT_ONCE = {1: {}, 4: {"parallel": 4, "slow_from": 0.0}}

WAYS = st.fixed_dictionaries(
    {
        "tokens": st.sampled_from(["offset", "keyset"]),
        "after_inclusive": st.booleans(),
        "before_inclusive": st.booleans(),
        "old_envelope": st.booleans(),
        "ties": st.sampled_from(["id", "descending"]),
        "eager": st.booleans(),
    }
)


@pytest.mark.parametrize("parallel", AT_ONCE)
@examples(150)
@given(dates_and_window(), WAYS, st.sampled_from([1, 2, 3, 5, 8, 200]), st.sampled_from([2, 200]))
def test_a_static_list_is_complete_and_each_meeting_is_there_once(parallel, case, ways, page_size, cap):
    """Whatever the page leaves open: half-open window, every meeting of it, each once."""
    dates, window = case
    table = ChangingTable("hiringcenter", dates)
    line = Line(FakeHiringCenter(table, cap=cap, **ways))
    got = listed(line.read(hiringcenter(page_size=page_size, **AT_ONCE[parallel]).listing(window)))
    assert {key for key, date in table.ever.items() if date in window} == got


@pytest.mark.parametrize("parallel", AT_ONCE)
@examples(60)
@given(dates_and_window(), st.sampled_from([2, 3, 8]), st.integers(0, 999))
def test_a_server_whose_ties_change_places_is_read_completely_or_refused(parallel, case, page_size, seed):
    """Meetings of one millisecond may come in another order each time; a list is complete or an error."""
    dates, window = case
    table = ChangingTable("hiringcenter", dates, seed)
    line = Line(FakeHiringCenter(table, ties="unstable"))
    got = complete_or_error(
        lambda: listed(line.read(hiringcenter(page_size=page_size, **AT_ONCE[parallel]).listing(window)))
    )
    assert got in (None, {key for key, date in table.ever.items() if date in window})


@pytest.mark.parametrize("parallel", AT_ONCE)
@examples(60)
@given(
    dates_and_window(),
    st.sampled_from([2, 3, 8]),
    st.sampled_from([{"meetingDateAfter"}, {"meetingDateBefore"}, {"meetingDateAfter", "meetingDateBefore"}]),
    WAYS,
)
def test_a_static_server_that_ignores_bounds_is_read_completely(parallel, case, page_size, ignores, ways):
    """What the server does not leave out is left out here."""
    dates, window = case
    table = ChangingTable("hiringcenter", dates)
    line = Line(FakeHiringCenter(table, ignores=ignores, **ways))
    got = listed(line.read(hiringcenter(page_size=page_size, **AT_ONCE[parallel]).listing(window)))
    assert {key for key, date in table.ever.items() if date in window} == got


@pytest.mark.parametrize("parallel", AT_ONCE)
@examples(60)
@given(dates_and_window(), st.sampled_from([2, 3, 8]), st.sampled_from(["offset"]))
def test_a_server_that_lists_earliest_first_is_followed_by_its_tokens(parallel, case, page_size, tokens):
    """The documented order is not needed where the first page shows that it is not kept."""
    dates, window = case
    table = ChangingTable("hiringcenter", set(dates))
    line = Line(FakeHiringCenter(table, order="earliest", tokens=tokens))
    got = listed(line.read(hiringcenter(page_size=page_size, **AT_ONCE[parallel]).listing(window)))
    assert {key for key, date in table.ever.items() if date in window} == got


def test_a_server_without_any_order_is_followed_by_its_tokens():
    """A shuffled list is as complete as an ordered one, once it shows."""
    table = ChangingTable("hiringcenter", [BASE + place for place in range(50)])
    line = Line(FakeHiringCenter(table, order="shuffled"))
    got = listed(line.read(hiringcenter(page_size=7).listing(Window(BASE + 5, BASE + 45))))
    assert {key for key, date in table.ever.items() if BASE + 5 <= date < BASE + 45} == got


@pytest.mark.parametrize("parallel", AT_ONCE)
@examples(120)
@given(
    dates_and_window(),
    WAYS,
    st.sampled_from([1, 2, 3, 5, 8]),
    st.lists(st.sampled_from(["add", "remove"]), min_size=1, max_size=5),
    st.integers(0, 9999),
)
def test_who_comes_and_goes_meanwhile_makes_nobody_missed_or_repeated(parallel, case, ways, page_size, moves, seed):  # noqa: PLR0917 - one argument a thing that varies
    """What was there all along is listed exactly once, with random traffic before every request."""
    dates, window = case
    table = ChangingTable("hiringcenter", dates, seed)
    places = [*dates, BASE - 1, BASE + 1, BASE + 30]
    for _ in range(5):
        table.book_removable(table.random.choice(places))

    def there(place):
        return [row["meetingDate"] for row in table.rows.values()].count(place)

    crowded = any(there(place) >= page_size for place in places)

    def meanwhile():
        for move in moves:
            if move == "remove":
                table.remove_one()
            elif free := [place for place in places if there(place) < page_size - 1]:
                table.book_removable(table.random.choice(free))

    line = Line(FakeHiringCenter(table, meanwhile=meanwhile, **ways))
    got = complete_or_error(
        lambda: listed(line.read(hiringcenter(page_size=page_size, **AT_ONCE[parallel]).listing(window)))
    )
    if got is None:
        # Only a millisecond that fills a page and changes all the time may end in an error.
        assert crowded
    else:
        check(table, window, got)


@pytest.mark.parametrize("parallel", AT_ONCE)
@examples(150)
@given(
    st.integers(3, 20),
    st.sampled_from([2, 3, 5]),
    st.lists(st.sampled_from(["add", "remove"]), min_size=1, max_size=3),
    st.integers(0, 9999),
    WAYS,
)
def test_a_crowded_millisecond_with_traffic_is_read_completely_or_refused(  # noqa: PLR0917 - likewise
    parallel, count, page_size, moves, seed, ways
):
    """Where a page is full of one millisecond only tokens can be followed: complete, or an error that says so."""
    table = ChangingTable("hiringcenter", [BASE] * count, seed)
    for _ in range(4):
        table.book_removable(BASE + table.random.choice([-1, 0, 0, 1]))

    def meanwhile():
        for move in moves:
            if move == "remove":
                table.remove_one()
            elif len(table.ever) < 60:  # a list that grows faster than it is read has no end
                table.book_removable(BASE + table.random.choice([-1, 0, 0, 1]))

    line = Line(FakeHiringCenter(table, meanwhile=meanwhile, **ways))
    window = Window(BASE - 5, BASE + 5)
    got = complete_or_error(
        lambda: listed(line.read(hiringcenter(page_size=page_size, **AT_ONCE[parallel]).listing(window)))
    )
    if got is not None:
        check(table, window, got)


class _Tokenless(FakeHiringCenter):
    """Never says that there is a next page.

    Args:
        table: The meetings.
        pagination: Makes what it says of the pages, of the number of all meetings.
    """

    def __init__(self, table, pagination):
        super().__init__(table, totals=True)
        self._pagination = pagination

    def list(self, params):
        """Answer a request for a page."""
        reply = super().list(params)
        content = json.loads(reply.body)
        pagination = self._pagination(content.pop("pagination")["totalCount"])
        return answer(200, content | ({} if pagination is None else {"pagination": pagination}))


TOKENLESS = {
    "nothing of the pages": lambda _: None,
    "another field": lambda _: {"hasMore": True},
    "only the number of all": lambda total: {"totalCount": total},
    "no token, and the number of all": lambda total: {"nextPageToken": None, "totalCount": total},
}


@pytest.mark.parametrize("pagination", TOKENLESS.values(), ids=TOKENLESS)
@pytest.mark.parametrize("count", [5, 15, 16])
def test_a_full_page_without_a_token_is_not_taken_for_all(pagination, count):
    """Unless it says so: a list is complete or an error."""
    table = ChangingTable("hiringcenter", [BASE + number for number in range(count)])
    line = Line(_Tokenless(table, pagination))
    assert len(listed(line.read(hiringcenter(page_size=5).listing(Window(BASE, BASE + 100))))) == count


def test_a_full_page_that_is_said_to_be_the_last_is_believed():
    """Nobody asks again after each list that fills its last page."""
    table = ChangingTable("hiringcenter", [BASE + number for number in range(5)])
    line = Line(_Tokenless(table, lambda _: {"nextPageToken": ""}))
    assert len(listed(line.read(hiringcenter(page_size=5).listing(Window(BASE, BASE + 100))))) == 5
    assert len(line.sent) == 1


@pytest.mark.parametrize("tokens", ["offset", "keyset"])
@pytest.mark.parametrize("before_inclusive", [True, False])
@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 1_000, 2_001])
def test_a_list_costs_hardly_more_requests_than_it_has_pages(count, before_inclusive, tokens):
    """Pages overlap by one millisecond, no more."""
    table = ChangingTable("hiringcenter", [BASE + 60_000 * place for place in range(count)])
    line = Line(FakeHiringCenter(table, tokens=tokens, before_inclusive=before_inclusive))
    assert count == len(listed(line.read(hiringcenter().listing(Window(BASE, None)))))
    assert len(line.requests) <= math.ceil(count / 199) + 2


def test_filters_go_with_every_page():
    """Filters are the vendor's own parameters and never get lost between pages."""
    table = ChangingTable("hiringcenter", [BASE + place for place in range(5)] + [BASE] * 5)
    line = Line(FakeHiringCenter(table))
    vendor = hiringcenter(page_size=2)
    filters = vendor.check_filters({"ownerId": " u1 ", "meetingType": "phone"})
    line.read(vendor.listing(Window(BASE, BASE + 9), filters))
    assert len(line.requests) > 3
    assert all({("meetingType", "phone"), ("ownerId", "u1")} <= set(request.params) for request in line.requests)


def test_a_window_may_be_open_on_both_sides():
    """Without bounds no bound is sent at first."""
    line = Line(FakeHiringCenter(ChangingTable("hiringcenter", [1, BASE])))
    assert len(line.read(hiringcenter().listing(Window()))) == 2
    assert [request.params for request in line.requests] == [(("limit", "200"),)]


def _page(items, token):
    return answer(200, {"success": True, "items": items, "pagination": {"nextPageToken": token}})


def _meeting(number, date):
    return {"id": f"m{number}", "meetingDate": date}


ENDLESS = {
    "one page and one token": lambda _: _page([_meeting(1, BASE), _meeting(2, BASE - 1)], "again"),
    "one page, new tokens": lambda number: _page([_meeting(1, BASE), _meeting(2, BASE - 1)], f"t{number}"),
    "one millisecond, one token": lambda _: _page([_meeting(1, BASE), _meeting(2, BASE)], "again"),
    "one millisecond, new tokens": lambda number: _page([_meeting(1, BASE), _meeting(2, BASE)], f"t{number}"),
    "no order, one token": lambda _: _page([_meeting(1, BASE - 1), _meeting(2, BASE)], "again"),
    "no order, new tokens": lambda number: _page([_meeting(1, BASE - 1), _meeting(2, BASE)], f"t{number}"),
    "two pages in turn": lambda number: _page([_meeting(number % 2, BASE), _meeting(9, BASE + 1)], f"t{number}"),
    "empty pages, one token": lambda _: _page([], "again"),
    "empty pages, new tokens": lambda number: _page([], f"t{number}"),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_list_ends_in_an_error(kind):
    """A server that repeats its tokens or its pages for ever is left, with an error that says where."""
    sent = []

    def server(request):
        sent.append(request)
        assert len(sent) < 500, "the list has no end"
        return ENDLESS[kind](len(sent))

    with pytest.raises(MeetingsProtocolError) as caught:
        Line(server).read(hiringcenter(page_size=2).listing(Window(BASE - 100, BASE + 100)))
    assert (caught.value.status, caught.value.method, caught.value.path) == (200, "GET", "/meetings")


@pytest.mark.parametrize("ignores", [(), ("meetingDateBefore",)], ids=["by date", "by token"])
def test_the_waits_of_all_pages_share_one_patience(ignores):
    """Each of three pages is refused once, with a wait of 20 s: `max_wait` is what may be slept in all."""
    table, window = ChangingTable("hiringcenter", [BASE + number for number in range(6)]), Window(BASE, BASE + 6)

    def read(max_wait):
        fake, refused = FakeHiringCenter(table, ignores=ignores), set()

        def server(request):
            if request.params in refused or len(refused) == 3:
                return fake(request)
            refused.add(request.params)
            return answer(429, retry_after="20")

        line = Line(server)
        vendor = hiringcenter(page_size=2, retry_limits=retry_limits(max_wait=max_wait))
        return line, lambda: line.read(vendor.listing(window))

    line, listing = read(62)
    assert (len(table.ever), 3) == (len(listing()), len(line.pauses))
    line, listing = read(59)
    with pytest.raises(MeetingsRateLimitError):
        listing()
    assert len(line.pauses) == 2


@pytest.mark.parametrize("date", ["2026-11-21T12:00:00Z", "2026-11-21T13:00:00.000+01:00", str(BASE), BASE])
def test_dates_in_answers_may_be_written_in_any_documented_form(date):
    """ISO 8601 or milliseconds: the window is applied to the moment, the meeting is handed on as it came."""
    meeting = {"id": "m1", "meetingDate": date, "extra": [1]}
    line = Line(lambda _: _page([meeting], None))
    assert [meeting] == line.read(hiringcenter().listing(Window(BASE, BASE + 1)))
    assert line.read(hiringcenter().listing(Window(BASE + 1, BASE + 2))) == []


def test_an_error_on_a_later_page_is_no_short_list():
    """What was listed before an error never passes for the whole."""
    replies = iter([_page([_meeting(1, BASE), _meeting(2, BASE - 1)], "t"), answer(403, {"error": "Forbidden"})])
    with pytest.raises(MeetingsError):
        Line(lambda _: next(replies)).read(hiringcenter(page_size=2).listing(Window()))


@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("window", [Window(BASE, BASE + 365 * 86_400_000), Window()])
def test_parts_read_at_once_cost_little_more_than_the_pages(window, total):
    """Four parts of the window at a time, in the vendor's order, with few requests more than there are pages."""
    dates = [BASE + place * 365 * 86_400_000 // 4_000 for place in range(4_000)]
    line = Line(FakeHiringCenter(ChangingTable("hiringcenter", dates), totals=total))
    got = line.read(hiringcenter(parallel=4, slow_from=0.0).listing(window))
    assert sorted(dates, reverse=True) == [item["meetingDate"] for item in got]
    assert len(line.requests) <= 1.5 * 20


def test_one_page_is_asked_for_at_a_time_where_the_server_is_near():
    """Parts pay only where the vendor takes its time to answer."""
    dates = [BASE + place * 60_000 for place in range(1_000)]
    line = Line(FakeHiringCenter(ChangingTable("hiringcenter", dates)))
    line.read(hiringcenter(parallel=4).listing(Window(BASE, None)))
    assert len(line.requests) <= 6
