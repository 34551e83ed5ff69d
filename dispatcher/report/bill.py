"""The bill of a campaign: what was estimated, what the dry runs said, what the gateway charges, and what is open.

Like is compared with like: the estimate beside a charge is that of the messages which were sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from dispatcher.ledger import CampaignView, Ledger
from dispatcher.ledger.bills import BillGroup
from dispatcher.ledger.forecasts import Foretold
from dispatcher.ledger.states import SENT, RowState


@dataclass(frozen=True, slots=True)
class BillLine:
    """What was sent by one route to one country, or by one route, or in all (``route`` is then None)."""

    route: str | None
    country: str | None
    sums: BillGroup

    @property
    def estimated(self) -> Decimal | None:
        """The estimate of these messages; None when none of them had a price."""
        return known_sum(self.sums.estimated, self.sums.unestimated, self.sums.rows)

    @property
    def charged(self) -> Decimal | None:
        """What the gateway says they cost; None while it has named no price."""
        return known_sum(self.sums.charged, self.sums.unpriced, self.sums.rows)

    @property
    def from_wallet(self) -> Decimal | None:
        """What is charged for messages that the plan did not give to a bundle."""
        open_rows, unpriced = self.sums.rows - self.sums.bundled, self.sums.unpriced
        return known_sum(self.sums.charged - self.sums.bundled_charged, unpriced, open_rows)


@dataclass(frozen=True)
class CampaignBill:
    """``lines`` are per route and country, ``routes`` per route; both hold only what was sent.

    ``bundle_parts``: by route, the parts that the plan took out of bundles, whether sent or not.  ``dry_runs``: by
    route, what dry runs said; they name list prices, bundles or not.
    """

    currency: str
    planned_cost: Decimal | None
    planned_unpriced: int
    total: BillLine
    routes: Sequence[BillLine]
    lines: Sequence[BillLine]
    bundle_parts: Mapping[str, int]
    dry_runs: Mapping[str, Foretold]
    groups: Sequence[BillGroup]

    @property
    def dry_run(self) -> Foretold | None:
        """What dry runs said in all; None when they named no price."""
        said = self.dry_runs.values()
        if not said:
            return None
        return Foretold(
            rows=sum(each.rows for each in said), cost=sum((each.cost for each in said), Decimal(0))
        )

    @property
    def has_bundles(self) -> bool:
        """Whether the plan gave anything to a bundle."""
        return bool(self.bundle_parts) or self.total.sums.bundled > 0

    @property
    def differing(self) -> int:
        """Rows whose price, parts or encoding are not as planned; one that differs in two ways may count twice."""
        sums = self.total.sums
        return sums.dearer + sums.cheaper + sums.recounted


def bill_of(ledger: Ledger, campaign: CampaignView) -> CampaignBill:
    """The campaign's bill from its kept sums: as quick for a million rows as for one."""
    return add_up(
        ledger.bills.groups(campaign.id),
        currency=campaign.currency,
        planned=(campaign.estimated_cost, campaign.unpriced_rows),
        bundle_parts=ledger.forecasts.bundles(campaign.id),
        dry_runs=ledger.forecasts.dry_runs(campaign.id),
    )


def add_up(
    groups: Sequence[BillGroup],
    *,
    currency: str,
    planned: tuple[Decimal | None, int],
    bundle_parts: Mapping[str, int],
    dry_runs: Mapping[str, Foretold],
) -> CampaignBill:
    """The bill of rows that are added up already; ``planned`` is the plan's cost and the rows it leaves out."""
    sent = [group for group in groups if group.state in SENT]
    cost, unpriced = planned
    return CampaignBill(
        currency=currency,
        planned_cost=None if unpriced and not cost else cost,
        planned_unpriced=unpriced,
        total=_line(None, None, sent),
        routes=_lines(sent, lambda group: (group.route, None)),
        lines=_lines(sent, lambda group: (group.route, group.country)),
        bundle_parts=bundle_parts,
        dry_runs=dry_runs,
        groups=groups,
    )


def _lines(
    groups: Iterable[BillGroup], key: Callable[[BillGroup], tuple[str | None, str | None]]
) -> list[BillLine]:
    found: dict[tuple[str | None, str | None], list[BillGroup]] = {}
    for group in groups:
        found.setdefault(key(group), []).append(group)
    return [
        _line(*name, found[name]) for name in sorted(found, key=lambda each: (each[0] or "", each[1] or ""))
    ]


def _line(route: str | None, country: str | None, groups: Iterable[BillGroup]) -> BillLine:
    sums = BillGroup(route=route, country=country, state=RowState.ACCEPTED)
    for group in groups:
        sums.add(group)
    return BillLine(route, country, sums)


def known_sum(amount: Decimal, unknown: int, rows: int) -> Decimal | None:
    """A sum of known prices; None when nothing in it is known, since that is not the same as free."""
    return None if rows and unknown >= rows else amount
