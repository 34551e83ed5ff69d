"""What the gateway says of its messages, held against what the ledger says of its rows."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from dispatcher.errors import Unreachable
from dispatcher.ledger import RowState
from dispatcher.ledger.queries import ReportRow
from dispatcher.ledger.states import SENT
from tests.chaos.harness import Account, Battlefield, opened_ledger, settle_accounts

REPORT = (sys.executable, "-m", "dispatcher", "report")
REFRESHED = 20  # times the gateway may have to be asked
PAGE = 100
LOOKS = 1.0  # seconds between two looks at the rows' states
FINAL = {state.name: state for state in SENT - {RowState.ACCEPTED}}
SENT_CODES = frozenset(state.code for state in SENT)
MOVED_BACK = "final state moved"


@dataclass
class Heard:
    """What was answered with 200, in final states, by message."""

    final: dict[str, RowState] = field(default_factory=dict)
    total: int = 0

    def __call__(self, message_id: str, state: str) -> None:
        self.total += 1
        if state in FINAL:
            self.final[message_id] = FINAL[state]


def verdict(field: Battlefield, files: dict[Path, int], heard: Heard, account: Account) -> Account:
    """The accounts, and besides: what was acknowledged is in the ledger, and everything is as the gateway has it.

    What is not counts as lost, or as unexpected.
    """
    settle_accounts(field, files, account)
    rows = _rows(field)
    unheard = [id_ for id_, state in heard.final.items() if id_ not in rows or rows[id_].state is not state]
    account.lost += len(unheard)
    account.events["acknowledged and not in the ledger"] = len(unheard)
    account.events["callbacks answered with 200"] = heard.total
    account.events["never told"] = sum(row.state is RowState.ACCEPTED for row in rows.values())
    account.events["never told a price"] = sum(row.actual_cost is None for row in rows.values())
    bills = _refresh(field, account)
    rows, kept = _rows(field), gateway_record(field)
    account.states = Counter(row.state.code for row in rows.values())
    wrong = differences(rows, kept)
    charged = sum((Decimal(str(message["totalPrice"])) for message in kept.values()), Decimal(0))
    billed = sum((Decimal(bill["actual_cost"]) for bill in bills), Decimal(0))
    wrong.update({f"sum: {billed} of {charged}": 1} if billed != charged else {})
    counted = Counter[str]()
    for (
        bill
    ) in bills:  # a file that was run again when all was sent has a second campaign, which sends nothing
        counted.update({state: n for state, n in bill["counts"].items() if state in SENT_CODES})
    told = Counter(FINAL[message["state"]].code for message in kept.values())
    wrong.update({f"counts: {dict(counted)} of {dict(told)}": 1} if counted != told else {})
    with opened_ledger(field) as ledger:
        assert ledger is not None
        kinds = Counter(event.kind for event in ledger.events.of())
        account.events["left in the inbox"] = ledger.inbox.size()
    account.events.update({f"event {kind}": kinds[kind] for kind in NOTED})
    wrong.update({kind: kinds[kind] for kind in NEVER})
    account.events.update(wrong)
    account.unexpected += wrong.total() + account.events[MOVED_BACK]
    account.events += Counter()
    return account


NOTED = ("proved_by_report", "report_about_another", "doubt_found", "doubt_absent")
NEVER = ("second_message", "blocklisted_message", "late_success_lost_row", "message_id_taken")


def differences(rows: Mapping[str, ReportRow], kept: Mapping[str, Mapping[str, Any]]) -> Counter[str]:
    """In what the rows are not as the gateway's messages are, and how often."""
    wrong = Counter({"messages of one side only": len(rows.keys() ^ kept.keys())})
    for message_id in rows.keys() & kept.keys():
        row, message = rows[message_id], kept[message_id]
        delivered = message["deliveredAt"] and datetime.fromisoformat(message["deliveredAt"])
        cost, parts = Decimal(str(message["totalPrice"])), message["messageCount"]
        wrong["state"] += row.state is not FINAL.get(message["state"])
        wrong["cost"] += row.actual_cost != cost
        wrong["parts"] += row.parts != parts
        wrong["delivered at"] += row.delivered_at != delivered
        wrong["recipient"] += row.recipient != message["recipient"]
    return +wrong


def gateway_record(field: Battlefield) -> dict[str, dict[str, Any]]:
    """Every message that was sent, as the gateway lists it."""
    found: dict[str, dict[str, Any]] = {}
    with httpx.Client(
        base_url=field.simulator.url, headers={"Authorization": "Bearer simulator"}, timeout=60
    ) as client:
        skip = 0
        while page := client.get("/messages", params={"skip": skip, "limit": PAGE}).json()["data"]:
            skip += len(page)
            found |= {message["id"]: message for message in page if not message["options"]["dryRun"]}
    return found


@contextmanager
def final_states_watched(field: Battlefield, account: Account) -> Iterator[None]:
    """Looks again and again, and counts each row that left a final state."""
    over, seen = threading.Event(), dict[str, RowState]()

    def watch() -> None:
        while not over.wait(LOOKS):
            with suppress(Unreachable):  # a ledger that is loaded, or whose server is away
                for message_id, row in _rows(field).items():
                    account.events[MOVED_BACK] += seen.get(message_id, row.state) is not row.state
                    if row.state is not RowState.ACCEPTED:
                        seen[message_id] = row.state

    thread = threading.Thread(target=watch, name="states")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _rows(field: Battlefield) -> dict[str, ReportRow]:
    """The rows that have a message, by it."""
    with opened_ledger(field) as ledger:
        campaigns = ledger.queries.campaigns(limit=1_000) if ledger else []
        every = [row for each in campaigns if ledger for row in ledger.queries.report_rows(each.id)]
    return {row.message_id: row for row in every if row.message_id is not None and row.state in SENT}


def _refresh(field: Battlefield, account: Account) -> list[dict[str, Any]]:
    """``report ID --refresh`` of each campaign until nothing awaits; what each said at last."""
    with opened_ledger(field) as ledger:
        assert ledger is not None
        campaigns = [campaign.id for campaign in ledger.queries.campaigns(limit=1_000)]
    return [_refreshed(field, account, campaign) for campaign in campaigns]


def _refreshed(field: Battlefield, account: Account, campaign: int) -> dict[str, Any]:
    log = field.folder / "report.log"
    for _ in range(REFRESHED):
        log.unlink(missing_ok=True)
        asked = field.launch([*REPORT, str(campaign), "--refresh", "--json"], log.stem)
        code = asked.wait(timeout=300)
        assert code in (0, 1), f"report ended with {code}: {log.read_text()}"
        account.events["asked"] += 1
        said: dict[str, Any] = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
        if not said["counts"].get("accepted") and not said["accepted_unpriced"]:
            break
    return said
