"""``report ID --refresh``: the gateway is asked before the report is written."""

from __future__ import annotations

from dispatcher.application import Application
from dispatcher.campaign.prices import Funds
from dispatcher.cli.launching import announce_gateway
from dispatcher.cli.output import Output
from dispatcher.intake.delivered import refresh
from dispatcher.ledger import CampaignView


def refresh_deliveries(application: Application, output: Output, campaign: CampaignView) -> None:
    """One sweep; says what it came to.  Raises Unreachable or Halted; UsageError for another gateway's campaign."""
    announce_gateway(application.configuration, output)
    polled = refresh(application.house(Funds({}, None)), campaign)
    words = output.wording
    output.say(words.count("delivery.refreshed", polled.changed, awaited=words.number(polled.awaited)))
    if polled.foreign:
        output.warn(words("run.delivery_foreign"))
    elif polled.left:
        output.say(words.count("delivery.left", polled.left))
