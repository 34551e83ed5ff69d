"""What a campaign cost and what became of it.

Its sums are kept (:mod:`dispatcher.ledger.sums`).  Where all rows have to be looked at, it is done in stretches of the
primary key: one GROUP BY over a million of them would sort them all in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, and_, func, or_, select, type_coerce

from dispatcher.ledger.database import Database
from dispatcher.ledger.schema import rows
from dispatcher.ledger.states import PROBLEM, SENT, RowState
from dispatcher.ledger.sums import campaign_sums
from dispatcher.ledger.values import from_instant, to_instant

STRETCH = 50_000  # row numbers that are added up at a time
_NOTHING = Decimal(0)

_estimated, _charged = rows.c.estimated_cost, rows.c.actual_cost
# a row that the plan found free is one whose parts a bundle was to pay
_bundled = _estimated == _NOTHING
_recounted = or_(rows.c.actual_parts.is_not(None), rows.c.actual_encoding.is_not(None))


@dataclass(slots=True, kw_only=True)
class BillGroup:
    """Rows of one route, country and state, added up.

    ``parts`` are the plan's.  ``estimated`` leaves out ``unestimated`` rows, ``charged`` those that are ``unpriced``:
    the gateway has not said what they cost.  ``bundled`` rows were to be paid by a bundle whole, so their estimate
    is 0; ``bundled_charged`` is what the gateway names for them all the same.  ``dearer``, ``cheaper``: rows, the
    bundled ones left out.  ``recounted``: rows whose parts or encoding the gateway counted otherwise.
    """

    route: str | None
    country: str | None
    state: RowState
    rows: int = 0
    parts: int = 0
    estimated: Decimal = _NOTHING
    unestimated: int = 0
    charged: Decimal = _NOTHING
    unpriced: int = 0
    bundled: int = 0
    bundled_parts: int = 0
    bundled_charged: Decimal = _NOTHING
    dearer: int = 0
    cheaper: int = 0
    recounted: int = 0

    def add(self, other: BillGroup) -> None:
        """Count in further rows."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_SUMS = tuple(
    name for name in BillGroup.__dataclass_fields__ if name not in ("route", "country", "state")
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A sent row that was charged, or counted, otherwise than planned.

    ``actual_parts`` and ``actual_encoding`` are None where they are as planned, ``charged`` while it is unknown.
    """

    row: int
    route: str
    country: str | None
    parts: int
    encoding: int | None
    estimated: Decimal | None
    charged: Decimal | None
    actual_parts: int | None
    actual_encoding: int | None

    @property
    def is_bundled(self) -> bool:
        """Whether a bundle was to pay for it, so that the charge is no difference of prices."""
        return self.estimated == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A stretch of time that begins at ``at``: how many messages were sent and reached an end in it."""

    at: datetime
    sent: int
    delivered: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """``moments`` are those in which something happened, each ``width`` long, in order."""

    width: timedelta
    moments: Sequence[Moment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A row that needs a person's eye, and why."""

    row: int
    state: RowState
    reason: str | None
    error_code: str | None
    error_detail: str | None


class Bills:
    """Sums over a campaign's rows, in bounded memory at any size."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def groups(self, campaign_id: int) -> list[BillGroup]:
        """All rows of the campaign by route, country and state; each group has rows."""
        query = select(campaign_sums).where(campaign_sums.c.campaign_id == campaign_id, campaign_sums.c.n > 0)
        with self._database.read() as connection:
            found = [_group(row) for row in connection.execute(query)]
        return sorted(found, key=lambda group: (group.route or "", group.country or "", group.state))

    def differences(self, campaign_id: int, *, bundled: bool) -> Iterator[Difference]:
        """Sent rows whose charge, parts or encoding are not as planned, in row order, as a stream.

        Either those that a bundle was to pay for, or all others.
        """
        chosen = (rows.c.campaign_id == campaign_id, rows.c.state.in_(SENT))
        priced = (_estimated.is_not(None), _charged.is_not(None), _charged != _estimated)
        other = or_(and_(*priced), _recounted)
        of_bundle = _bundled if bundled else or_(_estimated.is_(None), _estimated != _NOTHING)
        columns = [rows.c[name] for name in ("row", "route", "country", "parts", "encoding")]
        query = select(
            *columns,
            _estimated.label("estimated"),
            _charged.label("charged"),
            rows.c.actual_parts,
            rows.c.actual_encoding,
        ).where(*chosen, other, of_bundle)
        with self._database.read() as connection:
            streamed = connection.execution_options(yield_per=2_000)
            for row in streamed.execute(query.order_by(rows.c.row)).mappings():
                yield Difference(**row)

    def problems(self, campaign_id: int) -> Iterator[Problem]:
        """Every row that needs a person's eye, in row order, as a stream."""
        query = select(*(rows.c[name] for name in Problem.__dataclass_fields__)).where(
            rows.c.campaign_id == campaign_id, rows.c.state.in_(PROBLEM)
        )
        with self._database.read() as connection:
            streamed = connection.execution_options(yield_per=2_000)
            for row in streamed.execute(query.order_by(rows.c.row)).mappings():
                yield Problem(**row)

    def timeline(self, campaign_id: int, most: int) -> Timeline | None:
        """When messages were sent and reached their end, in at most ``most`` stretches; None before the first."""
        with self._database.read() as connection:
            stretches = list(_stretches(connection, campaign_id))
            ends = [connection.execute(_ENDS.where(*stretch)).one() for stretch in stretches]
            known = [moment for end in ends for moment in end if moment is not None]
            if not known:
                return None
            width = _width(max(known) - min(known), most)
            micros = width // timedelta(microseconds=1)
            start = to_instant(min(known)) // micros * micros
            counted: dict[int, list[int]] = {}
            for place, (moment, states) in enumerate(_HAPPENINGS):
                slot = ((type_coerce(moment, BigInteger) - start) // micros).label("slot")
                query = select(slot, func.count().label("n")).where(
                    rows.c.state.in_(states), moment.is_not(None)
                )
                for stretch in stretches:
                    for each in connection.execute(query.where(*stretch).group_by("slot")):
                        counted.setdefault(int(each.slot), [0, 0, 0])[place] += each.n
        moments = [
            Moment(at=from_instant(start + slot * micros), sent=n[0], delivered=n[1], failed=n[2])
            for slot, n in sorted(counted.items())
        ]
        return Timeline(width=width, moments=moments)


_HAPPENINGS: Sequence[tuple[Any, Collection[RowState]]] = (
    (rows.c.sent_at, SENT),
    (rows.c.delivered_at, {RowState.DELIVERED}),
    (rows.c.delivered_at, SENT - {RowState.ACCEPTED, RowState.DELIVERED}),
)
_WIDTHS = tuple(
    timedelta(seconds=seconds)
    for seconds in (10, 30, *(60 * n for n in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 10_080)))
)


def _width(whole: timedelta, most: int) -> timedelta:
    """The shortest stretch of which ``most`` are enough."""
    fitting = (width for width in _WIDTHS if whole // width + 2 <= most)
    return next(fitting, timedelta(days=whole.days // most + 2))


def _group(row: Row[Any]) -> BillGroup:
    sums = {name: getattr(row, name) for name in _SUMS if name != "rows"}
    return BillGroup(
        route=row.route or None, country=row.country or None, state=row.state, rows=row.n, **sums
    )


_ENDS = select(
    func.min(rows.c.sent_at),
    func.max(rows.c.sent_at),
    func.min(rows.c.delivered_at),
    func.max(rows.c.delivered_at),
)


def _stretches(connection: Connection, campaign_id: int) -> Iterator[tuple[Any, Any]]:
    """Conditions that choose all rows of the campaign, some at a time."""
    of_campaign = rows.c.campaign_id == campaign_id
    last = connection.execute(select(func.max(rows.c.row)).where(of_campaign)).scalar()
    for start in range(0, (last or 0) + 1, STRETCH):
        yield of_campaign, rows.c.row.between(start, start + STRETCH - 1)
