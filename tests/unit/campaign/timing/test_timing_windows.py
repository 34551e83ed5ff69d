"""When windows are open: nights, holidays, clocks that change, countries with several clocks."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.timing.caps import Cap, parse_cap
from dispatcher.campaign.timing.days_off import holidays_of, public_holiday
from dispatcher.campaign.timing.forecast import CountryForecast, forecast
from dispatcher.campaign.timing.openings import Openings, intersection, joined
from dispatcher.campaign.timing.options import TimingOptions, checked, kept
from dispatcher.campaign.timing.windows import marketing_windows, parse_windows, read_back
from dispatcher.errors import UsageError
from dispatcher.sending.windows import rules_of

ROME, MADRID, CANARY = (ZoneInfo(name) for name in ("Europe/Rome", "Europe/Madrid", "Atlantic/Canary"))
MINUTE = dt.timedelta(minutes=1)


def openings(text: str, own: ZoneInfo = ROME, holidays: tuple[str, ...] = ()) -> Openings:
    days = {dt.date.fromisoformat(day) for day in holidays}
    return Openings(parse_windows(text), own, lambda country, day: day in days)


def at(text: str, zone: ZoneInfo = ROME) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(dt.UTC)


def opens(
    found: Openings, country: str, start: dt.datetime, needs: dt.timedelta = MINUTE
) -> dt.datetime | None:
    return found.next(country, start, start + needs)


def test_open_closed_and_the_next_day() -> None:
    italy = openings("IT 09:00-13:00,15:00-19:00 mon-fri")
    assert opens(italy, "IT", at("2026-11-25T10:00")) == at("2026-11-25T10:00")
    assert opens(italy, "IT", at("2026-11-25T13:00")) == at("2026-11-25T15:00")
    assert opens(italy, "IT", at("2026-11-27T19:30")) == at("2026-11-30T09:00")  # over the weekend
    assert opens(italy, "FR", at("2026-11-28T03:00")) == at("2026-11-28T03:00")  # not named: no window


def test_what_does_not_fit_before_the_end_waits() -> None:
    italy = openings("IT 09:00-19:00")
    almost = at("2026-11-25T18:59:30")
    assert opens(italy, "IT", almost, dt.timedelta(seconds=20)) == almost
    assert opens(italy, "IT", almost) == at("2026-11-26T09:00")
    assert italy.closes("IT", almost) == at("2026-11-25T19:00")


def test_over_midnight_it_belongs_to_the_day_it_begins_on() -> None:
    nights = openings("IT 22:00-02:00 fri,sat")
    assert opens(nights, "IT", at("2026-11-28T01:00")) == at("2026-11-28T01:00")  # Friday's, on Saturday
    assert opens(nights, "IT", at("2026-11-29T01:00")) == at("2026-11-29T01:00")  # Saturday's, on Sunday
    assert opens(nights, "IT", at("2026-11-29T23:00")) == at("2026-12-04T22:00")
    assert opens(nights, "IT", at("2026-11-27T01:00")) == at("2026-11-27T22:00")  # nobody opened on Thursday


def test_holidays_are_closed_unless_asked_for() -> None:
    when, christmas = at("2026-12-25T10:00"), ("2026-12-25", "2026-12-26")
    assert opens(openings("IT 09:00-19:00", holidays=christmas), "IT", when) == at("2026-12-27T09:00")
    assert opens(openings("IT 09:00-19:00 +holidays", holidays=christmas), "IT", when) == when


def test_public_holidays_are_those_of_the_country() -> None:
    assert public_holiday("IT", dt.date(2027, 3, 29))  # Easter Monday
    assert not public_holiday("ES", dt.date(2027, 3, 29))  # in some regions only
    assert public_holiday("ES", dt.date(2027, 3, 26))  # Good Friday
    assert not public_holiday("XX", dt.date(2027, 1, 1))


@pytest.mark.parametrize(
    ("country", "start", "expected"),
    [
        ("IT", at("2027-03-27T21:59"), at("2027-03-27T21:59")),
        ("IT", at("2027-03-27T22:00"), at("2027-03-30T08:00")),  # Sunday, then Easter Monday
        ("ES", at("2027-03-27T21:00", MADRID), at("2027-03-29T09:00", CANARY)),
        ("ES", at("2027-10-30T20:59", MADRID), at("2027-10-30T20:59", MADRID)),
        (
            "ES",
            at("2027-10-30T21:00", MADRID),
            at("2027-11-02T09:00", CANARY),
        ),  # Sunday, then All Saints' Day
        ("ES", at("2027-10-29T09:30", MADRID), at("2027-10-29T10:00", MADRID)),  # 8:30 on the Canary Islands
    ],
)
def test_advertising_on_the_days_on_which_clocks_change(
    country: str, start: dt.datetime, expected: dt.datetime
) -> None:
    found = Openings(marketing_windows(""), ROME)
    assert found.next(country, start, start) == expected


@pytest.mark.parametrize(("day", "hours"), [("2027-03-28", 23), ("2027-10-31", 25), ("2027-06-15", 24)])
@pytest.mark.parametrize("zone", [ROME, MADRID, CANARY], ids=str)
def test_a_window_of_a_whole_day_is_as_long_as_the_day(zone: ZoneInfo, day: str, hours: int) -> None:
    found = openings(f"* 00:00-24:00 {dt.date.fromisoformat(day):%a}".lower(), own=zone)
    ((begin, end), *_) = found.intervals(None, at(f"{day}T00:00", zone))
    assert (end - begin) == dt.timedelta(hours=hours)


def test_an_hour_that_is_skipped_opens_nothing() -> None:
    found = openings("IT 02:00-03:00 sun")
    assert opens(found, "IT", at("2027-03-28T00:00")) == at("2027-04-04T02:00")


def test_a_window_that_never_fits() -> None:
    never = openings("ES 09:00-09:30")  # half an hour in Madrid is over before it begins on the islands
    assert opens(never, "ES", at("2026-11-25T09:00", MADRID)) is None


WINDOWS = st.sampled_from(
    ["IT 08:00-22:00 mon-sat; ES 09:00-21:00; * 22:00-02:00 fri", "* 09:00-20:00 mon-fri"]
)
MOMENTS = st.datetimes(
    dt.datetime.fromisoformat("2026-01-01T00:00"), dt.datetime.fromisoformat("2028-01-01T00:00")
).map(lambda moment: moment.replace(tzinfo=dt.UTC, microsecond=0))


@given(WINDOWS, MOMENTS, st.sampled_from(["IT", "ES", "US", None]), st.integers(0, 3600))
def test_the_next_opening_is_open_and_nothing_before_it_is(
    text: str, start: dt.datetime, country: str | None, seconds: int
) -> None:
    found, needs = openings(text), dt.timedelta(seconds=seconds)
    begin = found.next(country, start, start + needs)
    if begin is None:
        return
    assert begin >= start
    closes = found.closes(country, begin)
    assert closes is not None
    assert closes >= begin + needs
    assert found.next(country, begin, begin + needs) == begin  # asking again changes nothing
    if begin > start:
        middle = start + (begin - start) / 2
        assert found.next(country, middle, middle + needs) == begin


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=6))
def test_joined_and_common_intervals_are_what_sets_of_minutes_are(pairs: list[tuple[int, int]]) -> None:
    base = at("2026-11-25T00:00")

    def moments(numbers: list[tuple[int, int]]) -> list[tuple[dt.datetime, dt.datetime]]:
        return joined(iter([(base + a * MINUTE, base + b * MINUTE) for a, b in numbers]))

    def minutes(found: list[tuple[dt.datetime, dt.datetime]]) -> set[int]:
        return {(a - base) // MINUTE + n for a, b in found for n in range((b - a) // MINUTE)}

    some, others = pairs[::2], pairs[1::2]
    assert minutes(moments(some)) == {n for a, b in some for n in range(a, b)}
    assert minutes(intersection(moments(some), moments(others))) == minutes(moments(some)) & minutes(
        moments(others)
    )


@pytest.mark.parametrize(
    "text",
    [
        "IT",
        "ITA 09:00-10:00",
        "IT 9-10",
        "IT 09:00-09:00",
        "IT 25:00-26:00",
        "IT 09:00-24:30",
        "IT 09:60-10:00",
        "IT 09:00-12:00,11:00-13:00",
        "IT 09:00-10:00 someday",
        "IT 09:00-10:00; IT 11:00-12:00",
    ],
)
def test_what_is_no_window(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_windows(text)
    assert caught.value.code == "timing_windows"


def test_ones_own_windows_replace_those_of_the_same_country() -> None:
    found = marketing_windows("it 10:00-12:00 mon")
    assert found.by_country["IT"] == parse_windows("IT 10:00-12:00 mon").by_country["IT"]
    assert set(found.by_country) == {"IT", "ES", "*"}
    assert read_back(found.text) == found


def test_caps() -> None:
    assert parse_cap("1 per 24h") == Cap(1, dt.timedelta(hours=24))
    assert parse_cap("3/7d") == Cap(3, dt.timedelta(days=7))
    assert parse_cap(str(parse_cap("2 per 1d"))) == parse_cap("2 per 1d")
    for text in ("", "0 per 24h", "1", "one per day", "1 per 0h"):
        with pytest.raises(UsageError):
            parse_cap(text)


def test_the_forecast_says_who_waits_and_until_when() -> None:
    now = at("2026-11-28T20:58")  # a Saturday
    found = forecast({("IT", None): 60, ("ES", None): 240}, now, 1.0, openings("ES 09:00-21:00 mon-sat"))
    assert found[0].country == "IT"
    assert found[0].waiting == 0
    spain = found[1]
    assert (spain.rows, spain.waits_until) == (240, at("2026-11-30T09:00", CANARY))
    assert 0 < spain.waiting < 240 + 1
    assert spain.done == spain.waits_until + dt.timedelta(seconds=spain.waiting)


def test_the_forecast_without_windows_is_the_limit_and_the_due_times() -> None:
    now, nine = at("2026-11-28T08:00"), at("2026-11-28T09:00")
    found = forecast({("IT", None): 10, ("IT", nine): 20}, now, 2.0, None)
    assert found == [CountryForecast("IT", 30, nine + dt.timedelta(seconds=10), 20, nine)]


@pytest.mark.parametrize(
    ("text", "country", "day", "off"),
    [
        (None, "ES", dt.date(2027, 5, 3), False),  # 2 May, a Sunday, is Madrid's day
        (None, "ES", dt.date(2028, 5, 2), False),
        ("ES-MD", "ES", dt.date(2028, 5, 2), True),
        ("es-cn; ES-MD", "ES", dt.date(2028, 5, 2), True),
        ("ES-CN", "ES", dt.date(2028, 5, 2), False),
        ("ES-CN", "ES", dt.date(2028, 5, 30), True),
        ("ES-MD", "ES", dt.date(2028, 12, 25), True),
        ("ES-MD", "IT", dt.date(2028, 5, 2), False),
        ("ES-MD", "ZZ", dt.date(2028, 5, 2), False),
    ],
)
def test_holidays_of_regions_that_were_named(text: str | None, country: str, day: dt.date, off: bool) -> None:
    assert holidays_of(text)(country, day) is off


@pytest.mark.parametrize("text", ["ES-XX", "Madrid", "IT", "ZZ-A", "ES MD"])
def test_a_region_that_nobody_knows_is_an_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked(TimingOptions("Europe/Rome", holidays=text))
    assert caught.value.code == "timing_holidays"


def test_the_holidays_of_regions_are_kept_with_the_windows() -> None:
    with_windows = TimingOptions("Europe/Rome", windows="ES 09:00-21:00", holidays="ES-MD")
    rules = rules_of(kept(with_windows))
    assert rules.windows is not None
    noon = dt.datetime(2028, 5, 2, 10, tzinfo=dt.UTC)
    assert rules.windows.next("ES", noon, noon) == dt.datetime(2028, 5, 3, 8, tzinfo=dt.UTC)
    assert TimingOptions("Europe/Rome", holidays="ES-MD").is_plain


def test_what_other_campaigns_send_first_is_in_the_forecast() -> None:
    now = dt.datetime(2027, 3, 1, 9, tzinfo=dt.UTC)
    due = {("IT", None): 60, ("FR", now + 2 * MINUTE): 60}
    (first, second) = forecast(due, now, 1.0, None, ahead=300)
    assert (first.done, second.done) == (now + 6 * MINUTE, now + 7 * MINUTE)
    assert forecast(due, now, None, None, ahead=300)[0].done == now  # without a limit nobody waits for others
