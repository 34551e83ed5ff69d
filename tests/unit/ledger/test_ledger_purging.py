"""A purged campaign tells nothing about anybody, and everything else goes on: counts, money, guard, late reports."""

from __future__ import annotations

import json
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatcher.ledger import (
    Accepted,
    CampaignState,
    ClaimRequest,
    DeliveryReport,
    Ledger,
    RowState,
    Screening,
)
from dispatcher.ledger import purging as module
from dispatcher.ledger.claiming import GUARD_LOCKS
from dispatcher.ledger.purging import NOBODY
from dispatcher.ledger.schedules import NewSchedule
from tests.unit.loaded import START

DAY = timedelta(days=1)
LATER = START + 100 * DAY
WEEK, YEAR = 7 * DAY, 365 * DAY
LOADED = (RowState.INVALID, RowState.HIDDEN, RowState.DUPLICATE)
TRIED = (
    *(RowState.DELIVERED, RowState.UNDELIVERABLE, RowState.EXPIRED, RowState.REJECTED, RowState.ACCEPTED),
    *(RowState.REFUSED, RowState.OPTED_OUT, RowState.ALREADY_SENT, RowState.TOO_LATE, RowState.CAPPED),
)
PERSON = "recipient, text, phone, error_detail"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")  # as the tests' rows have it


def purge(ledger: Ledger, campaign: int, guard: timedelta = WEEK, now: datetime = LATER) -> bool:
    if not ledger.purging.begin(campaign, now - 90 * DAY, guard, now):
        return False
    after: int | None = -1
    while (after := ledger.purging.forget_rows(campaign, after, guard, now)) is not None:
        pass
    ledger.purging.finish(campaign, now)
    return True


def every_state(desk: Any) -> int:
    """An ended campaign with a row in every state that an ended campaign can have."""
    facts = {"phone": "333 12 000", "reason": "x"}
    loaded = [desk.row(50 + n, state, **facts) for n, state in enumerate(LOADED)]
    ready = [desk.row(2 + n, phone="+39 333") for n in range(len(TRIED) + 1)]
    campaign: int = desk.campaign([*ready, *loaded])
    for n, state in enumerate(TRIED):
        desk.bring(campaign, 2 + n, state, token=f"t{n}")
    assert desk.ledger.campaigns.cancel(campaign, desk.now)
    desk.raw("UPDATE rows SET error_detail = 'no such person' WHERE campaign_id = ?", campaign)
    return campaign


def sent(desk: Any, n: int = 5, **other: Any) -> int:
    """A finished campaign whose rows were all accepted."""
    campaign: int = desk.campaign(desk.rows(n), **other)
    for number in desk.claim(campaign, f"c{campaign}"):
        desk.settle(campaign, desk.accepted(number, f"c{campaign}", f"m{campaign}.{number}"))
    assert desk.ledger.campaigns.finish_if_done(campaign, desk.now) is CampaignState.FINISHED
    return campaign


def guard_keys(desk: Any, campaign: int) -> list[bytes | None]:
    found = desk.raw("SELECT guard_key FROM rows WHERE campaign_id = ? ORDER BY row", campaign)
    return [None if value is None else bytes(value) for (value,) in found]


def test_nothing_about_anybody_is_left_and_all_that_was_counted_is(desk: Any) -> None:
    campaign = every_state(desk)
    kept = (
        "row, state, reason, country, route, parts, estimated_cost, actual_cost, message_id, sent_at, sender"
    )
    before = desk.raw(f"SELECT {kept} FROM rows WHERE campaign_id = ? ORDER BY row", campaign)
    money = desk.ledger.queries.campaign(campaign)
    assert {RowState(row[1]) for row in before} == {*TRIED, *LOADED, RowState.CANCELLED}

    assert purge(desk.ledger, campaign)

    told = desk.raw(f"SELECT {PERSON} FROM rows WHERE campaign_id = ?", campaign)
    assert {value for row in told for value in row} <= {None, ""}
    assert set(guard_keys(desk, campaign)) == {NOBODY}
    assert desk.raw(f"SELECT {kept} FROM rows WHERE campaign_id = ? ORDER BY row", campaign) == before
    desk.check_counters(campaign)
    view = desk.ledger.queries.campaign(campaign)
    assert (view.purged_at, view.guarded_until, view.input_path) == (LATER, None, None)
    assert (view.actual_cost, view.committed_cost, view.state) == (
        money.actual_cost,
        money.committed_cost,
        money.state,
    )
    (event,) = desk.ledger.events.of(campaign, "purged")
    assert event.detail == {"rows": len(before)}


