"""A plan with times: where they come from, what is refused, siblings, moved appointments, windows, caps."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from dispatcher.campaign.history import NoHistory
from dispatcher.campaign.locale import Locale
from dispatcher.campaign.plan import PlanChunk, Planner, PlanOptions
from dispatcher.campaign.prices import Funds, PriceBook, Pricer
from dispatcher.campaign.reasons import PlanStatus, Reason
from dispatcher.campaign.sheet import open_sheet
from dispatcher.campaign.timing.options import TimingOptions, one_per_offset
from dispatcher.errors import UsageError

NOW = dt.datetime(2026, 11, 30, 9, 0, tzinfo=dt.UTC)  # 10:00 in Rome, a Monday
ITALIAN, OTHER, SPANISH, AMERICAN = "+393123456789", "+393987654321", "+34612345678", "+12015550123"
MESSAGE = "Hello {{ Name }}"
READY, LATE = PlanStatus.READY, PlanStatus.TOO_LATE


class Sent(NoHistory):
    """A history that knows guard keys and times of sends."""

    def __init__(
        self, keys: set[bytes] | None = None, times: Mapping[str, list[dt.datetime]] | None = None
    ) -> None:
        self.keys, self.times = keys or set(), times or {}

    def already_sent(self, guard_keys: Sequence[bytes]) -> set[bytes]:
        return self.keys & set(guard_keys)

    def sent_times(
        self, recipients: Sequence[str], since: dt.datetime
    ) -> Mapping[str, Sequence[dt.datetime]]:
        return {
            who: [at for at in times if at > since] for who, times in self.times.items() if who in recipients
        }


def write(path: Path, rows: Sequence[Sequence[Any]], *headings: str) -> Path:
    if path.suffix == ".xlsx":
        book = Workbook()
        sheet = book.active
        assert sheet is not None
        for row in [headings, *rows]:
            sheet.append(list(row))
        book.save(path)
        return path
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([headings, *rows])
    return path


def plan(
    file: Path,
    timing: TimingOptions,
    *,
    locale: Locale = Locale.IT,
    history: NoHistory | None = None,
    now: dt.datetime = NOW,
    **options: Any,
) -> tuple[Planner, PlanChunk]:
    book = PriceBook.from_entries([])
    chosen = PlanOptions(message=MESSAGE, sender="ACME", timing=timing, **options)
    sheet = open_sheet(file, locale=locale)
    planner = Planner(
        sheet, chosen, Pricer(book, Funds({}, None)), history or NoHistory(), locale=locale, now=now
    )
    (chunk,) = planner.chunks()
    return planner, chunk


def rome(text: str) -> dt.datetime:
    from zoneinfo import ZoneInfo

    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Rome"))


def timing(**other: Any) -> TimingOptions:
    return TimingOptions("Europe/Rome", **other)


def reminder(offset: str = "24h", **other: Any) -> TimingOptions:
    (made,) = one_per_offset(timing(date_column="When", **other), [offset])
    return made


def at(chunk: PlanChunk) -> list[Any]:
    assert chunk.times is not None
    return chunk.times.at.tolist()


def test_a_send_at_column_gives_every_row_its_time(tmp_path: Path) -> None:
    rows = [
        (ITALIAN, "a", "2026-12-01 09:00"),
        (OTHER, "b", ""),
        (SPANISH, "c", "30/11/2026 09:30"),  # half an hour ago: still of use
        (ITALIAN, "d", "27/11/2026 09:30"),
        (ITALIAN, "e", "soon"),
        (ITALIAN, "f", "01/12/2026"),
    ]
    file = write(tmp_path / "a.csv", rows, "Mobile", "Name", "Send_At")
    planner, chunk = plan(file, timing())
    assert chunk.status.tolist() == [READY, READY, READY, LATE, PlanStatus.INVALID, PlanStatus.INVALID]
    assert chunk.reason.tolist()[4:] == [Reason.DATE_UNREADABLE, Reason.DATE_WITHOUT_TIME]
    assert chunk.detail.tolist()[4:] == ["Send_At"] * 2
    assert at(chunk) == [rome("2026-12-01T09:00"), None, rome("2026-11-30T09:30"), None, None, None]
    assert chunk.times is not None
    assert chunk.times.until.tolist()[0] == rome("2026-12-02T09:00")
    assert planner.summary.counts[LATE] == 1
    assert [problem.found for problem in planner.summary.problems] == ["soon", "01/12/2026"]


def test_send_at_counts_where_a_cell_is_blank(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.csv",
        [(ITALIAN, "a", ""), (OTHER, "b", "2026-12-02 08:00")],
        "Mobile",
        "Name",
        "send at",
    )
    _, chunk = plan(file, timing(send_at="2026-12-01 09:00"))
    assert at(chunk) == [rome("2026-12-01T09:00"), rome("2026-12-02T08:00")]


def test_without_anything_about_times_there_are_none(tmp_path: Path) -> None:
    planner, chunk = plan(write(tmp_path / "a.csv", [(ITALIAN, "a")], "Mobile", "Name"), timing())
    assert chunk.times is None
    assert planner.schedule is None


@pytest.mark.parametrize(
    ("send_at", "code"),
    [
        ("yesterday", "timing_send_at"),
        ("2026-12-01", "timing_send_at"),
        ("2026-11-01 09:00", "timing_send_at_past"),
    ],
)
def test_a_send_at_that_makes_no_sense_is_refused(tmp_path: Path, send_at: str, code: str) -> None:
    file = write(tmp_path / "a.csv", [(ITALIAN, "a")], "Mobile", "Name")
    with pytest.raises(UsageError) as caught:
        plan(file, timing(send_at=send_at))
    assert caught.value.code == code


def test_whose_clock(tmp_path: Path) -> None:
    rows = [(ITALIAN, "a"), (SPANISH, "b"), (AMERICAN, "c")]
    file = write(tmp_path / "a.csv", rows, "Mobile", "Name")
    own = TimingOptions("Europe/London", send_at="2026-12-01 09:00")
    _, chunk = plan(file, own)
    assert at(chunk) == [dt.datetime(2026, 12, 1, 9, tzinfo=dt.UTC)] * 3
    _, chunk = plan(file, TimingOptions("Europe/Rome", send_at="2026-12-01 09:00", recipient_time=True))
    assert at(chunk)[:2] == [rome("2026-12-01T09:00")] * 2  # Madrid's clock is Rome's
    assert chunk.reason.tolist() == [None, None, Reason.TIME_ZONE_UNKNOWN]


def test_a_date_cell_of_a_workbook_is_read_in_every_locale_and_text_is_not(tmp_path: Path) -> None:
    rows = [
        (ITALIAN, "a", dt.datetime(2026, 12, 4, 9, 30)),  # noqa: DTZ001 - what a workbook stores
        (OTHER, "b", "04/12/2026 09:30"),
    ]
    file = write(tmp_path / "a.xlsx", rows, "Mobile", "Name", "When")
    planner, chunk = plan(file, reminder("1d"), locale=Locale.EN)
    assert chunk.reason.tolist() == [None, Reason.DATE_AMBIGUOUS]
    assert at(chunk)[0] == rome("2026-12-03T09:30")
    planner, chunk = plan(file, reminder("1d"), locale=Locale.IT)
    assert at(chunk) == [rome("2026-12-03T09:30")] * 2
    assert planner.schedule is not None
    example = planner.schedule.example
    assert example is not None
    assert (example.row, example.date) == (3, dt.date(2026, 12, 4))


def test_an_hour_in_a_column_of_its_own(tmp_path: Path) -> None:
    rows = [
        (ITALIAN, "a", "04/12/2026", "9.30"),
        (OTHER, "b", "04/12/2026", ""),
        (OTHER, "c", "04/12/2026", "?"),
    ]
    file = write(tmp_path / "a.csv", rows, "Mobile", "Name", "When", "Hour")
    _, chunk = plan(file, reminder("1d", time_column="hour"))
    assert at(chunk)[0] == rome("2026-12-03T09:30")
    assert chunk.reason.tolist() == [None, Reason.DATE_WITHOUT_TIME, Reason.DATE_UNREADABLE]
    assert chunk.detail.tolist()[1] == "Hour"


def test_a_reminder_is_useful_until_the_appointment_and_no_longer(tmp_path: Path) -> None:
    rows = [
        (ITALIAN, "a", "2026-12-01 11:00"),
        (OTHER, "b", "2026-11-30 10:30"),
        (OTHER, "c", "2026-11-30 09:59"),
    ]
    file = write(tmp_path / "a.csv", rows, "Mobile", "Name", "When")
    _, chunk = plan(file, reminder())
    assert chunk.status.tolist() == [READY, READY, LATE]
    assert chunk.times is not None
    assert chunk.times.until.tolist()[:2] == [rome("2026-12-01T11:00"), rome("2026-11-30T10:30")]
    _, chunk = plan(file, reminder(useful_for="2h"))  # no reminder 24 h before, half an hour before
    assert chunk.status.tolist() == [READY, LATE, LATE]


def test_of_several_reminders_each_is_useless_once_the_next_is_due(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", [(ITALIAN, "a", "2026-11-30 11:30")], "Mobile", "Name", "When")
    early, late = one_per_offset(timing(date_column="When"), ["2h", "1d"])
    assert (early.remind_before, late.remind_before) == ("1d", "2h")
    assert plan(file, early)[1].status.tolist() == [LATE]  # 2 h before has begun
    assert plan(file, late)[1].status.tolist() == [READY]


def test_siblings_both_get_theirs_and_nobody_gets_it_twice(tmp_path: Path) -> None:
    rows = [(ITALIAN, "Anna", "2026-12-01 11:00"), (ITALIAN, "Luca", "2026-12-01 11:00")]
    file = write(tmp_path / "a.csv", rows, "Mobile", "Name", "When")
    _, chunk = plan(file, reminder())
    assert chunk.status.tolist() == [READY, READY]
    keys = set(chunk.guard_key)
    assert len(keys) == 2
    swapped = write(tmp_path / "b.csv", rows[::-1], "Mobile", "Name", "When")
    _, again = plan(swapped, reminder(), history=Sent(keys))
    assert again.status.tolist() == [PlanStatus.ALREADY_SENT] * 2
    third = write(tmp_path / "c.csv", [*rows, (ITALIAN, "Ugo", "2026-12-01 11:00")], "Mobile", "Name", "When")
    _, more = plan(third, reminder(), history=Sent(keys))
    assert more.status.tolist() == [PlanStatus.ALREADY_SENT] * 2 + [READY]


def test_a_row_that_is_put_right_is_the_same_reminder(tmp_path: Path) -> None:
    rows = [(ITALIAN, "", "2026-12-01 11:00"), (ITALIAN, "Luca", "2026-12-01 11:00")]
    _, chunk = plan(write(tmp_path / "a.csv", rows, "Mobile", "Name", "When"), reminder())
    assert chunk.status.tolist() == [PlanStatus.INVALID, READY]
    rows[0] = (ITALIAN, "Anna", "2026-12-01 11:00")
    right = write(tmp_path / "b.csv", rows, "Mobile", "Name", "When")
    _, again = plan(right, reminder(), history=Sent({chunk.guard_key[1]}))
    assert again.status.tolist() == [READY, PlanStatus.ALREADY_SENT]


def test_the_same_reminder_twice_in_a_file_is_a_duplicate_unless_a_key_tells_them_apart(
    tmp_path: Path,
) -> None:
    rows = [(ITALIAN, "Anna", "2026-12-01 11:00", "7"), (ITALIAN, "Anna", "2026-12-01 11:00", "8")]
    rows.append((ITALIAN, "Anna", "2026-12-02 11:00", "7"))
    file = write(tmp_path / "a.csv", rows, "Mobile", "Name", "When", "Id")
    _, chunk = plan(file, reminder())
    assert chunk.status.tolist() == [READY, PlanStatus.DUPLICATE, READY]
    _, chunk = plan(file, reminder(key_column="Id"))
    assert chunk.status.tolist() == [READY, READY, READY]
    assert len(set(chunk.guard_key)) == 3


def test_a_moved_appointment_is_announced_again_and_another_text_is_not(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", [(ITALIAN, "Anna", "2026-12-01 11:00")], "Mobile", "Name", "When")
    _, chunk = plan(file, reminder())
    sent = Sent(set(chunk.guard_key))
    renamed = write(
        tmp_path / "b.csv", [(ITALIAN, "Anna B.", "1 dicembre 2026 ore 11")], "Mobile", "Name", "When"
    )
    assert plan(renamed, reminder(), history=sent)[1].reason.tolist() == [Reason.DATE_UNREADABLE]
    renamed = write(
        tmp_path / "b.csv", [(ITALIAN, "Anna B.", "1 dicembre 2026 ore 11:00")], "Mobile", "Name", "When"
    )
    assert plan(renamed, reminder(), history=sent)[1].status.tolist() == [PlanStatus.ALREADY_SENT]
    moved = write(tmp_path / "c.csv", [(ITALIAN, "Anna", "2026-12-01 11:30")], "Mobile", "Name", "When")
    assert plan(moved, reminder(), history=sent)[1].status.tolist() == [READY]
    assert plan(file, reminder("2h"), history=sent)[1].status.tolist() == [READY]  # another reminder of it


def test_sent_before_comes_before_too_late(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", [(ITALIAN, "Anna", "2026-12-01 11:00")], "Mobile", "Name", "When")
    _, chunk = plan(file, reminder())
    later = NOW + dt.timedelta(days=3)
    _, again = plan(file, reminder(), history=Sent(set(chunk.guard_key)), now=later)
    assert again.status.tolist() == [PlanStatus.ALREADY_SENT]
    assert plan(file, reminder(), now=later)[1].status.tolist() == [LATE]


def test_rows_outside_the_window_wait_until_it_opens(tmp_path: Path) -> None:
    rows = [
        (ITALIAN, "a", "2026-12-01 11:00"),
        (SPANISH, "b", "2026-12-01 20:00"),
        (OTHER, "c", "2026-12-03 10:00"),
    ]
    file = write(tmp_path / "a.csv", rows, "Mobile", "Name", "When")
    windows = "IT 08:00-22:00; ES 12:00-14:00"
    _, chunk = plan(file, reminder("12h", windows=windows))
    assert at(chunk) == [rome("2026-12-01T08:00"), rome("2026-12-01T13:00"), rome("2026-12-03T08:00")]


def test_what_would_only_fit_after_its_use_is_too_late(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", [(ITALIAN, "a", "2026-12-01 08:30")], "Mobile", "Name", "When")
    _, chunk = plan(file, reminder("1h", windows="IT 09:00-20:00"))
    assert chunk.status.tolist() == [LATE]


def test_the_cap_counts_what_was_sent_and_what_this_file_sends(tmp_path: Path) -> None:
    rows = [(ITALIAN, "a", ""), (ITALIAN, "b", ""), (OTHER, "c", ""), (OTHER, "d", "2026-12-02 09:00")]
    rows.append((SPANISH, "e", ""))
    file = write(tmp_path / "a.csv", rows, "Mobile", "Name", "send_at")
    history = Sent(times={SPANISH: [NOW - dt.timedelta(hours=23)], ITALIAN: [NOW - dt.timedelta(hours=25)]})
    planner, chunk = plan(file, timing(cap="1 per 24h"), history=history)
    capped = PlanStatus.CAPPED
    assert chunk.status.tolist() == [READY, capped, READY, READY, capped]
    assert planner.summary.counts[capped] == 2


def test_a_date_of_a_formula_without_value_and_of_a_column_that_is_not_there(tmp_path: Path) -> None:
    file = write(tmp_path / "a.xlsx", [(ITALIAN, "a", "=TODAY()")], "Mobile", "Name", "When")
    assert plan(file, reminder())[1].reason.tolist() == [Reason.DATE_FORMULA_WITHOUT_VALUE]
    with pytest.raises(UsageError) as caught:
        plan(file, reminder(key_column="Number"))
    assert caught.value.code == "columns_no_such"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"remind_before": "24h"}, "timing_needs"),
        ({"date_column": "When"}, "timing_needs"),
        (
            {"remind_before": "24h", "date_column": "When", "send_at": "2026-12-01 09:00"},
            "usage_contradiction",
        ),
        ({"useful_for": "long"}, "timing_span"),
        ({"cap": "much"}, "timing_cap"),
        ({"windows": "always"}, "timing_windows"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, options: dict[str, str], code: str) -> None:
    file = write(tmp_path / "a.csv", [(ITALIAN, "a", "")], "Mobile", "Name", "When")
    with pytest.raises(UsageError) as caught:
        plan(file, timing(**options))
    assert caught.value.code == code


def test_the_same_reminder_cannot_be_asked_for_twice() -> None:
    with pytest.raises(UsageError) as caught:
        one_per_offset(timing(date_column="When"), ["24h", "1d"])
    assert caught.value.code == "timing_offset_twice"
