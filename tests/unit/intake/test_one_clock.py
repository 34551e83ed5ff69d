"""One clock for the reminders of a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dispatcher.campaign.timing.options import TimingOptions
from dispatcher.errors import UsageError
from dispatcher.intake.one_clock import agree_on_clock
from dispatcher.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", create=True)
    yield ledger
    ledger.dispose()


def reminder(zone: str) -> TimingOptions:
    return TimingOptions(zone, remind_before="24h", date_column="when")


def test_a_clock_that_nobody_chose_does_not_replace_the_one_that_holds(ledger: Ledger) -> None:
    agree_on_clock(ledger, reminder("Europe/Rome"), chosen=False)
    agree_on_clock(ledger, reminder("Europe/Rome"), chosen=False)
    with pytest.raises(UsageError) as caught:
        agree_on_clock(ledger, reminder("UTC"), chosen=False)
    assert caught.value.code == "timing_other_clock"
    assert (caught.value.found, caught.value.facts()["agreed"]) == ("UTC", "Europe/Rome")


def test_a_clock_that_somebody_chose_holds_from_then_on(ledger: Ledger) -> None:
    agree_on_clock(ledger, reminder("Europe/Rome"), chosen=False)
    agree_on_clock(ledger, reminder("Europe/Madrid"), chosen=True)
    agree_on_clock(ledger, reminder("Europe/Madrid"), chosen=False)
    with pytest.raises(UsageError):
        agree_on_clock(ledger, reminder("Europe/Rome"), chosen=False)


@pytest.mark.parametrize(
    "timing", [None, TimingOptions("UTC"), TimingOptions("UTC", send_at="2026-12-01 09:00")]
)
def test_what_reminds_nobody_may_have_any_clock(ledger: Ledger, timing: TimingOptions | None) -> None:
    agree_on_clock(ledger, reminder("Europe/Rome"), chosen=False)
    agree_on_clock(ledger, timing, chosen=False)
