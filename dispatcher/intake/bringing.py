"""A file becomes a campaign in the ledger, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from dispatcher.campaign.forbidden import ForbiddenWords
from dispatcher.errors import DispatcherError, Interrupted
from dispatcher.intake.house import House, Watcher
from dispatcher.intake.loading import FileIdentity, LoadRequest, load_campaign, nobody
from dispatcher.intake.planning import history_of, learnt_book, make_planner
from dispatcher.intake.requests import LaunchRequest
from dispatcher.intake.superseding import list_of
from dispatcher.interrupts import unbroken
from dispatcher.ledger import CampaignView, Priority
from dispatcher.sending.listed import KEPT


def bring_in(
    house: House,
    watcher: Watcher,
    request: LaunchRequest,
    identity: FileIdentity,
    begun: Callable[[int], None] = nobody,
) -> CampaignView:
    """Plan the file and write its rows down.  Raises FileError, UsageError, or Interrupted with nothing left behind.

    ``begun`` hears the campaign's number before its first row is written; what it raises ends the load.
    """
    now = house.clock.now()
    history = history_of(house.ledger, house.gateway, guard_days=house.guard.days, now=now)
    funds = house.ask_funds(house.funds, house.book.currency) if house.ask_funds else house.funds
    book = learnt_book(house.book, house.ledger, house.gateway, house.clock.now())
    planner = make_planner(request.plan, book, funds, history, now)
    load = LoadRequest(
        request=request.plan,
        identity=identity,
        gateway=house.gateway,
        owner=house.owner,
        inputs=house.inputs,
        book=book,
        max_cost=request.max_cost,
        priority=request.priority or Priority.NORMAL,
        decisions={
            **request.decisions,
            **list_of(request.plan, request.called, planner.schedule),
            **_kept_list(house.forbidden),
        },
    )
    try:
        with unbroken() as check:
            campaign_id = load_campaign(
                house.ledger, planner, load, now=now, progress=partial(_loading, watcher, check), begun=begun
            )
    except KeyboardInterrupt as interrupt:
        _discard_half(house)
        raise Interrupted("interrupted_loading", file=request.plan.file.name) from interrupt
    except DispatcherError:
        _discard_half(house)
        raise
    watcher.planned(planner, planner.bill())
    return house.ledger.queries.campaign(campaign_id)


def _kept_list(words: ForbiddenWords | None) -> dict[str, str]:
    """Whoever screens the campaign later looks into the same list."""
    return {} if words is None or words.file is None else {KEPT: str(words.file)}


def _loading(watcher: Watcher, check: Callable[[], None], rows: int) -> None:
    check()
    watcher.loading(rows)


def _discard_half(house: House) -> None:
    """Half of a plan is of no use to anybody."""
    owner = house.owner
    house.ledger.loading.discard_unfinished_loads(house.clock.now(), lambda loader: loader == owner)
