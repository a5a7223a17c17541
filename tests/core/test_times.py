"""Moments and windows: every form that is taken, every one that is refused, and the days on which clocks change."""

import datetime as dt
import decimal
import itertools
import zoneinfo

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_meetings.core.times import DAY, Window, check_time_zone, to_epoch_ms, window_or_data_interval
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from tests.support.flows import BASE, examples

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")


class NotATime(dt.datetime):
    """What pandas has for a moment that is not there: a datetime that differs from itself."""

    __hash__ = None

    def __ne__(self, other):
        return True


class NumpyInteger:
    """An integer that is no int, as numpy and pandas have them."""

    def __index__(self):
        return BASE

    def __repr__(self):
        return f"numpy.int64({BASE})"


@pytest.mark.parametrize(
    "value",
    [
        BASE,
        NumpyInteger(),
        str(BASE),
        f" {BASE} ",
        "2026-11-21T12:00:00Z",
        "2026-11-21T12:00Z",
        "2026-11-21 12:00:00+00:00",
        "2026-11-21T12:00:00.000+00:00",
        "20261121T120000Z",
        "2026-11-21T13:00:00+01:00",
        "2026-11-21T07:00:00-05:00",
        dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 21, 7, tzinfo=NEW_YORK),
        dt.datetime(2026, 11, 21, 13, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        pendulum.datetime(2026, 11, 21, 12),
        pendulum.datetime(2026, 11, 21, 7, tz="America/New_York"),
        float(BASE),
        decimal.Decimal(BASE),
    ],
    ids=repr,
)
def test_every_form_of_a_moment_is_the_same_moment(value):
    """Aware datetimes, ISO 8601 with an offset and milliseconds, with or without a zone beside them."""
    assert to_epoch_ms(value) == BASE
    assert to_epoch_ms(value, time_zone="Asia/Tokyo") == BASE


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "not a moment"),
        (True, "not a moment"),
        (1.5, "a float is not a moment"),
        (decimal.Decimal("1.5"), "a Decimal is not a moment"),
        (decimal.Decimal("1E+999999"), "a Decimal is not a moment"),
        (b"1", "a bytes is not a moment"),
        ({}, "a dict is not a moment"),
        (dt.date(2026, 11, 21), "a date without a time"),
        (dt.time(12), "a time is not a moment"),
        ("", "is empty"),
        ("  ", "is empty"),
        ("None", "not an ISO 8601"),
        ("tomorrow", "not an ISO 8601"),
        ("12:00Z", "not an ISO 8601"),
        ("2026-13-01T00:00Z", "not an ISO 8601"),
        ("2026-02-29T00:00Z", "not an ISO 8601"),
        ("1.5", "not an ISO 8601"),
        ("٣", "not an ISO 8601"),
        ("2026-11-21", "a date without a time"),
        ("2026-W47-6", "a date without a time"),
        (float("nan"), "an empty cell of a data frame"),
        (NotATime(2026, 11, 21), "an empty cell of a data frame"),
        ("2026-11-21T12:00:00", "no UTC offset"),
        (dt.datetime(2026, 11, 21, 12), "no UTC offset"),  # noqa: DTZ001 - a naive one is the point
        (pendulum.naive(2026, 11, 21, 12), "no UTC offset"),
        (10**15, "too far away"),
        (-(10**15), "too far away"),
        ("9" * 40, "too far away"),
        ("9" * 10_000, "too far away"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_moment_is_refused_with_its_reason(value, problem):
    """No guess is made: naive values, dates, floats, nonsense and what no calendar shows."""
    with pytest.raises(ValueError, match=problem):
        to_epoch_ms(value)


@pytest.mark.parametrize("value", ["2026-07-01T12:00:00", dt.datetime(2026, 7, 1, 12), pendulum.naive(2026, 7, 1, 12)])  # noqa: DTZ001
@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", "2026-07-01T12:00:00Z"),
        ("America/New_York", "2026-07-01T16:00:00Z"),
        ("Europe/Berlin", "2026-07-01T10:00:00Z"),
        ("Asia/Kolkata", "2026-07-01T06:30:00Z"),
        ("Australia/Lord_Howe", "2026-07-01T01:30:00Z"),
    ],
)
def test_a_naive_moment_is_local_time_of_the_zone_beside_it(value, zone, expected):
    """Summer or not is the zone's business."""
    assert to_epoch_ms(expected) == to_epoch_ms(value, time_zone=zone)


