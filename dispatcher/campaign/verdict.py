"""Which rows are left out of a plan, and why: the first reason against a row counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dispatcher.campaign.reasons import PlanStatus, Reason
from dispatcher.campaign.sheet import SheetChunk
from dispatcher.campaign.sheet.model import Hidden

Objects = npt.NDArray[Any]

_STATUS = {
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
        self.reason: Objects = np.full(len(chunk.rows), None, dtype=object)
        self.detail: Objects = np.full(len(chunk.rows), None, dtype=object)
        self._open = np.ones(len(chunk.rows), np.bool_)

    def open(self) -> npt.NDArray[np.bool_]:
        """Which rows nothing speaks against so far."""
        return self._open.copy()

    def where(self, mask: npt.NDArray[np.bool_], reason: Reason, detail: str | None = None) -> None:
        hit = mask & self._open
        self.reason[hit] = reason
        self.detail[hit] = detail
        self._open &= ~mask

    def at(self, positions: Sequence[int], reason: Reason) -> None:
        self.reason[positions] = reason
        self._open[positions] = False

    def add(self, reasons: Objects, *, detail: str | None = None, details: Objects | None = None) -> None:
        against = ~_absent(reasons)
        hit = against & self._open
        self.reason[hit] = reasons[hit]
        self.detail[hit] = detail if details is None else details[hit]
        self._open &= ~against

    def hidden(self) -> None:
        self.where(self._chunk.hidden == Hidden.BY_HAND, Reason.HIDDEN_BY_HAND)
        self.where(self._chunk.hidden == Hidden.BY_FILTER, Reason.HIDDEN_BY_FILTER)

    def problems(self) -> None:
        if self._chunk.problems:
            found = [self._chunk.problems.get(int(row)) for row in self._chunk.rows]
            self.add(np.array(found, dtype=object))

    def valueless(self, headings: Sequence[str], reason: Reason) -> None:
        if not self._chunk.valueless:
            return
        for heading in headings:
            mask = np.array([(int(row), heading) in self._chunk.valueless for row in self._chunk.rows])
            self.where(mask, reason, heading)

    def status(self) -> Objects:
        status: Objects = np.empty(len(self.reason), dtype=object)
        status[:] = PlanStatus.READY  # np.full would make a plain str of it
        against = np.flatnonzero(~self._open).tolist()
        status[against] = [_STATUS.get(self.reason[i], PlanStatus.INVALID) for i in against]
        return status


def _absent(values: Objects) -> npt.NDArray[np.bool_]:
    """Which entries are None."""
    mask: npt.NDArray[np.bool_] = pd.isna(values)
    return mask
