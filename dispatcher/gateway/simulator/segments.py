"""The stand-in's own part counter, apart from the product's on purpose: comparing the two can fail.

Source: 3GPP TS 23.038, default alphabet and its extension table; no national tables.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = "\f^{}\\[~]|€"
_GSM = re.compile(f"[{re.escape(_BASIC + _EXTENSION)}]*")
_TWO_SEPTETS = re.compile(f"[{re.escape(_EXTENSION)}]")
_TWO_UNITS = re.compile("[\U00010000-\U0010ffff]")


class Size(NamedTuple):
    """How long a text is: ``characters`` are septets in GSM-7, UTF-16 units in UCS-2."""

    encoding: str
    characters: int
    parts: int


def measure(text: str) -> Size:
    """Encoding, length and parts of a text; nothing that takes two places is split over two parts."""
    if _GSM.fullmatch(text):
        return _sized("GSM-7", text, _TWO_SEPTETS, alone=160, split=153)
    return _sized("UCS-2", text, _TWO_UNITS, alone=70, split=67)


def _sized(encoding: str, text: str, double: re.Pattern[str], *, alone: int, split: int) -> Size:
    doubles = [found.start() for found in double.finditer(text)]
    length = len(text) + len(doubles)
    if length <= alone:
        return Size(encoding, length, 1)
    # a double that would start on the last place of a part moves to the next one and leaves that place empty
    wasted = 0
    for before, position in enumerate(doubles):
        if (position + before + wasted) % split == split - 1:
            wasted += 1
    return Size(encoding, length, -(-(length + wasted) // split))
