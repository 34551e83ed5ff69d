"""A column of international prefixes beside the numbers: read alone, the numbers are other people's.

``+1 | 347 111 2223`` is a mobile of New York; without its prefix it reads as a perfectly good one of Italy.
A column of countries says nothing of the kind: many who live abroad have a mobile from home.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from dispatcher.campaign.headings import heading_key
from dispatcher.campaign.phones import read_phone
from dispatcher.campaign.reasons import Repair
from dispatcher.errors import FileError

_HEADINGS = frozenset(
    heading_key(heading)
    for heading in (
        "prefix", "country prefix", "phone prefix", "country code", "phone code", "calling code", "dial code",
        "dialling code", "prefisso", "pref.", "prefisso internazionale", "prefisso paese", "codice paese",
        "prefijo", "prefijo internacional", "código país", "código de país",
    )
)  # fmt: skip
_CALLING_CODE = re.compile(r"(?:\+|00)?([1-9][0-9]{0,2})")


def refuse_prefixes_apart(
    headings: Sequence[str], sample: pa.RecordBatch, phone: str, *, region: str, file: str, sheet: str | None
) -> None:
    """Refuse a file in which a number of the column ``phone`` reads as another country's than its prefix says.

    Only a number that has no country of its own and is a mobile of ``region`` can be misread; the others are
    told row by row.  Raises FileError ``columns_prefix_apart``.
    """
    numbers = sample.column(list(headings).index(phone)).to_pylist()
    for place, heading in enumerate(headings):
        if heading == phone or heading_key(heading) not in _HEADINGS:
            continue
        for said in _contradictions(sample.column(place).to_pylist(), numbers, region):
            raise FileError(
                "columns_prefix_apart", file=file, sheet=sheet, found=said, heading=heading, phone=phone
            )


def _contradictions(prefixes: Iterable[object], numbers: Iterable[object], region: str) -> Iterator[str]:
    for prefix, number in zip(prefixes, numbers, strict=True):
        code = _CALLING_CODE.fullmatch(prefix.strip()) if isinstance(prefix, str) else None
        if code is None or not isinstance(number, str):
            continue
        phone = read_phone(number, region)
        if phone.recipient is None or Repair.COUNTRY_ADDED not in phone.repairs:
            continue
        if not phone.recipient.startswith(f"+{code[1]}"):
            yield code[0]
