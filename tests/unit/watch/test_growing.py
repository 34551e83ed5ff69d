"""Reports in ``done/`` that grow with what becomes of the messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest

from dispatcher.delivery.ages import END
from dispatcher.ledger import Accepted, ClaimRequest, DeliveryReport, Ledger, RowState
from dispatcher.report.campaign import Reporter
from dispatcher.watch.growing import LOOK_EVERY, WRITE_EVERY, Growing
from dispatcher.wording import Wording
from tests.unit.loaded import START, load_campaign, loadable_row

ROWS = (2, 3, 4)
DELIVERED, EXPIRED = RowState.DELIVERED, RowState.EXPIRED


class NewLedger(Protocol):
    def __call__(self, folder: Path) -> AbstractContextManager[str]: ...


class Yard:
    """A ledger, a ``done`` folder with one file's report, and a clock that is set by hand."""

    def __init__(self, ledger: Ledger, root: Path) -> None:
        self.ledger, self.done, self.now = ledger, root / "done", START
        self.done.mkdir()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.reporter = Reporter(ledger, Wording("en"), ZoneInfo("UTC"), simulated=frozenset())
        self.kept = root / "kept.csv"
        self.kept.write_text("phone\n" + "".join(f"+3933312{n:05d}\n" for n in ROWS))
        source = {"path": str(self.done / "a.csv"), "kind": "csv", "heading_row": 1}
        self.campaign = load_campaign(
            ledger,
            1,
            [loadable_row(n) for n in ROWS],
            self.now,
            file_name="a.csv",
            input_path=str(self.kept),
            source={**source, "delimiter": ",", "encoding": "utf-8"},
            options={"watched": "folder-1"},
        )
        self._send()
        self.write(self.view(), self.done)
        self.growing = self.begin()

    def begin(self) -> Growing:
        """A watcher that has just begun."""
        return Growing(
            self.ledger, self.write, self.done, "folder-1", lambda: self.now, lambda e, **f: self.hear(e, f)
        )

    def hear(self, event: str, facts: dict[str, Any]) -> None:
        self.told.append((event, facts))

    def write(self, campaign: Any, folder: Path | None) -> Any:
        return self.reporter.write(campaign, folder, now=self.now)

    def view(self) -> Any:
        return self.ledger.queries.campaign(self.campaign)

    def _send(self) -> None:
        campaigns, rows = self.ledger.campaigns, self.ledger.rows
        assert campaigns.begin_preflight(self.campaign, self.now)
        assert campaigns.start_sending(self.campaign, self.now)
        deadline = self.now + timedelta(minutes=1)
        request = ClaimRequest(owner="o", token="t", limit=9, deadline=deadline, now=self.now)
        rows.settle_and_claim(self.campaign, [], request, self.now)
        answers = [Accepted(token="t", row=n, message_id=f"m{n}", sent_at=self.now) for n in ROWS]
        rows.settle_and_claim(self.campaign, answers, None, self.now)
        campaigns.finish_if_done(self.campaign, self.now)

    def news(self, row: int, state: RowState) -> None:
        report = DeliveryReport(message_id=f"m{row}", seen_at=self.now, state=state)
        assert self.ledger.deliveries.record("sandbox", [report], self.now).changed == 1

    def later(self, by: timedelta) -> None:
        """Time passes, and the watcher looks."""
        self.now += by
        self.growing.step()

    @property
    def statuses(self) -> list[str]:
        """What the report in ``done/`` says of each row."""
        return self.said(self.done / "a.report.csv")

    @staticmethod
    def said(path: Path) -> list[str]:
        return [line.split(",")[1] for line in path.read_text("utf-8-sig").splitlines()[1:]]

    @property
    def updates(self) -> int:
        return sum(event == "report_updated" for event, _ in self.told)


@pytest.fixture
def yard(new_ledger: NewLedger, tmp_path: Path) -> Iterator[Yard]:
    with new_ledger(tmp_path) as url:
        ledger = Ledger.open(url, create=True)
        try:
            yield Yard(ledger, tmp_path)
        finally:
            ledger.dispose()


