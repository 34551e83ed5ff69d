"""One cell, or one column, of phone numbers.

``read_phone`` is the rule; ``read_phones`` gives the same answers for a column, most of them by the tables of
``recogniser``.  The rule is the definition: where the two could differ, the rule is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from platformdirs import user_cache_path

from dispatcher.campaign.characters import arrow_texts
from dispatcher.campaign.coded import Coded
from dispatcher.campaign.phones.automaton import Automaton
from dispatcher.campaign.phones.cleaning import Written, read_writing
from dispatcher.campaign.phones.disguised import undisguised
from dispatcher.campaign.phones.keeping import kept_automaton, kept_file
from dispatcher.campaign.phones.numbering import Origin, Verdict, judge
from dispatcher.campaign.phones.patterns import UnknownSyntax
from dispatcher.campaign.phones.recipients import Recipients
from dispatcher.campaign.phones.recogniser import Answers, Recogniser
from dispatcher.campaign.reasons import Reason, Repair

# "333123456 / 7": so few digits after a whole number are a second line or an extension.
_FEW_DIGITS = 2
# E.164 has 15 digits at most; two more for an international prefix.  Bounds the search for a second number.
_MOST_DIGITS = 17
# Cells read together: their digits stay in a processor's cache.
_CHUNK = 65_536
# The rule needs about 40 us a cell.  Fewer cells than these are not worth reading the tables from disk (10 ms),
# or building them (1.5 s, once for each version of phonenumbers on a machine).
_WORTH_LOADING = 500
_WORTH_BUILDING = 10_000


@dataclass(frozen=True, slots=True)
class Phone:
    """What a cell says.

    ``recipient`` is E.164, or None; ``reason`` says why it is not a mobile we can text, None when it is.
    ``country`` is the ISO region (Jersey is JE, the Vatican VA; ``001`` for satellite networks), also of a
    landline.  ``repairs`` is what was done to read the recipient; ``COUNTRY_ADDED`` among them is a note
    rather than a repair: it marks every national number.
    """

    recipient: str | None
    country: str | None
    reason: Reason | None
    repairs: Repair


@dataclass(frozen=True)
class PhoneColumn:
    """The same for a column, one entry a row; ``repairs`` are the bits of Repair."""

    recipient: Recipients
    country: Coded
    reason: Coded
    repairs: NDArray[np.uint16]


def read_phone(text: str, default_region: str) -> Phone:
    """The phone number in ``text``; one without a country code is of ``default_region`` (ISO, capitals).

    Every string is answered, nothing is raised.  Digits are never changed but by a listed repair.
    """
    written = read_writing(text)
    if isinstance(written, Reason):
        return _refused(written)
    if _holds_two(written, default_region):
        return _refused(Reason.PHONE_TWO_NUMBERS)
    verdict, repairs = _best_reading(written, default_region)
    if verdict.reason is not None:
        return Phone(None, verdict.country, _reason(verdict.reason, written, default_region), Repair.NONE)
    return Phone(verdict.number, verdict.country, None, repairs)


def read_phones(column: pa.Array | Collection[object], default_region: str) -> PhoneColumn:
    """``read_phone`` for every row of a column of text, Arrow's or pandas'; a missing value is a blank cell.

    Below 1 us a row where it is digits and plain separators, about 40 us for every other distinct text.  The
    tables for the former are kept in the user's cache folder, if it can be written.  Raises TypeError for a
    value that is neither text nor missing: a number has lost what its cell said (leading zeros, the plus), so it
    must not get here.
    """
    cells = arrow_texts(column)
    if cells is None:  # what Arrow cannot hold is walked
        return _as_column(_read_each(column, default_region, {}))
    recogniser = _recogniser(len(cells), default_region)
    if recogniser is None:
        return _as_column(_read_each(cells.to_pylist(), default_region, {}))
    return read_text_cells(cells.cast(pa.large_string()), recogniser, default_region)


def read_text_cells(cells: pa.LargeStringArray, recogniser: Recogniser, default_region: str) -> PhoneColumn:
    """``read_phone`` for every one of ``cells``; ``recogniser`` is of the same region."""
    known: dict[str, Phone] = {}
    chunks = []
    for start in range(0, len(cells), _CHUNK):
        chunk = cells.slice(start, _CHUNK)
        answers = recogniser.read(chunk)
        _read_disguised(chunk, recogniser, answers)
        rest = chunk.filter(pa.array(answers.open)).to_pylist()
        chunks.append(_filled(answers, recogniser, _as_column(_read_each(rest, default_region, known))))
    if not chunks:
        return _as_column([])
    return PhoneColumn(
        recipient=Recipients(np.concatenate([chunk.recipient.numbers for chunk in chunks])),
        country=Coded.joined([chunk.country for chunk in chunks]),
        reason=Coded.joined([chunk.reason for chunk in chunks]),
        repairs=np.concatenate([chunk.repairs for chunk in chunks]),
    )


def _read_disguised(cells: pa.LargeStringArray, recogniser: Recogniser, answers: Answers) -> None:
    """Answer cells that the tables can read once their disguise is off."""
    plain = undisguised(pc.fill_null(cells.filter(pa.array(answers.open)), ""))
    disguised = np.flatnonzero(plain.repairs)
    again = recogniser.read(plain.cells.take(pa.array(disguised)))
    known = ~again.open
    rows = np.flatnonzero(answers.open)[disguised[known]]
    answers.number[rows] = again.number[known]
    answers.verdict[rows] = again.verdict[known]
    mobile = again.number[known] > 0
    answers.repairs[rows] = (again.repairs[known] | plain.repairs[disguised[known]]) * mobile
    answers.open[rows] = False


def _recogniser(rows: int, region: str) -> Recogniser | None:
    """By the tables, if they are worth their time for ``rows`` rows."""
    folder = user_cache_path("dispatcher", appauthor=False)
    if rows < _WORTH_LOADING or (rows < _WORTH_BUILDING and not kept_file(folder).exists()):
        return None
    automaton = _automaton_in(folder)
    return None if automaton is None else _recogniser_of(automaton, region)


@lru_cache(maxsize=1)
def _automaton_in(folder: Path) -> Automaton | None:
    try:
        return kept_automaton(folder)
    except UnknownSyntax:
        # A newer phonenumbers may write its patterns in new ways; then everything is read by the rule.
        return None


@lru_cache(maxsize=4)
def _recogniser_of(automaton: Automaton, region: str) -> Recogniser:
    return Recogniser(automaton, region)


def _read_each(values: Iterable[object], region: str, known: dict[str, Phone]) -> list[Phone]:
    """By the rule, each distinct text once; ``known`` is what was read before, and is added to."""
    blank = _refused(Reason.PHONE_MISSING)
    phones = []
    for value in values:
        if not isinstance(value, str):
            if value is not None and value == value:  # NaN is missing, too
                raise TypeError(f"a phone column holds text, not {type(value).__name__}")
            phones.append(blank)
            continue
        phone = known.get(value)
        if phone is None:
            phone = known[value] = read_phone(value, region)
        phones.append(phone)
    return phones


def _as_column(phones: list[Phone]) -> PhoneColumn:
    return PhoneColumn(
        recipient=Recipients.of([phone.recipient for phone in phones]),
        country=Coded.of([phone.country for phone in phones]),
        reason=Coded.of([phone.reason for phone in phones]),
        repairs=np.fromiter((phone.repairs.value for phone in phones), dtype=np.uint16, count=len(phones)),
    )


def _filled(answers: Answers, recogniser: Recogniser, rest: PhoneColumn) -> PhoneColumn:
    """The answers, with those of the rule in the open places."""
    answers.number[answers.open] = rest.recipient.numbers
    answers.repairs[answers.open] = rest.repairs
    return PhoneColumn(
        recipient=Recipients(answers.number),
        country=recogniser.countries(answers.verdict).replaced(answers.open, rest.country),
        reason=recogniser.reasons(answers.verdict).replaced(answers.open, rest.reason),
        repairs=answers.repairs,
    )


def _refused(reason: Reason) -> Phone:
    return Phone(None, None, reason, Repair.NONE)


def _best_reading(written: Written, region: str) -> tuple[Verdict, Repair]:
    """As it is written, if that is a valid number at all; else the first repair that makes it a mobile."""
    first = judge(written.digits, region, plus=written.plus)
    if first.number is not None:
        return first, written.repairs | _repairs_of(first, written.digits)
    for digits, plus, repairs in _repaired(written):
        verdict = judge(digits, region, plus=plus)
        if verdict.reason is None:
            return verdict, repairs | _repairs_of(verdict, digits)
    return first, written.repairs


def _repaired(written: Written) -> Iterator[tuple[str, bool, Repair]]:
    """Other readings of the same writing: digits, with a plus or not, and what was repaired to get there."""
    repairs = written.repairs
    if written.trunk is not None:
        # Italy keeps its zero and the United Kingdom drops it: the (0) goes only if the number fails with it.
        without = written.digits[: written.trunk] + written.digits[written.trunk + 1 :]
        yield without, written.plus, repairs | Repair.TRUNK_ZERO
        if not written.plus:
            yield without, True, repairs | Repair.TRUNK_ZERO | Repair.PLUS_ADDED
    if not written.plus:
        yield written.digits, True, repairs | Repair.PLUS_ADDED
    elif Repair.DOUBLE_ZERO in repairs:
        # Some regions dial abroad with more than 00 (0011 in Australia).
        yield f"00{written.digits}", False, repairs & ~Repair.DOUBLE_ZERO


def _repairs_of(verdict: Verdict, digits: str) -> Repair:
    """What reading ``digits`` as ``verdict.number`` has changed."""
    if verdict.number is None or verdict.origin is Origin.REGION:
        return Repair.COUNTRY_ADDED
    dialled = verdict.number[1:]
    added = Repair.NONE if verdict.origin is Origin.PLUS else Repair.PLUS_ADDED
    kept = digits.endswith(dialled) if verdict.origin is Origin.PREFIX else digits == dialled
    # phonenumbers drops a prefix that is only dialled inside the country: +44 07911… is +44 7911…
    return added if kept else added | Repair.TRUNK_ZERO


def _holds_two(written: Written, region: str) -> bool:
    """Whether a whole number ends at a slash, comma, new line or late bracket and another begins."""
    for place in written.joints:
        rest = written.digits[place:]
        if place > _MOST_DIGITS or not _is_number(written.digits[:place], region, plus=written.plus):
            continue
        whole = _is_number(written.digits, region, plus=written.plus)
        if not whole or len(rest) <= _FEW_DIGITS or _is_number(rest, region, plus=False):
            return True
    return False


def _reason(reason: Reason, written: Written, region: str) -> Reason:
    """Two numbers with only blanks or dashes between them have no other sign than that the whole fails."""
    if reason in (Reason.PHONE_TOO_LONG, Reason.PHONE_NOT_VALID):
        for place in written.gaps:
            first, second = written.digits[:place], written.digits[place:]
            if max(len(first), len(second)) > _MOST_DIGITS:
                continue
            if _is_number(first, region, plus=written.plus) and _is_number(second, region, plus=False):
                return Reason.PHONE_TWO_NUMBERS
    return reason


def _is_number(digits: str, region: str, *, plus: bool) -> bool:
    return judge(digits, region, plus=plus).number is not None
