"""Polling on the stage: what is listed, what is asked one by one, what is recorded, and when it ends."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dispatcher.campaign.reasons import Reason
from dispatcher.delivery.ages import END, HARD_END, Timetable
from dispatcher.delivery.polling import BLOCKLISTED, Poller
from dispatcher.delivery.share import Share
from dispatcher.errors import Unreachable
from dispatcher.gateway.models import EchoedOptions, Message, MessageState
from dispatcher.ledger import CampaignState, RowState
from dispatcher.ledger.awaiting import NO_FINAL_WORD, Asked
from tests.unit.loaded import loadable_row

ALL = Asked("sandbox")
S = MessageState


def sent(stage: Any, rows: Any, **campaign: Any) -> int:
    """A campaign that was sent whole."""
    number: int = stage.campaign(rows, **campaign)
    stage.run(stage.lane(number).run())
    stage.ledger.campaigns.finish_if_done(number, stage.now)
    return number


def becomes(stage: Any, state: MessageState, *texts: str, **other: Any) -> None:
    """The gateway's messages of these texts (none: all) are in ``state`` now."""
    facts = {"state": state, "delivered_at": stage.now if state is S.DELIVERED else None, **other}
    stage.gateway.listed = [
        message.model_copy(update=facts) if not texts or message.message in texts else message
        for message in stage.gateway.listed
    ]


def sweep(stage: Any, asked: Asked = ALL) -> Any:
    return stage.run(Poller(stage.services(), "sandbox").sweep(asked))


def rounds(stage: Any, timetable: Timetable, waits: list[timedelta]) -> list[Any]:
    """One round after each wait, with one memory."""
    poller = Poller(stage.services(), "sandbox")
    found = []
    for wait in waits:
        stage.clock.elapsed += wait.total_seconds()
        found.append(stage.run(poller.round(timetable)))
    return found


def others(stage: Any, n: int) -> None:
    """So many messages of the account that are none of ours, newer than what is listed so far."""
    stage.gateway.listed += [stage.gateway.make("+393331200000", "of somebody else") for _ in range(n)]


@pytest.mark.parametrize("newest_first", [True, False])
def test_one_page_tells_what_became_of_a_hundred(stage: Any, newest_first: bool) -> None:
    stage.gateway.newest_first = newest_first
    campaign = sent(stage, 90)
    becomes(stage, S.DELIVERED)
    becomes(stage, S.UNDELIVERABLE, "Hello 2")
    becomes(stage, S.EXPIRED, "Hello 3")
    becomes(stage, S.REJECTED, "Hello 4")
    becomes(stage, S.PENDING, "Hello 5")
    polled = sweep(stage)
    assert (polled.awaited, polled.requests, polled.changed, polled.left) == (90, 1, 89, 0)
    assert stage.counts(campaign) == {
        RowState.ACCEPTED: 1,
        RowState.DELIVERED: 86,
        RowState.UNDELIVERABLE: 1,
        RowState.EXPIRED: 1,
        RowState.REJECTED: 1,
    }
    assert all(at is not None for at in stage.rows(campaign, "delivered_at")[4:])


def test_nothing_awaits_nothing_is_asked(stage: Any) -> None:
    sent(stage, 3)
    becomes(stage, S.DELIVERED)
    sweep(stage)
    taken = stage.pace.taken
    assert sweep(stage).requests == 0
    assert stage.pace.taken == taken


def test_every_request_takes_a_slot(stage: Any) -> None:
    sent(stage, 150)
    before = stage.pace.taken
    polled = sweep(stage)
    assert polled.requests == stage.gateway.pages_read == stage.pace.taken - before == 2


def test_the_walk_ends_when_all_have_been_seen(stage: Any) -> None:
    others(stage, 1_000)
    sent(stage, 150)
    becomes(stage, S.DELIVERED)
    assert sweep(stage).requests == 2
    assert not stage.gateway.asked_for


