"""Rows in doubt on the stage: how answers are lost, and how what became of them is looked for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.sending.reconcile import Obstacle, Outlook, Reconciler, Standing

LOST = Verdict(Outcome.IN_DOUBT, detail="answer_late")
QUIET = timedelta(seconds=60)


def reconciler(
    stage: Any,
    *,
    absent_after: timedelta | None = None,
    alive: bool = False,
    elsewhere: bool = False,
    quiet: timedelta = QUIET,
    gateway: str = "sandbox",
) -> Reconciler:
    standing = Standing(may_live=alive, quiet=quiet, elsewhere=elsewhere)
    return Reconciler(stage.services(), gateway, standing=lambda owner: standing, absent_after=absent_after)


def lose(stage: Any, *texts: str, arrived: bool, rows: Any = 30, **campaign: Any) -> int:
    """Send a campaign whose answers to ``texts`` are lost; ``arrived``: the gateway has accepted them all the same."""

    def answer(sent: Any) -> Verdict | None:
        if sent.request.message not in texts:
            return None
        if arrived:
            stage.gateway.accept(sent)
        return LOST

    stage.gateway.answering = answer
    number: int = stage.campaign(rows, **campaign)
    stage.run(stage.lane(number).run())
    stage.gateway.answering = lambda sent: None
    return number


def witness(stage: Any, campaign: int) -> None:
    """Past the deadlines and the quiet period; the row that was kept back goes out."""
    stage.clock.elapsed += 300.0
    stage.run(stage.lane(campaign).run())
    stage.clock.elapsed += 10.0


def steps(stage: Any, work: Reconciler, campaign: int, times: int = 2, *, wait: float = 1.0) -> list[Outlook]:
    async def passes() -> list[Outlook]:
        found = []
        for _ in range(times):
            found.append(await work.step([campaign]))
            await asyncio.sleep(wait)
        return found

    outlooks: list[Outlook] = stage.run(passes())
    return outlooks


def obstacles(outlook: Outlook) -> list[Obstacle]:
    return list(outlook.open.values())
