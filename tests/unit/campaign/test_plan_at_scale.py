"""A large file, planned in columns and row by row: every written form, every encoding, every edge; no difference."""

from __future__ import annotations

import csv
import random
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import phonenumbers
import pytest

from dispatcher.campaign.columns import ColumnOptions
from dispatcher.campaign.history import NoHistory
from dispatcher.campaign.phones import read_phone
from dispatcher.campaign.plan import Planner, PlanOptions
from dispatcher.campaign.prices import Funds, PriceBook, Pricer
from dispatcher.campaign.reasons import PlanStatus, Reason
from dispatcher.campaign.repeated import guard_key
from dispatcher.campaign.routes import route_of
from dispatcher.campaign.segments import MAX_PARTS, measure
from dispatcher.campaign.senders import sender_problem
from dispatcher.campaign.sheet import open_sheet
from dispatcher.campaign.substitution import to_gsm7
from dispatcher.campaign.template import Template, compile_template, literal

HEADINGS = ("Id", "Mobile", "Name", "Text", "From")
BOOK = PriceBook.from_entries(
    [("IT", "*", Decimal("0.0450")), ("ES", "*", Decimal("0.0525")), ("WW", "GB", Decimal("0.07"))]
)
TEMPLATES = {
    "fields": "Ciao {{ Name }}, {{ Text|default('nessuna nota') }}: a presto, Studio Sole [{{ From|default('1') }}]",
    "composed": "Ciao {{ Name }}, {{ Text|default('nessuna nota') }}: a presto, Studio Sole €{{ From|d('1') }}",
    "logic": "{% if Name %}Gentile {{ Name|upper }}{% else %}Gentile cliente{% endif %}, perché no? {{ Text }}",
    "column": None,
}
JUNK = (
    "",
    " ",
    "n/d",
    "06 6982",
    "12",
    "#N/A",
    "3.93E+11",
    "05/12/2026",
    "fax 02 1234567",
    "333x1234567",
    "????",
)
UNITS = ("a", "é", "€", "{", "á", "Ł", "Ж", "😀", "e\u0301", "\u200b", "漢", "`", "\u00a0")
ODD_TEXTS = (
    "", " ", "\u00a0", "nan", "None of it", "null", "#N/A", "{{ Name }}", "«Nome»", "perch\ufffd", "[Name]", "<3",
    "riga\nsotto", "riga\r\nsotto", "Ferdinando", "50 % di sconto", "A\u030angstro\u0308m", "=1+1",
)  # fmt: skip


class Remembered(NoHistory):
    """Some people opted out, some texts were sent: told by the number, so that the rule can ask row by row."""

    def opted_out(self, recipients: Sequence[str]) -> set[str]:
        return {recipient for recipient in recipients if recipient.endswith("77")}

    def already_sent(self, guard_keys: Sequence[bytes]) -> set[bytes]:
        return {key for key in guard_keys if key[0] < 5}


def mobiles() -> list[tuple[str, str]]:
    """Calling code and example mobile of every region that has one."""
    kind = phonenumbers.PhoneNumberType.MOBILE
    found = (
        phonenumbers.example_number_for_type(region, kind)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    )
    return [(str(one.country_code), str(one.national_number)) for one in found if one is not None]


def written(rng: random.Random, code: str, number: str) -> str:
    """One of the forms in which people write a number."""
    a, b, c = number[:3], number[3:6], number[6:]
    return rng.choice(
        (
            *(f"+{code}{number}", f"00{code}{number}", f"{code}{number}", number, f"0{number}"),
            *(f"+{code} {a} {b} {c}", f"+{code} {a}-{b}{c}", f"+{code}.{a}.{b}{c}", f"(+{code}) {a} {b}{c}"),
            *(
                f"+{code} (0){number}",
                f"tel:+{code}{number}",
                f"tel: {number}",
                f"\u200e+{code}\u00a0{a}{b}{c}",
            ),
            *(f"{a}/{b}{c}", f" {a} {b} {c} ", f"{number}.0", f"'+{code}{number}", f"+{code}{number} / 2"),
            *(
                f"{number} o {number}",
                f"cell. {number}",
                f"+{code}{number}".replace("3", "３"),
                f"{number} int. 2",
            ),
        )
    )


