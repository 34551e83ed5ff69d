"""The ledger's own secret, and what is kept of a number once the number itself must not be.

There are few phone numbers: a bare hash of one is found by trying them all.  Under a key that is random for each ledger
that takes the ledger itself; two ledgers, or a table that got out alone, cannot be compared.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import partial
from hashlib import blake2b

from sqlalchemy import Connection, insert, select

from dispatcher.ledger.schema import campaigns, meta

KEY = "hash_key"
DIGEST = 16  # bytes
_GUARDED = select(campaigns.c.id).where(campaigns.c.guarded_until.is_not(None)).limit(1)


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


def forms_of(connection: Connection, guard_keys: Iterable[bytes]) -> dict[bytes, bytes]:
    """Every form in which a row may keep one of these guard keys, with the key it is a form of.

    They are themselves, and where rows were purged whose guard days are not over, their hashes under the ledger's key.
    On a server, call it holding the guard's lock, or in a transaction that sees one moment.
    """
    keys = list(guard_keys)
    forms = {key: key for key in keys}
    if connection.execute(_GUARDED).first() is not None:
        keyed = Keyed(connection)
        forms |= {keyed.guard(key): key for key in keys}
    return forms
