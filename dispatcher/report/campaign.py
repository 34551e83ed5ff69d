"""One campaign's report: what the ledger says of its rows, merged with the kept input."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from dispatcher.errors import UsageError
from dispatcher.ledger import CampaignView, Ledger
from dispatcher.report.answers import Answering
from dispatcher.report.files import choose_target, report_path
from dispatcher.report.sheets.overview import overview_sheets
from dispatcher.report.write import ReportWritten, Source, write_report
from dispatcher.wording import Wording


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
        answers = Answering(self.ledger, campaign.id, self.wording, self.timezone)
        written = write_report(source, answers.pages(), target, sheets=sheets)
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
