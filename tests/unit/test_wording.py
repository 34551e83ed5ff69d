"""The catalogue: one set of names in three languages, and every name the program uses is in it."""

from __future__ import annotations

import ast
import re
import string
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.columns import How
from dispatcher.campaign.reasons import PlanStatus, Reason, Repair
from dispatcher.errors import FileError, UsageError
from dispatcher.gateway.causes import Cause
from dispatcher.ledger import CampaignState, RowState
from dispatcher.sending.stops import Stop
from dispatcher.settings import GatewayKind
from dispatcher.wording import LANGUAGES, Fact, Wording, _section

ROOT = Path(__file__).parents[2]
CATALOGUE = ROOT / "dispatcher" / "wording"
OTHERS = tuple(language for language in LANGUAGES if language != "en")
ERRORS = frozenset({"DispatcherError", "UsageError", "FileError", "Halted", "Unreachable", "Interrupted"})
FACTS = frozenset({"file", "sheet", "row", "column", "found"})

# Error codes that are no literal at the raise: by file, with the facts that are given there.
DYNAMIC: dict[str, tuple[str, ...]] = {
    "dispatcher/campaign/columns.py": ("columns_ambiguous", "columns_no_phone", "columns_no_message"),
    "dispatcher/campaign/price_book.py": (
        "prices_unknown_key",
        "prices_route",
        "prices_country",
        "prices_missing",
        "prices_ceiling",
        "prices_amount",
    ),
    "dispatcher/campaign/sheet/xls.py": ("sheet_password", "sheet_broken"),
    "dispatcher/cli/operate.py": ("campaign_cannot_pause", "campaign_cannot_cancel"),
    "dispatcher/watch/approval.py": ("campaign_cannot_approve", "campaign_cannot_reject"),
    "dispatcher/gateway/client.py": (
        "gateway_token_refused",
        "gateway_payment_required",
        "gateway_access_denied",
        "gateway_account_blocked",
    ),
    # what a tick failed with, as the ledger keeps it: raised, and listed, where it happened
    "dispatcher/cli/schedule_view.py": (),
    "dispatcher/ledger/failures.py": (
        "ledger_server_unreachable",
        "ledger_locked",
        "ledger_disk_full",
        "ledger_read_only",
        "ledger_damaged",
        "ledger_cannot_open",
        "ledger_disk_failed",
    ),
}
# Made from a verb: these codes stand nowhere in the source as a whole.
FROM_PARTS = frozenset(f"campaign_cannot_{verb}" for verb in ("pause", "cancel", "approve", "reject"))


@cache
def topics(language: str) -> dict[str, dict[str, Any]]:
    return {path.name: tomllib.loads(path.read_text("utf-8")) for path in (CATALOGUE / language).iterdir()}


@cache
def texts(language: str) -> dict[str, str]:
    """Every text by its full name, an entry's parts included: errors.usage.message."""

    def flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                yield from flat(f"{prefix}.{key}" if prefix else key, inner)
        else:
            yield prefix, value

    return {name: text for topic in topics(language).values() for name, text in flat("", topic)}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def has(name: str) -> bool:
    return any(text == name or text.startswith(f"{name}.") for text in texts("en"))


class Raise:
    """One place that makes an error of the tree."""

    def __init__(self, path: str, call: ast.Call) -> None:
        self.where = f"{path}:{call.lineno}"
        self.path = path
        first = call.args[0] if call.args else None
        self.code = str(first.value) if isinstance(first, ast.Constant) else None
        self.given = {keyword.arg for keyword in call.keywords}


@cache
def sources() -> dict[str, ast.Module]:
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for package in ("dispatcher", "jobs")
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def calls(names: frozenset[str], under: str = "") -> Iterator[tuple[str, ast.Call]]:
    for path, tree in sources().items():
        if path.startswith(under):
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    called = node.func
                    name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", None)
                    if name in names:
                        yield path, node


@cache
def raises() -> list[Raise]:
    return [Raise(path, call) for path, call in calls(ERRORS)]


def constants(path: str) -> set[object]:
    return {node.value for node in ast.walk(sources()[path]) if isinstance(node, ast.Constant)}


