"""From a file and the operator's decisions to a planner: what ``check`` and ``run`` have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dispatcher.campaign.earlier_report import SentRow
from dispatcher.campaign.history import History, NoHistory
from dispatcher.campaign.locale import Locale
from dispatcher.campaign.plan import Planner, PlanOptions
from dispatcher.campaign.price_book import LearntPrice
from dispatcher.campaign.prices import Funds, PriceBook, Pricer
from dispatcher.campaign.sheet import open_sheet

if TYPE_CHECKING:
    from dispatcher.ledger import Ledger
    from dispatcher.ledger.memory import SentRow as MemoryRow

LEARNT_FOR = timedelta(days=365)
"""After that long without a charge a price is forgotten: tariffs change, and a range that only ever widens says less
and less."""


@dataclass(frozen=True)
class PlanRequest:
    """A file and how it is to be read and planned."""

    file: Path
    sheet: str | None = None
    encoding: str | None = None
    locale: Locale = Locale.IT
    options: PlanOptions = field(default_factory=PlanOptions)


@dataclass(frozen=True)
class LedgerHistory:
    """What the ledger knows, for planning: opt-outs, and what one gateway was given since ``since``."""

    ledger: Ledger
    gateway: str
    since: datetime

    def opted_out(self, recipients: Iterable[str]) -> set[str]:
        return self.ledger.opt_outs.opted_out(recipients)

    def already_sent(self, guard_keys: Iterable[bytes]) -> set[bytes]:
        return self.ledger.memory.guard_hits(self.gateway, None, guard_keys, self.since)

    def sent_times(self, recipients: Sequence[str], since: datetime) -> Mapping[str, Sequence[datetime]]:
        return self.ledger.memory.sent_times(self.gateway, recipients, since)

    def sent_as(self, message_ids: Sequence[str]) -> Sequence[SentRow]:
        return self._rows(self.ledger.memory.sent_as(message_ids))

    def sent_to(self, recipients: Sequence[str]) -> Sequence[SentRow]:
        return self._rows(self.ledger.memory.sent_to(recipients))

    def _rows(self, found: Iterable[MemoryRow]) -> list[SentRow]:
        return [
            SentRow(
                here=row.gateway == self.gateway,
                campaign=row.campaign_id,
                row=row.row,
                recipient=row.recipient,
                message_id=row.message_id,
            )
            for row in found
        ]


def history_of(ledger: Ledger | None, gateway: str, *, guard_days: int, now: datetime) -> History:
    """The history to plan with; without a ledger there is none."""
    return NoHistory() if ledger is None else LedgerHistory(ledger, gateway, now - timedelta(days=guard_days))


def learnt_book(book: PriceBook, ledger: Ledger | None, gateway: str, now: datetime) -> PriceBook:
    """``book``, and for what it does not say the prices that this gateway's charges have shown within a year."""
    if ledger is None:
        return book
    return book.with_learnt(
        {
            place: LearntPrice(
                seen.count,
                seen.median.normalize(),
                seen.low.normalize(),
                seen.high.normalize(),
                seen.last_seen,
            )
            for place, seen in ledger.learnt.of(gateway, now - LEARNT_FOR).items()
        }
    )


def make_planner(
    request: PlanRequest, book: PriceBook, funds: Funds, history: History, now: datetime | None = None
) -> Planner:
    """Open the file and settle columns and template; ``now`` is needed where rows have times.

    Raises FileError or UsageError; nothing is touched.
    """
    sheet = open_sheet(request.file, sheet=request.sheet, encoding=request.encoding, locale=request.locale)
    return Planner(sheet, request.options, Pricer(book, funds), history, locale=request.locale, now=now)
