"""Where a file comes to rest, with what lies beside it: its report, its plan, or a note."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from hashlib import file_digest
from pathlib import Path

from dispatcher.errors import DispatcherError, FileError, UsageError
from dispatcher.intake.house import House
from dispatcher.intake.question import next_question
from dispatcher.ledger import CampaignState, CampaignView, RowState
from dispatcher.sending.stops import Stop
from dispatcher.watch.approval import Approvals, Asked, Terms, Why
from dispatcher.watch.folder import PLAN, Place, WatchedFolder
from dispatcher.watch.names import stem_of
from dispatcher.watch.notes import approval_note, error_note, failed_note, waiting_note
from dispatcher.watch.plan_workbook import write_plan
from dispatcher.watch.quiet import Tell
from dispatcher.watch.settling import Settled
from dispatcher.wording import Wording

_MADE_WAITING = (Place.WAITING, Place.APPROVED, Place.REJECTED)
_GONE = "report_input_gone"


class Rest:
    """Puts files away.  What lies beside a file is written first and the file moved last: a crash between does it
    again.
    """

    def __init__(self, house: House, folder: WatchedFolder, wording: Wording, tell: Tell) -> None:
        self._house = house
        self._ledger = house.ledger
        self._approvals = Approvals(house.ledger)
        self._folder = folder
        self._wording = wording
        self._tell = tell

    def over(self, name: str, place: Place, campaign_id: int) -> bool:
        """The campaign is over: ``done/``, or ``rejected/`` when somebody said no; False when the file cannot be
        moved now.
        """
        campaign = self._ledger.queries.campaign(campaign_id)
        if campaign.state is CampaignState.CANCELLED:
            self._ledger.campaigns.cancel(
                campaign_id, self._house.clock.now()
            )  # to its end: whoever began may have died
        counts = self._ledger.queries.counts(campaign_id)
        if counts.get(RowState.SENDING):
            return False  # their answers belong into the report
        rejected = place is Place.REJECTED or self._approvals.is_rejected(campaign_id)
        new = Place.REJECTED if rejected else Place.DONE
        report = self._report(campaign, new, self._folder[place] / name)
        if place is not new and not self._folder.move(name, place, new):
            return False
        self._folder.clear(name, _MADE_WAITING)
        self._tell(
            str(new),
            file=name,
            campaign=campaign_id,
            state=campaign.state.code,
            counts={state.code: n for state, n in counts.items()},
            report=report,
        )
        return True

    def failed(self, name: str, error: DispatcherError) -> bool:
        """The file could not become a campaign; False when it cannot be moved now."""
        self._folder.note(Place.FAILED, name, failed_note(self._wording, name, error), self._wording)
        moved = self._folder.move(name, Place.PROCESSING, Place.FAILED)
        if moved:
            self._tell("failed", file=name, code=error.code)
        return moved

    def set_aside(self, settled: Settled, now: datetime, error: DispatcherError) -> None:
        """A file that lies where it does not belong goes to ``failed/``, with a note."""
        name = self._folder.new_name(settled, now)
        self._folder.note(Place.FAILED, name, failed_note(self._wording, name, error), self._wording)
        if self._folder.set_aside(settled, name):
            self._tell("failed", file=name, code=error.code)

    def waits(self, name: str, campaign_id: int, error: DispatcherError | None = None) -> bool:
        """A person has to look, or to approve; False when the file cannot be moved now."""
        campaign = self._ledger.queries.campaign(campaign_id)
        if campaign.state is CampaignState.WAITING_APPROVAL:
            self._ask(name, campaign)
        else:
            self._report(campaign, Place.WAITING, self._folder[Place.PROCESSING] / name)
            campaign = self._ledger.queries.campaign(campaign_id)
            note = (
                waiting_note(self._wording, name, campaign, self._folder, self._asked_for_more(campaign))
                if error is None or campaign.state in (CampaignState.HELD, CampaignState.HALTED)
                else error_note(self._wording, name, campaign, error, self._folder)
            )
            self._folder.note(Place.WAITING, name, note, self._wording)
        if not self._folder.move(name, Place.PROCESSING, Place.WAITING):
            return False
        reason = campaign.state_reason or (error.code if error is not None else None)
        self._tell("waiting", file=name, campaign=campaign_id, state=campaign.state.code, reason=reason)
        return True

    def goes_on(self, name: str, place: Place, campaign_id: int) -> bool:
        """Somebody set it going again; False when the file cannot be moved now."""
        if not self._folder.move(name, place, Place.PROCESSING):
            return False
        self._folder.clear(name, _MADE_WAITING)
        self._take_report_away(self._ledger.queries.campaign(campaign_id), None)
        return True

    def _asked_for_more(self, campaign: CampaignView) -> Terms | None:
        """What it takes to send the rest of a campaign that came to its limit; written down as the question it is."""
        if campaign.state_reason != Stop.COST_CAP:
            return None
        ready = self._ledger.queries.counts(campaign.id).get(RowState.READY, 0)
        terms = Terms(ready, self._ledger.watched.at_most(campaign.id))
        self._approvals.ask(campaign.id, Asked(terms, Why.COST, None), self._house.clock.now())
        return terms

    def _ask(self, name: str, campaign: CampaignView) -> None:
        question, asked = next_question(self._house, campaign.id), self._approvals.asked(campaign.id)
        if question is None or asked is None:  # everybody opted out meanwhile: approval or rejection ends it
            return
        with suppress(
            FileError
        ):  # the plan of last time is open in another program; the note says what counts
            path = self._folder[Place.WAITING] / f"{stem_of(name)}{PLAN}"
            write_plan(self._ledger, campaign, path, self._wording)
        note = approval_note(self._wording, name, question, asked, self._folder)
        self._folder.note(Place.WAITING, name, note, self._wording)

    def _report(self, campaign: CampaignView, new: Place, file: Path) -> str | None:
        """Write it there, and take away the one that lay where the file waited; None when its input is gone."""
        try:
            written = self._house.write_report(campaign, self._folder[new])
        except UsageError as error:
            if error.code != _GONE:
                raise
            if _digest(file) != campaign.file_sha256:
                return None
            # another machine kept the copy; the file itself is here
            written = self._house.write_report(replace(campaign, input_path=str(file)), self._folder[new])
        self._take_report_away(campaign, written.target)
        return str(written.target)

    def _take_report_away(self, campaign: CampaignView, new: Path | None) -> None:
        """The one that lay beside a file that waited, unless somebody has changed it."""
        old = Path(campaign.report_path or "")
        is_ours = old.parent == self._folder[Place.WAITING] and old != new
        if is_ours and _digest(old) == campaign.report_sha256:
            with suppress(OSError):
                old.unlink()


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
