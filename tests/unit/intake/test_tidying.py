"""What the dead left is tidied up, and what the living are at is let be, wherever they live."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dispatcher.intake.tidying import discard_dead_plans, tidy
from dispatcher.ledger import CampaignState, ClaimRequest, Ledger, NewCampaign, RowState
from dispatcher.sending.owners import OwnerLock, Owners
from tests.unit.loaded import load_campaign, loadable_row

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", create=True)
    yield opened
    opened.dispose()


def loading_of(ledger: Ledger, owner: str) -> int:
    """A plan that ``owner`` is writing down."""
    new = NewCampaign(
        name="c", file_name="c.csv", file_sha256=f"{owner:>064}", gateway="g", fingerprint="f", owner=owner
    )
    return ledger.loading.create_campaign(new, NOW)


def claimed_by(ledger: Ledger, owner: str, ready: int = 0) -> int:
    """A campaign of which ``owner`` is sending a row, and so many are ready."""
    campaign = load_campaign(ledger, 1, [loadable_row(2 + n) for n in range(1 + ready)], NOW)
    ledger.campaigns.begin_preflight(campaign, NOW)
    ledger.campaigns.start_sending(campaign, NOW)
    request = ClaimRequest(owner=owner, token="t", limit=1, deadline=NOW + timedelta(minutes=1), now=NOW)
    assert ledger.rows.settle_and_claim(campaign, [], request, now=NOW).claim
    return campaign


@pytest.mark.parametrize(
    ("who", "place", "tidied"),
    [
        ("killed", "here", True),
        ("alive", "here", False),
        # its lock is on a disk that this machine cannot see, or another file has its name here
        ("killed", "another machine", False),
        ("alive", "another machine", False),
        ("nobody", None, True),
    ],
)
def test_only_a_proof_lets_others_have_what_a_process_left(
    ledger: Ledger, tmp_path: Path, who: str, place: str | None, tidied: bool
) -> None:
    owners = Owners(ledger, tmp_path / "owners", timedelta(minutes=5))
    with OwnerLock(tmp_path / "owners") as alive:
        lock = alive.path if who == "alive" else tmp_path / "owners" / "killed.lock"
        if place is not None:
            host = owners.place if place == "here" else place
            ledger.processes.register(who, pid=1, host=host, role="run", lock_path=str(lock), now=NOW)
        plan, campaign = loading_of(ledger, who), claimed_by(ledger, who)

        tidy(ledger, owners, NOW)

        assert (CampaignState.LOADING in {each.state for each in ledger.queries.campaigns()}) is not tidied
        assert (plan in {each.id for each in ledger.queries.campaigns()}) is not tidied
        state = RowState.IN_DOUBT if tidied else RowState.SENDING
        assert ledger.queries.counts(campaign) == {state: 1}
        assert {each.owner for each in ledger.processes.all()} == (
            set() if tidied or place is None else {who}
        )
        assert alive.path.exists()


def test_a_claim_is_doubted_when_its_deadline_has_passed_whoever_has_it(
    ledger: Ledger, tmp_path: Path
) -> None:
    owners = Owners(ledger, tmp_path / "owners", timedelta(minutes=5))
    ledger.processes.register(
        "elsewhere", pid=1, host="another machine", role="worker", lock_path="/x.lock", now=NOW
    )
    campaign = claimed_by(ledger, "elsewhere")
    tidy(ledger, owners, NOW + timedelta(minutes=2))
    assert ledger.queries.counts(campaign) == {RowState.IN_DOUBT: 1}


@pytest.mark.parametrize(("lay_still", "paused"), [(timedelta(hours=23), False), (timedelta(days=2), True)])
def test_what_is_tidied_up_in_a_campaign_is_no_sign_that_somebody_sends_it(
    ledger: Ledger, tmp_path: Path, lay_still: timedelta, paused: bool
) -> None:
    owners = Owners(ledger, tmp_path / "owners", timedelta(minutes=5))
    campaign = claimed_by(ledger, "killed", ready=1)
    now = NOW + lay_still
    tidy(ledger, owners, now)
    found = ledger.queries.campaign(campaign)
    assert ledger.queries.counts(campaign) == {RowState.IN_DOUBT: 1, RowState.READY: 1}
    expected = (CampaignState.PAUSED, "screened_long_ago") if paused else (CampaignState.SENDING, None)
    assert (found.state, found.state_reason) == expected


def test_the_dead_plans_can_be_discarded_alone(ledger: Ledger, tmp_path: Path) -> None:
    owners = Owners(ledger, tmp_path / "owners", timedelta(minutes=5))
    plan, campaign = loading_of(ledger, "killed"), claimed_by(ledger, "killed", ready=1)
    before = ledger.queries.campaign(campaign)
    discard_dead_plans(ledger, owners, NOW + timedelta(days=2))
    assert plan not in {each.id for each in ledger.queries.campaigns()}
    assert ledger.queries.campaign(campaign) == before


@pytest.mark.parametrize(("later", "discarded"), [(timedelta(minutes=30), False), (timedelta(hours=2), True)])
def test_a_plan_of_another_machine_keeps_its_file_for_an_hour_at_most(
    ledger: Ledger, tmp_path: Path, later: timedelta, discarded: bool
) -> None:
    owners = Owners(ledger, tmp_path / "owners", timedelta(minutes=5))
    ledger.processes.register(
        "elsewhere", pid=1, host="another machine", role="run", lock_path="/x.lock", now=NOW
    )
    plan = loading_of(ledger, "elsewhere")
    discard_dead_plans(ledger, owners, NOW + later)
    assert (plan not in {each.id for each in ledger.queries.campaigns()}) is discarded
