"""What must never reach a phone: unfilled placeholders, spreadsheet errors, a program's word for nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

#: Error values as Excel shows them in English, Italian, Spanish, French and German.
ERROR_CELLS = (
    "#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#FIELD!",
    "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#BUSY!", "#PYTHON!", "#GETTING_DATA",
    "#N/D", "#RIF!", "#VALORE!", "#NOME?", "#NULLO!", "#ESPANSIONE!",
    "#¡REF!", "#¡VALOR!", "#VALOR!", "#¡DIV/0!", "#¿NOMBRE?", "#NOMBRE?", "#¡NUM!", "#¡NULO!", "#NULO!",
    "#¡DESBORDAMIENTO!", "#¡CALC!",
    "#VALEUR!", "#NOM?", "#NOMBRE!", "#NUL!", "#PROPAGATION!",
    "#NV", "#WERT!", "#BEZUG!", "#ZAHL!", "#ÜBERLAUF!",
)  # fmt: skip

#: A cheap look before the exact one: a text without any of these holds no placeholder and no error.
PLACEHOLDER_SIGNS = ("{{", "}}", "{%", "«", "#", "Err:", "\ufffd", "Ã", "Â", "â")
_ERRORS = "|".join(re.escape(error) for error in sorted(ERROR_CELLS, key=len, reverse=True))
# What is left of letters that were read in a wrong encoding before they got here: "Perch�", "cittÃ", "lâ€™ora".
_BROKEN = "\ufffd|Ã[\u00a0-\u00bfˆ‰€]|(?<=[a-z])Ã(?![A-Za-z])|Â[\u00a0-\u00bf]|â€|â‚¬"
_PLACEHOLDER = re.compile(rf"\{{\{{|\}}\}}|\{{%|«[^»\n]*»|(?:{_ERRORS})(?!\w)|\bErr:5\d\d\b|{_BROKEN}")
# How other programs write fields.  Only the name of a column makes one of it: "[sic]" and "<3" are text.
_FOREIGN_FIELD = re.compile(
    r"\{(?P<braces>[^{}\n]+)\}|\[(?P<brackets>[^\[\]\n]+)\]|<+(?P<angles>[^<>\n]+)>+|%(?P<percent>[^%\n]+)%"
    r"|\$(?P<dollar>\w+)"
)
_WORD = re.compile(r"\b(?:nan|NaN|None|NaT)\b")
_WHOLE = frozenset({"nan", "NaN", "None", "NaT", "null", "NULL", "(null)", "<NA>"})
#: A cheap look before the exact one: a text without any of these holds no word for nothing.
NOTHING_WORDS = ("nan", "NaN", "None", "NaT", "null", "NULL", "<NA>")

#: Whitespace and characters of no width: what a text or a value of nothing else looks like to a reader.
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u200e\u200f\u00ad"
BLANKS = _INVISIBLE + "".join(map(chr, range(0x3001))).translate(
    {code: None for code in range(0x3001) if not chr(code).isspace()}
)


def clean(value: object) -> str:
    """A cell as text without blanks around it; a missing one (None, NaN, NA) is empty."""
    if not isinstance(value, str):
        return ""
    return value.strip() if value.isascii() else value.strip(BLANKS)


def tidy(text: str) -> str:
    """The text as it is sent: line ends LF, composed form (NFC), no blanks around it."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.strip() if text.isascii() else unicodedata.normalize("NFC", text).strip(BLANKS)


def placeholder(text: str) -> str | None:
    """The first placeholder, spreadsheet error or broken letter in ``text``."""
    found = _PLACEHOLDER.search(text)
    return found[0] if found else None


#: A text without any of these holds no field of another program.
FOREIGN_SIGNS = ("{", "[", "<", "%", "$")


def foreign_field(text: str, is_column: Callable[[str], bool]) -> str | None:
    """The first field written as other programs write them (``[Nome]``) that is the name of a column."""
    for match in _FOREIGN_FIELD.finditer(text):
        if match.lastgroup and is_column(match[match.lastgroup]):
            return match[0]
    return None


def nothing_word(text: str) -> str | None:
    """The first word in ``text`` by which programs say nothing (nan, None, NaT, or all of it null)."""
    if text in _WHOLE:
        return text
    found = _WORD.search(text)
    return found[0] if found else None


def left_over(text: str, values: Mapping[str, str]) -> tuple[bool, str | None]:
    """Whether a rendered text may not be sent, and the heading of the value that is to blame.

    ``values`` are those the template uses.  A word such as None counts only where a value brought it in: the
    template's own words are the author's.
    """
    if placeholder(text):
        blamed = (heading for heading, value in values.items() if placeholder(value))
        return True, next(blamed, None)
    for heading, value in values.items():
        word = nothing_word(value)
        if word and word.casefold() in text.casefold():
            return True, heading
    return False, None
