"""The same number, written otherwise: what a gateway says about a recipient need not be what it was told."""

from __future__ import annotations

ENDING = 6  # digits by which numbers are looked up; the shortest national mobile numbers have as many


def is_same_number(listed: str, ours: str) -> bool:
    """Whether ``listed`` is our number in E.164, however it is written: ``+39``, ``0039``, ``39``, with blanks."""
    return _digits(listed) == _digits(ours)


def may_be_same_number(listed: str, ours: str) -> bool:
    """The same, or without its country: a national number may be several people's."""
    if listed == ours:  # as nearly always
        return True
    digits = _digits(listed)
    return len(digits) >= ENDING and _digits(ours).endswith(digits)


def _digits(number: str) -> str:
    return "".join(filter(str.isdigit, number)).lstrip("0")


def ending(number: str) -> str:
    """What all spellings of a number have in common."""
    return _digits(number)[-ENDING:]
