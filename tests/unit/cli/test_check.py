"""``check``: the plan of real files, as the object that scripts read and as lines for people."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dispatcher.cli.app import run
from dispatcher.wording import LANGUAGES

Capture = pytest.CaptureFixture[str]
Check = Callable[..., tuple[int, dict[str, Any]]]

# Italian and Spanish numbers are of the ranges that libphonenumber gives as examples.
CLINIC = """\
Nome;Cellulare;Data
Anna;+39 312 345 6789;05/12/2026
Bea;02 1234 5678;05/12/2026
Carla;3123456780;06/12/2026
Carla;312 3456780;06/12/2026
Diego;+34 612 34 56 78;06/12/2026
Hans;+49 1512 3456789;07/12/2026
Ugo;;07/12/2026
"""
TEXT = "Gentile {{ Nome }}, la aspettiamo il {{ Data }}."
PRICES = """\
currency = "EUR"

[[price]]
route = "IT"
per_part = "0.0450"

[[price]]
route = "ES"
per_part = "0.0525"
"""
DESIGNED = {"rows", "counts", "routes", "encodings", "estimated_cost", "savings", "problems"}


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    file = tmp_path / "clinic.csv"
    file.write_text(CLINIC, encoding="utf-8")
    return file


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    file = tmp_path / "prices.toml"
    file.write_text(PRICES, encoding="utf-8")
    return file


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "ledger.db"


@pytest.fixture
def check(capsys: Capture, ledger: Path) -> Check:
    """Run ``check --json``; gives the exit code and the object."""

    def call(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
        code = run(["check", *map(str, arguments), "--ledger", f"sqlite:///{ledger}", "--json"])
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        assert out.isascii()
        return code, json.loads(out)

    return call


def table(tmp_path: Path, *rows: str, heading: str = "Name,Mobile") -> Path:
    file = tmp_path / "list.csv"
    file.write_text("\n".join([heading, *rows]) + "\n", encoding="utf-8")
    return file


# --- the object


def test_the_plan_of_a_clinic(check: Check, clinic: Path, prices: Path) -> None:
    code, plan = check(clinic, "-m", TEXT, "--sender", "Clinica", "--prices", prices)
    assert code == 1
    assert plan.keys() >= DESIGNED
    assert plan["rows"] == 7
    assert plan["counts"] == {"ready": 4, "invalid": 2, "duplicate": 1}
    assert sum(plan["counts"].values()) == plan["rows"]
    assert plan["encodings"] == {"GSM-7": 4}
    assert plan["parts"] == 4
    routes = {
        name: {key: route[key] for key in ("rows", "parts", "bundle_parts", "cost")}
        for name, route in plan["routes"].items()
    }
    assert routes == {
        "ES": {"rows": 1, "parts": 1, "bundle_parts": 0, "cost": "0.0525"},
        "IT": {"rows": 2, "parts": 2, "bundle_parts": 0, "cost": "0.0900"},
        "WW": {"rows": 1, "parts": 1, "bundle_parts": 0, "cost": None},
    }
    assert plan["estimated_cost"] == "0.1425"
    assert plan["unpriced_rows"] == 1
    assert plan["currency"] == "EUR"
    problems = [(p["row"], p["column"], p["code"], p["found"]) for p in plan["problems"]]
    assert problems == [
        (3, "Cellulare", "phone_landline", "02 1234 5678"),
        (8, "Cellulare", "phone_missing", ""),
    ]
    assert plan["problems"][0]["message"] == "a landline cannot receive texts"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_object_is_the_same_in_every_language(check: Check, clinic: Path, language: str) -> None:
    arguments = (clinic, "-m", TEXT, "--sender", "Clinica", "--locale", "it")
    assert check(*arguments, "--lang", language) == check(*arguments)


def test_a_file_whose_rows_can_all_go_is_clean(check: Check, tmp_path: Path) -> None:
    code, plan = check(table(tmp_path, "Anna,3123456789", "Bea,+39 312 345 6780"), "-m", "Ciao {{ Name }}")
    assert code == 0
    assert plan["counts"] == {"ready": 2}
    assert plan["problems"] == []


def test_what_a_rule_leaves_out_is_no_problem(check: Check, tmp_path: Path) -> None:
    file = table(tmp_path, "Anna,3123456789", "Anna,312 345 6789")
    code, plan = check(file, "-m", "Ciao {{ Name }}")
    assert (code, plan["counts"]) == (0, {"ready": 1, "duplicate": 1})
    code, plan = check(file, "-m", "Ciao {{ Name }}", "--duplicates", "keep")
    assert (code, plan["counts"]) == (0, {"ready": 2})


def test_money_nobody_knows_is_null(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCHER_TOKEN", "abc")
    file = table(tmp_path, "Anna,3123456789", "Hans,+49 1512 3456789")
    code, plan = check(file, "-m", "Ciao", "--gateway", "sandbox")
    assert code == 0
    assert plan["estimated_cost"] is None
    assert plan["unpriced_rows"] == 2
    assert {name: route["cost"] for name, route in plan["routes"].items()} == {"IT": None, "WW": None}


def test_bundles_pay_first_and_free_is_not_unknown(check: Check, tmp_path: Path, prices: Path) -> None:
    file = table(tmp_path, *(f"Anna{i},312345678{i}" for i in range(4)))
    arguments = (file, "-m", "Ciao {{ Name }}", "--prices", prices)
    _, plan = check(*arguments, "--bundle", "IT=3")
    assert plan["routes"]["IT"]["bundle_parts"] == 3
    assert Decimal(plan["estimated_cost"]) == Decimal("0.0450")
    _, plan = check(*arguments, "--bundle", "IT=100")
    assert plan["routes"]["IT"]["bundle_parts"] == 4
    assert isinstance(plan["estimated_cost"], str)
    assert Decimal(plan["estimated_cost"]) == 0


def test_what_a_character_costs(check: Check, tmp_path: Path) -> None:
    text = "È confermato: " + "a" * 100
    file = table(tmp_path, "Anna,3123456789")
    _, plan = check(file, "-m", text)
    assert plan["encodings"] == {"UCS-2": 1}
    assert plan["parts"] == 2
    assert (plan["savings"]["parts"], plan["savings"]["rows"]) == (1, 1)
    assert set(plan["savings"]["characters"]) == {"È"}
    _, cheaper = check(file, "-m", text, "--gsm7")
    assert cheaper["encodings"] == {"GSM-7": 1}
    assert cheaper["parts"] == 1
    assert cheaper["savings"]["parts"] == 0


def test_single_parts_only(check: Check, tmp_path: Path) -> None:
    file = table(tmp_path, "Anna,3123456789")
    assert check(file, "-m", "a" * 161)[1]["parts"] == 2
    code, plan = check(file, "-m", "a" * 161, "--single-part")
    assert code == 1
    assert [problem["code"] for problem in plan["problems"]] == ["text_multipart"]


def test_a_column_of_texts_is_sent_as_written(check: Check, tmp_path: Path) -> None:
    file = table(tmp_path, "3123456789,Ciao Anna", "3123456780,Ciao «Nome»", heading="Cellulare,Messaggio")
    code, plan = check(file)
    assert code == 1
    assert plan["counts"] == {"ready": 1, "invalid": 1}
    assert [problem["code"] for problem in plan["problems"]] == ["text_leftover"]


def test_the_text_may_come_from_a_file(check: Check, tmp_path: Path, clinic: Path) -> None:
    message = tmp_path / "text.txt"
    message.write_text(TEXT, encoding="utf-8-sig")
    assert check(clinic, "--message-file", message) == check(clinic, "-m", TEXT)


@pytest.mark.parametrize(("region", "route"), [("IT", "IT"), ("ES", "ES")])
def test_the_default_region(check: Check, tmp_path: Path, region: str, route: str) -> None:
    number = {"IT": "3123456789", "ES": "612345678"}[region]
    file = table(tmp_path, f"Anna,{number}")
    _, plan = check(file, "-m", "Hola", "--default-region", region, "--sender", "Clinica")
    assert list(plan["routes"]) == [route]


def test_everything_through_the_world_route(check: Check, clinic: Path) -> None:
    _, plan = check(clinic, "-m", TEXT, "--sender", "Clinica", "--route", "ww")
    assert list(plan["routes"]) == ["WW"]


def test_spain_needs_a_sender(check: Check, tmp_path: Path) -> None:
    file = table(tmp_path, "Diego,+34612345678")
    code, plan = check(file, "-m", "Hola")
    assert code == 1
    assert [problem["code"] for problem in plan["problems"]] == ["sender_required"]


# --- refusals


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["-m", "a", "--message-file", "{message}"], "usage_contradiction", 2),
        (["-m", "a", "--message-column", "Nome"], "columns_message_and_template", 2),
        (["--message-file", "missing.txt"], "usage_message_file", 2),
        (["-m", ""], "template_empty", 2),
        (["-m", "{{{{ Nmoe }}}}"], "template_unknown_field", 2),
        (["-m", "a", "--route", "it"], "usage_choice", 2),
        (["-m", "a", "--duplicates", "twice"], "usage_choice", 2),
        (["-m", "a", "--locale", "fr"], "usage_choice", 2),
        (["-m", "a", "--default-region", "XX"], "settings_region_unknown", 2),
        (["-m", "a", "--wallet", "much"], "money_not_readable", 2),
        (["-m", "a", "--bundle", "IT"], "bundle_not_readable", 2),
        (["-m", "a", "--prices", "missing.toml"], "prices_file_missing", 2),
        (["-m", "a", "--gateway", "prod"], "settings_gateway_unknown", 2),
        (["-m", "a", "--gateway", "sandbox"], "settings_token_missing", 2),
        (["-m", "a", "--phone-column", "Fax"], "columns_no_such", 2),
        (["-m", "a", "--lang", "fr"], "settings_invalid", 2),
        (["-m", "a", "--encoding", "klingon"], "sheet_encoding_unknown", 3),
        (["-m", "a", "--sheet", "Foglio1"], "sheet_csv_has_no_sheets", 3),
        ([], "columns_no_message", 3),
    ],
)
def test_refusals(
    check: Check, clinic: Path, tmp_path: Path, arguments: list[str], code: str, exit_code: int
) -> None:
    message = tmp_path / "text.txt"
    message.write_text("Ciao", encoding="utf-8")
    ended, said = check(clinic, *(argument.format(message=message) for argument in arguments))
    assert said["error"]["code"] == code
    assert ended == exit_code
    assert said["error"]["message"]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("missing.csv", None, "sheet_not_found"),
        ("empty.csv", b"", "sheet_empty_file"),
        ("blank.csv", b"\n\n", "sheet_blank"),
        ("heading.csv", b"Name,Mobile\n", "sheet_no_rows"),
        ("twice.csv", b"Name,Mobile,name\na,3123456789,b\n", "sheet_duplicate_heading"),
        ("letter.pdf", b"%PDF-1.7\n", "sheet_other_kind"),
        ("names.csv", b"Name,City\nAnna,Roma\n", "columns_no_phone"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_that_cannot_become_a_campaign(
    check: Check, tmp_path: Path, language: str, name: str, content: bytes | None, code: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    ended, said = check(file, "-m", "Ciao", "--lang", language)
    assert ended == 3
    assert said["error"]["code"] == code
    assert Path(said["error"]["file"]).name == name


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"\xff\xfe\xfa", "UnicodeDecodeError"), (b"a" * 100_001, "100001 bytes")],
)
def test_a_message_file_that_is_no_text(
    check: Check, clinic: Path, tmp_path: Path, content: bytes, found: str
) -> None:
    message = tmp_path / "text.txt"
    message.write_bytes(content)
    ended, said = check(clinic, "--message-file", message)
    assert ended == 2
    assert (said["error"]["code"], said["error"]["found"]) == ("usage_message_file", found)
    assert said["error"]["file"] == str(message)


def test_a_token_without_a_gateway(check: Check, clinic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAPI_TOKEN", "s3cr3t-value")
    ended, said = check(clinic, "-m", "Ciao")
    assert ended == 2
    assert said["error"]["code"] == "settings_token_without_gateway"
    assert "s3cr3t-value" not in json.dumps(said)


# --- nothing is left behind


def files_under(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("arguments", [["-m", TEXT], [], ["-m", TEXT, "--gateway", "sandbox"]])
def test_looking_creates_nothing(
    check: Check, clinic: Path, ledger: Path, machine: Path, tmp_path: Path, arguments: list[str]
) -> None:
    before = files_under(tmp_path)
    check(clinic, *arguments)
    assert not ledger.parent.exists()
    assert files_under(tmp_path) == before
    assert files_under(machine) == set()
    assert clinic.read_text(encoding="utf-8") == CLINIC


def test_without_a_ledger_flag_nothing_is_created_either(
    clinic: Path, machine: Path, capsys: Capture
) -> None:
    assert run(["check", str(clinic), "-m", TEXT, "--sender", "Clinica"]) == 1
    assert files_under(machine) == set()


def test_opt_outs_of_the_ledger_are_read(check: Check, tmp_path: Path, ledger: Path, capsys: Capture) -> None:
    file = table(tmp_path, "Anna,3123456789", "Bea,3123456780")
    assert run(["optout", "add", "+393123456789", "--ledger", f"sqlite:///{ledger}"]) == 0
    capsys.readouterr()
    stamp = ledger.read_bytes()
    code, plan = check(file, "-m", "Ciao {{ Name }}")
    assert (code, plan["counts"]) == (0, {"opted_out": 1, "ready": 1})
    assert ledger.read_bytes() == stamp


# --- for people


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "en",
            [
                "7 rows",
                "4 messages to send",
                "2 rows with a problem",
                "1 duplicate left out",
                "row 3, Cellulare: a landline cannot receive texts (02 1234 5678)",
                "0.1425 EUR",
                "unknown",
            ],
        ),
        (
            "it",
            [
                "7 righe",
                "4 messaggi da inviare",
                "2 righe con un problema",
                "1 doppione escluso",
                "riga 3, Cellulare: un numero fisso non può ricevere SMS (02 1234 5678)",
                "0,1425 EUR",
                "sconosciuto",
            ],
        ),
        (
            "es",
            [
                "7 filas",
                "4 mensajes por enviar",
                "2 filas con un problema",
                "1 duplicado excluido",
                "fila 3, Cellulare: un teléfono fijo no puede recibir SMS (02 1234 5678)",
                "0,1425 EUR",
                "desconocido",
            ],
        ),
    ],
)
def test_the_plan_in_three_languages(
    capsys: Capture, clinic: Path, prices: Path, ledger: Path, language: str, said: list[str]
) -> None:
    arguments = [str(clinic), "-m", TEXT, "--sender", "Clinica", "--prices", str(prices), "--lang", language]
    assert run(["check", *arguments, "--ledger", f"sqlite:///{ledger}"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert [text for text in said if text not in out] == []


def test_for_scripts_the_plan_for_people_is_on_standard_error(
    capsys: Capture, clinic: Path, ledger: Path
) -> None:
    arguments = ["check", str(clinic), "-m", TEXT, "--sender", "Clinica", "--ledger", f"sqlite:///{ledger}"]
    run(arguments)
    people = capsys.readouterr().out
    run([*arguments, "--json"])
    out, err = capsys.readouterr()
    assert err == people
    assert json.loads(out)["rows"] == 7


def test_what_is_wrong_is_said_in_the_readers_language(capsys: Capture, ledger: Path) -> None:
    arguments = ["check", "elenco.csv", "-m", "Ciao", "--ledger", f"sqlite:///{ledger}"]
    assert run([*arguments, "--lang", "it"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == "Errore: Il file elenco.csv non esiste."
    assert run([*arguments, "--lang", "it", "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["message"] == "There is no file elenco.csv."
    assert err.splitlines()[0] == "Errore: Il file elenco.csv non esiste."


@pytest.mark.skipif(
    not hasattr(os, "geteuid"), reason="control characters in a file name need a POSIX system"
)
def test_invisible_characters_are_shown_by_their_code(capsys: Capture, tmp_path: Path, ledger: Path) -> None:
    file = table(tmp_path, "Anna,\u200e3123456789")
    assert run(["check", str(file), "-m", "Ciao", "--ledger", f"sqlite:///{ledger}"]) == 0
    out = capsys.readouterr().out
    assert "[U+200E]3123456789 → +393123456789" in out
    assert "\u200e" not in out


def test_what_the_list_of_forbidden_words_keeps_back_is_shown(
    check: Check, clinic: Path, tmp_path: Path
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("06 12\n", encoding="utf-8")
    code, plan = check(clinic, "--message", TEXT, "--sender", "Studio", "--forbid-file", words)
    assert (code, plan["forbidden_by_list"]) == (1, {"06 12": 2})
    assert check(clinic, "--message", TEXT, "--sender", "Studio")[1]["forbidden_by_list"] == {}
