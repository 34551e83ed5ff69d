"""How a plan is shown to people before anybody is asked anything."""

from __future__ import annotations

from decimal import Decimal

from dispatcher.campaign.costly import Saved
from dispatcher.campaign.earlier_report import Claim
from dispatcher.campaign.plan import Planner
from dispatcher.campaign.prices import Bill
from dispatcher.campaign.reasons import PlanStatus, Reason, Repair
from dispatcher.campaign.summary import PlanSummary
from dispatcher.cli.output import Output, known
from dispatcher.cli.plan_values import repair_name
from dispatcher.intake.credit import Shortfall, shortfall_of
from dispatcher.wording import Wording

_SHOWN_PROBLEMS = 20
_SHOWN_CHARACTERS = 5


def show_plan(output: Output, planner: Planner, bill: Bill) -> None:
    """Print the plan: what was read, what goes out, what does not and why, what it costs."""
    _show_source(output, planner)
    _show_counts(output, planner)
    _show_problems(output, planner)
    _show_repairs(output, planner)
    _show_substitutions(output, planner)
    _show_routes(output, bill)
    _show_money(output, bill)
    _show_savings(output, planner, bill)


def show_first_text(output: Output, planner: Planner) -> None:
    """The first message that would go out, in full."""
    first = planner.summary.first
    if first is not None:
        parts = output.wording.count("plan.parts", first.parts)
        output.say()
        output.tell("plan.first_text", row=first.row, recipient=first.recipient, parts=parts)
        output.say(f"  {_visible_lines(first.text)}")


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
    if not columns.sender:
        sender = planner.options.sender
        output.say(words("plan.no_sender") if not sender else words("plan.one_sender", sender=sender))


def _show_counts(output: Output, planner: Planner) -> None:
    counts, words = planner.summary.counts, output.wording
    output.say()
    output.say(words.count("plan.to_send", counts[PlanStatus.READY]))
    for status in PlanStatus:
        n = counts[status]
        if status is PlanStatus.ALREADY_SENT:
            n -= planner.summary.reasons[Reason.SENT_IN_REPORT]
        if status is not PlanStatus.READY and n:
            output.say(words.count(f"plan.{status}", n))
    _show_claims(output, planner.summary)


def _show_claims(output: Output, summary: PlanSummary) -> None:
    """What the file's own earlier report was believed, and what not: that must be seen before anybody says yes."""
    words, claims = output.wording, summary.claims
    if claims[Claim.PROVED]:
        output.say(words.count("plan.sent_in_report", claims[Claim.PROVED]))
    if claims[Claim.OTHER_NUMBER]:
        output.say(words.count("plan.claims_other_number", claims[Claim.OTHER_NUMBER]))
    for claim in (Claim.OTHER_GATEWAY, Claim.UNKNOWN):
        if claims[claim]:
            output.warn(words.count(f"plan.claims_{claim}", claims[claim]))


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
        output.say("  " + words.count("plan.further_problems", more))


def _show_repairs(output: Output, planner: Planner) -> None:
    summary, words = planner.summary, output.wording
    # a national number is read as its country's: that is the default region at work, no repair
    repairs = {repair: n for repair, n in summary.repairs.items() if repair is not Repair.COUNTRY_ADDED}
    if repairs:
        output.say()
        output.tell("plan.repairs")
    for repair, n in repairs.items():
        _show_repair(output, summary, repair, n)
    if summary.repairs[Repair.COUNTRY_ADDED]:
        national = words.count("plan.national", summary.repairs[Repair.COUNTRY_ADDED])
        output.tell("plan.read_as", national=national, region=planner.options.default_region)


def _show_repair(output: Output, summary: PlanSummary, repair: Repair, n: int) -> None:
    words, example = output.wording, summary.repair_examples[repair][0]
    output.tell(
        "plan.repair",
        n=words.number(n),
        what=words(f"repairs.{repair_name(repair)}"),
        row=example.row,
        before=_visible(example.before),
        after=example.after,
    )