# --- three languages, one catalogue


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_the_same_topics_and_names(language: str) -> None:
    assert set(topics(language)) == set(topics("en"))
    for topic, english in topics("en").items():
        assert set(topics(language)[topic]) == set(english), topic
    assert set(texts(language)) == set(texts("en"))


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_same_placeholders(language: str) -> None:
    different = {
        name: (placeholders(text), placeholders(texts(language)[name]))
        for name, text in texts("en").items()
        if name in texts(language) and placeholders(text) != placeholders(texts(language)[name])
    }
    assert different == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_one_printable_line(language: str) -> None:
    strange = {
        n: t for n, t in texts(language).items() if not isinstance(t, str) or not t or not t.isprintable()
    }
    assert strange == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_name_stands_in_two_topics(language: str) -> None:
    names = [
        f"{section}.{key}"
        for topic in topics(language).values()
        for section, entries in topic.items()
        for key in entries
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_found_though_only_the_topics_of_its_section_are_read(language: str) -> None:
    for topic in topics(language).values():
        for section, entries in topic.items():
            assert entries.items() <= _section(language, section).items()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_formats(language: str) -> None:
    for name, text in texts(language).items():
        shown = text.format(**dict.fromkeys(placeholders(text), Fact("x", language)))
        # a brace that is left over was doubled once too often, except where braces are meant
        if not re.search(r"errors\.(template|simulator_faults)", name):
            assert "{" not in shown, name
            assert "}" not in shown, name


@pytest.mark.parametrize(
    ("code", "facts", "english", "italian"),
    [
        (
            "campaign_cannot_pause",
            {"found": "waiting_approval"},
            "waiting for approval",
            "in attesa di approvazione",
        ),
        ("campaign_not_resumable", {"found": "finished"}, "finished", "conclusa"),
        (
            "optout_number",
            {"found": "12", "reason": "phone_too_short"},
            "too few digits",
            "troppo poche cifre",
        ),
        ("forbid_file", {"file": "f", "found": "FileNotFoundError"}, "it does not exist", "non esiste"),
        ("forbid_file", {"file": "f", "found": "1200 bytes"}, "(1200 bytes)", "(1200 bytes)"),
    ],
)
def test_a_code_in_a_sentence_is_worded(code: str, facts: dict[str, Any], english: str, italian: str) -> None:
    error = UsageError(code, campaign=3, **facts)
    assert english in (Wording("en").error(error)["message"] or "")
    assert italian in (Wording("it").error(error)["message"] or "")
    assert error.found == facts["found"]


@pytest.mark.parametrize(
    ("fact", "english", "italian", "spanish"),
    [
        ("answer_late", "no answer in time", "il tempo di attesa è scaduto", "se agotó el tiempo de espera"),
        (
            "server_failed: 503",
            "the server failed (answer 503)",
            "errore del server (risposta 503)",
            "error del servidor (respuesta 503)",
        ),
        (
            "proxy_not_connected: connection_refused",
            "no connection to the proxy (connection refused)",
            "nessuna connessione al proxy (connessione rifiutata)",
            "sin conexión con el proxy (conexión rechazada)",
        ),
        # what nobody has a text for is as it was told, braces and all
        *((odd, odd, odd, odd) for odd in ("a {new} one: 7", "answer_late, or not", "", ": x")),
    ],
)
def test_a_code_may_have_something_behind_it(fact: str, english: str, italian: str, spanish: str) -> None:
    said = [f"{Wording(language).fact(fact):causes}" for language in LANGUAGES]
    assert said == [english, italian, spanish]


def test_what_stands_behind_a_code_is_not_taken_for_a_text_of_ours() -> None:
    assert f"{Fact('not_connected: {rest} {0}', 'en'):causes}" == "“{rest} {0}”"


def test_why_there_is_no_answer_is_always_worded() -> None:
    """A sentence with such a fact that forgot to word it would show a code."""
    told_of = {
        "gateway_not_reached": "reason",
        "gateway_no_answer": "reason",
        "account_not_reached": "reason",
        "account_no_answer": "reason",
        "otp_refused": "found",
        "otp_not_sent": "found",
        "otp_dry_run_lost": "found",
        "preflight_halted": "found",
        "preflight_no_answer": "found",
    }
    for code, name in told_of.items():
        for language in LANGUAGES:
            error = UsageError(code, host="h", tries=5, campaign=1, **{name: "answer_broken_off"})
            assert "answer_broken_off" not in str(Wording(language).error(error)), (code, language)


def test_only_the_rest_is_filled_in_the_text_of_a_code() -> None:
    worded = {
        (spec, placeholder)
        for text in texts("en").values()
        for _, _, spec, _ in string.Formatter().parse(text)
        if spec and any(name.startswith(f"{spec}.") for name in texts("en"))
        for name, inner in texts("en").items()
        if name.startswith(f"{spec}.")
        for placeholder in placeholders(inner)
    }
    assert worded == {("causes", "rest")}


def test_a_section_that_is_not_there_is_a_bug_and_no_blank() -> None:
    with pytest.raises(KeyError):
        f"{Fact('finished', 'en'):campain_states}"


@pytest.mark.parametrize("language", OTHERS)
def test_sentences_are_translated(language: str) -> None:
    same = {
        name
        for name, text in texts("en").items()
        if texts(language).get(name) == text and len(re.sub(r"\{\w*\}", "", text).split()) > 3
    }
    assert same == set()


def test_an_error_has_a_message_and_nothing_unknown() -> None:
    for topic in topics("en").values():
        for code, entry in topic.get("errors", {}).items():
            assert "message" in entry, code
            assert set(entry) <= {"message", "expected", "hint"}, code


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_person_can_say_yes_as_the_question_shows_it(language: str) -> None:
    shown = texts(language)["run.yes_no"]
    answers = texts(language)["run.yes_answers"].split()
    assert re.fullmatch(r"\[[a-z]/[A-Z]\]", shown)
    assert shown[1] in answers
    assert {"y", "yes"} <= set(answers)
    assert shown[3].lower() not in answers
    assert all(answer == answer.casefold() for answer in answers)


# --- everything the program names is there


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_text(reason: Reason) -> None:
    for language in LANGUAGES:
        assert Wording(language).reason(str(reason))


def test_every_text_of_a_reason_belongs_to_one() -> None:
    assert {name.removeprefix("reasons.") for name in texts("en") if name.startswith("reasons.")} == set(
        Reason
    )


def test_every_repair_has_a_text() -> None:
    assert {name for name in texts("en") if name.startswith("repairs.")} == {
        f"repairs.{(repair.name or '').lower()}" for repair in Repair
    }


@pytest.mark.parametrize(
    ("section", "codes"),
    [
        ("states", {state.code for state in RowState}),
        ("campaign_states", {state.code for state in CampaignState}),
        # due_times is the ledger's own: why a campaign waits
        ("stops", {*map(str, Stop), "due_times"}),
        ("causes", set(map(str, Cause))),
        ("first_steps", {"try", "check", "live"}),
        ("operate", {"pause", "cancel"}),
    ],
)
def test_a_family_of_texts_is_complete(section: str, codes: set[str]) -> None:
    assert {
        name.removeprefix(f"{section}.") for name in texts("en") if name.startswith(f"{section}.")
    } == codes


def test_every_way_a_report_is_rebuilt_has_a_text() -> None:
    raised = {call.args[0].value for _, call in calls(frozenset({"CannotExtend"})) if call.args}  # type: ignore[attr-defined]
    assert raised
    assert {name for name in texts("en") if name.startswith("rebuilt.")} == {
        f"rebuilt.{code}" for code in raised | {"old_format"}
    }


@pytest.mark.parametrize(
    "name",
    [
        *(f"plan.{status}" for status in PlanStatus if status is not PlanStatus.READY),
        *(f"plan.how_{how}" for how in How),
        *(f"plan.column_{role}" for role in ("phone", "message", "sender")),
        *(f"plan.head_{name}" for name in ("route", "people", "parts", "bundle", "cost")),
        *(f"run.gateway_{kind}" for kind in GatewayKind),
        *(f"run.{state}" for state in ("held", "halted", "paused", "finished", "waiting")),
        *(f"run.preflight_{mode}" for mode in ("none", "sample")),
        *(f"labels.{fact}" for fact in ("error", "expected", "hint", "file", "sheet", "row", "column")),
    ],
)
def test_a_name_that_is_put_together_exists(name: str) -> None:
    assert has(name)


def test_every_literal_name_in_the_commands_exists() -> None:
    spoken = frozenset({"tell", "wording", "words", "_words", "count"})
    checked = 0
    for path, call in calls(spoken, "dispatcher/cli/"):
        if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str):
            name = call.args[0].value
            if "." not in name:
                continue  # str.count("x")
            assert has(name), f"{path}:{call.lineno} {name}"
            checked += 1
            given = {keyword.arg for keyword in call.keywords}
            if None in given:
                continue
            counted = has(f"{name}.one")
            if counted:
                given.add("n")
            wanted = {
                placeholder
                for text, content in texts("en").items()
                if text == name or text.startswith(f"{name}.")
                for placeholder in placeholders(content)
            }
            assert wanted <= given, f"{path}:{call.lineno} {name} lacks {wanted - given}"
    assert checked > 50


