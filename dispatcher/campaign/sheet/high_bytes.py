"""The bytes of a text beyond ASCII, which tell its encoding: they are few, and only they are looked at."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

_UTF8_LETTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# Letters of UTF-8 that read as Windows-1252 are nothing anybody writes: "Ã¨", "Â€", "â€™" ("É»" could be written)
_UTF8_BEYOND_DOUBT = re.compile(rb"[\xc2\xc3][\x80-\xbf]|\xe2(?:\x80[\x90-\xbf]|\x82\xac)")


def _among(signs: bytes) -> Mask:
    """By byte, whether it is one of these."""
    table = np.zeros(256, np.bool_)
    table[list(signs)] = True
    return table


_LOWER, _UPPER = _among(bytes(range(ord("a"), ord("z") + 1))), _among(bytes(range(ord("A"), ord("Z") + 1)))
_BEFORE_WORD, _AFTER_WORD = _among(b" ',;\t"), _among(b" ,;.!?\r\n")
_NOT_IN_CP1252 = _among(b"\x81\x8d\x8f\x90\x9d")


class HighBytes:
    """The bytes from 0x80 on in ``block``, in order: each ``byte``, the one ``before`` it and the one ``after``.

    At the ends of the block these are NUL.
    """

    def __init__(self, block: bytes) -> None:
        self._block = block
        data = np.frombuffer(b"\0" + block + b"\0", np.uint8)
        self._place = np.flatnonzero(data >= 0x80)
        self.byte: Bytes = data[self._place]
        self.before: Bytes = data[self._place - 1]
        self.after: Bytes = data[self._place + 1]

    def line_of(self, chosen: Mask) -> int | None:
        """How many lines are before the first of the ``chosen`` bytes."""
        if not chosen.any():
            return None
        return self._block.count(b"\n", 0, int(self._place[chosen.argmax()]) - 1)

    def utf8_letters(self) -> tuple[int, int]:
        """How many letters of UTF-8 there are, and how many bytes they have."""
        found = _UTF8_LETTER.findall(self._block) if self._pairs().any() else []
        return len(found), sum(map(len, found))

    def utf8_line(self) -> int | None:
        """How many lines are before the first letter of UTF-8 that nobody writes in Windows-1252."""
        found = _UTF8_BEYOND_DOUBT.search(self._block) if self._pairs().any() else None
        return None if found is None else self._block.count(b"\n", 0, found.start())

    def _pairs(self) -> Mask:
        """Which bytes may begin a letter of UTF-8."""
        return (self.byte >= 0xC2) & (self.byte <= 0xF4) & (self.after >= 0x80) & (self.after <= 0xBF)

    def not_in_cp1252(self) -> Mask:
        """Which of them no character of Windows-1252 has."""
        return _NOT_IN_CP1252[self.byte]

    def dos_letters(self) -> Mask:
        """Which are letters of a DOS program (cp850), where Windows-1252 has signs that never stand there.

        "perch\\x82", "Mu\\xa4oz"; and the one currency nobody uses ("\\xa4": the euro of ISO 8859-15, the small n with
        tilde of DOS).
        """
        byte, lower_before, lower_after = self.byte, _LOWER[self.before], _LOWER[self.after]
        letters: Mask = ((byte == 0x82) | (byte == 0x8A)) & lower_before
        letters |= (byte == 0x8A) & _BEFORE_WORD[self.before] & _AFTER_WORD[self.after]
        money = (byte >= 0xA2) & (byte <= 0xA5)
        letters |= money & (lower_before | _UPPER[self.before]) & lower_after
        letters |= (byte == 0xA1) & lower_before & lower_after
        letters |= byte == 0xA4
        return letters
