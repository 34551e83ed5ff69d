"""One message the gateway holds: what it was given, what becomes of it when, and how it looks at a moment.

Nothing ever updates a message.  Its future is drawn when it is accepted, from the seed and its own words;
``state``, ``price`` and the times are read off the clock, so a restart or a second process changes nothing.
Times are whole microseconds since 1970 (UTC), money is whole millionths of a euro.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Any

from dispatcher.gateway.models import MessageState, Route
from dispatcher.gateway.simulator.config import SimulatorConfig
from dispatcher.gateway.simulator.orders import Order

NEVER = 1 << 62
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(IntEnum):
    """What a held message is."""

    SENT = 0
    DRY_RUN = 1
    BLOCKED = 2  # stopped for a forbidden word; the account paid for it


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is kept; ``body`` holds the fields of an answer that never change."""

    seq: int
    account: str
    kind: Kind
    route: Route
    created: int
    pending: int
    final: int
    final_state: MessageState
    priced: int
    price: int
    total: int
    body: dict[str, Any]

    @property
    def id(self) -> str:
        """24 hexadecimal digits: the second of creation, a check, the sequence number."""
        check = hashlib.blake2b(f"{self.created}:{self.seq}".encode(), digest_size=4).hexdigest()
        return f"{self.created // 1_000_000 & 0xFFFFFFFF:08x}{check}{self.seq:08x}"


def sequence_of(message_id: str) -> int | None:
    """The sequence number an id carries, None when it cannot be one of ours."""
    if len(message_id) != 24 or not set(message_id) <= set("0123456789abcdef"):
        return None
    return int(message_id[16:], 16)


def make_message(
    seq: int,
    account: str,
    order: Order,
    kind: Kind,
    price: int,
    total: int,
    now: int,
    config: SimulatorConfig,
) -> Message:
    """The message an order becomes at ``now``, its future drawn."""
    delay = config.ww_price_delay if order.route is Route.WW and kind is Kind.SENT else 0
    pending, final, state = _future(order, kind, now, config)
    return Message(
        seq, account, kind, order.route, now, pending, final, state, now + micros(delay), price, total,
        body=_fixed_fields(order, kind),
    )  # fmt: skip


def view(message: Message, at: int) -> dict[str, Any]:
    """The message as the API shows it at a moment."""
    priced = at >= message.priced
    state = MessageState.NEW if at < message.pending else MessageState.PENDING
    if at >= message.final:
        state = message.final_state
    changes = (message.created, message.priced, message.pending, message.final)
    delivered = state is MessageState.DELIVERED
    return {
        "id": message.id,
        "username": message.account,
        "state": state.value,
        **message.body,
        "price": message.price / 1_000_000 if priced else 0,
        "totalPrice": message.total / 1_000_000 if priced else 0,
        "createdAt": written(message.created),
        "updatedAt": written(max(moment for moment in changes if moment <= max(at, message.created))),
        "sentAt": written(message.pending) if message.kind is Kind.SENT and at >= message.pending else None,
        "deliveredAt": written(message.final) if delivered else None,
    }


def _fixed_fields(order: Order, kind: Kind) -> dict[str, Any]:
    blocked = kind is Kind.BLOCKED
    fields: dict[str, Any] = {
        "sender": order.sender,
        "recipient": order.recipient.number,
        "internationalPrefix": order.recipient.prefix,
        "countryCode": order.recipient.country,
        "message": order.text,
        "encoding": order.size.encoding,
        "charactersCount": order.size.characters,
        "messageCount": order.size.parts,
        "blocklisted": blocked,
        "blocklistedReason": "forbidden content" if blocked else "",
        "options": dict(order.options),
        "isOtp": order.otp is not None,
        **(order.otp or {}),
    }
    if order.callback is not None:
        fields["callback"] = dict(order.callback)
    return fields


def _future(order: Order, kind: Kind, now: int, config: SimulatorConfig) -> tuple[int, int, MessageState]:
    if kind is Kind.DRY_RUN:
        return NEVER, NEVER, MessageState.NEW
    if kind is Kind.BLOCKED:
        return now, now, MessageState.REJECTED
    chance, moment = shares(config.seed, order.recipient.number, order.text)
    state = _forced(order.recipient.number, config) or _drawn(chance, config)
    low, high = config.final_after
    pending = micros(config.pending_after)
    final = micros(config.expires_after if state is MessageState.EXPIRED else low + (high - low) * moment)
    return now + pending, now + max(pending, final), state


def _forced(number: str, config: SimulatorConfig) -> MessageState | None:
    matching = [suffix for suffix in config.forced_results if number.endswith(suffix)]
    return config.forced_results[max(matching, key=len)] if matching else None


def _drawn(chance: float, config: SimulatorConfig) -> MessageState:
    reached = 0.0
    for state, rate in (
        (MessageState.UNDELIVERABLE, config.undeliverable_rate),
        (MessageState.EXPIRED, config.expired_rate),
        (MessageState.REJECTED, config.rejected_rate),
    ):
        reached += rate
        if chance < reached:
            return state
    return MessageState.DELIVERED


def shares(seed: int, *words: object) -> tuple[float, float]:
    """Two even numbers from 0 to below 1 that depend on the seed and the words only."""
    digest = hashlib.blake2b(repr((seed, *words)).encode(), digest_size=16).digest()
    scale = 1 << 53
    return (int.from_bytes(digest[:8], "big") >> 11) / scale, (
        int.from_bytes(digest[8:], "big") >> 11
    ) / scale


def micros(amount: float | Decimal) -> int:
    """Seconds or euro as whole millionths."""
    return round(amount * 1_000_000)


def microseconds(moment: datetime) -> int:
    """An aware time as microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment_of(at: int) -> datetime:
    """The aware UTC time of a number of microseconds."""
    return _EPOCH + timedelta(microseconds=at)


def written(at: int) -> str:
    """A time as the API writes it: ISO 8601 in UTC, with milliseconds."""
    return moment_of(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")
