"""How money, time and states are stored: integers in the database, exact types in Python."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import IntEnum
from functools import lru_cache
from typing import Any, Generic, TypeVar

from sqlalchemy import BigInteger, Dialect, SmallInteger
from sqlalchemy.types import TypeDecorator

E = TypeVar("E", bound=IntEnum)
ENCODING_NAMES: Mapping[int, str] = {1: "GSM-7", 2: "UCS-2"}
"""The encodings by the number they are stored as; the names are the gateway's.  A number keeps its meaning."""
ENCODING_NUMBERS: Mapping[str, int] = {name: number for number, name in ENCODING_NAMES.items()}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_MICRO_UNIT = Decimal("0.000001")


def to_micros(amount: Decimal) -> int:
    """Money as whole micro-units (a millionth of the currency).  ValueError when it is not a whole number of
    them.
    """
    if not isinstance(amount, Decimal) or not amount.is_finite():
        raise ValueError(f"money must be a finite Decimal, got {amount!r}")
    scaled = amount.scaleb(6)
    whole = int(scaled)
    if whole != scaled:
        raise ValueError(f"money must have at most 6 decimals, got {amount}")
    return whole


@lru_cache(maxsize=4096)  # a campaign has few prices, and each of its rows some
def from_micros(micros: int) -> Decimal:
    """The inverse of :func:`to_micros`."""
    return Decimal(micros).scaleb(-6)


def rounded(amount: Decimal) -> Decimal:
    """To the nearest micro-unit: a price in an answer was a binary float somewhere, and may carry its
    noise.
    """
    return amount.quantize(_MICRO_UNIT, rounding=ROUND_HALF_EVEN)


def to_instant(moment: datetime) -> int:
    """Microseconds since 1970 UTC.  ValueError for a datetime without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone cannot be stored")
    return (moment - _EPOCH) // _MICRO


def from_instant(micros: int) -> datetime:
    """The inverse of :func:`to_instant`, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


class Money(TypeDecorator[Decimal]):
    """Decimal, stored as whole micro-units; exact or an error."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else to_micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        # PostgreSQL's sum() of bigint comes back as a Decimal
        return None if value is None else from_micros(int(value))


class Instant(TypeDecorator[datetime]):
    """Aware datetime, stored as microseconds UTC; a naive one is refused."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_instant(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else from_instant(value)


class Coded(TypeDecorator[E], Generic[E]):
    """A member of an IntEnum, stored as its number."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, kind: type[E]) -> None:
        super().__init__()
        self.kind = kind
        self._members = {int(member): member for member in kind}

    def process_bind_param(self, value: E | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> E | None:
        # a member that is looked up costs a third of one that is called for
        return None if value is None else self._members.get(value) or self.kind(value)
