"""The apostrophe that keeps a CSV cell from acting as a formula: the report puts it on, the reader off.

Both sides use this one rule, so that a cell survives file -> report -> file unchanged.
"""

from __future__ import annotations

import re

_ACTS_AS_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9][0-9 .,()/-]*")

# The same in RE2, for whole columns: a superset of what has to change, cheap to look for.
GUARDED_PATTERN = "^''*[=+\\-@\t\r]"


def acts_as_formula(text: str) -> bool:
    """Whether a spreadsheet program would run this CSV cell (a plain number or phone is none)."""
    return _ACTS_AS_FORMULA.match(text) is not None and _PLAIN_NUMBER.fullmatch(text.lstrip("'")) is None


def guard_formula(text: str) -> str:
    """``=1+1`` -> ``'=1+1``; everything harmless unchanged."""
    return f"'{text}" if acts_as_formula(text) else text


def unguard_formula(text: str) -> str:
    """The cell as it was before :func:`guard_formula`; other apostrophes (``'s-Hertogenbosch``) stay."""
    return text[1:] if text.startswith("'") and acts_as_formula(text[1:]) else text
