"""The plan: equal to the rules applied row by row, whatever the sheet; and every rule on its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.campaign.columns import ColumnOptions
from dispatcher.campaign.history import NoHistory
from dispatcher.campaign.locale import Locale
from dispatcher.campaign.phones import read_phone
from dispatcher.campaign.plan import PlanChunk, Planner, PlanOptions
from dispatcher.campaign.prices import Funds, PriceBook, Pricer
from dispatcher.campaign.reasons import PlanStatus, Reason
from dispatcher.campaign.repeated import guard_key
from dispatcher.campaign.routes import Route, route_of
from dispatcher.campaign.segments import MAX_PARTS, measure
from dispatcher.campaign.senders import sender_problem
from dispatcher.campaign.sheet import Sheet, SheetChunk, SheetKind, open_sheet
from dispatcher.campaign.substitution import to_gsm7
from dispatcher.campaign.template import Template, compile_template, literal
from dispatcher.errors import FileError, UsageError

ITALIAN, SPANISH, BRITISH, LANDLINE = "+393123456789", "+34612345678", "+447400123456", "+390212345678"
BOOK = PriceBook.from_entries(
    [("IT", "*", Decimal("0.0450")), ("ES", "*", Decimal("0.0525")), ("WW", "GB", Decimal("0.07"))]
)
HEADINGS = ("Mobile", "Text", "Name", "From")


@dataclass(frozen=True)
class Line:
    """One row of a sheet of the tests."""

    phone: str = ITALIAN
    text: str = "Good morning"
    name: str = "Anna"
    sender: str = ""
    hidden: int = 0
    problem: Reason | None = None
    valueless: tuple[str, ...] = ()

    def cells(self) -> dict[str, str]:
        if self.problem is not None:
            return dict.fromkeys(HEADINGS, "")
        return dict(zip(HEADINGS, (self.phone, self.text, self.name, self.sender), strict=True))


@dataclass(frozen=True)
class Chunks:
    """A sheet's rows in chunks of ``size``; the first is row 2."""

    lines: Sequence[Line]
    size: int

    def chunks(self) -> Iterator[SheetChunk]:
        for start in range(0, len(self.lines), self.size):
            lines = self.lines[start : start + self.size]
            numbers = range(start + 2, start + 2 + len(lines))
            columns = [pa.array([line.cells()[h] for line in lines], pa.string()) for h in HEADINGS]
            yield SheetChunk(
                rows=np.array(numbers, dtype=np.int64),
                table=pa.RecordBatch.from_arrays(columns, names=list(HEADINGS)),
                hidden=np.array([line.hidden for line in lines], dtype=np.int8),
                problems={n: line.problem for n, line in zip(numbers, lines, strict=True) if line.problem},
                valueless=frozenset(
                    (n, heading) for n, line in zip(numbers, lines, strict=True) for heading in line.valueless
                ),
            )


@dataclass(frozen=True)
class Remembered(NoHistory):
    """What an earlier campaign left behind."""

    gone: frozenset[str] = frozenset()
    sent: frozenset[bytes] = frozenset()

    def opted_out(self, recipients: Sequence[str]) -> set[str]:
        return self.gone.intersection(recipients)

    def already_sent(self, guard_keys: Sequence[bytes]) -> set[bytes]:
        return self.sent.intersection(guard_keys)


def sheet_of(lines: Sequence[Line], size: int = 100) -> Sheet:
    return Sheet(Path("s.csv"), SheetKind.CSV, None, HEADINGS, 1, ";", "utf-8", (), Chunks(lines, size))


COLUMNS = ColumnOptions(phone="Mobile", message="Text", sender="From")
TEMPLATED = PlanOptions(
    message="Hi {{ Name }}, see you.", columns=replace(COLUMNS, message=None), sender="Studio"
)
LITERAL = PlanOptions(columns=COLUMNS, sender="Studio")


def planner_of(
    lines: Sequence[Line],
    options: PlanOptions = LITERAL,
    *,
    history: Any = None,
    bundles: Mapping[str, int] | None = None,
    wallet: str | None = None,
    size: int = 100,
) -> Planner:
    funds = Funds(dict(bundles or {}), None if wallet is None else Decimal(wallet))
    return Planner(sheet_of(lines, size), options, Pricer(BOOK, funds), history or NoHistory())


