"""Windows within windows: stricter hours over those that hold already, never any minute more."""

from __future__ import annotations

from collections.abc import Sequence

from dispatcher.campaign.timing.windows import DAYS, Window, Windows, read_back

_DAY = 24 * 60


def narrowed(outer: Windows, inner: Windows) -> Windows | str:
    """``outer`` where ``inner`` names nothing, else the hours of ``inner``; the part of it that is no stricter instead.

    Where ``inner`` names no days those of ``outer`` hold, and ``*`` in it is every country that it does not name.
    """
    found: dict[str, Window] = {}
    for country in dict.fromkeys((*inner.by_country, *outer.by_country)):
        old, new = outer.of(country), inner.of(country)
        if new is None or old is None:
            found[country] = new or outer.by_country[country]
            continue
        window = Window(new.spans, new.days if new.names_days else old.days, new.on_holidays, new.names_days)
        if not _is_within(window, old):
            return _written(country, new)
        found[country] = window
    return read_back("; ".join(_written(country, window) for country, window in found.items()))


def _is_within(window: Window, outer: Window) -> bool:
    """By the day on which spans begin: what reaches into a night from another day counts as outside."""
    whole = _joined(outer.spans)
    return (
        window.days <= outer.days
        and window.on_holidays <= outer.on_holidays
        and all(
            any(opens <= begin and end <= closes for opens, closes in whole) for begin, end in window.spans
        )
    )


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those that touch as one."""
    found: list[tuple[int, int]] = []
    for begin, end in spans:
        if found and found[-1][1] == begin:
            begin, _ = found.pop()
        found.append((begin, end))
    return found


def _written(country: str, window: Window) -> str:
    spans = ",".join(
        f"{_clock(begin)}-{_clock(end if end <= _DAY else end - _DAY)}" for begin, end in window.spans
    )
    days = "" if len(window.days) == len(DAYS) else " " + ",".join(DAYS[day] for day in sorted(window.days))
    return f"{country} {spans}{days}{' +holidays' if window.on_holidays else ''}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
