"""One-time codes: one request each, counted before it is made, and never made again by itself."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass
from datetime import datetime

from dispatcher.errors import Halted, Unreachable, UsageError
from dispatcher.gateway.models import Message, Options, OtpRequest
from dispatcher.gateway.outcomes import Outcome, Verdict, judge_exception
from dispatcher.ledger import CodeLimits, TooManyCodes
from dispatcher.ledger import Stop as AccountStop
from dispatcher.sending.services import SETTLE_AGAIN, Services
from dispatcher.sending.stops import Stop

log = logging.getLogger(__name__)

NEVER_LEFT = frozenset({Outcome.NOT_SENT, Outcome.THROTTLED})


@dataclass(frozen=True, kw_only=True)
class CodeAnswer:
    """What became of a code.  ``message`` None: whether it was sent is not known, ``detail`` says why.

    ``stopped``: the answer said that the account is blocked, and everything of it is stopped now.
    """

    message: Message | None
    detail: str = ""
    stopped: bool = False


class CodeDesk:
    """Sends codes through one gateway (``gateway`` is what its stops are filed under), within ``limits``."""

    def __init__(self, services: Services, gateway: str, limits: CodeLimits) -> None:
        self._services = services
        self._ledger = services.ledger.ledger
        self._gateway = gateway
        self._limits = limits

    async def send(self, request: OtpRequest) -> CodeAnswer:
        """One code, counted against the limits whatever becomes of it, unless it provably never left.

        Raises UsageError (too many codes), Halted (the account is stopped, or the gateway says no) or Unreachable
        (it was not sent).
        """
        stops = await self._stops()
        if stops:
            await self._require_other_account(request, stops)
        counted = await self._count(request)
        try:
            await self._services.slot()
            if await self._stops() != stops:  # the account was stopped while its turn was waited for
                raise Halted("otp_halted", found=str(Stop.BLOCKLISTED), gateway=self._gateway)
        except BaseException:  # nothing was asked yet
            await self._services.ledger(self._ledger.codes.take_back, counted)
            raise
        verdict = await self._post(request)
        if verdict.row in NEVER_LEFT:
            await self._services.ledger(self._ledger.codes.take_back, counted)
        await self._heed(verdict)
        if verdict.message is None and verdict.row is not Outcome.IN_DOUBT:
            raise _refusal(verdict)
        return CodeAnswer(message=verdict.message, detail=verdict.detail, stopped=verdict.account_wide)

    async def try_out(self, request: OtpRequest) -> Message:
        """What a dry run says: it is checked and priced, and sent to nobody.  Raises like :meth:`send`."""
        await self._services.slot()
        dry = request.model_copy(update={"options": Options(dry_run=True)})
        verdict = await self._post(dry)
        await self._heed(verdict)
        message = verdict.message
        if message is None:
            if verdict.row is Outcome.IN_DOUBT:
                raise Unreachable("otp_dry_run_lost", found=verdict.detail)
            raise _refusal(verdict)
        if not message.is_dry_run:
            count, now = self._ledger.codes.count, self._services.clock.now()
            await self._services.ledger(count, self._gateway, request.recipient, CodeLimits(), now)
            raise Halted("otp_dry_run_ignored", found=message.id)
        return message

    async def _stops(self) -> list[AccountStop]:
        return await self._services.ledger(self._ledger.halts.in_force, self._gateway)

    async def _require_other_account(self, request: OtpRequest, stops: list[AccountStop]) -> None:
        """A stop of another account is none of ours, where a dry run proves whose token this is."""
        stopped = {stop.account for stop in stops}
        account = None if None in stopped else (await self.try_out(request)).username
        if account is None or account in stopped:
            raise Halted("otp_halted", found=stops[-1].reason, gateway=self._gateway)

    async def _count(self, request: OtpRequest) -> int:
        count, now = self._ledger.codes.count, self._services.clock.now()
        counted = await self._services.ledger(count, self._gateway, request.recipient, self._limits, now)
        if isinstance(counted, TooManyCodes):
            raise _too_many(counted, now)
        return counted

    async def _post(self, request: OtpRequest) -> Verdict:
        try:
            return await self._services.gateway.send_otp(request)
        except asyncio.CancelledError as interrupted:  # a person's Ctrl-C: it may have been sent all the same
            return judge_exception(interrupted)

    async def _heed(self, verdict: Verdict) -> None:
        """What an answer means for others: everybody slows down, or the whole account stops."""
        if verdict.outcome is Outcome.THROTTLED:
            await self._services.pace.slow_down(verdict.retry_after or 1.0)
        if not verdict.account_wide:
            return
        account = verdict.message.username if verdict.message else None
        stop, now = self._ledger.halts.stop, self._services.clock.now()
        for wait in (*SETTLE_AGAIN, None):  # forgotten, campaigns would go on with a blocked account
            try:
                stopped = await self._services.ledger(
                    stop, self._gateway, account, str(Stop.BLOCKLISTED), now
                )
                break
            except Unreachable:
                if wait is None:
                    raise
                await self._services.clock.sleep(wait)
        facts = {"gateway": self._gateway, "reason": str(Stop.BLOCKLISTED), "stopped": stopped}
        log.warning("account_halted", extra=facts)


def _too_many(counted: TooManyCodes, now: datetime) -> UsageError:
    most, minutes = counted.limit.most, round(counted.limit.within.total_seconds() / 60)
    wait = max(1, math.ceil((counted.until - now).total_seconds() / 60))
    if counted.per_number:
        return UsageError("otp_too_many_to_number", most=most, minutes=minutes, wait=wait)
    return UsageError("otp_too_many_to_range", most=most, minutes=minutes, wait=wait)


def _refusal(verdict: Verdict) -> Halted | Unreachable:
    if verdict.outcome in (Outcome.REFUSED, Outcome.HALT):
        return Halted("otp_refused", found=verdict.detail)
    return Unreachable("otp_not_sent", found=verdict.detail)
