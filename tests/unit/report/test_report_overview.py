"""The summary and the bill of a campaign, from a real ledger."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dispatcher.ledger import DeliveryReport, Ledger, RowState
from dispatcher.ledger.forecasts import Foretold
from dispatcher.report.fates import COLOURS, FATES, Fate
from dispatcher.report.sheets.model import ExtraSheet
from dispatcher.report.sheets.overview import MOST_COUNTRIES, overview_sheets
from dispatcher.wording import LANGUAGES, Wording
from tests.unit.loaded import START, have_accepted, load_campaign, loadable_row

D = Decimal
CHARGES = {2: D("0.05"), 3: D("0.061"), 4: D("0.05"), 5: D("0.05"), 6: None}


@pytest.fixture
def campaign(ledger: Ledger) -> int:
    """Rows 2 to 6 are sent: 3 is dearer than planned, 5 was to be paid by a bundle, 6 has no price yet."""
    rows = [loadable_row(n, estimated_cost=0 if n == 5 else 50_000) for n in range(2, 6)]
    rows += [
        loadable_row(6, route="WW", country="FR", estimated_cost=None),
        loadable_row(7, RowState.INVALID, recipient=None, country=None, route=None, estimated_cost=None),
    ]
    number = load_campaign(ledger, 1, rows, START)
    have_accepted(ledger, number, CHARGES)
    ends = {"m2": RowState.DELIVERED, "m3": RowState.EXPIRED}
    reports = [DeliveryReport(message_id=name, seen_at=START, state=state) for name, state in ends.items()]
    ledger.deliveries.record("sandbox", reports, START)
    ledger.forecasts.tell_bundles(number, {"IT": 1}, START)
    ledger.forecasts.tell_dry_runs(number, {"IT": Foretold(rows=4, cost=D("0.20"))}, START)
    return number


def cells(sheet: ExtraSheet) -> list[list[object]]:
    return [list(line.cells) for line in sheet.lines()]


def made(ledger: Ledger, campaign: int, language: str = "en") -> list[ExtraSheet]:
    return overview_sheets(ledger, ledger.queries.campaign(campaign), Wording(language))


def test_the_summary_counts_every_row_once_and_its_charts_show_the_table(
    ledger: Ledger, campaign: int
) -> None:
    summary, _ = made(ledger, campaign)
    lines = cells(summary)
    outcomes, costs = summary.charts
    assert lines[0][0] == "sms_summary"
    table = {str(line[0]): line for line in lines[outcomes.first - 1 :][:3]}
    assert lines[outcomes.heading - 1][:2] == ["Country", "Rows"]
    assert table["IT"][1:] == [4, 1, 2, 1, 0, D("0.15"), D("0.211"), 0]
    assert table["FR"][1:] == [1, 0, 1, 0, 0, None, None, 1]
    assert table["unknown"][1:] == [1, 0, 0, 0, 1, None, None, 0]
    for chart in (outcomes, costs):
        for series in chart.series:
            shown = [lines[chart.first - 1 + n][series.column - 1] for n in range(len(chart.categories))]
            assert shown == list(series.values)
            assert lines[chart.heading - 1][series.column - 1] == series.name
    assert sum(sum(series.values) for series in outcomes.series) == 6  # type: ignore[arg-type]


def test_the_bill_compares_like_with_like_and_lists_what_differs(ledger: Ledger, campaign: int) -> None:
    _, bill = made(ledger, campaign)
    lines = cells(bill)
    said = {str(line[0]): line[1] for line in lines if len(line) > 1}
    assert said["Named by the dry runs, bundles aside"] == D("0.2")
    assert said["Estimate for what was sent"] == D("0.15")
    assert said["Charged for what was sent"] == D("0.211")
    assert said["Messages whose price is not known yet"] == 1
    assert said["Charged for messages outside bundles"] == D("0.161")
    assert said["Named for messages of a bundle"] == D("0.05")
    assert said["Parts out of the IT bundle, by the plan"] == 1
    assert ["IT", "IT", 4, 4, D("0.15"), D("0.211"), 0, 1] in lines
    assert ["WW", "FR", 1, 1, None, None, 1, 0] in lines
    assert lines[-2:] == [
        [3, "costs more", "IT", "IT", 1, None, "GSM-7", None, D("0.05"), D("0.061"), D("0.011")],
        [5, "of a bundle: list price named", "IT", "IT", 1, None, "GSM-7", None, 0, D("0.05"), D("0.05")],
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_in_every_language(ledger: Ledger, campaign: int, language: str) -> None:
    for sheet in made(ledger, campaign, language):
        assert all(cell != "" for line in cells(sheet) for cell in line)
        assert not any("{" in str(cell) for line in cells(sheet) for cell in line)


def test_charts_show_what_they_have_room_for(ledger: Ledger) -> None:
    countries = [a + b for a in "ABCDE" for b in "FGHI"]
    rows = [loadable_row(n, route="WW", country=country) for n, country in enumerate(countries, 2)]
    summary, _ = made(ledger, load_campaign(ledger, 1, rows, START))
    assert all(len(chart.categories) == MOST_COUNTRIES for chart in summary.charts)
    assert {line[0] for line in cells(summary) if line} >= set(countries)


def test_every_state_has_one_fate() -> None:
    assert sorted(state for states in FATES.values() for state in states) == sorted(RowState)
    assert FATES.keys() == COLOURS.keys() == set(Fate)
