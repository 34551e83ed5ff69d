"""A person's decision about one campaign, from any command that takes one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from dispatcher.application import Application
from dispatcher.cli.campaign_view import campaign_values
from dispatcher.cli.output import Output
from dispatcher.cli.session import configure
from dispatcher.errors import DispatcherError
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
        _delete_own_token(application, opened, campaign_id, output)
        counts = opened.queries.counts(campaign_id)
        output.result(campaign_values(opened.queries.campaign(campaign_id), counts))
    return 0


def _delete_own_token(application: Application, ledger: Ledger, campaign_id: int, output: Output) -> None:
    """Of a campaign that has ended with this; any other has nothing to do with the network."""
    own = ledger.own_tokens.of(campaign_id)
    if own is None or own not in ledger.own_tokens.ended(own.gateway):
        return
    from dispatcher.intake.own_token import retire
    from dispatcher.settings import choose_target

    try:
        here = choose_target(application.configuration).name == own.gateway
        done = here and retire(ledger, application.account, own.gateway, application.now())
    except DispatcherError:
        done = False
    if not done:
        output.warn(output.wording("run.token_not_deleted"))
