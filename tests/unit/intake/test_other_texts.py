"""People who just got another text: found by the people, said when they are most of a file's, not when it is old."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from dispatcher.application import Application
from dispatcher.campaign.prices import Funds
from dispatcher.intake.house import House
from dispatcher.intake.repeats import other_texts
from dispatcher.ledger import Accepted, ClaimRequest, InDoubt, NewCampaign, Totals
from dispatcher.ledger.memory import OtherTexts
from dispatcher.settings import load
from dispatcher.wording import Wording

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)


class Office:
    """Campaigns of one ledger, planned or sent at a time of one's choice."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.ledger = house.ledger
        self._numbers = itertools.count(1)

    def planned(
        self,
        people: Sequence[int],
        text: str = "Hello",
        *,
        at: datetime = NOW,
        gateway: str = "sandbox",
        file_name: str = "clinic.xlsx",
    ) -> int:
        number = next(self._numbers)
        campaign = self.ledger.loading.create_campaign(
            NewCampaign(
                name="c",
                file_name=file_name,
                file_sha256=f"{number:064x}",
                gateway=gateway,
                fingerprint="f",
                owner="o",
            ),
            at,
        )
        self.ledger.loading.load_rows(campaign, [row(n, person, text) for n, person in enumerate(people, 2)])
        totals = Totals(rows=len(people), parts=len(people), estimated_cost=Decimal(0))
        self.ledger.loading.finish_loading(campaign, totals, at)
        return campaign

    def sent(self, people: Sequence[int], text: str = "Hello", **other: Any) -> int:
        """All of it accepted, but the last row in doubt."""
        campaign = self.planned(people, text, **other)
        at = other.get("at", NOW)
        assert self.ledger.campaigns.begin_preflight(campaign, at)
        assert self.ledger.campaigns.start_sending(campaign, at)
        request = ClaimRequest(
            owner="o", token="t", limit=10_000, deadline=at + timedelta(seconds=30), now=at
        )
        claim = self.ledger.rows.settle_and_claim(campaign, [], request, at).claim
        assert claim is not None
        *first, last = claim.rows
        answers: list[Accepted | InDoubt] = [
            Accepted(token="t", row=r.row, message_id=f"{campaign}-{r.row}", sent_at=at) for r in first
        ]
        self.ledger.rows.settle_and_claim(campaign, [*answers, InDoubt(token="t", row=last.row)], None, at)
        return campaign


def row(number: int, person: int, text: str) -> tuple[Any, ...]:
    recipient = f"+3931234{person:05d}"
    key = blake2b(f"{recipient}\0{text}".encode(), digest_size=16).digest()
    return (number, 1, None, recipient, "IT", "IT", "ACME", text, 1, 1, 0, 0, key, 0, None, None)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    configuration = load({"ledger": f"sqlite:///{tmp_path / 'ledger.db'}"}, environ={}, directory=tmp_path)
    with Application(configuration, Wording("en")) as application:
        yield Office(application.house(Funds({}, None)))


def found(office: Office, campaign: int, since: datetime = NOW - WEEK) -> OtherTexts | None:
    return office.ledger.memory.other_texts(campaign, since)


def test_a_corrected_file_is_recognised_whatever_it_is_called(office: Office) -> None:
    first = office.sent(range(300), "Helo", file_name="clinic.xlsx")
    again = office.planned([*range(270), *range(1000, 1030)], "Hello", file_name="clinic (2).xlsx")

    assert found(office, again) == OtherTexts(campaign=first, people=270)


def test_the_campaign_with_most_of_the_people_is_named_and_of_equal_ones_the_later(office: Office) -> None:
    office.sent(range(20), "one")
    second = office.sent(range(30), "two")
    third = office.sent(range(30), "three")
    office.sent(range(10), "four")

    assert second < third
    assert found(office, office.planned(range(40), "five")) == OtherTexts(campaign=third, people=30)


def test_the_same_text_is_no_other_text(office: Office) -> None:
    office.sent(range(20), "Hello")

    assert found(office, office.planned(range(20), "Hello")) is None


def test_a_person_counts_once(office: Office) -> None:
    first = office.sent([1, 1, 2, 2], "one")

    assert found(office, office.planned([1, 1, 2], "two")) == OtherTexts(campaign=first, people=2)


@pytest.mark.parametrize(
    ("earlier", "why"),
    [
        ({"gateway": "simulator"}, "went to another gateway"),
        ({"at": NOW - WEEK - timedelta(seconds=1)}, "is older than the guard days"),
    ],
)
def test_what_was_sent_elsewhere_or_long_ago_does_not_count(
    office: Office, earlier: dict[str, Any], why: str
) -> None:
    office.sent(range(20), "one", **earlier)

    assert found(office, office.planned(range(20), "two")) is None, why


def test_a_campaign_that_sent_nothing_does_not_count(office: Office) -> None:
    office.planned(range(20), "one")

    assert found(office, office.planned(range(20), "two")) is None


def test_another_account_of_the_same_gateway_does_not_count(office: Office) -> None:
    first = office.sent(range(20), "one")
    second = office.planned(range(20), "two")
    now = datetime.now(UTC)
    assert office.ledger.campaigns.set_account(first, "anna", now)
    assert found(office, second) == OtherTexts(campaign=first, people=20)
    assert office.ledger.campaigns.set_account(second, "bruno", now)

    assert found(office, second) is None


@pytest.mark.parametrize(
    ("got", "people", "said"),
    [(10, 20, True), (10, 10, True), (9, 9, False), (10, 21, False), (20, 40, True), (0, 20, False)],
)
def test_it_is_said_from_half_of_the_people_and_ten_of_them_on(
    office: Office, got: int, people: int, said: bool
) -> None:
    now = office.house.clock.now() - timedelta(days=1)
    others = list(range(5000, 5020))
    first = office.sent([*range(got), *others], "one", at=now)
    new = office.planned([*range(got), *range(9000, 9000 + people - got)], "two")

    repeated = other_texts(office.house, new)

    assert (repeated is not None) == said
    if repeated is not None:
        assert (repeated.campaign.id, repeated.people, repeated.out_of) == (first, got, people)
        assert repeated.campaign.file_name == "clinic.xlsx"
