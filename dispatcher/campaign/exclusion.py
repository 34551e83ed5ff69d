"""Rows that are left out for what else is known: the person opted out, or gets this very text already."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dispatcher.campaign.characters import flags
from dispatcher.campaign.history import History
from dispatcher.campaign.phones import Recipients
from dispatcher.campaign.plan_model import PlanOptions
from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.repeated import GuardKeys, fingerprints, guard_keys, pairs_of
from dispatcher.campaign.seen import Seen
from dispatcher.campaign.timing.due import DueColumn
from dispatcher.campaign.timing.schedule import Schedule
from dispatcher.campaign.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Timed:
    """The rows of a chunk by the clock: what is due when, and the ``cells`` that say so."""

    schedule: Schedule
    due: DueColumn
    cells: pd.DataFrame


class Exclusion:
    """Of one file, chunk by chunk; remembers every message of it."""

    def __init__(self, options: PlanOptions, history: History) -> None:
        self._options = options
        self._history = history
        self._seen = Seen()
        self._seed = secrets.randbits(64)

    def exclude(
        self, verdict: Verdict, recipients: Recipients, texts: pa.Array, timed: Timed | None
    ) -> GuardKeys:
        """Leave out who opted out, what is twice in the file and what was already sent; gives the guard keys."""
        gone = self._history.opted_out(number for number in recipients.at(verdict.open()) if number)
        if gone:
            verdict.where(np.isin(recipients.numbers, Recipients.of(list(gone)).numbers), Reason.OPTED_OUT)
        valid = np.flatnonzero(verdict.open())
        reminded = timed if timed is not None and timed.schedule.options.is_reminder else None
        if reminded is None:
            keys = GuardKeys(len(recipients), valid, lambda: _guard_keys(recipients, texts, valid))
        else:
            keys = _reminder_keys(reminded, valid, recipients)
        if not self._options.keep_duplicates:
            repeated = (
                self._repeated(verdict, valid, recipients, texts)
                if reminded is None
                else self._reminded_twice(reminded, valid, recipients, texts)
            )
            verdict.at(repeated, Reason.DUPLICATE_IN_FILE)
        if not self._options.again:
            fresh = np.flatnonzero(verdict.open())
            sent = self._history.already_sent(keys.of(fresh))
            verdict.at([i for i in fresh.tolist() if keys[i] in sent] if sent else [], Reason.ALREADY_SENT)
        return keys

    def _repeated(self, verdict: Verdict, rows: Rows, recipients: Recipients, texts: pa.Array) -> Rows:
        """Those of the rows whose text another row sends to the same number: an earlier one, or one that an earlier
        report says was sent.
        """
        words = fingerprints(recipients.numbers, texts, self._seed)
        said = np.flatnonzero(verdict.reason.equals(Reason.SENT_IN_REPORT))
        if len(said):
            self._seen.before(words[said[flags(texts.take(pa.array(said)).is_valid())]])
        return rows[self._seen.before(words[rows])]

    def _reminded_twice(self, timed: Timed, rows: Rows, recipients: Recipients, texts: pa.Array) -> Rows:
        twins = [
            timed.schedule.twin_key(timed.due, timed.cells, i, recipients[i] or "", texts[i].as_py())
            for i in rows.tolist()
        ]
        return rows[self._seen.before(pairs_of(twins))]


def _guard_keys(recipients: Recipients, texts: pa.Array, rows: Rows) -> Sequence[bytes]:
    return guard_keys(recipients.at(rows).texts(), texts.take(pa.array(rows)))


def _reminder_keys(timed: Timed, rows: Rows, recipients: Recipients) -> GuardKeys:
    # of every row and in their order, since the second reminder of a person is known by being the second
    keys = timed.schedule.guard_keys(timed.due, timed.cells, recipients.objects())
    return GuardKeys(len(recipients), rows, lambda: keys[rows].tolist())