def test_few_messages_behind_many_of_ours_are_asked_one_by_one(stage: Any) -> None:
    """The newest come first: two of yesterday lie behind what went out since."""
    old = sent(stage, [loadable_row(2, text="old"), loadable_row(3, text="old")])
    stage.clock.elapsed += 86_400
    sent(stage, [loadable_row(n) for n in range(2, 192)])
    becomes(stage, S.DELIVERED)
    polled = sweep(stage, Asked("sandbox", campaign_id=old))
    assert (polled.awaited, polled.requests, polled.changed) == (2, 2, 2)
    assert stage.gateway.pages_read == 0
    assert stage.counts(old) == {RowState.DELIVERED: 2}


def test_a_listing_that_begins_with_the_oldest_costs_twice_the_cheaper_way_at_most(stage: Any) -> None:
    stage.gateway.newest_first = False
    others(stage, 3_000)
    campaign = sent(stage, 8)
    becomes(stage, S.DELIVERED)
    polled = sweep(stage)
    assert polled.requests == 16  # eight pages in vain, then one by one
    assert stage.counts(campaign) == {RowState.DELIVERED: 8}


def test_what_is_not_listed_yet_is_asked_one_by_one_and_no_more_of_it_than_pages_were_read(
    stage: Any,
) -> None:
    campaign = sent(stage, 40)
    stage.gateway.lag = 3_600.0
    becomes(stage, S.DELIVERED)
    polled = sweep(stage)
    assert (polled.changed, polled.left) == (40, 0)  # nothing was listed, so no page was read
    assert stage.counts(campaign) == {RowState.DELIVERED: 40}


def test_what_a_lagging_listing_does_not_show_is_left_for_the_next_time(stage: Any) -> None:
    old = sent(stage, [loadable_row(n, text=f"old {n}") for n in range(2, 32)])
    stage.clock.elapsed += 7_200
    young = sent(stage, 30)
    stage.gateway.lag = 3_600.0
    becomes(stage, S.DELIVERED)
    polled = sweep(stage)
    assert stage.counts(old) == {RowState.DELIVERED: 30}
    assert polled.left == 25
    assert stage.counts(young) == {RowState.ACCEPTED: 25, RowState.DELIVERED: 5}


def test_another_accounts_listing_proves_nothing_and_records_nothing(stage: Any) -> None:
    campaign = sent(stage, 20)
    assert stage.view(campaign).account == "acme"
    becomes(stage, S.DELIVERED, username="mallory")
    polled = sweep(stage)
    assert polled.foreign
    assert (polled.requests, polled.changed) == (1, 0)
    assert stage.counts(campaign) == {RowState.ACCEPTED: 20}


def test_another_accounts_message_asked_for_by_its_id_records_nothing(stage: Any) -> None:
    campaign = sent(stage, 1)
    becomes(stage, S.DELIVERED, username="mallory")
    assert sweep(stage).changed == 0
    stage.gateway.listed.clear()  # and an id that this account does not know is no news
    assert sweep(stage).changed == 0
    assert stage.gateway.asked_for == ["m1", "m1"]
    assert stage.counts(campaign) == {RowState.ACCEPTED: 1}


def test_a_worldwide_price_that_comes_later_is_learnt_before_and_after_the_last_word(stage: Any) -> None:
    rows = [loadable_row(n, route="WW", country="FR") for n in (2, 3)]
    stage.gateway.answering = lambda asked: stage.gateway.accept(asked, total_price=Decimal(0))
    campaign = sent(stage, rows)
    assert stage.view(campaign).accepted_unpriced == 2
    becomes(stage, S.DELIVERED, "Hello 2", total_price=Decimal(0))
    becomes(stage, S.PENDING, "Hello 3", total_price=Decimal("0.07"))
    assert sweep(stage).changed == 2
    assert (stage.view(campaign).accepted_unpriced, stage.view(campaign).actual_cost) == (1, Decimal("0.07"))
    becomes(stage, S.DELIVERED, total_price=Decimal("0.07"))
    assert sweep(stage).awaited == 2
    assert (stage.view(campaign).accepted_unpriced, stage.view(campaign).actual_cost) == (0, Decimal("0.14"))
    assert sweep(stage).awaited == 0


