"""How many requests Builder Prime's lists take, wherever in the window the meetings lie."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_meetings.core.times import DAY, Window
from tests.support.flows import BASE, Line, builderprime, examples
from tests.support.vendors import ChangingTable, FakeBuilderPrime, check, listed

HOUR, MINUTE = 3_600_000, 60_000
WEEK = Window(BASE, BASE + 7 * DAY)
NOON = BASE + 2 * DAY


def spread(start, length, count):
    """Starts at equal distances."""
    return [start + place * length // count for place in range(count)]


def at_random(start, length, count):
    """Starts on whole minutes."""
    dice = random.Random(count)  # noqa: S311 - a test's dice
    return [start + dice.randrange(length // MINUTE) * MINUTE for _ in range(count)]


CLUSTERS = {
    "one day": lambda count: spread(NOON, DAY, count),
    "one day at random": lambda count: at_random(NOON, DAY, count),
    "one afternoon": lambda count: at_random(NOON, 4 * HOUR, count),
    "one minute": lambda count: spread(NOON, MINUTE, count),
    "two bursts": lambda count: spread(NOON, HOUR, count // 2) + spread(NOON + 3 * DAY, HOUR, count - count // 2),
    "two bursts, uneven": lambda count: spread(NOON, HOUR, count // 5) + spread(NOON + DAY, HOUR, count - count // 5),
    "the first hour": lambda count: spread(BASE, HOUR, count),
    "the last hour": lambda count: spread(BASE + 7 * DAY - HOUR, HOUR, count),
    "all week": lambda count: spread(BASE, 7 * DAY, count),
}
ORDERS = ["start", "descending", "id", "unstable"]


def requests_of(dates, order, expected=()):
    """List a week; return how many requests that took."""
    line = Line(FakeBuilderPrime(ChangingTable("builderprime", dates), order=order))
    assert len(dates) == len(listed(line.read(builderprime().listing(WEEK, (), expected))))
    return len(line.requests)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_meetings_where_they_are_expected_cost_their_pages_and_five(cluster, order):
    """A set knows where its meetings should be: listing them again takes little more than their pages."""
    for count in (100, 150, 250, 500, 1_000):
        dates = CLUSTERS[cluster](count)
        assert math.ceil(count / 100) + 5 >= requests_of(dates, order, dates)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_meetings_of_which_nothing_is_known_cost_little_more(cluster, order):
    """A full answer says where to cut, and each other one how many meetings there are; an order tells more."""
    factor, beside = (1.2, 6) if order == "start" else (1.5, 10)
    for count in (100, 150, 250, 500, 1_000):
        assert factor * math.ceil(count / 100) + beside >= requests_of(CLUSTERS[cluster](count), order)


@pytest.mark.parametrize("order", ORDERS)
def test_an_empty_window_costs_one_request_whatever_is_expected(order):
    """Nothing is there yet before a set is written for the first time."""
    assert 1 == requests_of([], order, spread(NOON, DAY, 500))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("there", [0, 60, 400])
@pytest.mark.parametrize("others", [0, 60, 400])
def test_expectations_that_are_half_true_cost_little_more(there, others, order):
    """Of a thousand that are expected some are there, and some that are not expected."""
    expected = spread(NOON, DAY, 1_000)
    dates = random.Random(1).sample(expected, there) + at_random(BASE, 7 * DAY, others)  # noqa: S311 - a test's dice
    assert 2 * max(1, math.ceil(len(dates) / 100)) + 6 >= requests_of(dates, order, expected)


@examples(100)
@given(
    st.lists(st.integers(0, 60), max_size=40),
    st.lists(st.integers(-5, 65), max_size=40),
    st.sampled_from(ORDERS[:3]),
    st.sampled_from([2, 3, 5, 8]),
    st.lists(st.sampled_from(["add", "remove"]), max_size=3),
    st.integers(0, 999),
)
def test_expectations_change_nothing_of_what_is_listed(  # noqa: PLR0917 - one argument a thing that varies
    places, expected, order, page_size, moves, seed
):
    """Whatever the caller expects, each meeting that was there all along is listed once, also under traffic."""
    table = ChangingTable("builderprime", [BASE + 3 * place for place in places], seed)

    def meanwhile():
        for move in moves:
            if move == "remove":
                table.remove_one()
            elif len(table.ever) < 100:  # a list that grows faster than it is read has no end
                table.book_removable(BASE + 500 + 3 * len(table.ever))

    line = Line(FakeBuilderPrime(table, order=order, meanwhile=meanwhile))
    window = Window(BASE, BASE + 1_000)
    vendor = builderprime(page_size=page_size)
    if len(places) - len(set(places)) + 1 >= page_size:  # a moment that fills a page has to be read by page numbers
        places = sorted(set(places))
        table = ChangingTable("builderprime", [BASE + 3 * place for place in places], seed)
        line = Line(FakeBuilderPrime(table, order=order))
    check(table, window, listed(line.read(vendor.listing(window, (), [BASE + 3 * place for place in expected]))))
