"""Screening one text: dry runs of its rows, one after the other, until the gateway says something about the text."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime

from dispatcher.campaign.reasons import Reason
from dispatcher.errors import Halted, Unreachable
from dispatcher.gateway.models import ErrorCode, Message, Options, Route, SendRequest
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import (
    ENCODING_NAMES,
    ENCODING_NUMBERS,
    CampaignView,
    DistinctText,
    RowState,
    Screening,
)
from dispatcher.sending.folded import Folded
from dispatcher.sending.foretelling import DryRunPrices
from dispatcher.sending.guards import REFUSALS_IN_A_ROW, REFUSALS_OF_LAST, halt_of, stop_campaign
from dispatcher.sending.prices import Prices
from dispatcher.sending.selection import Key, key_of
from dispatcher.sending.services import SETTLE_AGAIN, Services
from dispatcher.sending.settlements import accepted
from dispatcher.sending.stops import Stop

TRIES = 5  # of one request that gave no usable answer
FIRST_WAIT = 1.0  # seconds before the second try; doubled each time
PASSED = "passed"
ABOUT_THE_ROW = frozenset(
    {ErrorCode.RECIPIENT, ErrorCode.WRONG_COUNTRY, ErrorCode.SENDER_LENGTH, ErrorCode.SENDER_NUMERIC}
)
"""What a row is refused for that will not pass by itself; any other code may be about today, or the account."""


@dataclass(frozen=True)
class Disagreement:
    """The gateway counts a text otherwise than the plan does."""

    row: int
    our_parts: int
    our_encoding: str
    parts: int | None
    encoding: str | None


@dataclass(frozen=True)
class DryRun:
    """What a dry run was made of."""

    row: int
    recipient: str
    route: str
    text: str
    started: datetime


@dataclass
class PreflightResult:
    """What the dry runs said so far.  Row numbers in ``forbidden`` are every row with a forbidden text.

    ``texts`` and ``rows`` are the campaign's distinct texts and ready rows.  ``covering``: only the texts of a covering
    set are screened, and ``folded`` was compared by its shape.  ``partial``: not every text is screened.
    """

    texts: int = 0
    rows: int = 0
    covering: bool = False
    partial: bool = False
    folded: list[Folded] = field(default_factory=list)
    to_screen: int = 0
    done: int = 0
    remembered: int = 0
    requests: int = 0
    seconds: float | None = None
    forbidden: list[int] = field(default_factory=list)
    refused: int = 0
    disagreements: list[Disagreement] = field(default_factory=list)
    prices: DryRunPrices = field(default_factory=DryRunPrices)


class Screener:
    """Screens texts of one campaign, and writes into ``result`` what the gateway says.

    ``echoed``: a dry run came back as one, so the gateway knows the option.  ``account``: whose token this is, None
    while nothing has told.  ``passed``: what a dry run accepted.
    """

    def __init__(self, services: Services, campaign: CampaignView, result: PreflightResult) -> None:
        self._services = services
        self._ledger = services.ledger.ledger
        self._campaign = campaign
        self._result = result
        self._fresh: list[Screening] = []
        self._unexplained: list[tuple[int, str]] = []  # refused since a dry run passed: row and code
        self._lately: deque[bool] = deque(maxlen=REFUSALS_OF_LAST[1])  # refused for a reason we do not know
        self._prices = Prices(services, campaign.id)
        self.echoed = False
        self.account: str | None = None
        self.passed: set[Key] = set()

    async def screen(self, text: DistinctText) -> None:
        """Try the rows of a text until one dry run is accepted, or says that the text is forbidden.

        Raises Halted or Unreachable.
        """
        after = text.first_row - 1
        while (found := await self._next_row(text, after)) is not None:
            row, recipient = found
            # should it be sent for real, this is when the attempt began: by the clock that dates the others
            started = await self._services.now()
            verdict = await self._ask(text, recipient)
            if verdict.message is not None and not verdict.message.is_dry_run:
                dry_run = DryRun(row, recipient, text.route, text.text, started)
                await self._record_sent(dry_run, verdict.message)
            await self._raise_if_halted(verdict)
            if verdict.message is not None:
                self._raise_if_sent(row, verdict.message)
                await self._learn_account(verdict.message)
            if await self._judge(text, row, verdict):
                break
            after = row
        self._result.done += 1

    async def forbid(self, text: DistinctText) -> None:
        """Every row with the text is forbidden."""
        rows_with = self._ledger.screenings.rows_with
        rows = await self._services.ledger(rows_with, self._campaign.id, text, text.first_row - 1, text.rows)
        self._result.forbidden.extend(row for row, _ in rows)

    async def keep(self, at_least: int = 1) -> None:
        """Remember what was screened, when it is so much; nothing is remembered of an account nobody named."""
        if len(self._fresh) < at_least:
            return
        fresh, self._fresh = self._fresh, []  # what comes meanwhile is another time's
        if self.account is None:
            return
        record = self._ledger.screenings.record
        try:
            await self._services.ledger(record, self._campaign.gateway, self.account, fresh)
        except BaseException:
            self._fresh[:0] = fresh  # the ledger was busy, or away: next time
            raise

    async def _learn_account(self, message: Message) -> None:
        """The first answer tells whose token this is; it must be the campaign's account, and stays so."""
        first, self.echoed = not self.echoed, True
        campaign, ledger, now = self._campaign, self._services.ledger, self._services.clock.now()
        if message.username is not None and message.username != self.account:
            set_account = self._ledger.campaigns.set_account
            if not await ledger(set_account, campaign.id, message.username, now):
                raise Halted("preflight_other_account", campaign=campaign.id, stop=Stop.OTHER_ACCOUNT)
            self.account = message.username
        if first:
            # the dry run passed: what had stopped this account is over, known by its name then or not
            for account in {self.account, None}:
                await ledger(
                    self._ledger.halts.lift, campaign.gateway, account, "a dry run was accepted", now
                )

    async def _record_sent(self, dry_run: DryRun, message: Message) -> None:
        """It did not come back as a dry run: the gateway says that it has a message, and so does the ledger."""
        ledger, campaign, now = self._services.ledger, self._campaign.id, await self._services.now()
        if message.username is not None:
            await ledger(self._ledger.campaigns.set_account, campaign, message.username, now)
        answer = accepted(dry_run, secrets.token_hex(8), message, now)
        owner, record = self._services.owner, self._ledger.rows.sent_unasked
        for wait in (*SETTLE_AGAIN, None):  # forgotten, it would be sent again
            try:
                await ledger(record, campaign, answer, owner=owner, started=dry_run.started, now=now)
                break
            except Unreachable:
                if wait is None:
                    raise
                await self._services.clock.sleep(wait)
        await ledger(
            self._ledger.events.add,
            "dry_run_not_echoed",
            now,
            campaign_id=campaign,
            row=dry_run.row,
            message_id=message.id,
        )

    def _raise_if_sent(self, row: int, message: Message) -> None:
        if message.is_dry_run:
            return
        raise Halted(
            "preflight_not_echoed",
            row=row,
            campaign=self._campaign.id,
            message_id=message.id,
            stop=Stop.NOT_ECHOED,
        )

    async def _judge(self, text: DistinctText, row: int, verdict: Verdict) -> bool:
        """Write down what a dry run said; True when the text needs no further one."""
        if verdict.forbidden:
            self._remember(text, str(Reason.FORBIDDEN_TEXT), None)
            await self.forbid(text)
        elif verdict.outcome is Outcome.ACCEPTED and verdict.message is not None:
            self._remember(text, PASSED, verdict.message)
            await self._prices.learn(
                row, text.route, verdict.message.recipient or "", text.parts, verdict.message
            )
            self.passed.add(key_of(text))
            self._result.prices.add(text, verdict.message.total_price)
            self._compare(text, row, verdict.message)
        else:
            self._result.refused += 1
            if verdict.code in ABOUT_THE_ROW:
                await self._refuse(row, str(verdict.code))
            else:
                self._unexplained.append((row, str(verdict.code or verdict.http_status)))
            self._lately.append(verdict.code not in ABOUT_THE_ROW)
            self._raise_if_refusing(verdict)
            return False
        self._lately.append(False)
        await self.believe()
        return True

    async def believe(self) -> None:
        """The gateway answers other dry runs as it should, so what it refused for reasons unknown to us is refused."""
        unexplained, self._unexplained = self._unexplained, []
        for row, code in unexplained:
            await self._refuse(row, code)

    def _raise_if_refusing(self, verdict: Verdict) -> None:
        """Nothing has passed yet (the sender, say, is refused with every row), or something happened to the account
        meanwhile: rows are not given up for that.
        """
        most, _ = REFUSALS_OF_LAST
        nothing_passed = not self.echoed and self._result.refused >= REFUSALS_IN_A_ROW
        if nothing_passed or len(self._unexplained) >= REFUSALS_IN_A_ROW or sum(self._lately) > most:
            raise Halted(
                "preflight_halted", campaign=self._campaign.id, found=verdict.detail, stop=Stop.REFUSALS
            )

    async def _refuse(self, row: int, code: str | None) -> None:
        now, reason = self._services.clock.now(), str(Reason.REFUSED_BY_DRY_RUN)
        exclude = self._ledger.rows.exclude
        await self._services.ledger(exclude, self._campaign.id, [row], RowState.REFUSED, reason, now, code)

    def _remember(self, text: DistinctText, outcome: str, message: Message | None) -> None:
        route, sender, text_hash = key_of(text)
        self._fresh.append(
            Screening(
                route=route,
                sender=sender,
                text_hash=text_hash,
                outcome=outcome,
                parts=message.message_count if message else None,
                encoding=ENCODING_NUMBERS.get(message.encoding or "") if message else None,
                price=message.total_price if message else None,
                seen_at=self._services.clock.now(),
                message_id=message.id if message else None,
            )
        )

    def _compare(self, text: DistinctText, row: int, message: Message) -> None:
        ours = (text.parts, ENCODING_NAMES.get(text.encoding or 0, ""))
        if (message.message_count or ours[0], message.encoding or ours[1]) != ours:
            self._result.disagreements.append(
                Disagreement(row, ours[0], ours[1], message.message_count, message.encoding)
            )

    async def _next_row(self, text: DistinctText, after: int) -> tuple[int, str] | None:
        rows_with = self._ledger.screenings.rows_with
        rows = await self._services.ledger(rows_with, self._campaign.id, text, after, 1)
        return rows[0] if rows else None

    async def _ask(self, text: DistinctText, recipient: str) -> Verdict:
        """One dry run, tried again while there is no usable answer: nothing is sent, so nothing can go twice."""
        single_part = bool(self._campaign.options.get("single_part"))
        request = SendRequest(
            sender=text.sender,
            recipient=recipient,
            message=text.text,
            options=Options(dry_run=True, fail_on_multiple_messages=single_part),
        )
        for left in reversed(range(TRIES)):
            await self._services.slot()
            self._result.requests += 1
            verdict = await self._services.gateway.send(Route(text.route), request)
            if verdict.outcome not in (Outcome.THROTTLED, Outcome.NOT_SENT, Outcome.IN_DOUBT):
                return verdict
            wait = FIRST_WAIT * 2 ** (TRIES - 1 - left)
            if verdict.outcome is Outcome.THROTTLED or verdict.retry_after:
                await self._services.pace.slow_down(verdict.retry_after or wait)
            if left:
                await self._services.clock.sleep(wait)
        if verdict.outcome is Outcome.THROTTLED:
            raise Unreachable("preflight_throttled", tries=TRIES)
        raise Unreachable("preflight_no_answer", found=verdict.detail, tries=TRIES)

    async def _raise_if_halted(self, verdict: Verdict) -> None:
        if verdict.outcome is not Outcome.HALT:
            return
        halt = halt_of(verdict)
        if halt.account_wide:
            told = verdict.message.username if verdict.message else None
            named = replace(self._campaign, account=self.account or self._campaign.account or told)
            now = self._services.clock.now()
            await self._services.ledger(stop_campaign, self._ledger, named, halt, now)
        raise Halted("preflight_halted", campaign=self._campaign.id, found=verdict.detail, stop=halt.stop)
