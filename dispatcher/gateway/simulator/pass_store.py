"""Tokens that were made, in the stand-in's file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from dispatcher.gateway.simulator import answers, passes
from dispatcher.gateway.simulator.answers import Refused
from dispatcher.gateway.simulator.passes import Pass

SCHEMA = """
CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT,
    scopes TEXT NOT NULL, limits TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,
    expires INTEGER NOT NULL, requests INTEGER NOT NULL, errors INTEGER NOT NULL,
    wallet_requests INTEGER NOT NULL, bundle_requests INTEGER NOT NULL, wallet_amount INTEGER NOT NULL);
"""


class Passes:
    """The tokens of every account; ``transaction`` is the store's."""

    def __init__(
        self, db: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._db = db
        self._transaction = transaction

    def make(self, account: str, data: Mapping[str, Any], known: Mapping[str, bool], now: int) -> Pass:
        """A new token.  Raises Refused."""
        with self._transaction():
            salt = self._db.execute("SELECT count(*) FROM tokens").fetchone()[0]
            made = passes.make(account, data, known, now, salt)
            self._save(made)
        return made

    def change(
        self, account: str, token: str, data: Mapping[str, Any], known: Mapping[str, bool], now: int
    ) -> Pass | None:
        """A token with other limits, scopes or a longer life; None when the account has no such token."""
        with self._transaction():
            old = self._find(token)
            if old is None or old.account != account:
                return None
            new = passes.changed(old, data, known, now)
            self._save(new)
        return new

    def find(self, token: str) -> Pass | None:
        """A token, expired or not."""
        with self._transaction():
            return self._find(token)

    def of_account(self, account: str, skip: int, limit: int) -> list[Pass]:
        """A page of an account's tokens, oldest first."""
        query = "SELECT * FROM tokens WHERE account = ? ORDER BY created, token LIMIT ? OFFSET ?"
        with self._transaction():
            return [_pass(row) for row in self._db.execute(query, (account, limit, skip))]

    def delete(self, account: str, token: str) -> bool:
        """From now on it opens nothing."""
        with self._transaction():
            gone = self._db.execute("DELETE FROM tokens WHERE token = ? AND account = ?", (token, account))
            return gone.rowcount == 1

    def use(self, token: str, scope: str, now: int, limit_status: int) -> str:
        """Count one request; gives the account.  Raises Refused for a token that does not open this call."""
        with self._transaction():
            one = self._find(token)
            if one is not None and one.expires > now:
                self._db.execute("UPDATE tokens SET requests = requests + 1 WHERE token = ?", (token,))
        # out here: a refusal must not take the count back
        if one is None or one.expires <= now:
            raise answers.unauthorized()
        if scope not in one.scopes:
            raise Refused(403, 403, "This token is not for that call")
        if one.requests >= one.limits.get("totalRequests", one.requests + 1):
            raise answers.token_limit(limit_status)
        return one.account

    def failed(self, token: str) -> None:
        """Count one request that was answered with an error."""
        with self._transaction():
            self._db.execute("UPDATE tokens SET errors = errors + 1 WHERE token = ?", (token,))

    def pay(self, token: str, wallet: int, bundled: int) -> bool:
        """Count what a message took, inside the transaction that takes it; False beyond a limit, nothing counted."""
        one = self._find(token)
        after = None if one is None else one.paid(wallet, bundled)
        if after is None:
            return False
        self._save(after)
        return True

    def _find(self, token: str) -> Pass | None:
        row = self._db.execute("SELECT * FROM tokens WHERE token = ?", (token,)).fetchone()
        return None if row is None else _pass(row)

    def _save(self, one: Pass) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                one.token, one.account, one.name, json.dumps(list(one.scopes)), json.dumps(dict(one.limits)),
                one.created, one.updated, one.expires, one.requests, one.errors, one.wallet_requests,
                one.bundle_requests, one.wallet_amount,
            ),
        )  # fmt: skip


def _pass(row: Sequence[Any]) -> Pass:
    token, account, name, scopes, limits, created, updated, expires, *used = row
    return Pass(
        token, account, name, tuple(json.loads(scopes)), json.loads(limits), created, updated, expires, *used
    )
