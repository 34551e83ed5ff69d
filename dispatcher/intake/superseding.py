"""A list that is read again replaces what still waits of its older versions.

Else a reminder planned on Monday would announce the hour that was changed on Tuesday, or go to somebody whose
appointment was cancelled.  Two things decide: whether it is the same list (by where it comes from and what its times
are), and whether it is a newer version of it and not merely the next list under the same name (by what stands in it).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dispatcher.campaign.headings import heading_key
from dispatcher.campaign.timing.schedule import Schedule
from dispatcher.intake.planning import PlanRequest
from dispatcher.ledger import CampaignState, CampaignView, Ledger
from dispatcher.ledger.states import FINAL_CAMPAIGNS, OPEN
from dispatcher.ledger.versions import Overlap

C = CampaignState
_OPEN = tuple(state for state in C if state not in FINAL_CAMPAIGNS | {C.LOADING})
_REPORT = re.compile(r"(\.simulated)?\.report(-\d+)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Older:
    """An older campaign of the same list with ``waiting`` rows still to be sent; ``replaced`` when the newer one is a
    version of it and they are withdrawn, else they go on.
    """

    campaign: int
    file: str
    waiting: int
    replaced: bool


def list_of(request: PlanRequest, called: str | None, schedule: Schedule | None) -> dict[str, Any]:
    """What a campaign keeps among its options to know its list again; nothing where no row has a time of its own.

    ``called``: by what it is known where its path says nothing, a schedule's name or a watched folder's file.
    """
    if schedule is None:
        return {}
    reader, options = schedule.reader, schedule.options
    if reader.date is not None:
        about = f"{options.remind_before} before {heading_key(reader.date)}"
    elif reader.send_at is not None:
        about = f"at {heading_key(reader.send_at)}"
    else:
        return {}
    key = None if options.key_column is None else heading_key(options.key_column)
    names = [f"file {list_name(str(request.file.resolve()))}", *([] if called is None else [called])]
    sheet = "" if request.sheet is None else f", sheet {request.sheet}"
    return {"list": {"names": [name + sheet for name in names], "about": about, "key": key}}


def list_name(path: str) -> str:
    """By what a file is the same list: one saved in another format, or its own report, is."""
    stem = path[: -len(suffix)] if (suffix := Path(path).suffix) else path
    return unicodedata.normalize("NFC", _REPORT.sub("", stem)).casefold()


def older_versions(ledger: Ledger, campaign: CampaignView) -> list[Older]:
    """Campaigns of the same list, begun before, of which rows still wait for their time."""
    mine, found = campaign.options.get("list"), []
    if mine is None:
        return []
    for other in ledger.queries.campaigns_in(*_OPEN):
        if other.id < campaign.id and other.gateway == campaign.gateway and _is_same_list(mine, other):
            by_key = mine["key"] is not None and mine["key"] == other.options["list"]["key"]
            overlap = ledger.versions.overlap(campaign.id, other.id, by_key=by_key)
            if overlap.waiting:
                is_reminder = "remind_before" in campaign.options
                replaced = _is_version(overlap, is_reminder=is_reminder, by_key=by_key)
                found.append(Older(other.id, other.file_name, overlap.waiting, replaced))
    return found


def supersede_older(ledger: Ledger, campaign: CampaignView, now: datetime) -> list[Older]:
    """Withdraw what still waits of the older versions of the campaign's list, and close those that are done with it.

    For a campaign that has been set going, or of which nothing is to be sent.  Gives what was there before.
    """
    found = older_versions(ledger, campaign)
    for older in found:
        if older.replaced:
            ledger.versions.withdraw(campaign.id, older.campaign, now)
            _close(ledger, older.campaign, now)
    return found


def _is_same_list(mine: Mapping[str, Any], other: CampaignView) -> bool:
    its = other.options.get("list")
    return (
        its is not None and its["about"] == mine["about"] and not set(its["names"]).isdisjoint(mine["names"])
    )


def _is_version(overlap: Overlap, *, is_reminder: bool, by_key: bool) -> bool:
    """A reminder for the same person and hour stands in no other list; a text at a time may, if it says the same to
    everybody.  Apart from that, half of those who still wait have to be there.  People who come again and again are
    in the next list as well: one whose times are all later is taken for that, unless a key says what was moved.
    """
    if is_reminder and overlap.same:
        return True
    return 2 * overlap.found >= overlap.waiting and (by_key or not overlap.later)


def _close(ledger: Ledger, older: int, now: datetime) -> None:
    ledger.campaigns.finish_if_done(older, now)
    counts = ledger.queries.counts(older)
    # what waits for a person would wait for nothing
    if not any(counts.get(state) for state in OPEN) and ledger.queries.campaign(older).state in _OPEN:
        ledger.campaigns.cancel(older, now)
