"""What a person is told around the preflight: the covering set, the list of forbidden words, who just got a text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dispatcher.cli.output import Output
from dispatcher.wording import Wording

if TYPE_CHECKING:  # `check` shows the list of words too, and needs no gateway
    from zoneinfo import ZoneInfo

    from dispatcher.intake.house import OtherTexts
    from dispatcher.sending.preflight import PreflightResult

_SHOWN = 5


def show_covering(output: Output, result: PreflightResult) -> None:
    """That not every text is checked, how they were chosen, and what that leaves unseen."""
    words = output.wording
    output.tell(
        "preflight.covering",
        chosen=words.number(result.to_screen + result.remembered),
        texts=words.count("run.texts", result.texts),
    )
    if result.folded:
        output.tell("preflight.folded", what=_folded(words, result))
    output.tell("preflight.limits")


def show_unseen(output: Output, result: PreflightResult) -> None:
    """After a forbidden text in a covering set: others may hold the same words."""
    output.tell("preflight.unseen", texts=output.wording.count("run.texts", result.texts))


def show_listed(output: Output, rows: Mapping[str, int]) -> None:
    """How many rows each entry of the operator's list keeps back."""
    words = output.wording
    output.say(words.count("preflight.listed", sum(rows.values())))
    most = sorted(rows.items(), key=lambda item: (-item[1], item[0]))
    for entry, n in most[:_SHOWN]:
        output.tell("preflight.listed_entry", entry=entry, rows=words.count("plan.rows", n))
    if len(most) > _SHOWN:
        output.say(words.count("preflight.listed_more", len(most) - _SHOWN))


def other_texts_line(words: Wording, found: OtherTexts, zone: ZoneInfo) -> str:
    """Who already got another text lately."""
    started = found.campaign.started_at or found.campaign.created_at
    return words(
        "preflight.other_texts",
        people=words.number(found.people),
        out_of=words.number(found.out_of),
        day=f"{started.astimezone(zone):%Y-%m-%d}",
        campaign=found.campaign.id,
        file=found.campaign.file_name,
    )


def other_texts_values(found: OtherTexts | None) -> dict[str, Any] | None:
    """The same for scripts."""
    return None if found is None else {"campaign": found.campaign.id, "people": found.people}


def _folded(words: Wording, result: PreflightResult) -> str:
    """What was compared by its shape, as ``numbers in Date, Time; links in Link``."""
    places: dict[str, list[str]] = defaultdict(list)
    for each in result.folded:
        places[words(f"folded.{each.kind}")].append(each.field or words("folded.texts"))
    return "; ".join(
        words("folded.place", kind=kind, fields=", ".join(fields)) for kind, fields in places.items()
    )
