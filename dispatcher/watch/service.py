"""The watcher's round: put away what is over, hear what was decided, take what is whole, and launch one file."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dispatcher.errors import DispatcherError, FileError, Halted, Unreachable, UsageError, frames_of
from dispatcher.intake.house import House
from dispatcher.interrupts import unbroken
from dispatcher.ledger import CampaignState
from dispatcher.ledger.states import FINAL_CAMPAIGNS, UNDER_WAY
from dispatcher.ledger.watched import WatchedCampaign
from dispatcher.sending.stops import Stop
from dispatcher.watch.approval import STOPPED, Approvals
from dispatcher.watch.bell import Bell
from dispatcher.watch.decisions import Decisions
from dispatcher.watch.desk import Desk
from dispatcher.watch.doubtful import Doubtful
from dispatcher.watch.folder import Place, WatchedFolder
from dispatcher.watch.growing import LOOK_EVERY, Growing
from dispatcher.watch.orders import Orders
from dispatcher.watch.ownership import Turn
from dispatcher.watch.quiet import Tell
from dispatcher.watch.rest import Rest
from dispatcher.watch.rules import Rules
from dispatcher.watch.settling import Settler

LOOK_SECONDS = 1.0  # while something is under way
AGAIN = timedelta(seconds=20)
_TIME_HELPS = frozenset(
    {
        "sheet_changed",
        "ledger_same_file_open",  # somebody is loading it this very moment
        "report_disk_full",
        "report_folder_not_writable",
        "report_not_written",
        "report_is_open",
    }
)
C = CampaignState
_STOPPED = frozenset({C.PAUSED, C.HELD, C.HALTED, C.WAITING_APPROVAL})

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Post:
    """What a watcher works with.  ``settle`` and ``doubt_patience``: seconds; ``alive`` raises when what sends beside
    it has ended.
    """

    house: House
    folder: WatchedFolder
    folder_id: str
    settle: float
    doubt_patience: float
    zone: ZoneInfo
    alive: Callable[[], None]


class FolderService:
    """Looks after one folder for as long as the turn is this process's."""

    def __init__(self, post: Post, given: Orders, rest: Rest, rules: Rules, tell: Tell) -> None:
        self._post = post
        self._ledger = post.house.ledger
        self._rest = rest
        self._rules = rules
        self._tell = tell
        self._given = given
        self._desk = Desk(post.house, post.folder, post.folder_id, tell)
        self._approvals = Approvals(post.house.ledger)
        self._decisions = Decisions(post.house, post.folder, rest, tell, post.settle, post.zone)
        self._doubts = Doubtful(post.house.ledger, time.monotonic, post.doubt_patience)
        self._settler = Settler(post.folder.root, post.settle, time.monotonic)
        self._growing = Growing(
            post.house.ledger,
            post.house.write_report,
            post.folder[Place.DONE],
            post.folder_id,
            post.house.clock.now,
            tell,
        )
        self._open: dict[str, Place] = {}  # files that are not put away: in processing/, or waiting
        self._not_before: dict[str, datetime] = {}
        self._given_up: set[str] = set()  # could not be launched: a person has to look, or to approve again
        self._told: str | None = None

    def serve(self, turn: Turn, bell: Bell) -> None:
        """Work until interrupted; stands by while another process has the turn."""
        working = False
        while True:
            self._post.alive()
            if not turn.is_mine:
                if working or self._told != "standing_by":
                    self._told, working = "standing_by", False
                    self._tell("standing_by")
                bell.wait(LOOK_SECONDS)
                continue
            if not working:
                # inside a call of the ledger an interruption may leave a lock that other threads wait for
                with unbroken():
                    working = self._recover()
            self._round()
            bell.wait(self._pause())

    def _recover(self) -> bool:
        """Find what was left in the folders by whoever had the turn before."""
        self._told = None
        self._open = dict.fromkeys(self._post.folder.files(Place.PROCESSING), Place.PROCESSING)
        self._not_before.clear()
        for place in (Place.WAITING, Place.APPROVED, Place.REJECTED):
            names = self._post.folder.files(place)
            found = self._ledger.watched.campaigns(self._post.folder_id, names)
            for name, (newest, *_) in found.items():
                # a file in rejected/ whose campaign is over is at rest
                if not (place is Place.REJECTED and newest.state in FINAL_CAMPAIGNS):
                    self._open[name] = Place.WAITING
        for name, place in self._open.items():
            if place is Place.PROCESSING:
                self._tell("found", file=name)
        return True

    def _round(self) -> None:
        """One look at everything; a server or a drive that is away is told of once, and waited for."""
        try:
            with unbroken():
                self._look_after_open()
                self._growing.step()
                orders = self._rules.orders(self._given)
                if orders is not None:
                    self._take()
            if orders is not None:
                self._launch_next(orders)
        except DispatcherError as error:
            self._away(error)
        except OSError as error:
            self._away(
                Unreachable("watch_folder_away", file=str(self._post.folder.root), found=error.strerror or "")
            )
        else:
            if self._told is not None:
                self._told = None
                self._tell("goes_on")

    def _away(self, error: DispatcherError) -> None:
        if error.code != self._told:
            self._told = error.code
            self._tell("waits", error=error)
        time.sleep(LOOK_SECONDS)

    def _pause(self) -> float | None:
        if self._settler.is_waiting or self._open or self._decisions.is_waiting:
            return min(LOOK_SECONDS, max(0.05, self._post.settle / 4))
        return LOOK_EVERY.total_seconds() if self._growing.waits else None

    def _take(self) -> None:
        now = self._post.house.clock.now().astimezone(self._post.zone)
        for settled in self._settler.look():
            name = self._post.folder.take(settled, now)
            if name is not None:
                self._open[name] = Place.PROCESSING
                self._tell("taken", file=name, original=settled.path.name)

    def _look_after_open(self) -> None:
        """Every open file comes to the place where its campaign is."""
        found = self._ledger.watched.campaigns(self._post.folder_id, list(self._open))
        settled = self._decisions.settled(self._open)
        for name, place in list(self._open.items()):
            newest = found[name][0] if name in found else None
            if place is Place.PROCESSING:
                self._look_after_processing(name, newest)
            elif newest is not None:
                self._look_after_waiting(name, newest, settled)

    def _look_after_processing(self, name: str, newest: WatchedCampaign | None) -> None:
        if self._post.folder.find(name, Place.PROCESSING) is None:
            self._drop(name)
            self._tell("gone", file=name)
        elif newest is None:
            return  # it is launched
        elif newest.state in FINAL_CAMPAIGNS:
            if self._is_time(name) and self._rest.over(name, Place.PROCESSING, newest.id):
                self._drop(name)
        elif newest.state in _STOPPED and not self._is_to_be_launched(newest) and self._is_time(name):
            self._put_to_wait(name, newest.id)
        elif newest.state in UNDER_WAY and self._doubts.is_for_a_person(newest.id) and self._is_time(name):
            self._put_to_wait(name, newest.id, Halted("watch_in_doubt", campaign=newest.id))

    def _look_after_waiting(self, name: str, newest: WatchedCampaign, settled: frozenset[str]) -> None:
        place = self._decisions.place_of(name, settled)
        if place is None:
            return  # taken away, or still being moved
        if newest.state in FINAL_CAMPAIGNS or place is Place.REJECTED:
            self._decisions.reject(newest, place)
            if self._rest.over(name, place, newest.id):
                self._drop(name)
            return
        if place is Place.APPROVED:
            self._given_up.discard(name)
            self._decisions.approve(newest)
        doubtful = newest.state in UNDER_WAY and self._doubts.is_for_a_person(newest.id)
        was_begun = newest.state in (C.PLANNED, C.PREFLIGHT) and place is Place.APPROVED
        launched = name not in self._given_up and (was_begun or self._is_to_be_launched(newest))
        is_on = not doubtful and (newest.state in UNDER_WAY or launched)
        if is_on and self._rest.goes_on(name, place, newest.id):
            self._open[name] = Place.PROCESSING
            self._not_before.pop(name, None)
        elif place is Place.APPROVED and not is_on and self._post.folder.move(name, place, Place.WAITING):
            self._tell("not_for_approval", file=name, campaign=newest.id)

    def _is_to_be_launched(self, campaign: WatchedCampaign) -> bool:
        """Whether it stands still only until somebody launches it again."""
        if campaign.state is C.WAITING_APPROVAL:
            return self._approvals.approved(campaign.id) is not None
        if campaign.state in STOPPED and self._approvals.is_to_go_on(campaign.id):
            return True
        return campaign.state is C.PAUSED and campaign.reason == Stop.SCREENED_LONG_AGO

    def _launch_next(self, orders: Orders) -> None:
        """One file, so that the others are looked after in between."""
        waiting = [
            name for name, place in self._open.items() if place is Place.PROCESSING and self._is_time(name)
        ]
        with unbroken():
            found = self._ledger.watched.campaigns(self._post.folder_id, waiting)
        for name in waiting:
            newest = found[name][0] if name in found else None
            if (
                newest is None
                or newest.state in (C.LOADING, C.PLANNED, C.PREFLIGHT)
                or self._is_to_be_launched(newest)
            ):
                self._launch(name, orders)
                return

    def _launch(self, name: str, orders: Orders) -> None:
        try:
            self._desk.send(name, orders)
        except Unreachable as error:
            self._later(name)
            self._tell("waits", file=name, error=error)
        except DispatcherError as error:
            with unbroken():
                self._judge(name, error)
        except Exception as error:  # noqa: BLE001 - one file must not stop the others
            log.error("%s:\n%s", name, frames_of(error))
            with unbroken():
                self._judge(name, Halted("watch_bug", found=type(error).__name__, file=name))
        else:
            self._not_before.pop(name, None)

    def _judge(self, name: str, error: DispatcherError) -> None:
        """Is it the file's fault, the campaign's, or only a matter of time?"""
        if isinstance(error, FileError | UsageError) and error.code in _TIME_HELPS:
            self._later(name)
            self._tell("waits", file=name, error=error)
            return
        newest = next(iter(self._desk.campaigns(name)), None)
        if newest is None or newest.state in FINAL_CAMPAIGNS | {C.LOADING}:
            if self._rest.failed(name, error):
                self._drop(name)
            else:
                self._later(name)
        else:
            self._put_to_wait(name, newest.id, error)

    def _put_to_wait(self, name: str, campaign_id: int, error: DispatcherError | None = None) -> None:
        if self._rest.waits(name, campaign_id, error):
            self._open[name] = Place.WAITING
            if error is not None:
                self._given_up.add(name)
        else:
            self._later(name)

    def _drop(self, name: str) -> None:
        del self._open[name]
        self._not_before.pop(name, None)
        self._given_up.discard(name)

    def _later(self, name: str) -> None:
        self._not_before[name] = self._post.house.clock.now() + AGAIN

    def _is_time(self, name: str) -> bool:
        until = self._not_before.get(name)
        return until is None or until <= self._post.house.clock.now()