def plan(planner: Planner) -> pd.DataFrame:
    """The whole plan, one line a row, every column as Python objects."""
    names = [name for name in PlanChunk.__dataclass_fields__ if name != "times"]
    chunks = list(planner.chunks())
    return pd.DataFrame(
        {
            name: pd.Series([v for c in chunks for v in getattr(c, name).tolist()], dtype=object)
            for name in names
        }
    ).set_index("rows")


# --- equality with the rules, row by row


@dataclass
class Expected:
    status: PlanStatus
    reason: Reason | None
    recipient: str | None = None
    route: Route | None = None
    text: str | None = None
    parts: int = 0
    cost: Decimal | None = None


@lru_cache
def template(source: str) -> Template:
    return compile_template(source, HEADINGS, decimal_mark=",")


def scalar_text(options: PlanOptions, line: Line) -> tuple[str | None, Reason | None]:
    if options.message is not None:
        rendered = template(options.message).render_row(line.cells())
        text, reason = rendered.text, rendered.reason
    else:
        column = literal(pa.array([line.cells()["Text"]]), "Text")
        text, reason = column.text[0], column.reason[0]
    return (to_gsm7(text) if options.gsm7 and text else text), reason


def scalar_reason(options: PlanOptions, line: Line) -> Reason | None:
    """The first reason against a row by itself, in the order of importance."""
    phone = read_phone(line.cells()["Mobile"], "IT")
    text, text_reason = scalar_text(options, line)
    fields = template(options.message).fields if options.message else ("Text",)
    parts = measure(text).parts if text else 0
    sender = line.cells()["From"].strip() or options.sender
    candidates = [
        {1: Reason.HIDDEN_BY_HAND, 2: Reason.HIDDEN_BY_FILTER}.get(line.hidden),
        line.problem,
        Reason.PHONE_FORMULA_WITHOUT_VALUE if "Mobile" in line.valueless else None,
        phone.reason,
        Reason.TEXT_FORMULA_WITHOUT_VALUE if set(fields) & set(line.valueless) else None,
        text_reason,
        Reason.TEXT_TOO_LONG if parts > MAX_PARTS else None,
        Reason.TEXT_MULTIPART if options.single_part and parts > 1 else None,
        Reason.SENDER_FORMULA_WITHOUT_VALUE if "From" in line.valueless else None,
        sender_problem(sender, phone.country or ""),
    ]
    return next((reason for reason in candidates if reason is not None), None)


class ScalarWallet:
    """Bundles and prices, one message at a time."""

    def __init__(self, bundles: Mapping[str, int]) -> None:
        self.left = dict(bundles)

    def charge(self, route: str, country: str, parts: int) -> Decimal | None:
        for bundle in dict.fromkeys([route, country]) if route == "WW" else [route]:
            if bundle in ("IT", "ES", "WW"):
                taken = min(parts, self.left.get(bundle, 0))
                self.left[bundle] = self.left.get(bundle, 0) - taken
                parts -= taken
        if not parts:
            return Decimal(0)
        price = BOOK.price(route, country)
        return None if price is None else price * parts


def scalar_plan(
    lines: Sequence[Line], options: PlanOptions, history: Remembered, bundles: Mapping[str, int]
) -> list[Expected]:
    seen: set[tuple[str, str]] = set()
    purse = ScalarWallet(bundles)
    rows = []
    for line in lines:
        phone, (text, _) = read_phone(line.cells()["Mobile"], "IT"), scalar_text(options, line)
        row = Expected(PlanStatus.READY, scalar_reason(options, line), phone.recipient, text=text)
        row.route = route_of(phone.country, options.route) if phone.country else None
        row.parts = measure(text).parts if text else 0
        rows.append(row)
        if row.reason is not None:
            row.status = PlanStatus.HIDDEN if line.hidden else PlanStatus.INVALID
            continue
        assert phone.recipient is not None
        assert phone.country is not None
        assert text is not None
        assert row.route is not None
        if phone.recipient in history.gone:
            row.status, row.reason = PlanStatus.OPTED_OUT, Reason.OPTED_OUT
        elif (phone.recipient, text) in seen and not options.keep_duplicates:
            row.status, row.reason = PlanStatus.DUPLICATE, Reason.DUPLICATE_IN_FILE
        elif not options.again and guard_key(phone.recipient, text) in history.sent:
            row.status, row.reason = PlanStatus.ALREADY_SENT, Reason.ALREADY_SENT
        if row.status is not PlanStatus.OPTED_OUT:
            seen.add((phone.recipient, text))
        if row.status is PlanStatus.READY:
            row.cost = purse.charge(row.route, phone.country, row.parts)
    return rows


