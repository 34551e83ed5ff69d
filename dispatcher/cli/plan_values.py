"""A plan as one object for scripts: what ``check --json`` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dispatcher.campaign.costly import Saved
from dispatcher.campaign.plan import Planner
from dispatcher.campaign.prices import Bill
from dispatcher.campaign.reasons import PlanStatus, Repair
from dispatcher.campaign.summary import PlanSummary
from dispatcher.cli.output import known
from dispatcher.intake.credit import shortfall_of
from dispatcher.wording import Wording


def plan_values(planner: Planner, bill: Bill) -> dict[str, Any]:
    """The plan.  ``counts`` add up to ``rows``; ``problems`` are the first thousand."""
    summary = planner.summary
    return {
        "file": planner.sheet.path.name,
        "sheet": planner.sheet.name,
        "rows": summary.rows,
        "counts": {str(status): n for status, n in summary.counts.items() if n},
        "reasons": {str(reason): n for reason, n in summary.reasons.items()},
        "earlier_report": {str(claim): n for claim, n in summary.claims.items()},
        "parts": summary.parts,
        "routes": route_values(bill),
        "countries": dict(summary.countries.most_common()),
        "encodings": {str(encoding): n for encoding, n in summary.encodings.items()},
        "estimated_cost": known(bill.estimated_cost, bill.unpriced_rows),
        "unpriced_rows": bill.unpriced_rows,
        "currency": bill.currency,
        **_funds_values(bill),
        "learnt_prices": [
            {"route": route, "country": country, **asdict(learnt)}
            for (route, country), learnt in bill.learnt.items()
        ],
        "savings": savings_values(planner),
        "substitutions": [asdict(made) for made in summary.substitutions.values()],
        "problems": _problem_values(summary),
        "repairs": {repair_name(repair): n for repair, n in summary.repairs.items()},
        "repair_examples": {
            repair_name(repair): [asdict(example) for example in examples]
            for repair, examples in summary.repair_examples.items()
        },
        "columns": _column_values(planner),
        "fields": list(planner.template.fields) if planner.template else [],
        "first_message": None if summary.first is None else asdict(summary.first),
    }


def route_values(bill: Bill) -> dict[str, dict[str, Any]]:
    """Rows, parts, parts out of the bundle and cost of every route that has rows."""
    return {
        name: {
            "rows": route.rows,
            "parts": route.parts,
            "bundle_parts": route.bundle_parts,
            "cost": known(route.cost, route.unpriced_rows),
            "unpriced_rows": route.unpriced_rows,
        }
        for name, route in bill.routes.items()
    }


def savings_values(planner: Planner) -> dict[str, Any]:
    """What ``--gsm7`` would save: in all, for each character, for each column and for the template's own text."""
    found = planner.savings()
    return {
        **_saved_values(found.total),
        "characters": {
            character: {"rows": saved.rows, "parts": saved.parts, "substitute": saved.substitute}
            for character, saved in found.characters.characters.items()
        },
        "columns": {
            heading: {**_saved_values(saved), "characters": dict(saved.characters.most_common())}
            for heading, saved in found.columns.items()
        },
        "template": None
        if found.template is None
        else {**_saved_values(found.template), "characters": dict(found.template.characters.most_common())},
    }


def repair_name(repair: Repair) -> str:
    """The repair's name in JSON and in the catalogue."""
    return (repair.name or "").lower()


def is_clean(planner: Planner) -> bool:
    """True when no row is invalid, too late or capped."""
    counts = planner.summary.counts
    return not any(counts[status] for status in (PlanStatus.INVALID, PlanStatus.TOO_LATE, PlanStatus.CAPPED))


def _saved_values(saved: Saved) -> dict[str, Any]:
    return {
        "rows": saved.rows,
        "parts": saved.parts,
        "cost": known(saved.cost, saved.unpriced_parts),
        "unpriced_parts": saved.unpriced_parts,
    }


def _funds_values(bill: Bill) -> dict[str, Any]:
    lacking = shortfall_of(bill)
    return {
        "ceiling_cost": bill.ceiling_cost,
        "bundle_ends_at_row": dict(bill.bundle_ends_at_row),
        "wallet_from_row": bill.wallet_from_row,
        "wallet_short": bill.wallet_short,
        "wallet_empty_at_row": bill.wallet_empty_at_row,
        "ww_minimum_credit": bill.ww_minimum_credit,
        "required_credit": bill.required_credit,
        "missing_credit": None if lacking is None else lacking.missing,
    }


def _problem_values(summary: PlanSummary) -> list[dict[str, Any]]:
    english = Wording("en")
    return [
        {
            "row": problem.row,
            "column": problem.column,
            "code": str(problem.reason),
            "found": problem.found,
            "message": english.reason(problem.reason),
        }
        for problem in summary.problems
    ]


def _column_values(planner: Planner) -> dict[str, dict[str, str]]:
    columns = planner.columns
    chosen = {"phone": columns.phone, "message": columns.message, "sender": columns.sender}
    return {
        role: {"heading": column.heading, "how": str(column.how)} for role, column in chosen.items() if column
    }
