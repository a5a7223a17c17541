"""The planner and the index as properties: every query is served, by a list that holds its meetings, cut up rightly."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_meetings.polling import ListingIndex, ListQuery, Planner
from airflow_provider_meetings.polling.criteria import Criteria
from airflow_provider_meetings.vendors.builderprime import BuilderPrime
from airflow_provider_meetings.vendors.hiringcenter import HiringCenter
from airflow_provider_meetings.vendors.responses import ErrorFactory

DAY = 86_400_000
HC = HiringCenter(ErrorFactory("HiringCenter", "hc", "https://h"), update_method="POST", idempotency_window=86_400.0)
BP = BuilderPrime(ErrorFactory("Builder Prime", "bp", "https://b"), max_window=31 * DAY, parallel=4)
_examples = settings(max_examples=200, derandomize=True, database=None, deadline=None)

_filters = st.dictionaries(
    st.sampled_from(["prospectId", "ownerId", "meetingType"]), st.sampled_from(["a", "b", "c"])
).map(lambda some: tuple(sorted(some.items())))
_bounds = st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda pair: (pair[0] * DAY, (pair[0] + pair[1]) * DAY))
_windows = st.one_of(_bounds, _bounds.map(lambda pair: (None, pair[1])), st.just((None, None)))
_asks = st.lists(
    st.builds(lambda window, filters: ListQuery(*window, filters), _windows, _filters), min_size=1, max_size=40
)


def _book(seed, count):
    dice = random.Random(seed)  # noqa: S311 - a test's dice
    return [
        {
            "id": str(number),
            "meetingDate": dice.randrange(90 * DAY),
            "prospectId": dice.choice("abc"),
            "ownerId": dice.choice("abc"),
            "meetingType": dice.choice("abc"),
        }
        for number in range(count)
    ]


def _vendor(book, query):
    """What the vendor answers."""
    return [
        one
        for one in book
        if one["meetingDate"] in query.window and all(one[name] == value for name, value in query.filters)
    ]


@_examples
@given(_asks, st.integers(0, 99), st.sampled_from([0, 30, 3000]))
def test_every_ask_is_served_rightly_and_cheaper_each_round(queries, seed, count):
    """Every query is served once a round, exactly as the vendor would, and in the end no dearer than asking each."""
    book = _book(seed, count)
    planner = Planner(HC)

    def pages(query):
        return HC.estimate_requests(len(_vendor(book, query)), 1)

    apart = sum(pages(query) for query in set(queries))
    for turn in range(4):
        spent = 0
        todo = planner.plan(queries, float(turn))
        served = set()
        while todo:
            planned = todo.pop()
            assert all(planned.query.covers(query) for query in planned.serves)
            cost = pages(planned.query)
            if planned.limit is not None and cost > planned.limit:
                spent += planned.limit
                planner.learn_too_long(planned.query, planned.limit, [], float(turn))
                todo += planner.plan(planned.serves, float(turn))
                continue
            spent += cost
            listed = _vendor(book, planned.query)
            planner.learn(planned.query, cost, [one["meetingDate"] for one in listed], float(turn))
            index = ListingIndex(HC, planned.query, listed)
            for query in planned.serves:
                assert query not in served
                assert index.select(query) == _vendor(book, query)
                served.add(query)
        assert served == set(queries)
        if turn == 3:
            # Overlapping pages round up, each for itself.
            assert spent <= apart + len(set(queries)) // 4 + 2


_values = st.sampled_from(["1", 1, 1.0, "1.0", True, False, None, "True", 2, "2", "a", "None"])


@_examples
@given(
    st.lists(st.dictionaries(st.sampled_from(["x", "y"]), _values, max_size=2), max_size=60),
    st.dictionaries(st.sampled_from(["x", "y"]), _values | st.lists(_values, min_size=1, max_size=3), max_size=2),
    st.integers(0, 59),
)
def test_the_index_misses_nothing(rows, match, end):
    """Looking up in the index and then looking at each is the same as looking at each."""
    meetings = [row | {"id": number, "meetingDate": number} for number, row in enumerate(rows)]
    question = Criteria(0, end, {}, match, 1)
    window = ListQuery(0, end)
    index = ListingIndex(HC, ListQuery(0, None), meetings)

    expected = question.satisfied_by([one for one in meetings if one["meetingDate"] < end])

    assert question.satisfied_by(index.candidates(window, match)) == expected


def test_an_employee_is_always_asked_for():
    """A filter that cannot be checked on a listed meeting is never left out."""
    planner = Planner(BP)
    queries = [ListQuery(0, DAY, (("employee-id", str(n)),)) for n in range(9)] + [
        ListQuery(0, DAY, (("employee-id", "1"), ("opportunity-id", str(n)))) for n in range(9)
    ]

    assert {planned.query for planned in planner.plan(queries, 0.0)} == {
        ListQuery(0, DAY, (("employee-id", str(n)),)) for n in range(9)
    }


def test_a_missing_field_is_not_guessed():
    """Where a listed meeting lacks the field, nobody can tell what the filter would say."""
    index = ListingIndex(BP, ListQuery(0, DAY), [{"startDateTime": 1, "opportunityId": 5}, {"startDateTime": 2}])

    assert index.select(ListQuery(0, DAY, (("opportunity-id", "5"),))) is None
    assert index.select(ListQuery(0, 2)) == [{"startDateTime": 1, "opportunityId": 5}]


def test_a_narrower_list_is_found_when_the_wide_one_is_long():
    """Of two owners' prospects, each owner's list is read once the list of everybody has turned out long."""
    planner = Planner(HC)
    queries = [ListQuery(0, DAY, (("ownerId", f"o{n % 2}"), ("prospectId", f"p{n}"))) for n in range(100)]
    first = planner.plan(queries, 0.0)
    planner.learn(first[0].query, 60, range(0, DAY, DAY // 12_000), 0.0)
    second = planner.plan(queries, 1.0)

    assert [planned.query.filters for planned in first] == [()]
    assert {planned.query.filters for planned in second} == {(("ownerId", "o0"),), (("ownerId", "o1"),)}


@pytest.mark.parametrize("filters", [(), (("ownerId", "a"),)], ids=["no filters", "a filter"])
def test_windows_that_move_leave_nothing_behind(filters):
    """Watches whose windows move query other questions at each look: what was learned of old ones is forgotten."""
    planner = Planner(HC)
    for look in range(2000):
        now, start = look * 60.0, look * 60_000
        owner = (("ownerId", f"owner {look}"),) if filters else ()
        queries = [ListQuery(start + lag, start + lag + DAY, owner) for lag in (0, 3_600_000)]
        for planned in planner.plan(queries, now):
            planner.learn(planned.query, 1, [start], now)
        wide = ListQuery(start, start + 2 * DAY, owner)
        planner.learn_too_long(wide, 3, [start], now)
        for query in queries:
            planner.forget(query)

    assert all(len(known) <= 3 * 61 for known in (planner._costs, planner._known_spans, planner._refusals))
