"""Whether an account may send a message, and what it pays: the rules, without the storage.

Money is whole millionths of a euro.  A WW message is paid on acceptance here, a moment earlier than the
description says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from dispatcher.gateway.models import ErrorCode, Route
from dispatcher.gateway.simulator import answers
from dispatcher.gateway.simulator.answers import Refused
from dispatcher.gateway.simulator.config import SimulatorConfig
from dispatcher.gateway.simulator.messages import Kind, micros
from dispatcher.gateway.simulator.orders import Order

_ONE_EURO = 1_000_000


@dataclass(slots=True)
class Account:
    """An account's money; ``bundles`` are parts left per route."""

    username: str
    wallet: int
    blocklisted: bool
    bundles: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Admission:
    """How an order was taken in; ``refused`` is the answer to one that was kept but blocked."""

    kind: Kind
    price: int
    total: int
    refused: Refused | None = None


def admit(order: Order, account: Account, config: SimulatorConfig) -> Admission:
    """Screen, price and charge an order.  Raises Refused where nothing is to be kept."""
    price = micros(Decimal(config.price(order.route, order.recipient.country)))
    total = price * order.size.parts
    if _is_forbidden(order, config):
        return _block(order, account, total, config)
    if order.dry_run:
        return Admission(Kind.DRY_RUN, price, total)
    covered = _charge(order, account, price)
    if covered == order.size.parts and config.bundled_price == "zero":
        return Admission(Kind.SENT, 0, 0)
    return Admission(Kind.SENT, price, total)


def _is_forbidden(order: Order, config: SimulatorConfig) -> bool:
    content = f"{order.sender}\n{order.text}".casefold()
    return any(word.casefold() in content for word in config.forbidden_words)


def _block(order: Order, account: Account, total: int, config: SimulatorConfig) -> Admission:
    if order.dry_run:
        raise answers.forbidden(ErrorCode.FORBIDDEN_DRY_RUN)
    world = order.route is Route.WW
    penalty = _ONE_EURO * order.size.parts if world else total
    account.blocklisted = True
    account.wallet -= penalty  # below zero if need be: the account owes it
    refused = answers.forbidden(ErrorCode.FORBIDDEN_DRY_RUN if world else ErrorCode.FORBIDDEN)
    return Admission(
        Kind.BLOCKED,
        penalty // order.size.parts,
        penalty,
        refused if config.forbidden_answer == 422 else None,
    )


def _charge(order: Order, account: Account, price: int) -> int:
    """Pay for an order; returns how many parts bundles covered.  Raises Refused 402, taking nothing."""
    draws, open_parts = [], order.size.parts
    for name in _bundles_for(order):
        draw = min(account.bundles.get(name, 0), open_parts)
        draws.append((name, draw))
        open_parts -= draw
    if open_parts:
        needed = _ONE_EURO * order.size.parts if order.route is Route.WW else price * open_parts
        if account.wallet < needed:
            raise answers.no_credit()
    for name, draw in draws:
        if draw:
            account.bundles[name] -= draw
    account.wallet -= price * open_parts
    return order.size.parts - open_parts


def _bundles_for(order: Order) -> list[str]:
    if order.route is Route.WW and order.recipient.country in (Route.IT, Route.ES):
        return [Route.WW.value, order.recipient.country]
    return [order.route.value]
