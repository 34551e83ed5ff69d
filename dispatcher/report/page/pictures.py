"""The geometry of the page's pictures: numbers become places in an SVG, and nothing is drawn here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dispatcher.ledger.bills import Moment, Timeline

WIDTH, HEIGHT = 720.0, 200.0  # of the timeline's bars, in its own units
_LABELS = 6
_FEWEST = 12


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of one kind (its CSS class); ``title`` is what a pointer over it reads."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text below the bars."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class TimelinePicture:
    """Bars of what was sent, delivered and not delivered, over time; ``highest`` is what the full height stands for."""

    bars: Sequence[Bar]
    labels: Sequence[Label]
    highest: int
    width: float = WIDTH
    height: float = HEIGHT


def timeline_picture(timeline: Timeline, zone: ZoneInfo, names: dict[str, str]) -> TimelinePicture:
    """Two bars for each stretch of time: what was sent, and beside it what reached an end."""
    moments = _every_stretch(timeline)
    highest = max(max(each.sent, each.delivered + each.failed) for each in moments)
    slot = WIDTH / max(len(moments), _FEWEST)  # a short campaign has no wall of a bar
    bars: list[Bar] = []
    for n, each in enumerate(moments):
        at = _clock(each.at, zone, timeline)
        left, half = n * slot + slot * 0.08, slot * 0.42
        delivered = _tall(each.delivered, highest)
        stacks = (
            ("sent", each.sent, left, 0.0),
            ("delivered", each.delivered, left + half, 0.0),
            ("failed", each.failed, left + half, delivered),
        )
        for kind, count, x, below in stacks:
            if count:
                tall = _tall(count, highest)
                title = f"{at}: {names[kind]} {count}"
                bars.append(
                    Bar(kind, _round(x), _round(HEIGHT - below - tall), _round(half), _round(tall), title)
                )
    return TimelinePicture(bars, _labels(moments, slot, zone, timeline), highest)


def shares(parts: Iterable[tuple[str, int]], width: float) -> list[tuple[str, float, float]]:
    """``(kind, x, width)`` of each part that is more than nothing, side by side over ``width``."""
    found = [(kind, count) for kind, count in parts if count]
    whole = sum(count for _, count in found)
    placed, x = [], 0.0
    for kind, count in found:
        wide = width * count / whole
        placed.append((kind, _round(x), _round(wide)))
        x += wide
    return placed


def length(part: float, whole: float, width: float) -> float:
    """How long a bar for ``part`` is where ``whole`` takes the ``width``; what is there can be seen."""
    if part <= 0 or whole <= 0:
        return 0.0
    return _round(max(width * part / whole, 1.0))


def _every_stretch(timeline: Timeline) -> list[Moment]:
    """Also those in which nothing happened."""
    known = {each.at: each for each in timeline.moments}
    at, last = min(known), max(known)
    moments = []
    while at <= last:
        moments.append(known.get(at) or Moment(at=at, sent=0, delivered=0, failed=0))
        at += timeline.width
    return moments


def _labels(moments: Sequence[Moment], slot: float, zone: ZoneInfo, timeline: Timeline) -> list[Label]:
    step = max(1, -(-len(moments) // _LABELS))
    return [
        Label(_round(n * slot), _clock(moments[n].at, zone, timeline)) for n in range(0, len(moments), step)
    ]


def _clock(at: datetime, zone: ZoneInfo, timeline: Timeline) -> str:
    """One form all along an axis: with the day where it spans several, with seconds where its steps are short."""
    first, last = timeline.moments[0].at.astimezone(zone), timeline.moments[-1].at.astimezone(zone)
    day = "" if first.date() == last.date() else "%Y-%m-%d "
    seconds = ":%S" if timeline.width < timedelta(minutes=1) else ""
    return at.astimezone(zone).strftime(f"{day}%H:%M{seconds}")


def _tall(count: int, highest: int) -> float:
    return max(HEIGHT * count / highest, 1.0) if count else 0.0


def _round(value: float) -> float:
    return round(value, 2)
