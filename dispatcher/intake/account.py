"""What the account can pay for and what its token opens, gathered in as few requests as that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

# whoever only looks at what was found needs no HTTP, and a plan without an account none of this
if TYPE_CHECKING:
    from pydantic import SecretStr

    from dispatcher.gateway.account import Account
    from dispatcher.gateway.account_models import Scope, Subscription, Token

CURRENCY = "EUR"  # the provider's


@dataclass(frozen=True)
class Credit:
    """What can pay for messages: the wallet, and the bundles of messages, whether they still pay or not."""

    wallet: Decimal
    bundles: tuple[Subscription, ...]

    def parts_left(self, now: datetime) -> dict[str, int]:
        """Parts that bundles pay for at ``now``, by route."""
        left: dict[str, int] = {}
        for bundle in self._paying(now):
            if bundle.route is not None and bundle.available is not None:
                left[str(bundle.route)] = left.get(str(bundle.route), 0) + bundle.available
        return left

    def is_vague(self, now: datetime) -> bool:
        """Whether some bundle pays at ``now`` and does not say how much is left in it."""
        return any(bundle.available is None for bundle in self._paying(now))

    def _paying(self, now: datetime) -> list[Subscription]:
        return [bundle for bundle in self.bundles if bundle.pays_at(now)]


@dataclass(frozen=True)
class AccountFacts:
    """Everything ``dispatcher account`` shows.  ``scopes`` are those of the SMS service; ``token`` None is none of the
    account's.
    """

    credit: Credit
    token: Token | None
    scopes: tuple[Scope, ...]


async def credit_of(account: Account) -> Credit:
    """Wallet and bundles."""
    wallet, subscriptions = await account.wallet(), await account.subscriptions()
    return Credit(wallet.credit, tuple(one for one in subscriptions if one.route is not None))


async def facts_of(account: Account, token: SecretStr) -> AccountFacts:
    """Wallet, bundles, what ``token`` may do, and what each call costs as far as the account says."""
    scopes = sms_scopes(await account.scopes())
    return AccountFacts(
        credit=await credit_of(account),
        token=await account.token(token),
        scopes=tuple([await _with_prices(account, scope) for scope in scopes]),
    )


def sms_scopes(scopes: Sequence[Scope]) -> list[Scope]:
    """Those of the SMS service, among everything else that the provider offers."""
    from dispatcher.gateway.account_models import split_scope
    from dispatcher.gateway.models import Route

    calls = {*(f"{route}-messages" for route in Route), "otp", "messages"}
    found = []
    for scope in scopes:
        parts = split_scope(scope.scope)
        if parts is not None and parts[2] in calls and "sms" in parts[1].split("."):
            found.append(scope)
    return found


async def _with_prices(account: Account, scope: Scope) -> Scope:
    detail = await account.scope(scope.id) if scope.id else None
    return scope if detail is None else scope.model_copy(update={"prices": detail.prices})
