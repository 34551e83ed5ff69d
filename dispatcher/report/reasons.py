"""Why a row was not sent, in words: the sentence of its reason, the column it is about, the text it is about."""

from __future__ import annotations

from typing import Protocol

from dispatcher.campaign.reasons import Reason
from dispatcher.ledger.states import RowState
from dispatcher.wording import Wording

SHOWN_TEXT = frozenset({str(Reason.FORBIDDEN_TEXT), str(Reason.FORBIDDEN_BY_LIST)})
"""Reasons that are about the words of a text: nobody can mend them without seeing it."""

LONGEST_TEXT = 300


class Reasoned(Protocol):
    """A row that was not sent, or may not have been, as far as its reason goes."""

    @property
    def state(self) -> RowState: ...

    @property
    def reason(self) -> str | None: ...

    @property
    def error_detail(self) -> str | None: ...


def reason_text(words: Wording, row: Reasoned, text: str | None = None) -> str:
    """The reason of a row that has one; ``text`` is the row's, for those of :data:`SHOWN_TEXT`."""
    reason = words.reason(row.reason or "")
    if row.state is RowState.INVALID and row.error_detail:
        return words("report.about_column", reason=reason, column=row.error_detail)
    if row.reason in SHOWN_TEXT and text:
        shown = " ".join(text.split())
        shown = shown if len(shown) <= LONGEST_TEXT else shown[: LONGEST_TEXT - 1] + "…"
        return words("report.about_text", reason=reason, text=shown)
    return reason
