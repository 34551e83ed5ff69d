"""Which texts of a campaign are screened when not all of them are: those of a covering set.

Everything here blocks on the ledger: call it on its thread.
"""

from __future__ import annotations

import itertools
from collections.abc import Container
from dataclasses import dataclass
from hashlib import blake2b

from dispatcher.ledger import CampaignView, DistinctText
from dispatcher.ledger.screenings import Screenings
from dispatcher.sending.covering import Covering
from dispatcher.sending.folded import Folded, folded_in

LOOKED_AT = 20_000  # chosen texts that are looked through for what was folded

Key = tuple[str, str | None, bytes]


@dataclass(frozen=True)
class Selection:
    """The texts to screen, in row order, out of ``texts`` distinct ones in ``rows`` ready rows.

    ``folded`` is what a covering set compared by its shape.
    """

    chosen: list[DistinctText]
    texts: int
    rows: int
    covering: bool
    folded: list[Folded]


def select_texts(screenings: Screenings, campaign: CampaignView, all_up_to: int) -> Selection:
    """Every distinct text while they are at most ``all_up_to``, else those of a covering set."""
    covering, chosen, every = Covering(), list[DistinctText](), list[DistinctText]()
    texts = rows = 0
    for text in screenings.distinct_texts(campaign.id):
        texts, rows = texts + 1, rows + text.rows
        if texts <= all_up_to:
            every.append(text)
        else:
            every.clear()
        if covering.offer(text.route, text.sender, text.text):
            chosen.append(text)
    if texts <= all_up_to:
        return Selection(every, texts, rows, covering=False, folded=[])
    template = campaign.options.get("message")
    looked_at = itertools.islice((text.text for text in chosen), LOOKED_AT)
    folded = folded_in(None if template is None else str(template), looked_at)
    return Selection(chosen, texts, rows, covering=True, folded=folded)


def uncovered(
    screenings: Screenings, campaign: CampaignView, passed: Container[Key], forbidden: Container[Key]
) -> list[DistinctText]:
    """Texts that hold what no text of ``passed`` holds (one each is enough), and those known as ``forbidden``."""
    covering, chosen = Covering(), list[DistinctText]()
    for text in screenings.distinct_texts(campaign.id):
        if key_of(text) in passed:
            covering.offer(text.route, text.sender, text.text)
    for text in screenings.distinct_texts(campaign.id):
        key = key_of(text)
        if key in forbidden or (key not in passed and covering.offer(text.route, text.sender, text.text)):
            chosen.append(text)
    return chosen


def text_hash(text: str) -> bytes:
    """By what a screened text is remembered: 16 bytes, not the text."""
    return blake2b(text.encode(), digest_size=16).digest()


def key_of(text: DistinctText) -> Key:
    """By what the answer to a dry run of the text is known."""
    return (text.route, text.sender or None, text_hash(text.text))
