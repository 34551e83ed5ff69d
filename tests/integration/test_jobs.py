"""The embedded broker, its actors and the sender, against a real gateway over HTTP and a real ledger."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dispatcher.errors import Unreachable
from dispatcher.gateway.client import Gateway, GatewayConfig
from dispatcher.gateway.simulator import Fault, Faults, Simulator, SimulatorConfig, SimulatorThread
from dispatcher.ledger import ROW_COLUMNS, CampaignState, Ledger, NewCampaign, RowState, Totals
from dispatcher.sending.dispatch import LaneEnd, LaneLimits
from dispatcher.sending.reconcile import Reconciler, Standing
from dispatcher.sending.services import LedgerThread, Services, Slots, SystemClock
from jobs.actors import declare_send_lane
from jobs.queue import Queue, embedded_queue, redis_queue
from jobs.sender import EmbeddedSender
from jobs.worker import EmbeddedWorker
from tests.servers.valkey import Valkey

R = RowState
PATIENCE = 60.0  # seconds until a condition that has to come true is given up


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.005)


class Steady:
    """So many slots a second."""

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self.blocked = False
        self._next = 0.0

    async def reserve(self, n: int) -> Slots:
        if self.blocked:
            return Slots([], 900.0)
        if self.rate is None:
            return Slots([0.0] * n, 0.0)
        now = time.monotonic()
        first = max(now, self._next)
        if first > now + 0.5:
            return Slots([], first - now - 0.4)
        self._next = first + n / self.rate
        return Slots([first - now + i / self.rate for i in range(n)], 0.01)

    async def slow_down(self, seconds: float) -> None: ...


class House:
    """A ledger, a gateway, and senders on them."""

    def __init__(self, folder: Path, simulator: Simulator, url: str) -> None:
        self.folder = folder
        self.simulator = simulator
        self.url = url
        self.ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", create=True)
        self.pace = Steady(None)
        self.timeout = 20.0
        self._campaigns = 0

    def campaign(self, rows: int) -> int:
        """A campaign under way; its texts name it."""
        self._campaigns += 1
        now, number = datetime.now(UTC), self._campaigns
        new = NewCampaign(
            name=f"c{number}",
            file_name=f"c{number}.csv",
            file_sha256=str(number),
            gateway="here",
            fingerprint="f",
            owner="test",
        )
        campaign = self.ledger.loading.create_campaign(new, now)
        loaded = []
        for n in range(2, rows + 2):
            values = {
                **dict.fromkeys(ROW_COLUMNS),
                "row": n,
                "state": int(R.READY),
                "recipient": f"+39312{number:02d}{n:05d}",
                "route": "IT",
                "text": f"Campaign {number} row {n}",
                "parts": 1,
                "estimated_cost": 45_000,
                "reserve_cost": 45_000,
                "guard_key": (number * 100_000 + n).to_bytes(16, "big"),
                "repairs": 0,
            }
            loaded.append(tuple(values[name] for name in ROW_COLUMNS))
        self.ledger.loading.load_rows(campaign, loaded)
        totals = Totals(rows=rows, parts=rows, estimated_cost=Decimal(rows) * Decimal("0.045"))
        self.ledger.loading.finish_loading(campaign, totals, now)
        assert self.ledger.campaigns.begin_preflight(campaign, now)
        assert self.ledger.campaigns.start_sending(campaign, now)
        return campaign

    @contextmanager
    def sender(self, *, slices: float = 5.0, gateway: Any = None) -> Iterator[EmbeddedSender]:
        client = gateway or Gateway(GatewayConfig(self.url, SecretStr("simulator"), timeout=self.timeout))
        thread = LedgerThread(self.ledger)
        services = Services(thread, client, self.pace, SystemClock(), "owner", request_timeout=self.timeout)
        reconciler = Reconciler(
            services,
            "here",
            standing=lambda owner: Standing(may_live=True, quiet=timedelta(0)),
            absent_after=timedelta(0),
        )
        try:
            with EmbeddedSender(
                services,
                reconciler,
                lambda: False,
                client.aclose,
                gateway="here",
                guard=timedelta(days=7),
                limits=LaneLimits(slice_seconds=slices),
            ) as sender:
                yield sender
        finally:
            thread.close()

    def counts(self, campaign: int) -> dict[RowState, int]:
        return self.ledger.queries.counts(campaign)

    def accepted(self, campaign: int) -> int:
        return self.counts(campaign).get(R.ACCEPTED, 0)

    def received(self) -> Counter[str]:
        """Accepted texts, by campaign."""
        return Counter(text.split(" row ")[0] for _, text in self.simulator.sends().elements())


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    config = SimulatorConfig(**{"requests_per_minute": None, **getattr(request, "param", {})})
    with SimulatorThread(config) as thread:
        opened = House(tmp_path, thread.simulator, thread.url)
        yield opened
        opened.ledger.dispose()


# -- actors


@pytest.fixture(params=["embedded", "redis"])
def queue(request: pytest.FixtureRequest) -> Iterator[Queue]:
    if request.param == "embedded":
        yield embedded_queue()
        return
    valkey: Valkey = request.getfixturevalue("valkey")
    made = redis_queue(valkey.url(), "ledger", "gateway")
    yield made
    made.close()


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), Unreachable("ledger_locked"), TimeoutError(), KeyError("x")]
)
def test_no_exception_leaves_an_actor(queue: Queue, error: Exception) -> None:
    heard: list[tuple[int, BaseException]] = []
    runs: list[int] = []

    async def fail(campaign: int, lane: int = 0) -> LaneEnd:
        runs.append(campaign)
        raise error

    async def close() -> None: ...

    def on_bug(campaign: int, found: BaseException) -> None:
        heard.append((campaign, found))

    enqueue_lane = declare_send_lane(queue, fail, on_bug)
    with EmbeddedWorker(queue.broker, close):
        enqueue_lane(7, 0)
        wait_until(lambda: heard)
        queue.broker.join("lanes", timeout=int(PATIENCE * 1000))
    assert heard == [(7, error)]
    assert runs == [7]  # the broker does not run it again
    assert queue.board.start(7, 0) is not None  # nor believe that it is still on its way


def test_a_lane_enqueues_itself_again_while_there_is_more(queue: Queue) -> None:
    ends = [LaneEnd.MORE] * 20 + [LaneEnd.DRAINED]
    runs: list[tuple[int, int]] = []
    done = threading.Event()

    async def run(campaign: int, lane: int) -> LaneEnd:
        runs.append((campaign, lane))
        if len(runs) == len(ends):
            done.set()
        return ends[len(runs) - 1]

    async def close() -> None: ...

    enqueue = declare_send_lane(queue, run, lambda campaign, error: None)
    with EmbeddedWorker(queue.broker, close):
        enqueue(3, 1)
        assert done.wait(PATIENCE)
        queue.broker.join("lanes", timeout=int(PATIENCE * 1000))
    assert runs == [(3, 1)] * 21


def test_close_runs_on_the_loop_of_the_lanes(queue: Queue) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def run(campaign: int, lane: int) -> LaneEnd:
        loops.append(asyncio.get_running_loop())
        return LaneEnd.DRAINED

    async def close() -> None:
        loops.append(asyncio.get_running_loop())

    enqueue = declare_send_lane(queue, run, lambda campaign, error: None)
    with EmbeddedWorker(queue.broker, close):
        enqueue(1, 0)
        wait_until(lambda: loops)
    assert len(loops) == 2
    assert loops[0] is loops[1]
    assert loops[0].is_closed()


def test_importing_starts_nothing() -> None:
    program = "import threading, jobs.actors, jobs.broker, jobs.sender, jobs.worker; print(threading.active_count())"
    repository = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=repository, check=True
    )
    assert ended.stdout.strip() == "1"


INTERRUPTED = """
import asyncio, os, signal, threading
from jobs.actors import declare_send_lane
from jobs.queue import Queue, embedded_queue, redis_queue
from jobs.worker import EmbeddedWorker

