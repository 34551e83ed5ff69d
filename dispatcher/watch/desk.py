"""From a file in ``processing/`` to a campaign under way, or as far as it gets: once, whatever died on the way."""

from __future__ import annotations

import shutil
from dataclasses import replace
from hashlib import file_digest
from pathlib import Path

from dispatcher.errors import FileError, Interrupted
from dispatcher.intake.house import House
from dispatcher.intake.launch import Launch
from dispatcher.intake.loading import identify
from dispatcher.intake.requests import Landing, LaunchRequest, ResumeRequest
from dispatcher.intake.superseding import list_name
from dispatcher.interrupts import unbroken
from dispatcher.ledger import CampaignState
from dispatcher.ledger.states import FINAL_CAMPAIGNS
from dispatcher.ledger.watched import WatchedCampaign
from dispatcher.sending.stops import Stop
from dispatcher.watch.approval import STOPPED, Gate
from dispatcher.watch.folder import Place, WatchedFolder
from dispatcher.watch.names import plain_name
from dispatcher.watch.orders import Orders
from dispatcher.watch.quiet import Quiet, Tell

C = CampaignState
_BEING_LAUNCHED = frozenset({C.LOADING, C.PLANNED, C.PREFLIGHT})


class Desk:
    """Launches the files of one folder, which ``folder_id`` names in the ledger."""

    def __init__(self, house: House, folder: WatchedFolder, folder_id: str, tell: Tell) -> None:
        self._house = house
        self._ledger = house.ledger
        self._folder = folder
        self._id = folder_id
        self._tell = tell

    def campaigns(self, name: str) -> list[WatchedCampaign]:
        """What the file became, newest first."""
        return self._ledger.watched.campaigns(self._id, [name]).get(name, [])

    def send(self, name: str, orders: Orders) -> None:
        """Bring the file as far as it goes without anybody: under way, finished, held, halted, or to its approval.

        Goes on with its campaign where it has one.  What was approved and has other bytes now is planned anew, and
        compared. Raises what a launch raises; KeyboardInterrupt leaves it to be gone on with.
        """
        found = self.campaigns(name)
        newest = found[0] if found else None
        if newest is not None and newest.state in FINAL_CAMPAIGNS:
            return
        if newest is None or newest.state is C.LOADING:
            self._launch(name, orders, predecessor=_waiting(found[1:]))
        elif newest.state is C.WAITING_APPROVAL and self._is_another(name, newest):
            self._launch(name, orders, predecessor=newest.id)
        elif newest.state in STOPPED and self._is_another(name, newest):
            self._launch(name, orders, predecessor=None)  # put right while it was stopped
        else:
            launch = self._prepared(name, orders, _waiting(found[1:]))
            # somebody saw which rows these are, and said that it is to go on
            without_refused = newest.reason == Stop.PREFLIGHT_FORBIDDEN
            request = ResumeRequest(newest.id, report_dir=self._drafts(), without_refused=without_refused)
            self._finish(launch.resume(request))
        self._replace_older(name)

    def _launch(self, name: str, orders: Orders, predecessor: int | None) -> None:
        request = LaunchRequest(
            plan=replace(orders.plan, file=self._folder[Place.PROCESSING] / name),
            preflight=orders.preflight,
            max_cost=orders.max_cost,
            report_dir=self._drafts(),
            watched=self._id,
            called=f"folder {self._id}, {list_name(plain_name(name))}",
        )
        self._refuse_twin(name, request)
        try:
            self._finish(self._prepared(name, orders, predecessor).run(request))
        except Interrupted as error:
            raise KeyboardInterrupt from error

    def _refuse_twin(self, name: str, request: LaunchRequest) -> None:
        """One file is one campaign: a copy of one that is open would take its place, or set it going again."""
        identity = identify(request.plan)
        twin = self._ledger.queries.open_campaign_for(
            identity.sha256, identity.fingerprint, self._house.gateway
        )
        if twin is not None and twin.file_name != name:
            raise FileError(
                "watch_same_file_open",
                file=name,
                found=twin.state.code,
                campaign=twin.id,
                other=twin.file_name,
            )

    def _prepared(self, name: str, orders: Orders, predecessor: int | None) -> Launch:
        gate = Gate(
            self._ledger,
            always=orders.approval,
            now=self._house.clock.now(),
            by="watch",
            predecessor=predecessor,
        )
        return Launch(self._house, Quiet(self._tell, name), detached=True, approval=gate)

    def _finish(self, landing: Landing) -> None:
        """Reports of what is not under way are written where the file comes to rest; this one is nobody's."""
        shutil.rmtree(self._folder.state / "drafts", ignore_errors=True)
        if landing.interrupted:
            campaign, now = landing.campaign.id, self._house.clock.now()
            with unbroken():  # nobody said pause: the next start goes on
                self._ledger.campaigns.begin_preflight(campaign, now)
                self._ledger.campaigns.planned_again(campaign, now)
            raise KeyboardInterrupt

    def _replace_older(self, name: str) -> None:
        """What the file was before it was changed is over, once the new plan has been compared with it."""
        found = self.campaigns(name)
        if not found or found[0].state in _BEING_LAUNCHED:
            return
        for campaign in found[1:]:
            if campaign.state not in FINAL_CAMPAIGNS:
                self._ledger.campaigns.cancel(campaign.id, self._house.clock.now())

    def _is_another(self, name: str, campaign: WatchedCampaign) -> bool:
        path = self._folder[Place.PROCESSING] / name
        try:
            with path.open("rb") as file:
                return file_digest(file, "sha256").hexdigest() != campaign.file_sha256
        except OSError as error:
            raise FileError("sheet_not_readable", file=str(path), found=type(error).__name__) from error

    def _drafts(self) -> Path:
        drafts = self._folder.state / "drafts"
        drafts.mkdir(exist_ok=True)
        return drafts


def _waiting(found: list[WatchedCampaign]) -> int | None:
    return next((campaign.id for campaign in found if campaign.state is C.WAITING_APPROVAL), None)
