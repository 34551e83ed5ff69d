"""Which lanes of a campaign are on their way, so that a lost job is made up for and a doubled one ends.

A lane is one job that enqueues itself again and again; all its jobs carry one *chain*.  The board knows the chain of
every lane, for as long as it is heard of.  Who starts a lane that is on the board already starts nothing.  A job whose
lane runs under another chain is a double, and ends.  The board holds hints and no truth: losing it, or a lane running
twice for a while, does no harm.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import Protocol

import redis

from jobs.broker import unreachable

LEASE_SECONDS = 20.0  # several time slices: a lane not heard of for so long is started again
_LEASE = round(LEASE_SECONDS * 1_000)  # milliseconds

# A queued lane may be taken over by any of its jobs: whichever comes first runs, and the others find it running.
_TAKE = """
local found = redis.call('GET', KEYS[1])
if found and string.sub(found, 1, 2) == 'r:' and found ~= 'r:' .. ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 'r:' .. ARGV[1], 'PX', ARGV[2])
return 1
"""
_REQUEUE = """
if redis.call('GET', KEYS[1]) ~= 'r:' .. ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 'q:' .. ARGV[1], 'PX', ARGV[2])
return 1
"""
_END = """
if redis.call('GET', KEYS[1]) == 'r:' .. ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""


class Board(Protocol):
    """Lanes by campaign and number.  Errors: Unreachable when a server that keeps it does not answer."""

    def start(self, campaign_id: int, lane: int) -> str | None:
        """The chain of a lane to be enqueued now; None when it is on its way already."""

    def take(self, campaign_id: int, lane: int, chain: str) -> bool:
        """Whether a job of ``chain`` may run the lane now."""

    def pass_on(self, campaign_id: int, lane: int, chain: str) -> bool:
        """A time slice ended and rows remain: whether the lane is still this chain's, to be enqueued again."""

    def end(self, campaign_id: int, lane: int, chain: str) -> None:
        """The lane has nothing to do."""


class LocalBoard:
    """For one process, whose jobs cannot be lost or doubled without it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._chains: dict[tuple[int, int], str] = {}

    def start(self, campaign_id: int, lane: int) -> str | None:
        """See :class:`Board`."""
        with self._lock:
            if (campaign_id, lane) in self._chains:
                return None
            chain = self._chains[campaign_id, lane] = _new_chain()
            return chain

    def take(self, campaign_id: int, lane: int, chain: str) -> bool:
        """See :class:`Board`."""
        return self.pass_on(campaign_id, lane, chain)

    def pass_on(self, campaign_id: int, lane: int, chain: str) -> bool:
        """See :class:`Board`."""
        with self._lock:
            return self._chains.get((campaign_id, lane)) == chain

    def end(self, campaign_id: int, lane: int, chain: str) -> None:
        """See :class:`Board`."""
        with self._lock:
            if self._chains.get((campaign_id, lane)) == chain:
                del self._chains[campaign_id, lane]


class RedisBoard:
    """For every process of one ledger, in the server that carries the jobs; ``prefix`` keeps ledgers apart."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._take = client.register_script(_TAKE)
        self._pass_on = client.register_script(_REQUEUE)
        self._end = client.register_script(_END)

    def start(self, campaign_id: int, lane: int) -> str | None:
        """See :class:`Board`."""
        chain = _new_chain()
        try:
            new = self._client.set(self._key(campaign_id, lane), f"q:{chain}", nx=True, px=_LEASE)
        except redis.RedisError as error:
            raise unreachable(self._client, error) from error
        return chain if new else None

    def take(self, campaign_id: int, lane: int, chain: str) -> bool:
        """See :class:`Board`."""
        return self._ask(self._take, campaign_id, lane, chain)

    def pass_on(self, campaign_id: int, lane: int, chain: str) -> bool:
        """See :class:`Board`."""
        return self._ask(self._pass_on, campaign_id, lane, chain)

    def end(self, campaign_id: int, lane: int, chain: str) -> None:
        """See :class:`Board`."""
        self._ask(self._end, campaign_id, lane, chain)

    def _ask(self, script: Callable[..., object], campaign_id: int, lane: int, chain: str) -> bool:
        try:
            return script(keys=[self._key(campaign_id, lane)], args=[chain, _LEASE]) == 1
        except redis.RedisError as error:
            raise unreachable(self._client, error) from error

    def _key(self, campaign_id: int, lane: int) -> str:
        return f"{self._prefix}:lane:{campaign_id}:{lane}"


def _new_chain() -> str:
    return secrets.token_hex(6)
