"""Puts the texts together: row by row through the sandbox, or as a join of columns where that is the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Template as JinjaTemplate
from jinja2 import TemplateError, TemplateSyntaxError

from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.template.filters import MAX_CHARACTERS, TextOverflow
from dispatcher.campaign.template.headings import Headings
from dispatcher.campaign.template.language import Field, Program, parse
from dispatcher.campaign.template.leftovers import (
    clean,
    foreign_field,
    left_over,
    may_hold_foreign_field,
    may_hold_nothing_word,
    may_hold_placeholder,
    nothing_word,
    placeholder,
    tidy,
)
from dispatcher.campaign.template.sandbox import Blank, BlankField, BoundedEnvironment, Budget, TooMuchWork
from dispatcher.errors import UsageError

#: A longer cell than any spreadsheet holds is a file's accident; the longest cell of Excel.
_MAX_CELL = 32_767
#: Rows of one chunk that may run out of their budget before the whole template is refused.
_MAX_EXHAUSTED = 100
#: A template of many long fields is joined row by row, where its length is watched.
_MAX_JOINED = 50_000


@dataclass(frozen=True, slots=True)
class Rendered:
    """One row's text, or the reason why it has none and the heading to look at, where one is to blame."""

    text: str | None
    reason: Reason | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class TextColumn:
    """One :class:`Rendered` per row, as columns of objects."""

    text: np.ndarray[Any, Any]
    reason: np.ndarray[Any, Any]
    detail: np.ndarray[Any, Any]


def compile_template(source: str, headings: Sequence[str], *, decimal_mark: str = ".") -> Template:
    """The template of ``--message`` over the columns ``headings``.

    ``decimal_mark`` is how numbers that the template itself computes are written; cells are text already.
    Raises UsageError ``template_…`` for what is not allowed, misspelt, or would never end.
    """
    source = tidy(source)
    known = Headings(headings)
    environment = BoundedEnvironment(decimal_mark)
    program = parse(source, known, environment)
    try:
        code = environment.compile(program.tree)
    except TemplateSyntaxError as error:
        raise UsageError("template_syntax", found=error.message or "", line=error.lineno) from None
    except SyntaxError:  # Python allows twenty blocks in each other
        raise UsageError("template_not_allowed", found="{% … {% … {% … %}", line=1) from None
    compiled = JinjaTemplate.from_code(environment, code, environment.make_globals(None))
    template = Template(source, known.names, program, compiled)
    template.try_out()
    return template


