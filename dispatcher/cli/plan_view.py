"""How a plan is shown: to people before anybody is asked anything, and to scripts as one object."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dispatcher.campaign.plan import Planner
from dispatcher.campaign.prices import Bill
from dispatcher.campaign.reasons import PlanStatus, Repair
from dispatcher.cli.output import Output
from dispatcher.wording import Wording

_SHOWN_PROBLEMS = 20


def plan_values(planner: Planner, bill: Bill) -> dict[str, Any]:
    """The plan as ``check --json`` prints it."""
    summary = planner.summary
    columns = planner.columns
    english = Wording("en")
    return {
        "file": planner.sheet.path.name,
        "sheet": planner.sheet.name,
        "rows": summary.rows,
        "counts": {str(status): n for status, n in summary.counts.items() if n},
        "reasons": {str(reason): n for reason, n in summary.reasons.items()},
        "parts": summary.parts,
        "routes": route_values(bill),
        "countries": dict(summary.countries.most_common()),
        "encodings": {str(encoding): n for encoding, n in summary.encodings.items()},
        "estimated_cost": bill.estimated_cost,
        "unpriced_rows": bill.unpriced_rows,
        "currency": bill.currency,
        "savings": savings_values(planner),
        "problems": [
            {
                "row": problem.row,
                "column": problem.column,
                "code": str(problem.reason),
                "found": problem.found,
                "message": english.reason(problem.reason),
            }
            for problem in summary.problems
        ],
        "repairs": {_repair_name(repair): n for repair, n in summary.repairs.items()},
        "columns": {
            name: {"heading": chosen.heading, "how": str(chosen.how)}
            for name, chosen in (
                ("phone", columns.phone),
                ("message", columns.message),
                ("sender", columns.sender),
            )
            if chosen
        },
    }


def route_values(bill: Bill) -> dict[str, dict[str, Any]]:
    """Rows, parts, parts out of the bundle and cost of every route that has rows."""
    return {
        name: {
            "rows": route.rows,
            "parts": route.parts,
            "bundle_parts": route.bundle_parts,
            "cost": route.cost,
        }
        for name, route in bill.routes.items()
    }


def savings_values(planner: Planner) -> dict[str, Any]:
    """What ``--gsm7`` would save: parts and rows, and the same for each character."""
    savings = planner.summary.savings
    return {
        "parts": savings.parts,
        "rows": savings.rows,
        "characters": {
            character: {"rows": saved.rows, "parts": saved.parts}
            for character, saved in savings.characters.items()
        },
    }


def show_plan(output: Output, planner: Planner, bill: Bill) -> None:
    """Print the plan: what was read, what goes out, what does not and why, what it costs."""
    _show_source(output, planner)
    _show_counts(output, planner)
    _show_problems(output, planner)
    _show_repairs(output, planner)
    _show_routes(output, bill)
    _show_money(output, bill)
    _show_savings(output, planner)


def _show_source(output: Output, planner: Planner) -> None:
    sheet, columns, words = planner.sheet, planner.columns, output.wording
    place = f"{sheet.path.name}, {sheet.name}" if sheet.name else sheet.path.name
    output.tell("plan.source", place=place, rows=words.count("plan.rows", planner.summary.rows))
    if sheet.other_sheets:
        output.tell("plan.other_sheets", names=", ".join(sheet.other_sheets))
    for name, chosen in (("phone", columns.phone), ("message", columns.message), ("sender", columns.sender)):
        if chosen and not (name == "message" and planner.template):
            example = planner.summary.column_examples.get(chosen.heading, "")
            output.tell(
                f"plan.column_{name}",
                heading=chosen.heading,
                how=words(f"plan.how_{chosen.how}"),
                example=_short(example),
            )
    if planner.template:
        for field in planner.template.fields:
            output.tell(
                "plan.field", heading=field, example=_short(planner.summary.column_examples.get(field, ""))
            )


def _show_counts(output: Output, planner: Planner) -> None:
    counts, words = planner.summary.counts, output.wording
    output.say()
    output.say(words.count("plan.to_send", counts[PlanStatus.READY]))
    for status in PlanStatus:
        if status is not PlanStatus.READY and counts[status]:
            output.say(words.count(f"plan.{status}", counts[status]))


def _show_problems(output: Output, planner: Planner) -> None:
    summary, words = planner.summary, output.wording
    if not summary.problems:
        return
    output.say()
    output.tell("plan.problems")
    for problem in summary.problems[:_SHOWN_PROBLEMS]:
        where = words("plan.problem_row", row=problem.row) + (f", {problem.column}" if problem.column else "")
        found = f" ({_short(problem.found)})" if problem.found else ""
        output.say(f"  {where}: {words.reason(problem.reason)}{found}")
    more = summary.counts[PlanStatus.INVALID] - _SHOWN_PROBLEMS
    if more > 0:
        output.say("  " + words.count("plan.more_problems", more))


def _show_repairs(output: Output, planner: Planner) -> None:
    summary, words = planner.summary, output.wording
    # a national number is read as its country's: that is the default region at work, no repair
    repairs = {repair: n for repair, n in summary.repairs.items() if repair is not Repair.COUNTRY_ADDED}
    if repairs:
        output.say()
        output.tell("plan.repairs")
        for repair, n in repairs.items():
            example = summary.repair_examples[repair][0]
            output.tell(
                "plan.repair",
                n=words.number(n),
                what=words(f"repairs.{_repair_name(repair)}"),
                row=example.row,
                before=_visible(example.before),
                after=example.after,
            )
    for (character, replacement), n in summary.substitutions.most_common():
        output.tell("plan.substitution", n=words.number(n), before=_visible(character), after=replacement)


def _show_routes(output: Output, bill: Bill) -> None:
    if not bill.routes:
        return
    words = output.wording
    output.say()
    heads = [words(f"plan.head_{name}") for name in ("route", "people", "parts", "bundle", "cost")]
    lines = [heads] + [
        [
            name,
            words.number(route.rows),
            words.number(route.parts),
            words.number(route.bundle_parts),
            words.money(route.cost, bill.currency),
        ]
        for name, route in bill.routes.items()
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    for line in lines:
        cells = [line[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)
        ]
        output.say("  " + "  ".join(cells))


def _show_money(output: Output, bill: Bill) -> None:
    words = output.wording
    output.tell("plan.cost", cost=words.money(bill.estimated_cost, bill.currency))
    if bill.unpriced_rows:
        output.say(words.count("plan.unpriced", bill.unpriced_rows))
    for route, row in bill.bundle_ends_at_row.items():
        output.tell("plan.bundle_ends", route=route, row=row)
    if bill.wallet_from_row is not None and any(route.bundle_parts for route in bill.routes.values()):
        output.tell("plan.wallet_from_row", row=bill.wallet_from_row)
    if bill.wallet_empty_at_row is not None:
        output.tell("plan.wallet_empty", row=bill.wallet_empty_at_row)
    if bill.ww_minimum_credit:
        output.tell("plan.ww_minimum", credit=words.money(bill.ww_minimum_credit, bill.currency))


def _show_savings(output: Output, planner: Planner) -> None:
    savings, words = planner.summary.savings, output.wording
    if not savings.parts:
        return
    output.tell(
        "plan.savings",
        parts=words.count("plan.parts", savings.parts),
        rows=words.count("plan.rows", savings.rows),
    )
    dearest = sorted(savings.characters.items(), key=lambda entry: -entry[1].parts)[:5]
    for character, saved in dearest:
        output.tell(
            "plan.saving_character",
            character=_visible(character),
            rows=words.count("plan.rows", saved.rows),
            parts=words.count("plan.parts", saved.parts),
        )


def first_message(planner: Planner) -> Mapping[str, Any] | None:
    """The first message that would go out, for the question before sending."""
    first = planner.summary.first
    return None if first is None else vars(first)


def money_or_unknown(words: Wording, amount: Decimal | None, currency: str) -> str:
    """An amount, or the words for not knowing it."""
    return words("plan.unknown_cost") if amount is None else words.money(amount, currency)


def _repair_name(repair: Repair) -> str:
    return (repair.name or "").lower()


def _short(text: str, limit: int = 60) -> str:
    line = _visible(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _visible(text: str) -> str:
    """The text with characters nobody can see written as their code, so that a repair can be understood."""
    return "".join(c if c.isprintable() else f"[U+{ord(c):04X}]" for c in text)


def is_clean(planner: Planner) -> bool:
    """True when no row is invalid."""
    return not planner.summary.counts[PlanStatus.INVALID]