def test_every_put_together_name_has_its_section() -> None:
    for path, call in calls(frozenset({"tell", "wording", "words", "_words", "count"}), "dispatcher/cli/"):
        if call.args and isinstance(call.args[0], ast.JoinedStr):
            first = call.args[0].values[0]
            assert isinstance(first, ast.Constant)
            prefix = str(first.value)
            assert any(text.startswith(prefix) for text in texts("en")), f"{path}:{call.lineno} {prefix}"


def test_a_counted_phrase_has_both_forms() -> None:
    forms = {name.rpartition(".")[0] for name in texts("en") if name.endswith((".one", ".other"))}
    for name in forms:
        assert {f"{name}.one", f"{name}.other"} <= set(texts("en"))


# --- errors


def test_every_error_code_in_the_source_is_in_the_catalogue() -> None:
    missing = {one.where: one.code for one in raises() if one.code and not has(f"errors.{one.code}")}
    assert missing == {}


def test_every_code_that_is_no_literal_is_listed_here() -> None:
    assert {one.path for one in raises() if one.code is None} == set(DYNAMIC)
    for path, codes in DYNAMIC.items():
        for code in codes:
            assert has(f"errors.{code}"), code
            assert code in constants(path) or code in FROM_PARTS, (path, code)


def test_every_error_of_the_catalogue_is_raised() -> None:
    raised = {one.code for one in raises()} | {code for codes in DYNAMIC.values() for code in codes}
    listed = {name.split(".")[1] for name in texts("en") if name.startswith("errors.")}
    assert listed - raised == set()


