"""What a person and a script see of a plan, and how flags become a request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from dispatcher.campaign.history import NoHistory
from dispatcher.campaign.locale import Locale
from dispatcher.campaign.plan import Planner, PlanOptions
from dispatcher.campaign.prices import Funds, PriceBook
from dispatcher.cli.inputs import FileFlags, funds, plan_request
from dispatcher.cli.output import Output
from dispatcher.cli.plan_values import is_clean, plan_values
from dispatcher.cli.plan_view import show_first_text, show_plan
from dispatcher.errors import UsageError
from dispatcher.intake.planning import PlanRequest, make_planner
from dispatcher.settings import Settings
from dispatcher.wording import LANGUAGES, Wording

PHONE, SECOND, BRITISH = "+393123456789", "+393123456780", "+447400123456"
BOOK = PriceBook.from_entries([("IT", "*", Decimal("0.0450"))])
LONG = "Está " + "x" * 70


def planned(
    folder: Path,
    rows: Sequence[tuple[str, str]],
    options: PlanOptions | None = None,
    bundles: dict[str, int] | None = None,
    wallet: str | None = None,
) -> Planner:
    file = folder / "clinic.csv"
    file.write_text("Cellulare;Testo\n" + "\n".join(f"{p};{t}" for p, t in rows) + "\n", encoding="utf-8")
    money = Funds(bundles or {}, None if wallet is None else Decimal(wallet))
    planner = make_planner(PlanRequest(file, options=options or PlanOptions()), BOOK, money, NoHistory())
    for _ in planner.chunks():
        pass
    return planner


def shown(planner: Planner, capsys: pytest.CaptureFixture[str], language: str = "en") -> str:
    output = Output(as_json=False, wording=Wording(language))
    show_plan(output, planner, planner.bill())
    show_first_text(output, planner)
    return capsys.readouterr().out


EVERYTHING = [
    (PHONE, LONG),
    ("0039 312 345 6789", LONG),
    ("312 3456780", "Uno"),
    ("12", "Uno"),
    (PHONE, "{{ x }}"),
    (BRITISH, "Due"),
]


def test_a_person_reads_what_was_read_what_goes_and_what_it_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(planned(tmp_path, EVERYTHING, bundles={"IT": 1}, wallet="0.01"), capsys)
    for part in (
        "clinic.csv: 6 rows",
        "numbers: column Cellulare (by its heading), e.g. +393123456789",
        "texts:   column Testo",
        "sender:  none given",
        "3 messages to send",
        "2 rows with a problem",
        "1 duplicate left out",
        "row 5, Cellulare: the phone number has too few digits (12)",
        "row 6, Testo: the text still has a placeholder, a spreadsheet error or a broken letter in it ({{ x }})",
        "1 x 00 read as +, e.g. row 3: 0039 312 345 6789 → +393123456789",
        "1 number without a country, read as numbers of IT",
        "Estimated cost: 0.09 EUR",
        "plus 1 message whose price nobody knows yet; give it with --prices FILE",
        "The IT bundle ends at row 2.",
        "The wallet pays from row 2 on.",
        "The wallet is empty at row 2",
        "column Testo adds 1 part, cost 0.045 EUR: 1 row with á",
        "The first text (row 2, +393123456789, 2 parts):",
        f"  {LONG}",
    ):
        assert part in text, text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "options",
    [
        PlanOptions(sender="Sole"),
        PlanOptions(gsm7=True),
        PlanOptions(message="Está {{ Testo }} " + "x" * 60, single_part=True),
    ],
)
def test_every_language_has_all_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str, options: PlanOptions
) -> None:
    text = shown(planned(tmp_path, EVERYTHING * 9, options, {"IT": 1}, "0.01"), capsys, language)
    assert "clinic.csv" in text
    assert "{" not in text.replace("{{ x }}", "")


def test_substitutions_are_shown_before_and_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(planned(tmp_path, [(PHONE, "È già\u200b qui")], PlanOptions(gsm7=True)), capsys)
    assert "1 x È → E', e.g. row 2" in text
    assert "1 x [U+200B] → nothing, e.g. row 2" in text
    assert "For example row 2: È già[U+200B] qui" in text
    assert "→ E' già qui" in text


def test_only_some_problems_are_shown_and_the_others_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(planned(tmp_path, [("12", f"Uno {n}") for n in range(1_020)]), capsys)
    assert text.count("too few digits") == 20
    assert "and 1,000 more" in text


def test_no_savings_no_word_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "gsm7" not in shown(planned(tmp_path, [(PHONE, "Però"), (SECOND, "Sí")]), capsys)


# --- for scripts


def test_json_has_what_scripts_depend_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planner = planned(tmp_path, EVERYTHING, bundles={"IT": 1})
    Output(as_json=True, wording=Wording("it")).result(plan_values(planner, planner.bill()))
    values = json.loads(capsys.readouterr().out)
    assert (values["rows"], values["counts"]) == (6, {"ready": 3, "duplicate": 1, "invalid": 2})
    assert values["routes"]["IT"] == {
        "rows": 2,
        "parts": 3,
        "bundle_parts": 1,
        "cost": "0.0900",
        "unpriced_rows": 0,
    }
    assert values["routes"]["WW"]["cost"] is None
    assert values["encodings"] == {"UCS-2": 1, "GSM-7": 2}
    assert (values["estimated_cost"], values["unpriced_rows"], values["currency"]) == ("0.0900", 1, "EUR")
    assert (values["wallet_from_row"], values["bundle_ends_at_row"]) == (2, {"IT": 2})
    assert values["savings"]["columns"] == {
        "Testo": {"rows": 1, "parts": 1, "cost": "0.0450", "unpriced_parts": 0, "characters": {"á": 1}}
    }
    assert values["savings"]["characters"] == {"á": {"rows": 1, "parts": 1, "substitute": "a"}}
    assert [(p["row"], p["column"], p["code"], p["found"]) for p in values["problems"]] == [
        (5, "Cellulare", "phone_too_short", "12"),
        (6, "Testo", "text_leftover", "{{ x }}"),
    ]
    assert values["problems"][0]["message"] == "the phone number has too few digits"
    assert values["columns"]["phone"] == {"heading": "Cellulare", "how": "heading"}
    assert values["first_message"]["row"] == 2


def test_money_that_nobody_knows_is_null(tmp_path: Path) -> None:
    planner = planned(tmp_path, [(BRITISH, LONG)])
    values = plan_values(planner, planner.bill())
    assert values["estimated_cost"] is None
    assert values["savings"]["cost"] is None
    assert values["savings"]["unpriced_parts"] == 1


def test_a_plan_is_clean_without_invalid_rows(tmp_path: Path) -> None:
    assert is_clean(planned(tmp_path, [(PHONE, "Uno"), (PHONE, "Uno")]))
    assert not is_clean(planned(tmp_path, [(PHONE, "Uno"), ("12", "Uno")]))


# --- flags


def flags(**typed: object) -> FileFlags:
    plain = FileFlags(
        file=Path("list.csv"),
        sheet=None,
        encoding=None,
        locale=None,
        phone_column=None,
        message_column=None,
        sender_column=None,
        message=None,
        message_file=None,
        route=None,
        gsm7=False,
        single_part=False,
        duplicates="skip",
        again=False,
        bundle=None,
        wallet=None,
    )
    return replace(plain, **typed)  # type: ignore[arg-type]  # what is typed on a command line


def settings(**values: object) -> Settings:
    return Settings.model_construct(**{"default_region": "IT", "bundles": "", "wallet": None, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("typed", "stated", "locale"),
    [
        ({}, {}, Locale.IT),
        ({}, {"default_region": "ES"}, Locale.ES),
        ({}, {"default_region": "GB"}, Locale.EN),
        ({}, {"default_region": "GB", "lang": "es"}, Locale.ES),
        ({"locale": "EN"}, {"lang": "es"}, Locale.EN),
    ],
)
def test_the_locale_of_texts(typed: dict[str, object], stated: dict[str, object], locale: Locale) -> None:
    assert plan_request(flags(**typed), settings(**stated)).locale is locale


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ({"duplicates": "drop"}, "usage_choice"),
        ({"route": "IT"}, "usage_choice"),
        ({"locale": "fr"}, "usage_choice"),
        ({"message": "Ciao", "message_file": Path("a.txt")}, "usage_contradiction"),
        ({"message_file": Path("nowhere.txt")}, "usage_message_file"),
    ],
)
def test_values_outside_a_flags_range_are_refused(typed: dict[str, object], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan_request(flags(**typed), settings())
    assert caught.value.code == code
    for language in LANGUAGES:
        assert Wording(language).error(caught.value)["message"]


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(UsageError, match="settings_region_unknown"):
        plan_request(flags(), settings(default_region="XX"))


def test_a_message_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes("\ufeffCiao è".encode())
    assert plan_request(flags(message_file=tmp_path / "text.txt"), settings()).options.message == "Ciao è"


@pytest.mark.parametrize(
    ("typed", "stated", "bundles"),
    [
        (None, "", {}),
        (["IT=5000", "ww=10"], "ES=1", {"IT": 5_000, "WW": 10}),
        (None, "IT=5, ES=6; WW=7", {"IT": 5, "ES": 6, "WW": 7}),
    ],
)
def test_bundles_from_flags_else_from_settings(
    typed: list[str] | None, stated: str, bundles: dict[str, int]
) -> None:
    assert funds(flags(bundle=typed), settings(bundles=stated)).bundles == bundles


def test_a_bundle_given_twice_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        funds(flags(bundle=["IT=5", "it=6"]), settings())
    assert (caught.value.code, caught.value.found) == ("bundle_twice", "IT")


def test_the_wallet_as_typed() -> None:
    assert funds(flags(wallet="20,50"), settings()).wallet == Decimal("20.50")
    assert funds(flags(), settings(wallet=Decimal(3))).wallet == Decimal(3)
