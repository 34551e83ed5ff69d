"""The pace: one contract, in a file and in Redis; and in Redis whatever happens to the server.

By the clocks there are: what the file does at made-up times is with the ledger's tests.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dispatcher.errors import Unreachable, UsageError
from dispatcher.ledger.pace import MAX_SLOW_DOWN, Reservation, SqlitePace
from jobs.pacing import PREFIX, RedisPace
from tests.servers.proxy import Proxy
from tests.servers.valkey import Valkey, ValkeyServer

Make = Callable[..., RedisPace]
Pace = RedisPace | SqlitePace
MakeAny = Callable[..., Pace]


@pytest.fixture
def key() -> str:
    return "gateway"


@pytest.fixture
def make(valkey: Valkey) -> Iterator[Make]:
    made: list[RedisPace] = []

    def new(
        limit: int = 600, url: str | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> RedisPace:
        made.append(
            RedisPace(url or valkey.url(), limit_per_minute=limit, clock=time.time, monotonic=monotonic)
        )
        return made[-1]

    yield new
    for pace in made:
        pace.close()


@pytest.fixture
def make_file(tmp_path: Path) -> Iterator[MakeAny]:
    made: list[SqlitePace] = []

    def new(limit: int = 600) -> SqlitePace:
        made.append(SqlitePace(tmp_path / "pace.db", limit_per_minute=limit, clock=time.time))
        return made[-1]

    yield new
    for pace in made:
        pace.close()


@pytest.fixture(params=["file", "redis"])
def make_any(request: pytest.FixtureRequest) -> MakeAny:
    """Paces that share their slots."""
    found: MakeAny = request.getfixturevalue("make_file" if request.param == "file" else "make")
    return found


def first_slots(pace: Pace, key: str, n: int = 1) -> Reservation:
    """The first slots that are given; nothing is before the longest reservation is over."""
    until = time.monotonic() + 30
    while not (found := pace.reserve(key, n)).times:
        assert time.monotonic() < until
        time.sleep(max(0.0, found.retry_at - time.time()))
    return found


def settle(pace: Pace, key: str) -> None:
    """Wait until the slots are given from now on again, and not from the end of the longest reservation."""
    first_slots(pace, key)
    time.sleep(pace.reach)


def test_several_clients_get_slots_that_are_evenly_spaced(make_any: MakeAny, key: str) -> None:
    clients = [make_any(6_000) for _ in range(3)]
    settle(clients[0], key)
    times: list[float] = []
    slowest = 0.0
    for client in clients * 4:
        asked = time.monotonic()
        times += client.reserve(key, 8).times
        slowest = max(slowest, time.monotonic() - asked)
    times.sort()
    assert len(times) > 60
    # each client translates into its own reading of the clock: as exact as its answer was quick
    assert times[-1] - times[0] == pytest.approx((len(times) - 1) * clients[0].interval, abs=slowest + 0.001)


def test_no_slot_is_further_ahead_than_the_reach(make_any: MakeAny, key: str) -> None:
    pace = make_any()
    settle(pace, key)
    asked = time.time()
    taken = pace.reserve(key, 1_000)
    assert 0 < len(taken.times) < 1_000
    assert taken.times[-1] <= taken.now + pace.reach + 0.001
    more = pace.reserve(key, 1_000)
    passed = more.now - asked
    assert len(more.times) <= passed / pace.interval + 1  # as many as have come within reach meanwhile
    assert more.retry_at >= more.now


def test_keys_do_not_share(make_any: MakeAny, key: str) -> None:
    pace = make_any()
    settle(pace, key)
    pace.reserve(key, 1_000)
    assert first_slots(pace, key + "'").times


def test_a_new_key_starts_after_the_longest_reservation(make_any: MakeAny, key: str) -> None:
    pace = make_any()
    asked = time.time()
    assert pace.reserve(key, 1).times == []
    assert first_slots(pace, key).times[0] >= asked + pace.reach


@pytest.mark.parametrize("how", ["everything is lost", "killed", "restarted"])
def test_a_server_that_forgot_gives_no_slot_twice(how: str) -> None:
    with ValkeyServer() as server:
        pace = RedisPace(server.url(), limit_per_minute=600, clock=time.time, monotonic=time.monotonic)
        settle(pace, "k")
        asked = time.time()
        held = pace.reserve("k", 1_000)
        if how == "everything is lost":
            server.lose_everything()
        else:
            server.stop(at_once=how == "killed")
            server.start()
        after = first_slots(pace, "k", 3)
        assert after.times[0] > held.times[-1]
        assert after.times[0] >= asked + pace.reach
        pace.close()


def test_an_older_copy_of_the_shared_time_is_not_believed(make: Make, valkey: Valkey, key: str) -> None:
    """A replica that took over, an append-only file that lost its last second."""
    pace = make()
    settle(pace, key)
    with valkey.client() as client:
        before = client.hgetall(PREFIX + key)
        held = pace.reserve(key, 1_000)
        client.hset(PREFIX + key, mapping={**before, b"run": b"another"})
    assert first_slots(pace, key).times[0] > held.times[-1]


@pytest.mark.parametrize("ahead", [30.0, 86_400.0])
def test_a_shared_time_too_far_ahead_is_clamped(make: Make, valkey: Valkey, key: str, ahead: float) -> None:
    """The server's clock was set back."""
    pace = make()
    first_slots(pace, key)
    with valkey.client() as client:
        client.hset(PREFIX + key, "next_at", time.time() + ahead)
    again = first_slots(pace, key)
    assert again.times[0] < again.now + 2 * pace.reach + 1


