"""The two sheets of a campaign: a summary with charts, and the bill with every row that differs from the plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from dispatcher.campaign.sheet.ours import BILL, SHEET_NAMES, SUMMARY
from dispatcher.ledger import ENCODING_NAMES, CampaignView, Ledger
from dispatcher.ledger.bills import Difference
from dispatcher.report.bill import BillLine, CampaignBill, bill_of
from dispatcher.report.fates import (
    CHARGED_COLOUR,
    COLOURS,
    ESTIMATED_COLOUR,
    CountryFates,
    Fate,
    by_country,
    by_state,
    fates_seen,
)
from dispatcher.report.rows import CellValue, brief
from dispatcher.report.sheets.model import Chart, ExtraSheet, Line, Series
from dispatcher.wording import Wording

MOST_COUNTRIES = 15  # that a chart can show; the table has them all
_CHART_ROWS = 18
_MONEY_FORMAT = "#,##0.00##"


def overview_sheets(ledger: Ledger, campaign: CampaignView, words: Wording) -> list[ExtraSheet]:
    """The summary and the bill of the campaign as its rows are now."""
    bill = bill_of(ledger, campaign)
    return [_summary(campaign, bill, words), _bill(ledger, campaign, bill, words)]


def _summary(campaign: CampaignView, bill: CampaignBill, words: Wording) -> ExtraSheet:
    countries = by_country(bill.groups)
    fates = fates_seen(countries)
    head: list[Line] = [
        Line((SUMMARY, words("sheets.title", campaign=campaign.id, file=campaign.file_name))),
        Line((words("sheets.state"), words(f"campaign_states.{campaign.state.code}"))),
        Line((words("sheets.gateway"), campaign.gateway)),
        Line((words("sheets.rows"), campaign.rows)),
        Line(),
    ]
    heading = len(head) + _CHART_ROWS + 2
    room = [Line()] * (heading - 1 - len(head))
    lines = [*head, *room, *_country_table(countries, fates, bill.currency, words), Line()]
    lines += [Line((words("sheets.state"), words("sheets.rows")), heading=True)]
    lines += [Line((words(f"states.{state.code}"), n)) for state, n in by_state(bill.groups).items()]
    charts = _charts(countries[:MOST_COUNTRIES], fates, heading, bill.currency, words)
    return ExtraSheet(
        mark=SUMMARY,
        name=SHEET_NAMES[SUMMARY][words.language],
        widths=(20, *[16] * (len(fates) + 5)),
        lines=lambda: iter(lines),
        charts=charts if countries else (),
    )


def _country_table(
    countries: Sequence[CountryFates], fates: Sequence[Fate], currency: str, words: Wording
) -> Iterator[Line]:
    titles = [words("sheets.country"), words("sheets.rows"), *(words(f"fates.{fate}") for fate in fates)]
    titles += [words(f"sheets.{name}", currency=currency) for name in ("estimated", "charged")]
    yield Line([*titles, words("sheets.unpriced")], heading=True)
    for each in countries:
        counts = [each.fates.get(fate, 0) for fate in fates]
        money = [brief(each.estimated), brief(each.charged)]
        yield Line([each.country or words("sheets.no_country"), each.rows, *counts, *money, each.unpriced])


def _charts(
    countries: Sequence[CountryFates], fates: Sequence[Fate], heading: int, currency: str, words: Wording
) -> tuple[Chart, Chart]:
    names = [each.country or words("sheets.no_country") for each in countries]
    first_money = 3 + len(fates)

    def chart(title: str, stacked: bool, series: Sequence[Series], number_format: str, left: int) -> Chart:
        return Chart(
            title=title,
            stacked=stacked,
            heading=heading,
            first=heading + 1,
            category_column=1,
            categories=names,
            series=series,
            number_format=number_format,
            at=(left, 5),
            size=(6, _CHART_ROWS),
        )

    outcomes = [
        Series(words(f"fates.{fate}"), 3 + n, [each.fates.get(fate, 0) for each in countries], COLOURS[fate])
        for n, fate in enumerate(fates)
    ]
    costs = [
        Series(
            words("sheets.estimated", currency=currency),
            first_money,
            [brief(each.estimated) for each in countries],
            ESTIMATED_COLOUR,
        ),
        Series(
            words("sheets.charged", currency=currency),
            first_money + 1,
            [brief(each.charged) for each in countries],
            CHARGED_COLOUR,
        ),
    ]
    return (
        chart(words("sheets.outcomes_by_country"), True, outcomes, "#,##0", 0),
        chart(words("sheets.cost_by_country", currency=currency), False, costs, _MONEY_FORMAT, 6),
    )


def _bill(ledger: Ledger, campaign: CampaignView, bill: CampaignBill, words: Wording) -> ExtraSheet:
    def lines() -> Iterator[Line]:
        yield Line((BILL, words("sheets.title", campaign=campaign.id, file=campaign.file_name)))
        yield Line()
        yield from _totals(bill, words)
        yield Line()
        yield from _lines(bill, words)
        yield Line()
        yield from _differences(ledger, campaign.id, bill, words)

    return ExtraSheet(
        mark=BILL,
        name=SHEET_NAMES[BILL][words.language],
        widths=(34, *[14] * 10),
        lines=lines,
    )


def _totals(bill: CampaignBill, words: Wording) -> Iterator[Line]:
    def row(name: str, amount: Decimal | None, note: str = "") -> Line:
        value: CellValue = words("plan.unknown_cost") if amount is None else brief(amount)
        return Line((words(f"sheets.{name}"), value, note or None))

    total, said = bill.total, bill.dry_run
    yield Line((words("sheets.amounts"), bill.currency), heading=True)
    yield row("planned", bill.planned_cost, _rows_without_price(words, bill.planned_unpriced))
    if said is not None:
        yield row("dry_runs", said.cost, words.count("bill.messages", said.rows))
    yield row("sent_estimated", total.estimated, _rows_without_price(words, total.sums.unestimated))
    yield row("sent_charged", total.charged, words.count("bill.messages", total.sums.rows))
    if total.sums.unpriced:
        yield Line((words("sheets.still_unpriced"), total.sums.unpriced))
    if bill.has_bundles:
        yield row("from_wallet", total.from_wallet)
        yield row("bundle_list_price", total.sums.bundled_charged, words("sheets.bundle_note"))
        for route, parts in sorted(bill.bundle_parts.items()):
            yield Line((words("sheets.bundle_parts", route=route), parts))


def _rows_without_price(words: Wording, rows: int) -> str:
    return words.count("sheets.without_price", rows) if rows else ""


def _lines(bill: CampaignBill, words: Wording) -> Iterator[Line]:
    names = ("route", "country", "messages", "parts")
    titles = [words(f"sheets.{name}") for name in names]
    titles += [words(f"sheets.{name}", currency=bill.currency) for name in ("estimated", "charged")]
    yield Line([*titles, words("sheets.unpriced"), words("sheets.bundled")], heading=True)
    for line in (*bill.lines, bill.total):
        yield Line(_line_cells(line, words))


def _line_cells(line: BillLine, words: Wording) -> list[CellValue]:
    place: list[CellValue] = [words("sheets.total"), None]
    if line.route is not None:
        place = [line.route, line.country]
    sums = line.sums
    return [
        *place,
        sums.rows,
        sums.parts,
        brief(line.estimated),
        brief(line.charged),
        sums.unpriced,
        sums.bundled,
    ]


_DIFFERENCE_COLUMNS = (
    *("row", "difference", "route", "country", "parts", "actual_parts", "encoding", "actual_encoding"),
    *("estimated", "charged", "more"),
)


def _differences(ledger: Ledger, campaign_id: int, bill: CampaignBill, words: Wording) -> Iterator[Line]:
    """Rows that cost, or were counted, otherwise than planned; those of a bundle come last."""
    yield Line((words("sheets.differences"),), heading=True)
    found = False
    for bundled, some in ((False, bill.differing), (True, bill.total.sums.bundled)):
        if not some:  # a look at every row
            continue
        for each in ledger.bills.differences(campaign_id, bundled=bundled):
            if not found:
                currency = bill.currency
                titles = [words(f"sheets.{name}", currency=currency) for name in _DIFFERENCE_COLUMNS]
                yield Line(titles, heading=True)
                found = True
            yield Line(_difference_cells(each, words))
    if not found:
        yield Line((words("sheets.no_differences"),))


def _difference_cells(each: Difference, words: Wording) -> list[CellValue]:
    more = None if each.charged is None or each.estimated is None else each.charged - each.estimated
    return [
        each.row,
        words(f"differences.{_kind(each, more)}"),
        each.route,
        each.country,
        each.parts,
        each.actual_parts,
        ENCODING_NAMES.get(each.encoding or 0),
        ENCODING_NAMES.get(each.actual_encoding or 0),
        brief(each.estimated),
        brief(each.charged),
        brief(more),
    ]


def _kind(each: Difference, more: Decimal | None) -> str:
    if each.is_bundled and more:
        return "bundled"
    if not more:
        return "recounted"
    return "dearer" if more > 0 else "cheaper"
