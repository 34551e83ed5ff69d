"""What became of a campaign's messages, for people and for scripts."""

from __future__ import annotations

from typing import Any

from dispatcher.cli.output import Output
from dispatcher.report.funnel import ENDS, Funnel, FunnelLine
from dispatcher.wording import Wording

_SHOWN_LINES = 12


def show_funnel(output: Output, funnel: Funnel) -> None:
    """Nothing before the first message was accepted; a line for each country and route when there are several."""
    words = output.wording
    if not funnel.total.accepted:
        return
    output.tell(
        "delivery.total", accepted=words.number(funnel.total.accepted), ends=_ends(words, funnel.total)
    )
    if len(funnel.lines) < 2:
        return
    largest = sorted(funnel.lines, key=lambda line: -line.accepted)
    for line in largest[:_SHOWN_LINES]:
        place = f"{line.route} {line.country or '?'}"
        output.tell(
            "delivery.line", place=place, accepted=words.number(line.accepted), ends=_ends(words, line)
        )
    if len(largest) > _SHOWN_LINES:
        output.say(words.count("delivery.further_lines", len(largest) - _SHOWN_LINES))


def _ends(words: Wording, line: FunnelLine) -> str:
    """``7 delivered, 1 undeliverable, 2 on the way``: what there is none of is not named."""
    named = [(state.code, line.states.get(state, 0)) for state in ENDS]
    named.append(("on_the_way", line.on_the_way))
    return ", ".join(words(f"delivery_ends.{name}", n=words.number(n)) for name, n in named if n)


def funnel_values(funnel: Funnel) -> dict[str, Any]:
    """The object that ``status ID --json`` and ``report ID --json`` have under ``delivery``."""
    lines = [{"country": line.country, "route": line.route, **_values(line)} for line in funnel.lines]
    return {**_values(funnel.total), "lines": lines}


def _values(line: FunnelLine) -> dict[str, int]:
    ends = {state.code: line.states.get(state, 0) for state in ENDS}
    return {"accepted": line.accepted, **ends, "on_the_way": line.on_the_way}
