"""Newer versions of a file of appointments, and what still waits of the older ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dispatcher.intake.superseding import supersede_older
from dispatcher.ledger import CampaignState, Ledger, RowState
from tests.unit.loaded import load_campaign, loadable_row

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
DUE = NOW + timedelta(days=1)
ANNA, LUCA = "+393123456789", "+393987654321"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", create=True)
    yield opened
    opened.dispose()


def begun(
    ledger: Ledger, number: int, *people: str, offset: str | None = "24h", path: str = "/c.xlsx"
) -> int:
    """A campaign that waits: so many people, reminded ``offset`` before."""
    rows = [loadable_row(2 + n, recipient=who, due_at=DUE) for n, who in enumerate(people)]
    options = {} if offset is None else {"remind_before": offset}
    campaign = load_campaign(ledger, number, rows, NOW, options=options, source={"path": path})
    ledger.campaigns.begin_preflight(campaign, NOW)
    ledger.campaigns.start_sending(campaign, NOW)
    assert ledger.campaigns.finish_if_done(campaign, NOW) is CampaignState.WAITING
    return campaign


def test_people_of_the_newer_version_are_reminded_by_it_alone(ledger: Ledger) -> None:
    older = begun(ledger, 1, ANNA, LUCA)
    newer = begun(ledger, 2, ANNA)
    assert supersede_older(ledger, ledger.queries.campaign(newer), NOW) == 1
    assert ledger.queries.counts(older) == {RowState.READY: 1, RowState.CANCELLED: 1}
    assert ledger.queries.counts(newer) == {RowState.READY: 1}
    (cancelled,) = [row for row in ledger.queries.report_rows(older) if row.state is RowState.CANCELLED]
    assert (cancelled.recipient, cancelled.reason) == (ANNA, "superseded")


def test_an_older_version_of_which_nothing_is_left_is_finished(ledger: Ledger) -> None:
    older = begun(ledger, 1, ANNA)
    newer = begun(ledger, 2, ANNA, LUCA)
    assert supersede_older(ledger, ledger.queries.campaign(newer), NOW) == 1
    assert ledger.queries.campaign(older).state is CampaignState.FINISHED


@pytest.mark.parametrize(
    ("offset", "path"),
    [("2h", "/c.xlsx"), (None, "/c.xlsx"), ("24h", "/d.xlsx")],
    ids=["other", "none", "file"],
)
def test_another_reminder_another_file_and_no_reminder_are_let_be(
    ledger: Ledger, offset: str | None, path: str
) -> None:
    older = begun(ledger, 1, ANNA, offset=offset, path=path)
    newer = begun(ledger, 2, ANNA)
    assert supersede_older(ledger, ledger.queries.campaign(newer), NOW) == 0
    assert supersede_older(ledger, ledger.queries.campaign(older), NOW) == 0  # the newer one is not older
    assert ledger.queries.counts(older) == {RowState.READY: 1}
