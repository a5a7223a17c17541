"""Builder Prime's lists: each meeting of the window exactly once, in any order, with any bounds, under traffic."""

import itertools
import math
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_meetings.core.times import DAY, Window
from airflow_provider_meetings.exceptions import (
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsPermissionError,
    MeetingsProtocolError,
    MeetingsRateLimitError,
)
from airflow_provider_meetings.vendors.spans import SpanLine
from tests.support.flows import BASE, Line, answer, builderprime, examples, retry_limits
from tests.support.vendors import ChangingTable, FakeBuilderPrime, check, complete_or_error, listed


@st.composite
def cases(draw, *, most=40):
    """Dates of meetings, dense or sparse, a window, and the longest window that the server takes."""
    unit = draw(st.sampled_from([1, 1, 1_000, DAY]))
    width = draw(st.sampled_from([3, 12, 60]))
    places = st.integers(0, width)
    dates = [BASE + place * unit for place in draw(st.lists(places, max_size=most))]
    start, end = sorted(draw(st.tuples(st.integers(-1, width + 1), st.integers(-1, width + 1))))
    window = Window(BASE + start * unit, BASE + end * unit + draw(st.sampled_from([0, 0, 1])))
    assume(window.start < window.end)
    return dates, window, max(2, unit * draw(st.sampled_from([2, 5, 31])))


BOUNDS = st.fixed_dictionaries({"from_inclusive": st.booleans(), "to_inclusive": st.booleans()})
STABLE = st.sampled_from(["start", "descending", "id"])
PAGES = st.sampled_from([2, 3, 5, 8, 100])
PARALLEL = st.sampled_from([1, 2, 4])


@examples(150)
@given(cases(), BOUNDS, STABLE, st.sampled_from([1, 2, 3, 5, 8, 100]), PARALLEL)
def test_a_static_list_is_complete_and_each_meeting_is_there_once(case, bounds, order, page_size, parallel):
    """Whatever the order and the bounds: half-open window, every meeting of it, each once, no slice too long."""
    dates, window, longest = case
    table = ChangingTable("builderprime", dates)
    line = Line(FakeBuilderPrime(table, order=order, max_window=longest, **bounds))
    vendor = builderprime(page_size=page_size, parallel=parallel, max_window=longest)
    assert {key for key, date in table.ever.items() if date in window} == listed(line.read(vendor.listing(window)))


@examples(150)
@given(cases(), BOUNDS, PAGES, PARALLEL, st.integers(0, 999))
def test_an_order_that_changes_with_each_request_loses_nothing_silently(case, bounds, page_size, parallel, seed):
    """A list is complete or an error, also where pages cannot be turned at all."""
    dates, window, longest = case
    table = ChangingTable("builderprime", dates, seed)
    line = Line(FakeBuilderPrime(table, order="unstable", max_window=longest, **bounds))
    vendor = builderprime(page_size=page_size, parallel=parallel, max_window=longest)
    got = complete_or_error(lambda: listed(line.read(vendor.listing(window))))
    assert got in (None, {key for key, date in table.ever.items() if date in window})


@examples(75)
@given(cases(most=20), STABLE, PAGES, PARALLEL)
def test_a_static_server_that_ignores_the_dates_is_read_completely(case, order, page_size, parallel):
    """What the server does not leave out is left out here."""
    dates, window, longest = case
    table = ChangingTable("builderprime", dates)
    line = Line(FakeBuilderPrime(table, order=order, max_window=longest, ignores={"dates"}))
    vendor = builderprime(page_size=page_size, parallel=parallel, max_window=longest)
    assert {key for key, date in table.ever.items() if date in window} == listed(line.read(vendor.listing(window)))


@examples(120)
@given(
    cases(),
    BOUNDS,
    STABLE,
    PAGES,
    PARALLEL,
    st.lists(st.sampled_from(["add", "remove"]), min_size=1, max_size=5),
    st.integers(0, 9999),
)
def test_who_comes_and_goes_meanwhile_makes_nobody_missed_or_repeated(  # noqa: PLR0917 - one argument a thing that varies
    case, bounds, order, page_size, parallel, moves, seed
):
    """What was there all along is listed exactly once, with random traffic before every request."""
    dates, window, longest = case
    table = ChangingTable("builderprime", dates, seed)
    places = [*dates, BASE - 1, BASE + 1, BASE + 30]
    for _ in range(5):
        table.book_removable(table.random.choice(places))

    def meanwhile():
        for move in moves:
            if move == "remove":
                table.remove_one()
            else:
                table.book_removable(table.random.choice(places))

    line = Line(FakeBuilderPrime(table, order=order, max_window=longest, meanwhile=meanwhile, **bounds))
    vendor = builderprime(page_size=page_size, parallel=parallel, max_window=longest)
    got = complete_or_error(lambda: listed(line.read(vendor.listing(window))))
    if got is not None:
        check(table, window, got)
    elif page_size == 100:
        pytest.fail("no millisecond has a hundred meetings, so no page had to be turned")


