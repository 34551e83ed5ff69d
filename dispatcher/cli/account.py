"""``account``: the money behind the messages, and what the token opens."""

from __future__ import annotations

import typer

from dispatcher.cli import options as o


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "account",
        help="Wallet, bundles and the token's scopes. Example: dispatcher account --gateway sandbox",
    )(account)


def account(
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Asks the provider's account API with DISPATCHER_ACCOUNT_EMAIL and DISPATCHER_ACCOUNT_KEY; changes nothing."""
    from dispatcher.application import Application
    from dispatcher.cli.account_view import account_values, show_account
    from dispatcher.cli.launching import announce_gateway
    from dispatcher.cli.session import configure
    from dispatcher.errors import UsageError
    from dispatcher.intake.account import facts_of
    from dispatcher.settings import choose_target

    configuration, output = configure(as_json, gateway=gateway, ledger=ledger, lang=lang)
    token = choose_target(configuration).token
    with Application(configuration, output.wording) as application:
        desk = application.account()
        if desk is None:
            raise UsageError("settings_account_missing")
        announce_gateway(configuration, output)
        facts = desk.ask(lambda account: facts_of(account, token))
        now = application.now()
    show_account(output, desk.host, facts, now, configuration.settings.zone)
    output.result(account_values(facts, now))
    return 0
