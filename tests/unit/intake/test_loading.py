"""From a plan to the ledger: every row of the file is there once, with what sending and the report need."""

from __future__ import annotations

import sqlite3
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dispatcher.campaign.history import NoHistory
from dispatcher.campaign.locale import Locale
from dispatcher.campaign.plan import Planner, PlanOptions
from dispatcher.campaign.price_book import Price
from dispatcher.campaign.prices import Funds, PriceBook
from dispatcher.campaign.repeated import guard_key
from dispatcher.campaign.routes import Route
from dispatcher.errors import FileError
from dispatcher.intake.loading import (
    PHONE_KEPT,
    FileIdentity,
    LoadRequest,
    identify,
    keep_input,
    load_campaign,
)
from dispatcher.intake.planning import LedgerHistory, PlanRequest, history_of, make_planner
from dispatcher.ledger import Ledger, RowState

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
PHONE, SPANISH, FRENCH, GERMAN = "+393123456789", "+34612345678", "+33612345678", "+4915123456789"
BOOK = PriceBook(
    {
        ("IT", "*"): Price(Decimal("0.0450")),
        ("WW", "DE"): Price(Decimal("0.01234567"), Decimal("0.0200001")),
        ("WW", "FR"): Price(None, Decimal("0.08")),
    }
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{(tmp_path / 'ledger.db').as_posix()}", create=True)
    yield opened
    opened.dispose()


def write(folder: Path, rows: Sequence[tuple[str, str]], name: str = "list.csv") -> Path:
    file = folder / name
    lines = ["Cellulare;Testo", *(f'"{phone}";"{text}"' for phone, text in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def load_request(request: PlanRequest, folder: Path) -> LoadRequest:
    return LoadRequest(
        request=request,
        identity=identify(request),
        gateway="simulator",
        owner="me",
        inputs=folder / "inputs",
        book=BOOK,
        max_cost=Decimal("20.00"),
        decisions={"preflight": "auto"},
    )


def load(ledger: Ledger, file: Path, bundles: dict[str, int] | None = None) -> tuple[int, Planner, list[int]]:
    request = PlanRequest(file, options=PlanOptions(sender="Studio Sole"))
    planner = make_planner(request, BOOK, Funds(bundles or {}, None), NoHistory())
    heard: list[int] = []
    loaded = load_request(request, file.parent)
    campaign = load_campaign(ledger, planner, loaded, now=NOW, progress=heard.append)
    return campaign, planner, heard


def stored(folder: Path, columns: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "ledger.db") as connection:
        return connection.execute(f"SELECT {columns} FROM rows ORDER BY row").fetchall()


def test_every_row_is_stored_once_with_its_state(tmp_path: Path, ledger: Ledger) -> None:
    rows = [(PHONE, "Uno"), ("0039 312 345 6789", "Uno"), ("12", "Due"), (SPANISH, "Sí"), (PHONE, "{{ x }}")]
    campaign, planner, heard = load(ledger, write(tmp_path, rows))
    view = ledger.queries.campaign(campaign)
    assert (view.state.code, view.rows, view.parts, heard) == ("planned", 5, 2, [5])
    assert view.unpriced_rows == planner.bill().unpriced_rows == 1
    assert (view.file_name, view.name, view.sheet, view.currency) == ("list.csv", "list", None, "EUR")
    assert (view.source["kind"], view.source["delimiter"], view.source["heading_row"]) == ("csv", ";", 1)
    counts = ledger.queries.counts(campaign)
    assert {state: n for state, n in counts.items() if n} == {
        RowState.READY: 2,
        RowState.DUPLICATE: 1,
        RowState.INVALID: 2,
    }
    assert stored(tmp_path, "row, reason, recipient, country, route, sender, parts, phone") == [
        (2, None, PHONE, "IT", "IT", "Studio Sole", 1, PHONE),
        (3, "duplicate_in_file", PHONE, "IT", "IT", "Studio Sole", 1, "0039 312 345 6789"),
        (4, "phone_too_short", None, None, None, "Studio Sole", 1, "12"),
        (5, None, SPANISH, "ES", "ES", "Studio Sole", 1, SPANISH),
        (6, "text_leftover", PHONE, "IT", "IT", "Studio Sole", 0, PHONE),
    ]
    assert stored(tmp_path, "text, encoding, guard_key")[3] == ("Sí", 2, guard_key(SPANISH, "Sí"))


def test_costs_and_what_counts_against_the_cap(tmp_path: Path, ledger: Ledger) -> None:
    long = "x" * 161
    rows = [(PHONE, long), (GERMAN, long), (FRENCH, long), (SPANISH, long), ("12", long), (PHONE, long)]
    campaign, planner, _ = load(ledger, write(tmp_path, rows))
    # the ledger keeps six decimals; what is set aside is rounded up, and is the most a part may cost
    assert stored(tmp_path, "estimated_cost, reserve_cost") == [
        (90_000, 90_000),
        (24_691, 40_001),
        (None, 160_000),
        (None, 2_000_000),
        (None, 0),
        (None, 0),
    ]
    assert planner.bill().estimated_cost == Decimal("0.11469134")
    assert ledger.queries.campaign(campaign).estimated_cost == Decimal("0.114691")


def test_parts_of_a_bundle_cost_nothing_and_reserve_nothing(tmp_path: Path, ledger: Ledger) -> None:
    rows = [(GERMAN, "x" * 161), (GERMAN, "y" * 161)]
    load(ledger, write(tmp_path, rows), {"WW": 3})
    assert stored(tmp_path, "estimated_cost, reserve_cost") == [(0, 0), (12_346, 20_001)]


def test_a_cell_of_any_length_is_stored_short(tmp_path: Path, ledger: Ledger) -> None:
    load(ledger, write(tmp_path, [("y" * 500, "Uno"), (PHONE, "Due")]))
    assert [len(phone) for (phone,) in stored(tmp_path, "phone")] == [PHONE_KEPT, len(PHONE)]


def test_large_plans_are_written_in_small_transactions(tmp_path: Path, ledger: Ledger) -> None:
    rows = [(PHONE, f"Testo {n}") for n in range(4_100)]
    campaign, _, heard = load(ledger, write(tmp_path, rows))
    assert heard == [2_000, 4_000, 4_100]
    assert ledger.queries.campaign(campaign).rows == 4_100


# --- the copy of the input


def test_the_input_is_kept_byte_by_byte_for_its_owner_only(tmp_path: Path, ledger: Ledger) -> None:
    file = write(tmp_path, [(PHONE, "Uno")])
    campaign, _, _ = load(ledger, file)
    kept = Path(ledger.queries.campaign(campaign).input_path or "")
    assert kept.read_bytes() == file.read_bytes()
    assert kept.suffix == ".csv"
    assert list(kept.parent.iterdir()) == [kept]
    if sys.platform != "win32":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_a_file_that_changed_after_it_was_identified_is_not_kept(tmp_path: Path) -> None:
    file = write(tmp_path, [(PHONE, "Uno")])
    identity = identify(PlanRequest(file))
    write(tmp_path, [(PHONE, "Due")])
    with pytest.raises(FileError, match="sheet_changed"):
        keep_input(file, tmp_path / "inputs", identity)
    assert list((tmp_path / "inputs").iterdir()) == []


def test_a_file_that_is_gone_is_an_error_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="sheet_not_readable"):
        identify(PlanRequest(tmp_path / "gone.csv"))
    with pytest.raises(FileError, match="sheet_not_readable"):
        keep_input(tmp_path / "gone.csv", tmp_path / "inputs", FileIdentity("0" * 64, ""))


# --- identity


def test_a_file_is_the_same_under_any_name_and_another_with_any_decision(tmp_path: Path) -> None:
    first = write(tmp_path, [(PHONE, "Uno")])
    other = write(tmp_path, [(PHONE, "Uno")], "renamed.csv")
    request = PlanRequest(first)
    assert identify(request) == identify(replace(request, file=other))
    decisions = [
        {"message": "Ciao"},
        {"sender": "Studio"},
        {"route": Route.WW},
        {"gsm7": True},
        {"single_part": True},
        {"keep_duplicates": True},
        {"again": True},
        {"default_region": "ES"},
    ]
    others = [replace(request, options=replace(request.options, **decision)) for decision in decisions]
    others += [
        replace(request, locale=Locale.EN),
        replace(request, sheet="A"),
        replace(request, encoding="cp1252"),
    ]
    prints = {identify(one).fingerprint for one in (request, *others)}
    assert len(prints) == len(others) + 1
    assert {identify(one).sha256 for one in others} == {identify(request).sha256}


# --- what the ledger remembers


def test_without_a_ledger_there_is_no_history() -> None:
    assert isinstance(history_of(None, "simulator", guard_days=7, now=NOW), NoHistory)


def test_opt_outs_of_the_ledger_are_left_out(tmp_path: Path, ledger: Ledger) -> None:
    ledger.opt_outs.add([PHONE], "person", NOW)
    history = history_of(ledger, "simulator", guard_days=7, now=NOW)
    assert history == LedgerHistory(ledger, "simulator", NOW - timedelta(days=7))
    file = write(tmp_path, [("312 345 6789", "Uno"), (FRENCH, "Uno")])
    planner = make_planner(PlanRequest(file), BOOK, Funds({}, None), history)
    assert [s for chunk in planner.chunks() for s in chunk.status.tolist()] == ["opted_out", "ready"]
