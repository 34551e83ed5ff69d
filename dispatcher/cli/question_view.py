"""What a person is asked before anything is sent."""

from __future__ import annotations

from dispatcher.campaign.price_book import ENOUGH, UNKNOWN_CEILING
from dispatcher.cli.output import Output
from dispatcher.intake.house import Question
from dispatcher.wording import Wording


def show_question(output: Output, question: Question) -> None:
    """Gateway, sender, first text, people, parts, price and limit."""
    words = output.wording
    output.say()
    output.tell(
        "run.question_from",
        sender=question.sender or words("run.default_sender"),
        row=question.row,
        recipient=question.recipient,
        parts=words.count("plan.parts", question.text_parts),
    )
    for line in question.text.splitlines():
        output.say(f"  | {line}")
    if question.dearest is not None:
        output.tell(
            "run.dearer",
            cost=words.money(question.dearest, question.currency),
            part=words.money(UNKNOWN_CEILING, question.currency),
            enough=ENOUGH,
        )
    cap = (
        words("run.question_cap", cap=words.money(question.max_cost, question.currency))
        if question.max_cost is not None
        else ""
    )
    output.tell(
        "run.question",
        messages=words.count("run.messages", question.messages),
        people=words.count("run.people", question.people),
        parts=words.count("plan.parts", question.parts),
        gateway=question.gateway,
        cost=_price(words, question),
        cap=cap,
    )


def _price(words: Wording, question: Question) -> str:
    """The plan's price; where that leaves rows out, the one that the dry runs named, if they leave out fewer."""
    said, unpriced = question.foretold, question.unpriced_rows
    if said is not None and unpriced > max(0, question.messages - said.rows):
        cost = words("run.price_by_dry_runs", cost=words.money(said.cost, question.currency))
        unpriced = max(0, question.messages - said.rows)
    elif question.cost is not None:
        cost = words.money(question.cost, question.currency)
    else:
        return words("run.unknown_price")
    return f"{cost} {words.count('plan.unpriced', unpriced)}" if unpriced else cost
