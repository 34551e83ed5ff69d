"""How much is on its way through a gateway: what a new campaign shares the limit with."""

from __future__ import annotations

from sqlalchemy import func, select

from dispatcher.ledger.database import Database
from dispatcher.ledger.schema import campaign_counts, campaigns, gateways
from dispatcher.ledger.states import CampaignState, RowState


class Traffic:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows_ahead(self, gateway: str) -> int:
        """Ready rows of the campaigns that are being sent through the gateway; those that wait for a time are not."""
        query = (
            select(func.coalesce(func.sum(campaign_counts.c.n), 0))
            .join(campaigns, campaigns.c.id == campaign_counts.c.campaign_id)
            .join(gateways, gateways.c.id == campaigns.c.gateway_id)
            .where(
                gateways.c.name == gateway,
                campaigns.c.state == CampaignState.SENDING,
                campaign_counts.c.state == RowState.READY,
            )
        )
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())
