"""A stage for senders: a real ledger, a gateway that answers as told, time that passes when waited for."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import selectors
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest

from dispatcher.errors import Unreachable
from dispatcher.gateway.client import Page
from dispatcher.gateway.models import EchoedCallback, EchoedOptions, Message, OtpRequest, Route, SendRequest
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import (
    CampaignState,
    CampaignView,
    Event,
    Ledger,
    RowState,
)
from dispatcher.sending.books import CampaignFacts
from dispatcher.sending.dispatch import Lane, LaneLimits
from dispatcher.sending.services import LedgerThread, Services, Slots
from tests.unit.loaded import START, load_campaign, loadable_row

T = TypeVar("T")
ACCOUNT = "acme"
OWNER = "owner-1"


class VirtualClock:
    """Both clocks of a machine; they go on when everybody waits.  ``wall_ahead``: seconds the wall clock gained."""

    def __init__(self) -> None:
        self.elapsed = 1000.0
        self.wall_ahead = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed - 1000.0 + self.wall_ahead)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        # asyncio takes the next billionth of a second for now: two who wait for less would never see time pass
        await asyncio.sleep(max(1e-6, seconds) if seconds > 0 else 0.0)


class _Selector(selectors.SelectSelector):
    """Instead of waiting, time passes; a program that waits for nothing fails instead of hanging."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everybody waits for something that never comes")
        self._clock.elapsed += max(0.0, timeout)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_Selector(clock))
        self._virtual = clock

    def time(self) -> float:
        return self._virtual.elapsed


