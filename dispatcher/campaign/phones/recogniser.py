"""A column of numbers read through the automaton: the same answers as the rule, where they are certain.

A plain cell is read as phonenumbers reads it: after a ``+``, as a national number of the default region, or as
a number that has lost its ``+``.  Wherever phonenumbers would do more than that (drop a trunk prefix after a
``+``, find an area code in one, find an international prefix other than 00), and wherever nothing valid comes
out, the cell stays *open*, and the rule for one cell answers it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dispatcher.campaign.coded import Coded
from dispatcher.campaign.phones.automaton import END, LONGEST, START, SYMBOLS, Automaton
from dispatcher.campaign.phones.metadata import Kind, Region, country_of, region_named
from dispatcher.campaign.phones.numbering import judge
from dispatcher.campaign.phones.plain_cells import Digits, PlainCells, read_plain_cells
from dispatcher.campaign.reasons import Reason, Repair

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]

_REASONS = {Kind.MOBILE: None, Kind.FIXED: Reason.PHONE_LANDLINE, Kind.OTHER: Reason.PHONE_NOT_MOBILE}


@dataclass(frozen=True)
class Answers:
    """One entry a cell; ``open`` cells have no answer here.

    ``number``: the digits of a mobile after its plus as an integer, else 0.  ``verdict`` is the automaton's, which
    tells country and reason; 0 is none.  ``repairs``: the bits of Repair.
    """

    open: Flags
    number: Rows
    verdict: NDArray[np.uint16]
    repairs: NDArray[np.uint16]


@dataclass(frozen=True)
class _Numbers:
    """Some of a chunk's cells: which, their digits, and the same as an integer."""

    rows: Rows
    digits: Digits
    value: Rows

    def __getitem__(self, chosen: Flags) -> _Numbers:
        return _Numbers(self.rows[chosen], self.digits[chosen], self.value[chosen])

    @property
    def count(self) -> Rows:
        """How many digits there are."""
        return self.digits.count

    def start_with(self, prefix: str) -> Flags:
        begins = np.full(len(self.rows), bool(prefix))
        for position, digit in enumerate(prefix):
            begins &= self.digits.at(position) == int(digit)
        return begins

    def without(self, length: int) -> _Numbers:
        """Without the first ``length`` digits."""
        digits = self.digits.without(length)
        return _Numbers(self.rows, digits, self.value % 10**digits.count)

    def after(self, code: str) -> Rows:
        """As integers, with the calling code before them."""
        return self.value if not code else self.value + int(code) * 10**self.count


class _Home:
    """The default region: what the automaton and the metadata say about its national numbers."""

    def __init__(self, automaton: Automaton, region: Region) -> None:
        column = int(np.flatnonzero(automaton.regions == region.key)[0])
        lengths = range(LONGEST + 1)
        self.code = region.calling_code
        self.state = automaton.after(region.calling_code)
        self.literal_trunk = region.literal_trunk()
        # by label
        self.general = automaton.general[:, column].copy()
        self.trunk = automaton.trunk[:, column].copy()
        self.abroad = automaton.abroad[:, column].copy()
        # by number of digits
        self.too_long = np.array([region.too_long(length) for length in lengths])
        self.possible = np.array([region.possible(length) for length in lengths])


