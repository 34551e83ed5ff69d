"""A receiver of callbacks on a real socket, and a gateway's hand that posts to it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import uvicorn

from dispatcher.delivery.filing import Filing, Told
from dispatcher.delivery.receiver import PATH, Bounds, Ledgers, Outcome, Receiver
from dispatcher.gateway.signing import SIGNATURE_HEADER, Signer
from dispatcher.ledger import InDoubt, Ledger, RowState
from dispatcher.sending.services import LedgerThread
from tests.unit.loaded import START, load_campaign, loadable_row

SECRET = "a secret that nobody guesses"


class Hands:
    """Both clocks, moved by the test alone."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed


class Post:
    """One ledger, the receiver of its callbacks, and what a gateway posts there."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.clock = Hands()
        self.signer = Signer(SECRET)
        self.outcomes: Counter[Outcome] = Counter()
        self.batches: list[int] = []
        self.before: Callable[[], None] = lambda: None  # runs on the ledger's thread, before every batch
        self.before_tidying: Callable[[], None] = lambda: None
        self.url = ""
        self.client = httpx.Client(timeout=60)
        self._numbers = iter(range(1, 1_000))

    def campaign(self, rows: int = 3, *, gateway: str = "sandbox") -> int:
        """Rows 2 and on, under way, as `t` claimed them."""
        loaded = [loadable_row(number) for number in range(2, 2 + rows)]
        now, ledger = self.clock.now(), self.ledger
        campaign = load_campaign(ledger, next(self._numbers), loaded, now, gateway=gateway)
        ledger.campaigns.begin_preflight(campaign, now)
        ledger.campaigns.start_sending(campaign, now)
        deadline = now + timedelta(seconds=30)
        claimed = ledger.rows.claim(campaign, owner="o", token="t", limit=rows, deadline=deadline, now=now)
        assert len(claimed.rows) == rows
        return campaign

    def doubt(self, campaign: int, row: int) -> None:
        answer = InDoubt(token="t", row=row)
        self.ledger.rows.settle_and_claim(campaign, [answer], None, self.clock.now())

    def key(self, campaign: int, row: int) -> str:
        return f"{self.ledger.id}.{campaign}.{row}"

    def body(self, campaign: int, row: int, state: str = "DELIVERED", **other: Any) -> dict[str, Any]:
        """A message as the provider describes it."""
        body = {
            "id": f"m{campaign}-{row}",
            "username": "acme",
            "state": state,
            "recipient": f"+3933312{row:05d}",
            "message": f"Hello {row}",
            "encoding": "GSM-7",
            "messageCount": 1,
            "price": 0.04,
            "totalPrice": 0.04,
            "blocklisted": False,
            "options": {"dryRun": False},
            "callback": {"custom": {"row": self.key(campaign, row)}},
            "createdAt": "2026-03-02T09:00:00.000Z",
            "deliveredAt": "2026-03-02T09:00:05.000Z" if state == "DELIVERED" else None,
        }
        return body | other

    def signed(self, campaign: int, row: int) -> dict[str, str]:
        return {SIGNATURE_HEADER: self.signer.signature(self.key(campaign, row))}

    def tell(self, campaign: int, row: int, state: str = "DELIVERED", **other: Any) -> int:
        """Post a callback; gives the status."""
        body = self.body(campaign, row, state, **other)
        return self.client.post(self.url, json=body, headers=self.signed(campaign, row)).status_code

    def state(self, campaign: int, row: int) -> RowState:
        return next(each.state for each in self.ledger.queries.report_rows(campaign) if each.row == row)

    @contextmanager
    def open(self, bounds: Bounds | None = None) -> Iterator[Post]:
        """Answering at ``url`` while the block lasts."""
        thread, filing = LedgerThread(self.ledger), Filing(self.ledger, "sandbox")

        def work(told: Sequence[Told]) -> None:
            self.before()
            filing(told, self.clock.now())
            self.batches.append(len(told))

        async def file(told: Sequence[Told]) -> None:
            await thread(work, told)

        async def tidy() -> None:
            self.before_tidying()
            await thread(filing.tidy, self.clock.now())

        def count(outcome: Outcome) -> None:
            self.outcomes[outcome] += 1

        ledger = Ledgers(self.ledger.id, file, tidy, tidy_seconds=0.05)
        receiver = Receiver(ledger, self.signer, self.clock, count=count, bounds=bounds)
        try:
            with _served(receiver) as host:
                self.url = f"{host}{PATH}"
                yield self
        finally:
            thread.close()


@contextmanager
def _served(receiver: Receiver) -> Iterator[str]:
    config = uvicorn.Config(receiver.app, port=0, lifespan="on", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    ready = threading.Event()
    startup = server.startup

    async def started(sockets: Any = None) -> None:
        await startup(sockets)
        ready.set()

    server.startup = started  # type: ignore[method-assign]
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        assert ready.wait(30)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
