"""The samples are what their generator writes, and hold every kind of row that people really have."""

from __future__ import annotations

import csv
import datetime as dt
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import phonenumbers
import pytest
from openpyxl import load_workbook
from phonenumbers import PhoneNumberType

from dispatcher.campaign.history import NoHistory
from dispatcher.campaign.plan import Planner, PlanOptions
from dispatcher.campaign.prices import Funds, PriceBook, Pricer
from dispatcher.campaign.reasons import PlanStatus, Reason, Repair
from dispatcher.campaign.sheet import open_sheet
from dispatcher.gateway.simulator.config import DEFAULT_FORBIDDEN

SAMPLES = Path(__file__).parents[2] / "samples"
CAMPAIGN = SAMPLES / "campaign.xlsx"
REMINDERS = SAMPLES / "reminders.csv"
HEADINGS = (
    "Nome", "Cognome", "Cellulare", "Paese", "Appuntamento", "Importo", "Messaggio", "Mittente", "Totale",
)  # fmt: skip
COUNTRIES = {"IT", "ES", "GB", "FR", "DE", "CH", "US", "SM"}


@dataclass(frozen=True)
class Planned:
    """One row of a plan."""

    row: int
    status: PlanStatus
    reason: Reason | None
    phone: str
    recipient: str | None
    country: str | None
    repairs: Repair
    sender: str | None
    text: str | None
    encoding: str
    parts: int


