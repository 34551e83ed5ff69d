"""The plan as a workbook, for whoever has to approve it: every row, what it would get, or why it would not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.worksheet.worksheet import Worksheet

from dispatcher.ledger import CampaignView, Ledger, RowState
from dispatcher.ledger.queries import ReportRow
from dispatcher.report.files import written_whole
from dispatcher.report.reasons import reason_text
from dispatcher.wording import Wording

BATCH = 2_000
MOST_ROWS = 1_000_000  # a sheet ends at 1,048,576
_HEADINGS = ("row", "status", "recipient", "sender", "text", "parts", "cost", "reason")


def write_plan(ledger: Ledger, campaign: CampaignView, path: Path, wording: Wording) -> None:
    """Write the campaign's rows to ``path`` (.xlsx), whole or not at all.

    At most :data:`MOST_ROWS` of them.  Raises UsageError or FileError as reports do.
    """
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet(wording("watch.plan_sheet"))
    sheet.append([wording(f"watch.plan_{name}") for name in _HEADINGS])
    for values in itertools.islice(_rows(ledger, campaign.id, wording), MOST_ROWS):
        sheet.append([_cell(sheet, value) for value in values])
    with written_whole(path) as file:
        workbook.save(file)


def _rows(ledger: Ledger, campaign_id: int, wording: Wording) -> Iterator[list[object]]:
    stored = ledger.queries.report_rows(campaign_id)
    while batch := list(itertools.islice(stored, BATCH)):
        texts = ledger.queries.texts(campaign_id, [row.row for row in batch])
        for row in batch:
            yield _values(row, texts.get(row.row), wording)


def _values(row: ReportRow, text: str | None, wording: Wording) -> list[object]:
    goes = row.state is RowState.READY
    return [
        row.row,
        wording(f"states.{row.state.code}"),
        row.recipient or row.phone,
        row.sender if goes else None,
        text if goes else None,
        row.parts if goes else None,
        row.estimated_cost if goes else None,
        reason_text(wording, row, text) if row.reason else None,
    ]


def _cell(sheet: Worksheet, value: object) -> object:
    """Text stays text: a cell that begins with an equals sign would be a formula of a stranger's."""
    if not isinstance(value, str):
        return value
    cell = WriteOnlyCell(sheet, value=ILLEGAL_CHARACTERS_RE.sub("", value)[:32_000])
    cell.data_type = "s"
    return cell
