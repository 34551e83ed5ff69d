"""Why a workbook comes back as a new one, or without our sheets."""

from __future__ import annotations


class CannotExtend(Exception):
    """Our columns cannot be added to this workbook without a risk to what is in it; a new one is written
    instead.

    Never leaves ``report``.  ``code`` is one of the catalogue's ``rebuilt`` entries.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class CannotAddSheets(Exception):
    """Our sheets cannot be added to this workbook without a risk to what is in it; it comes back without them.

    Never leaves ``report``.  ``code`` is one of the catalogue's ``without_sheets`` entries.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)