# a process started in a shell's background inherits that SIGINT is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
started = threading.Event()
queue = embedded_queue()

async def run(campaign, lane):
    started.set()
    await asyncio.sleep(3600)

async def close():
    pass

enqueue = declare_send_lane(queue, run, lambda campaign, error: None)
try:
    with EmbeddedWorker(queue.broker, close):
        enqueue(1, 0)
        started.wait()
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
except KeyboardInterrupt:
    print("left", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_second_interrupt_leaves_at_once_and_nothing_keeps_the_process() -> None:
    repository = Path(__file__).parents[2]
    command = [sys.executable, "-c", INTERRUPTED]
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=repository, timeout=PATIENCE, check=False
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, "left")


# -- sending


@pytest.mark.parametrize("slices", [0.05, 5.0])
def test_two_campaigns_share_one_worker_and_both_progress(house: House, slices: float) -> None:
    first, second = house.campaign(150), house.campaign(150)
    house.pace.rate = 200.0
    with house.sender(slices=slices) as sender:

        def both_done() -> bool:
            for campaign in (first, second):
                sender.enqueue(campaign)
            assert sender.failure is None
            return house.accepted(first) == house.accepted(second) == 150

        wait_until(both_done)
    assert house.received() == {"Campaign 1": 150, "Campaign 2": 150}
    assert set(house.simulator.sends().values()) == {1}
    order = [message.message.split(" row ")[0] for message in house.simulator.received()]
    half = Counter(order[:150])
    assert min(half["Campaign 1"], half["Campaign 2"]) > 30  # they took turns


def test_more_campaigns_than_threads_take_turns(house: House) -> None:
    campaigns = [house.campaign(20) for _ in range(12)]
    house.pace.rate = 300.0
    with house.sender(slices=0.05) as sender:

        def all_done() -> bool:
            for campaign in campaigns:
                sender.enqueue(campaign)
            return all(house.accepted(campaign) == 20 for campaign in campaigns)

        wait_until(all_done)
        assert sender.failure is None
    assert set(house.simulator.sends().values()) == {1}


