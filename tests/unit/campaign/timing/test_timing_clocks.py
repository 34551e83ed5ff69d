"""From clocks on walls to moments: the two days of 2027 on which they change, and which clock is whose."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.timing.clocks import after, before, clocks_of, to_utc, zone_of
from dispatcher.campaign.timing.spans import Span, parse_span
from dispatcher.errors import UsageError

ROME, MADRID, CANARY = (ZoneInfo(name) for name in ("Europe/Rome", "Europe/Madrid", "Atlantic/Canary"))
ZONES = (ROME, MADRID, CANARY)


def local(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def utc(text: str) -> dt.datetime:
    return local(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("zone", "clock", "moment"),
    [
        (ROME, "2027-03-28T01:59", "2027-03-28T00:59"),
        (ROME, "2027-03-28T02:30", "2027-03-28T01:30"),  # skipped: they show 03:30 then
        (ROME, "2027-03-28T03:00", "2027-03-28T01:00"),
        (MADRID, "2027-03-28T02:30", "2027-03-28T01:30"),
        (CANARY, "2027-03-28T01:30", "2027-03-28T01:30"),  # skipped an hour earlier on the clock
        (CANARY, "2027-03-28T02:30", "2027-03-28T01:30"),
        (ROME, "2027-10-31T02:30", "2027-10-31T00:30"),  # comes twice: the first
        (ROME, "2027-10-31T03:00", "2027-10-31T02:00"),
        (MADRID, "2027-10-31T02:30", "2027-10-31T00:30"),
        (CANARY, "2027-10-31T01:30", "2027-10-31T00:30"),
        (CANARY, "2027-10-31T02:30", "2027-10-31T02:30"),
    ],
)
def test_the_days_on_which_clocks_change(zone: ZoneInfo, clock: str, moment: str) -> None:
    assert to_utc(local(clock), zone) == utc(moment)


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize(("day", "hour"), [("2027-03-28", 9), ("2027-10-31", 11)])
def test_a_day_before_keeps_the_hour_and_24_hours_do_not(zone: ZoneInfo, day: str, hour: int) -> None:
    appointment = to_utc(local(f"{day}T10:00"), zone)
    a_day = before(appointment, parse_span("1d", "--x"), zone).astimezone(zone)
    hours = before(appointment, parse_span("24h", "--x"), zone).astimezone(zone)
    assert (a_day.hour, a_day.date()) == (10, local(day).date() - dt.timedelta(days=1))
    assert (hours.hour, hours.date()) == (hour, a_day.date())


LOCAL_TIMES = st.datetimes(
    dt.datetime.fromisoformat("2026-01-01T00:00"), dt.datetime.fromisoformat("2030-01-01T00:00")
).map(lambda moment: moment.replace(second=0, microsecond=0))


@given(LOCAL_TIMES, st.sampled_from(ZONES))
def test_a_moment_shows_the_time_asked_for_unless_it_is_skipped(clock: dt.datetime, zone: ZoneInfo) -> None:
    shown = to_utc(clock, zone).astimezone(zone).replace(tzinfo=None)
    assert shown in (clock, clock + dt.timedelta(hours=1))
    if shown != clock:
        assert clock.replace(tzinfo=zone).utcoffset() != clock.replace(tzinfo=zone, fold=1).utcoffset()


@given(LOCAL_TIMES, st.sampled_from(ZONES), st.integers(1, 200), st.sampled_from("mhd"))
def test_before_is_before_by_about_as_much(clock: dt.datetime, zone: ZoneInfo, n: int, unit: str) -> None:
    moment, span = to_utc(clock, zone), parse_span(f"{n}{unit}", "--x")
    early = before(moment, span, zone)
    slack = dt.timedelta(hours=1) if span.days else dt.timedelta(0)
    assert abs((moment - early) - span.length) <= slack
    assert abs(after(early, span, zone) - moment) <= slack


@given(LOCAL_TIMES, LOCAL_TIMES, st.sampled_from(ZONES), st.integers(1, 90))
def test_who_comes_later_is_reminded_no_earlier(
    one: dt.datetime, other: dt.datetime, zone: ZoneInfo, hours: int
) -> None:
    span = Span("x", exact=dt.timedelta(hours=hours))
    first, second = sorted((to_utc(one, zone), to_utc(other, zone)))
    assert before(first, span, zone) <= before(second, span, zone)


def test_clocks_of_countries() -> None:
    assert [zone.key for zone in clocks_of("IT")] == ["Europe/Rome"]
    assert [zone.key for zone in clocks_of("DE")] == ["Europe/Berlin"]  # Büsingen's clock is the same
    assert [zone.key for zone in clocks_of("es")] == ["Europe/Madrid", "Atlantic/Canary"]
    assert clocks_of("XX") == ()


def test_whose_clock_counts() -> None:
    assert zone_of("IT", MADRID) == ROME  # the country's only one
    assert zone_of("ES", MADRID) == MADRID
    assert zone_of("ES", ROME) == ROME  # the same clock as Madrid's
    assert zone_of("ES", CANARY) == CANARY
    assert zone_of("ES", ZoneInfo("Europe/London")) == ZoneInfo("Europe/London")  # that of the Canary Islands
    assert zone_of("US", ROME) is None
    assert zone_of(None, ROME) is None


@pytest.mark.parametrize("text", ["", "24", "h", "0h", "-2h", "1.5h", "2 months"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_span(text, "--remind-before")
    assert caught.value.code == "timing_span"


def test_lengths_are_written_in_one_way() -> None:
    assert [parse_span(text, "--x").text for text in ("24h", "90m", "1d", "1w")] == [
        "24h",
        "90m",
        "1d",
        "7d",
    ]
