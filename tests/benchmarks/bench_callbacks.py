"""Callbacks stored a second: the server in a process of its own, on a ledger in a file at ``synchronous=FULL``.

``python -m tests.benchmarks.bench_callbacks --rows 20000``

A gateway in this process posts a callback for each of so many accepted rows, signed, over as many connections as a
provider may use; each is answered once it is on the disk.  At the end every row must be delivered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import aiohttp

from dispatcher.gateway.signing import SIGNATURE_HEADER, Signer
from dispatcher.ledger import Accepted, Ledger, RowState
from tests.unit.loaded import load_campaign, loadable_row

SECRET = "the secret of a benchmark"
CHUNK = 2_000


def accepted_rows(ledger: Ledger, rows: int, now: datetime) -> int:
    """A campaign whose rows the gateway has all taken."""
    campaign = load_campaign(
        ledger, 1, [loadable_row(row) for row in range(1, rows + 1)], now, gateway="simulator"
    )
    ledger.campaigns.begin_preflight(campaign, now)
    ledger.campaigns.start_sending(campaign, now)
    for first in range(0, rows, CHUNK):
        token = f"t{first}"
        until = now + timedelta(minutes=5)
        claim = ledger.rows.claim(campaign, owner="o", token=token, limit=CHUNK, deadline=until, now=now)
        answers = [
            Accepted(token=token, row=each.row, message_id=f"m{each.row}", sent_at=now) for each in claim.rows
        ]
        ledger.rows.settle_and_claim(campaign, answers, None, now)
    return campaign


@contextmanager
def serving(ledger_url: str) -> Iterator[str]:
    """`dispatcher serve` in a process of its own; gives its address."""
    command = [sys.executable, "-m", "dispatcher", "serve", "--port", "0", "--json", "--gateway", "simulator"]
    env = {**os.environ, "DISPATCHER_LEDGER": ledger_url, "DISPATCHER_CALLBACK_SECRET": SECRET}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        print(f"processor time of the server: {used.ru_utime + used.ru_stime:.1f} s")


async def post_all(url: str, ledger_id: str, campaign: int, rows: int, connections: int) -> Counter[int]:
    """A callback for each row; gives the statuses."""
    signer, statuses, waiting = Signer(SECRET), Counter[int](), iter(range(1, rows + 1))

    async def post(session: aiohttp.ClientSession) -> None:
        for row in waiting:
            key = f"{ledger_id}.{campaign}.{row}"
            body = {
                "id": f"m{row}", "username": "simulator", "state": "DELIVERED", "sender": "ACME",
                "recipient": f"+3933312{row:05d}", "countryCode": "IT", "message": f"Hello {row}", "encoding": "GSM-7",
                "charactersCount": 9, "messageCount": 1, "price": 0.04, "totalPrice": 0.04, "blocklisted": False,
                "options": {"dryRun": False}, "callback": {"url": url, "custom": {"row": key}},
                "createdAt": "2026-03-02T09:00:00.000Z", "deliveredAt": "2026-03-02T09:00:05.000Z",
            }  # fmt: skip
            headers = {SIGNATURE_HEADER: signer.signature(key)}
            status = 0
            while status != 200:  # above the server's own bound, as a gateway would: again
                async with session.post(url, json=body, headers=headers) as answer:
                    await answer.read()  # else its connection is not used again
                    status = answer.status
                statuses[status] += 1

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as posts:
        for _ in range(connections):
            posts.create_task(post(session))
    return statuses


def measure(rows: int, connections: int) -> float:
    """Callbacks stored a second."""
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'ledger.db'}"
        ledger = Ledger.open(url, create=True)
        campaign = accepted_rows(ledger, rows, now)
        with serving(url) as address:
            began = time.perf_counter()
            statuses = asyncio.run(post_all(address, ledger.id, campaign, rows, connections))
            seconds = time.perf_counter() - began
        if statuses[200] != rows or ledger.queries.counts(campaign) != {RowState.DELIVERED: rows}:
            raise SystemExit(f"not all stored: {dict(statuses)}, {ledger.queries.counts(campaign)}")
        assert ledger.queries.campaign(campaign).actual_cost == rows * Decimal("0.04")
        ledger.dispose()
    return rows / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    rates = sorted(measure(given.rows, given.connections) for _ in range(given.runs))
    print(f"{given.rows} callbacks over {given.connections} connections, {given.runs} runs:")
    print(f"stored a second: median {rates[len(rates) // 2]:.0f} ({rates[0]:.0f} to {rates[-1]:.0f})")


if __name__ == "__main__":
    main()
