"""How an account is shown: as one object that scripts read, and as lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dispatcher.application import Application
from dispatcher.cli.output import Output
from dispatcher.errors import UsageError
from dispatcher.gateway.account_models import Limits, Scope, Subscription, Token, Usage
from dispatcher.intake.account import CURRENCY, AccountFacts, Credit, credit_of
from dispatcher.wording import Wording


def account_values(facts: AccountFacts, now: datetime) -> dict[str, Any]:
    """The account; ``token`` is null when the token in use is none of its own."""
    return {**credit_values(facts.credit, now), "token": _token_values(facts)}


def credit_values(credit: Credit, now: datetime) -> dict[str, Any]:
    """Wallet and bundles; ``parts_left`` is null where the account does not say."""
    return {
        "wallet": credit.wallet,
        "currency": CURRENCY,
        "bundles": [
            {
                "route": str(bundle.route),
                "scope": bundle.scope,
                "parts_left": bundle.available,
                "starts_at": bundle.starts_at,
                "ends_at": bundle.expires_at,
                "active": bundle.pays_at(now),
            }
            for bundle in credit.bundles
        ],
    }


def show_account(output: Output, host: str, facts: AccountFacts, now: datetime, zone: ZoneInfo) -> None:
    """Print everything."""
    output.tell("account.host", host=host)
    show_credit(output, facts.credit, now, zone)
    output.say()
    _show_token(output, facts.token, zone)
    _show_scopes(output, facts)


def asked_credit(application: Application, output: Output) -> Credit:
    """Wallet and bundles, asked and shown.  UsageError without the account's credentials; Unreachable, Halted."""
    desk = application.account()
    if desk is None:
        raise UsageError("settings_account_missing")
    credit = desk.ask(credit_of)
    output.tell("account.host", host=desk.host)
    show_credit(output, credit, application.now(), application.settings.zone)
    output.say()
    return credit


def show_credit(output: Output, credit: Credit, now: datetime, zone: ZoneInfo) -> None:
    """Wallet and bundles."""
    words = output.wording
    output.tell("account.wallet", credit=words.money(credit.wallet, CURRENCY))
    if not credit.bundles:
        output.tell("account.no_bundles")
        return
    heads = [words(f"account.head_{name}") for name in ("bundle", "parts", "ends", "state")]
    _table(output, heads, [_bundle_line(words, bundle, now, zone) for bundle in credit.bundles])


def show_credit_line(output: Output, credit: Credit, now: datetime) -> None:
    """Wallet and bundles that pay now, in one line."""
    words = output.wording
    bundles = ", ".join(
        words("account.bundle_left", route=route, parts=words.count("plan.parts", parts))
        for route, parts in sorted(credit.parts_left(now).items())
    )
    wallet = words.money(credit.wallet, CURRENCY)
    output.tell("account.summary", credit=wallet, bundles=bundles or words("account.none"))


def _bundle_line(words: Wording, bundle: Subscription, now: datetime, zone: ZoneInfo) -> list[str]:
    left = words("account.unknown") if bundle.available is None else words.number(bundle.available)
    state = words("account.active" if bundle.pays_at(now) else "account.inactive")
    return [str(bundle.route), left, _day(words, bundle.expires_at, zone), state]


def _show_token(output: Output, token: Token | None, zone: ZoneInfo) -> None:
    words = output.wording
    if token is None:
        output.warn(words("account.not_ours"))
        return
    output.tell("account.token", token=token.name or "-", ends=_day(words, token.expires_at, zone))
    limits, used = token.limits or Limits(), token.stats or Usage()
    if limits.wallet_amount is not None:
        spent = words("account.unknown") if used.wallet_amount is None else f"{used.wallet_amount:f}"
        amount = words.money(limits.wallet_amount, CURRENCY)
        output.tell("account.amount_limit", amount=amount, used=spent)
    if limits.total_requests is not None:
        made = words("account.unknown") if used.total_requests is None else words.number(used.total_requests)
        output.tell("account.request_limit", requests=words.number(limits.total_requests), used=made)


def _show_scopes(output: Output, facts: AccountFacts) -> None:
    words = output.wording
    heads = [words(f"account.head_{name}") for name in ("scope", "token", "price")]
    lines = [
        [
            scope.scope,
            words("account.yes" if _opens(facts.token, scope) else "account.no"),
            _price(words, scope),
        ]
        for scope in facts.scopes
    ]
    if lines:
        _table(output, heads, lines)


def _opens(token: Token | None, scope: Scope) -> bool:
    return token is not None and scope.scope in (token.scopes or ())


def _price(words: Wording, scope: Scope) -> str:
    prices = sorted(set((scope.prices or {}).values()))
    if not prices:
        return "-"
    if len(prices) == 1:
        return words.money(prices[0], CURRENCY)
    first, last = words.money(prices[0], CURRENCY), words.money(prices[-1], CURRENCY)
    return words("account.range", first=first, last=last)


def _token_values(facts: AccountFacts) -> dict[str, Any] | None:
    token = facts.token
    if token is None:
        return None
    limits, used = token.limits or Limits(), token.stats or Usage()
    return {
        "name": token.name,
        "expires_at": token.expires_at,
        "limits": {"wallet_amount": limits.wallet_amount, "total_requests": limits.total_requests},
        "used": {"wallet_amount": used.wallet_amount, "total_requests": used.total_requests},
        "scopes": [
            {
                "scope": scope.scope,
                "enabled": scope.enabled,
                "token": _opens(token, scope),
                "prices": scope.prices,
            }
            for scope in facts.scopes
        ],
    }


def _day(words: Wording, moment: datetime | None, zone: ZoneInfo) -> str:
    return words("account.unknown") if moment is None else f"{moment.astimezone(zone):%Y-%m-%d}"


def _table(output: Output, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[i]) for line in (heads, *lines)) for i in range(len(heads))]
    for line in (heads, *lines):
        output.say(
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