def text(rng: random.Random) -> str:
    """Words, something odd, or letters up to an edge: of a part, of several, of what is sent at all."""
    way = rng.random()
    if way < 0.3:
        return rng.choice(("Anna", "José", "Nicolò", "Ci vediamo alle 9", "Łukasz", "D'Angelo, 50€"))
    if way < 0.5:
        return rng.choice(ODD_TEXTS)
    edge = rng.choice((67, 70, 134, 153, 160, 306, 459, 670, 1_530)) + rng.randrange(-60, 3)
    filler, other = rng.choice(UNITS), rng.choice(UNITS)
    place = rng.randrange(edge)
    return f"{filler * place}{other}{filler * (edge - place)}" if rng.random() < 0.5 else filler * edge


def lines(rows: int, encoding: str, composed: bool) -> Iterator[dict[str, str]]:
    """The cells of so many rows, as they can be written in the encoding; ``composed``: none that is tidied."""
    rng, known = random.Random(rows), mobiles()
    cells: tuple[str, ...] = ()
    home = [mobile for mobile in known if mobile[0] in ("39", "34", "44")]
    for number in range(rows):
        code, mobile = rng.choice(home if rng.random() < 0.7 else known)
        tail = f"{rng.randrange(500 if rng.random() < 0.3 else 1_000_000):06d}"
        phone = rng.choice(JUNK) if rng.random() < 0.05 else written(rng, code, mobile[:-6] + tail)
        sender = rng.choice(("", "", "", "Studio Sole", " Sole ", "Openapi", "12345", "ab", "Caffè"))
        if number and rng.random() < 0.05:
            cells = (str(number), *cells[1:])  # the row before once more
        else:
            cells = (str(number), phone, text(rng), text(rng), sender)
        plain = (cell.encode(encoding, "ignore").decode(encoding) for cell in cells)
        if composed:
            plain = (unicodedata.normalize("NFC", cell).replace("\r", "") for cell in plain)
        yield dict(zip(HEADINGS, plain, strict=True))


@dataclass
class Rule:
    """The plan row by row; bundles, duplicates and the ledger's memory in the order of the file."""

    options: PlanOptions
    template: Template | None
    left: dict[str, int]
    history: Remembered = field(default_factory=Remembered)
    seen: set[tuple[str, str]] = field(default_factory=set)

    def row(self, cells: dict[str, str]) -> tuple[object, ...]:
        phone = read_phone(cells["Mobile"], "IT")
        sent, text_reason = self.text(cells)
        measured = measure(sent or "")
        sender = cells["From"].strip() or self.options.sender
        reasons = (
            phone.reason,
            text_reason,
            Reason.TEXT_TOO_LONG if measured.parts > MAX_PARTS else None,
            sender_problem(sender, phone.country or ""),
        )
        reason = next((one for one in reasons if one is not None), None)
        status, key, cost = PlanStatus.INVALID, None, None
        if reason is None:
            assert phone.recipient is not None
            assert sent is not None
            key = guard_key(phone.recipient, sent)
            status, reason = self.known(phone.recipient, sent, key)
            key = None if status is PlanStatus.OPTED_OUT else key
            if status is PlanStatus.READY:
                cost = self.charge(str(route_of(phone.country or "")), phone.country or "", measured.parts)
        route = route_of(phone.country) if phone.country else None
        facts = (phone.recipient, phone.country, phone.repairs.value, route, sender)
        return (status, reason, *facts, sent, measured.encoding, measured.parts, key, cost)

    def text(self, cells: dict[str, str]) -> tuple[str | None, Reason | None]:
        if self.template is None:
            column = literal([cells["Text"]], "Text", HEADINGS)
            sent, reason = column.text[0], column.reason[0]
        else:
            rendered = self.template.render_row(cells)
            sent, reason = rendered.text, rendered.reason
        return (to_gsm7(sent) if sent is not None and self.options.gsm7 else sent), reason

    def known(self, recipient: str, sent: str, key: bytes) -> tuple[PlanStatus, Reason | None]:
        if self.history.opted_out([recipient]):
            return PlanStatus.OPTED_OUT, Reason.OPTED_OUT
        if (recipient, sent) in self.seen:
            return PlanStatus.DUPLICATE, Reason.DUPLICATE_IN_FILE
        self.seen.add((recipient, sent))
        if self.history.already_sent([key]):
            return PlanStatus.ALREADY_SENT, Reason.ALREADY_SENT
        return PlanStatus.READY, None

    def charge(self, route: str, country: str, parts: int) -> Decimal | None:
        for bundle in dict.fromkeys([route, country]) if route == "WW" else [route]:
            taken = min(parts, self.left.get(bundle, 0))
            self.left[bundle] = self.left.get(bundle, 0) - taken
            parts -= taken
        price = BOOK.price(route, country)
        return Decimal(0) if not parts else None if price is None else price * parts


