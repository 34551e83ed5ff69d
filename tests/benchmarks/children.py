"""What the benchmarks run in processes of their own: ``python -m tests.benchmarks.children NAME ARGUMENTS``.

Each prints the seconds and the processor seconds of what it is about, its imports left out.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from dispatcher.campaign.history import NoHistory
from dispatcher.campaign.plan import Planner, PlanOptions
from dispatcher.campaign.price_book import PriceBook
from dispatcher.campaign.prices import Funds
from dispatcher.intake.loading import LoadRequest, identify, load_campaign, row_tuples
from dispatcher.intake.planning import PlanRequest, history_of, make_planner
from dispatcher.lazily import arrow_without_pandas
from dispatcher.ledger import Accepted, CampaignState, ClaimRequest, Ledger
from tests.benchmarks.bench_engine import PRICE, loaded
from tests.benchmarks.sheets import TEMPLATE

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
BOOK = PriceBook.from_entries(())
GATEWAY = "simulator"


def request(file: str) -> PlanRequest:
    """The file with the benchmarks' template."""
    return PlanRequest(Path(file), options=PlanOptions(message=TEMPLATE, sender="Studio Sole"))


def planner_of(file: str) -> Planner:
    """Without a ledger's history."""
    return make_planner(request(file), BOOK, Funds({}, None), NoHistory())


def plan(file: str) -> None:
    """Plan the file to its end."""
    timed(lambda: [None for _ in planner_of(file).chunks()])


def load(file: str, folder: str) -> None:
    """Plan the file into a ledger, guard on."""
    ledger = Ledger.open(f"sqlite:///{folder}/ledger.db", create=True)
    history = history_of(ledger, GATEWAY, guard_days=7, now=NOW)

    def loading() -> None:
        asked = request(file)
        planner = make_planner(asked, BOOK, Funds({}, None), history)
        load_request = LoadRequest(
            asked, identify(asked), GATEWAY, "benchmark", Path(folder, "inputs"), BOOK, None, {}
        )
        load_campaign(ledger, planner, load_request, now=NOW, progress=lambda rows: None)

    timed(loading)
    ledger.dispose()


def beside(ledger_url: str, file: str) -> None:
    """Plan a file with texts of its own into a ledger that others work on; prints the seconds."""
    ledger = Ledger.open(ledger_url)
    asked = PlanRequest(Path(file), options=PlanOptions(sender="Studio Sole"))
    planner = make_planner(asked, BOOK, Funds({}, None), NoHistory())
    inputs = Path(file).with_suffix(".inputs")
    load_request = LoadRequest(asked, identify(asked), GATEWAY, "benchmark", inputs, BOOK, None, {})
    timed(lambda: load_campaign(ledger, planner, load_request, now=NOW, progress=lambda rows: None))
    ledger.dispose()


def claim(ledger_url: str, rows: str) -> None:
    """Send a new campaign of so many rows to nobody, 16 a transaction, with the sweep's looks; guard on."""
    ledger = Ledger.open(ledger_url, create=True)
    campaign = loaded(ledger, int(rows))

    def send() -> None:
        settled: list[Accepted] = []
        for turn in range(1_000_000):
            now, token = datetime.now(UTC), f"token-{turn}"
            request = ClaimRequest(
                owner="benchmark",
                token=token,
                limit=16,
                deadline=now + timedelta(seconds=60),
                now=now,
                guard_since=now - timedelta(days=7),
                keep_witness=True,
            )
            claimed = ledger.rows.settle_and_claim(campaign, settled, request, now).claim
            settled = [
                Accepted(token=token, row=row.row, message_id=uuid4().hex, sent_at=now, actual_cost=PRICE)
                for row in (claimed.rows if claimed else ())
            ]
            if not settled:
                return
            if turn % 10 == 0:  # the sweep, once a second
                ledger.rows.doubt_expired(now)
                ledger.queries.campaigns_in(CampaignState.SENDING)
                ledger.campaigns.due("benchmark", now)
                ledger.queries.is_outranked(campaign, now)

    timed(send)
    ledger.dispose()


