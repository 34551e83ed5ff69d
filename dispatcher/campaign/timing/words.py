"""Months and days of the week as people write them, in English, Italian and Spanish, full or cut short."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

_MONTHS = (
    "january jan gennaio gen enero ene",
    "february feb febbraio febrero",
    "march mar marzo",
    "april apr aprile abril abr",
    "may maggio mag mayo",
    "june jun giugno giu junio",
    "july jul luglio lug julio",
    "august aug agosto ago",
    "september sep sept settembre set sett septiembre setiembre",
    "october oct ottobre ott octubre",
    "november nov novembre noviembre",
    "december dec dicembre dic diciembre",
)
_WEEKDAYS = (
    "monday mon lunedi lun lunes",
    "tuesday tue tues martedi mar martes",
    "wednesday wed mercoledi mer miercoles mie",
    "thursday thu thur thurs giovedi gio jueves jue",
    "friday fri venerdi ven viernes vie",
    "saturday sat sabato sab sabado",
    "sunday sun domenica dom domingo",
)


def _numbered(lists: tuple[str, ...], first: int) -> Mapping[str, int]:
    return {word: number for number, words in enumerate(lists, first) for word in words.split()}


MONTHS = _numbered(_MONTHS, 1)
"""Number of the month by its name, without accents and case."""
WEEKDAYS = _numbered(_WEEKDAYS, 0)
"""Number of the day by its name, Monday 0; ``mar`` is a month as well."""


def plain(text: str) -> str:
    """Lower case, without accents and with one space where there was white space."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(bare.casefold().split())
