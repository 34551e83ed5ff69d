"""What each row says by itself: its number, its text and how long that is, its sender.

This part of planning knows nothing of other rows, so the next chunk can be read in another thread while one is planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from dispatcher.campaign.coded import Coded
from dispatcher.campaign.columns import Columns
from dispatcher.campaign.composition import Composition
from dispatcher.campaign.phones import PhoneColumn, read_phones
from dispatcher.campaign.plan_model import PlanOptions
from dispatcher.campaign.segments import SegmentColumn, measure_texts
from dispatcher.campaign.senders import read_senders
from dispatcher.campaign.sheet import SheetChunk
from dispatcher.campaign.substitution import to_gsm7_column
from dispatcher.campaign.template import Template, TextColumn, literal


@dataclass(frozen=True)
class RowReadings:
    """The rows of ``chunk`` as read; ``text`` is what would be sent, ``texts`` what it was before substitutions,
    ``characters`` the unusual ones of ``text``.
    """

    chunk: SheetChunk
    phones: PhoneColumn
    texts: TextColumn
    text: pa.Array
    characters: Composition
    measured: SegmentColumn
    senders: Coded
    sender_reasons: Coded


@dataclass(frozen=True)
class RowReader:
    """Reads rows by the chosen columns; ``template`` None where a column holds the texts."""

    options: PlanOptions
    columns: Columns
    template: Template | None
    headings: Sequence[str]

    def read(self, chunk: SheetChunk) -> RowReadings:
        """All rows of the chunk, also those that other rules leave out."""
        phones = read_phones(chunk.table[self.columns.phone.heading], self.options.default_region)
        texts = self._texts(chunk.table)
        text = _substituted(texts) if self.options.gsm7 else texts.texts
        sender = self.columns.sender
        sender_cells = chunk.table[sender.heading] if sender else None
        senders, sender_reasons = read_senders(sender_cells, self.options.sender, phones.country)
        filled = pc.fill_null(text, "")
        made_of = None if self.options.gsm7 else texts.made_of
        characters = Composition.joined(len(text), made_of) if made_of is not None else Composition.of(filled)
        measured = measure_texts(filled, characters)
        return RowReadings(chunk, phones, texts, text, characters, measured, senders, sender_reasons)

    @property
    def text_headings(self) -> Sequence[str]:
        """The columns that the texts are made of."""
        if self.template is not None:
            return self.template.fields
        return [self.columns.message.heading] if self.columns.message else []

    def _texts(self, cells: pa.RecordBatch) -> TextColumn:
        if self.template is not None:
            return self.template.render(cells)
        assert self.columns.message is not None  # choose_columns saw to it
        heading = self.columns.message.heading
        return literal(cells[heading], heading, self.headings)


def _substituted(texts: TextColumn) -> pa.Array:
    return pa.array(to_gsm7_column(texts.text), texts.texts.type)
