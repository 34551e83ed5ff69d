"""What a simulator's file forgets: messages made before some moment, with the numbers and texts in them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from dispatcher.errors import UsageError
from dispatcher.gateway.simulator.messages import microseconds
from dispatcher.gateway.simulator.state_file import open_state


def forget_before(state: Path, moment: datetime) -> int:
    """Delete them; gives how many there were.  The newest message stays, emptied: numbers go on from it.

    Raises UsageError ``simulator_state_unusable``.
    """
    before = microseconds(moment)
    try:
        with closing(open_state(state, None)) as db:
            db.execute("PRAGMA secure_delete = ON")
            db.execute("BEGIN IMMEDIATE")
            db.execute("DELETE FROM codes WHERE expires < ?", (before,))
            db.execute(
                "DELETE FROM callbacks WHERE seq IN (SELECT seq FROM messages WHERE created < ?)", (before,)
            )
            gone = db.execute(
                "DELETE FROM messages WHERE created < ? AND seq < (SELECT max(seq) FROM messages)", (before,)
            ).rowcount
            gone += _empty_last(db, before)
            db.execute("COMMIT")
            if gone:
                db.execute("VACUUM")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return gone
    except sqlite3.Error as error:
        raise UsageError("simulator_state_unusable", file=str(state), found=str(error)) from error


def _empty_last(db: sqlite3.Connection, before: int) -> int:
    last = db.execute("SELECT seq, body FROM messages WHERE created < ?", (before,)).fetchone()
    body = json.loads(last[1]) if last else {}
    if not body.get("recipient"):
        return 0
    kept = {name: value for name, value in body.items() if name not in ("callback", "otp", "otpOptions")}
    kept |= {"recipient": "", "message": ""}
    db.execute("UPDATE messages SET body = ? WHERE seq = ?", (json.dumps(kept), last[0]))
    return 1
