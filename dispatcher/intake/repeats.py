"""A file most of whose people just got another text: a corrected one dropped back, usually; a person decides."""

from __future__ import annotations

from dispatcher.intake.house import House, OtherTexts

MOST = 0.5  # of a campaign's people
AT_LEAST = 10


def other_texts(house: House, campaign_id: int) -> OtherTexts | None:
    """The earlier campaign that sent most of this one's people another text; None when most got nothing.

    It is found by the people, not by the file's name.
    """
    since = house.clock.now() - house.guard
    found = house.ledger.memory.other_texts(campaign_id, since)
    if found is None or found.people < AT_LEAST:
        return None
    people = house.ledger.queries.remaining(campaign_id).people
    if found.people < MOST * people:
        return None
    return OtherTexts(house.ledger.queries.campaign(found.campaign), found.people, people)
