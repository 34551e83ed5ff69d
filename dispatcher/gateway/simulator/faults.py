"""Faults on purpose: which request goes wrong, and how.

A decision by chance depends on the seed and the number of the request alone, so a run can be repeated.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dispatcher.errors import UsageError


class Fault(StrEnum):
    """What goes wrong: before the message is accepted, or after, when only the answer suffers."""

    ERROR_BEFORE = "error_before"  # a 5xx answer, nothing accepted
    ERROR_AFTER = "error_after"  # accepted, then a 5xx answer
    RESET_BEFORE = "reset_before"  # request read, connection reset, nothing accepted
    RESET_AFTER = "reset_after"  # accepted, then reset without an answer
    CLOSE_AFTER = "close_after"  # accepted, then closed in good order without an answer
    HALF_HEADER = "half_header"  # accepted, the answer stops inside its header
    HALF_ANSWER = "half_answer"  # accepted, the answer stops inside its body
    GARBAGE = "garbage"  # accepted, a 201 that is not JSON
    HANG_BEFORE = "hang_before"  # nothing accepted, silence, then a reset
    HANG_AFTER = "hang_after"  # accepted, silence, then a reset
    LATE_ANSWER = "late_answer"  # accepted, silence, then its answer
    LATE = "late"  # silence first, accepted afterwards, when the client has given up
    THROTTLED = "throttled"  # 429, nothing accepted


@dataclass(frozen=True)
class Window:
    """Seconds since the faults were set, between which every affected request meets one fault."""

    fault: Fault
    start: float
    end: float


@dataclass(frozen=True)
class Faults:
    """The faults of a simulator.  Order: a scheduled fault, else a window's, else one by chance.

    Raises UsageError ``simulator_faults`` for rates that are not shares, or are above 1 together.
    """

    rates: Mapping[Fault, float] = field(default_factory=dict)
    """Share of the affected requests per fault."""
    schedule: Mapping[int, Fault] = field(default_factory=dict)
    """The n-th affected request (from 1) meets this fault."""
    windows: tuple[Window, ...] = ()
    only_sends: bool = True
    """Affect real sends only; False: every request, dry runs and listings too."""
    latency: tuple[float, float] = (0.0, 0.0)
    """Seconds before a request is looked at, between these two."""
    hang_seconds: float = 120.0
    error_status: int = 503
    retry_after: float | None = 1.0
    """Seconds in the Retry-After of a throttled answer; None leaves the header out."""

    def __post_init__(self) -> None:
        """Refuse impossible chances and times."""
        if any(rate < 0 for rate in self.rates.values()) or sum(self.rates.values()) > 1 + 1e-9:
            raise UsageError(
                "simulator_faults", found=str({str(fault): rate for fault, rate in self.rates.items()})
            )
        if not 0 <= self.latency[0] <= self.latency[1] or self.hang_seconds < 0:
            raise UsageError(
                "simulator_faults", found=f"latency {self.latency}, hang_seconds {self.hang_seconds}"
            )
        if not 500 <= self.error_status <= 599:
            raise UsageError("simulator_faults", found=f"error_status {self.error_status}")

    def decide(self, seed: int, number: int, elapsed: float) -> tuple[Fault | None, float]:
        """The fault of the ``number``-th affected request (from 1) and its latency in seconds."""
        if not (self.rates or self.schedule or self.windows or self.latency[1]):
            return None, 0.0
        chance = random.Random(f"{seed}:{number}")
        draw, wait = chance.random(), chance.uniform(*self.latency)
        return self._scheduled(number, elapsed) or self._drawn(draw), wait

    def _scheduled(self, number: int, elapsed: float) -> Fault | None:
        if number in self.schedule:
            return self.schedule[number]
        return next((window.fault for window in self.windows if window.start <= elapsed < window.end), None)

    def _drawn(self, draw: float) -> Fault | None:
        reached = 0.0
        for fault in Fault:
            reached += self.rates.get(fault, 0.0)
            if draw < reached:
                return fault
        return None


def faults_from_json(data: object) -> Faults:
    """Faults as ``POST /_simulator/faults`` takes them: the fields of :class:`Faults`, all optional.

    ``windows`` is a list of ``{"fault", "start", "end"}``; ``{}`` takes every fault away.
    Raises UsageError ``simulator_faults`` for anything else.
    """
    if not isinstance(data, Mapping):
        raise UsageError("simulator_faults", found=type(data).__name__)
    try:
        unknown = sorted(set(data) - set(Faults.__dataclass_fields__))
        if unknown:
            raise UsageError("simulator_faults", found=", ".join(unknown))
        return Faults(**{**data, **_read_fields(data)})
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UsageError("simulator_faults", found=str(error)) from error


def _read_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if "rates" in data:
        fields["rates"] = {Fault(name): float(rate) for name, rate in data["rates"].items()}
    if "schedule" in data:
        fields["schedule"] = {int(number): Fault(name) for number, name in data["schedule"].items()}
    if "windows" in data:
        fields["windows"] = tuple(
            Window(Fault(window["fault"]), float(window["start"]), float(window["end"]))
            for window in data["windows"]
        )
    if "latency" in data:
        low, high = data["latency"]
        fields["latency"] = (float(low), float(high))
    return fields