def test_a_dry_run_in_the_listing_is_no_word_about_a_row(stage: Any) -> None:
    campaign = sent(stage, 2)
    becomes(stage, S.DELIVERED)
    first, second = stage.gateway.listed
    stage.gateway.listed = [first.model_copy(update={"options": EchoedOptions(dry_run=True)}), second]
    stage.ledger.dry_runs.remember("sandbox", second.id, stage.now)
    assert sweep(stage).changed == 0
    assert stage.counts(campaign) == {RowState.ACCEPTED: 2}


def test_a_blocklisted_message_of_ours_stops_the_account_once(stage: Any) -> None:
    campaign = sent(stage, 2)
    other = stage.campaign(2, account="acme")
    becomes(stage, S.PENDING, "Hello 2", blocklisted=True)
    sweep(stage)
    assert stage.state(other) == (CampaignState.HALTED, "account_blocklisted")
    assert [stop.account for stop in stage.ledger.halts.in_force("sandbox")] == ["acme"]
    assert len(stage.events(BLOCKLISTED)) == 1
    # a person has looked at it: the same message does not stop them again
    assert stage.ledger.halts.lift("sandbox", "acme", "anna", stage.now)
    assert stage.ledger.campaigns.resume(other, stage.now)
    sweep(stage)
    assert stage.state(other)[0] is CampaignState.SENDING
    assert stage.counts(campaign) == {RowState.ACCEPTED: 2}


def test_a_message_that_is_none_of_ours_stops_nothing(stage: Any) -> None:
    sent(stage, 2)
    others(stage, 1)
    stage.gateway.listed[-1] = stage.gateway.listed[-1].model_copy(update={"blocklisted": True})
    sweep(stage)
    assert not stage.ledger.halts.in_force("sandbox")


def test_a_throttled_listing_slows_everybody_down(stage: Any) -> None:
    sent(stage, 2)

    def too_much(skip: int, limit: int) -> None:
        raise Unreachable("gateway_throttled", host="gateway", retry_after=7.0)

    stage.gateway.before_page = too_much
    with pytest.raises(Unreachable):
        sweep(stage)
    assert stage.pace.slowed == [7.0]


@pytest.mark.parametrize(("sending", "part"), [(True, 0.05), (False, 0.5)])
def test_polling_takes_a_bounded_part_of_the_limit(stage: Any, sending: bool, part: float) -> None:
    sent(stage, 40)
    if sending:
        stage.campaign(1)
    stage.gateway.cap, stage.pace.rate = 10, 10.0  # short pages, and few requests a second
    began = stage.clock.elapsed
    polled = sweep(stage)
    assert polled.requests >= 4
    least = (polled.requests - 1) / (10.0 * part)
    assert least <= stage.clock.elapsed - began < 2 * least


def test_however_low_the_limit_somebody_asks(stage: Any) -> None:
    share = Share(stage.pace, stage.clock)
    found = []
    for limit in (600, 60, 4, 1):  # requests a minute
        stage.pace.rate = limit / 60
        found.append(round(60 * share.rate, 3))
    assert found == [30, 3, 1, 0.25]


def test_a_message_is_asked_about_the_seldomer_the_older_it_is(stage: Any) -> None:
    sent(stage, 1)
    timetable, minutes = Timetable(), [timedelta(seconds=30)] * (2 * 60 * 3)
    asked = [polled.awaited if polled else 0 for polled in rounds(stage, timetable, minutes)]
    first_hour, last = asked[: 2 * 60], asked[2 * 60 * 2 :]
    assert 7 <= sum(first_hour) <= 12
    assert sum(last) == 1
    assert sum(asked[:4]) >= 2


def test_asking_ends_after_48_hours_and_a_margin_and_the_row_says_so(stage: Any) -> None:
    campaign = sent(stage, 3)
    becomes(stage, S.DELIVERED, "Hello 2")
    timetable = Timetable()
    rounds(stage, timetable, [timedelta(hours=1)] * 53)
    assert stage.rows(campaign, "reason") == [None, None, None]
    rounds(stage, timetable, [timedelta(hours=1)] * 3)
    assert stage.rows(campaign, "reason") == [None, NO_FINAL_WORD, NO_FINAL_WORD]
    assert stage.counts(campaign) == {RowState.ACCEPTED: 2, RowState.DELIVERED: 1}
    assert [event.detail["rows"] for event in stage.events(NO_FINAL_WORD)] == [2]
    requests = stage.pace.taken
    rounds(stage, timetable, [timedelta(hours=1)] * 10)
    assert stage.pace.taken == requests
    # whoever asks for this campaign asks all the same, and hears it
    becomes(stage, S.EXPIRED, "Hello 3")
    assert sweep(stage, Asked("sandbox", campaign_id=campaign)).awaited == 0
    assert sweep(stage, Asked("sandbox", campaign_id=campaign, given_up=True)).changed == 1
    assert stage.counts(campaign)[RowState.EXPIRED] == 1
    assert stage.rows(campaign, "reason") == [None, None, NO_FINAL_WORD]
    assert NO_FINAL_WORD in set(Reason)


