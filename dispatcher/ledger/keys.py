"""The ledger's own secret, and what is kept of a number once the number itself must not be.

There are few phone numbers: a bare hash of one is found by trying them all.  Under a key that is random for each ledger
that takes the ledger itself; two ledgers, or a table that got out alone, cannot be compared.
"""

from __future__ import annotations

import secrets
from functools import partial
from hashlib import blake2b

from sqlalchemy import Connection, insert, select

from dispatcher.ledger.schema import meta

KEY = "hash_key"
DIGEST = 16  # bytes


def create_key(connection: Connection) -> None:
    """Give the ledger its key; once, when it is made or comes from an older version."""
    connection.execute(insert(meta).values(key=KEY, value=secrets.token_hex(32)))


class Keyed:
    """Hashes under the ledger's key, read once for one transaction."""

    def __init__(self, connection: Connection) -> None:
        value = connection.execute(select(meta.c.value).where(meta.c.key == KEY)).scalar_one()
        self._hash = partial(blake2b, digest_size=DIGEST, key=bytes.fromhex(value))

    def recipient(self, recipient: str) -> bytes:
        """What a number (E.164) is known by among the codes that were sent."""
        return self._hash(recipient.encode(), person=b"recipient").digest()

    def guard(self, guard_key: bytes) -> bytes:
        """What a guard key becomes when its row is purged."""
        return self._hash(guard_key, person=b"guard").digest()
