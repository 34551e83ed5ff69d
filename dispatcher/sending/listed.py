"""Rows whose text or sender holds a word of the operator's own list: refused, and nothing is asked about them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

from dispatcher.campaign.forbidden import ForbiddenWords
from dispatcher.campaign.reasons import Reason
from dispatcher.ledger import CampaignView, Ledger, RowState

KEPT = "forbid_file"
"""Among a campaign's options: the list it was launched with, by its path."""


def refuse_listed(ledger: Ledger, words: ForbiddenWords, campaign_id: int, now: datetime) -> Counter[str]:
    """Refuse the ready rows; gives how many for each entry of the list."""
    found: Counter[str] = Counter()
    for row, entry in _listed(ledger, words, campaign_id):
        found[entry] += ledger.rows.exclude_same_text(
            campaign_id, [row], RowState.REFUSED, str(Reason.FORBIDDEN_BY_LIST), now
        )
    return found


def lists_of(campaign: CampaignView, own: Path | None) -> list[ForbiddenWords]:
    """This process's list and the one the campaign was launched with, read anew.

    UsageError for one that cannot be read.  The campaign's may be on another machine, where it was looked into.
    """
    kept = campaign.options.get(KEPT)
    theirs = None if kept is None else Path(str(kept))
    paths = [] if own is None else [own]
    if theirs is not None and theirs not in paths and theirs.exists():
        paths.append(theirs)
    return [ForbiddenWords.load(path) for path in paths]


def _listed(ledger: Ledger, words: ForbiddenWords, campaign_id: int) -> list[tuple[int, str]]:
    """The first row of each text that holds a word of the list, and the word."""
    senders: dict[str, str | None] = {}
    listed = []
    for text in ledger.screenings.distinct_texts(campaign_id):
        sender = text.sender or ""
        if sender not in senders:
            senders[sender] = words.find(sender)
        entry = senders[sender] or words.find(text.text)
        if entry is not None:
            listed.append((text.first_row, entry))
    return listed
