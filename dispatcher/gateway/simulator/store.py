"""The SQLite file behind the stand-in.  What a client was told is in it before the answer leaves.

A commit waits for no disk (``synchronous=OFF``): it outlives a killed process, not a power cut.
Every call takes well under a few milliseconds, so it runs on the event loop itself.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from dispatcher.errors import UsageError
from dispatcher.gateway.models import MessageState, Route
from dispatcher.gateway.simulator.accounts import Account, Admission, admit
from dispatcher.gateway.simulator.answers import Refused, account_blocklisted, token_limit
from dispatcher.gateway.simulator.config import SimulatorConfig
from dispatcher.gateway.simulator.messages import (
    NEVER,
    Kind,
    Message,
    make_message,
    micros,
    microseconds,
    sequence_of,
)
from dispatcher.gateway.simulator.orders import Order
from dispatcher.gateway.simulator.pass_store import Passes
from dispatcher.gateway.simulator.state_file import open_state

Submission = tuple[str, str | None, Order | Refused]
"""An account, the token where that one is limited, and what is asked for or why that is refused anyway."""


class Store:
    """Messages, money and callbacks of a simulator.

    Raises UsageError ``simulator_state_unusable`` when the file cannot be opened or is somebody else's.
    """

    def __init__(self, config: SimulatorConfig, kept: bytes | None = None) -> None:
        self._config = config
        self._lock = threading.RLock()  # a test may look in from its own thread
        try:
            self._db = open_state(config.state, kept)
            self.passes = Passes(self._db, self._transaction)
            with self._transaction():
                for username in config.usernames.values():
                    self._found(username)
        except sqlite3.Error as error:
            raise UsageError("simulator_state_unusable", file=str(config.state), found=str(error)) from error

    def close(self) -> bytes | None:
        """Close the file; a store in memory hands back its content, to start from again."""
        kept = self._db.serialize() if self._config.state is None else None
        self._db.close()
        return kept

    def submit(self, submissions: Sequence[Submission], now: int) -> list[Message | Refused]:
        """Decide about orders in one transaction, one after the other; kept for good when this returns."""
        with self._transaction():
            accounts = {
                username: self._account(username, now) for username in {name for name, _, _ in submissions}
            }
            seq: int = self._db.execute("SELECT coalesce(max(seq), 0) FROM messages").fetchone()[0]
            kept: list[Message] = []
            answers: list[Message | Refused] = []
            for username, token, order in submissions:
                try:
                    admission, order = self._admitted(order, token, accounts[username])
                except Refused as refused:
                    answers.append(refused)
                    continue
                seq += 1
                message = make_message(
                    seq, username, order, admission.kind, admission.price, admission.total, now, self._config
                )
                kept.append(message)
                answers.append(admission.refused or message)
            if kept:
                self._insert(kept)
                self._save(accounts.values())
        return answers

    def message(self, account: str, message_id: str) -> Message | None:
        """One message of an account."""
        seq = sequence_of(message_id)
        if seq is None:
            return None
        with self._lock:
            row = self._db.execute(
                "SELECT * FROM messages WHERE seq = ? AND account = ?", (seq, account)
            ).fetchone()
        message = _message(row) if row else None
        if message is None or message.id != message_id or not self._shows(message.kind):
            return None
        return message

    def listing(self, account: str, skip: int, limit: int, created_until: int) -> list[Message]:
        """A page of an account's messages in the configured order."""
        order = "DESC" if self._config.listing_order == "newest" else "ASC"
        hidden = NEVER if self._config.lists_dry_runs else Kind.DRY_RUN
        # the inner query is answered by the index alone: a deep skip does not read every message before it
        query = (
            "SELECT * FROM messages WHERE seq IN (SELECT seq FROM messages WHERE account = ? AND kind <> ?"  # noqa: S608
            f" AND created <= ? ORDER BY seq {order} LIMIT ? OFFSET ?) ORDER BY seq {order}"
        )
        with self._lock:
            rows = self._db.execute(query, (account, hidden, created_until, limit, skip)).fetchall()
        return [_message(row) for row in rows]

    def everything(self, skip: int = 0, limit: int = -1) -> list[Message]:
        """All messages of all accounts, oldest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT * FROM messages ORDER BY seq LIMIT ? OFFSET ?", (limit, skip)
            ).fetchall()
        return [_message(row) for row in rows]

    def accounts(self) -> list[Account]:
        """Every account with its money."""
        with self._lock:
            usernames = self._db.execute("SELECT username FROM accounts ORDER BY username").fetchall()
            return [self._account(username) for (username,) in usernames]

    def top_up(self, username: str, amount: int) -> None:
        """Pay into an account's wallet."""
        with self._transaction():
            self._db.execute("UPDATE accounts SET wallet = wallet + ? WHERE username = ?", (amount, username))

    def account(self, username: str, now: int) -> Account:
        """One account with what it can pay with now."""
        with self._lock:
            return self._account(username, now)

    def remembered_code(
        self, account: str, recipient: str, length: int, alphanumeric: bool, now: int
    ) -> str | None:
        """The one-time code a recipient still holds, when it has the form that is asked for."""
        row = self._db.execute(
            "SELECT code FROM codes"
            " WHERE account = ? AND recipient = ? AND length = ? AND alphanumeric = ? AND expires > ?",
            (account, recipient, length, alphanumeric, now),
        ).fetchone()
        return None if row is None else str(row[0])

    def remember_code(
        self, account: str, recipient: str, code: str, alphanumeric: bool, expires: int
    ) -> None:
        """Keep a code for reuse until it expires."""
        with self._transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO codes VALUES (?, ?, ?, ?, ?, ?)",
                (account, recipient, code, len(code), alphanumeric, expires),
            )

    def take_callbacks(self, now: int, most: int = 200) -> list[tuple[Message, int]]:
        """Callbacks that are due, each with the moment it reports; taken by one process only, once."""
        if not self._db.execute("SELECT 1 FROM callbacks WHERE due <= ? LIMIT 1", (now,)).fetchone():
            return []
        with self._transaction():
            due = self._db.execute(
                "SELECT due, m.* FROM callbacks JOIN messages AS m USING (seq)"
                " WHERE due <= ? ORDER BY due LIMIT ?",
                (now, most),
            ).fetchall()
            taken = [(_message(row[1:]), int(row[0])) for row in due]
            for message, moment in taken:
                if moment < message.final:
                    self._db.execute(
                        "UPDATE callbacks SET due = ? WHERE seq = ?", (message.final, message.seq)
                    )
                else:
                    self._db.execute("DELETE FROM callbacks WHERE seq = ?", (message.seq,))
        return taken

    def callbacks_waiting(self) -> int:
        """Messages of which something is still to be told, now or later."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM callbacks").fetchone()[0])

    def _shows(self, kind: Kind) -> bool:
        return self._config.lists_dry_runs or kind is not Kind.DRY_RUN

    def _found(self, username: str) -> None:
        config = self._config
        new = self._db.execute(
            "INSERT OR IGNORE INTO accounts VALUES (?, ?, 0)", (username, micros(config.wallet))
        )
        if new.rowcount:
            bundles = [(username, Route(route).value, parts) for route, parts in config.bundles.items()]
            self._db.executemany("INSERT INTO bundles VALUES (?, ?, ?)", bundles)

    def _admitted(
        self, order: Order | Refused, token: str | None, account: Account
    ) -> tuple[Admission, Order]:
        wallet, bundles = account.wallet, dict(account.bundles)
        admission, admitted = _admitted(order, account, self._config)
        if token is not None and admission.kind is Kind.SENT:
            bundled = sum(bundles.values()) - sum(account.bundles.values())
            if not self.passes.pay(token, wallet - account.wallet, bundled):
                account.wallet, account.bundles = wallet, bundles
                raise token_limit(self._config.token_limit_status)
        return admission, admitted

    def _account(self, username: str, now: int | None = None) -> Account:
        wallet, blocklisted = self._db.execute(
            "SELECT wallet, blocklisted FROM accounts WHERE username = ?", (username,)
        ).fetchone()
        bundles = self._db.execute(
            "SELECT route, parts FROM bundles WHERE username = ?", (username,)
        ).fetchall()
        ended = self._config.bundles_end
        over = now is not None and ended is not None and now >= microseconds(ended)
        return Account(username, wallet, bool(blocklisted), {} if over else dict(bundles))

    def _insert(self, messages: Sequence[Message]) -> None:
        self._db.executemany(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_row, messages)
        )
        due = [(m.seq, m.pending) for m in messages if m.kind is Kind.SENT and "callback" in m.body]
        if due:
            self._db.executemany("INSERT INTO callbacks VALUES (?, ?)", due)

    def _save(self, accounts: Iterable[Account]) -> None:
        for account in accounts:
            self._db.execute(
                "UPDATE accounts SET wallet = ?, blocklisted = ? WHERE username = ?",
                (account.wallet, account.blocklisted, account.username),
            )
            for route, parts in account.bundles.items():
                self._db.execute(
                    "UPDATE bundles SET parts = ? WHERE username = ? AND route = ?",
                    (parts, account.username, route),
                )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise


def _admitted(order: Order | Refused, account: Account, config: SimulatorConfig) -> tuple[Admission, Order]:
    if account.blocklisted:
        raise account_blocklisted()
    if isinstance(order, Refused):
        raise order
    return admit(order, account, config), order


def _row(message: Message) -> tuple[object, ...]:
    return (
        message.seq, message.account, message.kind, message.route.value, message.created, message.pending,
        message.final, message.final_state.value, message.priced, message.price, message.total,
        json.dumps(message.body),
    )  # fmt: skip


def _message(row: Sequence[Any]) -> Message:
    seq, account, kind, route, created, pending, final, final_state, priced, price, total, body = row
    return Message(
        seq, account, Kind(kind), Route(route), created, pending, final, MessageState(final_state),
        priced, price, total, json.loads(body),
    )  # fmt: skip


def euro(amount: int) -> Decimal:
    """Millionths of a euro as money."""
    return Decimal(amount) / 1_000_000
