"""When each row of a chunk is due, until when it is of use, and why no time can be told."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from dispatcher.campaign.locale import Locale
from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.timing.clocks import after, before, to_utc, zone_of
from dispatcher.campaign.timing.moments import Moment, read_moment, read_time
from dispatcher.campaign.timing.options import TimingOptions
from dispatcher.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

Objects = npt.NDArray[Any]


@dataclass(frozen=True)
class Due:
    """One row's times, all UTC.  ``at`` None: at once; ``until`` None: always of use.

    ``appointment`` is what a reminder is about.
    """

    at: dt.datetime | None = None
    until: dt.datetime | None = None
    appointment: dt.datetime | None = None


AT_ONCE = Due()


@dataclass(frozen=True)
class ReadExample:
    """A date that another locale would have read differently: as written, and as it was read."""

    row: int
    before: str
    date: dt.date


@dataclass(frozen=True)
class DueColumn:
    """``due`` has a :class:`Due` per row, also where ``reason`` says why there is none; ``detail`` is the column."""

    due: Objects
    reason: Objects
    detail: Objects


@dataclass
class DueReader:
    """Reads the times of one file; the same cells in the same country are read once.

    ``send_at``, ``date``, ``time`` are headings of the file, or None.  UsageError ``timing_send_at`` for a
    ``--send-at`` that is no date and time.
    """

    options: TimingOptions
    locale: Locale
    send_at: str | None = None
    date: str | None = None
    time: str | None = None
    example: ReadExample | None = None
    _known: dict[tuple[str, str, bool, str | None], Due | tuple[Reason, str | None]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        self._own = ZoneInfo(self.options.zone)
        self._offset, self._next = self.options.offset, self.options.next_offset
        self._useful = self.options.useful_span
        self._fixed = None if self.options.send_at is None else self._typed_by_hand(self.options.send_at)

    @property
    def headings(self) -> list[str]:
        """The columns it reads."""
        return [heading for heading in (self.send_at, self.date, self.time) if heading is not None]

    @property
    def fixed(self) -> Due:
        """What ``--send-at`` says on the operator's own clock."""
        if self._fixed is None:
            return AT_ONCE
        return self._sent_at(self._instant(self._fixed, self._own), self._own)

    def read(
        self, cells: pd.DataFrame, rows: npt.NDArray[np.int64], dated: dict[str, Any], countries: Objects
    ) -> DueColumn:
        """``dated``: by heading, which cells were dates in the workbook."""
        heading = self.date or self.send_at
        nothing = [""] * len(rows)
        texts = nothing if heading is None else cells[heading].tolist()
        times = nothing if self.time is None else cells[self.time].tolist()
        marks = dated.get(heading or "")
        typed = [False] * len(rows) if marks is None else marks.tolist()
        due, reason, detail = (np.full(len(rows), None, dtype=object) for _ in range(3))
        for i, key in enumerate(zip(texts, times, typed, countries.tolist(), strict=True)):
            if key not in self._known:
                self._known[key] = self._of(*key, row=int(rows[i]))
            found = self._known[key]
            due[i] = found if isinstance(found, Due) else AT_ONCE
            if not isinstance(found, Due):
                reason[i], detail[i] = found
        return DueColumn(due, reason, detail)

    def _of(
        self, text: str, time: str, typed: bool, country: str | None, *, row: int
    ) -> Due | tuple[Reason, str | None]:
        heading = self.date or self.send_at
        if not self.options.is_reminder and not text.strip():
            moment: Moment | Reason | None = self._fixed
        else:
            moment = self._moment(text, time, typed)
        if moment is None:
            return AT_ONCE
        if isinstance(moment, Reason):
            return moment, self._blamed(moment, heading)
        if moment.by_locale and self.example is None:
            self.example = ReadExample(row, text, moment.date)
        zone = zone_of(country, self._own) if self.options.recipient_time else self._own
        if zone is None:
            return (Reason.TIME_ZONE_UNKNOWN, None) if country is not None else AT_ONCE
        instant = self._instant(moment, zone)
        return self._reminder(instant, zone) if self.options.is_reminder else self._sent_at(instant, zone)

    def _blamed(self, reason: Reason, heading: str | None) -> str | None:
        return self.time if reason is Reason.DATE_WITHOUT_TIME and self.time is not None else heading

    def _moment(self, text: str, time: str, typed: bool) -> Moment | Reason:
        moment = read_moment(text, self.locale, typed=typed)
        if isinstance(moment, Reason):
            return moment
        if self.time is not None:
            # a date cell may carry a midnight of its own; the other column says the time
            clock = read_time(time)
            if isinstance(clock, Reason):
                return clock
            moment = Moment(moment.date, clock, moment.utc_offset, moment.by_locale)
        return Reason.DATE_WITHOUT_TIME if moment.time is None else moment

    def _instant(self, moment: Moment, zone: dt.tzinfo) -> dt.datetime:
        own_clock = zone if moment.utc_offset is None else dt.timezone(moment.utc_offset)
        return to_utc(moment.local, own_clock)

    def _sent_at(self, instant: dt.datetime, zone: dt.tzinfo) -> Due:
        return Due(instant, None if self._useful is None else after(instant, self._useful, zone))

    def _reminder(self, appointment: dt.datetime, zone: dt.tzinfo) -> Due:
        if self._offset is None:
            raise RuntimeError("a reminder without an offset")
        at = before(appointment, self._offset, zone)
        ends = [appointment]
        if self._useful is not None:
            ends.append(after(at, self._useful, zone))
        if self._next is not None:
            ends.append(before(appointment, self._next, zone))
        return Due(at, min(ends), appointment)

    def _typed_by_hand(self, text: str) -> Moment:
        moment = read_moment(text, self.locale)
        if isinstance(moment, Reason) or moment.time is None:
            raise UsageError("timing_send_at", found=text)
        return moment
