"""A token for one campaign: made before it sends, limited by the provider to what was approved, deleted when it ends.

The limits are a second fence, held by somebody else, behind the ledger's own limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from dispatcher.errors import DispatcherError, Halted, Unreachable, UsageError
from dispatcher.gateway.account import Account
from dispatcher.gateway.account_models import Limits, Scope, Token, split_scope, token_request
from dispatcher.intake.account import sms_scopes
from dispatcher.intake.house import AccountAsker, House
from dispatcher.ledger import Ledger
from dispatcher.ledger.own_tokens import OwnToken
from dispatcher.target import HOSTS

Desk = Callable[[], AccountAsker | None]

LEAST_AMOUNT = Decimal("0.01")  # nobody documents that a limit of nothing is none at all, nor that it is not
_MICRO = Decimal("0.000001")
SPARE_TIME = timedelta(days=14)  # after the last row is due: a low limit, windows, a pause, doubts
LONGEST = timedelta(days=365)
SPARE_REQUESTS = 20  # and a tenth of the rows: some are asked twice, after a 429 or a doubt


@dataclass(frozen=True)
class Terms:
    """What a campaign's token is to be limited to: ``approved`` for all of the campaign, ``committed`` of it already,
    ``requests`` for what is still to be sent.
    """

    name: str
    approved: Decimal
    committed: Decimal
    requests: int
    lifetime: timedelta
    routes: tuple[str, ...]
    host: str

    def amount(self, spent_before: Decimal) -> Decimal:
        """For a token that counts what was spent after ``spent_before``."""
        return max(LEAST_AMOUNT, (self.approved - spent_before).quantize(_MICRO, rounding=ROUND_DOWN))


@dataclass(frozen=True)
class _Made:
    """``left_over``: tokens of the campaign's name that were there before ``own`` was made: of a process that was
    killed before it could write the secret down, or of one that is about to; to be deleted by who wrote it down first.
    """

    own: OwnToken
    is_new: bool = False
    left_over: tuple[SecretStr, ...] = ()


def arm(house: House, campaign_id: int) -> None:
    """Before a campaign is sent that wants a token of its own: make one, or set the limits of the one it has anew.

    Nothing for other campaigns.  UsageError without the account's credentials; Unreachable, Halted: then it must not be
    sent.
    """
    own = house.ledger.own_tokens.of(campaign_id)
    if own is None:
        return
    desk = required_desk(house)
    terms = _terms(house, own)
    made = desk.ask(lambda account: _armed(account, own, terms, house.clock.now()))
    try:
        kept = house.ledger.own_tokens.keep(made.own, house.clock.now(), instead_of=own.token)
    except DispatcherError:
        _abandon(desk, made)
        raise
    if not kept:
        _abandon(desk, made)  # another process was first, and its token is the campaign's
        return
    for left in made.left_over:
        desk.ask(partial(_deleted, left))


def _abandon(desk: AccountAsker, made: _Made) -> None:
    """Nobody would ever use it."""
    if made.is_new and made.own.token is not None:
        desk.ask(partial(_deleted, made.own.token))


def required_desk(house: House) -> AccountAsker:
    """Whom to ask for tokens.  UsageError without the account's credentials."""
    desk = house.account() if house.account is not None else None
    if desk is None:
        raise UsageError("settings_account_missing")
    return desk


def disarmed(house: House) -> bool:
    """Delete the tokens of campaigns that have ended; False while one could not be deleted at the provider."""
    return retire(house.ledger, house.account, house.gateway, house.clock.now())


def retire(ledger: Ledger, account: Desk | None, gateway: str, now: datetime) -> bool:
    """Delete the tokens of campaigns that have ended, there and here; False while one could not be deleted there.

    One whose time is over is only forgotten.  Nobody is asked where there is nothing to delete.
    """
    for own in ledger.own_tokens.expired(now):
        ledger.own_tokens.forget(own.campaign_id, now)
    ended = ledger.own_tokens.ended(gateway)
    if not ended:
        return True
    desk = account() if account is not None else None
    if desk is None:
        return False
    try:
        for own in ended:
            if own.token is not None:
                desk.ask(partial(_deleted, own.token))
            ledger.own_tokens.forget(own.campaign_id, now)
    except (Unreachable, Halted):
        return False
    return True


