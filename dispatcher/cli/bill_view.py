"""The bill of a campaign, in short for people and in full for scripts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from dispatcher.cli.output import Output
from dispatcher.report.bill import BillLine, CampaignBill
from dispatcher.wording import Wording

_SHOWN_LINES = 8


def show_bill(output: Output, bill: CampaignBill) -> None:
    """What was charged beside what was estimated; nothing before the first message went out."""
    words, total = output.wording, bill.total
    if not total.sums.rows:
        return
    output.say(words("bill.charged", **_amounts(words, total, bill.currency)).rstrip())
    if bill.dry_run is not None:
        output.tell(
            "bill.dry_run",
            cost=words.money(bill.dry_run.cost, bill.currency),
            messages=words.count("bill.messages", bill.dry_run.rows),
        )
    if len(bill.lines) > 1:
        dearest = sorted(bill.lines, key=lambda line: -line.sums.rows)
        for line in dearest[:_SHOWN_LINES]:
            place = f"{line.route} {line.country or '?'}"
            output.say(words("bill.line", place=place, **_amounts(words, line, bill.currency)).rstrip())
        if len(dearest) > _SHOWN_LINES:
            output.say(words.count("bill.further_lines", len(dearest) - _SHOWN_LINES))
    _show_bundles(output, bill)
    if bill.differing:
        sums = total.sums
        output.tell(
            "bill.differing",
            dearer=words.number(sums.dearer),
            cheaper=words.number(sums.cheaper),
            recounted=words.number(sums.recounted),
        )


def _show_bundles(output: Output, bill: CampaignBill) -> None:
    words = output.wording
    if not bill.has_bundles:
        return
    for line in bill.routes:
        planned = bill.bundle_parts.get(line.route or "", 0)
        if planned or line.sums.bundled:
            output.tell(
                "bill.bundle",
                route=line.route,
                planned=words.count("plan.parts", planned or line.sums.bundled_parts),
                sent=words.count("bill.messages", line.sums.bundled),
                listed=words.money(line.sums.bundled_charged, bill.currency),
            )


def _amounts(words: Wording, line: BillLine, currency: str) -> dict[str, str]:
    def money(amount: Decimal | None) -> str:
        return words("plan.unknown_cost") if amount is None else words.money(amount, currency)

    return {
        "messages": words.count("bill.messages", line.sums.rows),
        "parts": words.count("plan.parts", line.sums.parts),
        "charged": money(line.charged),
        "estimated": money(line.estimated),
        "unpriced": words.count("bill.unpriced", line.sums.unpriced) if line.sums.unpriced else "",
    }


def bill_values(bill: CampaignBill) -> dict[str, Any]:
    """The bill as ``status ID --json`` and ``report ID --json`` print it under ``bill``; unknown money is null."""
    said = bill.dry_run
    sums = bill.total.sums
    return {
        "planned": {"cost": _brief(bill.planned_cost), "unpriced_rows": bill.planned_unpriced},
        "dry_run": None if said is None else {"messages": said.rows, "cost": _brief(said.cost)},
        "sent": _line_values(bill.total),
        "wallet": {"estimated": _brief(bill.total.estimated), "charged": _brief(bill.total.from_wallet)},
        "bundles": {
            str(line.route): {
                "planned_parts": bill.bundle_parts.get(str(line.route), line.sums.bundled_parts),
                "messages": line.sums.bundled,
                "parts": line.sums.bundled_parts,
                "list_price": _brief(line.sums.bundled_charged),
            }
            for line in bill.routes
            if line.sums.bundled or bill.bundle_parts.get(str(line.route))
        },
        "lines": [
            {"route": line.route, "country": line.country, **_line_values(line)} for line in bill.lines
        ],
        "differences": {"dearer": sums.dearer, "cheaper": sums.cheaper, "recounted": sums.recounted},
    }


def _line_values(line: BillLine) -> dict[str, Any]:
    sums = line.sums
    return {
        "messages": sums.rows,
        "parts": sums.parts,
        "estimated": _brief(line.estimated),
        "not_estimated": sums.unestimated,
        "charged": _brief(line.charged),
        "unpriced": sums.unpriced,
    }


def _brief(amount: Decimal | None) -> Decimal | None:
    """Without the zeros that the ledger's six decimals bring along."""
    return None if amount is None else amount.normalize()
