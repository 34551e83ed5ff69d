"""How much is on its way through a gateway."""

from __future__ import annotations

from datetime import UTC, datetime

from dispatcher.ledger import Ledger
from tests.unit.loaded import load_campaign, loadable_row

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_only_what_is_being_sent_through_the_same_gateway_is_ahead(ledger: Ledger) -> None:
    assert ledger.traffic.rows_ahead("sandbox") == 0
    for number, (gateway, started) in enumerate(
        [("sandbox", True), ("sandbox", True), ("sandbox", False), ("production", True)], 1
    ):
        rows = [loadable_row(2 + n) for n in range(10 * number)]
        campaign = load_campaign(ledger, number, rows, NOW, gateway=gateway)
        ledger.campaigns.begin_preflight(campaign, NOW)
        if started:
            ledger.campaigns.start_sending(campaign, NOW)
    assert (ledger.traffic.rows_ahead("sandbox"), ledger.traffic.rows_ahead("production")) == (30, 40)
