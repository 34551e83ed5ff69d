"""Preflight: every distinct (route, sender, text) is seen by a dry run before anything real goes out.

A real send of a forbidden text blocklists the account and costs money; a dry run of it only answers 2044.  Only a 201
screens a text: after another answer (a number the gateway does not like, say) the next row with the same text is tried,
and a text without any row left to try is not sent.  The first dry run goes alone and must come back as one,
so a gateway that does not know the option sends one message at most.  Screenings are remembered per account
for a day.

Mode auto screens every text up to a number of texts, and above it a covering set (:mod:`dispatcher.sending.covering`):
then every word and every two neighbouring words have been in a text that passed.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from dispatcher.campaign.reasons import Reason
from dispatcher.errors import Halted, Unreachable, UsageError
from dispatcher.gateway.models import Message, Options, Route, SendRequest
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import CampaignView, DistinctText, RowState, Screening
from dispatcher.sending.folded import Folded
from dispatcher.sending.guards import Halt, Stop, halt_of, stop_campaign
from dispatcher.sending.selection import Key, key_of, select_texts, uncovered
from dispatcher.sending.services import Services

REMEMBERED_FOR = timedelta(hours=24)
TRIES = 5  # of one request that gave no usable answer
FIRST_WAIT = 1.0  # seconds before the second try; doubled each time
BATCH = 64
PASSED = "passed"
ENCODINGS = {"GSM-7": 1, "UCS-2": 2}
NO_ACCOUNT = ""
ALL_UP_TO = 10_000  # distinct texts that mode auto screens one by one


class Mode(StrEnum):
    """How many of the distinct texts are screened."""

    AUTO = "auto"
    ALL = "all"
    SAMPLE = "sample"
    NONE = "none"


@dataclass(frozen=True)
class PreflightChoice:
    """What the operator chose; ``sample`` is a number of texts for Mode.SAMPLE, ``all_up_to`` one for Mode.AUTO."""

    mode: Mode = Mode.AUTO
    sample: int = 0
    all_up_to: int = ALL_UP_TO

    @classmethod
    def from_text(cls, text: str) -> PreflightChoice:
        """From ``auto``, ``auto:N``, ``all``, ``none``, ``sample:N``; UsageError for anything else."""
        name, _, number = text.strip().lower().partition(":")
        if name == Mode.SAMPLE and number.isdigit() and int(number) > 0:
            return cls(Mode.SAMPLE, int(number))
        if name == Mode.AUTO and number.isdigit():
            return cls(Mode.AUTO, all_up_to=int(number))
        if number or name not in (Mode.AUTO, Mode.ALL, Mode.NONE):
            raise UsageError(
                "usage_choice", flag="--preflight", found=text, allowed="auto, auto:N, all, sample:N, none"
            )
        return cls(Mode(name))

    def __str__(self) -> str:
        if self.mode is Mode.SAMPLE:
            return f"{self.mode}:{self.sample}"
        if self.mode is Mode.AUTO and self.all_up_to != ALL_UP_TO:
            return f"{self.mode}:{self.all_up_to}"
        return str(self.mode)


@dataclass(frozen=True)
class Disagreement:
    """The gateway counts a text otherwise than the plan does."""

    row: int
    our_parts: int
    our_encoding: str
    parts: int | None
    encoding: str | None


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


class Preflight:
    """Screens the texts of one campaign that are still ready to be sent.  :meth:`prepare`, then :meth:`run`."""

    def __init__(
        self,
        services: Services,
        campaign: CampaignView,
        choice: PreflightChoice,
        *,
        progress: Callable[[PreflightResult], None],
        rng: random.Random,
    ) -> None:
        self._services = services
        self._ledger = services.ledger.ledger
        self._campaign = campaign
        self._choice = choice
        self._progress = progress
        self._rng = rng
        self._account = NO_ACCOUNT
        self._texts: list[DistinctText] = []
        self._fresh: list[Screening] = []
        self._passed: set[Key] = set()
        self.result = PreflightResult()

    async def run(self, starts: Callable[[PreflightResult], None]) -> PreflightResult:
        """Screen everything that is not remembered; ``starts`` hears how much that is before the bulk begins.

        Raises Halted (token, payment, blocklisted, a dry run that was none) or Unreachable; what was screened is kept.
        """
        texts = await self._chosen()
        if not texts:
            return self.result
        told = False
        try:
            await self._first_alone(texts[0])
            while texts:
                todo = await self._unknown(texts)
                self.result.to_screen = self.result.done + len(todo)
                self.result.remembered += len(texts) - len(todo) - (0 if told else self.result.done)
                rate = self._services.pace.rate
                self.result.seconds = len(todo) / rate if rate else None
                if not told:
                    starts(self.result)
                    told = True
                for batch in _batches(todo, BATCH):
                    await asyncio.gather(*(self._screen(text) for text in batch))
                    await self._keep()
                    self._progress(self.result)
                texts = await self._uncovered(texts)
        finally:
            await self._keep()
        self.result.forbidden = sorted(set(self.result.forbidden))
        return self.result

    async def _chosen(self) -> list[DistinctText]:
        if self._choice.mode is Mode.AUTO:
            return await self._all_or_covering()
        ledger = self._services.ledger
        texts = await ledger(lambda: list(self._ledger.screenings.distinct_texts(self._campaign.id)))
        self.result.texts, self.result.rows = len(texts), sum(text.rows for text in texts)
        if self._choice.mode is Mode.SAMPLE and len(texts) > self._choice.sample:
            self.result.partial = True
            texts = sorted(self._rng.sample(texts, self._choice.sample), key=lambda text: text.first_row)
        return texts

    async def _all_or_covering(self) -> list[DistinctText]:
        selection = await self._services.ledger(
            select_texts, self._ledger.screenings, self._campaign, self._choice.all_up_to
        )
        self.result.texts, self.result.rows = selection.texts, selection.rows
        self.result.covering = self.result.partial = selection.covering
        self.result.folded = selection.folded
        return selection.chosen

    async def _uncovered(self, screened: list[DistinctText]) -> list[DistinctText]:
        """Texts to screen next, because they hold what no text that passed holds, or are known as forbidden.

        A refused number says nothing about a text's words.  After a forbidden text nothing more is looked for: the
        campaign is not sent before every text of it has been screened.
        """
        if not self.result.covering or self.result.forbidden:
            return []
        now, ledger, screenings = self._services.clock.now(), self._services.ledger, self._ledger.screenings
        forbidden = await ledger(
            screenings.known_as,
            str(Reason.FORBIDDEN_TEXT),
            self._campaign.gateway,
            self._account,
            now - REMEMBERED_FOR,
        )
        if not forbidden and all(key_of(text) in self._passed for text in screened):
            return []
        return await ledger(uncovered, screenings, self._campaign, self._passed, forbidden)

    async def _unknown(self, texts: list[DistinctText]) -> list[DistinctText]:
        """Those of the texts that no remembered answer is about; what the others' answers say is written down."""
        remembered = await self._remembered(texts)
        if self.result.covering:
            self._passed.update(key for key, screening in remembered.items() if screening.outcome == PASSED)
        await self._report_remembered_forbidden(texts, remembered)
        return [text for text in texts if key_of(text) not in remembered]

    async def _first_alone(self, text: DistinctText) -> None:
        """One dry run by itself: is the option understood, and whose token is this?"""
        row, recipient = await self._row_of(text, after=0)
        verdict = await self._ask(text, recipient)
        self._raise_if_halted(verdict)
        message = verdict.message
        if message is not None:
            await self._must_be_dry_run(row, message)
            await self._learn_account(message)
        await self._judge(text, row, verdict)

    async def _learn_account(self, message: Message) -> None:
        if message.username is None:
            return
        now = self._services.clock.now()
        self._account = message.username
        if not await self._services.ledger(
            self._ledger.campaigns.set_account, self._campaign.id, message.username, now
        ):
            raise Halted("preflight_other_account", campaign=self._campaign.id, stop=Stop.OTHER_ACCOUNT)
        # the dry run passed: what had stopped this account is over
        await self._services.ledger(
            self._ledger.halts.lift, self._campaign.gateway, message.username, "a dry run was accepted", now
        )

    async def _must_be_dry_run(self, row: int, message: Message) -> None:
        if message.is_dry_run:
            return
        now = self._services.clock.now()
        await self._services.ledger(
            self._ledger.events.add,
            "dry_run_not_echoed",
            now,
            campaign_id=self._campaign.id,
            row=row,
            message_id=message.id,
        )
        await self._services.ledger(
            self._ledger.rows.exclude,
            self._campaign.id,
            [row],
            RowState.REFUSED,
            str(Reason.REFUSED_BY_DRY_RUN),
            now,
        )
        raise Halted(
            "preflight_not_echoed",
            row=row,
            campaign=self._campaign.id,
            message_id=message.id,
            stop=Stop.NOT_ECHOED,
        )

    async def _remembered(self, texts: Iterable[DistinctText]) -> dict[Key, Screening]:
        since = self._services.clock.now() - REMEMBERED_FOR
        keys = [key_of(text) for text in texts]
        known = await self._services.ledger(
            self._ledger.screenings.known, self._campaign.gateway, self._account, since, keys
        )
        fresh = {screening.key: screening for screening in self._fresh}
        # only what passed, or is forbidden, is an answer about the text; a refused number must be tried again
        return {**{k: s for k, s in known.items() if s.outcome in (PASSED, Reason.FORBIDDEN_TEXT)}, **fresh}

    async def _report_remembered_forbidden(
        self, texts: Iterable[DistinctText], known: dict[Key, Screening]
    ) -> None:
        fresh = {screening.key for screening in self._fresh}
        for text in texts:
            screening = known.get(key_of(text))
            if screening and screening.outcome == Reason.FORBIDDEN_TEXT and screening.key not in fresh:
                await self._forbid(text)

    async def _screen(self, text: DistinctText) -> None:
        """Try the rows of a text until one dry run is accepted, or says that the text is forbidden."""
        after = 0
        while True:
            found = await self._next_row(text, after)
            if found is None:
                return
            row, recipient = found
            verdict = await self._ask(text, recipient)
            self._raise_if_halted(verdict)
            if verdict.message is not None:
                await self._must_be_dry_run(row, verdict.message)
            if await self._judge(text, row, verdict):
                return
            after = row

    async def _judge(self, text: DistinctText, row: int, verdict: Verdict) -> bool:
        """Write down what a dry run said; True when the text needs no further one."""
        if verdict.forbidden:
            self._remember(text, str(Reason.FORBIDDEN_TEXT), None)
            await self._forbid(text)
        elif verdict.outcome is Outcome.ACCEPTED and verdict.message is not None:
            self._remember(text, PASSED, verdict.message)
            if self.result.covering:
                self._passed.add(key_of(text))
            self._compare(text, row, verdict.message)
        else:
            self.result.refused += 1
            await self._services.ledger(
                self._ledger.rows.exclude,
                self._campaign.id,
                [row],
                RowState.REFUSED,
                str(Reason.REFUSED_BY_DRY_RUN),
                self._services.clock.now(),
                str(verdict.code or verdict.http_status),
            )
            return False
        self.result.done += 1
        return True

    async def _forbid(self, text: DistinctText) -> None:
        rows = await self._services.ledger(
            self._ledger.screenings.rows_with, self._campaign.id, text, 0, text.rows
        )
        self.result.forbidden.extend(row for row, _ in rows)

    def _remember(self, text: DistinctText, outcome: str, message: Message | None) -> None:
        route, sender, text_hash = key_of(text)
        self._fresh.append(
            Screening(
                route=route,
                sender=sender,
                text_hash=text_hash,
                outcome=outcome,
                parts=message.message_count if message else None,
                encoding=ENCODINGS.get(message.encoding or "") if message else None,
                price=message.total_price if message else None,
                seen_at=self._services.clock.now(),
            )
        )

    async def _keep(self) -> None:
        fresh, self._fresh = self._fresh, []
        if fresh:
            record = self._ledger.screenings.record
            await self._services.ledger(record, self._campaign.gateway, self._account, fresh)

    def _compare(self, text: DistinctText, row: int, message: Message) -> None:
        names = {number: name for name, number in ENCODINGS.items()}
        ours = (text.parts, names.get(text.encoding or 0, ""))
        if (message.message_count or ours[0], message.encoding or ours[1]) != ours:
            self.result.disagreements.append(
                Disagreement(row, ours[0], ours[1], message.message_count, message.encoding)
            )

    async def _row_of(self, text: DistinctText, after: int) -> tuple[int, str]:
        found = await self._next_row(text, after)
        if found is None:
            raise RuntimeError("a text to screen has no row")
        return found

    async def _next_row(self, text: DistinctText, after: int) -> tuple[int, str] | None:
        rows = await self._services.ledger(
            self._ledger.screenings.rows_with, self._campaign.id, text, after, 1
        )
        return rows[0] if rows else None

    async def _ask(self, text: DistinctText, recipient: str) -> Verdict:
        """One dry run, tried again while there is no usable answer: nothing is sent, so nothing can go twice."""
        request = SendRequest(
            sender=text.sender,
            recipient=recipient,
            message=text.text,
            options=Options(
                dry_run=True, fail_on_multiple_messages=bool(self._campaign.options.get("single_part"))
            ),
        )
        wait = FIRST_WAIT
        for _ in range(TRIES):
            await self._services.slot()
            self.result.requests += 1
            verdict = await self._services.gateway.send(Route(text.route), request)
            if verdict.outcome not in (Outcome.THROTTLED, Outcome.NOT_SENT, Outcome.IN_DOUBT):
                return verdict
            if verdict.outcome is Outcome.THROTTLED or verdict.retry_after:
                await self._services.pace.slow_down(verdict.retry_after or wait)
            await self._services.clock.sleep(wait)
            wait *= 2
        raise Unreachable("preflight_no_answer", found=verdict.detail, tries=TRIES)

    def _raise_if_halted(self, verdict: Verdict) -> None:
        if verdict.outcome is not Outcome.HALT:
            return
        halt: Halt = halt_of(verdict)
        if halt.account_wide:
            stop_campaign(self._ledger, self._campaign, halt, self._services.clock.now())
        raise Halted("preflight_halted", campaign=self._campaign.id, found=verdict.detail, stop=halt.stop)


def _batches(texts: list[DistinctText], size: int) -> Iterator[list[DistinctText]]:
    for start in itertools.count(0, size):
        batch = texts[start : start + size]
        if not batch:
            return
        yield batch
