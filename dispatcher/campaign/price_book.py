"""The operator's price book (TOML), and the bundles and money given on the command line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dispatcher.errors import UsageError

ROUTES = ("IT", "ES", "WW")
ANY = "*"
UNKNOWN_CEILING = Decimal(1)
"""What a part of unknown price may cost: the provider's own minimum credit."""
ENOUGH = 20
"""Messages from which on the highest price seen is trusted: a price that one in seven of them has is then missed less
than once in twenty times."""
_KEYS = frozenset({"route", "country", "per_part", "ceiling"})
_PRICE = re.compile(r"\d{1,3}(?:\.\d{1,8})?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_MONEY = re.compile(r"\d{1,9}(?:[.,]\d{1,6})?", re.ASCII)  # as exact as the ledger's money
_THOUSANDS_OR_DECIMALS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
_BUNDLE = re.compile(r"\s*([A-Za-z]{2})\s*=\s*(\d{1,12})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Price:
    """One entry: money for each part, and the most a part may cost; either may be unknown."""

    per_part: Decimal | None
    ceiling: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Funds:
    """``bundles``: parts left by route ; ``wallet``: money, or None when not known."""

    bundles: Mapping[str, int]
    wallet: Decimal | None


@dataclass(frozen=True, slots=True)
class LearntPrice:
    """What a part has cost so far as the gateway charged it, in ``messages`` messages; ``last_seen`` is aware."""

    messages: int
    median: Decimal
    low: Decimal
    high: Decimal
    last_seen: datetime

    @property
    def ceiling(self) -> Decimal:
        """The most a part may cost: the highest seen, once enough were seen to trust that."""
        return self.high if self.messages >= ENOUGH else max(self.high, UNKNOWN_CEILING)


class PriceBook:
    """Prices per part by route and country.

    The entry for the country wins over the one for any country (``*``).  IT and ES have one price each, so an
    entry for the route's own country also stands for whatever else the route reaches (the Vatican).  Where no entry
    has a price, the one ``learnt`` from charges does: the operator's word goes before experience.
    """

    def __init__(
        self,
        entries: Mapping[tuple[str, str], Price],
        currency: str = "EUR",
        learnt: Mapping[tuple[str, str], LearntPrice] = MappingProxyType({}),
    ) -> None:
        self.currency = currency
        self._entries = dict(entries)
        self._learnt = dict(learnt)

    @classmethod
    def from_entries(cls, entries: Iterable[tuple[str, str, Decimal]], currency: str = "EUR") -> PriceBook:
        """A book of ``(route, country or "*", price per part)``."""
        return cls({(str(route), country): Price(price) for route, country, price in entries}, currency)

    @classmethod
    def load(cls, path: Path | str) -> PriceBook:
        """Read a price book.  Raises UsageError ``prices_…`` naming file and entry."""
        path = Path(path)
        document = _read(path)
        currency = document.get("currency", "EUR")
        if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
            raise UsageError("prices_currency", file=path.name, found=str(currency))
        tables = document.get("price", [])
        unknown = sorted(set(document) - {"currency", "price"})
        if unknown or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise UsageError("prices_layout", file=path.name, found=unknown[0] if unknown else "price")
        if not tables:
            raise UsageError("prices_empty", file=path.name)
        entries: dict[tuple[str, str], Price] = {}
        for number, table in enumerate(tables, start=1):
            key, price = _Entry(path.name, number, table).read()
            if key in entries:
                raise UsageError("prices_twice", file=path.name, entry=number, found=" ".join(key))
            entries[key] = price
        return cls(entries, currency)

    def with_learnt(self, learnt: Mapping[tuple[str, str], LearntPrice]) -> PriceBook:
        """The same book, with prices for what it does not say."""
        return PriceBook(self._entries, self.currency, learnt)

    def price(self, route: str, country: str) -> Decimal | None:
        """Money for each part, or None when nobody knows; a learnt price is the middle of what was charged."""
        own = self._most_specific(route, country, "per_part")
        learnt = self.learnt(route, country) if own is None else None
        return own if learnt is None else learnt.median

    def ceiling(self, route: str, country: str) -> Decimal | None:
        """The most a part may cost, or None when nobody knows.

        Beside a learnt price it is no less than what that allows, whatever the book says: it was charged before.
        """
        own, learnt = self._most_specific(route, country, "ceiling"), self.learnt(route, country)
        if learnt is None:
            return own
        return learnt.ceiling if own is None else max(own, learnt.high)

    def learnt(self, route: str, country: str) -> LearntPrice | None:
        """Where the price is from when it is learnt; None when the book has one, or nobody knows."""
        if self._most_specific(route, country, "per_part") is not None:
            return None
        return self._learnt.get((route, country))

    def _most_specific(self, route: str, country: str, wanted: str) -> Decimal | None:
        for key in ((route, country), (route, ANY), *([(route, route)] if route != "WW" else [])):
            entry = self._entries.get(key)
            if entry is not None and getattr(entry, wanted) is not None:
                value: Decimal = getattr(entry, wanted)
                return value
        return None


@dataclass(frozen=True, slots=True)
class _Entry:
    file: str
    number: int
    table: Mapping[str, Any]

    def read(self) -> tuple[tuple[str, str], Price]:
        unknown = sorted(set(self.table) - _KEYS)
        if unknown:
            raise self._wrong("prices_unknown_key", unknown[0])
        route = str(self.table.get("route", "")).strip().upper()
        if route not in ROUTES:
            raise self._wrong("prices_route", self.table.get("route", ""))
        country = str(self.table.get("country", ANY)).strip().upper()
        if country != ANY and not _COUNTRY.fullmatch(country):
            raise self._wrong("prices_country", self.table["country"])
        price = Price(self._money("per_part"), self._money("ceiling"))
        if price.per_part is None and price.ceiling is None:
            raise self._wrong("prices_missing", f"{route} {country}")
        if price.per_part is not None and price.ceiling is not None and price.ceiling < price.per_part:
            raise self._wrong("prices_ceiling", f"{price.ceiling} < {price.per_part}")
        return (route, country), price

    def _money(self, name: str) -> Decimal | None:
        if name not in self.table:
            return None
        value = self.table[name]
        text = format(value, "f") if isinstance(value, Decimal) else str(value).strip()
        if isinstance(value, bool) or not _PRICE.fullmatch(text):
            raise self._wrong("prices_amount", f"{name} = {value}")
        return Decimal(text)

    def _wrong(self, code: str, found: object) -> UsageError:
        return UsageError(code, file=self.file, entry=self.number, found=str(found))


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError("prices_file_missing", file=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("prices_file_unreadable", file=str(path), found=type(error).__name__) from None
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError("prices_syntax", file=path.name, found=str(error)) from None


def parse_bundle(text: str) -> tuple[str, int]:
    """``IT=5000`` as route and parts left.  Raises UsageError ``bundle_not_readable``."""
    match = _BUNDLE.fullmatch(text)
    if match is None or match[1].upper() not in ROUTES:
        raise UsageError("bundle_not_readable", found=text)
    return match[1].upper(), int(match[2])


def parse_money(text: str) -> Decimal:
    """``20.00`` or ``20,00``, exact.  Raises UsageError ``money_not_readable``, ``money_ambiguous``."""
    stripped = text.strip()
    if _THOUSANDS_OR_DECIMALS.fullmatch(stripped):
        raise UsageError("money_ambiguous", found=text)
    if not _MONEY.fullmatch(stripped):
        raise UsageError("money_not_readable", found=text)
    return Decimal(stripped.replace(",", "."))
