"""One campaign's report: the ledger's rows, worded, merged with the kept input."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from dispatcher.campaign.reasons import Reason
from dispatcher.errors import UsageError
from dispatcher.ledger import ENCODING_NAMES, CampaignView, Ledger
from dispatcher.ledger import ReportRow as StoredRow
from dispatcher.ledger.memory import EarlierSend
from dispatcher.ledger.states import ROW_STARTS, RowState
from dispatcher.report.files import choose_target, report_path
from dispatcher.report.reasons import SHOWN_TEXT, reason_text
from dispatcher.report.rows import ReportRow, brief
from dispatcher.report.sheets.overview import overview_sheets
from dispatcher.report.write import ReportWritten, Source, write_report
from dispatcher.wording import Wording

BATCH = 2_000  # rows that the ledger is asked about at a time
NOTHING_SENT = EarlierSend(message_id=None, sent_at=None, delivered_at=None)
_STATUS = {state: state.code for state in RowState}
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
        if campaign.purge_begun_at is not None:
            raise UsageError("report_purged", campaign=campaign.id, at=f"{campaign.purge_begun_at:%Y-%m-%d}")
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
        sheets = () if source.kind == "csv" else overview_sheets(self.ledger, campaign, self.wording)
        written = write_report(source, self._rows(campaign.id), target, timezone=self.timezone, sheets=sheets)
        self.ledger.campaigns.set_report(campaign.id, str(written.target), written.sha256, now)
        return written

    def page(self, campaign: CampaignView, report_dir: Path | None, output: Path | None) -> Path:
        """Write the campaign's page to ``output``, else beside the user's file or in ``report_dir``; gives its place.

        Raises UsageError ``report_page_exists`` when ``output`` is something else, ``report_folder_not_writable``.
        """
        from dispatcher.report.page.content import PageWriter
        from dispatcher.report.page.render import mark_of, page_target, render, write_page

        simulated = campaign.gateway in self.simulated
        content = PageWriter(self.ledger, campaign, self.wording, self.timezone).content(simulated=simulated)
        mark = mark_of(self.ledger.id, campaign.id)
        wanted = output
        if wanted is None:
            source = Path(str(campaign.source["path"]))
            report = report_path(source, simulated=simulated, report_dir=report_dir)
            wanted = report.with_suffix(".html")
        target = page_target(wanted, mark, chosen=output is not None)
        write_page(render(content, self.wording, mark), target)
        return target

    def _rows(self, campaign_id: int) -> Iterator[ReportRow]:
        stored = self.ledger.queries.report_rows(campaign_id)
        while batch := list(itertools.islice(stored, BATCH)):
            earlier = self._earlier(campaign_id, batch)
            refused = [row.row for row in batch if row.reason in SHOWN_TEXT]
            texts = self.ledger.queries.texts(campaign_id, refused) if refused else {}
            for row in batch:
                yield self._worded(row, earlier.get(row.row, NOTHING_SENT), texts.get(row.row))

    def _earlier(self, campaign_id: int, batch: Sequence[StoredRow]) -> dict[int, EarlierSend]:
        """What the rows that were not sent again were sent before, as far as the ledger knows."""
        rows = [row for row in batch if row.state is RowState.ALREADY_SENT]
        if not rows:
            return {}
        memory = self.ledger.memory
        proved = [row for row in rows if row.reason == Reason.SENT_IN_REPORT]
        places = {row.row: _place(row.error_detail or "0.0") for row in proved}
        at = memory.sends_at(set(places.values()))
        like = memory.sends_like(campaign_id, [row.row for row in rows if row.row not in places])
        return like | {row: at[place] for row, place in places.items() if place in at}

    def _worded(self, row: StoredRow, earlier: EarlierSend, text: str | None) -> ReportRow:
        planned = row.state not in _UNPLANNED
        return ReportRow(
            row=row.row,
            status=_STATUS[row.state],
            reason=f"{row.reason}: {reason_text(self.wording, row, text)}" if row.reason else None,
            recipient=row.recipient,
            country=row.country,
            route=row.route if planned else None,
            sender=row.sender if planned else None,
            encoding=ENCODING_NAMES.get(row.encoding or 0) if planned else None,
            parts=row.parts if planned else None,
            estimated_cost=brief(row.estimated_cost),
            actual_cost=brief(row.actual_cost),
            message_id=row.message_id or earlier.message_id,
            sent_at=row.sent_at or earlier.sent_at,
            delivered_at=row.delivered_at or earlier.delivered_at,
            error_code=row.error_code,
        )


def _place(detail: str) -> tuple[int, int]:
    campaign, _, row = detail.partition(".")
    return int(campaign), int(row)