def test_enqueuing_again_and_again_does_no_harm(house: House) -> None:
    campaign = house.campaign(100)
    house.pace.rate = 400.0
    with house.sender(slices=0.05) as sender:
        while house.accepted(campaign) < 100:
            sender.enqueue(campaign)
            assert sender.failure is None
    assert set(house.simulator.sends().values()) == {1}


@pytest.mark.parametrize("slices", [0.05, 5.0])
@pytest.mark.parametrize(
    "house", [{"faults": Faults(latency=(0.3, 0.6))}], indirect=True, ids=["answers that take a while"]
)
def test_leaving_settles_what_is_in_flight(house: House, slices: float) -> None:
    campaigns = [house.campaign(300) for _ in range(3)]
    house.pace.rate = 150.0
    with house.sender(slices=slices) as sender:
        for campaign in campaigns:
            sender.enqueue(campaign)
        wait_until(lambda: house.simulator.stats()["accepted"] > 30)
    assert sender.failure is None
    for number, campaign in enumerate(campaigns, start=1):
        assert set(house.counts(campaign)) <= {R.ACCEPTED, R.READY}
        assert house.accepted(campaign) == house.received()[f"Campaign {number}"]
    after = sum(house.received().values())
    assert after < 900
    assert sum(house.received().values()) == after


class BrokenGateway:
    """A client with a bug: the tenth send raises."""

    def __init__(self, inner: Gateway) -> None:
        self._inner = inner
        self.sends = 0

    async def send(self, *args: Any) -> Any:
        self.sends += 1
        if self.sends == 10:
            raise RuntimeError("a bug")
        return await self._inner.send(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_a_lane_that_fails_holds_its_campaign_and_leaving_does_not_hang(house: House) -> None:
    campaign = house.campaign(200)
    house.pace.rate = 100.0
    gateway = BrokenGateway(Gateway(GatewayConfig(house.url, SecretStr("simulator"))))
    with house.sender(gateway=gateway) as sender:
        sender.enqueue(campaign)
        wait_until(lambda: sender.failure)
    assert isinstance(sender.failure, RuntimeError)
    view = house.ledger.queries.campaign(campaign)
    assert (view.state, view.state_reason) == (CampaignState.HELD, "bug")
    counts = house.counts(campaign)
    assert counts[R.IN_DOUBT] == 1
    assert R.SENDING not in counts
    assert counts[R.ACCEPTED] == sum(house.received().values())


def test_a_campaign_that_is_not_there_is_a_failure_and_no_end_of_the_others(house: House) -> None:
    campaign = house.campaign(20)
    with house.sender() as sender:
        sender.enqueue(999)
        wait_until(lambda: sender.failure)
        sender.enqueue(campaign)
        wait_until(lambda: house.accepted(campaign) == 20 or sender.enqueue(campaign))


@pytest.mark.parametrize(
    "house", [{"faults": Faults(schedule={3: Fault.RESET_AFTER})}], indirect=True, ids=["one lost"]
)
def test_leaving_does_not_wait_for_a_listing_that_cannot_be_read_for_minutes(house: House) -> None:
    campaign = house.campaign(5)
    with house.sender() as sender:
        sender.enqueue(campaign)
        wait_until(lambda: house.counts(campaign).get(R.IN_DOUBT))
        house.pace.blocked = True  # a 429 with Retry-After: 900, say
        wait_until(lambda: sender.reconcile(campaign) is not None or sender._crew.doubts.is_looking(campaign))
    assert sender.failure is None


# -- lost answers


@pytest.mark.parametrize(
    "house",
    [
        {
            "faults": Faults(rates=rates),
            "listing_order": order,
            "limit_cap": cap,
            "lists_dry_runs": listed,
            "seed": 5,
        }
        for rates, order, cap, listed in [
            ({Fault.RESET_AFTER: 0.1}, "newest", 100, False),
            ({Fault.RESET_BEFORE: 0.05, Fault.ERROR_AFTER: 0.05}, "oldest", 7, True),
            ({Fault.ERROR_BEFORE: 0.05, Fault.HALF_ANSWER: 0.05, Fault.GARBAGE: 0.02}, "newest", 11, True),
            ({Fault.CLOSE_AFTER: 0.05, Fault.HALF_HEADER: 0.05, Fault.THROTTLED: 0.03}, "oldest", 1, False),
        ]
    ],
    indirect=True,
    ids=["resets", "errors", "halves", "closed"],
)
def test_what_is_lost_is_found_or_sent_again_exactly_once(house: House) -> None:
    campaign = house.campaign(120)
    house.pace.rate = 300.0
    with house.sender() as sender:

        def settled() -> bool:
            sender.enqueue(campaign)
            counts = house.counts(campaign)
            if counts.get(R.IN_DOUBT):
                sender.reconcile(campaign)
            assert sender.failure is None
            return house.accepted(campaign) == 120

        wait_until(settled)
    assert house.counts(campaign) == {R.ACCEPTED: 120}
    assert len(house.simulator.sends()) == 120
    assert set(house.simulator.sends().values()) == {1}