@examples(60)
@given(
    st.lists(st.integers(0, 10_000), max_size=60, unique=True),
    STABLE,
    st.sampled_from([5, 8]),
    st.lists(st.sampled_from(["add", "remove", "remove"]), min_size=1, max_size=5),
    st.integers(0, 9999),
)
def test_traffic_is_no_excuse_where_no_millisecond_is_crowded(places, order, page_size, moves, seed):
    """An error is allowed only where a single millisecond fills a page."""
    table = ChangingTable("builderprime", [BASE + 3 * place for place in places], seed)
    free = iter(range(100_000))

    def meanwhile():
        for move in moves:
            if move == "remove":
                table.remove_one()
            elif len(table.ever) < 400:  # a list that grows by a page with each request has no end
                # Never near another one: a span of a millisecond is asked for with one more on either side.
                table.book_removable(BASE + 40_000 + 3 * next(free))

    for _ in range(6):
        table.book_removable(BASE + 40_000 + 3 * next(free))
    line = Line(FakeBuilderPrime(table, order=order, meanwhile=meanwhile))
    window = Window(BASE, BASE + 100_000)
    got = listed(line.read(builderprime(page_size=page_size).listing(window)))
    check(table, window, got)


@examples(150)
@given(
    st.integers(3, 20),
    st.sampled_from([2, 3, 5]),
    STABLE,
    st.lists(st.sampled_from(["add", "remove"]), min_size=1, max_size=3),
    st.integers(0, 9999),
)
def test_a_crowded_millisecond_with_traffic_is_read_completely_or_refused(count, page_size, order, moves, seed):
    """Where pages have to be turned after all: complete, or an error that says so."""
    table = ChangingTable("builderprime", [BASE] * count, seed)

    def meanwhile():
        for move in moves:
            if move == "remove":
                table.remove_one()
            elif len(table.ever) < 60:  # a list that grows faster than it is read has no end
                table.book_removable(BASE + table.random.choice([-1, 0, 0, 1]))

    line = Line(FakeBuilderPrime(table, order=order, meanwhile=meanwhile))
    window = Window(BASE - 5, BASE + 5)
    got = complete_or_error(lambda: listed(line.read(builderprime(page_size=page_size).listing(window))))
    if got is not None:
        check(table, window, got)


