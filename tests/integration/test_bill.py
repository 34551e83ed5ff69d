"""The bill of a real campaign, in the workbook, in ``status`` and on the page; and prices that it teaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from tests.integration.inside import Inside
from tests.integration.processes import TOKEN, number

PRICES = '[[price]]\nroute = "IT"\nper_part = "0.05"\n'  # the simulator takes 0.045
FRENCH = "+336123456{:02d}"
FEW, ENOUGH = 3, 22  # worldwide messages: too few to trust their range, and not


@pytest.fixture
def gateway(inside: Inside) -> Iterator[Callable[[], str]]:
    """Starts a simulator whose worldwide prices are there at once; its address is the gateway's name."""
    with ExitStack() as stack:

        def start() -> str:
            config = SimulatorConfig(token=TOKEN, requests_per_minute=None, ww_price_delay=0)
            thread = stack.enter_context(SimulatorThread(config))
            inside.set({"DISPATCHER_GATEWAY": thread.url, "DISPATCHER_TOKEN": TOKEN})
            inside.set({"DISPATCHER_PRICES": "prices.toml", "DISPATCHER_SENDER": "ClinicaSol"})
            (inside.folder / "prices.toml").write_text(PRICES)
            return thread.url

        yield start


def workbook(inside: Inside, name: str, french: int, first: int = 0) -> Path:
    book = Workbook()
    sheet = book.active
    sheet.append(["phone", "text"])
    for n in range(2):
        sheet.append([number(first + n), f"Your appointment is at {n + 9}:00."])
    for n in range(french):
        sheet.append([FRENCH.format(first + n), "Bonjour."])
    path = inside.folder / name
    book.save(path)
    return path


def run(inside: Inside, name: str, *flags: str) -> dict[str, Any]:
    ended = inside.json("run", name, "--yes", *flags)
    assert (ended["code"], ended["state"]) == (0, "finished"), ended
    return ended


def test_the_bill_is_in_the_workbook_in_status_and_on_the_page(
    inside: Inside, gateway: Callable[[], str]
) -> None:
    gateway()
    workbook(inside, "a.xlsx", FEW)
    ended = run(inside, "a.xlsx", "--bundle", "IT=1")
    bill = inside.json("status", "1")["bill"]
    assert bill["planned"] == {"cost": "0.05", "unpriced_rows": FEW}
    assert bill["dry_run"] == {"messages": 2 + FEW, "cost": "0.24"}
    assert (bill["sent"]["charged"], bill["sent"]["estimated"], bill["sent"]["unpriced"]) == (
        "0.24",
        "0.05",
        0,
    )
    assert bill["bundles"] == {"IT": {"planned_parts": 1, "messages": 1, "parts": 1, "list_price": "0.045"}}
    assert bill["wallet"] == {"estimated": "0.05", "charged": "0.195"}
    assert bill["differences"] == {"dearer": 0, "cheaper": 1, "recounted": 0}
    book = load_workbook(ended["report"])
    assert book.sheetnames == ["Sheet", "sms_summary", "sms_bill"]
    assert len(book["sms_summary"]._charts) == 2
    rows = [row[:2] for row in book["sms_bill"].iter_rows(values_only=True)]
    assert (3, "costs less") in rows
    assert (2, "of a bundle: list price named") in rows
    page = inside.json("report", "1", "--html", "--output", "page.html")
    text = (inside.folder / page["page"]).read_text(encoding="utf-8")
    assert "0.24 EUR" in text
    assert inside("report", "1", "--output", "page.html").code == 2


def test_what_was_charged_prices_the_next_plan_of_this_gateway_alone(
    inside: Inside, gateway: Callable[[], str]
) -> None:
    gateway()
    workbook(inside, "a.xlsx", FEW)
    workbook(inside, "b.xlsx", ENOUGH, first=20)
    workbook(inside, "c.xlsx", 1, first=60)
    first = inside.json("check", "a.xlsx")
    assert (first["unpriced_rows"], first["learnt_prices"], first["ceiling_cost"]) == (FEW, [], None)
    run(inside, "a.xlsx")
    second = inside.json("check", "b.xlsx")
    (learnt,) = second["learnt_prices"]
    assert {name: learnt[name] for name in ("route", "country", "messages", "median", "low", "high")} == {
        "route": "WW", "country": "FR", "messages": FEW, "median": "0.05", "low": "0.05", "high": "0.05"
    }  # fmt: skip
    assert Decimal(second["estimated_cost"]) == Decimal("0.1") + ENOUGH * Decimal("0.05")
    assert Decimal(second["ceiling_cost"]) == Decimal("0.1") + ENOUGH * 1  # three messages are no range
    assert "WW FR" in inside("check", "b.xlsx").out
    run(inside, "b.xlsx")
    third = inside.json("check", "c.xlsx")
    assert (third["learnt_prices"][0]["messages"], Decimal(third["ceiling_cost"])) == (
        FEW + ENOUGH,
        Decimal("0.15"),
    )
    run(inside, "c.xlsx", "--max-cost", "0.15")  # the limit trusts what was seen so often
    gateway()  # another one has taught nothing
    assert inside.json("check", "c.xlsx", "--again")["learnt_prices"] == []