def test_options_keep_no_text_and_nothing_unknown(desk: Any) -> None:
    campaign = sent(desk, 1)
    options = (
        '{"message": "Dear Ada {{ x }}", "watched": "f1", "preflight": "auto", "news": "Ada", "cap": null}'
    )
    desk.raw("UPDATE campaigns SET options = ?, input_path = '/x/y.csv' WHERE id = ?", options, campaign)
    assert desk.ledger.purging.inputs() == {"/x/y.csv"}
    assert purge(desk.ledger, campaign)
    view = desk.ledger.queries.campaign(campaign)
    assert view.options == {"watched": "f1", "preflight": "auto", "cap": None}
    assert (view.fingerprint, desk.ledger.purging.inputs()) == ("", set())


def test_only_what_ended_long_ago_is_purged(desk: Any) -> None:
    ledger = desk.ledger
    old, doubtful, paused = sent(desk), desk.campaign(desk.rows(2)), desk.campaign(desk.rows(1))
    desk.bring(doubtful, 2, RowState.IN_DOUBT)
    assert ledger.campaigns.cancel(doubtful, desk.now)
    assert ledger.campaigns.pause(paused, desk.now)
    desk.now = START + 20 * DAY
    young = sent(desk)
    before = LATER - 90 * DAY
    assert [each.id for each in ledger.purging.ended_before(before)] == [old]
    left = [(each.id, each.state, each.in_doubt) for each in ledger.purging.left_before(before)]
    assert left == [(doubtful, CampaignState.CANCELLED, True), (paused, CampaignState.PAUSED, False)]
    for each in (doubtful, paused, young):
        assert not purge(ledger, each)
        assert ledger.queries.campaign(each).purge_begun_at is None
    assert purge(ledger, old)
    assert ledger.purging.ended_before(before) == []
    assert ledger.queries.texts(doubtful, [2]) == {2: "Hello 2"}


@pytest.mark.parametrize("steps", range(6))
def test_what_was_interrupted_goes_on_and_hashes_nothing_twice(desk: Any, steps: int) -> None:
    """Killed after so many transactions: 0 before the first, then the mark, three chunks, and an empty look."""
    campaign = sent(desk)
    ledger, after = desk.ledger, -1
    for step in range(steps):
        if step == 0:
            assert ledger.purging.begin(campaign, LATER - 90 * DAY, YEAR, LATER)
        else:
            after = ledger.purging.forget_rows(campaign, after, YEAR, LATER) or after
    view = ledger.queries.campaign(campaign)
    assert (view.purge_begun_at is not None, view.purged_at) == (steps > 0, None)
    hits = ledger.memory.guard_hits("sandbox", None, [key(n) for n in range(2, 7)], START)
    assert hits == {key(n) for n in range(2, 7)}  # also half way
    (again,) = ledger.purging.ended_before(LATER - 90 * DAY)
    assert (again.id, again.begun) == (campaign, steps > 0)
    assert purge(ledger, campaign, YEAR, LATER + DAY)
    assert ledger.queries.campaign(campaign).purged_at == LATER + DAY
    assert ledger.memory.guard_hits("sandbox", None, [key(n) for n in range(2, 7)], START) == hits


def test_the_guard_goes_on_until_its_days_are_over(desk: Any, new_desk: type[Any], tmp_path: Path) -> None:
    ledger = desk.ledger
    campaign = sent(desk)
    assert purge(ledger, campaign, YEAR)
    view = ledger.queries.campaign(campaign)
    assert view.guarded_until == START + YEAR
    hashed = guard_keys(desk, campaign)
    assert len(set(hashed)) == 5
    assert not {NOBODY, *map(key, range(2, 7))} & set(hashed)

    other = new_desk(Ledger.open(f"sqlite:///{tmp_path / 'other.db'}", create=True))
    assert purge(other.ledger, sent(other), YEAR)
    assert not set(guard_keys(other, 1)) & set(hashed)  # each ledger has its own key
    other.ledger.dispose()

    desk.now = LATER
    same = desk.campaign([*desk.rows(5), desk.row(9)])
    assert desk.claim(same, "again", guard_since=START) == [9]
    assert desk.state(same, 2) is RowState.ALREADY_SENT
    earlier = ledger.memory.sends_like(same, [2])
    assert {row: send.message_id for row, send in earlier.items()} == {2: f"m{campaign}.2"}

    assert ledger.purging.drop_hashes(START + YEAR - DAY) == 0
    assert ledger.purging.drop_hashes(START + YEAR) == 1
    assert set(guard_keys(desk, campaign)) == {NOBODY}
    assert ledger.queries.campaign(campaign).guarded_until is None
    assert ledger.memory.guard_hits("sandbox", None, [key(2), NOBODY], START - YEAR) == {NOBODY}


