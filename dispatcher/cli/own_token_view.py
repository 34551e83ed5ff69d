"""How a campaign's own token is shown: its limits, and what stopped it; never the token."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from dispatcher.campaign.price_book import UNKNOWN_CEILING
from dispatcher.cli.output import Output
from dispatcher.errors import DispatcherError
from dispatcher.gateway.account import Account
from dispatcher.intake.account import CURRENCY
from dispatcher.intake.house import House
from dispatcher.intake.requests import Landing
from dispatcher.ledger.own_tokens import OwnToken
from dispatcher.sending.stops import Stop


@dataclass(frozen=True)
class Used:
    """What a token has taken and how often it was used, and what is in the wallet."""

    amount: Decimal
    requests: int
    wallet: Decimal


@dataclass(frozen=True)
class SeenToken:
    """A campaign's own token; ``used`` is known where it was turned away and the account could be asked."""

    own: OwnToken
    used: Used | None
    by_limit: bool
    """The amount is the campaign's limit, not the most that its messages may cost."""


def see_own_token(house: House, landing: Landing) -> SeenToken | None:
    """None for a campaign that sends with the common token."""
    own = house.ledger.own_tokens.of(landing.campaign.id)
    if own is None:
        return None
    turned_away = landing.campaign.state_reason == Stop.TOKEN_CAP
    used = _used(house, own.token) if turned_away and own.token is not None else None
    return SeenToken(own, used, by_limit=landing.campaign.max_cost is not None)


def own_token_values(seen: SeenToken | None) -> dict[str, Any] | None:
    """Its limits; null for a campaign that sends with the common token.  ``deleted``: it opens nothing any more."""
    if seen is None:
        return None
    return {
        "wallet_amount": None if seen.own.wallet_amount is None else seen.own.wallet_amount.normalize(),
        "total_requests": seen.own.total_requests,
        "expires_at": seen.own.expires_at,
        "deleted": seen.own.token is None and seen.own.expires_at is not None,
    }


def show_own_token(output: Output, seen: SeenToken | None) -> None:
    """One line about its limits, and where it was turned away, one about what it has used."""
    words = output.wording
    if seen is None or seen.own.wallet_amount is None or seen.own.total_requests is None:
        return
    output.tell(
        "run.own_token_deleted" if seen.own.token is None else "run.own_token",
        amount=words.money(seen.own.wallet_amount.normalize(), CURRENCY),
        why=words("run.own_token_limit")
        if seen.by_limit
        else words("run.own_token_most", part=words.money(UNKNOWN_CEILING, CURRENCY)),
        requests=words.count("account.requests", seen.own.total_requests),
    )
    if seen.used is not None:
        output.tell(
            "run.own_token_used",
            amount=words.money(seen.used.amount, CURRENCY),
            requests=words.count("account.requests", seen.used.requests),
            wallet=words.money(seen.used.wallet, CURRENCY),
        )


def _used(house: House, secret: SecretStr) -> Used | None:
    async def ask(account: Account) -> Used | None:
        token, wallet = await account.token(secret), await account.wallet()
        stats = token.stats if token is not None else None
        if stats is None or stats.wallet_amount is None or stats.total_requests is None:
            return None
        return Used(stats.wallet_amount, stats.total_requests, wallet.credit)

    desk = house.account() if house.account is not None else None
    try:
        return None if desk is None else desk.ask(ask)
    except DispatcherError:  # the stop itself is told anyway
        return None
