"""A spreadsheet as text columns: nothing lost, nothing guessed, with the row numbers the person sees.

``open_sheet`` is the way in; it looks at what the file *is*, not at what it is called, reads the headings and
refuses what cannot become a campaign with one :class:`~dispatcher.errors.FileError` (codes ``sheet_...``).

What a name stands for is imported when it is first asked for: a report looks at sheets and plans nothing.
"""

from typing import TYPE_CHECKING

from dispatcher.lazily import lazily

if TYPE_CHECKING:
    from dispatcher.campaign.sheet.formulas import guard_formula, unguard_formula
    from dispatcher.campaign.sheet.model import Sheet, SheetChunk, SheetKind
    from dispatcher.campaign.sheet.opening import open_sheet

__getattr__ = lazily(
    __name__,
    {
        "Sheet": "model",
        "SheetChunk": "model",
        "SheetKind": "model",
        "guard_formula": "formulas",
        "open_sheet": "opening",
        "unguard_formula": "formulas",
    },
)

__all__ = ["Sheet", "SheetChunk", "SheetKind", "guard_formula", "open_sheet", "unguard_formula"]
