"""What a plan tells: problems with what was found, repairs, substitutions, and which column costs what."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.campaign.costly import CampaignSavings
from dispatcher.campaign.history import NoHistory
from dispatcher.campaign.plan import Planner, PlanOptions
from dispatcher.campaign.prices import Funds, PriceBook, Pricer
from dispatcher.campaign.problems import LONGEST_FOUND
from dispatcher.campaign.reasons import PlanStatus, Reason, Repair
from dispatcher.campaign.sheet import open_sheet
from dispatcher.campaign.summary import MAX_PROBLEMS

BOOK = PriceBook.from_entries([("IT", "*", Decimal("0.05")), ("WW", "GB", Decimal("0.07"))])
PHONE = "+393123456789"


def planned(
    folder: Path, rows: Sequence[Sequence[str]], options: PlanOptions, bundles: dict[str, int] | None = None
) -> Planner:
    """A planner at its end over a CSV file; the first of ``rows`` is the heading row."""
    file = folder / "list.csv"
    lines = (";".join(f'"{cell}"' for cell in row) for row in rows)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    planner = Planner(
        open_sheet(file, chunk_rows=3), options, Pricer(BOOK, Funds(bundles or {}, None)), NoHistory()
    )
    for _ in planner.chunks():
        pass
    return planner


def numbers(count: int) -> list[str]:
    return [f"+39312345{n:04d}" for n in range(count)]


# --- problems


@pytest.mark.parametrize(
    ("phone", "name", "sender", "column", "reason", "found"),
    [
        ("12", "Anna", "", "Cellulare", Reason.PHONE_TOO_SHORT, "12"),
        (" 06 6982 ", "Anna", "", "Cellulare", Reason.PHONE_LANDLINE, " 06 6982 "),
        ("x" * 300, "Anna", "", "Cellulare", Reason.PHONE_LETTERS, "x" * (LONGEST_FOUND - 1) + "…"),
        (PHONE, "", "", "Nome", Reason.TEXT_FIELD_EMPTY, ""),
        (PHONE, "#N/A", "", "Nome", Reason.TEXT_LEFTOVER, "#N/A"),
        (
            PHONE,
            "word " * 30 + "«Nome» e altro",
            "",
            "Nome",
            Reason.TEXT_LEFTOVER,
            "…word word word «Nome» e altro",
        ),
        (PHONE, "Anna", "Café", "Mittente", Reason.SENDER_CHARACTERS, "Café"),
        (PHONE, "Anna", " 12345 ", "Mittente", Reason.SENDER_NUMERIC, "12345"),
        ("+34612345678", "Anna", "openapi", "Mittente", Reason.SENDER_REQUIRED, "openapi"),
        ("+34612345678", "Anna", "", "Mittente", Reason.SENDER_REQUIRED, ""),
        (PHONE, "a" * 159, "", None, Reason.TEXT_MULTIPART, "GSM-7 161/160"),
        (PHONE, "á" * 69, "", None, Reason.TEXT_MULTIPART, "UCS-2 71/70"),
        (PHONE, "a" * 1_529, "", None, Reason.TEXT_TOO_LONG, "GSM-7 1531/1530"),
    ],
)
def test_a_problem_says_where_and_what(
    tmp_path: Path, phone: str, name: str, sender: str, column: str | None, reason: Reason, found: str
) -> None:
    rows = [("Cellulare", "Nome", "Mittente"), (phone, name, sender)]
    options = PlanOptions(message="A {{ Nome }}", single_part=True)
    (problem,) = planned(tmp_path, rows, options).summary.problems
    assert (problem.row, problem.column, problem.reason, problem.found) == (2, column, reason, found)


def test_a_leftover_in_a_message_column_is_shown_with_its_surroundings(tmp_path: Path) -> None:
    text = "Buongiorno, le ricordiamo che {{ data }} la aspettiamo da noi, " * 3
    planner = planned(tmp_path, [("Cellulare", "Testo"), (PHONE, text)], PlanOptions())
    (problem,) = planner.summary.problems
    assert (problem.column, problem.reason) == ("Testo", Reason.TEXT_LEFTOVER)
    assert problem.found.startswith("…")
    assert "ricordiamo che {{ data }} la" in problem.found
    assert len(problem.found) <= LONGEST_FOUND


def test_a_row_with_too_many_fields_is_a_problem_of_no_column(tmp_path: Path) -> None:
    rows = [("Cellulare", "Nome"), (PHONE, "Anna"), (PHONE, "Anna", "x"), *((p, "B") for p in numbers(9))]
    (problem,) = planned(tmp_path, rows, PlanOptions(message="Ciao {{ Nome }}")).summary.problems
    assert (problem.row, problem.column, problem.reason) == (3, None, Reason.ROW_TOO_LONG)


def test_only_the_first_thousand_problems_are_kept_but_all_are_counted(tmp_path: Path) -> None:
    rows = [("Cellulare", "Nome"), *[("12", "Anna")] * (MAX_PROBLEMS + 50)]
    summary = planned(tmp_path, rows, PlanOptions(message="Ciao")).summary
    assert len(summary.problems) == MAX_PROBLEMS
    assert summary.counts == {PlanStatus.INVALID: MAX_PROBLEMS + 50}
    assert summary.reasons == {Reason.PHONE_TOO_SHORT: MAX_PROBLEMS + 50}


# --- repairs, substitutions, the first message


def test_repairs_are_counted_with_examples_before_and_after(tmp_path: Path) -> None:
    written = ["0039 312 345 0001", "tel:+393123450002", "393123450003", "312 3450004", "+393123450005"]
    rows = [("Cellulare", "Nome"), *((phone, "Anna") for phone in written)]
    summary = planned(tmp_path, rows, PlanOptions(message="Ciao")).summary
    assert summary.repairs[Repair.DOUBLE_ZERO] == summary.repairs[Repair.PLUS_ADDED] == 1
    assert summary.repairs[Repair.SEPARATORS] == 2
    assert summary.repairs[Repair.COUNTRY_ADDED] == 1
    (example,) = summary.repair_examples[Repair.DOUBLE_ZERO]
    assert (example.row, example.before, example.after) == (2, "0039 312 345 0001", "+393123450001")


def test_substitutions_are_counted_in_what_goes_out_only(tmp_path: Path) -> None:
    texts = [
        ("+393123450001", "È così"),
        ("12", "È tardi"),
        ("+393123450003", "ÈÈ 😀"),
        ("+393123450004", "ÈÈ…"),
    ]
    rows = [("Cellulare", "Testo"), *texts, texts[0]]
    summary = planned(tmp_path, rows, PlanOptions(gsm7=True)).summary
    made = summary.substitutions
    assert {c: (s.replacement, s.times, s.rows, s.example_row) for c, s in made.items()} == {
        "È": ("E'", 3, 2, 2),
        "…": ("...", 1, 1, 5),
    }
    assert (made["È"].before, made["È"].after) == ("È così", "E' così")


def test_the_first_message_is_the_first_that_goes_out(tmp_path: Path) -> None:
    rows = [("Cellulare", "Nome"), ("12", "Anna"), (PHONE, "Bea")]
    first = planned(tmp_path, rows, PlanOptions(message="Ciao {{ Nome }}", sender="Sole")).summary.first
    assert first is not None
    assert (first.row, first.recipient, first.sender, first.text) == (3, PHONE, "Sole", "Ciao Bea")


# --- what characters cost, by column


def savings(
    folder: Path, rows: Sequence[Sequence[str]], message: str | None, bundles: dict[str, int] | None = None
) -> CampaignSavings:
    return planned(folder, rows, PlanOptions(message=message), bundles).savings()


def test_the_column_whose_cells_have_the_characters_pays_for_them(tmp_path: Path) -> None:
    message = "Ciao {{ Nome }} {{ Cognome }}, " + "x" * 60
    names = [("José", "Rossi"), ("Anna", "Núñez"), ("José", "Núñez"), ("Anna", "Rossi"), ("Nicolò", "Perè")]
    people = [(phone, *name) for phone, name in zip(numbers(5), names, strict=True)]
    found = savings(tmp_path, [("Cellulare", "Nome", "Cognome"), *people], message)
    # é is in GSM-7 and á, ú are not
    assert list(found.columns) == ["Cognome"]
    saved = found.columns["Cognome"]
    assert (saved.rows, saved.parts, saved.cost) == (2, 2, Decimal("0.10"))
    assert saved.characters == {"ú": 2}
    assert found.template is None
    assert (found.total.parts, found.total.cost) == (2, Decimal("0.10"))


def test_a_row_with_two_columns_to_blame_counts_for_both_and_once_in_all(tmp_path: Path) -> None:
    message = "Ciao {{ Nome }} {{ Cognome }}, " + "x" * 60
    rows = [("Cellulare", "Nome", "Cognome"), (PHONE, "María", "Peláez")]
    found = savings(tmp_path, rows, message)
    assert {heading: saved.parts for heading, saved in found.columns.items()} == {"Nome": 1, "Cognome": 1}
    assert (found.total.rows, found.total.parts, found.total.cost) == (1, 1, Decimal("0.05"))


@pytest.mark.parametrize(
    ("message", "name", "template", "columns"),
    [
        ("Está {{ Dirección }} " + "x" * 70, "Anna", {"á": 1}, []),
        ("Hola {{ Dirección }} " + "x" * 70, "Málaga", None, ["Dirección"]),
        ("Hola {{ Dirección|upper }} " + "x" * 70, "Forlì", None, ["Dirección"]),  # Ì, which ì is not
        ("Hola {{ Dirección|default('señor í') }} " + "x" * 70, "", {"í": 1}, []),
        ("Hola {{ Dirección }} " + "x" * 70, "Anna", None, []),  # the ó of the heading is nowhere in the text
        ("Está {{ Dirección }} " + "x" * 70, "Málaga", {"á": 1}, ["Dirección"]),
        ("Hola {{ Dirección }} " + "x" * 70, "Ma\u0301laga", None, ["Dirección"]),
    ],
)
def test_the_template_pays_for_its_own_words_only(
    tmp_path: Path, message: str, name: str, template: dict[str, int] | None, columns: list[str]
) -> None:
    found = savings(tmp_path, [("Cellulare", "Dirección"), (PHONE, name)], message)
    assert (found.template and found.template.characters) == template
    assert list(found.columns) == columns


def test_a_message_column_pays_for_its_texts(tmp_path: Path) -> None:
    rows = [("Cellulare", "Testo"), (PHONE, "Está " + "x" * 70), ("+447400123456", "Está " + "x" * 70)]
    found = savings(tmp_path, rows, None)
    assert found.columns["Testo"].cost == found.total.cost == Decimal("0.12")


def test_a_part_saved_out_of_a_bundle_is_worth_what_the_wallet_pays(tmp_path: Path) -> None:
    rows = [
        ("Cellulare", "Testo"),
        *((phone, "Está " + "x" * 70) for phone in numbers(4)),
    ]  # 8 parts, 4 saved
    costs = {left: savings(tmp_path, rows, None, {"IT": left}).total.cost for left in (0, 4, 6, 8)}
    assert costs == {0: Decimal("0.20"), 4: Decimal("0.20"), 6: Decimal("0.10"), 8: Decimal(0)}


def test_parts_without_a_price_are_counted_not_priced(tmp_path: Path) -> None:
    rows = [("Cellulare", "Testo"), ("+33612345678", "Está " + "x" * 70), (PHONE, "Está " + "x" * 70)]
    total = savings(tmp_path, rows, None).total
    assert (total.parts, total.cost, total.unpriced_parts) == (2, Decimal("0.05"), 1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("Anaàáí😀` ", min_size=1, max_size=90), min_size=1, max_size=8))
def test_whatever_the_texts_every_row_with_a_foreign_character_has_a_culprit(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    rows = [("Cellulare", "Nome"), *zip(numbers(len(names)), names, strict=True)]
    message = "{{ Nome }} è {% if 'á' in Nome %}í{% endif %}"
    planner = planned(tmp_path_factory.mktemp("any"), rows, PlanOptions(message=message))
    found = planner.savings()
    assert found.characters.ucs2_rows == planner.summary.encodings["UCS-2"] == found.total.rows
    culprits = [*found.columns.values(), *([found.template] if found.template else [])]
    assert sum(one.rows for one in culprits) >= found.total.rows
    assert sum(one.parts for one in culprits) >= found.total.parts
    assert {c for one in culprits for c in one.characters} == found.characters.characters.keys()
