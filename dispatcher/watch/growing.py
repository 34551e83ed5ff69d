"""Reports in ``done/`` that grow: what became of the messages comes in over two days after the file was put away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from dispatcher.delivery.ages import END
from dispatcher.errors import DispatcherError
from dispatcher.ledger import CampaignView, Ledger
from dispatcher.ledger.watched import GrowingReport
from dispatcher.report.files import choose_target
from dispatcher.report.write import ReportWritten
from dispatcher.watch.quiet import Tell

LOOK_EVERY = timedelta(seconds=10)
WRITE_EVERY = timedelta(minutes=5)  # of one campaign, while news of it comes in
GROWS_FOR = END + timedelta(hours=6)  # from its end on: by then everything is told, or never will be


@dataclass(frozen=True)
class _Written:
    """When a report was written, and what was known by then: what came while it was written is news."""

    at: datetime
    known: tuple[object, ...]


class Growing:
    """Writes the reports of one folder's finished campaigns anew when there is news.

    A report that was taken away stays away; one that is open, or was changed, is left alone until the last word has
    come, and then gets another one beside it.
    """

    def __init__(
        self,
        ledger: Ledger,
        write_report: Callable[[CampaignView, Path | None], ReportWritten],
        done: Path,
        folder_id: str,
        now: Callable[[], datetime],
        tell: Tell,
    ) -> None:
        self._ledger = ledger
        self._write_report = write_report
        self._done = done
        self._folder_id = folder_id
        self._now = now
        self._tell = tell
        self._looked_at: datetime | None = None
        self._written: dict[int, _Written] = {}
        self.waits = False
        """Whether news of some campaign may still come."""

    def step(self) -> None:
        """Look for news when it is time to.  Errors: Unreachable for the ledger."""
        now = self._now()
        if self._looked_at is not None and now < self._looked_at + LOOK_EVERY:
            return
        self._looked_at = now
        found = self._ledger.watched.growing(self._folder_id, now - GROWS_FOR)
        mine = [one for one in found if Path(one.report).parent == self._done]
        self._written = {one.id: self._written[one.id] for one in mine if one.id in self._written}
        self.waits = bool(mine)
        for one in mine:
            if self._has_news(one, now):
                self._grow(one, now)

    def _has_news(self, one: GrowingReport, now: datetime) -> bool:
        written = self._written.get(one.id)
        if written is None:
            # nobody knows whether what is final by now was so when the report was written
            self._written[one.id] = _Written(now, self._known(one, now))
            return one.has_ends
        return written.known != self._known(one, now) and (
            self._is_whole(one, now) or now >= written.at + WRITE_EVERY
        )

    @staticmethod
    def _is_whole(one: GrowingReport, now: datetime) -> bool:
        """Whether the last word has come, or none will."""
        return not one.awaits or now > one.finished_at + END

    def _known(self, one: GrowingReport, now: datetime) -> tuple[object, ...]:
        # at its end, rows that were given up say so: that is news which no counter shows
        return (*one.known, self._is_whole(one, now))

    def _grow(self, one: GrowingReport, now: datetime) -> None:
        campaign = self._ledger.queries.campaign(one.id)
        self._written[one.id] = _Written(now, self._known(one, now))
        report = Path(one.report)
        try:
            is_ours = choose_target(report, campaign.report_sha256) == report
            if not report.exists() or not (is_ours or self._is_whole(one, now)):
                return
            written = self._write_report(campaign, self._done)
        except DispatcherError as error:
            self._tell("report_not_updated", file=one.file_name, error=error)
            return
        if written.sha256 != campaign.report_sha256:
            counts = self._ledger.queries.counts(one.id)
            self._tell(
                "report_updated",
                file=one.file_name,
                campaign=one.id,
                counts={state.code: n for state, n in counts.items()},
                report=str(written.target),
            )
