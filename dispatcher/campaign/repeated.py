"""The same text to the same recipient: recognised within a file, and by the ledger whatever the file is called."""

from __future__ import annotations

import itertools
from hashlib import blake2b

import pyarrow as pa
import pyarrow.compute as pc

from dispatcher.campaign.characters import text_bytes

KEY_BYTES = 16


def guard_key(recipient: str, text: str) -> bytes:
    """The 16 bytes by which the same text to the same recipient is recognised, whatever its file is called."""
    return blake2b(f"{recipient}\0{text}".encode(), digest_size=KEY_BYTES).digest()


def guard_keys(recipients: pa.Array, texts: pa.Array) -> list[bytes]:
    """:func:`guard_key` of every row (no nulls)."""
    wide = pa.large_string()  # a chunk of long texts has more bytes than 32-bit offsets can count
    joined = pc.binary_join_element_wise(recipients.cast(wide), texts.cast(wide), pa.scalar("\0", wide))
    data, ends = text_bytes(joined)
    whole, empty, keys = data.tobytes(), blake2b(digest_size=KEY_BYTES), []
    for start, end in itertools.pairwise(ends.tolist()):
        digest = empty.copy()  # a third faster than to make one
        digest.update(whole[start:end])
        keys.append(digest.digest())
    return keys