def test_news_is_written_every_few_minutes_and_at_once_when_it_is_the_last(yard: Yard) -> None:
    yard.growing.step()
    yard.news(2, DELIVERED)
    yard.later(LOOK_EVERY)
    assert yard.statuses == ["accepted"] * 3  # the file was put away a moment ago
    yard.later(WRITE_EVERY)
    assert yard.statuses == ["delivered", "accepted", "accepted"]
    yard.news(3, DELIVERED)
    yard.later(LOOK_EVERY)
    assert yard.statuses[1] == "accepted"
    yard.news(4, EXPIRED)
    yard.later(LOOK_EVERY)
    assert yard.statuses == ["delivered", "delivered", "expired"]
    assert yard.updates == 2
    yard.later(WRITE_EVERY)
    assert yard.updates == 2
    assert yard.told[-1][1]["counts"] == {"delivered": 2, "expired": 1}


def test_without_news_nothing_is_written(yard: Yard) -> None:
    before = (yard.done / "a.report.csv").stat().st_mtime_ns
    for _ in range(3):
        yard.later(WRITE_EVERY)
    assert (yard.done / "a.report.csv").stat().st_mtime_ns == before


def test_a_watcher_that_was_away_catches_up(yard: Yard) -> None:
    yard.news(2, DELIVERED)
    yard.growing = yard.begin()
    yard.later(timedelta(hours=3))
    assert yard.statuses[0] == "delivered"


def test_a_report_that_somebody_changed_is_left_alone_until_the_last_word(yard: Yard) -> None:
    yard.growing.step()
    report = yard.done / "a.report.csv"
    report.write_text("my notes")
    yard.news(2, DELIVERED)
    yard.later(WRITE_EVERY)
    assert [each.name for each in yard.done.iterdir()] == ["a.report.csv"]
    yard.news(3, DELIVERED)
    yard.news(4, DELIVERED)
    yard.later(WRITE_EVERY)
    assert report.read_text() == "my notes"
    assert yard.said(yard.done / "a.report-2.csv") == ["delivered"] * 3


def test_one_that_is_open_in_a_spreadsheet_waits(yard: Yard) -> None:
    yard.growing.step()
    lock = yard.done / ".~lock.a.report.csv#"
    lock.touch()
    yard.news(2, DELIVERED)
    yard.later(WRITE_EVERY)
    assert yard.statuses == ["accepted"] * 3
    lock.unlink()
    yard.news(3, DELIVERED)
    yard.later(WRITE_EVERY)
    assert yard.statuses == ["delivered", "delivered", "accepted"]


def test_one_that_was_taken_away_stays_away(yard: Yard) -> None:
    yard.growing.step()
    (yard.done / "a.report.csv").unlink()
    for row in ROWS:
        yard.news(row, DELIVERED)
    yard.later(WRITE_EVERY)
    assert list(yard.done.iterdir()) == []


def test_what_was_given_up_is_in_the_report_and_then_it_is_left_in_peace(yard: Yard) -> None:
    yard.growing.step()
    yard.now += END
    assert yard.ledger.awaiting.give_up("sandbox", yard.now, yard.now) == {yard.campaign: 3}
    yard.later(timedelta(minutes=10))
    assert "no_final_word" in (yard.done / "a.report.csv").read_text("utf-8-sig")
    assert yard.growing.waits
    yard.later(timedelta(hours=7))
    assert not yard.growing.waits


def test_reports_elsewhere_are_not_the_folders(yard: Yard, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    yard.write(yard.view(), elsewhere)
    yard.news(2, DELIVERED)
    yard.growing = yard.begin()
    yard.later(WRITE_EVERY)
    assert not yard.growing.waits
    assert yard.updates == 0


def test_a_report_whose_input_is_gone_is_told_of_and_does_not_stop_the_others(yard: Yard) -> None:
    yard.growing.step()
    yard.kept.unlink()
    yard.news(2, DELIVERED)
    yard.later(WRITE_EVERY)
    assert [event for event, _ in yard.told] == ["report_not_updated"]
