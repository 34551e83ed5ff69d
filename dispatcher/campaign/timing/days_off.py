"""Public holidays, on which advertising waits: those of whole countries, and of regions that the operator names.

A number does not tell its region.  Who writes to Madrid only can name it, and where several regions of a country are
named, a holiday of any of them counts.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from dispatcher.errors import UsageError

IsHoliday = Callable[[str, dt.date], bool]
_REGION = re.compile(r"(?P<country>[A-Z]{2})-(?P<region>[A-Z0-9]{1,3})")


def parse_regions(text: str | None) -> Mapping[str, tuple[str, ...]]:
    """Regions by country, from ``ES-MD, ES-CN, DE-BY``.  UsageError ``timing_holidays`` for one that is not known."""
    found: dict[str, tuple[str, ...]] = {}
    for part in (piece.strip().upper() for piece in (text or "").replace(";", ",").split(",")):
        if not part:
            continue
        named = _REGION.fullmatch(part)
        if named is None or named["region"] not in _regions_of(named["country"]):
            raise UsageError("timing_holidays", found=part)
        found[named["country"]] = (*found.get(named["country"], ()), named["region"])
    return found


def holidays_of(text: str | None) -> IsHoliday:
    """Whether a day is a public holiday in the whole country, or in a region that ``text`` names."""
    regions = parse_regions(text)

    def is_holiday(country: str, day: dt.date) -> bool:
        of = regions.get(country, ())
        return public_holiday(country, day) or any(day in _days(country, day.year, each) for each in of)

    return is_holiday


def public_holiday(country: str, day: dt.date) -> bool:
    """Whether the day is a public holiday in the whole country; False for countries that nobody has listed."""
    return day in _days(country, day.year, None)


@lru_cache(maxsize=256)
def _days(country: str, year: int, region: str | None) -> frozenset[dt.date]:
    import holidays  # its tables cost time that only campaigns with windows have to spend

    try:
        return frozenset(holidays.country_holidays(country, subdiv=region, years=year))
    except NotImplementedError:
        return frozenset()


def _regions_of(country: str) -> list[str]:
    import holidays

    return holidays.list_supported_countries().get(country, [])
