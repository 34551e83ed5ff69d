"""Preflight: every distinct (route, sender, text) is seen by a dry run before anything real goes out.

A real send of a forbidden text blocklists the account and costs money; a dry run of it only answers 2044.  Only a 201
screens a text: after another answer (a number the gateway does not like, say) the next row with the same text is tried,
and a text without any row left to try is not sent.  Dry runs go alone until one is accepted, which must come back as a
dry run, so a gateway that does not know the option sends one message at most.  Screenings are remembered per account
for a day.

Mode auto screens every text up to a number of texts, and above it a covering set (:mod:`dispatcher.sending.covering`):
then every word and every two neighbouring words have been in a text that passed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from dispatcher.campaign.reasons import Reason
from dispatcher.errors import UsageError
from dispatcher.ledger import CampaignView, DistinctText, Screening
from dispatcher.sending.screening import PASSED, Disagreement, PreflightResult, Screener
from dispatcher.sending.selection import Key, key_of, select_texts, uncovered
from dispatcher.sending.services import Services

__all__ = ["Disagreement", "Mode", "Preflight", "PreflightChoice", "PreflightResult"]

REMEMBERED_FOR = timedelta(hours=24)
AT_ONCE = 256  # dry runs on their way
BATCH = 64  # screenings remembered in one transaction
TELL_EVERY = 0.2  # seconds between two words about the progress
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
    def of(cls, campaign: CampaignView) -> PreflightChoice:
        """What the campaign was launched with."""
        return cls.from_text(str(campaign.options.get("preflight", Mode.AUTO)))

    @classmethod
    def from_text(cls, text: str) -> PreflightChoice:
        """From ``auto``, ``auto:N``, ``all``, ``none``, ``sample:N``; UsageError for anything else."""
        name, _, number = text.strip().lower().partition(":")
        if name == Mode.SAMPLE and number.isdecimal() and int(number) > 0:
            return cls(Mode.SAMPLE, int(number))
        if name == Mode.AUTO and number.isdecimal():
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


class Preflight:
    """Screens the texts of one campaign that are still ready to be sent.  :meth:`run` does it."""

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
        self._told_at = 0.0
        self.result = PreflightResult()
        self._screener = Screener(services, campaign, self.result)

    async def run(self, starts: Callable[[PreflightResult], None]) -> PreflightResult:
        """Screen everything that is not remembered; ``starts`` hears how much that is before the bulk begins.

        Raises Halted (token, payment, blocklisted, a dry run that was none) or Unreachable; what was screened is kept.
        """
        texts = await self._chosen()
        told = False
        try:
            rest = await self._first_alone(texts)
            await self._screener.believe()
            while texts:
                todo = await self._unknown(rest)
                self.result.to_screen = self.result.done + len(todo)
                self.result.remembered += len(rest) - len(todo)
                rate = self._services.pace.rate
                self.result.seconds = len(todo) / rate if rate else None
                if not told:
                    starts(self.result)
                    told = True
                await self._screen_all(todo)
                await self._screener.believe()
                texts = rest = await self._uncovered(texts)
        finally:
            await self._screener.keep()
        self.result.forbidden = sorted(set(self.result.forbidden))
        now, tell = self._services.clock.now(), self._ledger.forecasts.tell_dry_runs
        await self._services.ledger(tell, self._campaign.id, self.result.prices.routes, now)
        return self.result

    async def _first_alone(self, texts: Sequence[DistinctText]) -> Sequence[DistinctText]:
        """One dry run at a time until one is accepted: is the option understood, and whose token is this?

        Gives the texts that are left.  A refusal answers neither question, so the next dry run is alone again.
        """
        for done, text in enumerate(texts):
            if self._screener.echoed:
                return texts[done:]
            await self._screener.screen(text)
        return []

    async def _screen_all(self, texts: Sequence[DistinctText]) -> None:
        """Many at a time, each under the pace; the first failure ends them all."""
        waiting = iter(texts)

        async def screen_next() -> None:
            for text in waiting:
                await self._screener.screen(text)
                await self._screener.keep(at_least=BATCH)
                self._tell()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(texts))):
                    group.create_task(screen_next())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        await self._screener.keep()
        self._progress(self.result)

    def _tell(self) -> None:
        now = self._services.clock.monotonic()
        if now - self._told_at >= TELL_EVERY:
            self._told_at = now
            self._progress(self.result)

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
        passed, forbidden = self._screener.passed, set[Key]()
        if self._screener.account is not None:
            reason, since = str(Reason.FORBIDDEN_TEXT), now - REMEMBERED_FOR
            forbidden = await ledger(
                screenings.known_as, reason, self._campaign.gateway, self._screener.account, since
            )
        if not forbidden and all(key_of(text) in passed for text in screened):
            return []
        return await ledger(uncovered, screenings, self._campaign, passed, forbidden)

    async def _unknown(self, texts: Sequence[DistinctText]) -> list[DistinctText]:
        """Those of the texts that no remembered answer is about; what the others' answers say is written down."""
        remembered = await self._remembered(texts)
        self._screener.passed.update(key for key, seen in remembered.items() if seen.outcome == PASSED)
        for text in texts:
            seen = remembered.get(key_of(text))
            if seen is not None and seen.outcome == Reason.FORBIDDEN_TEXT:
                await self._screener.forbid(text)
            elif seen is not None:
                self.result.prices.add(text, seen.price)
        return [text for text in texts if key_of(text) not in remembered]

    async def _remembered(self, texts: Iterable[DistinctText]) -> dict[Key, Screening]:
        if self._screener.account is None:
            return {}
        since = self._services.clock.now() - REMEMBERED_FOR
        keys = [key_of(text) for text in texts]
        known = await self._services.ledger(
            self._ledger.screenings.known, self._campaign.gateway, self._screener.account, since, keys
        )
        # only what passed, or is forbidden, is an answer about the text; a refused number must be tried again
        answers = (PASSED, Reason.FORBIDDEN_TEXT)
        return {key: screening for key, screening in known.items() if screening.outcome in answers}
