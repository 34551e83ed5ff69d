"""Texts a dry run has seen, per gateway and account, and the texts of a campaign that still need one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from sqlalchemy import delete, func, select

from dispatcher.ledger.chunks import in_chunks
from dispatcher.ledger.conditions import is_ready
from dispatcher.ledger.database import Database
from dispatcher.ledger.dry_runs import remember_dry_runs
from dispatcher.ledger.schema import rows, screenings
from dispatcher.ledger.states import RowState
from dispatcher.ledger.upsert import insert_into

T = TypeVar("T")
CHUNK = 500
Key = tuple[str, str | None, bytes]
_KEY = ("text_hash", "gateway", "account", "route", "sender")
_ANSWER = ("outcome", "parts", "encoding", "price", "seen_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """What a dry run said about one text from one sender on one route."""

    route: str
    sender: str | None
    text_hash: bytes
    outcome: str  # "passed", or the reason code it was refused with
    parts: int | None = None
    encoding: int | None = None
    price: Decimal | None = None
    seen_at: datetime
    message_id: str | None = None  # of the dry run, where it was just made

    @property
    def key(self) -> Key:
        """What it is known by."""
        return (self.route, self.sender, self.text_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinctText:
    """A text some ready rows share."""

    route: str
    sender: str | None
    text: str = field(repr=False)
    first_row: int
    rows: int
    parts: int
    encoding: int | None
    one_country: bool = True  # whether all these rows go to the same one


class Screenings:
    """The memory of dry runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, gateway: str, account: str, seen: Sequence[Screening]) -> None:
        """Remember; a newer answer for the same text replaces the older one."""
        newest = {each.key: each for each in seen}
        # in one order everywhere: two processes that remember the same texts never wait for each other
        for chunk in in_chunks(
            sorted(newest.values(), key=lambda each: (each.text_hash, *_names(each))), CHUNK
        ):
            values = [_values(gateway, account, each) for each in chunk]
            made = {each.message_id: each.seen_at for each in chunk if each.message_id is not None}
            with self._database.write() as connection:
                new = insert_into(connection, screenings)
                answer = {name: new.excluded[name] for name in _ANSWER}
                connection.execute(new.on_conflict_do_update(index_elements=_KEY, set_=answer), values)
                remember_dry_runs(connection, gateway, made)

    def known(
        self, gateway: str, account: str, since: datetime, keys: Iterable[Key]
    ) -> Mapping[Key, Screening]:
        """What is remembered of ``keys`` (route, sender, text hash) and was seen at ``since`` or later."""
        wanted = set(keys)
        mine = (
            screenings.c.gateway == gateway,
            screenings.c.account == account,
            screenings.c.seen_at >= since,
        )
        found: dict[Key, Screening] = {}
        with self._database.read() as connection:
            for chunk in in_chunks(sorted({key[2] for key in wanted}), CHUNK):
                for s in connection.execute(
                    select(screenings).where(screenings.c.text_hash.in_(chunk), *mine)
                ):
                    screening = Screening(
                        route=s.route,
                        sender=s.sender or None,
                        text_hash=bytes(s.text_hash),
                        outcome=s.outcome,
                        parts=s.parts,
                        encoding=s.encoding,
                        price=s.price,
                        seen_at=s.seen_at,
                    )
                    if screening.key in wanted:
                        found[screening.key] = screening
        return found

    def known_as(self, outcome: str, gateway: str, account: str, since: datetime) -> set[Key]:
        """The keys of what was answered with ``outcome`` at ``since`` or later."""
        s = screenings.c
        mine = (s.gateway == gateway, s.account == account, s.seen_at >= since, s.outcome == outcome)
        with self._database.read() as connection:
            found = connection.execute(select(s.route, s.sender, s.text_hash).where(*mine))
            return {(each.route, each.sender or None, bytes(each.text_hash)) for each in found}

    def has_refused(self, campaign_id: int, reason: str) -> bool:
        """Whether some row of the campaign is refused for ``reason``."""
        refused = (rows.c.campaign_id == campaign_id, rows.c.state == RowState.REFUSED)
        query = select(rows.c.row).where(*refused, rows.c.reason == reason).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def forget_before(self, moment: datetime) -> int:
        """Delete what was seen earlier; returns how many."""
        with self._database.write() as connection:
            return connection.execute(delete(screenings).where(screenings.c.seen_at < moment)).rowcount

    def distinct_texts(self, campaign_id: int) -> Iterator[DistinctText]:
        """Texts of rows that are ready, in the order of their first row, as a stream."""
        first, n = func.min(rows.c.row).label("first_row"), func.count().label("n")
        # the same text has the same parts and encoding in every row
        parts, encoding = func.min(rows.c.parts).label("parts"), func.min(rows.c.encoding).label("encoding")
        one = (func.min(rows.c.country) == func.max(rows.c.country)).label("one_country")
        query = (
            select(rows.c.route, rows.c.sender, rows.c.text, first, n, parts, encoding, one)
            .where(rows.c.campaign_id == campaign_id, is_ready())
            .group_by(rows.c.route, rows.c.sender, rows.c.text)
            .order_by(first)
        )
        with self._database.read() as connection:
            for t in connection.execution_options(yield_per=1_000).execute(query):
                yield DistinctText(
                    route=t.route,
                    sender=t.sender,
                    text=t.text,
                    first_row=t.first_row,
                    rows=t.n,
                    parts=t.parts,
                    encoding=t.encoding,
                    one_country=bool(t.one_country),
                )

    def rows_with(
        self, campaign_id: int, text: DistinctText, after_row: int, limit: int
    ) -> list[tuple[int, str]]:
        """Further ready rows (number, recipient) with that text: the next to try when a dry run said
        nothing.
        """
        query = select(rows.c.row, rows.c.recipient).where(
            rows.c.campaign_id == campaign_id,
            rows.c.row > after_row,
            is_ready(),
            rows.c.route == text.route,
            func.coalesce(rows.c.sender, "") == (text.sender or ""),
            rows.c.text == text.text,
        )
        with self._database.read() as connection:
            return [(r.row, r.recipient) for r in connection.execute(query.order_by(rows.c.row).limit(limit))]


def _names(seen: Screening) -> tuple[str, str]:
    return seen.route, seen.sender or ""


def _values(gateway: str, account: str, seen: Screening) -> dict[str, object]:
    return {
        "gateway": gateway,
        "account": account,
        "route": seen.route,
        "sender": seen.sender or "",
        "text_hash": seen.text_hash,
        "outcome": seen.outcome,
        "parts": seen.parts,
        "encoding": seen.encoding,
        "price": seen.price,
        "seen_at": seen.seen_at,
    }
