"""Puts the texts together: row by row through the sandbox, or as a join of columns where that is the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import Template as JinjaTemplate
from jinja2 import TemplateError, TemplateSyntaxError

from dispatcher.campaign.characters import text_bytes
from dispatcher.campaign.coded import Coded
from dispatcher.campaign.distinct import Distinct
from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.template.columns import (
    Rows,
    cells_of,
    clean_column,
    needs_tidying,
    rows_with_any,
    rows_with_nothing_word,
    rows_with_placeholder,
    tidy_column,
)
from dispatcher.campaign.template.filters import MAX_CHARACTERS, TextOverflow
from dispatcher.campaign.template.headings import Headings
from dispatcher.campaign.template.joining import Joined, Joining
from dispatcher.campaign.template.language import Field, Program, parse
from dispatcher.campaign.template.leftovers import (
    FOREIGN_SIGNS,
    clean,
    foreign_field,
    left_over,
    tidy,
)
from dispatcher.campaign.template.sandbox import Blank, BlankField, BoundedEnvironment, Budget, TooMuchWork
from dispatcher.campaign.template.unreadable import unreadable
from dispatcher.errors import UsageError

#: A longer cell than any spreadsheet holds is a file's accident; the longest cell of Excel.
_MAX_CELL = 32_767
#: Rows of one chunk that may run out of their budget before the whole template is refused.
_MAX_EXHAUSTED = 100


@dataclass(frozen=True, slots=True)
class Rendered:
    """One row's text, or the reason why it has none and the heading to look at, where one is to blame."""

    text: str | None
    reason: Reason | None = None
    detail: str | None = None


@dataclass(frozen=True)
class TextColumn:
    """One :class:`Rendered` per row, as columns; the texts are Arrow's, with nulls.

    ``cells`` are the cells that a template made them of, without blanks around them, by heading.  ``made_of``: pieces
    that each text has all the characters of and no others, in whatever order, where that is known.
    """

    texts: pa.Array
    reason: Coded
    detail: Coded
    cells: Mapping[str, Distinct] = field(default_factory=dict)
    made_of: Sequence[Distinct] | None = None

    @property
    def text(self) -> np.ndarray[Any, Any]:
        """The texts as Python's own; None where there is none."""
        return np.asarray(self.texts.to_numpy(zero_copy_only=False), dtype=object)


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
        raise unreadable(source, error.lineno) from None
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
        self._budget = program.budget
        self._joining: Joining | None = None
        if program.pieces is not None and _all_encodable(program.pieces):
            places = {position: index for index, position in enumerate(program.positions)}
            self._joining = Joining(program.pieces, places)
        self._compiled = compiled

    def render(self, cells: pa.RecordBatch) -> TextColumn:
        """The texts of all rows of ``cells``; equal to :meth:`render_row` of each."""
        used = {h: Distinct.of(cells_of(cells[h])).mapped(clean_column) for h in self.fields}
        values = list(used.values())
        joined = None if self._joining is None else self._joining.join(values, len(cells))
        if joined is None:
            joined = Joined(pa.nulls(len(cells), pa.string()), np.arange(len(cells)))
        taken = (value.column.take(pa.array(joined.odd)).to_pylist() for value in values)
        rows = zip(*taken, strict=True) if values else ([] for _ in joined.odd)
        rendered = list(self._run_all(rows))
        made_of = None if joined.made_of is None else _made_of(joined.made_of, joined.odd, rendered)
        return replace(_column(joined.texts, joined.odd, rendered), cells=used, made_of=made_of)

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

    def _run_all(self, rows: Iterable[Sequence[str]]) -> Iterator[Rendered]:
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
            text.encode()  # half a surrogate pair is no text
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


def _all_encodable(pieces: Sequence[str | Field]) -> bool:
    """Whether there is no half of a surrogate pair, which no text can hold."""
    words = (piece if isinstance(piece, str) else piece.default or "" for piece in pieces)
    return not any("\ud800" <= character <= "\udfff" for word in words for character in word)


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


def literal(column: pa.Array | Sequence[str | None], name: str, headings: Sequence[str] = ()) -> TextColumn:
    """A message column: each cell is the text itself, never a template.  ``detail`` is the column's name.

    ``headings`` are the sheet's columns: ``[Nome]`` was meant as a field when one is called Nome.
    """
    cells = cells_of(column)
    texts = tidy_column(cells, needs_tidying(cells))
    missing = np.diff(text_bytes(texts)[1]) == 0
    left_over = np.zeros(len(texts), np.bool_)
    left_over[rows_with_placeholder(texts)] = True
    left_over[rows_with_nothing_word(texts)] = True
    if headings:
        is_column = Headings(headings).knows
        foreign = rows_with_any(texts, FOREIGN_SIGNS, lambda text: foreign_field(text, is_column) is not None)
        left_over[foreign] = True
    odd = np.flatnonzero(missing | left_over)
    reasons = (Reason.TEXT_MISSING if missing[row] else Reason.TEXT_LEFTOVER for row in odd.tolist())
    return _column(texts, odd, [Rendered(None, reason, name) for reason in reasons])


def _column(texts: pa.Array, odd: Rows, rendered: Sequence[Rendered]) -> TextColumn:
    """The texts, with the odd rows as rendered one by one."""
    reason = detail = Coded.same(None, len(texts))
    if len(odd):
        mask = np.zeros(len(texts), np.bool_)
        mask[odd] = True
        texts = pc.replace_with_mask(
            texts, pa.array(mask), pa.array([row.text for row in rendered], texts.type)
        )
        reason = reason.replaced(odd, Coded.of([row.reason for row in rendered]))
        detail = detail.replaced(odd, Coded.of([row.detail for row in rendered]))
    return TextColumn(texts, reason, detail)


def _made_of(pieces: Sequence[Distinct], odd: Rows, rendered: Sequence[Rendered]) -> Sequence[Distinct]:
    """The pieces of texts of which the odd ones are each a piece of its own."""
    if not len(odd):
        return pieces
    places = np.zeros(len(pieces[0].places), np.intp)
    places[odd] = np.arange(1, len(odd) + 1)
    own = Distinct(pa.array(["", *(row.text or "" for row in rendered)], pa.string()), places)
    return [*(piece.replaced(odd, "") for piece in pieces), own]
