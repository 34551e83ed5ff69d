"""Polling: what became of accepted messages, for those whom no callback tells.

A sweep asks about the messages that await their last word in the cheapest of two ways.  A page of the listing shows a
hundred messages for one request, so what went out lately comes page by page; but neither the listing's order nor its
length is known, and three messages of yesterday may lie behind a thousand pages.  Asked one by one, ``n`` messages cost
``n`` requests.  So a sweep

    asks one by one   when fewer await than pages would be needed if the newest come first,
    else walks pages  until it has seen them all, the listing ends, or it has read as many pages as messages await,
    then one by one   what it has not seen, as many as it has read pages, the oldest first.

Whatever the order, that is at most twice the cheaper way and a few.  What is left then is asked about next time.

Every request takes a slot, and all of them together at most a small share of the limit (:mod:`.share`).  What is listed
with another account's name proves nothing and records nothing; neither does an unknown id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime

from dispatcher.delivery.ages import END, HARD_END, Timetable, spans
from dispatcher.delivery.reports import report_of
from dispatcher.delivery.share import ALONE, WHILE_SENDING, Share
from dispatcher.errors import Unreachable
from dispatcher.gateway.models import Message
from dispatcher.ledger import DeliveryReport, Ledger, RowState
from dispatcher.ledger.awaiting import Asked, AwaitedRow
from dispatcher.sending.guards import Halt
from dispatcher.sending.listing import OVERLAP, PAGE, Paging, walk
from dispatcher.sending.passes import stop_for
from dispatcher.sending.services import Services
from dispatcher.sending.stops import Stop

A_FEW = 5  # messages that may be asked about by themselves whatever the walk has cost
BLOCKLISTED = "blocklisted_message"
"""The journal's kind of entry for a message that stopped an account: it does so once."""


@dataclass(frozen=True)
class Polled:
    """What a sweep came to: ``awaited`` messages asked about with so many ``requests``, and ``changed`` rows with news.

    ``left`` were neither seen nor asked about.  ``foreign``: the listing is another account's, which says nothing.
    """

    awaited: int = 0
    requests: int = 0
    changed: int = 0
    left: int = 0
    foreign: bool = False


@dataclass
class _Sweep:
    """A sweep under way."""

    asked: Asked
    awaited: int
    accounts: set[str | None]
    pages: int = 0
    requests: int = 0
    changed: int = 0
    foreign: bool = False
    seen: set[tuple[int, int]] = field(default_factory=set)

    @property
    def left(self) -> int:
        return max(0, self.awaited - len(self.seen))

    def is_foreign(self, message: Message, account: str | None) -> bool:
        return None not in (message.username, account) and message.username != account

    def saw(self, row: AwaitedRow) -> None:
        """Only what was asked about counts towards the end of the walk."""
        campaign, spans = self.asked.campaign_id, self.asked.spans
        if campaign in (None, row.campaign_id) and any(span.holds(row.sent_at) for span in spans):
            self.seen.add(row.place)


