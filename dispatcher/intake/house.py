"""What a launch works with, handed in by the composition root, and whom it talks to."""

from __future__ import annotations

import random
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Protocol, TypeVar

from dispatcher.campaign.forbidden import ForbiddenWords
from dispatcher.campaign.plan import Planner
from dispatcher.campaign.prices import Bill, Funds, PriceBook
from dispatcher.errors import DispatcherError, FileError, UsageError
from dispatcher.gateway.account import Account
from dispatcher.intake.superseding import Older
from dispatcher.ledger import CampaignView, Ledger
from dispatcher.ledger.forecasts import Foretold
from dispatcher.report.write import ReportWritten
from dispatcher.sending.canary import Judgement
from dispatcher.sending.owners import Owners
from dispatcher.sending.preflight import PreflightResult
from dispatcher.sending.reconcile import Outlook, Reconciler
from dispatcher.sending.services import Clock, Services

R = TypeVar("R")


class AccountAsker(Protocol):
    """Whom to ask about the account behind the gateway.  Raises Unreachable or Halted."""

    def ask(self, question: Callable[[Account], Awaitable[R]]) -> R: ...


class Sender(Protocol):
    """Running senders in this process."""

    def enqueue(self, campaign_id: int) -> None:
        """Start a lane of the campaign, unless one is running or queued."""

    def reconcile(self, campaign_id: int) -> Outlook | None:
        """Look for rows in doubt when it is time to; gives what the last look showed, None before the first."""

    def gave_up(self, campaign_id: int) -> DispatcherError | None:
        """Why looking for rows in doubt is of no use for now."""

    @property
    def failure(self) -> BaseException | None:
        """What a lane failed with, when that was no error of dispatcher's tree or left it unable to go on."""


@dataclass(frozen=True)
class House:
    """The parts of the program, put together."""

    ledger: Ledger
    gateway: str
    default_region: str
    clock: Clock
    owner: str
    owners: Owners
    inputs: Path
    book: PriceBook
    funds: Funds
    guard: timedelta
    rng: random.Random
    services: Callable[[], AbstractAsyncContextManager[Services]]
    reconciler: Callable[[Services, timedelta | None], Reconciler]
    sender: Callable[[threading.Event], AbstractContextManager[Sender]]
    write_report: Callable[[CampaignView, Path | None], ReportWritten]
    forbidden: ForbiddenWords | None = None
    ask_funds: Callable[[Funds, str], Funds] | None = (
        None  # adds what the account says, for prices in a currency
    )
    account: Callable[[], AccountAsker | None] | None = None  # None of it: its credentials are not set
    has_workers: Callable[[], bool] | None = None  # whether anybody sends; None where this process does
    zone_is_chosen: bool = False  # somebody set the time zone; else it is this machine's

    def report_if_possible(
        self, campaign: CampaignView, folder: Path | None
    ) -> tuple[ReportWritten | None, DispatcherError | None]:
        """The report, or why there is none: what was sent is sent even so."""
        try:
            return self.write_report(campaign, folder), None
        except (FileError, UsageError) as error:
            return None, error


@dataclass(frozen=True)
class Question:
    """What a person says yes or no to, before anything real goes out."""

    campaign: int
    gateway: str
    sender: str | None
    row: int
    recipient: str
    text: str
    text_parts: int
    messages: int
    people: int
    parts: int
    cost: Decimal | None
    unpriced_rows: int
    currency: str
    max_cost: Decimal | None
    committed: Decimal  # spent or reserved by what was sent before
    dearest: Decimal | None = None  # what the gateway's own prices make of ``cost``, when that is more
    foretold: Foretold | None = None  # what the dry runs said, bundles aside


@dataclass(frozen=True)
class OtherTexts:
    """``people`` of the ``out_of`` about to get a text got another one from ``campaign`` within the guard days."""

    campaign: CampaignView
    people: int
    out_of: int


class Approval(Protocol):
    """Whether somebody else's word is needed before a campaign is sent for the first time, and given."""

    def is_given(self, question: Question, other_texts: OtherTexts | None) -> bool:
        """False leaves the campaign waiting for approval; True may have raised its limit to what was approved."""


@dataclass(frozen=True)
class Progress:
    """How far a campaign is.  ``rate`` is messages a second lately, ``left`` seconds, None while unknown."""

    total: int
    sent: int
    refused: int
    in_doubt: int
    ready: int
    rate: float | None
    left: float | None


@dataclass(frozen=True)
class Delivering:
    """What became of a campaign's messages so far, and until when it is waited for."""

    delivered: int
    failed: int
    on_the_way: int
    until: datetime


class Watcher(Protocol):
    """Somebody who watches a launch: a terminal, a log."""

    def going_on(self, campaign: CampaignView) -> None: ...

    def planned(self, planner: Planner, bill: Bill) -> None: ...

    def loading(self, rows: int) -> None: ...

    def preflight_starts(self, result: PreflightResult) -> None: ...

    def confirm_preflight(self, campaign: int, result: PreflightResult) -> bool: ...

    def silence(self, gateway: str, seconds: float) -> None: ...

    def preflight(self, result: PreflightResult) -> None: ...

    def preflight_ends(self, result: PreflightResult) -> None: ...

    def warn(self, name: str) -> None: ...

    def listed(self, rows: Mapping[str, int]) -> None: ...

    def other_texts(self, found: OtherTexts) -> None: ...

    def older_versions(self, found: Sequence[Older]) -> None:
        """Campaigns of the same list that still wait; what is replaced is withdrawn once this one is set going."""

    def confirm(self, question: Question) -> bool: ...

    def sending(self, progress: Progress) -> None: ...

    def doubts(self, outlook: Outlook, in_doubt: int) -> None: ...

    def waiting(self, until: datetime, rows: int) -> None:
        """Nothing is due before ``until``; ``rows`` are ready."""

    def pausing(self) -> None: ...

    def delivering(self, seen: Delivering) -> None: ...

    def canary_begins(self, rows: int, wait: timedelta) -> None:
        """So many rows go first; what becomes of them is waited for so long at most."""

    def canary_ends(self, judgement: Judgement) -> None: ...