CHANGES = [
    ("America/New_York", "2026-03-08T02:30:00", "not exist", "2026-03-08T01:30:00-05:00", "2026-03-08T03:30:00-04:00"),
    ("America/New_York", "2026-11-01T01:30:00", "twice", "2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00"),
    ("Europe/Berlin", "2026-03-29T02:00:00", "not exist", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"),
    ("Europe/Berlin", "2026-10-25T02:59:59", "twice", "2026-10-25T02:59:59+02:00", "2026-10-25T02:59:59+01:00"),
    ("Australia/Lord_Howe", "2026-10-04T02:15:00", "not exist", "T01:45:00+10:30", "T02:45:00+11:00"),
    ("Australia/Lord_Howe", "2026-04-05T01:45:00", "twice", "T01:45:00+11:00", "T01:45:00+10:30"),
    ("America/Havana", "2026-03-08T00:30:00", "not exist", "2026-03-07T23:30:00-05:00", "2026-03-08T01:30:00-04:00"),
    ("Pacific/Apia", "2011-12-30T12:00:00", "not exist", "2011-12-29T12:00:00-10:00", "2011-12-31T12:00:00+14:00"),
]


@pytest.mark.parametrize(("zone", "local", "problem", "first", "second"), CHANGES)
@pytest.mark.parametrize("form", [str, dt.datetime.fromisoformat])
def test_a_local_time_that_is_none_or_two_is_refused_with_both_candidates(  # noqa: PLR0917 - a table
    zone, local, problem, first, second, form
):
    """On the day the clocks change nobody guesses; what is offered is a moment that exists."""
    with pytest.raises(ValueError, match=problem) as caught:
        to_epoch_ms(form(local), time_zone=zone)
    text = str(caught.value)
    assert text.index(first) < text.index(second)
    for word in text.replace(",", "").split():
        if word.count(":") == 3:
            assert word in dt.datetime.fromtimestamp(to_epoch_ms(word) / 1000, zoneinfo.ZoneInfo(zone)).isoformat()


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-03-08T01:59:59", "2026-03-08T06:59:59Z"),
        ("2026-03-08T03:00:00", "2026-03-08T07:00:00Z"),
        ("2026-11-01T00:59:59", "2026-11-01T04:59:59Z"),
        ("2026-11-01T02:00:00", "2026-11-01T07:00:00Z"),
    ],
)
def test_the_seconds_beside_a_change_of_the_clocks_are_moments(local, expected):
    """The gap and the overlap are half-open."""
    assert to_epoch_ms(expected) == to_epoch_ms(local, time_zone="America/New_York")


@pytest.mark.parametrize("name", ["UTC", "America/New_York", "Asia/Kolkata", "Europe/Berlin", "Etc/GMT+5", "EST5EDT"])
def test_iana_names_are_taken(name):
    """As they are spelled in the database."""
    assert name == check_time_zone(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("America/New York", "America/New_York"),
        ("america/new_york", "America/New_York"),
        ("Europe/Berln", "Europe/Berlin"),
        ("Mars/Olympus", "not an IANA"),
        ("+01:00", "not an IANA"),
        ("Factory", "not an IANA"),
        ("localtime", "not an IANA"),
        ("../etc/passwd", "not an IANA"),
        ("", "such as America/New_York"),
        (" ", "such as America/New_York"),
        (None, "such as America/New_York"),
        (5, "such as America/New_York"),
        (["UTC"], "such as America/New_York"),
    ],
)
def test_what_is_no_iana_name_is_refused_with_a_near_one(name, hint):
    """Aliases of the machine, offsets and misspellings would mean something else elsewhere."""
    with pytest.raises(ValueError, match=hint):
        check_time_zone(name)