def plan(path: Path, message: str | None = None) -> list[Planned]:
    book = PriceBook.from_entries([])
    planner = Planner(
        open_sheet(path), PlanOptions(message=message), Pricer(book, Funds({}, None)), NoHistory()
    )
    return [
        Planned(
            int(chunk.rows[i]), chunk.status[i], chunk.reason[i], chunk.phone[i].as_py(), chunk.recipient[i],
            chunk.country[i], Repair(int(chunk.repairs[i])), chunk.sender[i], chunk.text[i].as_py(),
            str(chunk.encoding[i]), int(chunk.parts[i]),
        )
        for chunk in planner.chunks()
        for i in range(len(chunk.rows))
    ]  # fmt: skip


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    subprocess.run(
        [sys.executable, str(SAMPLES / "make_samples.py"), str(folder)],
        check=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return folder


@pytest.fixture(scope="module")
def planned() -> list[Planned]:
    return plan(CAMPAIGN)


@pytest.fixture(scope="module")
def ready(planned: list[Planned]) -> list[Planned]:
    return [row for row in planned if row.status is PlanStatus.READY]


def contents(path: Path, *, values: bool) -> dict[str, object]:
    """Everything a person sees, but for the colours: formulas, or with ``values`` what they give."""
    seen: dict[str, object] = {}
    for sheet in load_workbook(path, data_only=values).worksheets:
        for row in sheet.iter_rows():
            seen.update({f"{sheet.title}!{cell.coordinate}": (cell.value, cell.data_type) for cell in row})
        seen[f"{sheet.title} hidden"] = [n for n, row in sheet.row_dimensions.items() if row.hidden]
        seen[f"{sheet.title} filter"] = sheet.auto_filter.ref
    return seen


@pytest.mark.parametrize("values", [False, True])
def test_the_campaign_is_what_its_generator_writes(again: Path, values: bool) -> None:
    assert contents(again / CAMPAIGN.name, values=values) == contents(CAMPAIGN, values=values)


def test_the_reminders_are_what_their_generator_writes(again: Path) -> None:
    written, committed = (again / REMINDERS.name).read_bytes(), REMINDERS.read_bytes()
    assert written.decode("cp1252").splitlines() == committed.decode("cp1252").splitlines()


def test_every_row_is_read_once_with_its_row_number(planned: list[Planned]) -> None:
    cells = load_workbook(CAMPAIGN)["Campagna"].iter_rows(min_row=2, values_only=True)
    filled = [number for number, row in enumerate(cells, 2) if any(cell is not None for cell in row)]
    assert open_sheet(CAMPAIGN).headings == HEADINGS
    assert [row.row for row in planned] == filled
    assert set(range(2, filled[-1] + 1)) - set(filled) == {168}, "one blank row, in the middle"


def test_most_rows_can_be_sent(planned: list[Planned]) -> None:
    assert Counter(row.status for row in planned) == {
        PlanStatus.READY: 171,
        PlanStatus.INVALID: 23,
        PlanStatus.HIDDEN: 6,
        PlanStatus.DUPLICATE: 3,
    }


@pytest.mark.parametrize(
    ("reason", "rows"),
    [
        (Reason.PHONE_MISSING, 2),
        (Reason.PHONE_LETTERS, 2),
        (Reason.PHONE_DIGITS_LOST, 1),
        (Reason.PHONE_TWO_NUMBERS, 1),
        (Reason.PHONE_IS_DATE, 1),
        (Reason.PHONE_ERROR_CELL, 1),
        (Reason.PHONE_TOO_SHORT, 1),
        (Reason.PHONE_UNKNOWN_COUNTRY, 1),
        (Reason.PHONE_NOT_VALID, 1),
        (Reason.PHONE_LANDLINE, 2),
        (Reason.PHONE_NOT_MOBILE, 1),
        (Reason.TEXT_MISSING, 1),
        (Reason.TEXT_LEFTOVER, 3),
        (Reason.SENDER_LENGTH, 2),
        (Reason.SENDER_NUMERIC, 1),
        (Reason.SENDER_CHARACTERS, 1),
        (Reason.SENDER_REQUIRED, 1),
        (Reason.DUPLICATE_IN_FILE, 3),
        (Reason.HIDDEN_BY_FILTER, 4),
        (Reason.HIDDEN_BY_HAND, 2),
    ],
)
def test_rows_that_are_not_sent(planned: list[Planned], reason: Reason, rows: int) -> None:
    assert sum(row.reason is reason for row in planned) == rows


@pytest.mark.parametrize("left", ["{{Nome}}", "«Nome»", "#N/D"])
def test_texts_that_nobody_filled_in(planned: list[Planned], left: str) -> None:
    sheet = load_workbook(CAMPAIGN)["Campagna"]
    unfilled = {row[6].row for row in sheet.iter_rows(min_row=2) if left in str(row[6].value)}
    assert [row.reason for row in planned if row.row in unfilled] == [Reason.TEXT_LEFTOVER]


@pytest.mark.parametrize("repair", [repair for repair in Repair if repair])
def test_numbers_that_are_repaired(ready: list[Planned], repair: Repair) -> None:
    assert any(repair in row.repairs for row in ready)


@pytest.mark.parametrize("dash", ["-", "–", "\u2011", "\u2212"])
def test_dashes_of_several_kinds(ready: list[Planned], dash: str) -> None:
    assert any(row.phone.count(dash) == 3 for row in ready)


def test_cells_of_every_type_stand_in_the_number_column() -> None:
    cells = [row[2] for row in load_workbook(CAMPAIGN)["Campagna"].iter_rows(min_row=2)]
    assert Counter(cell.data_type for cell in cells if cell.value is not None).keys() == set("snde")
    assert sum(isinstance(cell.value, int) for cell in cells) == 3


def test_appointments_are_dates_and_amounts_are_numbers() -> None:
    sheet = load_workbook(CAMPAIGN)["Campagna"]
    rows = [row for row in sheet.iter_rows(min_row=2, values_only=True) if row[0] is not None]
    assert all(isinstance(row[4], dt.datetime) and isinstance(row[5], float | int) for row in rows)


def test_every_formula_has_its_value() -> None:
    formulas, values = load_workbook(CAMPAIGN), load_workbook(CAMPAIGN, data_only=True)
    cells = [cell for sheet in formulas for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]
    assert Counter(cell.parent.title for cell in cells) == {"Campagna": 203, "Note": 2}
    totals = values["Campagna"]
    for cell in cells:
        value = values[cell.parent.title][cell.coordinate].value
        assert isinstance(value, float | int), cell.coordinate
        if cell.parent.title == "Campagna":
            assert value == pytest.approx(totals.cell(cell.row, 6).value * 1.22, abs=0.006)
    assert all(not chunk.valueless for chunk in open_sheet(CAMPAIGN).chunks())


def test_numbers_are_example_numbers_of_mobiles_in_their_country(ready: list[Planned]) -> None:
    assert {row.country for row in ready} == COUNTRIES
    for row in ready:
        assert row.recipient is not None
        assert row.country is not None
        number = phonenumbers.parse(row.recipient)
        example = phonenumbers.example_number_for_type(row.country, PhoneNumberType.MOBILE)
        stem = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)[:-3]
        assert row.recipient[:-3] == stem
        assert len(row.recipient) == len(stem) + 3
        assert phonenumbers.region_code_for_number(number) == row.country
        kinds = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
        assert phonenumbers.number_type(number) in kinds


