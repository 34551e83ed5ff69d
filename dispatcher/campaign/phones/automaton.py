"""All numbering plans as one table: from a state and a digit to the next state.

The text it reads is a calling code and a national number (``393331234567``).  Where a text ends, its state's
*label* says everything that phonenumbers' patterns say about it: which country and kind of number it is for
each length, and which patterns of a region matched.  Regions are numbered by ``regions`` (their keys), kinds by
``Kind``.

Building takes a second or two, so ``keeping`` stores the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from dispatcher.campaign.phones.metadata import (
    ABROAD,
    FIXED,
    GENERAL,
    LEADING,
    MOBILE,
    OTHERS,
    TRUNK,
    Kind,
    Region,
    all_regions,
    judged,
)
from dispatcher.campaign.phones.patterns import NOTHING, Expressions

LONGEST = 20  # digits: a calling code of three and the 17 that phonenumbers accepts after it
END = 10  # the symbol after the last digit: it leaves every state as it is
SYMBOLS = 11
START = 0

_Pattern = tuple[str, str]  # the region's key and the pattern's name
_State = tuple[
    tuple[_Pattern, int], ...
]  # what each pattern still has to match; patterns that cannot are left out


@dataclass(frozen=True, eq=False)
class Automaton:
    """``following[state * SYMBOLS + digit]`` is the next state; ``label[state]`` a row of the other arrays.

    ``verdict[label, length]``, for a text of ``length`` digits in all: 0 when it is not valid, else
    ``1 + 3 * region + kind``.  ``drops[label]``: after a ``+``, phonenumbers may drop a trunk prefix.
    ``general``, ``trunk``, ``abroad``, each ``[label, region]``: the region's pattern matched.
    """

    regions: NDArray[np.str_]
    following: NDArray[np.uint16]
    label: NDArray[np.uint16]
    verdict: NDArray[np.uint16]
    drops: NDArray[np.bool_]
    general: NDArray[np.bool_]
    trunk: NDArray[np.bool_]
    abroad: NDArray[np.bool_]

    def after(self, digits: str) -> int:
        """The state after reading ``digits`` from the start."""
        state = START
        for digit in digits:
            state = int(self.following[state * SYMBOLS + int(digit)])
        return state


def build_automaton() -> Automaton:
    """The automaton of phonenumbers' metadata as it is installed.

    Raises UnknownSyntax when a pattern of theirs is written in a way that ``patterns`` does not read.
    """
    codes = list(all_regions())
    expressions = Expressions()
    start = tuple((pattern, text) for pattern, text in _patterns(expressions, codes) if text != NOTHING)
    following, accepted = _explored(expressions, start)
    labels = {matched: number for number, matched in enumerate(dict.fromkeys(accepted))}
    label = np.array([labels[matched] for matched in accepted], dtype=np.int64)
    return _automaton(codes, list(labels), following, label)


def _patterns(expressions: Expressions, codes: Iterable[list[Region]]) -> Iterator[tuple[_Pattern, int]]:
    for region in chain.from_iterable(codes):
        data = region.metadata
        code = expressions.literal(region.calling_code)
        for name in (GENERAL, *OTHERS, FIXED, MOBILE):
            description = region.description(name)
            pattern = description.national_number_pattern if description else None
            yield (region.key, name), expressions.then(code, expressions.read(pattern))
        for name, pattern in (
            (LEADING, data.leading_digits),
            (TRUNK, data.national_prefix_for_parsing),
            (ABROAD, data.international_prefix),
        ):
            begun = expressions.starts(expressions.read(pattern))
            yield (region.key, name), expressions.then(code, begun)


def _explored(expressions: Expressions, start: _State) -> tuple[NDArray[np.int64], list[frozenset[_Pattern]]]:
    """Every state that can be reached: where its digits lead, and the patterns that match a text ending there.

    Hardly any could be merged: equal expressions are one expression already.
    """
    numbers = {start: START}
    states = [start]
    following = []
    for state in states:  # grows while it is read
        row = []
        for digit in range(10):
            derived = ((pattern, expressions.derive(text, digit)) for pattern, text in state)
            reached = _living([(pattern, text) for pattern, text in derived if text != NOTHING])
            number = numbers.setdefault(reached, len(states))
            if number == len(states):
                states.append(reached)
            row.append(number)
        following.append(row)
    accepted = [
        frozenset(pattern for pattern, text in state if expressions.matches_empty(text)) for state in states
    ]
    return np.array(following, dtype=np.int64), accepted


def _living(state: list[tuple[_Pattern, int]]) -> _State:
    """Without the kinds of regions whose general pattern cannot match any more: they mean nothing alone."""
    general = {region for (region, name), _ in state if name == GENERAL}
    needs_none = (LEADING, TRUNK, ABROAD)
    return tuple(item for item in state if item[0][0] in general or item[0][1] in needs_none)


def _automaton(
    codes: list[list[Region]],
    labels: list[frozenset[_Pattern]],
    following: NDArray[np.int64],
    label: NDArray[np.int64],
) -> Automaton:
    numbers = {region.key: number for number, region in enumerate(chain.from_iterable(codes))}
    of_code = {region.key: regions for regions in codes for region in regions}
    verdict = np.zeros((len(labels), LONGEST + 1), dtype=np.uint16)
    drops = np.zeros(len(labels), dtype=np.bool_)
    found = {name: np.zeros((len(labels), len(numbers)), dtype=np.bool_) for name in (GENERAL, TRUNK, ABROAD)}
    for row, matched in enumerate(labels):
        for key, name in matched:
            if name in found:
                found[name][row, numbers[key]] = True
        if matched:
            # Every pattern begins with its calling code, so those that matched together share it.
            regions = of_code[next(iter(matched))[0]]
            drops[row] = (regions[0].key, TRUNK) in matched
            verdict[row] = _verdicts(regions, matched, numbers)
    if max(len(label), len(labels), len(numbers) * len(Kind) + 1) > np.iinfo(np.uint16).max:
        raise OverflowError("the metadata has outgrown the table's 16 bits")
    symbols = np.column_stack([following, np.arange(len(label))])  # END leaves a state as it is
    return Automaton(
        regions=np.array(list(numbers), dtype=np.str_),
        following=symbols.ravel().astype(np.uint16),
        label=label.astype(np.uint16),
        verdict=verdict,
        drops=drops,
        general=found[GENERAL],
        trunk=found[TRUNK],
        abroad=found[ABROAD],
    )


def _verdicts(regions: list[Region], matched: frozenset[_Pattern], numbers: dict[str, int]) -> list[int]:
    """The verdict for each length of the whole text."""
    verdicts = []
    for length in range(LONGEST + 1):
        national = length - len(regions[0].calling_code)
        found = judged(regions, lambda key, name: (key, name) in matched, national)
        verdicts.append(0 if found is None else 1 + len(Kind) * numbers[found[0].key] + found[1])
    return verdicts
