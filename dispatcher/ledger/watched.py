"""What a watched folder asks: which campaigns its files became, and how one plan compares with another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import except_, func, select

from dispatcher.ledger.chunks import in_chunks
from dispatcher.ledger.conditions import is_ready
from dispatcher.ledger.database import Database
from dispatcher.ledger.schema import campaign_counts, campaigns, rows
from dispatcher.ledger.states import SENT, CampaignState, RowState
from dispatcher.ledger.values import Money

CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedCampaign:
    """A campaign of a watched folder's file, and where it is."""

    id: int
    file_name: str
    file_sha256: str
    state: CampaignState
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowingReport:
    """The report of a finished campaign.  ``known``: what became of its messages so far; the same means no news."""

    id: int
    file_name: str
    report: str
    finished_at: datetime
    known: tuple[tuple[Any, ...], ...]

    @property
    def awaits(self) -> bool:
        """Whether a message is not final."""
        return any(state is RowState.ACCEPTED for state, _ in self.known)

    @property
    def has_ends(self) -> bool:
        """Whether some message is final."""
        return any(state in SENT - {RowState.ACCEPTED} for state, _ in self.known)


class Watched:
    """Reads only.  A file of a watched folder has a name that no other one has; ``folder`` is the folder's id, which
    its campaigns keep among their options as ``watched``.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def campaigns(self, folder: str, names: Sequence[str]) -> dict[str, list[WatchedCampaign]]:
        """By name: the campaigns that the file became, newest first; names without any are left out."""
        columns = (campaigns.c.id, campaigns.c.file_name, campaigns.c.file_sha256, campaigns.c.state)
        query = select(*columns, campaigns.c.state_reason, campaigns.c.options).order_by(
            campaigns.c.id.desc()
        )
        found: dict[str, list[WatchedCampaign]] = {}
        with self._database.read() as connection:
            for chunk in in_chunks(names, CHUNK):
                chosen = campaigns.c.file_name.in_(chunk)
                for one in connection.execute(query.where(chosen)):
                    if one.options.get("watched") == folder:
                        campaign = WatchedCampaign(
                            id=one.id,
                            file_name=one.file_name,
                            file_sha256=one.file_sha256,
                            state=one.state,
                            reason=one.state_reason,
                        )
                        found.setdefault(one.file_name, []).append(campaign)
        return found

    def growing(self, folder: str, since: datetime) -> list[GrowingReport]:
        """Campaigns of the folder that finished after ``since`` and have a report, the oldest first; from counters
        alone.
        """
        query = (
            select(campaigns)
            .where(campaigns.c.state == CampaignState.FINISHED, campaigns.c.finished_at > since)
            .where(campaigns.c.report_path.is_not(None))
            .order_by(campaigns.c.id)
        )
        with self._database.read() as connection:
            found = [one for one in connection.execute(query) if one.options.get("watched") == folder]
            counted = connection.execute(
                select(campaign_counts.c.campaign_id, campaign_counts.c.state, campaign_counts.c.n)
                .where(campaign_counts.c.campaign_id.in_([one.id for one in found]))
                .where(campaign_counts.c.state.in_(SENT), campaign_counts.c.n > 0)
                .order_by(campaign_counts.c.state)
            ).all()
        return [
            GrowingReport(
                id=one.id,
                file_name=one.file_name,
                report=one.report_path,
                finished_at=one.finished_at,
                known=(
                    *((count.state, count.n) for count in counted if count.campaign_id == one.id),
                    (one.actual_cost, one.accepted_unpriced),
                ),
            )
            for one in found
        ]

    def at_most(self, campaign_id: int) -> Decimal:
        """What the campaign may come to: what was spent or is reserved, and every ready row at its dearest."""
        query = select(
            select(campaigns.c.committed_cost)
            .where(campaigns.c.id == campaign_id)
            .scalar_subquery()
            .label("spent"),
            func.sum(rows.c.reserve_cost, type_=Money).label("ready"),
        ).where(rows.c.campaign_id == campaign_id, is_ready())
        with self._database.read() as connection:
            found = connection.execute(query).one()
        return Decimal(found.spent or 0) + Decimal(found.ready or 0)

    def not_among(self, campaign_id: int, other_id: int) -> int:
        """How many ready messages of the campaign (recipient, text, sender, due time) are none of the other one's."""
        sender = func.coalesce(rows.c.sender, "").label("sender")
        messages = select(rows.c.guard_key, sender, rows.c.due_at).where(is_ready())
        mine = messages.where(rows.c.campaign_id == campaign_id)
        its = messages.where(rows.c.campaign_id == other_id)
        with self._database.read() as connection:
            return int(
                connection.execute(
                    select(func.count()).select_from(except_(mine, its).subquery())
                ).scalar_one()
            )