def test_texts_have_one_part_mostly_and_three_at_most(ready: list[Planned]) -> None:
    lengths = Counter((row.encoding, row.parts) for row in ready)
    assert set(lengths) == {("GSM-7", 1), ("GSM-7", 2), ("GSM-7", 3), ("UCS-2", 1), ("UCS-2", 2)}
    assert lengths["GSM-7", 1] > len(ready) * 0.7


@pytest.mark.parametrize("characters", ["€", "à", "È", "á", "“", "’", "🎂", "ñ", "ß"])
def test_characters_that_matter(ready: list[Planned], characters: str) -> None:
    assert any(characters in str(row.text) for row in ready)


def test_some_groups_share_a_text(ready: list[Planned]) -> None:
    groups = sorted(count for count in Counter(row.text for row in ready).values() if count > 1)
    assert groups == [2, 5, 9]


def test_one_number_gets_two_texts(ready: list[Planned]) -> None:
    texts = Counter(row.recipient for row in ready)
    assert [count for count in texts.values() if count > 1] == [2]


def test_spanish_rows_have_a_sender_but_one(planned: list[Planned]) -> None:
    assert [row.reason for row in planned if row.country == "ES" and not row.sender] == [
        Reason.SENDER_REQUIRED
    ]


def test_nothing_in_the_samples_blocks_an_account() -> None:
    sheet = load_workbook(CAMPAIGN)["Campagna"]
    cells = [str(cell) for row in sheet.iter_rows(values_only=True) for cell in row]
    everything = "\n".join([*cells, REMINDERS.read_text("cp1252")])
    assert [word for word in DEFAULT_FORBIDDEN if word.casefold() in everything.casefold()] == []


def test_the_reminders_are_a_semicolon_file_in_windows_1252() -> None:
    content = REMINDERS.read_bytes()
    with pytest.raises(UnicodeDecodeError):
        content.decode("utf-8")
    rows = list(csv.DictReader(content.decode("cp1252").splitlines(), delimiter=";"))
    sheet = open_sheet(REMINDERS)
    assert sheet.delimiter == ";"
    assert (
        sheet.headings == tuple(rows[0]) == ("Nome", "Cognome", "Cellulare", "Data", "Ora", "Medico", "Sede")
    )
    assert sum(len(chunk.rows) for chunk in sheet.chunks()) == len(rows) == 30
    assert all(dt.datetime.strptime(f"{row['Data']} {row['Ora']} +0200", "%d/%m/%Y %H:%M %z") for row in rows)


def test_every_reminder_can_be_sent_with_a_template() -> None:
    message = "Ciao {{Nome}}, ti aspettiamo il {{Data}} alle {{Ora}} a {{Sede}}."
    rows = plan(REMINDERS, message)
    assert [row.status for row in rows] == [PlanStatus.READY] * 30
    assert {row.country for row in rows} == {"IT"}
    assert len({row.recipient for row in rows}) == 30