@pytest.mark.parametrize(("order", "factor"), [("start", 3), ("descending", 3), ("id", 4)])
@pytest.mark.parametrize("count", [0, 99, 100, 101, 500, 3_000, 10_000])
def test_uniform_meetings_cost_a_small_multiple_of_the_pages(count, order, factor):
    """The density seen on a full page tells how to slice; an order that hides it costs halvings."""
    days = 90
    table = ChangingTable("builderprime", [BASE + place * days * DAY // count for place in range(count)])
    line = Line(FakeBuilderPrime(table, order=order))
    got = listed(line.read(builderprime().listing(Window(BASE, BASE + days * DAY))))
    assert count == len(got)
    assert len(line.requests) <= factor * max(math.ceil(count / 100), math.ceil(days / 31))


def test_no_slice_is_longer_than_31_days_and_none_is_left_out():
    """A year is asked for in slices that the server takes, a millisecond wider than what they stand for."""
    line = Line(FakeBuilderPrime(ChangingTable("builderprime", [])))
    line.read(builderprime().listing(Window(BASE, BASE + 365 * DAY)))
    spans = sorted(
        (int(params["start-date-from"]), int(params["start-date-to"]))
        for params in (dict(request.params) for request in line.requests)
    )
    assert spans[0][0] == BASE - 1
    assert spans[-1][1] == BASE + 365 * DAY
    assert all(end - start <= 31 * DAY for start, end in spans)
    assert all(earlier[1] == later[0] + 1 for earlier, later in itertools.pairwise(spans))
    assert len(spans) == 12


def test_filters_go_with_every_request():
    """Filters are the vendor's own parameters and never get lost between slices."""
    line = Line(FakeBuilderPrime(ChangingTable("builderprime", [BASE] * 5)))
    filters = {"opportunity-id": "102988", "employee-id": 50}
    vendor = builderprime(page_size=2)
    line.read(vendor.listing(Window(BASE, BASE + 90 * DAY), vendor.check_filters(filters)))
    expected = {("opportunity-id", "102988"), ("employee-id", "50")}
    assert all(expected <= set(request.params) for request in line.requests)


@pytest.mark.parametrize("window", [Window(), Window(BASE, None), Window(None, BASE)])
def test_an_open_window_is_refused_before_anything_is_sent(window):
    """The vendor requires both bounds."""
    with pytest.raises(MeetingsConfigurationError, match="both window_start and window_end"):
        builderprime().listing(window)


@pytest.mark.parametrize("width", [1, 3, 31 * DAY])
def test_a_server_that_ignores_the_page_number_is_left_with_an_error(width):
    """A full page that comes again has no end: the error says so, and where."""
    table = ChangingTable("builderprime", [BASE] * 7)
    line = Line(FakeBuilderPrime(table, ignores={"page"}))
    with pytest.raises(MeetingsProtocolError) as caught:
        line.read(builderprime(page_size=5).listing(Window(BASE, BASE + width)))
    assert (caught.value.status, caught.value.method, caught.value.path) == (200, "GET", "/meetings/v1")
    assert len(line.requests) < 100


def test_a_server_that_ignores_everything_is_left_with_an_error():
    """Neither dates nor pages have an effect: the list cannot be complete."""
    table = ChangingTable("builderprime", [BASE + DAY * place for place in range(7)])
    line = Line(FakeBuilderPrime(table, ignores={"page", "dates"}))
    with pytest.raises(MeetingsProtocolError):
        line.read(builderprime(page_size=5).listing(Window(BASE, BASE + DAY)))


def test_an_error_in_one_slice_is_no_short_list():
    """One slice of several is refused: the whole list is."""
    replies = iter([answer(200, {"success": True, "data": []})] * 2 + [answer(401, {"success": False})] * 9)
    with pytest.raises(MeetingsError):
        Line(lambda _: next(replies)).read(builderprime().listing(Window(BASE, BASE + 90 * DAY)))


SLICES, CROWD = [BASE, BASE + 31 * DAY, BASE + 62 * DAY], [BASE] * 5


@pytest.mark.parametrize("dates", [SLICES, CROWD, None], ids=["slices", "pages of one instant", "types"])
def test_the_waits_of_all_pages_share_one_patience(dates):
    """Each of three pages is refused once, with a wait of 20 s: `max_wait` is what may be slept in all."""
    window = Window(BASE, BASE + (1 if dates is CROWD else 90 * DAY))

    def read(max_wait):
        refused = set()

        def server(request):
            if request.params not in refused and len(refused) < 3:
                refused.add(request.params)
                return answer(429, retry_after="20")
            if dates is not None:
                return FakeBuilderPrime(ChangingTable("builderprime", dates))(request)
            number = int(dict(request.params)["page"])
            return answer(200, {"success": True, "data": [{"id": 2 * number}, {"id": 2 * number + 1}][: 3 - number]})

        line = Line(server)
        vendor = builderprime(page_size=2, parallel=1, retry_limits=retry_limits(max_wait=max_wait))
        return line, lambda: line.drive(vendor.types()) if dates is None else line.read(vendor.listing(window))

    line, listing = read(62)
    assert (len(dates or range(5)), 3) == (len(listing()), len(line.pauses))
    line, listing = read(59)
    with pytest.raises(MeetingsRateLimitError):
        listing()
    assert len(line.pauses) == 2


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_meeting_types_are_listed_page_by_page(count):
    """All types, whatever their number; the documented limit of 100 is kept."""
    records = [{"id": number, "name": f"type {number}"} for number in range(count)]

    def server(request):
        params = dict(request.params)
        assert (request.path, request.scope, "100") == ("/meeting-types/v1", "meetingtypes.read", params["limit"])
        number = int(params["page"])
        return answer(200, {"success": True, "data": records[number * 100 : (number + 1) * 100]})

    assert records == Line(server).drive(builderprime().types())


def test_meeting_types_of_a_server_without_pages_are_listed_once():
    """A server that ignores the limit and the page number gives the same ones again: that is their end."""
    records = [{"id": number} for number in range(101)]
    line = Line(lambda _: answer(200, {"success": True, "data": records}))
    assert records == line.drive(builderprime().results())
    assert len(line.requests) == 2


def test_meeting_types_behind_a_page_that_comes_again_are_an_error():
    """A server that keeps the limit and ignores the page number may have more: a list is complete or an error."""
    line = Line(lambda _: answer(200, {"success": True, "data": [{"id": number} for number in range(100)]}))
    with pytest.raises(MeetingsProtocolError, match="repeats a full page") as caught:
        line.drive(builderprime().types())
    assert (caught.value.status, caught.value.method, caught.value.path) == (200, "GET", "/meeting-types/v1")


def test_types_without_ids_are_not_taken_for_one():
    """They cannot be told apart, and a list is complete or an error."""
    line = Line(lambda _: answer(200, {"success": True, "data": [{"name": "Sales"}, {"name": "Service"}]}))
    with pytest.raises(MeetingsProtocolError, match="no id"):
        line.drive(builderprime().types())


def test_one_type_and_one_result_are_read_by_id():
    """Each by its own path and scope."""
    line = Line(lambda request: answer(200, {"success": True, "data": {"id": int(request.path.split("/")[-1])}}))
    assert line.drive(builderprime().type("1011")) == {"id": 1011}
    assert line.drive(builderprime().result(1001)) == {"id": 1001}
    assert line.sent == ["GET /meeting-types/v1/1011", "GET /meeting-results/v1/1001"]
    assert [request.scope for request in line.requests] == ["meetingtypes.read", "meetingresults.read"]


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/meeting-types/v1", "meetingtypes.read"),
        ("/meeting-results/v1", "meetingresults.read"),
        ("/employees/v1", "employees.read"),
    ],
)
def test_the_connection_test_names_the_reading_scopes_that_a_key_lacks(path, scope):
    """Those that it has are named as granted, and the one that is refused as missing."""
    refused = {"success": False, "errors": [{"code": "FORBIDDEN", "message": "no scope"}]}
    found = {"success": True, "data": []}
    line = Line(lambda request: answer(403, refused) if request.path == path else answer(200, found))
    granted, _, missing = line.drive(builderprime().check()).partition(". Missing scopes: ")
    assert scope == missing
    assert scope not in granted
    assert granted.count(".read") == 3