@pytest.mark.parametrize(
    ("microseconds", "down", "up"), [(0, 0, 0), (1, 0, 1), (999, 0, 1), (1000, 1, 1), (1001, 1, 2)]
)
def test_microseconds_are_cut_off_or_rounded_up(microseconds, down, up):
    """A bound rounds up, a date is cut off; both sides of the epoch alike."""
    for origin in (dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC), dt.datetime(1960, 1, 1, tzinfo=dt.UTC)):
        moment = origin + dt.timedelta(microseconds=microseconds)
        assert to_epoch_ms(origin) + down == to_epoch_ms(moment)
        assert to_epoch_ms(origin) + up == to_epoch_ms(moment, round_up=True)


ZONES = st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"])
MOMENTS = st.integers(-(10**12), 10**13)


@examples(200)
@given(MOMENTS, ZONES)
def test_a_moment_survives_every_way_of_writing_it(milliseconds, zone):
    """Milliseconds, digits, ISO 8601 in any zone, datetime and DateTime are one and the same."""
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=milliseconds)
    local = moment.astimezone(zoneinfo.ZoneInfo(zone))
    forms = [milliseconds, str(milliseconds), moment, local, pendulum.instance(local)]
    # An ISO 8601 offset has no seconds; offsets of long ago do.
    if local.utcoffset() % dt.timedelta(minutes=1) == dt.timedelta():
        forms.append(local.isoformat())
    assert [milliseconds] * len(forms) == [to_epoch_ms(form) for form in forms]


@examples(200)
@given(st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2037, 1, 1)), ZONES)  # noqa: DTZ001 - local times are the point
def test_a_naive_moment_is_the_local_time_it_says_or_refused(naive, zone):
    """Whatever comes out shows that very local time on a clock in the zone."""
    try:
        milliseconds = to_epoch_ms(naive, time_zone=zone)
    except ValueError as error:
        assert "the clocks change" in str(error)  # noqa: PT017 - most examples raise nothing
        return
    shown = dt.datetime.fromtimestamp(milliseconds // 1000, zoneinfo.ZoneInfo(zone)).replace(tzinfo=None)
    assert naive.replace(microsecond=0) == shown


@examples(100)
@given(st.lists(MOMENTS, min_size=2, max_size=6, unique=True), MOMENTS)
def test_adjacent_windows_hold_each_moment_once(bounds, moment):
    """Half-open windows side by side: no gap and no overlap, the open ends included."""
    edges = [None, *sorted(bounds), None]
    windows = [Window(start, end) for start, end in itertools.pairwise(edges)]
    for probe in (moment, *bounds):
        assert sum(probe in window for window in windows) == 1


@examples(100)
@given(MOMENTS, st.integers(1, 10_000), st.integers(1, 500))
def test_slices_cover_a_window_and_do_not_overlap(start, length, width):
    """Adjacent, in order, none longer than asked for, none empty."""
    slices = list(Window(start, start + length).split(width))
    assert (start, start + length) == (slices[0].start, slices[-1].end)
    assert all(earlier.end == later.start for earlier, later in itertools.pairwise(slices))
    assert all(0 < part.end - part.start <= width for part in slices)


@examples(100)
@given(st.integers(0, 5_000), st.integers(0, 5_000))
def test_a_bound_between_milliseconds_cuts_like_the_exact_one(start, meeting):
    """A meeting is in a window of microseconds exactly when the exact comparison says so."""
    bound = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC) + dt.timedelta(microseconds=start)
    moment = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC) + dt.timedelta(milliseconds=meeting)
    assert (moment >= bound) == (to_epoch_ms(moment) in Window.parse(bound, None))
    assert (moment < bound) == (to_epoch_ms(moment) in Window.parse(None, bound))


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        (BASE, BASE, "window_end must be after window_start"),
        (BASE + 1, BASE, "window_end must be after window_start"),
        ("x", BASE, "window_start: 'x' is not"),
        (BASE, "", "window_end: it is empty"),
        (dt.datetime(2026, 1, 1), None, "window_start: .* no UTC offset"),  # noqa: DTZ001
        (None, 10**18, "window_end: too far away"),
        ("9999-12-31T23:59:59.999999Z", None, "window_start: too far away"),
        ("20261121", None, "window_start: '20261121' .* 2026-11-21T00:00:00 meant"),
        (None, 20261122, "window_end: 20261122 .* 2026-11-22T00:00:00 meant"),
        ("202611211200", None, "window_start: .* 2026-11-21T12:00:00 meant"),
        (None, "20261121120000", "window_end: .* 2026-11-21T12:00:00 meant"),
    ],
)
def test_a_wrong_window_is_refused_by_the_name_of_its_bound(start, end, problem):
    """Reversed, empty and absurd windows, and Airflow's ds_nodash, which would be an hour of 1970 and empty."""
    with pytest.raises(ValueError, match=problem):
        Window.parse(start, end)