def compare(folder: Path, rows: int, kind: str, encoding: str, gsm7: bool) -> None:
    """Plan the file in columns and by the rule; every column of every row is the same."""
    path = folder / "people.csv"
    cells = list(lines(rows, encoding, kind == "composed"))
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, HEADINGS, delimiter=";")
        writer.writeheader()
        writer.writerows(cells)
    source, bundles = TEMPLATES[kind], {"IT": rows // 10, "WW": rows // 20}
    columns = ColumnOptions(phone="Mobile", message=None if source else "Text", sender="From")
    options = PlanOptions(message=source, columns=columns, sender="Studio", gsm7=gsm7)
    sheet = open_sheet(path, encoding=encoding)
    planner = Planner(sheet, options, Pricer(BOOK, Funds(dict(bundles), None)), Remembered())
    template = None if source is None else compile_template(source, HEADINGS, decimal_mark=",")
    rule = Rule(options, template, dict(bundles))
    coming, total, counts = iter(cells), Decimal(0), Counter[PlanStatus]()
    for chunk in planner.chunks():
        found = zip(
            *(chunk.status, chunk.reason, chunk.recipient, chunk.country, chunk.repairs.tolist()),
            *(chunk.route, chunk.sender, chunk.text.to_pylist(), chunk.encoding, chunk.parts.tolist()),
            *(chunk.guard_key, chunk.cost),
            strict=True,
        )
        for number, row in zip(chunk.rows.tolist(), found, strict=True):
            expected = rule.row(next(coming))
            assert row == expected, (number, cells[int(number) - 2])
            counts[row[0]] += 1
            total += row[-1] or 0
    assert next(coming, None) is None
    assert planner.summary.counts == counts
    assert planner.bill().estimated_cost == total
    assert set(counts) == {*PlanStatus} - {PlanStatus.HIDDEN, PlanStatus.TOO_LATE, PlanStatus.CAPPED}


@pytest.mark.parametrize(
    ("kind", "encoding", "gsm7"),
    [
        ("fields", "utf-8", False),
        ("composed", "utf-8", False),
        ("composed", "utf-8", True),
        ("logic", "utf-16", False),
        ("column", "cp1252", True),
    ],
)
def test_columns_equal_rules(tmp_path: Path, kind: str, encoding: str, gsm7: bool) -> None:
    compare(tmp_path, 2_000, kind, encoding, gsm7)


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("gsm7", [False, True])
@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        *(("fields", "utf-8"), ("fields", "cp1252"), ("composed", "utf-8")),
        *(("logic", "utf-16"), ("column", "utf-8-sig")),
    ],
)
def test_columns_equal_rules_at_scale(tmp_path: Path, kind: str, encoding: str, gsm7: bool) -> None:
    compare(tmp_path, 100_000, kind, encoding, gsm7)