class Recogniser:
    """Reads chunks of cells for one default region.  Remembers which short beginnings are whole numbers."""

    def __init__(self, automaton: Automaton, default_region: str) -> None:
        self._automaton = automaton
        self._region = default_region
        home = region_named(default_region)
        self._home = _Home(automaton, home) if home else None
        countries = [country_of(key) for key in automaton.regions.tolist()]
        # by verdict; 0 is no verdict
        self._country = [None, *(name for name in countries for _ in Kind)]
        self._reason = [None, *(_REASONS[kind] for _ in countries for kind in Kind)]
        self._mobile = np.array([False, *(kind is Kind.MOBILE for _ in countries for kind in Kind)])
        self._beginnings: dict[tuple[str, bool], bool] = {}

    def read(self, cells: pa.LargeStringArray) -> Answers:
        """Answers for a chunk; with 16,000 to 64,000 cells it stays within a processor's cache."""
        plain = read_plain_cells(cells)
        answers = Answers(
            open=np.ones(len(cells), dtype=np.bool_),
            number=np.zeros(len(cells), dtype=np.int64),
            verdict=np.zeros(len(cells), dtype=np.uint16),
            repairs=_written_repairs(plain),
        )
        readable = plain.plain & ~self._may_hold_two(plain)
        self._read_international(_numbers(plain, readable & plain.plus), answers)
        if self._home is not None:
            self._read_national(_numbers(plain, readable & ~plain.plus), self._home, answers)
        return answers

    def countries(self, verdict: NDArray[np.uint16]) -> Coded:
        """The countries that the automaton's verdicts are about."""
        return Coded.renamed(verdict, self._country)

    def reasons(self, verdict: NDArray[np.uint16]) -> Coded:
        """Why they are not mobiles; None for a mobile."""
        return Coded.renamed(verdict, self._reason)

    def _read_international(self, numbers: _Numbers, answers: Answers) -> None:
        label, verdict = self._judged(START, numbers)
        sure = (verdict > 0) & ~self._automaton.drops[label]
        self._answer(answers, numbers[sure], verdict[sure], "", Repair.NONE)

    def _read_national(self, numbers: _Numbers, home: _Home, answers: Answers) -> None:
        label, verdict = self._judged(home.state, numbers)
        label_with_plus, verdict_with_plus = self._judged(START, numbers)
        drops = self._automaton.drops[label_with_plus]

        # 393331234567: phonenumbers takes the calling code off if only the rest is like a number of the region.
        code = numbers.start_with(home.code)
        unclear = home.abroad[label] | (code & home.trunk[label_with_plus])
        rest_is_better = ~home.general[label] & home.general[label_with_plus]
        bare = ~unclear & code & (rest_is_better | home.too_long[numbers.count])
        trunk = ~unclear & ~bare & home.trunk[label]
        national = ~unclear & ~bare & ~trunk

        valid = national & (verdict > 0)
        self._answer(answers, numbers[valid], verdict[valid], home.code, Repair.COUNTRY_ADDED)
        # A number that is not valid at home is read with a plus, but only a mobile is worth that repair.
        abroad = national & (verdict == 0) & self._mobile[verdict_with_plus]
        lost = ((bare & (verdict_with_plus > 0)) | abroad) & ~drops
        self._answer(answers, numbers[lost], verdict_with_plus[lost], "", Repair.PLUS_ADDED)
        inside = trunk & numbers.start_with(home.literal_trunk)
        self._read_after_trunk(numbers[inside], home.general[label[inside]], home, answers)

    def _read_after_trunk(self, numbers: _Numbers, general: Flags, home: _Home, answers: Answers) -> None:
        """National numbers with the prefix dialled inside the country: 07400 123456 in the United Kingdom."""
        short = numbers.without(len(home.literal_trunk))
        label, verdict = self._judged(home.state, short)
        # phonenumbers keeps a prefix without which a number stops being like a number of the region.
        sure = (verdict > 0) & home.possible[short.count] & (~general | home.general[label])
        self._answer(answers, short[sure], verdict[sure], home.code, Repair.COUNTRY_ADDED)

    def _judged(self, start: int, numbers: _Numbers) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Label and verdict of ``numbers`` read from the state ``start``."""
        following = self._automaton.following
        state = np.full(len(numbers.rows), start, dtype=np.int64)
        for position in range(int(numbers.count.max(initial=0))):
            state *= SYMBOLS
            state += numbers.digits.at(position)
            state = following[state].astype(np.int64)
        label = self._automaton.label[state]
        before = 0 if start == START or self._home is None else len(self._home.code)
        return label, self._automaton.verdict[label, numbers.count + before]

    def _answer(
        self,
        answers: Answers,
        numbers: _Numbers,
        verdict: NDArray[np.uint16],
        code: str,
        repair: Repair,
    ) -> None:
        """``code``: the calling code, where the digits are without it."""
        rows, mobile = numbers.rows, self._mobile[verdict]
        answers.open[rows] = False
        answers.verdict[rows] = verdict
        answers.number[rows] = numbers.after(code) * mobile
        answers.repairs[rows] = (answers.repairs[rows] | repair.value) * mobile

    def _may_hold_two(self, plain: PlainCells) -> Flags:
        """Cells whose digits before the slash are already a number."""
        two = np.zeros(len(plain.plain), dtype=np.bool_)
        rows = np.flatnonzero(plain.plain & (plain.slash > 0))
        if not len(rows):
            return two
        before = Digits(plain.digits.row, plain.digits.begin[rows], plain.slash[rows])
        cut = np.stack([before.at(place).astype(np.int64) for place in range(int(before.count.max()))])
        key = plain.plus[rows].astype(np.int64)
        for digit in cut:
            key = key * SYMBOLS + digit
        _, first, which = np.unique(key, return_index=True, return_inverse=True)
        whole = [
            self._is_number(
                "".join(map(str, cut[:, column][cut[:, column] < END])), bool(plain.plus[rows[column]])
            )
            for column in first
        ]
        two[rows] = np.array(whole, dtype=np.bool_)[which]
        return two

    def _is_number(self, digits: str, plus: bool) -> bool:
        # Few digits, so few of them: cheaper asked than proved.
        known = self._beginnings.get((digits, plus))
        if known is None:
            known = judge(digits, self._region, plus=plus).number is not None
            self._beginnings[digits, plus] = known
        return known


def _numbers(plain: PlainCells, chosen: Flags) -> _Numbers:
    rows = np.flatnonzero(chosen)
    return _Numbers(rows, plain.digits[rows], plain.value[rows])


def _written_repairs(plain: PlainCells) -> NDArray[np.uint16]:
    repairs = plain.separators * np.uint16(Repair.SEPARATORS.value)
    return repairs | plain.double_zero * np.uint16(Repair.DOUBLE_ZERO.value)