def test_only_what_the_guard_still_asks_about_keeps_a_hash(desk: Any) -> None:
    campaign = desk.campaign([desk.row(2), desk.row(3), desk.row(4)])
    desk.bring(campaign, 2, RowState.ACCEPTED, "a")
    desk.now = START + 5 * DAY
    desk.bring(campaign, 3, RowState.ACCEPTED, "b")
    desk.ledger.campaigns.cancel(campaign, desk.now)  # the third was never tried
    assert purge(desk.ledger, campaign, 97 * DAY)
    hashed = guard_keys(desk, campaign)
    assert [each == NOBODY for each in hashed] == [True, False, True]
    assert desk.ledger.queries.campaign(campaign).guarded_until == desk.now + 97 * DAY


def test_reports_that_come_late_still_find_their_row(desk: Any) -> None:
    campaign = sent(desk, 3)
    assert purge(desk.ledger, campaign)
    told = {"text": "Hello 2", "is_to": lambda recipient: recipient == "+393331200002"}
    report = DeliveryReport(
        message_id=f"m{campaign}.2", seen_at=LATER, state=RowState.DELIVERED, delivered_at=LATER, **told
    )
    assert desk.ledger.deliveries.record("sandbox", [report], LATER).changed == 1
    assert desk.state(campaign, 2) is RowState.DELIVERED


def test_an_answer_that_comes_very_late_is_still_written_down(desk: Any) -> None:
    campaign = desk.campaign([desk.row(2)])
    desk.bring(campaign, 2, RowState.CANCELLED)
    desk.ledger.campaigns.cancel(campaign, desk.now)
    assert purge(desk.ledger, campaign)
    answer = Accepted(token="t", row=2, message_id="late", sent_at=desk.now)
    desk.settle(campaign, answer)
    assert desk.state(campaign, 2) is RowState.ACCEPTED
    desk.check_counters(campaign)


def test_what_lies_beside_campaigns_goes_when_it_is_old(desk: Any) -> None:
    ledger = desk.ledger
    for name, at in (("old", START), ("new", LATER)):
        screening = Screening(
            route="IT", sender=None, text_hash=name.encode(), outcome="passed", seen_at=at, message_id=name
        )
        ledger.screenings.record("sandbox", "me", [screening])
    schedule = NewSchedule(
        name="s", gateway="sandbox", file="f", cron="* * * * *", timezone="UTC", late_minutes=9, options={}
    )
    ledger.schedules.add([schedule], START)
    tick = '{"facts": {"found": "Ada +393331234567", "row": 7}, "rows": 3}'
    desk.raw(
        "INSERT INTO ticks (schedule_id, at, state, owner, outcome, detail, claimed_at, finished_at)"
        " VALUES (1, 0, 3, 'o', 'sheet_cell', ?, 0, 1)",
        tick,
    )
    ledger.purging.forget_beside(LATER - DAY)
    assert [bytes(each) for (each,) in desk.raw("SELECT text_hash FROM screenings")] == [b"new"]
    assert desk.raw("SELECT message_id FROM dry_runs") == [("new",)]
    ((detail,),) = desk.raw("SELECT detail FROM ticks")
    kept = json.loads(detail) if isinstance(detail, str) else detail
    assert kept == {"facts": {"found": "", "row": 7}, "rows": 3}


def test_dry_runs_stay_while_a_row_of_their_gateway_is_in_doubt(desk: Any) -> None:
    for gateway in ("sandbox", "elsewhere"):
        desk.ledger.dry_runs.remember(gateway, f"of {gateway}", START)
    desk.campaign([desk.row(2)], gateway="elsewhere")
    doubtful = desk.campaign([desk.row(2)])
    desk.bring(doubtful, 2, RowState.IN_DOUBT, token="t")
    desk.ledger.purging.forget_beside(LATER)
    assert desk.raw("SELECT message_id FROM dry_runs") == [("of sandbox",)]
    desk.raw("UPDATE dry_runs SET gateway = 'elsewhere'")
    desk.ledger.purging.forget_beside(LATER)
    assert desk.raw("SELECT message_id FROM dry_runs") == []