PHONES = st.sampled_from(
    [
        *(ITALIAN, "312 345 6789", "0039 3123456789", "393123456789", SPANISH, BRITISH, "+33612345678"),
        *(LANDLINE, "", "n/d", "3.93E+11", "+39 06 69812345", "12", "2026-12-05"),
    ]
)
TEXTS = st.sampled_from(
    [
        *(
            "Good morning",
            "Hola José",
            "Ci vediamo alle 9, €5",
            "",
            "  ",
            "Dear {{ Name }}",
            "«Nome»",
            "#N/A",
        ),
        *("a" * 161, "à" * 160, "á" * 71, "x" * 1_531, "😀", "None of it", "`quoted`"),
    ]
)
NAMES = st.sampled_from(["Anna", "José", "Nicolò", "", "nan", "#N/A", "e\u0301milie", "b" * 200, "Łukasz"])
SENDERS = st.sampled_from(["", " ", "Studio Sole", "Openapi", "12345", "ab", "Café", "Much too long"])
LINES = st.builds(
    Line,
    phone=PHONES,
    text=TEXTS,
    name=NAMES,
    sender=SENDERS,
    hidden=st.sampled_from([0, 0, 0, 0, 1, 2]),
    problem=st.sampled_from([None] * 6 + [Reason.ROW_TOO_LONG, Reason.ROW_UNREADABLE]),
    valueless=st.sampled_from([()] * 6 + [("Mobile",), ("Text",), ("Name",), ("From",)]),
)
OPTIONS = st.builds(
    PlanOptions,
    message=st.sampled_from(
        [None, "Hi {{ Name }}!", "{% if Name %}Hi {{ Name|upper }}, è ora{% endif %}", "Ciao"]
    ),
    columns=st.just(replace(COLUMNS, message=None)),
    sender=st.sampled_from([None, "Studio"]),
    route=st.sampled_from([None, None, Route.WW]),
    gsm7=st.booleans(),
    single_part=st.booleans(),
    keep_duplicates=st.booleans(),
    again=st.booleans(),
).map(lambda options: options if options.message else replace(options, columns=COLUMNS))
BUNDLES = st.dictionaries(st.sampled_from(["IT", "ES", "WW"]), st.integers(0, 6))
HISTORIES = st.builds(
    Remembered,
    gone=st.frozensets(st.sampled_from([SPANISH, BRITISH]), max_size=1),
    sent=st.sampled_from([frozenset(), frozenset({guard_key(ITALIAN, "Good morning")})]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=12), OPTIONS, HISTORIES, BUNDLES, st.integers(1, 12))
