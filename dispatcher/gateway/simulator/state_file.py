"""The file behind the stand-in: its tables, and whether a file is one of ours."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from dispatcher.errors import UsageError
from dispatcher.gateway.simulator.pass_store import SCHEMA

_VERSION = 20_102  # of the schema below; also tells our files from anybody else's
_OLDER = 20_101  # the same without tokens
_WAIT_FOR_OTHERS = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (username TEXT PRIMARY KEY, wallet INTEGER NOT NULL,
    blocklisted INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS bundles (username TEXT, route TEXT, parts INTEGER NOT NULL CHECK (parts >= 0),
    PRIMARY KEY (username, route));
CREATE TABLE IF NOT EXISTS messages (seq INTEGER PRIMARY KEY, account TEXT NOT NULL, kind INTEGER NOT NULL,
    route TEXT NOT NULL, created INTEGER NOT NULL, pending INTEGER NOT NULL, final INTEGER NOT NULL,
    final_state TEXT NOT NULL, priced INTEGER NOT NULL, price INTEGER NOT NULL, total INTEGER NOT NULL,
    body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS listing ON messages (account, seq, kind, created);
CREATE TABLE IF NOT EXISTS callbacks (seq INTEGER PRIMARY KEY, due INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS callbacks_due ON callbacks (due);
CREATE TABLE IF NOT EXISTS codes (account TEXT, recipient TEXT, code TEXT NOT NULL, length INTEGER NOT NULL,
    alphanumeric INTEGER NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (account, recipient));
"""


def open_state(state: Path | None, kept: bytes | None) -> sqlite3.Connection:
    """A connection to the file, its tables made; ``kept`` is what a store in memory handed back."""
    db = sqlite3.connect(
        ":memory:" if state is None else state,
        timeout=_WAIT_FOR_OTHERS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        if kept is not None:
            db.deserialize(kept)
        _prepare(db, state)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, state: Path | None) -> None:
    db.execute("BEGIN")  # one look at both, while another process may be preparing the same new file
    version = db.execute("PRAGMA user_version").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    db.execute("COMMIT")
    if version not in (_VERSION, _OLDER) and (version or tables):
        raise UsageError("simulator_state_unusable", file=str(state), found=f"schema {version}")
    if version != _VERSION:
        with suppress(sqlite3.OperationalError):  # the other process is doing it
            db.execute("PRAGMA journal_mode = WAL")
        db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
    db.execute("PRAGMA synchronous = OFF")
