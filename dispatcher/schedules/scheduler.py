"""One look at all schedules of a gateway: claim what is due, begin it, go on with what the dead left, end what is done.

Everything it decides by is in the ledger, so any scheduler can do the next look.  A tick's campaign is known to the
ledger before its first row is written: it is gone on with, never planned a second time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from dispatcher.errors import DispatcherError, Interrupted, Unreachable, UsageError, frames_of
from dispatcher.intake.requests import Landing
from dispatcher.interrupts import unbroken
from dispatcher.ledger import CampaignState, CampaignView, Ledger
from dispatcher.ledger.schedule_tables import TickState
from dispatcher.ledger.schedules import Schedule, Tick
from dispatcher.ledger.states import UNDER_WAY
from dispatcher.schedules.batches import Batches
from dispatcher.schedules.due import due, is_late
from dispatcher.schedules.timetable import Timetable
from dispatcher.sending.services import Clock

C = CampaignState
AGAIN = timedelta(
    seconds=30
)  # until what cannot be reached, or is being planned by somebody else, is tried again
BEING_LOADED = "ledger_same_file_open"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Happening:
    """Something to tell: ``name`` is claimed, missed, begun, taken_over, waits, failed, ended or unreadable."""

    name: str
    schedule: Schedule
    tick: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: DispatcherError | None = None


class Scheduler:
    """``may_take`` says of a tick's owner whether it ended, or has been silent for so long that it counts as dead."""

    def __init__(
        self,
        ledger: Ledger,
        gateway: str,
        clock: Clock,
        batches: Batches,
        *,
        owner: str,
        may_take: Callable[[str], bool],
        tell: Callable[[Happening], None],
    ) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._clock = clock
        self._batches = batches
        self._owner = owner
        self._may_take = may_take
        self._tell = tell
        self._not_before: dict[tuple[int, datetime], datetime] = {}
        self._unreadable: set[int] = set()

    def step(self) -> None:
        """One look.  Raises Unreachable when the ledger is; KeyboardInterrupt leaves nothing half done."""
        with unbroken():
            for schedule in self._ledger.schedules.all():
                if schedule.gateway == self._gateway:
                    self._claim(schedule)
        for schedule, tick in sorted(self._ledger.schedules.running(self._gateway), key=_size):
            with unbroken():
                mine = self._own(schedule, tick)
                launch = None if mine is None else self._settle(schedule, mine)
            if mine is not None and launch is not None:
                self._begin(schedule, mine, launch)

    def _now(self) -> datetime:
        return self._ledger.now(self._clock.now())

    def _claim(self, schedule: Schedule) -> None:
        now, late = self._now(), timedelta(minutes=schedule.late_minutes)
        try:
            timetable = Timetable.read(schedule.cron, schedule.timezone, schedule.created_at)
        except UsageError as error:  # another machine's time zones, say
            if schedule.id not in self._unreadable:
                self._unreadable.add(schedule.id)
                self._tell(Happening("unreadable", schedule, error=error))
            return
        found = due(timetable, schedule.watched_until, now, late)
        if found is None:
            return
        missed = None if found.missed is None else (found.missed.first, {"count": found.missed.count})
        claimed = self._ledger.schedules.claim(
            schedule, fire=found.fire, missed=missed, until=now, owner=self._owner, now=now
        )
        if claimed and missed is not None:
            self._tell(Happening("missed", schedule, missed[0], missed[1]))
        if claimed and found.fire is not None:
            self._tell(Happening("claimed", schedule, found.fire))

    def _own(self, schedule: Schedule, tick: Tick) -> Tick | None:
        """The tick as this process's; None when it is somebody else's, or not to be looked at yet."""
        if self._not_before.get((tick.schedule_id, tick.at), tick.at) > self._now():
            return None
        if tick.owner == self._owner:
            return tick
        if not self._may_take(tick.owner) or not self._ledger.schedules.take_over(tick, self._owner):
            return None
        self._tell(Happening("taken_over", schedule, tick.at, {"campaign": tick.campaign_id}))
        return replace(tick, owner=self._owner)

    def _settle(self, schedule: Schedule, tick: Tick) -> Callable[[], Landing] | None:
        """Ends the tick when it is over; else gives the launch that it needs, None when it only needs time."""
        campaign = self._campaign_of(tick)
        late = is_late(tick.at, self._now(), timedelta(minutes=schedule.late_minutes))
        if campaign is None or (campaign.state is C.LOADING and self._is_left(campaign)):
            if late:
                self._end(schedule, tick, TickState.MISSED, "missed", {"count": 1})
            return None if late else partial(self._batches.start, schedule, tick)
        if campaign.state is C.LOADING or campaign.state in UNDER_WAY:
            return None
        left = campaign.state in (C.PLANNED, C.PREFLIGHT)
        if not (left or (campaign.state is C.PAUSED and tick.outcome == "interrupted")):
            self._conclude(schedule, tick, campaign)
            return None
        if late and campaign.started_at is None:
            self._ledger.campaigns.cancel(campaign.id, self._now())
            self._end(schedule, tick, TickState.MISSED, "missed", {"count": 1})
            return None
        return partial(self._batches.go_on, schedule, tick, campaign)

    def _begin(self, schedule: Schedule, tick: Tick, launch: Callable[[], Landing]) -> None:
        """Bring the tick's campaign under way.  An interruption is written down for the next scheduler, and raised."""
        try:
            landing = launch()
        except Interrupted as error:
            raise KeyboardInterrupt from error
        except DispatcherError as error:
            with unbroken():
                self._not_begun(schedule, tick, error)
            return
        except Exception as error:  # noqa: BLE001 - one file's bug must not stop the other schedules; it is reported
            log.error("schedule %s:\n%s", schedule.name, frames_of(error))
            with unbroken():
                self._fail(schedule, tick, DispatcherError("schedule_bug", found=type(error).__name__))
            return
        if landing.interrupted:
            self._ledger.schedules.interrupted(tick)
            raise KeyboardInterrupt
        facts = {"campaign": landing.campaign.id, "rows": landing.campaign.rows}
        self._tell(Happening("begun", schedule, tick.at, facts))

    def _not_begun(self, schedule: Schedule, tick: Tick, error: DispatcherError) -> None:
        now = self._now()
        for_a_while = isinstance(error, Unreachable) or error.code == BEING_LOADED
        if for_a_while and not is_late(tick.at, now + AGAIN, timedelta(minutes=schedule.late_minutes)):
            self._not_before[(tick.schedule_id, tick.at)] = now + AGAIN
            self._tell(Happening("waits", schedule, tick.at, error=error))
        else:
            self._fail(schedule, tick, error)

    def _fail(self, schedule: Schedule, tick: Tick, error: DispatcherError) -> None:
        """Nothing is written and said where somebody has taken the tick over meanwhile, or the schedule was removed."""
        facts = {name: _plain(value) for name, value in error.facts().items() if value is not None}
        if self._end(schedule, tick, TickState.FAILED, error.code, {"facts": facts}, quietly=True):
            self._tell(Happening("failed", schedule, tick.at, error=error))

    def _conclude(self, schedule: Schedule, tick: Tick, campaign: CampaignView) -> None:
        """The campaign ended, or stopped for a person: its report is written, and the tick is over."""
        detail: dict[str, Any] = {
            "unchanged": self._batches.is_unchanged(schedule, tick, campaign),
            "reason": campaign.state_reason,
            "rows": campaign.rows,
            "counts": {state.code: n for state, n in self._ledger.queries.counts(campaign.id).items()},
            "report": None,
        }
        try:
            detail["report"] = str(self._batches.report(schedule, campaign))
        except Unreachable:
            raise
        except DispatcherError as error:  # no room, say, or kept on another machine: what was sent was sent
            detail["no_report"] = error.code
        self._end(schedule, tick, TickState.DONE, campaign.state.code, {**detail, "campaign": campaign.id})

    def _end(
        self,
        schedule: Schedule,
        tick: Tick,
        state: TickState,
        outcome: str,
        detail: Mapping[str, Any],
        *,
        quietly: bool = False,
    ) -> bool:
        if not self._ledger.schedules.end(tick, state, outcome, detail, self._now()):
            return False
        self._not_before.pop((tick.schedule_id, tick.at), None)
        if not quietly:
            name = "missed" if state is TickState.MISSED else "ended"
            self._tell(Happening(name, schedule, tick.at, {**detail, "outcome": outcome}))
        return True

    def _campaign_of(self, tick: Tick) -> CampaignView | None:
        """The tick's campaign; None when it has none (yet), or one whose load did not end and was discarded."""
        if tick.campaign_id is None:
            return None
        try:
            return self._ledger.queries.campaign(tick.campaign_id)
        except UsageError:
            return None

    def _is_left(self, campaign: CampaignView) -> bool:
        """Whether nobody loads it any more: this process does not, and its owner is gone."""
        return campaign.owner in (None, self._owner) or self._may_take(str(campaign.owner))


def _size(running: tuple[Schedule, Tick]) -> tuple[int, datetime]:
    """Of ticks that are due at once the small files are begun first: they are over before a large one is read."""
    schedule, tick = running
    try:
        return Path(schedule.file).stat().st_size, tick.at
    except OSError:  # told when it is read
        return 0, tick.at


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool) else str(value)