def test_a_claim_never_misses_the_guard_while_hashes_change(ledger_url: str, new_desk: type[Any]) -> None:
    """One process purges, row by row in effect; another asks all the time whether these were sent."""
    desk = new_desk(Ledger.open(ledger_url, create=True))
    rows = 40
    campaign = desk.campaign(desk.rows(rows))
    for number in desk.claim(campaign, "first", limit=rows):
        desk.settle(campaign, desk.accepted(number, "first"))
    desk.ledger.campaigns.finish_if_done(campaign, desk.now)
    desk.now = LATER
    others = [desk.campaign(desk.rows(rows)) for _ in range(8)]
    over, began = threading.Event(), threading.Event()

    def purging() -> None:
        ledger = Ledger.open(ledger_url)
        began.wait(30)
        purge(ledger, campaign, YEAR)
        ledger.dispose()
        over.set()

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(purging)
        claimed: list[int] = []
        for other in others:
            for n in range(rows // 5):
                began.set()
                request = ClaimRequest(
                    owner="me",
                    token=f"{other}.{n}",
                    limit=5,
                    deadline=LATER + DAY,
                    now=LATER,
                    guard_since=START,
                )
                claim = desk.ledger.rows.settle_and_claim(other, [], request, LATER).claim
                claimed += [row.row for row in claim.rows]
        running.result(timeout=60)
    assert over.is_set()
    assert claimed == []
    assert all(desk.ledger.queries.counts(other) == {RowState.ALREADY_SENT: rows} for other in others)
    desk.ledger.dispose()


def test_on_a_server_a_chunk_waits_for_who_asks_the_guard(server_desk: Any) -> None:
    """Between a claim's look whether hashes have to be known and its look for keys, none becomes a hash."""
    desk = server_desk
    campaign = sent(desk)
    now = desk.now + 200 * DAY
    (gateway,) = desk.raw("SELECT gateway_id FROM campaigns WHERE id = ?", campaign)[0]
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'"
    )
    for step in (
        lambda: desk.ledger.purging.begin(campaign, now - 90 * DAY, YEAR, now),
        lambda: desk.ledger.purging.forget_rows(campaign, -1, YEAR, now),
    ):
        before = desk.raw("SELECT guarded_until FROM campaigns"), guard_keys(desk, campaign)
        with desk._connect() as claim, ThreadPoolExecutor(1) as thread:
            claim.execute("SELECT pg_advisory_xact_lock(%s, %s)", (GUARD_LOCKS, gateway))
            running = thread.submit(step)
            while not running.done() and not desk.raw(waiting)[0][0]:
                pass
            assert not running.done()
            assert (desk.raw("SELECT guarded_until FROM campaigns"), guard_keys(desk, campaign)) == before
            claim.commit()
            assert running.result(timeout=30)
        assert (desk.raw("SELECT guarded_until FROM campaigns"), guard_keys(desk, campaign)) != before


# --- a file really forgets

TEXT, NUMBER, WRITTEN = "Grüße an Ada Lovelace", "+393331230002", "333 1230-002"


def bytes_of(ledger: Ledger) -> bytes:
    assert ledger.path is not None
    return b"".join(path.read_bytes() for path in sorted(ledger.path.parent.glob(f"{ledger.path.name}*")))


@pytest.fixture
def file_desk(new_desk: type[Any], tmp_path: Path) -> Any:
    url = f"sqlite:///{tmp_path / 'l' / 'ledger.db'}"
    desk = new_desk(Ledger.open(url, create=True, busy_seconds=0.2))
    yield desk
    desk.ledger.dispose()


def telling_campaign(desk: Any) -> int:
    padding = [desk.row(100 + n, text="x" * 300 + str(n)) for n in range(40)]  # so that pages split
    told = {"recipient": NUMBER, "text": TEXT, "phone": WRITTEN}
    campaign: int = desk.campaign([desk.row(2, **told), *padding])
    for number in desk.claim(campaign, "t", limit=100):
        desk.settle(campaign, desk.accepted(number, "t"))
    desk.ledger.campaigns.finish_if_done(campaign, desk.now)
    return campaign


def test_the_bytes_are_gone_from_the_file_and_its_log(file_desk: Any) -> None:
    ledger = file_desk.ledger
    campaign = telling_campaign(file_desk)
    for telling in (TEXT, NUMBER, WRITTEN):
        assert telling.encode() in bytes_of(ledger)
    assert not ledger.compacting.is_due()
    assert purge(ledger, campaign)
    assert ledger.compacting.is_due()
    assert ledger.compacting.compact()
    assert not ledger.compacting.is_due()
    for telling in (TEXT, NUMBER, WRITTEN, "Ada", "xxxxxxxx"):
        assert telling.encode() not in bytes_of(ledger)
    file_desk.check_counters(campaign)
    ledger.check()


def test_while_somebody_reads_the_file_is_written_anew_another_time(file_desk: Any) -> None:
    ledger = file_desk.ledger
    campaign = telling_campaign(file_desk)
    assert ledger.path is not None
    reader = sqlite3.connect(ledger.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM rows").fetchone()
    assert purge(ledger, campaign)
    assert not ledger.compacting.compact()
    assert ledger.compacting.is_due()
    reader.execute("COMMIT")
    assert ledger.compacting.compact()
    assert TEXT.encode() not in bytes_of(ledger)
    reader.close()


def test_a_server_cleans_up(server_desk: Any) -> None:
    campaign = sent(server_desk)
    assert purge(server_desk.ledger, campaign, now=server_desk.now + 200 * DAY)
    assert server_desk.ledger.compacting.compact()
    assert not server_desk.ledger.compacting.is_due()
