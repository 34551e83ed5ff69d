"""One file as several campaigns, such as its reminders: all are set going, then followed to their ends together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from dispatcher.errors import DispatcherError
from dispatcher.intake.canary import Canary
from dispatcher.intake.house import House, Watcher
from dispatcher.intake.launch import Launch
from dispatcher.intake.requests import Landing, LaunchRequest
from dispatcher.ledger.states import UNDER_WAY


def launch_all(
    house: House,
    watcher: Watcher,
    requests: Sequence[LaunchRequest],
    *,
    wait_for_doubts: bool = True,
    wait_delivery: timedelta | None = None,
    canary: Canary | None = None,
    detached: bool = False,
) -> list[Landing]:
    """Each is planned, screened and asked about, then all are sent side by side.

    A single request, the only one that may have a canary, is :meth:`Launch.run`; so is each where nothing is to be sent
    here.
    """
    launch = Launch(
        house,
        watcher,
        wait_for_doubts=wait_for_doubts,
        wait_delivery=wait_delivery,
        canary=canary,
        detached=detached,
    )
    if len(requests) == 1 or detached or requests[0].dry_run:
        return [launch.run(request) for request in requests]
    begun = _begin_all(house, watcher, requests)
    for place, landing in enumerate(begun):
        campaign_id, after = landing.campaign.id, begun[place + 1 :]
        if house.ledger.queries.campaign(campaign_id).state in UNDER_WAY:
            ids = [other.campaign.id for other in after]
            ended = launch.follow_to_the_end(campaign_id, requests[place].report_dir, ids)
            begun[place] = replace(ended, other_texts=landing.other_texts, older=landing.older)
            if ended.interrupted:
                _pause_all(house, after)
    return [_as_it_is(house, landing) for landing in begun]


def _begin_all(house: House, watcher: Watcher, requests: Sequence[LaunchRequest]) -> list[Landing]:
    """Each is set going and left; where one cannot be, those before it wait for a person too."""
    begun: list[Landing] = []
    launch = Launch(house, watcher, detached=True)
    try:
        for request in requests:
            begun.append(launch.run(request))
            if begun[-1].interrupted:
                _pause_all(house, begun)
                break
    except DispatcherError:
        _pause_all(house, begun)
        raise
    return begun


def _as_it_is(house: House, landing: Landing) -> Landing:
    queries, campaign_id = house.ledger.queries, landing.campaign.id
    return replace(landing, campaign=queries.campaign(campaign_id), counts=queries.counts(campaign_id))


def _pause_all(house: House, landings: Sequence[Landing]) -> None:
    for landing in landings:
        house.ledger.campaigns.pause(landing.campaign.id, house.clock.now())
