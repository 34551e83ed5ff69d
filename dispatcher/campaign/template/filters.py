"""The filters of templates, each bounded; and numbers as cells show them."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from jinja2 import StrictUndefined, Undefined

#: The longest value a template may build, in characters; more than three times what is ever sent.
MAX_CHARACTERS = 5_000
MAX_NUMBER = Decimal(10) ** 15


class TextOverflow(Exception):
    """A value would have grown beyond :data:`MAX_CHARACTERS`."""


def is_number(value: object) -> bool:
    """True for numbers; a bool is none here."""
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def to_number(value: object) -> Decimal:
    """The number a cell shows, whichever decimal mark it has; ValueError when it has none or could be two.

    ``1.234,50`` and ``1,234.50`` are clear; ``1.234`` is a thousand in one country and one in another.
    """
    if isinstance(value, (int, float, Decimal)):
        return _finite(Decimal(repr(value)) if isinstance(value, float) else Decimal(value))
    if not isinstance(value, str):
        raise TypeError("not a number")
    text = re.sub(r"[\s€$£]", "", value)
    if not re.fullmatch(r"[+-]?\d+(?:[.,]\d+)*", text) or len(text) > 30:
        raise ValueError("not a number")
    marks = re.findall(r"[.,]", text)
    if len(set(marks)) == 2 and marks.count(marks[-1]) == 1:  # the last one is the decimal mark
        text = text.replace(marks[0], "")
    elif len(marks) == 1 and re.fullmatch(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", text):
        raise ValueError("thousands or decimals")
    elif len(marks) > 1:
        text = re.sub(r"[.,]", "", text)
    return _finite(Decimal(text.replace(",", ".")))


def _finite(number: Decimal) -> Decimal:
    if not number.is_finite() or abs(number) > MAX_NUMBER:
        raise ValueError("number out of range")
    return number


def bounded(length: int) -> None:
    """Raises TextOverflow for a length that is too long to be built."""
    if length > MAX_CHARACTERS:
        raise TextOverflow


def scalar(value: Any) -> Any:
    """An item of a list: never a list itself, so that nothing grows by nesting."""
    if isinstance(value, (str, Undefined)) or is_number(value):
        return value
    raise TypeError("a list holds texts and numbers")


def _of_text(change: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of a text; a blank field passes through, so that a later ``default`` still sees it."""

    def filtered(value: Any, *args: Any, **named: Any) -> Any:
        if isinstance(value, Undefined):
            return value
        if not isinstance(value, str):
            raise TypeError("this filter is for texts")
        result = change(value, *args, **named)
        if isinstance(result, str):
            bounded(len(result))
        return result

    return filtered


def _title(text: str) -> str:
    """MARIO D'ANGELO becomes Mario D'Angelo."""
    return re.sub(r"(?<![\w'’])\w|(?<=['’])\w(?=\w)", lambda match: match[0].upper(), text.lower())


def _replace(text: str, old: str, new: str) -> str:
    bounded(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _truncate(text: str, length: int = 160, end: str = "...") -> str:
    return text if len(text) <= length else text[: max(0, length - len(end))].rstrip() + end


def _default(value: Any, instead: Any = "", boolean: bool = False) -> Any:
    missing = isinstance(value, Undefined) or value == "" or (boolean and not value)
    return instead if missing else value


def _float(value: Any, default: Any = None) -> Any:
    if isinstance(value, Undefined):
        return value if default is None else default
    try:
        return to_number(value)
    except ValueError:
        if default is None:
            raise
        return default


def _int(value: Any, default: Any = None) -> Any:
    number = _float(value, default)
    return int(number) if isinstance(number, Decimal) else number


def _round(value: Any, digits: int = 0) -> Any:
    if isinstance(value, Undefined):
        return value
    if not 0 <= digits <= 8:
        raise ValueError("0 to 8 digits")
    return to_number(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


def _at(position: int) -> Callable[[Any], Any]:
    def item(values: Any) -> Any:
        if isinstance(values, Undefined):
            return values
        return values[position] if len(values) else StrictUndefined("nothing there")

    return item


FILTERS: dict[str, Callable[..., Any]] = {
    "abs": abs, "capitalize": _of_text(str.capitalize), "count": len, "d": _default, "default": _default,
    "first": _at(0), "float": _float, "int": _int, "last": _at(-1), "length": len, "list": list,
    "lower": _of_text(str.lower), "replace": _of_text(_replace), "round": _round, "sort": sorted,
    "title": _of_text(_title), "trim": _of_text(str.strip), "truncate": _of_text(_truncate),
    "unique": lambda values: list(dict.fromkeys(values)), "upper": _of_text(str.upper),
    "wordcount": _of_text(lambda text: len(text.split())),
}  # fmt: skip