def bare(file: str, folder: str) -> None:
    """The same columns into a table without keys, checks and indexes: one statement, one transaction."""
    rows = [row for chunk in planner_of(file).chunks() for row in row_tuples(chunk, BOOK)]
    with sqlite3.connect(Path(folder, "bare.db"), isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode=WAL").close()
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"CREATE TABLE bare ({', '.join(f'c{place}' for place in range(len(rows[0])))})")

        def insert() -> None:
            connection.execute("BEGIN")
            connection.executemany(f"INSERT INTO bare VALUES ({', '.join('?' * len(rows[0]))})", rows)
            connection.execute("COMMIT")

        timed(insert)


def resave(file: str, target: str) -> None:
    """What openpyxl takes to read a workbook and write it again."""
    import openpyxl

    def load_and_save() -> None:
        openpyxl.load_workbook(file).save(target)

    timed(load_and_save)


def grow(ledger: str, rows: str) -> None:
    """Sent campaigns of up to a million rows each, by SQL alone, in a ledger that holds a campaign already."""
    with sqlite3.connect(ledger) as connection:
        timed(lambda: grow_ledger(connection, int(rows)))


def grow_ledger(connection: sqlite3.Connection, rows: int) -> None:
    """See :func:`grow`; the rows are accepted, of plainly fictional people."""
    columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(campaigns)")]
    same = ", ".join(name for name in columns if name not in ("id", "file_sha256", "state"))
    for start in range(0, rows, 1_000_000):
        count = min(1_000_000, rows - start)
        campaign = connection.execute(
            f"INSERT INTO campaigns (file_sha256, state, {same}) SELECT 'grown-{start}', 10, {same}"
            " FROM campaigns WHERE id = 1"
        ).lastrowid
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)"
            " INSERT INTO rows (campaign_id, row, state, gateway_id, due_at, recipient, country, route, text,"
            " encoding, parts, reserve_cost, guard_key, repairs, attempts, attempt_token, claimed_by,"
            " attempt_started_at, deadline, message_id, sent_at)"
            " SELECT :campaign, i + 2, 4, 1, 0, '+39312' || printf('%07d', i), 'IT', 'IT', 'Message ' || i, 1, 1,"
            " 45000, randomblob(16), 0, 1, 'token-' || :campaign || '-' || i, 'gone', :at, :at,"
            " 'message-' || :campaign || '-' || i, :at FROM n",
            {"count": count, "campaign": campaign, "at": int(NOW.timestamp() * 1_000_000)},
        )
        connection.execute(
            "INSERT INTO campaign_counts (campaign_id, state, n, parts)"
            " SELECT ?, state, CASE state WHEN 4 THEN ? ELSE 0 END, CASE state WHEN 4 THEN ? ELSE 0 END"
            " FROM campaign_counts WHERE campaign_id = 1",
            (campaign, count, count),
        )
        connection.execute(
            "INSERT INTO campaign_sums VALUES (?, 'IT', 'IT', 4, ?, ?, 0, ?, 0, ?, 0, 0, 0, 0, 0, 0)",
            (campaign, *[count] * 4),
        )
        connection.commit()


def timed(work: Callable[[], object]) -> None:
    """Do it, and print how long it took."""
    started, processor = time.perf_counter(), time.process_time()
    work()
    sys.stdout.write(f"{time.perf_counter() - started:.3f} {time.process_time() - processor:.3f}\n")


if __name__ == "__main__":
    programs: dict[str, Callable[..., None]] = {
        one.__name__: one for one in (plan, load, beside, claim, bare, resave, grow)
    }
    arrow_without_pandas()  # as the commands begin
    programs[sys.argv[1]](*sys.argv[2:])
