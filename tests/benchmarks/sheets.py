"""The files that are measured: rows of people with numbers as they write them, the same for the same number of rows."""

from __future__ import annotations

import csv
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import phonenumbers

SEED = 20_261
TEMPLATE = "Gentile {{ Nome }} {{ Cognome }}, la aspettiamo a {{ Città }} il {{ Data }}. Studio Sole"
HEADINGS = ("Nome", "Cognome", "Cellulare", "Città", "Data", "Note")
NAMES = ("Anna", "Nicolò", "Zoë", "José", "Maria Teresa", "Łukasz", "Ilaria", "Ángel")
SURNAMES = ("Rossi", "D'Angelo", "García", "Müller", "Bianchi", "Esposito", "Núñez")
PLACES = ("Milano", "Forlì", "Málaga", "Roma")
REGIONS = ("IT",) * 14 + ("ES",) * 4 + ("GB", "FR")

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/sharedStrings.xml" ContentType="{_TYPE}.sharedStrings+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
    '<sheets><sheet name="Clienti" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_OFFICE}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
}


def people(rows: int) -> Iterator[tuple[str, ...]]:
    """Rows of six columns; half of the numbers clean, half as people write them, one in a hundred wrong."""
    rng = random.Random(SEED)
    for row in range(rows):
        day = f"{row % 28 + 1:02d}/12/2026 {8 + row % 10:02d}:30"
        note = "cliente da anni" if row % 3 else ""
        yield (
            rng.choice(NAMES),
            rng.choice(SURNAMES),
            _written_number(rng, row),
            rng.choice(PLACES),
            day,
            note,
        )


def write_csv(path: Path, rows: int) -> None:
    """As a program exports it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        sheet = csv.writer(file)
        sheet.writerow(HEADINGS)
        sheet.writerows(people(rows))


def write_workbook(path: Path, rows: int) -> None:
    """As Excel saves it: texts in a table of their own, each once."""
    numbers: dict[str, int] = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in _PARTS.items():
            archive.writestr(name, content)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            part.write(f'<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            for number, row in enumerate(_with_heading(rows), 1):
                cells = (
                    f'<c r="{column}{number}" t="s"><v>{numbers.setdefault(text, len(numbers))}</v></c>'
                    for column, text in zip("ABCDEF", row, strict=True)
                    if text
                )
                part.write(f'<row r="{number}">{"".join(cells)}</row>'.encode())
            part.write(b"</sheetData></worksheet>")
        with archive.open("xl/sharedStrings.xml", "w", force_zip64=True) as part:
            part.write(f'<sst xmlns="{_MAIN}" uniqueCount="{len(numbers)}">'.encode())
            part.writelines(
                f'<si><t xml:space="preserve">{escape(text)}</t></si>'.encode() for text in numbers
            )
            part.write(b"</sst>")


def _with_heading(rows: int) -> Iterator[tuple[str, ...]]:
    yield HEADINGS
    yield from people(rows)


def _written_number(rng: random.Random, row: int) -> str:
    """A mobile made from the library's example of a region by counting up its last digits."""
    region = rng.choice(REGIONS)
    code, digits = _EXAMPLES[region]
    number = f"{digits[:-6]}{(int(digits[-6:]) + 7 * row) % 1_000_000:06d}"
    if row % 100 == 99:
        return rng.choice(("", "n/d", "06 6982", f"{number} int. B", number[:4]))
    if row % 2:
        return f"+{code}{number}"
    return rng.choice(
        (
            f"+{code} {number[:3]} {number[3:6]} {number[6:]}",
            f"00{code}{number}",
            f"{code}{number}",
            f"+{code} {number[:3]}-{number[3:]}",
            f"+{code}.{number[:3]}.{number[3:]}",
            f"tel:+{code}{number}",
            f"\u200e+{code}\u00a0{number}",
            number if region == "IT" else f"+{code} ({number[:3]}) {number[3:]}",
        )
    )


def _examples() -> dict[str, tuple[str, str]]:
    """Calling code and national number of the library's example mobile."""
    found = {}
    for region in REGIONS:
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        if example is None:
            raise LookupError(f"the library has no example mobile of {region}")
        found[region] = (str(example.country_code), str(example.national_number))
    return found


_EXAMPLES = _examples()