class InlineLedger(LedgerThread):
    """The ledger on the loop's own thread.  ``fail_next``: so many calls of a function are refused as busy;
    ``lose_next``: so many are done, and their answer is lost.

    ``slow``: seconds every call takes.
    """

    def __init__(self, ledger: Ledger, clock: VirtualClock) -> None:
        super().__init__(ledger)
        self._clock = clock
        self.fail_next: Counter[str] = Counter()
        self.lose_next: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.slow = 0.0

    async def __call__(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        await asyncio.sleep(self.slow)
        name = getattr(function, "__name__", "")
        self.calls[name] += 1
        if self.fail_next[name]:
            self.fail_next[name] -= 1
            raise Unreachable("ledger_locked", file="ledger.db", found="SQLITE_BUSY")
        result = function(*args, **kwargs)
        if self.lose_next[name]:
            self.lose_next[name] -= 1
            raise Unreachable("ledger_server_unreachable", file="ledger", found="OperationalError")
        return result


class VirtualPace:
    """Evenly spaced slots over the virtual clock."""

    def __init__(self, clock: VirtualClock, rate: float | None = 100.0) -> None:
        self._clock = clock
        self.rate = rate
        self.next_at = 0.0
        self.blocked_until = 0.0
        self.taken = 0
        self.slowed: list[float] = []
        self.broken = False

    async def reserve(self, n: int) -> Slots:
        self._check()
        now = self._clock.elapsed
        if self.blocked_until > now:
            return Slots([], self.blocked_until - now)
        interval = 1 / self.rate if self.rate else 0.0
        reach = max(1.0, 4 * interval)
        first = max(now, self.next_at)
        granted = (
            min(n, int((now + reach - first) / interval) + 1 if interval else n)
            if first <= now + reach
            else 0
        )
        self.next_at = first + granted * interval
        self.taken += granted
        return Slots([first - now + i * interval for i in range(granted)], max(0.01, first - reach - now))

    async def slow_down(self, seconds: float) -> None:
        self._check()
        self.slowed.append(seconds)
        self.blocked_until = max(self.blocked_until, self._clock.elapsed + seconds)

    def _check(self) -> None:
        if self.broken:
            raise Unreachable("pace_unreachable", file="pace.db", found="SQLITE_BUSY")


@dataclass(frozen=True)
class Sent:
    """One request as it came in."""

    route: Route
    request: SendRequest
    at: float

    @property
    def dry_run(self) -> bool:
        return bool(self.request.options and self.request.options.dry_run)


Answer = Verdict | None
Answering = Callable[[Sent], "Answer | Awaitable[Answer]"]


@dataclass
class FakeGateway:
    """Answers as told: ``answering`` gives a verdict, or None for an acceptance; what is accepted is listed."""

    clock: VirtualClock
    answering: Answering = lambda sent: None
    username: str | None = ACCOUNT
    latency: float = 0.05
    newest_first: bool = True
    lists_dry_runs: bool = False
    lag: float = 0.0
    cap: int = 100
    skew: timedelta = timedelta(0)
    sends_date: bool = True
    requests: list[Sent] = field(default_factory=list)
    listed: list[Message] = field(default_factory=list)
    pages_read: int = 0
    asked_for: list[str] = field(default_factory=list)  # by id, one by one
    before_page: Callable[[int, int], Any] = lambda skip, limit: None
    unreadable: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def send(self, route: Route, request: SendRequest) -> Verdict:
        sent = Sent(route, request, self.clock.elapsed)
        self.requests.append(sent)
        answer = self.answering(sent)
        if inspect.isawaitable(answer):
            answer = await answer
        else:
            await asyncio.sleep(self.latency)
        return answer if answer is not None else self.accept(sent)

    def accept(self, sent: Sent, **other: Any) -> Verdict:
        """Accepted for good, and listed."""
        message = self.make(sent.request.recipient, sent.request.message, dry_run=sent.dry_run, **other)
        if not sent.dry_run or self.lists_dry_runs:
            self.listed.append(message)
        return Verdict(Outcome.ACCEPTED, message=message, http_status=201)

    def make(
        self, recipient: str, text: str, *, dry_run: bool = False, key: str | None = None, **other: Any
    ) -> Message:
        values: dict[str, Any] = {
            "id": f"m{next(self._numbers)}",
            "username": self.username,
            "recipient": recipient,
            "message": text,
            "created_at": self.clock.now() + self.skew,
            "message_count": 1,
            "encoding": "GSM-7",
            "total_price": Decimal("0.045"),
            "options": EchoedOptions(dry_run=dry_run),
        }
        if key is not None:
            values["callback"] = EchoedCallback(custom={"row": key})
        return Message(**{**values, **other})

    async def messages(self, skip: int = 0, limit: int = 100) -> Page:
        self.pages_read += 1
        self.before_page(skip, limit)
        await asyncio.sleep(self.latency)
        shown_until = self.clock.now() + self.skew - timedelta(seconds=self.lag)
        shown = [m for m in self.listed if m.created_at is None or m.created_at <= shown_until]
        page = (shown[::-1] if self.newest_first else shown)[skip : skip + min(limit, self.cap)]
        date = (self.clock.now() + self.skew).replace(microsecond=0) if self.sends_date else None
        return Page(
            tuple(page), date, self.unreadable if page else 0, len(page) + (self.unreadable if page else 0)
        )

    async def send_otp(self, request: OtpRequest) -> Verdict:
        raise NotImplementedError

    async def message(self, message_id: str) -> Message | None:
        self.asked_for.append(message_id)
        await asyncio.sleep(self.latency)
        return next((message for message in self.listed if message.id == message_id), None)

    @property
    def real(self) -> list[Sent]:
        return [sent for sent in self.requests if not sent.dry_run]

    @property
    def times_sent(self) -> Counter[tuple[str, str]]:
        """How often each (recipient, text) was accepted."""
        return Counter((str(m.recipient), str(m.message)) for m in self.listed if not m.is_dry_run)


class Stage:
    """Everything a sender needs, and shortcuts to look at what it did."""

    def __init__(self, ledger_url: str) -> None:
        self.clock = VirtualClock()
        self.ledger = Ledger.open(ledger_url, create=True)
        self.thread = InlineLedger(self.ledger, self.clock)
        self.gateway = FakeGateway(self.clock)
        self.pace = VirtualPace(self.clock)
        self.stop = False
        self._numbers = itertools.count(1)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def services(self, **other: Any) -> Services:
        values = {
            "ledger": self.thread,
            "gateway": self.gateway,
            "pace": self.pace,
            "clock": self.clock,
            "owner": OWNER,
        }
        return Services(**{**values, **other})

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end, in virtual time."""
        with asyncio.Runner(loop_factory=lambda: _Loop(self.clock)) as runner:
            return runner.run(work)

    def row(self, number: int, **other: Any) -> tuple[Any, ...]:
        return loadable_row(number, **other)

    def campaign(
        self,
        rows: int | Sequence[tuple[Any, ...]],
        *,
        started: bool = True,
        account: str | None = None,
        max_cost: Decimal | None = None,
        gateway: str = "sandbox",
        **options: Any,
    ) -> int:
        """A loaded campaign; ``rows`` is how many, or the rows themselves."""
        loaded = [self.row(n) for n in range(2, 2 + rows)] if isinstance(rows, int) else list(rows)
        facts = {"options": options, "max_cost": max_cost, "gateway": gateway, "owner": OWNER}
        campaign = load_campaign(self.ledger, next(self._numbers), loaded, self.now, **facts)
        assert self.ledger.campaigns.begin_preflight(campaign, self.now)
        if account is not None:
            assert self.ledger.campaigns.set_account(campaign, account, self.now)
        if started:
            assert self.ledger.campaigns.start_sending(campaign, self.now)
        return campaign

    def facts(self, campaign: int, **other: Any) -> CampaignFacts:
        view = self.view(campaign)
        values: dict[str, Any] = {
            "id": campaign,
            "gateway": view.gateway,
            "account": view.account,
            "single_part": False,
            "guard_since": None,
            "row_key": lambda row: f"{self.ledger.id}.{campaign}.{row}",
            "capped": view.max_cost is not None,
        }
        return CampaignFacts(**{**values, **other})

    def lane(self, campaign: int, *, limits: LaneLimits | None = None, **other: Any) -> Lane:
        services = other.pop("services", None) or self.services()
        facts = other.pop("facts", None) or self.facts(campaign)
        return Lane(services, facts, lambda: self.stop, limits or LaneLimits(slice_seconds=3600.0), **other)

    def view(self, campaign: int) -> CampaignView:
        return self.ledger.queries.campaign(campaign)

    def state(self, campaign: int) -> tuple[CampaignState, str | None]:
        view = self.view(campaign)
        return view.state, view.state_reason

    def counts(self, campaign: int) -> dict[RowState, int]:
        return self.ledger.queries.counts(campaign)

    def rows(self, campaign: int, columns: str = "state") -> list[Any]:
        """What the database itself says, in row order, through a connection of its own."""
        found = self.sql(f"SELECT {columns} FROM rows WHERE campaign_id = ? ORDER BY row", campaign)
        return [row[0] if len(row) == 1 else row for row in found]

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Done behind the ledger's back; ``?`` stands for a value."""
        with closing(self._connect()) as connection:
            cursor = connection.execute(
                statement if self.ledger.path else statement.replace("?", "%s"), values
            )
            found = cursor.fetchall() if cursor.description else []
            connection.commit()
        return [tuple(row) for row in found]

    def _connect(self) -> Any:
        if self.ledger.path:
            return sqlite3.connect(self.ledger.path)
        url = self.ledger._database.url  # the ledger's own is without its password
        return psycopg.connect(
            host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database
        )

    def states(self, campaign: int) -> list[RowState]:
        return [RowState(state) for state in self.rows(campaign)]

    def events(self, kind: str) -> list[Event]:
        return list(self.ledger.events.of(kind=kind))


@contextmanager
def _stage_at(url: str) -> Iterator[Stage]:
    opened = Stage(url)
    try:
        yield opened
    finally:
        opened.ledger.dispose()


@pytest.fixture(scope="session")
def open_stage() -> Callable[[Path], Any]:
    """For tests that need stages of their own, on files: a context manager."""
    return lambda folder: _stage_at(f"sqlite:///{folder / 'ledger.db'}")


@pytest.fixture
def open_any_stage(new_ledger: Callable[[Path], AbstractContextManager[str]]) -> Callable[[Path], Any]:
    """The same, on files and then on a server."""

    @contextmanager
    def opened(folder: Path) -> Iterator[Stage]:
        with new_ledger(folder) as url, _stage_at(url) as stage:
            yield stage

    return opened


@pytest.fixture
def stage(open_any_stage: Callable[[Path], Any], tmp_path: Path) -> Iterator[Stage]:
    with open_any_stage(tmp_path) as opened:
        yield opened
