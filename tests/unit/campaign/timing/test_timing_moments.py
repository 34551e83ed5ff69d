"""Dates in cells: what is read, what a locale decides, what is refused rather than guessed."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.locale import Locale, render
from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.timing.moments import Moment, read_moment, read_time

APRIL_3, TIME = dt.date(2026, 4, 3), dt.time(9, 30)


@pytest.mark.parametrize("locale", Locale)
@pytest.mark.parametrize(
    "text",
    [
        "2026-04-03 09:30",
        "2026-04-03T09:30",
        "2026/4/3 9:30",
        "3 aprile 2026 9.30",
        "venerdì 3 aprile 2026, ore 9:30",
        "ven 3 apr 2026 alle 9.30",
        "3 de abril de 2026 a las 9:30",
        "VIERNES 3 ABRIL 2026 09:30",
        "April 3rd, 2026 at 9:30 AM",
        "Fri Apr 3 2026 9:30am",
        "3\u00a0apr\u00a026 9h30",
    ],
)
def test_what_nobody_reads_in_two_ways(text: str, locale: Locale) -> None:
    assert read_moment(text, locale) == Moment(APRIL_3, TIME)


@pytest.mark.parametrize("text", ["03/04/2026 09:30", "3.4.26 9.30", "03-04-2026 09:30:00"])
def test_the_locale_decides_which_is_the_day_or_nobody_does(text: str) -> None:
    for locale in (Locale.IT, Locale.ES):
        assert read_moment(text, locale) == Moment(APRIL_3, TIME, by_locale=True)
    assert read_moment(text, Locale.EN) is Reason.DATE_AMBIGUOUS


@pytest.mark.parametrize("locale", Locale)
def test_a_date_cell_of_a_workbook_is_never_ambiguous(locale: Locale) -> None:
    text = render(dt.datetime.fromisoformat("2026-04-03T09:30"), locale)
    assert read_moment(text, locale, typed=True) == Moment(APRIL_3, TIME)


@given(
    st.datetimes(
        dt.datetime.fromisoformat("2000-01-01T00:00"), dt.datetime.fromisoformat("2199-12-31T00:00")
    ),
    st.sampled_from(Locale),
)
def test_every_date_cell_comes_back_as_it_was(moment: dt.datetime, locale: Locale) -> None:
    moment = moment.replace(microsecond=0)
    read = read_moment(render(moment, locale), locale, typed=True)
    assert isinstance(read, Moment)
    assert (read.date, read.time or dt.time(0)) == (moment.date(), moment.time())


@given(st.text(max_size=30), st.sampled_from(Locale))
def test_any_text_is_read_or_refused(text: str, locale: Locale) -> None:
    assert isinstance(read_moment(text, locale), Moment | Reason)
    assert isinstance(read_time(text), dt.time | Reason)


def test_what_only_one_order_makes_a_date() -> None:
    assert read_moment("25/12/2026", Locale.EN) == Moment(dt.date(2026, 12, 25))
    assert read_moment("12/25/2026", Locale.EN) == Moment(dt.date(2026, 12, 25))
    assert read_moment("12/25/2026", Locale.IT) is Reason.DATE_UNREADABLE
    assert read_moment("4/4/2026", Locale.EN) == Moment(dt.date(2026, 4, 4))


def test_mar_is_a_month_or_tuesday() -> None:
    march_3 = Moment(dt.date(2026, 3, 3), dt.time(9))  # a Tuesday
    assert read_moment("mar 3 marzo 2026 9:00", Locale.IT) == march_3
    assert read_moment("mar 3 mar 2026 9:00", Locale.IT) == march_3
    assert read_moment("Mar 3, 2026 9am", Locale.EN) == march_3
    assert read_moment("mar 03/03/2026 9:00", Locale.ES) == march_3


def test_a_weekday_that_does_not_fit_is_a_slip_of_the_pen() -> None:
    assert read_moment("lunedì 3 marzo 2026", Locale.IT) is Reason.DATE_WEEKDAY


def test_a_clock_of_its_own() -> None:
    read = read_moment("2026-04-03T09:30:00+01:00", Locale.IT)
    assert read == Moment(APRIL_3, TIME, dt.timedelta(hours=1))
    assert read_moment("2026-04-03T09:30Z", Locale.IT) == Moment(APRIL_3, TIME, dt.timedelta(0))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("  ", Reason.DATE_MISSING),
        ("tomorrow", Reason.DATE_UNREADABLE),
        ("46112,5", Reason.DATE_UNREADABLE),
        ("31/02/2026", Reason.DATE_UNREADABLE),
        ("2026-04-03 25:00", Reason.DATE_UNREADABLE),
        ("03/04", Reason.DATE_UNREADABLE),
        ("12/05/1961", Reason.DATE_UNREADABLE),
        ("09:30", Reason.DATE_UNREADABLE),
        ("3 apr 4 mag 2026", Reason.DATE_UNREADABLE),
        ("#N/A", Reason.DATE_UNREADABLE),
    ],
)
def test_what_is_no_date(text: str, reason: Reason) -> None:
    assert read_moment(text, Locale.IT) is reason


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("9:30", dt.time(9, 30)),
        ("ore 9.30", dt.time(9, 30)),
        ("9:30 pm", dt.time(21, 30)),
        ("12 am", dt.time(0)),
    ],
)
def test_times_alone(text: str, time: dt.time) -> None:
    assert read_time(text) == time


def test_no_time_is_said_so() -> None:
    assert read_time("") is Reason.DATE_WITHOUT_TIME
    assert read_time("morning") is Reason.DATE_UNREADABLE
