"""What characters outside GSM-7 cost, and whose they are: the template's own, or those of a column's cells.

What ``--gsm7`` would save in money is found by pricing the campaign a second time with the parts it would then
have: a part saved out of a bundle is worth the wallet's part that it makes room for.
"""

from __future__ import annotations

import copy
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dispatcher.campaign.alphabet import offending
from dispatcher.campaign.prices import Bill, Pricer
from dispatcher.campaign.substitution import Savings

Objects = npt.NDArray[Any]
Integers = npt.NDArray[np.integer[Any]]

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
    """Rows that will be sent: their cells, and what pricing needs to know; all of one length."""

    cells: pd.DataFrame
    rows: Objects
    routes: Objects
    countries: Objects
    texts: Objects
    parts: Integers
    ucs2: npt.NDArray[np.bool_]


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
        where = np.flatnonzero(rows.ucs2).tolist()
        columns = {h: rows.cells[h].to_numpy(dtype=object)[where] for h in self._headings}
        saved = np.zeros(len(rows.parts), dtype=np.int64)
        hits: dict[str | None, list[int]] = {}
        for nth, row in enumerate(where):
            text, before = rows.texts[row], self._characters.parts
            self._characters.add(text, int(rows.parts[row]))
            saved[row] = self._characters.parts - before
            found = frozenset(offending(text))
            for source, characters in self._blame(found, {h: columns[h][nth] for h in columns}):
                hits.setdefault(source, []).append(row)
                self._sources.setdefault(source, _Source()).saved.characters.update(characters)
        self._total.price(rows, saved, where, pricer)
        for source, known in self._sources.items():
            mine = hits.get(source, [])
            only_mine = np.zeros_like(saved)
            only_mine[mine] = saved[mine]
            known.price(rows, only_mine, mine, pricer)

    def savings(self, bill: Bill) -> CampaignSavings:
        """What was found so far; ``bill`` is that of the watched pricer."""
        told = {source: known.told(bill) for source, known in self._sources.items()}
        template = told.pop(None, None)
        columns = sorted(told.items(), key=lambda entry: (-entry[1].parts, -entry[1].rows))
        return CampaignSavings(
            self._total.told(bill),
            self._characters,
            {heading: saved for heading, saved in columns if heading is not None},
            template,
        )

    def _blame(
        self, found: frozenset[str], cells: dict[str, str]
    ) -> Iterable[tuple[str | None, frozenset[str]]]:
        """By source the characters it brought in; None is the template."""
        if self._own is None:
            return [(heading, found) for heading in cells]
        blamed: dict[str | None, frozenset[str]] = {}
        composed = {heading: unicodedata.normalize("NFC", cell) for heading, cell in cells.items()}
        if found & self._own:
            blamed[None] = found & self._own
        for heading, cell in composed.items():
            if brought := found.intersection(cell):
                blamed[heading] = brought
        if rest := found.difference(*blamed.values()):
            # a filter changed it: à is in GSM-7, and À, which upper makes of it, is not
            source = next((h for h, cell in composed.items() if rest & {*cell.upper(), *cell.lower()}), None)
            blamed[source] = blamed.get(source, frozenset()) | rest
        return blamed.items()


def _own_words(source: str) -> str:
    """The template's own text: what is outside its fields and tags, and the quoted words inside them."""
    return _TAG.sub(lambda tag: "".join(_QUOTED.findall(tag[0])), source)


class _Source:
    """What one source brought in, and the campaign priced without it."""

    def __init__(self) -> None:
        self.saved = Saved()
        self._without: Pricer | None = None

    def price(
        self, rows: PricedRows, saved: npt.NDArray[np.int64], hit: Sequence[int], pricer: Pricer
    ) -> None:
        self.saved.rows += len(hit)
        self.saved.parts += int(saved.sum())
        if self._without is None and saved.any():
            self._without = copy.deepcopy(pricer)  # so far both campaigns are the same
        if self._without is not None:
            self._without.price(rows.rows, rows.routes, rows.countries, rows.parts - saved)

    def told(self, bill: Bill) -> Saved:
        if self._without is None:
            return self.saved
        without = self._without.bill()
        unpriced = 0
        for name, actual in bill.countries.items():
            if actual.unpriced_rows:
                other = without.countries[name]
                unpriced += (actual.parts - actual.bundle_parts) - (other.parts - other.bundle_parts)
        self.saved.cost = bill.estimated_cost - without.estimated_cost
        self.saved.unpriced_parts = unpriced
        return self.saved