def test_a_window_shows_itself_as_half_open():
    """For the log and for errors."""
    assert str(Window(BASE, BASE + DAY)) == "[2026-11-21T12:00:00.000Z, 2026-11-22T12:00:00.000Z)"
    assert str(Window()) == "[…, …)"


def test_only_a_bounded_window_can_be_cut():
    """A slice needs two ends."""
    for window in (Window(), Window(1), Window(None, 1)):
        with pytest.raises(ValueError, match="bounded"):
            list(window.split(1))


# -- windows of partitions

PARTITION = {"partition_date": dt.datetime(2027, 1, 11, tzinfo=dt.UTC), "partition_key": "2027-01-11"}


@pytest.mark.parametrize("length", [dt.timedelta(hours=6), 21_600, 21_600.0, "21600", "21600.0"])
def test_a_length_makes_the_window_of_a_partition(length):
    """It begins with the partition, and ends before that plus the length."""
    begin = PARTITION["partition_date"]
    assert (begin, begin + dt.timedelta(hours=6)) == window_or_data_interval(None, None, PARTITION, length)


@pytest.mark.parametrize(
    "length", [0, -1, dt.timedelta(), dt.timedelta(days=-1), "", "None", "a day", "nan", True, 1e99]
)
def test_a_length_that_is_none_is_refused(length):
    """Nothing, less than nothing, and what is no length."""
    with pytest.raises(MeetingsConfigurationError, match="window_length must be a timedelta or seconds"):
        window_or_data_interval(None, None, PARTITION, length)


@pytest.mark.parametrize(
    ("bounds", "context", "length", "named"),
    [
        ((None, None), {}, 60, "this run has none"),
        ((None, None), {"partition_date": None, "partition_key": "north"}, 60, "this run has none"),
        ((1, None), PARTITION, 60, "window_length and window_start cannot both be given"),
        ((1, 2), PARTITION, 60, "window_length and window_start and window_end cannot both be given"),
        ((None, None), PARTITION, None, "give window_length"),
        ((1, None), PARTITION, None, "give window_length"),
    ],
)
def test_a_partition_and_a_length_go_together(bounds, context, length, named):
    """One without the other is refused, and a length beside a bound."""
    with pytest.raises(MeetingsConfigurationError, match=named):
        window_or_data_interval(*bounds, context, length)


def test_bounds_need_no_partition():
    """Both bounds are enough in a run of a partition, too."""
    assert window_or_data_interval(1, 2, PARTITION) == (1, 2)