async def _deleted(secret: SecretStr, account: Account) -> bool:
    return await account.delete_token(secret)


def _terms(house: House, own: OwnToken) -> Terms:
    """With a limit on the cost that is what was approved; without one, the most that the rows may cost, where a part
    of unknown price counts as the ledger counts it.
    """
    ledger, now = house.ledger, house.clock.now()
    campaign, most = ledger.queries.campaign(own.campaign_id), ledger.unsent.most(own.campaign_id)
    committed = campaign.committed_cost
    lifetime = SPARE_TIME + max(timedelta(0), (most.last_due or now) - now)
    return Terms(
        name=f"dispatcher {ledger.id} campaign {own.campaign_id}",
        approved=committed + most.cost if campaign.max_cost is None else campaign.max_cost,
        committed=committed,
        requests=most.rows + most.rows // 10 + SPARE_REQUESTS,
        lifetime=min(lifetime, LONGEST),
        routes=tuple(ledger.unsent.routes(own.campaign_id)),
        host=urlsplit(HOSTS.get(own.gateway, own.gateway)).netloc,
    )


async def _armed(account: Account, own: OwnToken, terms: Terms, now: datetime) -> _Made:
    before = own.spent_before or Decimal(0)
    if own.token is not None and (known := await account.token(own.token)) is not None:
        used = known.stats.total_requests if known.stats else None
        requests = terms.requests + ((own.total_requests or 0) if used is None else used)
        body = _body(terms, list(known.scopes or ()), terms.amount(before), requests)
        changed = await account.update_token(own.token, body)
        if changed is not None:
            return _Made(_kept(own, changed, before, body, terms, now))
    scopes = sms_scopes(await account.scopes())
    left_over = tuple(left.token for left in await account.tokens() if left.name == terms.name)
    wanted = [scope_for(route, scopes, terms.host) for route in terms.routes]
    body = _body(terms, wanted, terms.amount(terms.committed), terms.requests)
    made = await account.create_token(body)
    try:
        kept = _kept(own, made, terms.committed, body, terms, now)
    except Halted:
        await account.delete_token(made.token)
        raise
    return _Made(kept, is_new=True, left_over=left_over)


def _body(terms: Terms, scopes: list[str], amount: Decimal, requests: int) -> dict[str, Any]:
    ttl = int(terms.lifetime.total_seconds())
    return token_request(
        scopes=scopes, name=terms.name, ttl=ttl, wallet_amount=amount, total_requests=requests
    )


def _kept(
    own: OwnToken, token: Token, spent_before: Decimal, body: Mapping[str, Any], terms: Terms, now: datetime
) -> OwnToken:
    """What the ledger keeps.  Halted when the provider does not say that it limits the token as it was asked to."""
    limits, asked = token.limits or Limits(), body["limits"]
    amount, requests = limits.wallet_amount, limits.total_requests
    if amount is None or requests is None or amount > Decimal(repr(asked["walletAmount"])):
        raise Halted("account_token_not_capped")
    return replace(
        own,
        token=token.token,
        spent_before=spent_before,
        wallet_amount=amount.quantize(_MICRO),
        total_requests=requests,
        expires_at=token.expires_at or now + terms.lifetime,
    )


def scope_for(route: str, scopes: Sequence[Scope], host: str) -> str:
    """The scope of a route as the account lists it, that of ``host`` among several; else as it is documented."""
    endpoint = f"{route}-messages"
    listed = {
        parts[1]: scope.scope
        for scope in scopes
        if (parts := split_scope(scope.scope)) and parts[2] == endpoint
    }
    return listed.get(host) or next(iter(sorted(listed.values())), f"POST:{host}/{endpoint}")