def _show_substitutions(output: Output, planner: Planner) -> None:
    words, made = output.wording, list(planner.summary.substitutions.values())
    if not made:
        return
    output.say()
    output.tell("plan.substitutions")
    for one in sorted(made, key=lambda one: -one.times):
        output.tell(
            "plan.substitution_made",
            n=words.number(one.times),
            before=_visible(one.character),
            after=_visible(one.replacement) or words("plan.nothing"),
            row=one.example_row,
        )
    first = min(made, key=lambda one: one.example_row)
    output.tell("plan.substituted_text", row=first.example_row, before=_visible(first.before))
    output.say(f"    → {_visible(first.after)}")


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
            money_or_unknown(words, known(route.cost, route.unpriced_rows), bill.currency),
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
    cost = known(bill.estimated_cost, bill.unpriced_rows)
    output.tell("plan.cost", cost=money_or_unknown(words, cost, bill.currency))
    if bill.unpriced_rows:
        output.say(words.count("plan.unpriced", bill.unpriced_rows))
    for (route, country), learnt in bill.learnt.items():
        output.tell(
            "bill.learnt" if learnt.low < learnt.high else "bill.learnt_one",
            place=f"{route} {country}",
            messages=words.count("bill.messages", learnt.messages),
            low=words.money(learnt.low, bill.currency),
            high=words.money(learnt.high, bill.currency),
            median=words.money(learnt.median, bill.currency),
        )
    for route, row in bill.bundle_ends_at_row.items():
        output.tell("plan.bundle_ends", route=route, row=row)
    if bill.wallet_from_row is not None and any(route.bundle_parts for route in bill.routes.values()):
        output.tell("plan.wallet_from_row", row=bill.wallet_from_row)
    if bill.wallet_empty_at_row is not None:
        output.tell("plan.wallet_empty", row=bill.wallet_empty_at_row)
    if lacking := shortfall_of(bill):
        output.tell("plan.credit_short", **shortfall_amounts(words, lacking, bill.currency))
    if bill.ww_minimum_credit:
        output.tell("plan.ww_minimum", credit=words.money(bill.ww_minimum_credit, bill.currency))


def _show_savings(output: Output, planner: Planner, bill: Bill) -> None:
    found, words = planner.savings(), output.wording
    if not found.characters.parts:
        return
    output.tell(
        "plan.savings",
        parts=words.count("plan.parts", found.characters.parts),
        rows=words.count("plan.rows", found.characters.rows),
    )
    dearest = sorted(found.characters.characters.items(), key=lambda entry: -entry[1].parts)
    for character, saved in dearest[:_SHOWN_CHARACTERS]:
        if saved.parts:
            output.tell(
                "plan.saving_character",
                character=_visible(character),
                rows=words.count("plan.rows", saved.rows),
                parts=words.count("plan.parts", saved.parts),
            )
    for heading, of_column in found.columns.items():
        if of_column.parts:
            _show_saved(output, "plan.saving_column", of_column, bill.currency, heading=heading)
    if found.template is not None and found.template.parts:
        _show_saved(output, "plan.saving_template", found.template, bill.currency)


def _show_saved(output: Output, name: str, saved: Saved, currency: str, **values: str) -> None:
    words = output.wording
    common = [character for character, _ in saved.characters.most_common(_SHOWN_CHARACTERS)]
    output.tell(
        name,
        cost=money_or_unknown(words, known(saved.cost, saved.unpriced_parts), currency),
        parts=words.count("plan.parts", saved.parts),
        rows=words.count("plan.rows", saved.rows),
        characters=" ".join(map(_visible, common)),
        **values,
    )


def shortfall_amounts(words: Wording, lacking: Shortfall, currency: str) -> dict[str, str]:
    """What is needed, there and missing, as a sentence names them."""
    amounts = {"needed": lacking.needed, "wallet": lacking.wallet, "missing": lacking.missing}
    return {name: words.money(amount, currency) for name, amount in amounts.items()}


def money_or_unknown(words: Wording, amount: Decimal | None, currency: str) -> str:
    """An amount, or the words for not knowing it."""
    return words("plan.unknown_cost") if amount is None else words.money(amount, currency)


def _short(text: str, limit: int = 60) -> str:
    line = _visible(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _visible(text: str) -> str:
    """The text with characters nobody can see written as their code, so that a repair can be understood."""
    return "".join(c if c.isprintable() else f"[U+{ord(c):04X}]" for c in text)


def _visible_lines(text: str) -> str:
    """Several lines, each set in."""
    return "\n  ".join(map(_visible, text.split("\n")))
