"""Runs a template's expressions within bounds: no attribute of an object, no long string, no long loop.

Jinja's immutable sandbox keeps a template away from Python; the bounds here keep it away from the machine's
memory and time.  Every operation that can grow a value (``~ + * join replace``) checks the length before it
builds one, and loops pay for each turn from one budget per text.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jinja2 import StrictUndefined, Undefined
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dispatcher.campaign.template.filters import FILTERS, MAX_NUMBER, bounded, is_number, scalar, to_number

#: The longest range, and the work of all loops of one text: turns times the size of the loop's body.
MAX_RANGE = 1_000
MAX_WORK = 10_000

STRING_METHODS = frozenset(
    {"split", "strip", "lstrip", "rstrip", "upper", "lower", "title", "capitalize",
     "startswith", "endswith", "isdigit"}
)  # fmt: skip
LOOP_FACTS = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})
TESTS = frozenset(
    {"defined", "undefined", "none", "number", "string", "even", "odd", "divisibleby", "in", "lower",
     "upper", "eq", "equalto", "==", "ne", "!=", "lt", "lessthan", "<", "le", "<=",
     "gt", "greaterthan", ">", "ge", ">="}
)  # fmt: skip
#: Filters that only this package's own rewriting uses; no template can spell their names.
CONCAT, SCALAR = "~", "scalar!"


class BlankField(Exception):
    """A field without a value was used where a text is needed; ``args[0]`` is its heading."""


class TooMuchWork(Exception):
    """The loops of one text took more than :data:`MAX_WORK`."""


class Blank(Undefined):
    """A field whose cell is blank: false, equal to "", undefined for ``default``; else BlankField."""

    __slots__ = ()

    def __init__(self, heading: str) -> None:
        super().__init__(hint=heading, exc=BlankField)  # type: ignore[arg-type]  # any exception will do

    def __str__(self) -> str:
        raise BlankField(self._undefined_hint)

    def __eq__(self, other: object) -> bool:
        return other == "" or isinstance(other, Undefined)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash("")


class Budget:
    """What the loops of one text may still spend."""

    def __init__(self) -> None:
        self._left = MAX_WORK

    def __call__(self, items: Iterable[Any], weight: int) -> Iterator[Any]:
        """The items, each paid for with ``weight``; raises TooMuchWork when the budget is spent."""
        for item in items:
            self._left -= weight
            if self._left < 0:
                raise TooMuchWork
            yield item


def bounded_range(*bounds: int) -> range:
    """``range`` of at most :data:`MAX_RANGE` numbers; raises TooMuchWork."""
    if any(abs(bound) > MAX_NUMBER for bound in bounds):
        raise TooMuchWork
    numbers = range(*bounds)
    if len(numbers) > MAX_RANGE:
        raise TooMuchWork
    return numbers


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "/": operator.truediv, "//": operator.floordiv, "%": operator.mod,
}  # fmt: skip


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox of one template.  Numbers that the template computes are written with ``decimal_mark``."""

    intercepted_binops = frozenset(_OPERATORS)

    def __init__(self, decimal_mark: str = ".") -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, optimized=False, finalize=self.to_text)
        self.decimal_mark = decimal_mark
        self.globals = {"range": bounded_range}
        self.filters = {
            **FILTERS,
            "join": self._join,
            "string": self._string,
            CONCAT: self._concat,
            SCALAR: scalar,
        }
        self.tests = {name: test for name, test in self.tests.items() if name in TESTS}

    def to_text(self, value: Any) -> str:
        """A value as it stands in the text; TypeError for what is no text and no number."""
        if isinstance(value, str):
            return value
        if isinstance(value, Undefined):
            return str(value)
        if not is_number(value):
            raise TypeError("neither text nor number")
        if isinstance(value, int):
            return str(value)
        text = format(to_number(value), "f")
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace(".", self.decimal_mark)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Only what the language allows: a few methods of a string, a few facts of a loop."""
        if isinstance(obj, str) and attribute in STRING_METHODS:
            return getattr(obj, attribute)
        if isinstance(obj, LoopContext) and attribute in LOOP_FACTS:
            return getattr(obj, attribute)
        if isinstance(obj, Undefined):
            str(obj)
        raise SecurityError(f"no attribute {attribute}")

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A character or an item by its position."""
        if isinstance(obj, Undefined):
            str(obj)
        if not isinstance(obj, (str, list, tuple, range)) or type(argument) is not int:
            raise SecurityError("only positions can be asked for")
        return obj[argument] if -len(obj) <= argument < len(obj) else self.undefined("no such position")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic on numbers, exact; ``+`` and ``*`` on texts of bounded length."""
        if is_number(left) and is_number(right):
            if not isinstance(left, int) or not isinstance(right, int) or operator == "/":
                left, right = to_number(left), to_number(right)
            result = _OPERATORS[operator](left, right)
            to_number(result)
            return result
        if isinstance(left, Undefined) or isinstance(right, Undefined):
            return str(left) + str(right)  # raises
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            bounded(len(left) + len(right))
            return left + right
        if operator == "*" and isinstance(left, str) and type(right) is int:
            bounded(len(left) * right)
            return left * right
        raise TypeError(f"{operator} needs numbers")

    def _concat(self, first: Any, *others: Any) -> str:
        texts = [self.to_text(value) for value in (first, *others)]
        bounded(sum(map(len, texts)))
        return "".join(texts)

    def _join(self, values: Iterable[Any], separator: str = "") -> str:
        texts: list[str] = []
        length = 0
        for value in values:
            texts.append(self.to_text(value))
            length += len(texts[-1]) + len(separator)
            bounded(length)
        return self.to_text(separator).join(texts)

    def _string(self, value: Any) -> str:
        return self.to_text(value)
