"""A report of ours that comes back as a file: which of its rows were sent already.

What ``sms_status`` says is a claim, and anybody can type it: a row counts as sent only where the ledger knows, on
the gateway that is sent to now, a message to the very number that stands in the row.  So a row may be moved or given
another text and is not sent again, a corrected number is, and a report of the simulator keeps nobody from the real
text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dispatcher.campaign.sheet.model import ReportCells

Objects = npt.NDArray[Any]

_NUMBER = re.compile(r"\+?\d{8,15}")

SAYS_SENT = frozenset(
    {
        *("sending", "in_doubt", "accepted", "delivered", "undeliverable", "expired", "rejected"),
        "already_sent",  # a report of a report
    }
)
"""Values of ``sms_status`` by which a row was, or may have been, sent."""

PURGED = ""
"""The recipient of a row whose number is not kept any more: its message id alone speaks for it."""


class Claim(StrEnum):
    """What became of a row's claim to have been sent."""

    PROVED = "proved"
    OTHER_GATEWAY = "other_gateway"  # a simulated report, say
    OTHER_NUMBER = "other_number"  # sent to the number that stood here before
    UNKNOWN = "unknown"  # this ledger knows nothing of it


@dataclass(frozen=True)
class SentRow:
    """A row of the ledger that was sent, or may have been.  ``here``: to the gateway that is sent to now."""

    here: bool
    campaign: int
    row: int
    recipient: str
    message_id: str | None

    @property
    def place(self) -> str:
        """By which the row is found again."""
        return f"{self.campaign}.{self.row}"


class SentRows(Protocol):
    """Looks into the ledger, whatever the guard days are."""

    def sent_as(self, message_ids: Sequence[str]) -> Sequence[SentRow]:
        """The rows that were sent as one of these messages, through any gateway."""

    def sent_to(self, recipients: Sequence[str]) -> Sequence[SentRow]:
        """The rows that were, or may have been, sent to one of these numbers, through any gateway."""


class EarlierReport:
    """Judges the claims of one file, chunk by chunk; remembers which campaigns its messages were of."""

    def __init__(self) -> None:
        self._campaigns: dict[bool, set[int]] = {True: set(), False: set()}

    def judge(
        self, cells: ReportCells, recipients: Objects, ledger: SentRows
    ) -> dict[int, tuple[Claim, SentRow | None]]:
        """By position in the chunk: what became of each claim, with the row of the ledger that proves it.

        ``recipients`` are the numbers as read now; a row without one claims nothing, for it is not sent anyway.
        """
        claims = [
            i
            for i, status in enumerate(cells.status)
            if status.strip().casefold() in SAYS_SENT and isinstance(recipients[i], str)
        ]
        if not claims:
            return {}
        messages = {i: cells.message_id[i].strip() for i in claims}
        found: dict[str, list[SentRow]] = defaultdict(list)
        for row in ledger.sent_as(sorted({message for message in messages.values() if message})):
            found[row.message_id or ""].append(row)
            self._campaigns[row.here].add(row.campaign)
        judged = {i: _by_message(found[messages[i]], recipients[i]) for i in claims if messages[i]}
        nameless = [
            i for i in claims if not messages[i] and not _renumbered(cells.recipient[i], recipients[i])
        ]
        met: dict[str, list[SentRow]] = defaultdict(list)
        for row in ledger.sent_to(sorted({recipients[i] for i in nameless})):
            met[row.recipient].append(row)
        judged |= {i: self._by_number(met[recipients[i]]) for i in nameless}
        return judged | {i: (Claim.OTHER_NUMBER, None) for i in claims if i not in judged}

    def _by_number(self, rows: Sequence[SentRow]) -> tuple[Claim, SentRow | None]:
        """A row in doubt has no message id: its number and the campaigns of the file's other messages speak for it.

        Where they do not tell two gateways apart, what this one may have sent counts: twice is worse than late.
        """
        here = [row for row in rows if row.here]
        elsewhere = any(row.campaign in self._campaigns[False] for row in rows if not row.here)
        ours = [row for row in here if row.campaign in self._campaigns[True]]
        if ours or (here and not elsewhere):
            return Claim.PROVED, max(ours or here, key=lambda row: (row.campaign, row.row))
        return (Claim.OTHER_GATEWAY if rows else Claim.UNKNOWN), None


def _by_message(rows: Sequence[SentRow], recipient: str) -> tuple[Claim, SentRow | None]:
    here = [row for row in rows if row.here]
    for row in here:
        if row.recipient in (recipient, PURGED):
            return Claim.PROVED, row
    if here:
        return Claim.OTHER_NUMBER, None
    return (Claim.OTHER_GATEWAY if rows else Claim.UNKNOWN), None


def _renumbered(written: str, recipient: str) -> bool:
    """Whether ``sms_recipient`` names another number; a spreadsheet program may have made something else of it."""
    return _NUMBER.fullmatch(written.strip()) is not None and written.strip().lstrip("+") != recipient.lstrip(
        "+"
    )


def places(judged: dict[int, tuple[Claim, SentRow | None]], size: int) -> Objects:
    """One entry per row of a chunk of ``size`` rows: the place of the ledger's row that proves it sent, or None."""
    found: Objects = np.full(size, None, dtype=object)
    for i, (_, row) in judged.items():
        if row is not None:
            found[i] = row.place
    return found
