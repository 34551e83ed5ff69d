"""The bytes beyond ASCII, found as arrays: the same as by patterns that read every byte."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.sheet.high_bytes import HighBytes

LETTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
NOT_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
BEYOND_DOUBT = re.compile(rb"[\xc2\xc3][\x80-\xbf]|\xe2(?:\x80[\x90-\xbf]|\x82\xac)")
DOS = re.compile(rb"[a-z][\x82\x8a]|[ ',;\t]\x8a[ ,;.!?\r\n]|[A-Za-z][\xa2-\xa5][a-z]|[a-z]\xa1[a-z]|\xa4")
ALPHABET = b"azAZ0 ',;\t.!?\r\n\x80\x81\x82\x8a\x8d\x90\x9d\xa1\xa2\xa4\xa5\xac\xbf\xc1\xc2\xc3\xdf\xe2\xe8\xf0\xf4\xff"
BLOCKS = st.lists(st.sampled_from(ALPHABET), max_size=40).map(bytes)


def line(pattern: re.Pattern[bytes], block: bytes) -> int | None:
    """How many lines are before the first match."""
    found = pattern.search(block)
    return None if found is None else block.count(b"\n", 0, found.start())


@given(st.one_of(BLOCKS, st.text("aèŁ€漢😀\n", max_size=12).map(str.encode)))
def test_arrays_find_what_patterns_find(block: bytes) -> None:
    high, letters = HighBytes(block), LETTER.findall(block)

    assert bytes(high.byte) == bytes(byte for byte in block if byte >= 0x80)
    assert high.utf8_letters() == (len(letters), sum(map(len, letters)))
    assert high.utf8_line() == line(BEYOND_DOUBT, block)
    assert high.line_of(high.not_in_cp1252()) == line(NOT_IN_CP1252, block)
    assert high.line_of(high.dos_letters()) == line(DOS, block)