def test_the_columns_equal_the_rules_row_by_row(
    lines: list[Line], options: PlanOptions, history: Remembered, bundles: dict[str, int], size: int
) -> None:
    planner = planner_of(lines, options, history=history, bundles=bundles, size=size)
    planned = plan(planner)
    expected = scalar_plan(lines, options, history, bundles)
    assert list(planned.index) == list(range(2, len(lines) + 2))
    for name in ("status", "reason", "recipient", "route", "text", "parts", "cost"):
        assert planned[name].tolist() == [getattr(row, name) for row in expected], name

    summary, bill = planner.summary, planner.bill()
    ready = [row for row in expected if row.status is PlanStatus.READY]
    assert sum(summary.counts.values()) == summary.rows == len(lines)
    assert sum(summary.reasons.values()) + len(ready) == len(lines)
    assert summary.parts == sum(row.parts for row in ready)
    assert bill.estimated_cost == sum((row.cost for row in ready if row.cost is not None), Decimal(0))
    assert bill.unpriced_rows == sum(row.cost is None for row in ready)
    assert sum(route.rows for route in bill.routes.values()) == len(ready)
    assert [p.row for p in summary.problems] == [
        n for n, row in enumerate(expected, 2) if row.status is PlanStatus.INVALID
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=12), OPTIONS, BUNDLES, st.integers(1, 12))
def test_what_gsm7_would_save_is_what_it_saves(
    lines: list[Line], options: PlanOptions, bundles: dict[str, int], size: int
) -> None:
    # --single-part and duplicates would make other rows go out, which is no saving
    options = replace(options, gsm7=False, single_part=False, keep_duplicates=True)
    before = planner_of(lines, options, bundles=bundles, size=size)
    after = planner_of(lines, replace(options, gsm7=True), bundles=bundles, size=size)
    first, second = plan(before), plan(after)
    if first["reason"].tolist() != second["reason"].tolist():
        return  # a text within the limit only because of its substitutes
    total = before.savings().total
    assert total.parts == before.summary.parts - after.summary.parts
    assert total.cost == before.bill().estimated_cost - after.bill().estimated_cost
    assert after.savings().total.parts == 0


# --- duplicates and bundles: only what goes out counts


