"""One campaign's report: the ledger's rows, worded, merged with the kept input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from dispatcher.errors import UsageError
from dispatcher.ledger import ENCODING_NAMES, CampaignView, Ledger
from dispatcher.ledger import ReportRow as StoredRow
from dispatcher.ledger.states import ROW_STARTS, RowState
from dispatcher.report.files import choose_target, report_path
from dispatcher.report.rows import ReportRow
from dispatcher.report.write import ReportWritten, Source, write_report
from dispatcher.wording import Wording

_UNPLANNED = frozenset(ROW_STARTS) - {RowState.READY}


@dataclass(frozen=True)
class Reporter:
    """Writes reports of one ledger's campaigns.  Those of ``simulated`` gateways say so in their names."""

    ledger: Ledger
    wording: Wording
    timezone: ZoneInfo
    simulated: frozenset[str]

    def write(self, campaign: CampaignView, report_dir: Path | None, *, now: datetime) -> ReportWritten:
        """Write the campaign's report and remember what was written.

        Beside the user's file, or in ``report_dir``.  A report that somebody changed, that is open, or that belongs to
        another campaign is not overwritten.  Raises UsageError when the kept input is gone or the folder not writable.
        """
        kept = Path(campaign.input_path or "")
        if not kept.is_file():
            raise UsageError("report_input_gone", campaign=campaign.id)
        wanted = report_path(
            Path(str(campaign.source["path"])),
            simulated=campaign.gateway in self.simulated,
            report_dir=report_dir,
            kind=campaign.source["kind"],
        )
        target = choose_target(wanted, campaign.report_sha256)
        source = Source(
            path=kept,
            kind=campaign.source["kind"],
            sheet_name=campaign.sheet,
            heading_row=int(campaign.source["heading_row"]),
            delimiter=campaign.source["delimiter"],
            encoding=campaign.source["encoding"],
            name=campaign.file_name,
        )
        written = write_report(source, self._rows(campaign.id), target, timezone=self.timezone)
        self.ledger.campaigns.set_report(campaign.id, str(written.target), written.sha256, now)
        return written

    def _rows(self, campaign_id: int) -> Iterator[ReportRow]:
        for row in self.ledger.queries.report_rows(campaign_id):
            yield self._worded(row)

    def _worded(self, row: StoredRow) -> ReportRow:
        planned = row.state not in _UNPLANNED
        return ReportRow(
            row=row.row,
            status=row.state.code,
            reason=f"{row.reason}: {self.wording.reason(row.reason)}" if row.reason else None,
            recipient=row.recipient,
            country=row.country,
            route=row.route if planned else None,
            sender=row.sender if planned else None,
            encoding=ENCODING_NAMES.get(row.encoding or 0) if planned else None,
            parts=row.parts if planned else None,
            estimated_cost=_brief(row.estimated_cost),
            actual_cost=_brief(row.actual_cost),
            message_id=row.message_id,
            sent_at=row.sent_at,
            delivered_at=row.delivered_at,
            error_code=row.error_code,
        )


def _brief(amount: Decimal | None) -> Decimal | None:
    """Without the zeros that the ledger's six decimals bring along, and without an exponent."""
    if amount is None:
        return None
    return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount.normalize()
