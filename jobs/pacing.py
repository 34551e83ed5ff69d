"""The global limit in Redis, shared by every machine: the arithmetic of :mod:`dispatcher.ledger.pace`, by the server's
clock, in one script.

Whatever makes the server forget what it gave away (its data deleted, a start from an older copy, another server in its
place) is seen by the script itself, since it keeps the server's run id beside the shared time; it then starts again
after the last slot that anybody can still hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import redis

from dispatcher.errors import Unreachable
from dispatcher.ledger.pace import MAX_SLOW_DOWN, ROUNDING, Reservation, interval_for, reach_for
from dispatcher.settings import masked
from jobs.broker import connect

T = TypeVar("T")

ANSWER_SECONDS = 1.0  # an answer later than this is none
WORTH_SECONDS = 0.3  # slots of an answer that took longer would start too late: they are given up
PREFIX = "dispatcher:pace:"
SERVER = "dispatcher:server"

# A run id cannot come back; a server's own clock can, so a shared time too far ahead is no shared time either.
_SHARED = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local interval, reach = tonumber(ARGV[1]), tonumber(ARGV[2])
local found = redis.call('HMGET', KEYS[1], 'next_at', 'blocked_until', 'run')
local next_at, blocked_until = tonumber(found[1]), tonumber(found[2]) or 0
local latest = now + reach + interval
if blocked_until > now + tonumber(ARGV[3]) then blocked_until = 0 end
if next_at == nil or found[3] ~= run or next_at > latest + tonumber(ARGV[4]) then next_at = latest end
local function keep()
  redis.call('HSET', KEYS[1], 'next_at', string.format('%.6f', next_at),
    'blocked_until', string.format('%.6f', blocked_until), 'run', run)
end
"""
_RESERVE = (
    _SHARED
    + """
local start = math.max(now, next_at, blocked_until)
local free = 0
if start <= now + reach then free = math.floor((now + reach - start) / interval) + 1 end
local granted = math.min(tonumber(ARGV[5]), free)
if granted > 0 then next_at = start + granted * interval end
keep()
return {granted, string.format('%.6f', start - now)}
"""
)
_SLOW_DOWN = (
    _SHARED
    + """
blocked_until = math.max(blocked_until, now + math.min(tonumber(ARGV[5]), tonumber(ARGV[3])))
keep()
return 1
"""
)


class RedisPace:
    """``limit_per_minute`` requests at most in any 60 seconds, over all processes that share the server at ``url``.

    ``clock`` is the wall clock in seconds (``time.time``), into whose time the slots are translated, and ``monotonic``
    the one that says how long an answer took.
    """

    def __init__(
        self,
        url: str,
        *,
        limit_per_minute: int,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._place = masked(url)
        self._clock = clock
        self._monotonic = monotonic
        self.interval = interval_for(limit_per_minute)
        self.reach = reach_for(self.interval)
        self._client = connect(url, ANSWER_SECONDS)
        self._reserve = self._client.register_script(_RESERVE)
        self._slow_down = self._client.register_script(_SLOW_DOWN)

    def reserve(self, key: str, n: int) -> Reservation:
        """Up to ``n`` slots for ``key``, none further ahead than ``reach``; none while it is slowed down.

        Errors: Unreachable, and then nothing may be sent.
        """
        if n < 1:
            raise ValueError("reserve at least one slot")
        asked = self._monotonic()
        granted, ahead = self._ask(self._reserve, key, n)
        now, took = self._clock(), self._monotonic() - asked
        # the server's "now" was at most ``took`` ago, so a slot is taken at its time or at most so much later
        start = now + float(ahead)
        if granted < 1 or took > WORTH_SECONDS:
            return Reservation([], now, max(now, start - self.reach))
        times = [start + i * self.interval for i in range(granted)]
        return Reservation(times, now, max(now, times[-1] + self.interval - self.reach))

    def slow_down(self, key: str, until: float) -> None:
        """Nobody gets a slot before ``until`` (at most an hour ahead); an earlier block is never shortened."""
        self._ask(self._slow_down, key, max(0.0, until - self._clock()))

    def server_name(self) -> str | None:
        """What the server was called by :meth:`call_server`; None for a new or emptied one.  Errors: Unreachable."""
        found = self._answer(lambda: self._client.get(SERVER))
        return found.decode() if isinstance(found, bytes) else None

    def call_server(self, name: str) -> None:
        """Give the server a name, unless it has one: it may be known by many addresses.  Errors: Unreachable."""
        self._answer(lambda: self._client.set(SERVER, name, nx=True))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, script: Callable[..., object], key: str, argument: float) -> tuple[int, float]:
        arguments = [self.interval, self.reach, MAX_SLOW_DOWN, ROUNDING, argument]
        answer = self._answer(lambda: script(keys=[PREFIX + key], args=arguments))
        return (int(answer[0]), float(answer[1])) if isinstance(answer, list) else (0, 0.0)

    def _answer(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except redis.RedisError as error:
            raise Unreachable(
                "pace_server_unreachable", file=self._place, found=type(error).__name__
            ) from error
