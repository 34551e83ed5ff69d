"""What characters outside GSM-7 cost, and whose they are: the template's own, or those of a column's cells.

What ``--gsm7`` would save in money is found by pricing the campaign a second time with the parts it would then
have: a part saved out of a bundle is worth the wallet's part that it makes room for.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dispatcher.campaign.alphabet import offending
from dispatcher.campaign.characters import Flags, Numbers
from dispatcher.campaign.composition import Composition
from dispatcher.campaign.distinct import Distinct
from dispatcher.campaign.outside import Outside, Piece
from dispatcher.campaign.prices import Bill, Destinations, Pricer
from dispatcher.campaign.substitution import Savings

_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")


@dataclass
class Saved:
    """What one source of characters outside GSM-7 costs.

    ``rows`` have such characters from there (``characters``: rows for each), ``parts`` is what ``--gsm7`` would save
    on these rows, ``cost`` the money: the sum of the known prices, ``unpriced_parts`` those without.  A row with
    characters from two sources counts for both.
    """

    rows: int = 0
    parts: int = 0
    cost: Decimal = Decimal(0)
    unpriced_parts: int = 0
    characters: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class CampaignSavings:
    """``characters`` as :class:`Savings` has them; ``columns`` by heading, the dearest first."""

    total: Saved
    characters: Savings
    columns: dict[str, Saved]
    template: Saved | None


@dataclass(frozen=True)
class PricedRows:
    """The rows of a chunk that will be sent (``going``: their positions), and what pricing needs to know of them.

    ``cells`` (what a template made the texts of, by heading), ``texts`` and their unusual ``characters`` are the
    whole chunk's.
    """

    cells: Mapping[str, Distinct]
    texts: pa.Array
    characters: Composition
    going: npt.NDArray[np.intp]
    rows: Numbers
    destinations: Destinations
    parts: Numbers
    ucs2: Flags


class CostlyCharacters:
    """Watches a campaign being priced.  ``own_text`` is the template's source, None where a column has the texts."""

    def __init__(self, headings: Sequence[str], own_text: str | None) -> None:
        self._headings = headings
        self._own = None if own_text is None else frozenset(offending(_own_words(own_text)))
        self._characters = Savings()
        self._total = _Source()
        self._sources: dict[str | None, _Source] = {}

    def add(self, rows: PricedRows, pricer: Pricer) -> None:
        """Count the rows in; to be called just before ``pricer`` prices them."""
        where = np.flatnonzero(rows.ucs2)
        taken = rows.going[where]
        found = Outside.of(rows.characters.at(taken))
        saved = np.zeros(len(rows.parts), dtype=np.int64)
        saved[where] = self._characters.add_column(rows.texts, taken, rows.parts[where], found)
        hits = self._blame(
            found, {heading: cells.at(taken) for heading, cells in rows.cells.items()}, saved[where]
        )
        self._total.price(rows, saved, len(where), pricer)
        for source, known in self._sources.items():
            mine = where[hits[source]] if source in hits else where[:0]
            only_mine = np.zeros_like(saved)
            only_mine[mine] = saved[mine]
            known.price(rows, only_mine, len(mine), pricer)

    def savings(self, pricer: Pricer) -> CampaignSavings:
        """What was found so far on the rows that the watched ``pricer`` priced."""
        bill = pricer.bill()
        told = {source: known.told(bill, pricer) for source, known in self._sources.items()}
        template = told.pop(None, None)
        columns = sorted(told.items(), key=lambda entry: (-entry[1].parts, -entry[1].rows))
        return CampaignSavings(
            self._total.told(bill, pricer),
            self._characters,
            {heading: saved for heading, saved in columns if heading is not None},
            template,
        )

    def _blame(
        self, found: Outside, cells: Mapping[str, Distinct], saved: Numbers
    ) -> dict[str | None, Flags]:
        """By source the rows it brought characters into; None is the template.  Counts the characters."""
        hits = {source: np.zeros(found.texts, np.bool_) for source in (None, *self._headings)}
        for part in found.pieces():
            self._characters.add_characters(part, saved[part.first : part.last])
            for source, brought in self._blamed(part, cells).items():
                hits[source][part.first : part.last] |= np.logical_or.reduce(brought, axis=0)
                self._count(source, found.codes, [int(np.count_nonzero(line)) for line in brought])
        return {source: rows for source, rows in hits.items() if rows.any()}

    def _blamed(self, part: Piece, cells: Mapping[str, Distinct]) -> dict[str | None, Flags]:
        """By source its share of the characters of these rows."""
        if self._own is None:
            return dict.fromkeys(self._headings, part.there)
        own = np.isin(part.codes, [ord(character) for character in self._own])
        blamed: dict[str | None, Flags] = {None: part.there & own[:, None]}
        rows = slice(part.first, part.last)
        here = {heading: cell.at(rows).composed() for heading, cell in cells.items()}
        blamed |= {heading: part.there & cell.table(part.codes) for heading, cell in here.items()}
        nobodys = part.there & ~reduce(np.logical_or, blamed.values())
        for heading, cell in here.items():
            if not nobodys.any():
                break
            # a filter changed it: à is in GSM-7, and À, which upper makes of it, is not
            changed = nobodys & cell.mapped(_in_either_case).table(part.codes)
            blamed[heading] |= changed
            nobodys &= ~changed
        blamed[None] |= nobodys
        return blamed

    def _count(self, source: str | None, codes: Numbers, rows: list[int]) -> None:
        if any(rows):
            known = self._sources.setdefault(source, _Source()).saved.characters
            known.update({chr(code): n for code, n in zip(codes.tolist(), rows, strict=True) if n})


def _in_either_case(texts: pa.Array) -> pa.Array:
    return pa.array([text.upper() + text.lower() for text in texts.to_pylist()], texts.type)


def _own_words(source: str) -> str:
    """The template's own text: what is outside its fields and tags, and the quoted words inside them."""
    return _TAG.sub(lambda tag: "".join(_QUOTED.findall(tag[0])), source)


class _Source:
    """What one source brought in, and what the campaign would cost without it.

    Where bundles pay, the campaign is priced a second time; elsewhere each part saved is worth its price.
    """

    def __init__(self) -> None:
        self.saved = Saved()
        self._parts: Counter[tuple[str, str]] = Counter()
        self._without: Pricer | None = None

    def price(self, rows: PricedRows, saved: npt.NDArray[np.int64], hit: int, pricer: Pricer) -> None:
        self.saved.rows += hit
        self.saved.parts += int(saved.sum())
        if self._without is None and pricer.has_bundles and saved.any():
            self._without = copy.deepcopy(pricer)  # so far both campaigns are the same
        if self._without is not None:
            self._without.price_to(rows.rows, rows.destinations, rows.parts - saved)
            return
        to = rows.destinations
        self._parts.update(dict(zip(to.names, to.sums(saved).tolist(), strict=True)))

    def told(self, bill: Bill, pricer: Pricer) -> Saved:
        self.saved.cost, self.saved.unpriced_parts = Decimal(0), 0
        if self._without is None:
            for name, parts in self._parts.items():
                price = pricer.price_of(*name)
                self.saved.cost += Decimal(0) if price is None else price * parts
                self.saved.unpriced_parts += parts if price is None else 0
            return self.saved
        without = self._without.bill()
        for name, actual in bill.countries.items():
            if actual.unpriced_rows:
                other = without.countries[name]
                self.saved.unpriced_parts += (
                    actual.parts - actual.bundle_parts - other.parts + other.bundle_parts
                )
        self.saved.cost = bill.estimated_cost - without.estimated_cost
        return self.saved
