"""The shared strings of a workbook as one Arrow column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa

from dispatcher.campaign.sheet.xlsx.bytes import (
    Mask,
    Positions,
    Tags,
    after_root,
    require,
    require_well_formed,
    starts_with,
)

_TAIL = re.compile(rb"\s*</sst>\s*")
_ITEM, _KEPT = b"<si><t>", b'<si><t xml:space="preserve">'
_END = b"</t></si>"

Decode = Callable[[Sequence[str]], Sequence[str]]
_Spans = tuple[Positions, Positions]


def shared_strings(blocks: Iterable[bytes], decode: Decode) -> pa.Array:
    """The strings in their order.  ``decode`` reads ``<si>`` elements that are more than a plain text.

    Raises NotPlain.
    """
    pieces: list[pa.Array] = []
    rest, root = b"", b""
    for block in blocks:
        data = rest + block
        if not root:
            root = data[: after_root(data, b"sst")]
            data = data[len(root) :].lstrip()
        end = data.rfind(b"</si>") + len(b"</si>")
        if end < len(b"</si>"):
            rest = data
            continue
        pieces.append(_items(data[:end], decode))
        rest = data[end:]
    require(root and _TAIL.fullmatch(rest))
    require_well_formed(root, rest)
    return pa.concat_arrays(pieces) if pieces else pa.array([], pa.string())


def _items(data: bytes, decode: Decode) -> pa.Array:
    tags = Tags(data)
    word = tags.words(tags.at)[:-1]
    require(not starts_with(word, b"<!").any())
    start = np.flatnonzero(starts_with(word, b"<si"))
    require(len(start) and start[0] == 0 and starts_with(word[start], b"<si>").all())
    at, size = tags.at[start], np.diff(np.append(start, len(word)))
    kept = tags.begin(at, _KEPT)
    first = at + np.where(kept, len(_KEPT), len(_ITEM))
    last = tags.at[np.minimum(start + 2, len(word))]
    plain = (size == 4) & (kept | tags.begin(at, _ITEM)) & tags.begin(last, _END)
    plain &= tags.literal(first, np.maximum(last, first), kept=kept)
    if plain.all():
        return tags.texts(first, last)
    return _mixed(tags, plain, (at, np.append(at[1:], len(data))), (first, last), decode)


def _mixed(tags: Tags, plain: Mask, whole: _Spans, text: _Spans, decode: Decode) -> pa.Array:
    """The plain texts and the decoded others, in their order."""
    odd = np.flatnonzero(~plain)
    elements = tags.texts(whole[0][odd], whole[1][odd]).to_pylist()
    decoded = decode(elements)
    require(len(decoded) == len(odd))
    both = pa.concat_arrays([tags.texts(text[0][plain], text[1][plain]), pa.array(decoded, pa.string())])
    order = np.empty(len(plain), np.int64)
    order[plain] = np.arange(len(plain) - len(odd))
    order[odd] = np.arange(len(plain) - len(odd), len(plain))
    return both.take(pa.array(order))
