"""Rows that are too late, whose window is closed, or whose people have had enough: what a claim does with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dispatcher.ledger import CampaignState, RowState, to_instant
from dispatcher.ledger.versions import Overlap

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class OpenFrom:
    """Closed until ``opens``, for Spain only; None never opens."""

    def __init__(self, opens: datetime | None) -> None:
        self.opens = opens

    def next(self, country: str | None, start: datetime, end: datetime) -> datetime | None:
        if country != "ES" or (self.opens is not None and start >= self.opens):
            return start
        return self.opens


def timed(desk: Any, number: int, *, until: datetime | None = None, **other: Any) -> tuple[Any, ...]:
    row = desk.row(number, **other)
    return (*row, None, None if until is None else to_instant(until))


def due_at(desk: Any, campaign: int, row: int) -> int:
    return int(desk.raw("SELECT due_at FROM rows WHERE campaign_id = ? AND row = ?", campaign, row)[0][0])


def test_what_is_of_no_use_any_more_is_never_claimed(desk: Any) -> None:
    rows = [timed(desk, 2, until=desk.now - MINUTE), timed(desk, 3, until=desk.now), timed(desk, 4)]
    campaign = desk.campaign(rows)
    assert desk.claim(campaign, "a") == [3, 4]
    assert desk.state(campaign, 2) is RowState.TOO_LATE
    desk.check_counters(campaign)


def test_what_would_be_late_by_its_slot_is_late_now(desk: Any) -> None:
    campaign = desk.campaign(
        [timed(desk, 2, until=desk.now + 2 * MINUTE), timed(desk, 3, until=desk.now + HOUR)]
    )
    assert desk.claim(campaign, "a", starts_within=3 * MINUTE) == [3]
    assert desk.state(campaign, 2) is RowState.TOO_LATE


def test_what_passed_while_a_campaign_was_paused_is_not_caught_up(desk: Any) -> None:
    campaign = desk.campaign([timed(desk, 2, until=desk.now + HOUR)])
    assert desk.ledger.campaigns.pause(campaign, desk.now)
    desk.now += 2 * HOUR
    assert desk.ledger.campaigns.resume(campaign, desk.now)
    assert desk.claim(campaign, "a") == []
    assert desk.state(campaign, 2) is RowState.TOO_LATE
    assert desk.ledger.campaigns.finish_if_done(campaign, desk.now) is CampaignState.FINISHED
    desk.check_counters(campaign)


def test_a_row_whose_window_closed_waits_for_the_next_one(desk: Any) -> None:
    opens = desk.now + 12 * HOUR
    rows = [timed(desk, 2, country="ES"), timed(desk, 3), timed(desk, 4, country="ES", until=opens - MINUTE)]
    campaign = desk.campaign(rows)
    assert desk.claim(campaign, "a", windows=OpenFrom(opens)) == [3]
    assert desk.state(campaign, 2) is RowState.READY
    assert due_at(desk, campaign, 2) == to_instant(opens)
    assert desk.state(campaign, 4) is RowState.TOO_LATE  # of no use by then
    desk.settle(campaign, desk.accepted(3, "a"))
    assert desk.ledger.campaigns.finish_if_done(campaign, desk.now) is CampaignState.WAITING
    assert desk.ledger.campaigns.due("sandbox", opens - MINUTE) == []
    assert desk.ledger.campaigns.due("sandbox", opens) == [campaign]
    desk.now = opens
    assert desk.ledger.campaigns.wake(campaign, desk.now)
    assert desk.claim(campaign, "b", windows=OpenFrom(opens)) == [2]
    desk.check_counters(campaign)


def test_a_window_that_never_opens_makes_a_row_too_late(desk: Any) -> None:
    campaign = desk.campaign([timed(desk, 2, country="ES")])
    assert desk.claim(campaign, "a", windows=OpenFrom(None)) == []
    assert desk.state(campaign, 2) is RowState.TOO_LATE


def test_nobody_gets_more_than_the_cap_over_all_campaigns(desk: Any) -> None:
    one, other = {"recipient": "+393123456789"}, {"recipient": "+393987654321"}
    first = desk.campaign([timed(desk, 2, **one)])
    assert desk.claim(first, "a") == [2]
    second = desk.campaign([timed(desk, 12, **one), timed(desk, 13, **other), timed(desk, 14, **other)])
    limits = {"most_per_person": 1, "capped_since": desk.now - 24 * HOUR}
    assert desk.claim(second, "b", **limits) == [13]  # what is on its way counts, and what is claimed with it
    assert [desk.state(second, row) for row in (12, 14)] == [RowState.CAPPED, RowState.CAPPED]
    desk.check_counters(second)


def test_the_cap_forgets_and_does_not_count_what_was_never_sent(desk: Any) -> None:
    one = {"recipient": "+393123456789"}
    first = desk.campaign([timed(desk, 2, **one), timed(desk, 3, **one)])
    assert desk.claim(first, "a", 1) == [2]
    desk.settle(first, desk.accepted(2, "a"))
    assert desk.claim(first, "b") == [3]
    desk.settle(first, desk.not_sent(3, "b"))  # it never left
    desk.now += 25 * HOUR
    second = desk.campaign([timed(desk, 12, **one)])
    limits = {"most_per_person": 1, "capped_since": desk.now - 24 * HOUR}
    assert desk.claim(second, "c", **limits) == [12]


def test_an_opt_out_acts_on_rows_that_already_wait(desk: Any) -> None:
    later = desk.now + 24 * HOUR
    campaign = desk.campaign([timed(desk, 2, due_at=later), timed(desk, 3, due_at=later)])
    assert desk.ledger.campaigns.finish_if_done(campaign, desk.now) is CampaignState.WAITING
    recipient = desk.raw("SELECT recipient FROM rows WHERE campaign_id = ? AND row = 2", campaign)[0][0]
    desk.ledger.opt_outs.add([recipient], "list", desk.now)
    desk.now = later
    assert desk.ledger.campaigns.wake(campaign, desk.now)
    assert desk.claim(campaign, "a") == [3]
    assert desk.state(campaign, 2) is RowState.OPTED_OUT


def test_waking_twice_is_waking_once(desk: Any) -> None:
    later = desk.now + HOUR
    campaign = desk.campaign([timed(desk, 2, due_at=later)])
    assert desk.ledger.campaigns.finish_if_done(campaign, desk.now) is CampaignState.WAITING
    assert desk.ledger.campaigns.wake(campaign, later)
    assert not desk.ledger.campaigns.wake(campaign, later)
    assert desk.ledger.campaigns.pause(campaign, later)
    assert not desk.ledger.campaigns.wake(campaign, later)


def test_no_row_is_put_off_until_it_is_of_no_use(desk: Any, refusals: Any) -> None:
    campaign = desk.campaign([timed(desk, 2, until=desk.now + HOUR)])
    late = to_instant(desk.now + 2 * HOUR)
    assert desk.refusal("UPDATE rows SET due_at = ? WHERE campaign_id = ?", late, campaign)
    with pytest.raises(refusals):
        desk.raw("UPDATE rows SET due_at = ? WHERE campaign_id = ?", late, campaign)


def test_when_people_got_something_lately(desk: Any) -> None:
    one = "+393123456789"
    campaign = desk.campaign([timed(desk, 2, recipient=one), timed(desk, 3, recipient=one)])
    assert desk.claim(campaign, "a", 1) == [2]
    times = desk.ledger.memory.sent_times
    assert times("sandbox", [one], desk.now - HOUR) == {one: [desk.now]}
    assert times("production", [one], desk.now - HOUR) == {}
    assert times("sandbox", [one], desk.now) == {}


def test_what_waits_of_an_older_version_is_withdrawn(desk: Any) -> None:
    later, moved, gone = desk.now + 24 * HOUR, "+393123456789", "+393987654321"
    rows = [timed(desk, 2, recipient=moved, due_at=later), timed(desk, 3, recipient=gone, due_at=later)]
    older = desk.campaign(rows)
    assert desk.ledger.campaigns.finish_if_done(older, desk.now) is CampaignState.WAITING
    newer = desk.campaign([timed(desk, 2, recipient=moved, due_at=later + HOUR)])
    versions = desk.ledger.versions
    found = Overlap(waiting=2, found=1, same=True, later=True)
    assert versions.overlap(newer, older, by_key=False) == found
    # the keys of these rows begin with the same eight zeros
    assert versions.overlap(newer, older, by_key=True) == replace(found, found=2)
    assert versions.withdraw(newer, older, desk.now) == 2
    assert versions.withdraw(newer, older, desk.now) == 0
    assert [desk.state(older, row) for row in (2, 3)] == [RowState.CANCELLED, RowState.CANCELLED]
    assert desk.state(newer, 2) is RowState.READY
    desk.check_counters(older)


def test_a_person_who_can_be_read_somewhere_in_the_newer_version_is_known(desk: Any) -> None:
    later, invalid = desk.now + 24 * HOUR, RowState.INVALID
    unread, read, gone = "+393123456789", "+393987654321", "+393471234567"
    people = [unread, unread, read, gone]
    rows = [timed(desk, 2 + n, recipient=who, due_at=later) for n, who in enumerate(people)]
    older = desk.campaign(rows)
    newer = desk.campaign(
        [
            timed(desk, 2, state=invalid, recipient=unread, guard_key=None, reason="x"),
            timed(desk, 3, state=invalid, recipient=None, guard_key=None, reason="x"),
            timed(desk, 4, state=invalid, recipient=read, guard_key=None, reason="x"),
            timed(desk, 9, recipient=read, due_at=later),
            timed(desk, 10, recipient=read, due_at=later),
        ]
    )
    versions = desk.ledger.versions
    found = Overlap(waiting=4, found=1, same=False, later=False)
    assert versions.overlap(newer, older, by_key=False) == found
    assert versions.withdraw(newer, older, desk.now) == 2
    ready, cancelled = RowState.READY, RowState.CANCELLED
    assert [desk.state(older, 2 + n) for n in range(4)] == [ready, ready, cancelled, cancelled]
    desk.check_counters(older)


@pytest.mark.long
@pytest.mark.parametrize("common", [0, 7])
def test_large_versions_are_compared_at_once(server_desk: Any, common: int) -> None:
    """Row by row this would be 900 million comparisons."""
    desk, later = server_desk, server_desk.now + 24 * HOUR
    older = desk.campaign([timed(desk, 2 + n, due_at=later) for n in range(30_000)])
    begins = 30_002 - common
    newer = desk.campaign([timed(desk, begins + n, due_at=later) for n in range(30_000)])
    versions = desk.ledger.versions
    found = Overlap(waiting=30_000, found=common, same=common > 0, later=False)
    assert versions.overlap(newer, older, by_key=False) == found
    assert versions.withdraw(newer, older, desk.now) == 30_000
    desk.check_counters(older)
