"""The listing as a stream: each message once, whatever the gateway does between two pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dispatcher.errors import UsageError
from dispatcher.gateway.client import Page
from dispatcher.gateway.masking import ShownMessage
from dispatcher.gateway.models import Message, MessageState
from dispatcher.intake.listed import Listed, Wanted, list_messages, read_bound, read_recipient, read_states

ROME = ZoneInfo("Europe/Rome")
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def messages(n: int, first: int = 0) -> list[Message]:
    return [Message(id=f"m{first + i}", message="Hello.", recipient="+393331234567") for i in range(n)]


@dataclass
class Lister:
    """A gateway whose listing may change between two pages, and the slots that were taken for it."""

    listing: list[Message]
    between: Callable[[Lister], None] = lambda _: None
    unreadable: int = 0
    slots: int = 0
    asked: list[int] = field(default_factory=list)

    async def slot(self) -> None:
        self.slots += 1

    async def messages(self, skip: int = 0, limit: int = 100) -> Page:
        if self.asked:
            self.between(self)
        self.asked.append(skip)
        page = tuple(self.listing[skip : skip + limit])
        bad = self.unreadable if page else 0
        return Page(messages=page, server_date=None, unreadable=bad, count=len(page) + bad)

    def house(self) -> Any:
        @asynccontextmanager
        async def services() -> AsyncIterator[Any]:
            yield SimpleNamespace(slot=self.slot, gateway=self)

        return SimpleNamespace(services=services)


def listed(lister: Lister, wanted: Wanted | None = None, most: int = 10**9) -> tuple[Listed, list[str]]:
    told: list[str] = []

    def tell(found: Sequence[ShownMessage]) -> bool:
        told.extend(each.id for each in found)
        return len(told) < most

    return list_messages(lister.house(), wanted or Wanted(), tell), told


def newer_ones(lister: Lister) -> None:
    if len(lister.asked) < 4:  # a listing that grows faster than it is read has no end
        lister.listing[:0] = messages(7, first=10_000 + len(lister.asked) * 7)


def touched_ones_move_to_the_end(lister: Lister) -> None:
    lister.listing.append(lister.listing.pop(0))


def test_pages_are_read_to_the_end_each_by_a_slot() -> None:
    lister = Lister(messages(250))
    found, told = listed(lister)
    assert (found, told) == (
        Listed(n=250, complete=True, limited=False, unreadable=False),
        [f"m{n}" for n in range(250)],
    )
    assert lister.slots == len(lister.asked)


@pytest.mark.parametrize("between", [newer_ones, touched_ones_move_to_the_end])
def test_a_listing_that_shifts_shows_each_message_once(between: Callable[[Lister], None]) -> None:
    lister = Lister(messages(400), between)
    found, told = listed(lister)
    assert len(told) == len(set(told)) == found.n
    assert set(told) >= {f"m{n}" for n in range(400)}
    assert found.complete


def test_what_may_have_been_passed_over_is_said() -> None:
    def vanish(lister: Lister) -> None:
        del lister.listing[:30]

    found, told = listed(Lister(messages(400), vanish))
    assert not found.complete
    assert len(told) == len(set(told)) < 400


def test_a_gateway_that_does_not_page_is_given_up() -> None:
    lister = Lister(messages(50))

    async def always_the_same(skip: int = 0, limit: int = 100) -> Page:
        lister.asked.append(skip)
        return Page(messages=tuple(lister.listing), server_date=None, unreadable=0, count=50)

    lister.messages = always_the_same  # type: ignore[method-assign]
    found, told = listed(lister)
    assert (found.complete, len(told), len(lister.asked) < 20) == (False, 50, True)


def test_what_cannot_be_read_makes_a_listing_incomplete() -> None:
    found, told = listed(Lister(messages(5), unreadable=1))
    assert (len(told), found.complete, found.unreadable) == (5, False, True)


@pytest.mark.parametrize(("limit", "pages"), [(1, 1), (100, 1), (101, 2)])
def test_a_limit_ends_the_reading(limit: int, pages: int) -> None:
    lister = Lister(messages(500))
    found, told = listed(lister, Wanted(limit=limit))
    assert (len(told), found.limited, found.complete, len(lister.asked)) == (limit, True, False, pages)


def test_who_stops_reading_ends_the_paging() -> None:
    lister = Lister(messages(500))
    found, told = listed(lister, most=1)
    assert (len(told), len(lister.asked), found.complete) == (100, 1, False)


@pytest.mark.parametrize(
    ("wanted", "facts", "fits"),
    [
        ({}, {}, True),
        ({"states": {MessageState.EXPIRED}}, {"state": "EXPIRED"}, True),
        ({"states": {MessageState.EXPIRED}}, {"state": "NEW"}, False),
        ({"states": {MessageState.EXPIRED}}, {}, False),
        ({"recipient": "+393331234567"}, {"recipient": "393331234567"}, True),
        ({"recipient": "+393331234567"}, {"recipient": "3331234567"}, True),
        ({"recipient": "+393331234567"}, {"recipient": "+343331234567"}, False),
        ({"recipient": "+393331234567"}, {"recipient": "4567"}, False),
        ({"recipient": "+393331234567"}, {}, False),
        ({"since": NOON}, {"createdAt": "2026-12-01T12:00:00Z"}, True),
        ({"since": NOON}, {"createdAt": "2026-12-01T11:59:59Z"}, False),
        ({"until": NOON}, {"createdAt": "2026-12-01T11:59:59Z"}, True),
        ({"until": NOON}, {"createdAt": "2026-12-01T12:00:00Z"}, False),
        ({"until": NOON}, {}, False),
    ],
)
def test_filters(wanted: dict[str, Any], facts: dict[str, Any], fits: bool) -> None:
    assert Wanted(**wanted).fits(Message.model_validate({"id": "m", **facts})) is fits


@pytest.mark.parametrize(
    ("text", "end", "moment"),
    [
        ("2026-12-01", False, datetime(2026, 12, 1, tzinfo=ROME)),
        ("2026-12-01", True, datetime(2026, 12, 2, tzinfo=ROME)),
        ("2026-12-01 09:30", True, datetime(2026, 12, 1, 9, 30, tzinfo=ROME)),
        ("25/12/2026", False, datetime(2026, 12, 25, tzinfo=ROME)),
        ("2026-10-25", True, datetime(2026, 10, 25, tzinfo=ROME) + timedelta(days=1)),
    ],
)
def test_bounds_are_by_the_operators_clock(text: str, end: bool, moment: datetime) -> None:
    assert read_bound(text, "--until", ROME, end=end) == moment


@pytest.mark.parametrize("text", ["", "tomorrow", "01/02/2026", "2026-12-01T09:30Z", "2026-02-30"])
def test_what_is_no_bound(text: str) -> None:
    with pytest.raises(UsageError, match="message_moment"):
        read_bound(text, "--since", ROME)


def test_words_for_states_and_numbers() -> None:
    assert read_states(["expired", "NEW", "expired"]) == {MessageState.EXPIRED, MessageState.NEW}
    with pytest.raises(UsageError, match="message_state"):
        read_states(["gone"])
    assert read_recipient("333 123 4567", "IT") == "+393331234567"
    with pytest.raises(UsageError, match="message_number"):
        read_recipient("12", "IT")
