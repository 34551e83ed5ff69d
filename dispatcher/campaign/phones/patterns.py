"""Patterns over the digits 0 to 9, as expressions that can be read one digit at a time.

The derivative of an expression by a digit is the expression that the rest of the text must match once that
digit has been read (Brzozowski, 1964): the derivative of ``3[0-9]{2}`` by ``3`` is ``[0-9]{2}``, by ``4`` it is
nothing.  Equal expressions are one object with one number, so they are an automaton's states as they stand.

Only what phonenumbers' metadata is written in is read: digits, ``\\d``, ``[2-57]``, groups, ``|``, ``?``,
``{2}``, ``{2,5}``, and ``$`` (read as nothing: such patterns are only asked whether they could match).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

NOTHING = 0  # matches no text
EMPTY = 1  # matches the empty text only
_ANY_DIGIT = 0b11_1111_1111
_ANY_TAIL = ("tail",)

_SIGN = re.compile(r"[0-9]|\\d|\[[0-9-]+\]|\((?:\?:)?|\)|\||\?|\{\d+(?:,\d+)?\}|\$")


class UnknownSyntax(Exception):
    """A pattern uses something this module does not read."""


class Expressions:
    """Makes expressions and keeps each once.  An expression is a number that only its maker understands."""

    def __init__(self) -> None:
        self._parts: list[tuple] = []  # type: ignore[type-arg]  # one tuple per kind: see the makers below
        self._known: dict[tuple, int] = {}  # type: ignore[type-arg]
        self._derived: dict[tuple[int, int], int] = {}
        self._empty: list[bool] = []
        self._keep(("nothing",), matches_empty=False)
        self._keep(("empty",), matches_empty=True)
        self.tail = self._keep(_ANY_TAIL, matches_empty=True)  # whatever follows

    def read(self, pattern: str | None) -> int:
        """The expression of a regular expression; NOTHING for None and for an empty one, as phonenumbers has it.

        Raises UnknownSyntax.
        """
        if not pattern:
            return NOTHING
        signs = _SIGN.findall(pattern)
        if "".join(signs) != pattern:
            raise UnknownSyntax(pattern)
        position, expression = self._alternatives(signs, 0)
        if position != len(signs):
            raise UnknownSyntax(pattern)
        return expression

    def one_of(self, digits: int) -> int:
        """One digit out of ``digits``, bit 0 for the digit 0."""
        return self._keep(("one", digits), matches_empty=False)

    def literal(self, digits: str) -> int:
        return self.sequence(self.one_of(1 << int(digit)) for digit in digits)

    def sequence(self, expressions: Iterable[int]) -> int:
        result = EMPTY
        for expression in reversed(list(expressions)):
            result = self.then(expression, result)
        return result

    def then(self, first: int, second: int) -> int:
        """``first``, and after it ``second``; the first part is never itself a sequence, so equals look equal."""
        if NOTHING in (first, second):
            return NOTHING
        if first == EMPTY:
            return second
        if second == EMPTY:
            return first
        if self._parts[first][0] == "then":
            _, head, rest = self._parts[first]
            return self.then(head, self.then(rest, second))
        both_empty = self._empty[first] and self._empty[second]
        return self._keep(("then", first, second), matches_empty=both_empty)

    def either(self, expressions: Iterable[int]) -> int:
        members: set[int] = set()
        for expression in expressions:
            members.update(
                self._parts[expression][1] if self._parts[expression][0] == "either" else [expression]
            )
        members.discard(NOTHING)
        if self.tail in members:
            return self.tail
        if len(members) <= 1:
            return members.pop() if members else NOTHING
        matches_empty = any(self._empty[member] for member in members)
        return self._keep(("either", frozenset(members)), matches_empty=matches_empty)

    def starts(self, expression: int) -> int:
        """Every text that starts with one or more digits that ``expression`` matches."""
        begun = (self.then(self.one_of(1 << digit), self.derive(expression, digit)) for digit in range(10))
        return self.then(self.either(begun), self.tail)

    def matches_empty(self, expression: int) -> bool:
        return self._empty[expression]

    def derive(self, expression: int, digit: int) -> int:
        """What the rest must match after ``digit`` was read."""
        known = self._derived.get((expression, digit))
        if known is None:
            known = self._derived[expression, digit] = self._derivative(self._parts[expression], digit)
        return known

    def _derivative(self, parts: tuple, digit: int) -> int:  # type: ignore[type-arg]
        match parts:
            case ("one", digits):
                return EMPTY if digits >> digit & 1 else NOTHING
            case ("then", first, second):
                taken = self.then(self.derive(first, digit), second)
                return self.either([taken, self.derive(second, digit)]) if self._empty[first] else taken
            case ("either", members):
                return self.either(self.derive(member, digit) for member in members)
            case ("tail",):
                return self.tail
            case _:
                return NOTHING

    def _keep(self, parts: tuple, *, matches_empty: bool) -> int:  # type: ignore[type-arg]
        number = self._known.get(parts)
        if number is None:
            number = self._known[parts] = len(self._parts)
            self._parts.append(parts)
            self._empty.append(matches_empty)
        return number

    def _alternatives(self, signs: list[str], position: int) -> tuple[int, int]:
        """Reads up to the closing bracket or the end; the position after it and what was read."""
        branches: list[int] = []
        branch: list[int] = []
        while position < len(signs) and signs[position] != ")":
            if signs[position] == "|":
                branches.append(self.sequence(branch))
                branch = []
                position += 1
            else:
                position, piece = self._piece(signs, position)
                branch.append(piece)
        return position, self.either([*branches, self.sequence(branch)])

    def _piece(self, signs: list[str], position: int) -> tuple[int, int]:
        sign = signs[position]
        position += 1
        if sign.startswith("("):
            position, piece = self._alternatives(signs, position)
            if position == len(signs):
                raise UnknownSyntax("a bracket is not closed")
            position += 1
        elif sign == "$":
            return position, EMPTY
        elif sign == "\\d":
            piece = self.one_of(_ANY_DIGIT)
        elif sign.startswith("["):
            piece = self.one_of(sum(1 << digit for digit in set(_members(sign[1:-1]))))
        elif sign.isdigit():
            piece = self.one_of(1 << int(sign))
        else:
            raise UnknownSyntax(sign)
        if position < len(signs) and signs[position][0] in "?{":
            piece = self._repeated(piece, signs[position])
            position += 1
        return position, piece

    def _repeated(self, piece: int, times: str) -> int:
        least, _, most = times.strip("{}").partition(",") if times != "?" else ("0", ",", "1")
        optional = EMPTY
        for _ in range(int(most or least) - int(least)):
            optional = self.either([EMPTY, self.then(piece, optional)])
        return self.sequence([*[piece] * int(least), optional])


def _members(inside: str) -> Iterator[int]:
    """The digits of ``0-24`` in ``[0-24]``."""
    for run in re.findall(r"\d-\d|\d|-", inside):
        if run == "-":
            raise UnknownSyntax(f"[{inside}]")
        yield from range(int(run[0]), int(run[-1]) + 1)
