"""Which rows are left out of a plan, and why: the first reason against a row counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dispatcher.campaign.coded import Coded, Flags
from dispatcher.campaign.reasons import PlanStatus, Reason
from dispatcher.campaign.sheet import SheetChunk
from dispatcher.campaign.sheet.model import Hidden

_STATUS = {
    None: PlanStatus.READY,
    Reason.HIDDEN_BY_HAND: PlanStatus.HIDDEN,
    Reason.HIDDEN_BY_FILTER: PlanStatus.HIDDEN,
    Reason.DUPLICATE_IN_FILE: PlanStatus.DUPLICATE,
    Reason.OPTED_OUT: PlanStatus.OPTED_OUT,
    Reason.ALREADY_SENT: PlanStatus.ALREADY_SENT,
    Reason.SENT_IN_REPORT: PlanStatus.ALREADY_SENT,
    Reason.TOO_LATE: PlanStatus.TOO_LATE,
    Reason.CAPPED: PlanStatus.CAPPED,
}


class Verdict:
    """The first reason against each row of a chunk; later ones do not replace it."""

    def __init__(self, chunk: SheetChunk) -> None:
        self._chunk = chunk
        self.reason = self.detail = Coded.same(None, len(chunk.rows))

    def open(self) -> Flags:
        """Which rows nothing speaks against so far."""
        return ~self.reason.known()

    def where(self, mask: Flags, reason: Reason, detail: str | None = None) -> None:
        if mask.any():
            rows = np.flatnonzero(mask & self.open())
            self._set(rows, Coded.same(reason, len(rows)), Coded.same(detail, len(rows)))

    def at(self, positions: Sequence[int] | npt.NDArray[np.intp], reason: Reason) -> None:
        """The positions are those of open rows; they have no detail."""
        rows = np.asarray(positions, np.intp)
        self._set(rows, Coded.same(reason, len(rows)), Coded.same(None, len(rows)))

    def add(
        self, reasons: Collection[Any] | Coded, *, detail: str | None = None, details: Coded | None = None
    ) -> None:
        """A reason or None for each row; ``detail`` is that of all, ``details`` of each."""
        reasons = reasons if isinstance(reasons, Coded) else Coded.of(reasons)
        against = reasons.known()
        if against.any():
            rows = np.flatnonzero(against & self.open())
            found = Coded.same(detail, len(rows)) if details is None else details.at(rows)
            self._set(rows, reasons.at(rows), found)

    def hidden(self) -> None:
        self.where(self._chunk.hidden == Hidden.BY_HAND, Reason.HIDDEN_BY_HAND)
        self.where(self._chunk.hidden == Hidden.BY_FILTER, Reason.HIDDEN_BY_FILTER)

    def problems(self) -> None:
        if self._chunk.problems:
            self.add([self._chunk.problems.get(int(row)) for row in self._chunk.rows])

    def valueless(self, headings: Sequence[str], reason: Reason) -> None:
        if not self._chunk.valueless:
            return
        for heading in headings:
            mask = np.array([(int(row), heading) in self._chunk.valueless for row in self._chunk.rows])
            self.where(mask, reason, heading)

    def status(self) -> Coded:
        return self.reason.mapped(lambda reason: _STATUS.get(reason, PlanStatus.INVALID))

    def _set(self, rows: npt.NDArray[np.intp], reasons: Coded, details: Coded) -> None:
        if len(rows):
            self.reason = self.reason.replaced(rows, reasons)
            self.detail = self.detail.replaced(rows, details)
