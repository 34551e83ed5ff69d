"""What a person is asked before anything real goes out."""

from __future__ import annotations

from decimal import Decimal

from dispatcher.intake.house import House, Question
from dispatcher.ledger.forecasts import Foretold


def next_question(house: House, campaign_id: int) -> Question | None:
    """What is still to be sent of the campaign, with the first text in full; None when nothing is."""
    queries = house.ledger.queries
    first = queries.first_ready(campaign_id)
    if first is None:
        return None
    campaign, remaining = queries.campaign(campaign_id), queries.remaining(campaign_id)
    cost, reserve = remaining.cost, remaining.reserve
    return Question(
        campaign=campaign_id,
        gateway=house.gateway,
        sender=first.sender,
        row=first.row,
        recipient=first.recipient,
        text=first.text,
        text_parts=first.parts,
        messages=remaining.rows,
        people=remaining.people,
        parts=remaining.parts,
        cost=remaining.cost,
        unpriced_rows=remaining.unpriced_rows,
        currency=campaign.currency,
        max_cost=campaign.max_cost,
        committed=campaign.committed_cost,
        dearest=reserve if cost is not None and reserve is not None and reserve > cost else None,
        foretold=_foretold(house, campaign_id, remaining.rows),
    )


def _foretold(house: House, campaign_id: int, left: int) -> Foretold | None:
    """What the last preflight's dry runs said of the rows that are left; None also where they spoke of more rows."""
    said = house.ledger.forecasts.last_dry_runs(campaign_id).values()
    rows = sum(each.rows for each in said)
    return (
        Foretold(rows=rows, cost=sum((each.cost for each in said), Decimal(0))) if 0 < rows <= left else None
    )


def is_above_cap(question: Question) -> bool:
    """Whether it is certain already that the money ends before the rows do."""
    if question.max_cost is None or question.cost is None:
        return False
    return question.committed + (question.dearest or question.cost) > question.max_cost