def test_who_was_accepted_by_a_blocklisted_account_is_asked_about_like_any_other(stage: Any) -> None:
    campaign = sent(stage, 3)
    stage.sql("UPDATE rows SET reason = 'blocklisted_with_it'")
    becomes(stage, S.DELIVERED, "Hello 2")
    polled = sweep(stage)
    assert (polled.awaited, polled.changed) == (3, 1)
    assert stage.counts(campaign)[RowState.DELIVERED] == 1
    rounds(stage, Timetable(), [timedelta(days=9)])
    assert stage.rows(campaign, "reason") == ["blocklisted_with_it", NO_FINAL_WORD, NO_FINAL_WORD]


def test_what_was_accepted_long_before_anybody_could_ask_is_asked_about_once(stage: Any) -> None:
    late, gone = "Hello 2", "Hello 3"
    campaign = sent(stage, 2)
    becomes(stage, S.EXPIRED, late)
    becomes(stage, S.PENDING, gone)
    (polled,) = rounds(stage, Timetable(), [timedelta(days=9)])
    assert (polled.awaited, polled.changed) == (2, 1)
    assert stage.rows(campaign, "reason") == [None, NO_FINAL_WORD]


def test_what_a_foreign_token_cannot_ask_about_is_given_up_much_later(stage: Any) -> None:
    campaign = sent(stage, 10)
    becomes(stage, S.DELIVERED, username="mallory")
    timetable = Timetable()
    rounds(stage, timetable, [END + timedelta(hours=1)])
    assert set(stage.rows(campaign, "reason")) == {None}
    rounds(stage, timetable, [HARD_END])
    assert set(stage.rows(campaign, "reason")) == {NO_FINAL_WORD}


def test_a_gateway_that_is_away_gives_nothing_up_and_is_asked_again(stage: Any) -> None:
    campaign = sent(stage, 10)

    def away(skip: int, limit: int) -> None:
        raise Unreachable("gateway_not_reached", host="gateway", reason="down")

    stage.gateway.before_page = away
    timetable = Timetable()
    with pytest.raises(Unreachable):
        rounds(stage, timetable, [timedelta(hours=60)])
    assert set(stage.rows(campaign, "reason")) == {None}
    stage.gateway.before_page = lambda skip, limit: None
    becomes(stage, S.EXPIRED)
    rounds(stage, timetable, [timedelta(minutes=1)])
    assert stage.counts(campaign) == {RowState.EXPIRED: 10}


def test_another_gateways_messages_are_not_asked_about(stage: Any) -> None:
    sent(stage, 2, gateway="production")
    assert sweep(stage).awaited == 0


def test_a_decision_of_a_person_has_no_message_to_ask_about(stage: Any) -> None:
    campaign = sent(stage, 2)
    stage.sql("UPDATE rows SET message_id = NULL, decided_at = 1 WHERE campaign_id = ? AND row = 2", campaign)
    assert sweep(stage).awaited == 1


def test_the_gateways_own_count_of_parts_is_news(stage: Any) -> None:
    sent(stage, 1)
    becomes(stage, S.PENDING, message_count=2)
    listed: Message = stage.gateway.listed[0]
    assert listed.message_count == 2
    told: list[Any] = []
    record = stage.ledger.deliveries.record
    stage.ledger.deliveries.record = lambda *args: told.append(args) or record(*args)
    sweep(stage)
    assert [report.parts for _, reports, _ in told for report in reports] == [2]
