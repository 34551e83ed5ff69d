"""The times of a plan: read from its cells, moved into open windows, capped, or found to be too late."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from dispatcher.campaign.coded import Coded
from dispatcher.campaign.locale import Locale
from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.sheet import Sheet, SheetChunk
from dispatcher.campaign.timing.days_off import holidays_of
from dispatcher.campaign.timing.due import DueColumn, DueReader, ReadExample
from dispatcher.campaign.timing.headings import find_heading, send_at_heading
from dispatcher.campaign.timing.openings import Openings
from dispatcher.campaign.timing.options import TimingOptions
from dispatcher.campaign.timing.reminding import ReminderKeys, digest
from dispatcher.campaign.timing.windows import Windows
from dispatcher.campaign.verdict import Verdict
from dispatcher.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

Objects = npt.NDArray[Any]
FITS = dt.timedelta(minutes=1)
"""How long before a window closes a row may still be planned into it."""


class SentTimes(Protocol):
    """What planning asks about people when there is a cap."""

    def sent_times(
        self, recipients: Sequence[str], since: dt.datetime
    ) -> Mapping[str, Sequence[dt.datetime]]:
        """When each of them was sent something since then, or may have been."""


@dataclass(frozen=True)
class Times:
    """When the rows of a chunk go out: aware UTC, or None for at once (``at``) and for ever (``until``)."""

    at: Objects
    until: Objects


def _openings(windows: Windows, options: TimingOptions) -> Openings:
    return Openings(windows, ZoneInfo(options.zone), holidays_of(options.holidays))


class Schedule:
    """Plans the times of one file, chunk by chunk.  ``now`` is when the plan is made.

    Raises UsageError for columns that are not there and times that make no sense.
    """

    def __init__(self, options: TimingOptions, sheet: Sheet, locale: Locale, now: dt.datetime) -> None:
        self.options = options
        self._now = now

        def column(wanted: str | None, flag: str) -> str | None:
            return find_heading(sheet, wanted, flag)

        self._key_column = column(options.key_column, "--key-column")
        send_at = column(options.send_at_column, "--send-at-column")
        if send_at is None and not options.is_reminder:
            send_at = send_at_heading(sheet.headings)
        self.reader = DueReader(
            options,
            locale,
            send_at=send_at,
            date=column(options.date_column, "--date-column"),
            time=column(options.time_column, "--time-column"),
        )
        fixed = self.reader.fixed
        if fixed.at is not None and fixed.until is not None and fixed.until < now:
            raise UsageError("timing_send_at_past", found=options.send_at)
        windows = options.parsed_windows
        self.openings = None if windows is None else _openings(windows, options)
        self._cap = options.parsed_cap
        self._keys = ReminderKeys(options.remind_before or "")
        self._planned: dict[str, list[dt.datetime]] = defaultdict(list)

    @property
    def headings(self) -> list[str]:
        """The columns that are read."""
        return self.reader.headings + ([self._key_column] if self._key_column else [])

    @property
    def example(self) -> ReadExample | None:
        """A date that another locale would have read differently."""
        return self.reader.example

    def read(self, verdict: Verdict, chunk: SheetChunk, cells: pd.DataFrame, countries: Objects) -> DueColumn:
        """The times as the cells say them; rows without a usable one are invalid."""
        verdict.valueless(self.headings, Reason.DATE_FORMULA_WITHOUT_VALUE)
        due = self.reader.read(cells, chunk.rows, dict(chunk.dated), countries)
        verdict.add(due.reason, details=Coded.of(due.detail))
        return due

    def guard_keys(self, due: DueColumn, cells: pd.DataFrame, recipients: Objects) -> Objects:
        """By row, by what a reminder is recognised; None where there is nothing to remind of."""
        keys: Objects = np.full(len(recipients), None, dtype=object)
        named = [None] * len(recipients) if self._key_column is None else cells[self._key_column].tolist()
        for i, (recipient, each) in enumerate(zip(recipients.tolist(), due.due.tolist(), strict=True)):
            if recipient is not None and each.appointment is not None:
                keys[i] = self._keys.key(recipient, each.appointment, named[i])
        return keys

    def twin_key(self, due: DueColumn, cells: pd.DataFrame, i: int, recipient: str, text: str) -> bytes:
        """By what two rows of the file are the same reminder twice."""
        named = "" if self._key_column is None else str(cells[self._key_column].iloc[i])
        appointment = due.due[i].appointment
        return digest("twin", recipient, text, "" if appointment is None else appointment.isoformat(), named)

    def place(self, verdict: Verdict, due: DueColumn, countries: Objects) -> Times:
        """Rows that are not left out get the first open moment; those for which there is none are too late."""
        at, until = (np.full(len(countries), None, dtype=object) for _ in range(2))
        late: list[int] = []
        for i in np.flatnonzero(verdict.open()).tolist():
            each = due.due[i]
            start = self._now if each.at is None else max(each.at, self._now)
            opens = start
            if self.openings is not None:
                found = self.openings.next(countries[i], start, start + FITS)
                opens = dt.datetime.max.replace(tzinfo=dt.UTC) if found is None else found
            if (each.until is not None and opens > each.until) or opens.year > 9000:
                late.append(i)
            at[i] = opens if opens > self._now else each.at
            until[i] = each.until
        verdict.at(late, Reason.TOO_LATE)
        at[late], until[late] = None, None
        return Times(at, until)

    def keep_within_cap(
        self, verdict: Verdict, times: Times, recipients: Objects, history: SentTimes
    ) -> None:
        """Rows of people who would get too much, by what was sent and by what this file sends them earlier."""
        if self._cap is None:
            return
        rows = np.flatnonzero(verdict.open()).tolist()
        since = self._now - self._cap.within
        sent = history.sent_times(sorted({recipients[i] for i in rows}), since)
        capped = []
        for i in rows:
            recipient, when = recipients[i], times.at[i] or self._now
            others = [*sent.get(recipient, ()), *self._planned[recipient]]
            if sum(abs(when - other) < self._cap.within for other in others) >= self._cap.most:
                capped.append(i)
            else:
                self._planned[recipient].append(when)
        verdict.at(capped, Reason.CAPPED)