def test_every_error_names_only_facts_that_its_raise_gives() -> None:
    wrong = {}
    for one in raises():
        if None in one.given:
            continue  # **facts
        for code in (one.code,) if one.code else DYNAMIC[one.path]:
            wanted = {
                placeholder
                for part in ("message", "expected", "hint")
                for placeholder in placeholders(texts("en").get(f"errors.{code}.{part}", ""))
            }
            if lacking := wanted - FACTS - one.given:
                wrong[one.where] = (code, lacking)
    assert wrong == {}


# --- how texts are made


def test_an_unknown_language_speaks_english() -> None:
    assert Wording("tlh").language == "en"
    assert Wording("tlh")("run.dry_run_done") == Wording("en")("run.dry_run_done")


def test_a_missing_text_is_a_bug_and_not_a_blank() -> None:
    with pytest.raises(KeyError):
        Wording("en")("run.no_such_text")


@pytest.mark.parametrize(
    ("language", "n", "shown"),
    [
        ("en", 0, "0 rows"),
        ("en", 1, "1 row"),
        ("en", 1_234_567, "1,234,567 rows"),
        ("it", 1, "1 riga"),
        ("it", 12_000, "12.000 righe"),
        ("es", 1, "1 fila"),
        ("es", 2, "2 filas"),
    ],
)
def test_counted_phrases(language: str, n: int, shown: str) -> None:
    assert Wording(language).count("plan.rows", n) == shown


@pytest.mark.parametrize(
    ("language", "amount", "shown"),
    [
        ("en", "0", "0.00 EUR"),
        ("en", "1234.5678", "1,234.5678 EUR"),
        ("it", "1234.5678", "1.234,5678 EUR"),
        ("es", "1234567.1", "1.234.567,10 EUR"),
        ("it", "0.0900", "0,09 EUR"),
        ("en", "100", "100.00 EUR"),
        ("en", "0.00000001", "0.00000001 EUR"),
    ],
)
def test_money(language: str, amount: str, shown: str) -> None:
    assert Wording(language).money(Decimal(amount), "EUR") == shown


@given(
    st.decimals(min_value=0, max_value=10**9, places=8, allow_nan=False, allow_infinity=False),
    st.sampled_from(LANGUAGES),
)
def test_money_keeps_every_digit(amount: Decimal, language: str) -> None:
    number = Wording(language).money(amount, "EUR").removesuffix(" EUR")
    if language != "en":
        number = number.translate(str.maketrans(",.", ".,"))
    assert Decimal(number.replace(",", "")) == amount


def test_a_fact_that_is_not_known_leaves_a_gap_and_no_none() -> None:
    said = Wording("en").error(FileError("sheet_no_rows", file="a.csv"))
    assert "None" not in (said["message"] or "")


def test_an_error_without_hint_has_none() -> None:
    said = Wording("it").error(UsageError("usage_choice", found="x", flag="--route", allowed="ww"))
    assert said == {"message": "--route è x.", "expected": "ww", "hint": None}
