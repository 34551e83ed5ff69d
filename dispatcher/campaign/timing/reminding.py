"""By what a reminder is recognised: not by its text but by whom, about when, how long before, and which of several.

Two children on one parent's phone, at the same hour, are the first and the second row of that phone and hour in the
file, unless a column (an appointment's number, say) tells them apart.  An appointment that was moved is another one.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from hashlib import blake2b

HALF = 8


class ReminderKeys:
    """The guard keys of one file's reminders, in row order."""

    def __init__(self, offset: str) -> None:
        self._offset = offset
        self._met: Counter[tuple[str, dt.datetime]] = Counter()

    def key(self, recipient: str, appointment: dt.datetime, named: str | None) -> bytes:
        """16 bytes; ``named``: what the key column says of the row, None without such a column.

        With one the first half stays the same when the appointment is moved.  Without one every row counts that has
        this recipient and appointment, also one that is not sent: what is wrong with a row today must not make it
        another one tomorrow.
        """
        self._met[recipient, appointment] += 1
        when = appointment.isoformat()
        if (named or "").strip():
            which = f"={named}"
            thread = digest("thread", recipient, self._offset, which)
            return thread[:HALF] + digest("reminder", recipient, when, self._offset, which)[HALF:]
        which = f"#{self._met[recipient, appointment]}"
        return digest("reminder", recipient, when, self._offset, which)


def digest(*facts: str) -> bytes:
    """16 bytes that stand for the facts."""
    return blake2b("\0".join(facts).encode(), digest_size=16).digest()
