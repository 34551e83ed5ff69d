"""When ticks are: on ordinary days, and on the two days of 2027 on which the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.errors import UsageError
from dispatcher.schedules.timetable import Timetable

ZONES = ("Europe/Rome", "Europe/Madrid", "Atlantic/Canary")
SPRING, AUTUMN = date(2027, 3, 28), date(2027, 10, 31)
CHANGE = {SPRING: datetime(2027, 3, 28, 1, tzinfo=UTC), AUTUMN: datetime(2027, 10, 31, 1, tzinfo=UTC)}
MINUTE = timedelta(minutes=1)


def midnight(zone: str, day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def ticks_of(zone: str, day: date, cron: str) -> list[datetime]:
    """The ticks of one day by the zone's own clock."""
    start, end = midnight(zone, day), midnight(zone, day + timedelta(days=1))
    after = Timetable(cron, zone).after(start - timedelta(seconds=1))
    return list(takewhile(lambda tick: tick < end, after))


def utc(day: date, *times: str) -> list[datetime]:
    return [datetime.fromisoformat(f"{day}T{time}:00+00:00") for time in times]


def changed_hour(zone: str) -> int:
    """The hour that is skipped in spring and comes twice in autumn."""
    return 1 if zone == "Atlantic/Canary" else 2


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_a_daily_tick_keeps_its_time_on_the_clock(zone: str, day: date) -> None:
    (tick,) = ticks_of(zone, day, "0 18 * * *")
    assert f"{tick.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" == f"{day} 18:00"


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("minutes", ["0", "30", "0,30", "*/10", "*"])
def test_what_the_clock_skips_is_one_tick_right_after(zone: str, minutes: str) -> None:
    assert ticks_of(zone, SPRING, f"{minutes} {changed_hour(zone)} * * *") == [CHANGE[SPRING]]


@pytest.mark.parametrize("zone", ZONES)
def test_it_is_the_same_tick_as_one_of_that_very_time(zone: str) -> None:
    hour = changed_hour(zone)
    assert ticks_of(zone, SPRING, f"15 {hour} * * *") == ticks_of(zone, SPRING, f"0 {hour},{hour + 1} * * *")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("minutes", "times"), [("0", ["00:00"]), ("30", ["00:30"]), ("*/20", ["00:00", "00:20", "00:40"])]
)
def test_what_comes_twice_is_of_the_first_passage(zone: str, minutes: str, times: list[str]) -> None:
    assert ticks_of(zone, AUTUMN, f"{minutes} {changed_hour(zone)} * * *") == utc(AUTUMN, *times)


@pytest.mark.parametrize("zone", ZONES)
def test_an_hourly_tick_is_one_for_every_hour_that_the_clock_shows(zone: str) -> None:
    assert [len(ticks_of(zone, day, "0 * * * *")) for day in (SPRING, AUTUMN)] == [23, 24]


@pytest.mark.parametrize("zone", ZONES)
def test_who_comes_in_the_second_passage_fires_nothing_of_the_first_again(zone: str) -> None:
    table = Timetable(f"*/20 {changed_hour(zone)} * * *", zone)
    second = CHANGE[AUTUMN] + timedelta(minutes=5)
    assert table.next(second, 1) == [
        midnight(zone, AUTUMN + timedelta(days=1)) + changed_hour(zone) * 60 * MINUTE
    ]


def test_the_same_moment_in_the_three_zones() -> None:
    ticks = {zone: ticks_of(zone, SPRING, "0 9 * * *") for zone in ZONES}
    assert ticks == {
        "Europe/Rome": utc(SPRING, "07:00"),
        "Europe/Madrid": utc(SPRING, "07:00"),
        "Atlantic/Canary": utc(SPRING, "08:00"),
    }


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("day", [SPRING, AUTUMN])
@given(
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=4),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=4),
    seconds=st.integers(0, 3 * 86_400),
)
def test_ticks_are_those_of_a_clock_that_is_watched_minute_by_minute(
    zone: str, day: date, minutes: set[int], hours: set[int], seconds: int
) -> None:
    """A wall clock that is looked at once a minute, with a list of times that it has shown already."""
    start = midnight(zone, day - timedelta(days=1))
    end = midnight(zone, day + timedelta(days=2))
    since = start + timedelta(seconds=seconds)
    wanted: list[datetime] = []
    shown = (start - MINUTE).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    moment = start
    while moment < end:
        wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        passed = []
        while shown < wall:
            shown += MINUTE
            passed.append(shown)
        if moment > since and any(time.minute in minutes and time.hour in hours for time in passed):
            wanted.append(moment)
        moment += MINUTE
    cron = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    found = takewhile(lambda tick: tick < end, Timetable(cron, zone).after(since))
    assert list(found) == wanted


@pytest.mark.parametrize(
    ("cron", "code"),
    [
        ("", "schedule_cron"),
        ("0 18 * *", "schedule_cron"),
        ("0 0 18 * * *", "schedule_cron"),  # seconds
        ("@daily", "schedule_cron"),
        ("0 25 * * *", "schedule_cron"),
        ("every day", "schedule_cron"),
        ("0 0 30 2 *", "schedule_cron"),
        ("0 0 */20 * 1L", "schedule_never"),
    ],
)
def test_expressions_that_are_refused(cron: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        Timetable.read(cron, "Europe/Rome", datetime(2027, 1, 1, tzinfo=UTC))
    assert (caught.value.code, caught.value.found) == (code, cron)


@pytest.mark.parametrize("zone", ["Rome", "", "Europe/Atlantis", "../etc/passwd"])
def test_time_zones_that_are_refused(zone: str) -> None:
    with pytest.raises(UsageError) as caught:
        Timetable.read("0 18 * * *", zone, datetime(2027, 1, 1, tzinfo=UTC))
    assert caught.value.code == "schedule_timezone"


def test_spaces_make_no_difference() -> None:
    now = datetime(2027, 1, 1, tzinfo=UTC)
    assert Timetable.read("  0  18 * *   1-5 ", "Europe/Rome", now) == Timetable(
        "0 18 * * 1-5", "Europe/Rome"
    )
