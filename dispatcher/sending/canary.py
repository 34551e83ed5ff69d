"""Canaries: which rows go first, and what their fate says about the rest.  Pure: rows in, a judgement out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from dispatcher.ledger.canaries import CanaryRow, Candidate
from dispatcher.ledger.states import SENT, RowState
from dispatcher.sending.stops import Stop

DEARER_BY = Decimal("1.10")  # a part may cost so much of its estimate
DELIVERED_SHARE = 0.5  # of those that are final, at least
R = RowState
_OPEN = {R.ACCEPTED, R.SENDING, R.IN_DOUBT}
_GONE_OUT = SENT | {R.SENDING, R.IN_DOUBT, R.REFUSED}
Place = tuple[str, str]  # route and country


def choose(candidates: Iterable[Candidate], wanted: int) -> list[int]:
    """So many row numbers, spread over routes and countries: each gets one as long as there are enough, the largest
    first, then shares by size.  The first rows of each; the same plan always gives the same rows.

    Reads the candidates once, in row order, and keeps no more than ``wanted`` of each place.
    """
    first: dict[Place, list[int]] = defaultdict(list)
    sizes: Counter[Place] = Counter()
    for candidate in candidates:
        place = candidate.route, candidate.country or ""
        sizes[place] += 1
        if len(first[place]) < wanted:
            first[place].append(candidate.row)
    shares = allot(sizes, wanted)
    return sorted(row for place, share in shares.items() for row in first[place][:share])


def allot(sizes: Mapping[Place, int], wanted: int) -> dict[Place, int]:
    """How many of each place; together ``wanted``, or all there are."""
    places = sorted(sizes, key=lambda place: (-sizes[place], place))
    shares = dict.fromkeys(places[:wanted], 1)
    while sum(shares.values()) < min(wanted, sum(sizes.values())):
        # to whom one more row is the smallest part of its own: by size, and never more than there are
        open_places = [place for place in places if shares[place] < sizes[place]]
        neediest = min(open_places, key=lambda place: (shares[place] / sizes[place], places.index(place)))
        shares[neediest] += 1
    return shares


@dataclass(frozen=True)
class Difference:
    """A row that turned out otherwise: ``planned`` and ``found`` are parts, an encoding's number, or a price a part."""

    row: int
    what: str  # parts, encoding or price: canary.<what> in the catalogue
    planned: Decimal | int | None
    found: Decimal | int | None


@dataclass(frozen=True)
class Judgement:
    """What became of the rows that went first.  ``stops``: why the rest must not go by itself, the gravest first."""

    accepted: int
    delivered: int
    final: int
    refused: int
    in_doubt: int
    differences: Sequence[Difference]
    stops: Sequence[Stop]

    @property
    def detail(self) -> dict[str, object]:
        """For the journal: counts, codes and row numbers."""
        counts = {
            name: getattr(self, name) for name in ("accepted", "delivered", "final", "refused", "in_doubt")
        }
        rows = [f"{one.row}:{one.what}" for one in self.differences[:20]]
        return {**counts, "stops": [str(stop) for stop in self.stops], "differences": rows}


def is_settled(rows: Iterable[CanaryRow]) -> bool:
    """Whether waiting longer would tell nothing: every message is final and has its price.

    Of a row in doubt a callback may still tell.
    """
    return all(
        row.state not in _OPEN and (row.state not in SENT or row.actual_cost is not None) for row in rows
    )


def were_tried(rows: Iterable[CanaryRow]) -> bool:
    """Whether any of them went out; all may have been left out by a rule meanwhile."""
    return any(row.state in _GONE_OUT for row in rows)


def judge(rows: Sequence[CanaryRow], bundled: Collection[str] = ()) -> Judgement:
    """Rows that a rule left out say nothing.  Where a price is not known, or a bundle was to pay, none is compared.

    ``bundled``: routes of which the plan takes parts out of a bundle.  The estimate of a row there may cover only what
    the bundle left of it, and nobody knows which rows the gateway takes out of it.
    """
    states = Counter(row.state for row in rows)
    accepted, final = (
        sum(states[state] for state in SENT),
        sum(states[state] for state in SENT - {R.ACCEPTED}),
    )
    refused, doubt = states[R.REFUSED] + states[R.REJECTED], states[R.IN_DOUBT] + states[R.SENDING]
    differences = [
        difference for row in rows if row.state in SENT for difference in _differences(row, bundled)
    ]
    kinds = {difference.what for difference in differences}
    found = {
        Stop.CANARY_REFUSED: refused > 0,
        Stop.CANARY_IN_DOUBT: doubt > 0,
        Stop.CANARY_SILENT: accepted > 0 and final == 0,
        Stop.CANARY_UNDELIVERED: final > 0 and states[R.DELIVERED] < final * DELIVERED_SHARE,
        Stop.CANARY_PRICE: "price" in kinds,
        Stop.CANARY_PARTS: bool(kinds & {"parts", "encoding"}),
    }
    stops = [stop for stop, holds in found.items() if holds]
    return Judgement(accepted, states[R.DELIVERED], final, refused, doubt, differences, stops)


def _differences(row: CanaryRow, bundled: Collection[str]) -> list[Difference]:
    found: list[Difference] = []
    if row.actual_parts is not None:
        found.append(Difference(row.row, "parts", row.parts, row.actual_parts))
    if row.actual_encoding is not None:
        found.append(Difference(row.row, "encoding", row.encoding, row.actual_encoding))
    if row.estimated_cost and row.actual_cost is not None and row.route not in bundled:
        planned = row.estimated_cost / row.parts
        price = row.actual_cost / (row.actual_parts or row.parts)
        if price > planned * DEARER_BY:
            found.append(Difference(row.row, "price", planned, price))
    return found