class Poller:
    """Asks one gateway what became of messages.  Errors of a sweep: Unreachable or Halted; what came before is kept."""

    def __init__(self, services: Services, gateway: str) -> None:
        self._share = Share(services.pace, services.clock)
        self._services = replace(services, pace=self._share)
        self._ledger: Ledger = services.ledger.ledger
        self._gateway = gateway

    async def round(self, timetable: Timetable) -> Polled | None:
        """Ask about what it is time to ask about, and give up what has waited too long; None when nothing is due."""
        now = await self._services.now()
        due = timetable.due(now)
        if not due:
            return None
        polled = await self.sweep(Asked(self._gateway, spans(due, now), prices_since=now - END))
        timetable.asked(due, now)
        if timetable.ends_with(due):
            before = now - (HARD_END if polled.left or polled.foreign else END)
            await self._services.ledger(self._ledger.awaiting.give_up, self._gateway, before, now)
        return polled

    async def sweep(self, asked: Asked) -> Polled:
        """Ask about these messages once."""
        try:
            return await self._sweep(asked)
        except Unreachable as error:
            if error.code == "gateway_throttled":
                await self._services.pace.slow_down(float(error.params.get("retry_after") or 1.0))
            raise

    async def _sweep(self, asked: Asked) -> Polled:
        ledger, awaiting = self._services.ledger, self._ledger.awaiting
        awaited = await ledger(awaiting.count, asked)
        if not awaited:
            return Polled()
        sweep = _Sweep(asked, awaited, await ledger(awaiting.accounts, asked))
        if awaited > await self._pages_needed(asked):
            await self._walk(sweep)
        if not sweep.foreign:
            await self._ask_one_by_one(sweep)
        return Polled(awaited, sweep.requests, sweep.changed, sweep.left, sweep.foreign)

    async def _pages_needed(self, asked: Asked) -> int:
        """To see all of them where the newest messages are listed first."""
        ledger, awaiting = self._services.ledger, self._ledger.awaiting
        oldest = await ledger(awaiting.rows, asked, limit=1)
        if not oldest:
            return 0
        sent = await ledger(awaiting.sent_since, self._gateway, oldest[0].sent_at)
        return 1 + sent // (PAGE - OVERLAP)

    async def _walk(self, sweep: _Sweep) -> None:
        await self._take_its_share()
        async with aclosing(walk(self._services, Paging())) as pages:
            async for page in pages:
                sweep.pages += 1
                sweep.requests += 1
                names = {message.username for message in page.messages} - {None}
                sweep.foreign = bool(names) and None not in sweep.accounts and not names & sweep.accounts
                if sweep.foreign:
                    return
                await self._hear(page.messages, sweep)
                if not sweep.left or sweep.pages >= sweep.awaited:
                    return
                await self._take_its_share()
        sweep.requests += 1  # the empty page

    async def _ask_one_by_one(self, sweep: _Sweep) -> None:
        limit = max(A_FEW, sweep.pages) if sweep.pages else sweep.awaited
        rows = await self._services.ledger(
            self._ledger.awaiting.rows, sweep.asked, limit=limit, but=frozenset(sweep.seen)
        )
        for row in rows:
            await self._take_its_share()
            await self._services.slot()
            message = await self._services.gateway.message(row.message_id)
            sweep.requests += 1
            sweep.seen.add(row.place)
            if message is not None and message.id == row.message_id:
                await self._hear([message], sweep)

    async def _take_its_share(self) -> None:
        sending = await self._services.ledger(self._ledger.awaiting.is_sending, self._gateway)
        self._share.part = WHILE_SENDING if sending else ALONE

    async def _hear(self, messages: Sequence[Message], sweep: _Sweep) -> None:
        """Write down what is new in messages of ours."""
        ledger = self._services.ledger
        ids = [message.id for message in messages]
        awaited = await ledger(self._ledger.awaiting.among, self._gateway, ids)
        heard = [
            (message, awaited[message.id])
            for message in messages
            if message.id in awaited and not sweep.is_foreign(message, awaited[message.id].account)
        ]
        dry = await ledger(self._ledger.dry_runs.among, self._gateway, [message.id for message, _ in heard])
        now = self._services.clock.now()
        reports: list[DeliveryReport] = []
        for message, row in heard:
            sweep.saw(row)
            report = report_of(message, ledger_id=self._ledger.id, seen_at=now, route=row.route)
            if report is not None and message.id not in dry and _is_news(report, row):
                reports.append(report)
        # before a message is final, and asked about no more
        await self._stop_for_blocklisted(heard, now)
        if reports:
            recorded = await ledger(self._ledger.deliveries.record, self._gateway, reports, now)
            sweep.changed += recorded.changed

    async def _stop_for_blocklisted(self, heard: Iterable[tuple[Message, AwaitedRow]], now: datetime) -> None:
        """The answer to its send would have stopped the account, had it said so; whoever lifts the stop has seen it."""
        ledger = self._services.ledger
        for message, row in heard:
            if not message.blocklisted or await ledger(self._was_told, row):
                continue
            campaign = await ledger(self._ledger.queries.campaign, row.campaign_id)
            await stop_for(
                self._services, campaign, Halt(Stop.BLOCKLISTED, account_wide=True), message.username
            )
            place = {"campaign_id": row.campaign_id, "row": row.row}
            await ledger(self._ledger.events.add, BLOCKLISTED, now, **place, message_id=row.message_id)

    def _was_told(self, row: AwaitedRow) -> bool:
        told = self._ledger.events.of(row.campaign_id, BLOCKLISTED)
        return any(event.detail.get("message_id") == row.message_id for event in told)


def _is_news(report: DeliveryReport, row: AwaitedRow) -> bool:
    final = report.state is not None and row.state is RowState.ACCEPTED
    priced = report.actual_cost is not None and row.actual_cost is None
    counted = report.parts is not None and row.actual_parts is None and report.parts != row.parts
    encoded = report.encoding is not None and row.actual_encoding is None and report.encoding != row.encoding
    return final or priced or counted or encoded
