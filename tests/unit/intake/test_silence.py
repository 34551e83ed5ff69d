"""While the gateway says nothing a person is told what is being waited for, and not when it answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from dispatcher.intake.screening import SILENCE_SECONDS, tell_silence
from dispatcher.sending.preflight import PreflightResult


@dataclass
class Moments:
    """A clock that moves by being slept on; answers come at ``answers``, the test ends after ``last`` seconds."""

    result: PreflightResult
    last: float
    answers: frozenset[int] = frozenset()
    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.result.done += int(self.seconds) in self.answers
        if self.seconds >= self.last:
            raise asyncio.CancelledError


@dataclass
class Listener:
    heard: list[float] = field(default_factory=list)

    def silence(self, gateway: str, seconds: float) -> None:
        self.heard.append(seconds)


@dataclass(frozen=True)
class Parts:
    clock: Moments
    pace: Any


@dataclass(frozen=True)
class Pace:
    rate: float | None


@pytest.mark.parametrize(
    ("rate", "answers", "heard"),
    [
        (100.0, set(), [5.0, 9.0, 17.0]),
        (None, set(), [4.0, 8.0, 16.0]),
        (100.0, set(range(30)), []),
        (100.0, {3, 7, 11, 15, 19, 23, 27}, []),
        (0.1, set(), [24.0]),  # a pace of six a minute explains twenty seconds
    ],
)
def test_silence_is_told(rate: float | None, answers: set[int], heard: list[float]) -> None:
    result, listener = PreflightResult(), Listener()
    parts: Any = Parts(Moments(result, last=30, answers=frozenset(answers)), Pace(rate))
    watcher: Any = listener
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(tell_silence(parts, watcher, "sandbox", result))
    assert listener.heard == heard
    assert min(heard, default=SILENCE_SECONDS) >= SILENCE_SECONDS
