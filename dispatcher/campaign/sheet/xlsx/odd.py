"""Cells that the fast reader leaves to the general one."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.campaign.locale import Locale, render
from dispatcher.campaign.sheet.xlsx.bytes import require
from dispatcher.campaign.sheet.xlsx.marks import CellMarks, attributes_of
from dispatcher.campaign.sheet.xlsx.rows import ATTRIBUTES
from dispatcher.campaign.sheet.xlsx.sample import Sample

_CELL = re.compile(rf"({ATTRIBUTES})(?:/|>(.*)</c)>\s*", re.DOTALL)
_NAMED_AGAIN = re.compile(r"\sr=")


@dataclass(frozen=True)
class OddCell:
    """The text of a cell; whether it is a formula without a stored value, or a date."""

    text: str
    valueless: bool
    dated: bool


@dataclass(frozen=True)
class OddCells:
    """Reads odd cells of the worksheet ``sheet``, which is ``part`` of the package."""

    sample: Sample
    sheet: str
    part: str
    marks: CellMarks
    locale: Locale

    def is_number(self, style: str) -> bool:
        """Whether a number in this style is one, and not a date."""
        return isinstance(self._values([f' s="{style}"><v>1</v></c>'])[0], float)

    def read(self, cells: Sequence[str]) -> list[OddCell]:
        """What cells are, given what follows their references."""
        taken = [_CELL.fullmatch(cell) for cell in cells]
        require(all(found and not _NAMED_AGAIN.search(found[1]) for found in taken))
        require(not any("</c>" in (found[2] or "") for found in taken if found))
        values = self._values(cells)
        return [
            self._cell(found[1], found[2], value) for found, value in zip(taken, values, strict=True) if found
        ]

    def _values(self, cells: Sequence[str]) -> list[object]:
        return self.sample.cells(self.sheet, self.part, cells)

    def _cell(self, attributes: str, content: str | None, value: object) -> OddCell:
        kind = attributes_of(attributes.encode()).get("t")
        error, valueless = (None, False) if content is None else self.marks.read(kind, content.encode())
        if error is not None:
            return OddCell(error, valueless=False, dated=False)
        return OddCell(render(value, self.locale), valueless, isinstance(value, dt.date))
