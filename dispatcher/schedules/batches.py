"""A tick becomes a campaign under way, by the launch that every way in goes through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from dispatcher.campaign.forbidden import ForbiddenWords
from dispatcher.campaign.prices import PriceBook
from dispatcher.campaign.sheet.filetype import file_kind
from dispatcher.errors import Halted
from dispatcher.intake.house import House
from dispatcher.intake.launch import Launch
from dispatcher.intake.loading import identify
from dispatcher.intake.requests import Landing, LaunchRequest, ResumeRequest
from dispatcher.ledger import CampaignState, CampaignView
from dispatcher.ledger.schedules import Schedule, Tick
from dispatcher.schedules.options import BatchOptions, from_json
from dispatcher.schedules.unattended import Unattended

C = CampaignState
STOPPED = frozenset({C.PAUSED, C.HELD, C.HALTED, C.WAITING_APPROVAL})
"""Only a person sets such a campaign going."""

_DAY = timedelta(days=1)


class Batches:
    """Begins campaigns and writes their reports; who sends them is somebody else.

    ``book`` gives the prices of a file, or those that hold without one.
    """

    def __init__(self, house: House, book: Callable[[Path | None], PriceBook]) -> None:
        self._house = house
        self._book = book
        self._ledger = house.ledger

    def start(self, schedule: Schedule, tick: Tick) -> Landing:
        """Read the file as it is now and bring its campaign under way; where there is one already, go on with it.

        Raises what a launch raises, and Halted for a campaign of the same file that waits for a person.
        """
        batch = from_json(schedule.name, schedule.options)
        # a link may lead to another file every day: it is the schedule's list all the same
        request = replace(batch.request, called=f"schedule {schedule.name}")
        file_kind(request.plan.file)
        identity = identify(request.plan)
        find = self._ledger.queries.open_campaign_for
        there = find(identity.sha256, identity.fingerprint, self._house.gateway)
        if there is not None:
            if there.state in STOPPED:
                raise Halted("schedule_campaign_stopped", found=there.state.code, campaign=there.id)
            self._begun(tick, there.id)
        house = self._furnished(batch, self._guard(schedule, tick, identity.sha256))
        return self._launch(house, tick).run(request)

    def go_on(self, schedule: Schedule, tick: Tick, campaign: CampaignView) -> Landing:
        """Bring the tick's own campaign under way, which was interrupted on its way there."""
        batch = from_json(schedule.name, schedule.options)
        self._begun(tick, campaign.id)
        house = self._furnished(batch, self._house.guard)
        return self._launch(house, tick).resume(_resumed(batch.request, campaign))

    def report(self, schedule: Schedule, campaign: CampaignView) -> Path:
        """Write the campaign's report; gives its path.  Raises what writing a report raises."""
        folder = from_json(schedule.name, schedule.options).request.report_dir
        return self._house.write_report(campaign, folder).target

    def is_unchanged(self, schedule: Schedule, tick: Tick, campaign: CampaignView) -> bool:
        """Whether the tick's file was the same, byte for byte, as at the last tick that had one."""
        before = self._ledger.schedules.files_before(schedule.id, tick.at, limit=1)
        return bool(before) and before[0][1] == campaign.file_sha256

    def _launch(self, house: House, tick: Tick) -> Launch:
        def begun(campaign_id: int) -> None:
            self._begun(tick, campaign_id)

        def is_mine() -> bool:
            return any(
                each.at == tick.at and each.schedule_id == tick.schedule_id and each.owner == tick.owner
                for _, each in self._ledger.schedules.running(house.gateway)
            )

        return Launch(house, Unattended(is_mine), detached=True, begun=begun)

    def _begun(self, tick: Tick, campaign_id: int) -> None:
        if not self._ledger.schedules.begun(tick, campaign_id):
            raise Halted("schedule_tick_lost")

    def _furnished(self, batch: BatchOptions, guard: timedelta) -> House:
        """The house with the schedule's own prices, credit and words."""
        return replace(
            self._house,
            book=self._book(batch.prices),
            funds=batch.funds,
            forbidden=ForbiddenWords.load_if_named(batch.forbid_file),
            default_region=batch.request.plan.options.default_region,
            guard=guard,
        )

    def _guard(self, schedule: Schedule, tick: Tick, sha256: str) -> timedelta:
        """A file that nobody has touched since gets no second text when the guard's days are over: the list that
        somebody forgot to replace is not sent once a week.
        """
        first: datetime | None = None
        for at, digest in self._ledger.schedules.files_before(schedule.id, tick.at):
            if digest != sha256:
                break
            first = at
        if first is None:
            return self._house.guard
        return max(self._house.guard, self._house.clock.now() - first + _DAY)


def _resumed(request: LaunchRequest, campaign: CampaignView) -> ResumeRequest:
    return ResumeRequest(campaign.id, report_dir=request.report_dir)
