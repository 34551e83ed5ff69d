"""The rows of campaign.xlsx: customers as they come, and every way a spreadsheet goes wrong between them.

Nothing is drawn by chance: names, numbers and times follow from the position, so every run gives the same.
Phone numbers are libphonenumber's example numbers with the last digits varied.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from sample_texts import (
    CLINIC,
    COUNTRY_NAMES,
    FIRST_NAMES,
    LANGUAGES,
    LAST_NAMES,
    SHOP,
    SHOP_KINDS,
    TEXTS,
    spoken_date,
    written_amount,
)

Cell = str | int | dt.date | None
Writing = Callable[[str], Cell]

FIRST_DAY = dt.date(2027, 10, 4)
_SLOTS_A_DAY = 11
_SLOT_MINUTES = 50

#: Country code, the number without its last three digits, and the groups a person writes it in.
_NUMBERS = {
    "IT": ("39", "3123456", (3, 3, 4)),
    "ES": ("34", "612345", (3, 2, 2, 2)),
    "GB": ("44", "7400123", (4, 6)),
    "FR": ("33", "612345", (1, 2, 2, 2, 2)),
    "DE": ("49", "15123456", (4, 7)),
    "CH": ("41", "781234", (2, 3, 2, 2)),
    "US": ("1", "2015550", (3, 3, 4)),
    "SM": ("378", "66661", (2, 2, 2, 2)),
    "AT": ("43", "664123", (3, 6)),
}


@dataclass(frozen=True)
class Spec:
    """What a row is about; the rest of it follows from its position.

    ``writing`` turns the E.164 number into the cell.  ``called`` stands in the text for the first name.
    ``repeats``: a copy of the row so many rows above; ``shares``: has only the number of that row.
    """

    country: str
    kind: str
    writing: Writing | None = None
    called: str | None = None
    text: bool = True
    sender: str | None = None
    no_sender: bool = False
    repeats: int = 0
    shares: int = 0
    hidden: bool = False
    country_name: str | None = None


@dataclass(frozen=True)
class Row:
    """One row of the workbook; ``number`` is the E.164 number behind the cell."""

    first_name: str
    last_name: str
    phone: Cell
    country: str
    appointment: dt.datetime
    amount: Decimal
    text: str | None
    sender: str | None
    hidden: bool
    number: str


#: country -> kind -> rows
_REGULAR = {
    "IT": {
        "appointment": 34, "order": 14, "invoice": 10, "closed": 9, "arrived": 3, "ready": 3, "course": 2,
        "birthday": 2, "test": 3, "surgery": 2,
    },
    "ES": {"appointment": 10, "reminder": 3, "order": 6, "invoice": 4, "closed": 5},
    "GB": {"appointment": 4, "order": 2, "closed": 2},
    "FR": {"appointment": 4, "order": 4},
    "DE": {"appointment": 5, "order": 3},
    "CH": {"appointment": 5, "order": 2},
    "US": {"appointment": 3, "order": 2},
    "SM": {"appointment": 3, "invoice": 1},
}  # fmt: skip


def _grouped(separator: str) -> Writing:
    return lambda number: separator.join([number[:3], number[3:6], number[6:9], number[9:]])


def _fullwidth(number: str) -> str:
    return "".join(chr(ord(character) + 0xFEE0) for character in number)


_ODD = (
    # Readable after a repair.
    Spec("IT", "appointment", lambda number: int(number[1:])),
    Spec("IT", "order", lambda number: int(number[1:])),
    Spec("GB", "appointment", lambda number: int(number[1:])),
    Spec("IT", "appointment", lambda number: f"{number[1:]}.0"),
    Spec("IT", "invoice", lambda number: f"{number[1]}.{number[2:]}E+11"),
    Spec("IT", "appointment", lambda number: f"00{number[1:]}"),
    Spec("ES", "appointment", lambda number: f"0034 {number[3:]}"),
    Spec("IT", "order", lambda number: number[1:]),
    Spec("CH", "appointment", lambda number: number[1:]),
    Spec("GB", "appointment", lambda number: f"+44 (0){number[3:7]} {number[7:]}"),
    Spec("CH", "order", lambda number: f"+41 (0) {number[3:]}"),
    Spec("AT", "appointment"),
    Spec("IT", "appointment", _grouped("-")),
    Spec("IT", "appointment", _grouped("–")),
    Spec("IT", "order", _grouped("\u2011")),
    Spec("IT", "invoice", _grouped("\u2212")),
    Spec("AT", "order"),
    Spec("IT", "appointment", lambda number: f"\u202a{number}\u202c"),
    Spec("IT", "order", lambda number: f"{number[:3]}\u00a0{number[3:6]}\u200b{number[6:]}"),
    Spec("IT", "appointment", _fullwidth),
    Spec("IT", "appointment", lambda number: f"tel:{number}"),
    Spec("DE", "order", lambda number: f"'{number}"),
    # Nobody can say who this is.
    Spec("IT", "appointment", lambda number: None),
    Spec("ES", "order", lambda number: None),
    Spec("AT", "appointment"),
    Spec("IT", "appointment", lambda number: "3.93E+11"),
    Spec("IT", "order", lambda number: f"{number[3:-2]}O{number[-1]}"),
    Spec("IT", "appointment", lambda number: "chiamare la figlia"),
    Spec("IT", "invoice", lambda number: f"{number[3:]} / 3123456000"),
    Spec("IT", "appointment", lambda number: dt.date(2027, 3, 12)),
    Spec("IT", "order", lambda number: "#N/A"),
    Spec("IT", "appointment", lambda number: number[:8]),
    Spec("IT", "appointment", lambda number: "02 12345678"),
    Spec("IT", "order", lambda number: "899 123456"),
    Spec("SM", "appointment", lambda number: "+39 06 69812345", country_name="Vaticano"),
    Spec("GB", "order", lambda number: "+44 7700 900123"),
    Spec("AT", "appointment"),
    Spec("FR", "appointment", lambda number: f"+999 {number[3:]}"),
    # The text is not ready.
    Spec("IT", "appointment", text=False),
    Spec("IT", "appointment", called="{{Nome}}"),
    Spec("ES", "appointment", called="«Nome»"),
    Spec("IT", "appointment", called="#N/D"),
    # The sender is not allowed.
    Spec("IT", "appointment", sender="VS"),
    Spec("IT", "order", sender="800123456"),
    Spec("IT", "invoice", sender="Clinica Vita Sana"),
    Spec("DE", "appointment", sender="Vita&Sana"),
    Spec("ES", "appointment", no_sender=True),
    # Twice, and two texts to one number, which is no mistake.
    Spec("IT", "appointment", repeats=10),
    Spec("IT", "appointment", repeats=18),
    Spec("IT", "order", repeats=25, writing=lambda number: f"00{number[1:]}"),
    Spec("IT", "appointment", shares=1),
    # Below the filter.
    Spec("IT", "appointment", hidden=True),
    Spec("ES", "order", hidden=True),
)


def specs() -> list[Spec]:
    """Every row of the workbook in order: regular ones well mixed, an odd one after every third."""
    plain = [
        Spec(country, kind)
        for country, kinds in _REGULAR.items()
        for kind, rows in kinds.items()
        for _ in range(rows)
    ]
    mixed = [plain[place * 67 % len(plain)] for place in range(len(plain))]
    together: list[Spec] = []
    placed = 0
    for count, spec in enumerate(mixed, 1):
        together.append(spec)
        due = count * len(_ODD) // len(mixed)
        together += _ODD[placed:due]
        placed = due
    return together


def rows() -> list[Row]:
    """The rows of the workbook, without the blank one."""
    made: list[Row] = []
    seen: Counter[str] = Counter()
    for place, (spec, when) in enumerate(zip(specs(), _slots(), strict=False)):
        if spec.repeats:
            made.append(_copy(made[-spec.repeats], spec))
            continue
        order = seen[spec.country]
        seen[spec.country] += 1
        shared = made[-spec.shares] if spec.shares else None
        made.append(_row(spec, place, order, when, shared))
    return made


def _slots() -> Iterator[dt.datetime]:
    day = FIRST_DAY
    while True:
        opening = dt.datetime.combine(day, dt.time(9))
        yield from (opening + dt.timedelta(minutes=_SLOT_MINUTES * slot) for slot in range(_SLOTS_A_DAY))
        day += dt.timedelta(days=2 if day.weekday() == 5 else 1)


def _row(spec: Spec, place: int, order: int, when: dt.datetime, shared: Row | None) -> Row:
    language = LANGUAGES[spec.country]
    first_names, last_names = FIRST_NAMES[language], LAST_NAMES[language]
    first_name = first_names[order % len(first_names)]
    last_name = shared.last_name if shared else last_names[order * 3 % len(last_names)]
    number = shared.number if shared else number_of(spec.country, order)
    amount = Decimal(2500 + place * 1733 % 19000) / 100
    text = TEXTS[language][spec.kind].format(
        name=spec.called or first_name,
        surname=last_name,
        date=spoken_date(when, language),
        time=f"{when:%H:%M}",
        amount=written_amount(amount, language),
    )
    return Row(
        first_name=first_name,
        last_name=last_name,
        phone=spec.writing(number) if spec.writing else _as_people_write(number, spec.country, order),
        country=spec.country_name or COUNTRY_NAMES[spec.country],
        appointment=when,
        amount=amount,
        text=text if spec.text else None,
        sender=spec.sender or _sender(spec, order),
        hidden=spec.hidden,
        number=number,
    )


def _copy(row: Row, spec: Spec) -> Row:
    return replace(row, phone=spec.writing(row.number) if spec.writing else row.phone)


def number_of(country: str, order: int) -> str:
    """The E.164 number of the country's customer number ``order``, at most 100 in the United States."""
    code, stem, _ = _NUMBERS[country]
    # In the United States only 555-0100 to 555-0199 are set aside for fiction.
    last = 100 + order * 37 % 100 if country == "US" else (order * 37 + 11) % 1000
    return f"+{code}{stem}{last:03d}"


def _as_people_write(number: str, country: str, order: int) -> str:
    code, _, groups = _NUMBERS[country]
    national = number[len(code) + 1 :]
    pieces, start = [], 0
    for length in groups:
        pieces.append(national[start : start + length])
        start += length
    spaced = " ".join(pieces)
    if order % 3 == 1:
        return number
    if country == "IT" and order % 3 == 2:
        return spaced
    return f"+{code} {spaced}"


def _sender(spec: Spec, order: int) -> str | None:
    # Operators in the United States take no names; some Italian rows are left to the operator's default.
    if spec.no_sender or spec.country == "US" or (spec.country == "IT" and order % 9 == 4):
        return None
    return SHOP if spec.kind in SHOP_KINDS else CLINIC
