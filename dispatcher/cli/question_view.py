"""What a person is asked before anything is sent."""

from __future__ import annotations

from dispatcher.cli.output import Output
from dispatcher.intake.house import Question


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
    known = (
        words.money(question.cost, question.currency)
        if question.cost is not None
        else words("run.unknown_price")
    )
    if question.unpriced_rows and question.cost is not None:
        known += " " + words.count("plan.unpriced", question.unpriced_rows)
    if question.dearest is not None:
        output.tell("run.dearer", cost=words.money(question.dearest, question.currency))
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
        cost=known,
        cap=cap,
    )
