"""One-time codes that were asked for, as far as their limits have to know: who asked too often is told to wait.

Codes are worth money to whoever earns on the traffic they make ("pumping": one form, a million codes to numbers of
one range).  So they are counted by number and by the range the number is of.  What is kept is a keyed hash of the
number, its range and the time, for :data:`KEPT`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    delete,
    insert,
    or_,
    select,
    text,
)

from dispatcher.ledger.database import Database
from dispatcher.ledger.keys import Keyed
from dispatcher.ledger.values import Instant

KEPT = timedelta(days=31)
"""No limit looks back further."""
RANGE_DIGITS = (
    6  # a number without so many of its last digits is its range: what one owner may hold of a network
)
CODE_LOCKS = 7316907  # an advisory lock

codes_sent = Table(
    "codes_sent",
    MetaData(),
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("gateway", Text, nullable=False),
    Column("recipient_hash", LargeBinary, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("at", Instant, nullable=False),
)


@dataclass(frozen=True, slots=True)
class CodeLimit:
    """At most ``most`` codes in any ``within``."""

    most: int
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeLimits:
    """What one number, and one range of numbers, may be sent; empty: no limit."""

    per_number: Sequence[CodeLimit] = ()
    per_prefix: Sequence[CodeLimit] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TooManyCodes:
    """A limit is reached.  ``until``: when the next code may go."""

    limit: CodeLimit
    per_number: bool
    until: datetime


class Codes:
    """Counts codes before they are asked for: a crash or a race costs a code, never a limit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, gateway: str, recipient: str, limits: CodeLimits, now: datetime) -> int | TooManyCodes:
        """Count one more code to ``recipient`` (E.164), unless a limit is reached; gives the count's number.

        On a server the time is the server's.  One count at a time: of many processes no two take the last place.
        """
        prefix = range_of(recipient)
        with self._database.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": CODE_LOCKS})
            now += self._database.ahead(connection, now)
            known_as = Keyed(connection).recipient(recipient)
            own = (codes_sent.c.gateway == gateway, codes_sent.c.recipient_hash == known_as)
            near = (codes_sent.c.gateway == gateway, codes_sent.c.prefix == prefix)
            for per_number, chosen, each in (
                (True, own, limits.per_number),
                (False, near, limits.per_prefix),
            ):
                for limit in each:
                    if (until := _full_until(connection, chosen, limit, now)) is not None:
                        return TooManyCodes(limit=limit, per_number=per_number, until=until)
            _forget(connection, now)
            new = insert(codes_sent).values(gateway=gateway, recipient_hash=known_as, prefix=prefix, at=now)
            return int(connection.execute(new.returning(codes_sent.c.id)).scalar_one())

    def take_back(self, count: int) -> None:
        """That code provably never left."""
        with self._database.write() as connection:
            connection.execute(delete(codes_sent).where(codes_sent.c.id == count))

    def forget_old(self, now: datetime) -> None:
        """Delete what no limit looks at any more."""
        with self._database.write() as connection:
            _forget(connection, now + self._database.ahead(connection, now))


def range_of(recipient: str) -> str:
    """The range a number (E.164) is of: up to a million neighbours."""
    return recipient[:-RANGE_DIGITS]


def _full_until(
    connection: Connection, chosen: Sequence[ColumnElement[bool]], limit: CodeLimit, now: datetime
) -> datetime | None:
    """When the oldest of the last ``most`` codes leaves the window; None while there is room."""
    lately = select(codes_sent.c.at).where(*chosen, codes_sent.c.at > now - limit.within)
    oldest: datetime | None = connection.execute(
        lately.order_by(codes_sent.c.at.desc()).offset(limit.most - 1).limit(1)
    ).scalar()
    return None if oldest is None else oldest + limit.within


def _forget(connection: Connection, now: datetime) -> None:
    # what lies far ahead was written by a clock that has been put right since: it would count for ever
    old = or_(codes_sent.c.at < now - KEPT, codes_sent.c.at > now + KEPT)
    connection.execute(delete(codes_sent).where(old))