def test_slowed_down_for_everybody(make_any: MakeAny, key: str) -> None:
    pace, other = make_any(), make_any()
    first_slots(pace, key)
    until = time.time() + 3.0
    pace.slow_down(key, until)
    pace.slow_down(key, time.time() + 0.1)  # never shortens
    nothing = other.reserve(key, 4)
    assert nothing.times == []
    assert first_slots(other, key).times[0] >= until - 0.2


def test_nobody_is_slowed_down_for_more_than_an_hour(make: Make, valkey: Valkey, key: str) -> None:
    pace = make()
    first_slots(pace, key)
    pace.slow_down(key, time.time() + 10 * MAX_SLOW_DOWN)
    with valkey.client() as client:
        blocked = float(client.hget(PREFIX + key, "blocked_until") or 0)
    assert blocked == pytest.approx(time.time() + MAX_SLOW_DOWN, abs=5)


def test_slots_of_a_late_answer_are_given_up(make: Make, key: str) -> None:
    first_slots(make(), key)
    ticks = itertools.count(0.0, 0.31)
    late = make(monotonic=lambda: next(ticks))
    assert late.reserve(key, 4).times == []


@pytest.mark.parametrize("fault", ["stall", "cut"])
def test_a_server_that_cannot_be_asked_means_no_slots(
    make: Make, valkey: Valkey, key: str, fault: str
) -> None:
    with Proxy(valkey.port, valkey.host) as proxy:
        pace = make(url=valkey.url(port=proxy.port))
        first_slots(pace, key)
        getattr(proxy, fault)()
        with pytest.raises(Unreachable, match="pace_server_unreachable"):
            pace.reserve(key, 1)
        with pytest.raises(Unreachable):
            pace.slow_down(key, time.time() + 1)
        proxy.mend()
        with suppress(Unreachable):  # the connection that was stalled may still be given up once
            pace.reserve(key, 1)
        assert first_slots(pace, key).times


def test_a_password_is_not_shown() -> None:
    pace = RedisPace(
        "redis://user:hidden@127.0.0.1:1/0", limit_per_minute=60, clock=time.time, monotonic=time.monotonic
    )
    with pytest.raises(Unreachable) as caught:
        pace.reserve("k", 1)
    assert "hidden" not in str(caught.value.__dict__)
    pace.close()


def test_an_address_that_is_none_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="settings_broker_url"):
        RedisPace("http://127.0.0.1", limit_per_minute=60, clock=time.time, monotonic=time.monotonic)


def test_reserving_nothing_is_a_mistake(make_any: MakeAny, key: str) -> None:
    with pytest.raises(ValueError, match="at least one"):
        make_any().reserve(key, 0)
