"""What goes to which stream, and how an error looks to a script and to a person."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.cli.output import Output, error_lines, known
from dispatcher.errors import DispatcherError, FileError, Halted, Unreachable, UsageError
from dispatcher.wording import LANGUAGES, Wording

FIELDS = ["code", "message", "expected", "hint", "file", "sheet", "row", "column", "found"]

ERRORS = [
    FileError("sheet_not_found", file="elenco clienti.xlsx"),
    FileError("sheet_duplicate_heading", file="a.xlsx", row=1, column="C", found="Nome", first="A"),
    UsageError("usage_choice", found="it", flag="--route", allowed="ww"),
    UsageError("campaign_cannot_pause", found="finished", campaign=3),
    Halted("usage_confirm_no", campaign=12),
    Unreachable("gateway_not_reached", host="sms.openapi.com", reason="no route"),
    DispatcherError("bug", found="ZeroDivisionError", log="/tmp/x.log"),
]


def output(language: str = "en", *, as_json: bool = True) -> Output:
    return Output(as_json=as_json, wording=Wording(language))


def test_for_people_everything_is_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output(as_json=False)
    shown.say("one")
    shown.tell("run.dry_run_done")
    shown.say()
    shown.result({"rows": 1})
    assert capsys.readouterr() == ("one\nOnly a dry run: nothing was sent.\n\n", "")


def test_for_scripts_only_the_object_is_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output()
    shown.say("one")
    shown.tell("run.dry_run_done")
    shown.result({"rows": 1})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"rows": 1}
    assert out.count("\n") == 1
    assert err == "one\nOnly a dry run: nothing was sent.\n"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_warning_is_seen_even_when_the_output_goes_to_a_file(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    output(as_json=as_json).warn("careful")
    assert capsys.readouterr() == ("", "careful\n")


def test_values_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    output().result(
        {
            "money": Decimal("0.00000001"),
            "large": Decimal("1E+3"),
            "unknown": None,
            "at": datetime(2026, 12, 5, 9, 30, tzinfo=UTC),
            "path": Path("a") / "b.xlsx",
            "rows": 3,
        }
    )
    assert json.loads(capsys.readouterr().out) == {
        "money": "0.00000001",
        "large": "1000",
        "unknown": None,
        "at": "2026-12-05T09:30:00+00:00",
        "path": str(Path("a") / "b.xlsx"),
        "rows": 3,
    }


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_as_json_on_any_console(text: str) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", console)
        output().result({"text": text})
        output().error(UsageError("usage_choice", found=text, flag="--x", allowed="y"))
    first, second = console.buffer.getvalue().splitlines()
    assert json.loads(first) == {"text": text}
    assert json.loads(second)["error"]["found"] == text


def test_a_console_without_a_character_shows_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", console)
    output(as_json=False).say("perché → no")
    assert console.buffer.getvalue() == b"perch? ? no\n"


# --- errors


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_an_error_is_one_object_in_english(
    capsys: pytest.CaptureFixture[str], language: str, error: DispatcherError
) -> None:
    output(language).error(error)
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "error": {
            "code": error.code,
            **Wording("en").error(error),
            "file": error.file,
            "sheet": error.sheet,
            "row": error.row,
            "column": error.column,
            "found": error.found,
        }
    }
    assert list(json.loads(out)["error"]) == FIELDS
    assert err.splitlines() == error_lines(error, Wording(language))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_for_people_an_error_is_only_on_standard_error(
    capsys: pytest.CaptureFixture[str], language: str, error: DispatcherError
) -> None:
    output(language, as_json=False).error(error)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == error_lines(error, Wording(language))


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        (
            "en",
            [
                "Error: --duplicates is twice.",
                "  expected: skip, keep",
            ],
        ),
        ("it", ["Errore: --duplicates è twice.", "  previsto: skip, keep"]),
        ("es", ["Error: --duplicates es twice.", "  se esperaba: skip, keep"]),
    ],
)
def test_the_lines_of_an_error(language: str, lines: list[str]) -> None:
    error = UsageError("usage_choice", found="twice", flag="--duplicates", allowed="skip, keep")
    assert error_lines(error, Wording(language)) == lines


def test_what_was_found_expected_and_to_do() -> None:
    error = UsageError("settings_region_unknown", found="XX")
    assert error_lines(error, Wording("en")) == [
        "Error: XX is no country whose numbers are known.",
        "  expected: two letters, like IT, ES, GB",
    ]
    question = Halted("usage_confirm_no", campaign=12)
    assert error_lines(question, Wording("it"))[0] == "Errore: Hai risposto di no; non è stato inviato nulla."
    assert "dispatcher resume 12" in error_lines(question, Wording("it"))[1]


def test_a_place_is_named_unless_the_sentence_names_it() -> None:
    placed = UsageError(
        "usage_choice", file="a.xlsx", sheet="Foglio1", row=7, column="C", found="x", flag="f", allowed="y"
    )
    assert error_lines(placed, Wording("en"))[0] == "Error: a.xlsx, sheet Foglio1, row 7, column C: f is x."
    assert (
        error_lines(placed, Wording("it"))[0] == "Errore: a.xlsx, foglio Foglio1, riga 7, colonna C: f è x."
    )
    named = FileError("sheet_not_found", file="a.xlsx")
    assert error_lines(named, Wording("en"))[0].count("a.xlsx") == 1


def test_a_row_is_named_although_its_digit_stands_elsewhere_in_the_sentence() -> None:
    error = FileError("sheet_undecodable", file="lista1.csv", row=1, found="0xE8", encoding="utf-8")
    assert "line 1 " in error_lines(error, Wording("en"))[0].casefold()
    other = UsageError("usage_choice", row=1, found="10", flag="--x", allowed="y")
    assert error_lines(other, Wording("en"))[0] == "Error: row 1: --x is 10."


# --- money


@pytest.mark.parametrize(
    ("cost", "unpriced", "shown"),
    [
        ("1.5", 0, "1.5"),
        ("1.5", 3, "1.5"),
        ("0", 0, "0"),
        ("0", 3, None),
        (None, 0, None),
    ],
)
def test_a_cost_nobody_knows_is_no_zero(cost: str | None, unpriced: int, shown: str | None) -> None:
    found = known(None if cost is None else Decimal(cost), unpriced)
    assert found == (None if shown is None else Decimal(shown))