def test_a_list_without_the_scope_names_the_scope_and_the_field_of_the_key():
    """What to grant, and to which of the connection's keys."""
    line = Line(lambda _: answer(403, {"success": False, "errors": [{"code": "FORBIDDEN", "message": "no"}]}))
    vendor = builderprime(key_fields={"meetings.read": "extra `read_api_key`"})
    with pytest.raises(MeetingsPermissionError, match=r"extra `read_api_key`.*meetings\.read"):
        line.read(vendor.listing(Window(BASE, BASE + 1)))


def office_hours(count, seed, *, busiest=1.4, quietest=0.6):
    """Starts of a year's meetings: weekdays, office hours, every quarter of an hour, and weeks that are uneven."""
    dice, found, weeks = random.Random(seed), [], {}  # noqa: S311 - a test's dice
    while len(found) < count:
        day = dice.randrange(365)
        week = weeks.setdefault(day // 7, dice.uniform(quietest, busiest))
        if day % 7 < 5 and dice.random() * busiest < week:
            hour = dice.choice([8, 9, 9, 10, 10, 10, 11, 12, 13, 14, 14, 15, 16, 17])
            found.append(BASE // DAY * DAY + day * DAY + (hour * 60 + dice.choice([0, 15, 30, 45])) * 60_000)
    return found


@pytest.mark.parametrize(("count", "factor"), [(8_000, 1.6), (20_000, 1.5)])
@pytest.mark.parametrize("order", ["start", "descending", "id"])
def test_a_year_in_office_hours_costs_little_more_than_its_pages(order, count, factor):
    """Spans are cut where the meetings are: nights and weekends cost nothing, a busy week no more than a quiet one."""
    dates = office_hours(count, seed=1)
    line = Line(FakeBuilderPrime(ChangingTable("builderprime", dates), order=order))
    got = line.read(builderprime().listing(Window(min(dates), max(dates) + 1)))
    assert count == len({item["id"] for item in got})
    assert factor * count / 100 >= len(line.requests)
    if order == "start":
        assert sorted(dates) == [item["startDateTime"] for item in got]


@pytest.mark.parametrize("order", ["start", "descending", "id"])
def test_one_crowded_afternoon_costs_six_requests(order):
    """120 meetings a minute apart in a window of a week: a full answer says where to cut."""
    afternoon = [BASE + 3 * DAY + 14 * 3_600_000 + minute * 60_000 for minute in range(120)]
    line = Line(FakeBuilderPrime(ChangingTable("builderprime", afternoon), order=order))
    assert 120 == len(listed(line.read(builderprime().listing(Window(BASE, BASE + 7 * DAY)))))
    assert len(line.requests) <= 6


def test_no_more_than_a_bounded_number_of_pages_is_held():
    """What is read ahead waits for what is earlier, and its number does not grow with the list."""
    dates = office_hours(20_000, 3)
    line = SpanLine(Window(min(dates), max(dates) + 1), page_size=100, longest=31 * DAY - 1)
    found = sorted(dates)
    most = read = 0
    while spans := line.next_spans(4):
        for span in spans:
            inside = [start for start in found if start in span]
            if len(inside) < 100:
                line.read(span, inside, inside)
                read += 1
            else:
                line.cut(span, inside[:100])
        read -= sum(1 for _ in line.ready())
        most = max(most, read)
    assert most <= 100
