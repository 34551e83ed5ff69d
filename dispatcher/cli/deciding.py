"""A person's decision about one campaign, from any command that takes one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from dispatcher.application import Application
from dispatcher.cli.campaign_view import campaign_values
from dispatcher.cli.session import configure
from dispatcher.ledger import CampaignView, Ledger

Decision = Callable[[Ledger, CampaignView, datetime], None]


def decide(
    decision: Decision, told: str, campaign_id: int, *, ledger: str | None, lang: str | None, as_json: bool
) -> int:
    """Carry it out, say so (``told``: the line's name in the catalogue) and print the campaign as it is then.

    ``decision`` raises UsageError where the campaign cannot take it.
    """
    configuration, output = configure(as_json, ledger=ledger, lang=lang)
    with Application(configuration, output.wording) as application:
        opened = application.required_ledger()
        decision(opened, opened.queries.campaign(campaign_id), application.now())
        output.tell(told, campaign=campaign_id)
        counts = opened.queries.counts(campaign_id)
        output.result(campaign_values(opened.queries.campaign(campaign_id), counts))
    return 0
