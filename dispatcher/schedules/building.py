"""Builds the scheduler from one application's settings: a house and a worker over one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from dispatcher.building import house_on, worker_on
from dispatcher.campaign.prices import Funds
from dispatcher.line import Line
from dispatcher.schedules.batches import Batches
from dispatcher.schedules.scheduler import Happening, Scheduler
from dispatcher.schedules.service import ScheduleService
from dispatcher.settings import choose_target

if TYPE_CHECKING:
    from dispatcher.application import Application

ROLE = "schedule"


@contextmanager
def build_scheduler(application: Application, tell: Callable[[Happening], None]) -> Iterator[ScheduleService]:
    """What fires ticks and sends what they begin, while the block lasts; ``tell`` hears what becomes of each tick."""
    with ExitStack() as stack:
        target = choose_target(application.configuration, must_be_named=True)
        ledger = application.ledger()
        line = Line(application, ledger, target, ROLE, stack)
        house = house_on(line, application, ledger, target, stack, funds=Funds({}, None), forbidden=None)
        worker = worker_on(line, application, ledger, target, stack)

        def may_take(owner: str) -> bool:
            return line.owners.is_gone(owner) or line.owners.is_silent(owner, line.clock.now())

        scheduler = Scheduler(
            ledger,
            target.name,
            line.clock,
            Batches(house, application.price_book),
            owner=line.owner,
            may_take=may_take,
            tell=tell,
        )
        yield ScheduleService(scheduler, worker)