@pytest.mark.parametrize(
    "first",
    [
        Line(hidden=1),
        Line(hidden=2),
        Line(sender="12345"),
        Line(problem=Reason.ROW_TOO_LONG),
        Line(valueless=("Text",)),
        Line(valueless=("From",)),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_a_row_left_out_neither_hides_its_copy_nor_draws_on_the_bundle(first: Line, size: int) -> None:
    planner = planner_of([first, Line(), Line(phone="312 3456789")], bundles={"IT": 1}, size=size)
    planned = plan(planner)
    assert planned["status"].tolist()[1:] == [PlanStatus.READY, PlanStatus.DUPLICATE]
    assert planned["cost"].tolist() == [None, Decimal(0), None]
    assert planner.bill().bundle_ends_at_row == {"IT": 3}
    assert planner.bill().wallet_from_row is None


def test_duplicates_are_the_same_text_to_the_same_number() -> None:
    lines = [Line(), Line(phone="0039 312 345 6789"), Line(text="Another"), Line(phone=BRITISH)]
    assert plan(planner_of(lines, size=1))["status"].tolist() == ["ready", "duplicate", "ready", "ready"]
    keep = replace(LITERAL, keep_duplicates=True)
    assert set(plan(planner_of(lines, keep, size=1))["status"]) == {PlanStatus.READY}


@pytest.mark.parametrize(
    ("phone", "route"),
    [
        (ITALIAN, "IT"),
        (SPANISH, "ES"),
        (BRITISH, "WW"),
        ("+447797712345", "WW"),  # Jersey
        ("+37866661212", "WW"),  # San Marino
    ],
)
def test_the_country_of_the_number_decides_the_route(phone: str, route: str) -> None:
    assert plan(planner_of([Line(phone=phone)]))["route"].tolist() == [route]
    assert plan(planner_of([Line(phone=phone)], replace(LITERAL, route=Route.WW)))["route"].tolist() == ["WW"]


@pytest.mark.parametrize(
    ("text", "single", "gsm7", "parts", "reason"),
    [
        ("à" * 160, True, False, 1, None),
        ("à" * 161, True, False, 2, Reason.TEXT_MULTIPART),
        ("á" * 71, True, False, 2, Reason.TEXT_MULTIPART),
        ("á" * 71, True, True, 1, None),
        ("a" * 1_530, False, False, 10, None),
        ("a" * 1_531, False, False, 11, Reason.TEXT_TOO_LONG),
    ],
)
def test_lengths(text: str, single: bool, gsm7: bool, parts: int, reason: Reason | None) -> None:
    planned = plan(planner_of([Line(text=text)], replace(LITERAL, single_part=single, gsm7=gsm7)))
    assert (planned["parts"].item(), planned["reason"].item()) == (parts, reason)


def test_a_spanish_number_needs_a_sender_of_its_own() -> None:
    lines = [Line(phone=SPANISH), Line(phone=SPANISH, sender="OpenAPI"), Line(phone=SPANISH, sender="Sol SL")]
    planned = plan(planner_of(lines, replace(LITERAL, sender=None)))
    assert planned["reason"].tolist() == [Reason.SENDER_REQUIRED, Reason.SENDER_REQUIRED, None]


# --- construction


@pytest.mark.parametrize("sender", ["12345", "ab", "Café Sol", "Much too long"])
def test_a_sender_that_no_country_takes_is_refused_at_once(sender: str) -> None:
    with pytest.raises(UsageError) as caught:
        planner_of([Line()], replace(LITERAL, sender=sender))
    assert (caught.value.code, caught.value.found) == ("sender_not_usable", sender)


def test_no_rows_are_no_campaign() -> None:
    with pytest.raises(FileError, match="sheet_no_rows"):
        planner_of([])


@pytest.mark.parametrize(("locale", "text"), [(Locale.IT, "1,5"), (Locale.ES, "1,5"), (Locale.EN, "1.5")])
def test_numbers_that_a_template_computes_follow_the_locale(locale: Locale, text: str) -> None:
    options = replace(TEMPLATED, message="{{ 3 / 2 }}")
    planner = Planner(sheet_of([Line()]), options, Pricer(BOOK, Funds({}, None)), NoHistory(), locale=locale)
    assert plan(planner)["text"].tolist() == [text]


def test_a_file_from_disk_is_planned_across_its_chunks(tmp_path: Path) -> None:
    file = tmp_path / "clinic.csv"
    rows = [f"{ITALIAN[:-2]}{n % 50:02d};Anna {n % 50}" for n in range(100)]
    file.write_text("Cellulare;Nome\n" + "\n".join(rows), encoding="utf-8")
    sheet = open_sheet(file, chunk_rows=7)
    planner = Planner(
        sheet, PlanOptions(message="Ciao {{ nome }}"), Pricer(BOOK, Funds({}, None)), NoHistory()
    )
    assert [len(chunk.rows) for chunk in planner.chunks()] == [7] * 14 + [2]
    assert planner.summary.counts == {PlanStatus.READY: 50, PlanStatus.DUPLICATE: 50}
    assert planner.columns.phone.heading == "Cellulare"


# --- money


def test_bundle_first_then_wallet_with_the_rows_where_they_change() -> None:
    phones = [f"{ITALIAN[:-1]}{n}" for n in range(6)] + [BRITISH, "+33612345678"]
    planner = planner_of([Line(phone=phone) for phone in phones], bundles={"IT": 3}, wallet="0.10")
    costs = plan(planner)["cost"].tolist()
    each = Decimal("0.0450")
    assert costs == [0, 0, 0, each, each, each, Decimal("0.07"), None]
    bill = planner.bill()
    assert (bill.bundle_ends_at_row, bill.wallet_from_row) == ({"IT": 4}, 5)
    assert (bill.wallet_empty_at_row, bill.wallet_short) == (7, True)
    assert (bill.estimated_cost, bill.unpriced_rows) == (Decimal("0.2050"), 1)
    assert bill.ww_minimum_credit == 1


def status_pairs() -> Iterator[tuple[Line, Line]]:
    return itertools.product([Line(), Line(phone=BRITISH)], repeat=2)


@pytest.mark.parametrize(("first", "second"), list(status_pairs()))
def test_opted_out_comes_before_duplicate_and_that_before_already_sent(first: Line, second: Line) -> None:
    history = Remembered(frozenset({BRITISH}), frozenset({guard_key(ITALIAN, "Good morning")}))
    out, sent, twice = PlanStatus.OPTED_OUT, PlanStatus.ALREADY_SENT, PlanStatus.DUPLICATE
    expected = [out if line.phone == BRITISH else sent for line in (first, second)]
    if first.phone == second.phone == ITALIAN:
        expected[1] = twice
    assert plan(planner_of([first, second], history=history))["status"].tolist() == expected
