"""What a test may ask the stand-in: everything it took in, and how busy it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from dispatcher.gateway.models import Route
from dispatcher.gateway.simulator.messages import Kind, Message, moment_of
from dispatcher.gateway.simulator.store import euro


@dataclass(frozen=True, slots=True)
class Received:
    """One message the gateway holds.  ``total_price`` is its cost in EUR, shown to the client yet or not."""

    id: str
    account: str
    route: Route
    recipient: str
    sender: str
    message: str
    parts: int
    total_price: Decimal
    created_at: datetime
    custom: Mapping[str, Any] | None
    """``callback.custom``, where a client puts its own row key."""
    dry_run: bool
    blocked: bool
    is_otp: bool

    @property
    def row_key(self) -> Any:
        """The row key in ``custom``: its only entry, or the one called ``row``; None without one."""
        custom = self.custom or {}
        if len(custom) == 1:
            return next(iter(custom.values()))
        return custom.get("row")

    @property
    def accepted(self) -> bool:
        """Accepted for delivery: no dry run, not blocked."""
        return not self.dry_run and not self.blocked


def received_from(message: Message) -> Received:
    """A held message as a test sees it."""
    body = message.body
    return Received(
        id=message.id,
        account=message.account,
        route=message.route,
        recipient=body["recipient"],
        sender=body["sender"],
        message=body["message"],
        parts=body["messageCount"],
        total_price=euro(message.total),
        created_at=moment_of(message.created),
        custom=body.get("callback", {}).get("custom"),
        dry_run=message.kind is Kind.DRY_RUN,
        blocked=message.kind is Kind.BLOCKED,
        is_otp=body["isOtp"],
    )


def sends_by_text(messages: Iterable[Received]) -> Counter[tuple[str, str]]:
    """How often each recipient was really sent each text."""
    return Counter((message.recipient, message.message) for message in messages if message.accepted)


def as_json(message: Received) -> dict[str, Any]:
    """A received message for ``GET /_simulator/received``; money is a decimal string."""
    return {
        "id": message.id,
        "account": message.account,
        "route": message.route.value,
        "recipient": message.recipient,
        "sender": message.sender,
        "message": message.message,
        "parts": message.parts,
        "total_price": str(message.total_price),
        "created_at": message.created_at.isoformat(),
        "custom": message.custom,
        "row_key": message.row_key,
        "dry_run": message.dry_run,
        "blocked": message.blocked,
        "is_otp": message.is_otp,
    }
