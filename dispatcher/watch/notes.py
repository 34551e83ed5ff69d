"""The texts that lie beside a file, for somebody who has never heard of a command line."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from dispatcher.errors import DispatcherError
from dispatcher.intake.house import Question
from dispatcher.ledger import CampaignView
from dispatcher.ledger.states import UNDER_WAY
from dispatcher.sending.stops import Stop
from dispatcher.watch.approval import Asked, Terms, Why
from dispatcher.watch.folder import PLAN, Place, WatchedFolder
from dispatcher.watch.names import plain_name, stem_of
from dispatcher.wording import Wording

_FOR_OPERATORS = ("--", "dispatcher ", "DISPATCHER_")
_PARTS = ("message", "expected", "hint")


def failed_note(wording: Wording, name: str, error: DispatcherError) -> str:
    """Why nothing of the file was sent, and what to do about it."""
    lines = [
        wording("watch.note_failed", file=plain_name(name)),
        "",
        *_explained(wording, name, error),
        "",
        wording("watch.note_again"),
    ]
    return _text(lines)


def settings_note(wording: Wording, error: DispatcherError) -> str:
    """What is wrong with the folder's settings, for whoever wrote them."""
    texts = wording.error(error)
    return _text([wording("watch.note_settings"), "", *(texts[part] or "" for part in _PARTS)])


def waiting_note(
    wording: Wording, name: str, campaign: CampaignView, folder: WatchedFolder, more: Terms | None
) -> str:
    """Why the file was stopped: held, halted, paused; ``more`` is what the rest of it takes where its limit is met."""
    reason = wording(f"stops.{campaign.state_reason}") if campaign.state_reason else ""
    lines = [
        wording("watch.note_waiting", file=plain_name(name), campaign=campaign.id),
        wording("watch.note_reason", reason=reason) if reason else "",
        "",
        wording("watch.note_forbidden") if campaign.state_reason == Stop.PREFLIGHT_FORBIDDEN else "",
        _limit(wording, campaign, more) if more is not None else "",
        *_how_to_go_on(wording, name, campaign.id, folder),
        wording("watch.note_report") if campaign.report_path else "",
    ]
    return _text(lines)


def error_note(
    wording: Wording, name: str, campaign: CampaignView, error: DispatcherError, folder: WatchedFolder
) -> str:
    """Why the file's campaign could not go on."""
    lines = [
        wording("watch.note_waiting", file=plain_name(name), campaign=campaign.id),
        "",
        *_explained(wording, name, error),
        "",
        # what is under way has rows in doubt, of which nobody knows better here
        *([] if campaign.state in UNDER_WAY else _how_to_go_on(wording, name, campaign.id, folder)),
    ]
    return _text(lines)


def _how_to_go_on(wording: Wording, name: str, campaign: int, folder: WatchedFolder) -> list[str]:
    shown = _shown(folder, Place.APPROVED)
    return [
        wording("watch.note_go_on", file=name, folder=shown, campaign=campaign),
        wording("watch.note_reject", folder=_shown(folder, Place.REJECTED), campaign=campaign),
    ]


def _limit(wording: Wording, campaign: CampaignView, more: Terms) -> str:
    limit = campaign.max_cost or Decimal(0)
    return wording.count(
        "watch.note_limit",
        more.messages,
        limit=wording.money(limit, campaign.currency),
        most=wording.money(more.at_most, campaign.currency),
    )


def approval_note(
    wording: Wording, name: str, question: Question, asked: Asked, folder: WatchedFolder
) -> str:
    """The summary of a plan that waits for approval, and how to give it."""

    def money(amount: Decimal) -> str:
        return wording.money(amount, question.currency)

    why = wording(f"watch.why_{asked.why}", cap="" if question.max_cost is None else money(question.max_cost))
    cost = wording("plan.unknown_cost") if question.cost is None else money(question.cost)
    lines = [
        wording("watch.note_approval", file=plain_name(name), campaign=question.campaign),
        why,
        *_changes(wording, asked, money),
        "",
        wording(
            "watch.note_plan",
            messages=wording.count("run.messages", question.messages),
            people=wording.count("run.people", question.people),
            parts=wording.count("plan.parts", question.parts),
            gateway=question.gateway,
        ),
        wording("watch.note_cost", cost=cost, most=money(asked.terms.at_most)),
        wording.count("plan.unpriced", question.unpriced_rows) if question.unpriced_rows else "",
        wording(
            "watch.note_first", row=question.row, sender=question.sender or wording("run.default_sender")
        ),
        *(f"    {line}" for line in question.text.splitlines()),
        wording("watch.note_plan_file", file=f"{stem_of(name)}{PLAN}"),
        "",
        wording(
            "watch.note_approve", file=name, folder=_shown(folder, Place.APPROVED), campaign=question.campaign
        ),
        wording("watch.note_reject", folder=_shown(folder, Place.REJECTED), campaign=question.campaign),
    ]
    return _text(lines)


def _changes(wording: Wording, asked: Asked, money: Callable[[Decimal], str]) -> list[str]:
    if asked.why is not Why.CHANGED or asked.change is None:
        return []
    change, lines = asked.change, []
    if change.new_messages:
        lines.append(wording.count("watch.changed_messages", change.new_messages))
    if change.at_most > change.approved_at_most:
        lines.append(
            wording("watch.changed_cost", before=money(change.approved_at_most), now=money(change.at_most))
        )
    return lines


def _shown(folder: WatchedFolder, place: Place) -> str:
    path: Path = folder[place]
    return place.value if path.parent == folder.root else str(path)


def _explained(wording: Wording, name: str, error: DispatcherError) -> list[str]:
    """The error by the name the person knows; advice for whoever types commands is left to the operator."""
    error.file = plain_name(name) if error.file else None
    texts, shown = wording.error(error), []
    for part in _PARTS:
        text = texts[part]
        if text and not any(word in text for word in _FOR_OPERATORS):
            shown.append(wording("watch.note_expected", text=text) if part == "expected" else text)
    if error.row and "row" not in wording.named(error):
        shown.append(wording("labels.row", value=error.row))
    if any(word in (text or "") for text in texts.values() for word in _FOR_OPERATORS):
        shown.append(wording("watch.note_operator", code=error.code))
    return shown


def _text(lines: list[str]) -> str:
    kept = [line for i, line in enumerate(lines) if line or (i and lines[i - 1])]
    return "\n".join(kept) + "\n"
