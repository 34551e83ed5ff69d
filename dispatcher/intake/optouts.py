"""Reading a spreadsheet of numbers that must not get anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dispatcher.campaign.columns import ColumnOptions, choose_columns
from dispatcher.campaign.phones import read_phones
from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.sheet import open_sheet

_WITHOUT_NUMBER = frozenset({Reason.PHONE_MISSING})


@dataclass(frozen=True)
class Numbers:
    """E.164 recipients, and the rows that could not be read: row, as written, reason code."""

    recipients: set[str]
    unreadable: list[tuple[int, str, str]]


def read_numbers(file: Path, sheet_name: str | None, phone_column: str | None, region: str) -> Numbers:
    """All numbers of the sheet, hidden rows included: whoever is on the list opted out.  Raises FileError or
    UsageError.
    """
    sheet = open_sheet(file, sheet=sheet_name)
    recipients: set[str] = set()
    unreadable: list[tuple[int, str, str]] = []
    heading: str | None = None
    for chunk in sheet.chunks():
        if heading is None:
            columns = choose_columns(
                sheet.headings,
                chunk.table.slice(0, 1_000),
                ColumnOptions(phone=phone_column),
                default_region=region,
                has_template=True,  # there is no text to look for
                file=file.name,
                sheet=sheet.name,
            )
            heading = columns.phone.heading
        cells = chunk.table[heading]
        phones = read_phones(cells, region)
        recipients.update(number for number in phones.recipient if number is not None)
        for i, reason in enumerate(phones.reason):
            if phones.recipient[i] is None and reason not in _WITHOUT_NUMBER:
                unreadable.append((int(chunk.rows[i]), cells[i].as_py(), str(reason)))
    return Numbers(recipients, unreadable)