class Template:
    """A compiled template.  ``fields`` are the headings it uses, in the order it first names them."""

    def __init__(
        self, source: str, headings: Sequence[str], program: Program, compiled: JinjaTemplate
    ) -> None:
        self.source = source
        self.fields = tuple(headings[position] for position in program.positions)
        self._names = [program.names[position] for position in program.positions]
        self._blanks = [Blank(heading) for heading in self.fields]
        self._positions = {position: index for index, position in enumerate(program.positions)}
        self._budget = program.budget
        self._pieces = program.pieces
        self._compiled = compiled

    def render(self, cells: pd.DataFrame) -> TextColumn:
        """The texts of all rows of ``cells``; equal to :meth:`render_row` of each."""
        values = [[clean(value) for value in cells[heading].tolist()] for heading in self.fields]
        joined = None if self._pieces is None else self._join(self._pieces, values, len(cells))
        if joined is None:
            texts, odd = [""] * len(cells), list(range(len(cells)))
        else:
            texts, odd = joined, self._odd(self._pieces or [], values, joined)
        return _column(texts, odd, self._run_all([[column[row] for column in values] for row in odd]))

    def render_row(self, values: Mapping[str, str]) -> Rendered:
        """The rule for one row; ``values`` by heading."""
        try:
            return self._run([clean(values[heading]) for heading in self.fields])
        except TooMuchWork:
            return Rendered(None, Reason.TEXT_TEMPLATE_FAILED)

    def try_out(self) -> None:
        """Refuse a template that fails its bounds on the plainest row.  Raises UsageError."""
        try:
            self._text(["1"] * len(self.fields))
        except (TooMuchWork, TextOverflow):
            raise UsageError("template_too_much_work") from None
        except _ROW_FAILURES:
            pass  # "1" may be no value for this template

    def _run_all(self, rows: Sequence[Sequence[str]]) -> Iterator[Rendered]:
        exhausted = 0
        for values in rows:
            try:
                yield self._run(values)
            except TooMuchWork:
                exhausted += 1
                if exhausted > _MAX_EXHAUSTED:
                    raise UsageError("template_too_much_work") from None
                yield Rendered(None, Reason.TEXT_TEMPLATE_FAILED)

    def _run(self, values: Sequence[str]) -> Rendered:
        for heading, value in zip(self.fields, values, strict=True):
            if len(value) > _MAX_CELL:
                return Rendered(None, Reason.TEXT_TOO_LONG, heading)
        try:
            text = tidy(self._text(values))
        except BlankField as error:
            return Rendered(None, Reason.TEXT_FIELD_EMPTY, str(error))
        except TextOverflow:
            return Rendered(None, Reason.TEXT_TOO_LONG)
        except _ROW_FAILURES:
            return Rendered(None, Reason.TEXT_TEMPLATE_FAILED)
        if not text:
            return Rendered(None, Reason.TEXT_MISSING)
        found, blamed = left_over(text, dict(zip(self.fields, values, strict=True)))
        return Rendered(None, Reason.TEXT_LEFTOVER, blamed) if found else Rendered(text)

    def _text(self, values: Sequence[str]) -> str:
        filled: dict[str, Any] = {
            name: value or blank for name, value, blank in zip(self._names, values, self._blanks, strict=True)
        }
        filled[self._budget] = Budget()
        chunks: list[str] = []
        length = 0
        for chunk in self._compiled.root_render_func(self._compiled.new_context(filled)):
            chunks.append(chunk)
            length += len(chunk)
            if length > MAX_CHARACTERS:
                raise TextOverflow
        return "".join(chunks)

    def _join(self, pieces: list[str | Field], values: list[list[str]], rows: int) -> list[str] | None:
        """The texts by joining columns; None when cells are so long that each row has to be watched."""
        columns = [self._piece(piece, values) for piece in pieces]
        longest = (len(c) if isinstance(c, str) else max(map(len, c), default=0) for c in columns)
        if sum(longest) > _MAX_JOINED:
            return None
        filled = (itertools.repeat(c, rows) if isinstance(c, str) else c for c in columns)
        return [tidy(text) for text in map("".join, zip(*filled, strict=False))]

    def _piece(self, piece: str | Field, values: list[list[str]]) -> str | list[str]:
        if isinstance(piece, str):
            return piece
        column, default = values[self._positions[piece.position]], piece.default
        return column if default is None else [value or default for value in column]

    def _odd(self, pieces: list[str | Field], values: list[list[str]], texts: list[str]) -> list[int]:
        """The rows whose joined text may not be what :meth:`_run` gives; all others are plain and clean."""
        # Half, since blanks around the text count while it is made but are gone from it now.
        odd = {row for row, text in enumerate(texts) if not 0 < len(text) <= MAX_CHARACTERS // 2}
        for piece in pieces:
            if isinstance(piece, Field) and piece.default is None:
                column = values[self._positions[piece.position]]
                if "" in column:
                    odd.update(row for row, value in enumerate(column) if not value)
        for column in values:
            if may_hold_nothing_word(column):
                odd.update(row for row, value in enumerate(column) if nothing_word(value))
        if may_hold_placeholder(texts):
            odd.update(row for row, text in enumerate(texts) if placeholder(text))
        return sorted(odd)


#: What a template may raise for a row whose values do not suit it: a number that is none, a missing word, ...
_ROW_FAILURES = (
    BlankField,
    TemplateError,
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
)


def literal(column: pd.Series[Any], headings: Sequence[str] = ()) -> TextColumn:
    """A message column: each cell is the text itself, never a template.  ``detail`` is the column's name.

    ``headings`` are the sheet's columns: ``[Nome]`` was meant as a field when one is called Nome.
    """
    name = str(column.name)
    texts = [tidy(value) if isinstance(value, str) else "" for value in column.tolist()]
    odd = {row for row, text in enumerate(texts) if not text}
    if may_hold_placeholder(texts) or may_hold_nothing_word(texts):
        odd.update(row for row, text in enumerate(texts) if placeholder(text) or nothing_word(text))
    if headings and may_hold_foreign_field(texts):
        is_column = Headings(headings).knows
        odd.update(row for row, text in enumerate(texts) if foreign_field(text, is_column))
    reasons = (Reason.TEXT_LEFTOVER if texts[row] else Reason.TEXT_MISSING for row in sorted(odd))
    return _column(texts, sorted(odd), (Rendered(None, reason, name) for reason in reasons))


def _column(texts: list[str], odd: list[int], rendered: Iterable[Rendered]) -> TextColumn:
    """The texts, with the odd rows as rendered one by one."""
    table = np.full((3, len(texts)), None, dtype=object)
    table[0] = texts
    for row, result in zip(odd, rendered, strict=True):
        table[0, row], table[1, row], table[2, row] = result.text, result.reason, result.detail
    return TextColumn(table[0], table[1], table[2])
