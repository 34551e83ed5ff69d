"""The bill in ``status ID``: for people and for scripts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dispatcher.cli.bill_view import bill_values, show_bill
from dispatcher.cli.output import Output
from dispatcher.ledger.bills import BillGroup
from dispatcher.ledger.forecasts import Foretold
from dispatcher.ledger.states import RowState
from dispatcher.report.bill import CampaignBill, add_up
from dispatcher.wording import LANGUAGES, Wording

D = Decimal


def group(route: str, country: str, rows: int, **sums: object) -> BillGroup:
    return BillGroup(
        **{
            "route": route,
            "country": country,
            "state": RowState.ACCEPTED,
            "rows": rows,
            "parts": rows,
            **sums,
        }  # type: ignore[arg-type]
    )


GROUPS = [
    group("IT", "IT", 10, estimated=D("0.35"), charged=D("0.50"), bundled=3, bundled_parts=3,
          bundled_charged=D("0.15"), dearer=1),
    group("WW", "FR", 2, unestimated=2, unpriced=2),
    BillGroup(route="IT", country="IT", state=RowState.REFUSED, rows=4, parts=4, estimated=D("0.2")),
]  # fmt: skip


@pytest.fixture
def bill() -> CampaignBill:
    return add_up(
        GROUPS,
        currency="EUR",
        planned=(D("0.60"), 2),
        bundle_parts={"IT": 5},
        dry_runs={"IT": Foretold(rows=10, cost=D("0.50"))},
    )


def test_scripts_get_known_money_and_null_for_what_nobody_knows(bill: CampaignBill) -> None:
    values = bill_values(bill)
    assert values["planned"] == {"cost": D("0.6"), "unpriced_rows": 2}
    assert values["dry_run"] == {"messages": 10, "cost": D("0.5")}
    assert values["sent"] == {
        "messages": 12, "parts": 12, "estimated": D("0.35"), "not_estimated": 2, "charged": D("0.5"), "unpriced": 2
    }  # fmt: skip
    assert values["wallet"] == {"estimated": D("0.35"), "charged": D("0.35")}
    assert values["bundles"] == {
        "IT": {"planned_parts": 5, "messages": 3, "parts": 3, "list_price": D("0.15")}
    }
    france = values["lines"][1]
    assert (france["country"], france["estimated"], france["charged"]) == ("FR", None, None)
    assert values["differences"] == {"dearer": 1, "cheaper": 0, "recounted": 0}


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_read_it_in_their_language(
    bill: CampaignBill, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    show_bill(Output(as_json=False, wording=Wording(language)), bill)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 6
    amount = "0.50 EUR" if language == "en" else "0,50 EUR"
    assert all(amount in shown[line] for line in (0, 1, 2))
    assert "WW FR" in shown[3]
    assert "5" in shown[4]
    assert not any(line.endswith(" ") for line in shown)


def test_nothing_is_said_before_the_first_message(capsys: pytest.CaptureFixture[str]) -> None:
    bill = add_up(GROUPS[2:], currency="EUR", planned=(D(1), 0), bundle_parts={}, dry_runs={})
    show_bill(Output(as_json=False, wording=Wording("en")), bill)
    assert capsys.readouterr().out == ""
