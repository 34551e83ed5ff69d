"""What people decide by moving a file: into ``approved/`` it is sent, into ``rejected/`` it is cancelled."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from zoneinfo import ZoneInfo

from dispatcher.errors import FileError, UsageError
from dispatcher.intake.house import House
from dispatcher.ledger import CampaignState
from dispatcher.ledger.states import FINAL_CAMPAIGNS
from dispatcher.ledger.watched import WatchedCampaign
from dispatcher.watch.approval import STOPPED, Approvals
from dispatcher.watch.folder import Place, WatchedFolder
from dispatcher.watch.names import stem_of
from dispatcher.watch.quiet import Tell
from dispatcher.watch.rest import Rest
from dispatcher.watch.settling import Settler


class Decisions:
    """Looks into ``approved/`` and ``rejected/`` for files that were waiting."""

    def __init__(
        self, house: House, folder: WatchedFolder, rest: Rest, tell: Tell, settle: float, zone: ZoneInfo
    ) -> None:
        self._house = house
        self._approvals = Approvals(house.ledger)
        self._folder = folder
        self._rest = rest
        self._tell = tell
        self._zone = zone
        self._settler = Settler(folder[Place.APPROVED], settle, time.monotonic)

    @property
    def is_waiting(self) -> bool:
        """Whether a file in ``approved/`` has not settled yet."""
        return self._settler.is_waiting

    def settled(self, waiting: Iterable[str]) -> frozenset[str]:
        """The files in ``approved/`` that are whole: moved from elsewhere they may be on their way.

        One that did not wait was never shown to anybody; it goes to ``failed/`` with a note.
        """
        known = set(waiting)
        stems = tuple(f"{stem_of(name)}." for name in known)
        settled = self._settler.look()
        for one in settled:
            if one.path.name not in known and not one.path.name.startswith(stems or ("/",)):
                error = FileError("watch_not_waiting", file=one.path.name)
                self._rest.set_aside(one, self._house.clock.now().astimezone(self._zone), error)
        return frozenset(one.path.name for one in settled)

    def place_of(self, name: str, settled: frozenset[str]) -> Place | None:
        """Where a file that waits is now; None when it is nowhere, or still being moved."""
        place = self._folder.find(name, Place.WAITING, Place.APPROVED, Place.REJECTED)
        return None if place is Place.APPROVED and name not in settled else place

    def approve(self, campaign: WatchedCampaign) -> None:
        """Write the approval down, once; of what was stopped, that it is to go on."""
        if campaign.state in STOPPED:
            if not self._approvals.is_to_go_on(campaign.id):
                self._approvals.go_on(campaign.id, self._house.clock.now(), str(Place.APPROVED))
                self._tell("told_to_go_on", file=campaign.file_name, campaign=campaign.id)
            return
        waits = campaign.state is CampaignState.WAITING_APPROVAL
        if waits and self._approvals.approved(campaign.id) is None:
            self._approvals.approve(campaign.id, self._house.clock.now(), str(Place.APPROVED))
            self._tell("approved", file=campaign.file_name, campaign=campaign.id)

    def reject(self, campaign: WatchedCampaign, place: Place) -> None:
        """Cancel what somebody moved to ``rejected/``; what is over stays what it is."""
        if place is not Place.REJECTED or campaign.state in FINAL_CAMPAIGNS:
            return
        now = self._house.clock.now()
        with suppress(UsageError):  # stopped for another reason: rejecting it cancels it all the same
            self._approvals.reject(campaign.id, now, str(Place.REJECTED))
            return
        self._house.ledger.campaigns.cancel(campaign.id, now)
