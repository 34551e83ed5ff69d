"""What became of the rows that went first, for people."""

from __future__ import annotations

from decimal import Decimal

from dispatcher.cli.output import Output
from dispatcher.ledger import ENCODING_NAMES
from dispatcher.sending.canary import Difference, Judgement
from dispatcher.wording import Wording

_SHOWN_ROWS = 5


def show_judgement(output: Output, judgement: Judgement) -> None:
    """How many arrived, what differs row by row, and whether the rest goes."""
    words = output.wording
    output.tell(
        "canary.result",
        accepted=words.number(judgement.accepted),
        delivered=words.number(judgement.delivered),
        final=words.number(judgement.final),
    )
    for difference in judgement.differences[:_SHOWN_ROWS]:
        output.tell(f"canary.{difference.what}", row=difference.row, **_values(words, difference))
    if len(judgement.differences) > _SHOWN_ROWS:
        output.say(words.count("canary.further", len(judgement.differences) - _SHOWN_ROWS))
    if not judgement.stops:
        output.tell("canary.passed")


def _values(words: Wording, difference: Difference) -> dict[str, str]:
    return {
        name: _shown(words, difference.what, value)
        for name, value in (("planned", difference.planned), ("found", difference.found))
    }


def _shown(words: Wording, what: str, value: Decimal | int | None) -> str:
    if what == "encoding":
        return ENCODING_NAMES.get(int(value or 0), "?")
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return words.number(value or 0)
