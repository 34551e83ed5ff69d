"""Write campaign.xlsx and reminders.csv: ``python samples/make_samples.py [FOLDER]`` (default: this folder).

Customers, companies and numbers are invented.  The same program always writes the same cells; run it after
changing anything here and commit what it wrote.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
import sys
import zipfile
from decimal import ROUND_HALF_UP, Decimal
from io import BytesIO
from pathlib import Path

from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.formatting.rule import Rule
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.styles.differential import DifferentialStyle
from openpyxl.workbook.properties import CalcProperties
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet
from sample_rows import FIRST_DAY, Row, number_of, rows
from sample_texts import COUNTRY_NAMES, FIRST_NAMES, LAST_NAMES

HEADINGS = (
    "Nome", "Cognome", "Cellulare", "Paese", "Appuntamento", "Importo", "Messaggio", "Mittente", "Totale",
)  # fmt: skip
WIDTHS = (13, 15, 22, 14, 17, 11, 78, 13, 11)

# Excel lays a filter over the rows down to the first blank one; what stands below is not filtered.
BLANK_ROW = 168
FILTERED_OUT = "Austria"

_VAT = Decimal("1.22")
_CENT = Decimal("0.01")
_SAVED = dt.datetime.fromisoformat("2027-09-27T08:30:00")
_TEAL, _PALE, _LINE = "FF0F766E", "FFF0FDFA", "FFD6D3D1"

#: Cell reference -> what its formula gives, by worksheet part.
Values = dict[str, dict[str, str]]


def main(folder: Path) -> None:
    """Write both files into ``folder``."""
    write_workbook(folder / "campaign.xlsx")
    write_reminders(folder / "reminders.csv")


def write_workbook(path: Path) -> None:
    """The campaign: rows of every kind, formatted as an office would."""
    book = Workbook()
    book.properties.title = "Promemoria ottobre"
    book.properties.creator = "Gruppo Vita Sana"
    book.properties.created = _SAVED
    # The formulas' values are in the file: nothing has to be computed on opening.
    book.calculation = CalcProperties(fullCalcOnLoad=False)
    campaign = book.worksheets[0]
    campaign.title = "Campagna"
    placed = _placed(rows())
    totals = _fill(campaign, placed)
    _format(campaign, placed)
    notes = _notes(book.create_sheet("Note"), placed)
    stream = BytesIO()
    book.save(stream)
    values = {"xl/worksheets/sheet1.xml": totals, "xl/worksheets/sheet2.xml": notes}
    path.write_bytes(_finished(stream.getvalue(), values))


def _placed(made: list[Row]) -> dict[int, Row]:
    """The rows by their row number in the sheet."""
    return {place + (place >= BLANK_ROW): row for place, row in enumerate(made, 2)}


def _fill(sheet: Worksheet, placed: dict[int, Row]) -> dict[str, str]:
    """Write headings and rows; gives the values of the formulas."""
    sheet.append(HEADINGS)
    totals = {}
    for number, row in placed.items():
        cells = (
            row.first_name, row.last_name, row.phone, row.country, row.appointment, row.amount, row.text,
            row.sender, f"=ROUND(F{number}*{_VAT},2)",
        )  # fmt: skip
        for column, value in enumerate(cells, 1):
            sheet.cell(number, column, value)
        totals[f"I{number}"] = str((row.amount * _VAT).quantize(_CENT, ROUND_HALF_UP))
    return totals


def _format(sheet: Worksheet, placed: dict[int, Row]) -> None:
    last = max(placed)
    _format_heading(sheet)
    edge = Border(bottom=Side("hair", _LINE))
    band = PatternFill("solid", fgColor=_PALE)
    for number, row in placed.items():
        for heading, cell in zip(HEADINGS, sheet[number], strict=True):
            cell.border = edge
            cell.alignment = Alignment(vertical="top", wrap_text=heading == "Messaggio")
            if number % 2:
                cell.fill = band
        if isinstance(row.phone, int):
            sheet.cell(number, 3).number_format = "0.00E+00"
        if isinstance(row.phone, dt.date):
            sheet.cell(number, 3).number_format = "dd/mm/yyyy"
        sheet.cell(number, 5).number_format = "dd/mm/yyyy hh:mm"
        for column in (6, 9):
            sheet.cell(number, column).number_format = '#,##0.00 "€"'
        sheet.row_dimensions[number].hidden = row.hidden or row.country == FILTERED_OUT
    _filter(sheet, placed)
    countries = DataValidation("list", formula1=f'"{",".join(COUNTRY_NAMES.values())}"', allow_blank=True)
    countries.add(f"D2:D{last}")
    sheet.add_data_validation(countries)
    large = Rule(
        "cellIs", operator="greaterThan", formula=["200"],
        dxf=DifferentialStyle(font=Font(bold=True, color="FFB45309")),
    )  # fmt: skip
    sheet.conditional_formatting.add(f"F2:F{last}", large)


def _format_heading(sheet: Worksheet) -> None:
    for letter, cell, width in zip("ABCDEFGHI", sheet[1], WIDTHS, strict=True):
        cell.font = Font(bold=True, color="FFFFFFFF")
        cell.fill = PatternFill("solid", fgColor=_TEAL)
        cell.alignment = Alignment(vertical="center")
        sheet.column_dimensions[letter].width = width
    sheet.row_dimensions[1].height = 24
    sheet.freeze_panes = "A2"
    sheet.print_title_rows = "1:1"
    sheet["C1"].comment = Comment("Il numero del cliente, così come lo ha lasciato.", "Segreteria")


def _filter(sheet: Worksheet, placed: dict[int, Row]) -> None:
    sheet.auto_filter.ref = f"A1:I{BLANK_ROW - 1}"
    shown = {row.country for number, row in placed.items() if number < BLANK_ROW} - {FILTERED_OUT}
    sheet.auto_filter.add_filter_column(HEADINGS.index("Paese"), sorted(shown))


def _notes(sheet: Worksheet, placed: dict[int, Row]) -> dict[str, str]:
    last = max(placed)
    lines = (
        ("Clienti nella campagna", f"=COUNTA(Campagna!A2:A{last})"),
        ("Importo complessivo", f"=SUM(Campagna!F2:F{last})"),
        ("Preparato da", "Segreteria"),
        ("Da ricordare", "L'Austria è esclusa con il filtro; le righe nascoste sono in attesa di conferma."),
    )
    for number, (label, value) in enumerate(lines, 1):
        sheet.cell(number, 1, label).font = Font(bold=True)
        sheet.cell(number, 2, value)
    sheet["B2"].number_format = '#,##0.00 "€"'
    sheet.column_dimensions["A"].width = 26
    sheet.column_dimensions["B"].width = 80
    return {"B1": str(len(placed)), "B2": str(sum(row.amount for row in placed.values()))}


def _finished(workbook: bytes, values: Values) -> bytes:
    """The saved workbook with its formulas' values, which openpyxl leaves out, and without today's date."""
    stream = BytesIO()
    saved = rb"\g<1>" + _SAVED.isoformat().encode() + b"Z"
    with (
        zipfile.ZipFile(BytesIO(workbook)) as given,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for name in given.namelist():
            content = given.read(name)
            if name in values:
                content = _with_values(content.decode(), values[name]).encode()
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", saved, content)
            made.writestr(zipfile.ZipInfo(name, _SAVED.timetuple()[:6]), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _with_values(xml: str, values: dict[str, str]) -> str:
    def valued(cell: re.Match[str]) -> str:
        return f"{cell['start']}<v>{values[cell['reference']]}</v></c>"

    pattern = r'(?P<start><c r="(?P<reference>[A-Z]+\d+)"[^>]*><f>[^<]*</f>)<v\s*(?:/>|></v>)</c>'
    filled, count = re.subn(pattern, valued, xml)
    if count != len(values):
        raise ValueError(f"{len(values)} formulas expected, {count} found")
    return filled


def write_reminders(path: Path) -> None:
    """Thirty appointments as an older Italian program exports them: semicolons, Windows-1252, CRLF."""
    doctors = ("Dott.ssa D’Alò", "Dott. Sartorè", "Dott.ssa Benetti")
    places = ("Forlì", "Cantù", "Milano")
    with path.open("w", encoding="cp1252", newline="") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow(("Nome", "Cognome", "Cellulare", "Data", "Ora", "Medico", "Sede"))
        for place in range(30):
            number = number_of("IT", 500 + place)
            day = FIRST_DAY + dt.timedelta(days=place // 6)
            writer.writerow(
                (
                    FIRST_NAMES["it"][place * 2 % len(FIRST_NAMES["it"])],
                    LAST_NAMES["it"][place * 7 % len(LAST_NAMES["it"])],
                    (f"{number[3:6]} {number[6:]}", number, f"{number[3:6]}-{number[6:]}")[place % 3],
                    f"{day:%d/%m/%Y}",
                    f"{9 + place % 6 * 3 // 2:02d}:{'30' if place % 2 else '00'}",
                    doctors[place % 3],
                    places[place % 3],
                )
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
