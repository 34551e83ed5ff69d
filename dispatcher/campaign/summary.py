"""Running totals of a plan: what ``check`` and ``run`` show before anybody is asked anything."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dispatcher.campaign.alphabet import offending
from dispatcher.campaign.earlier_report import Claim
from dispatcher.campaign.problems import Problem, problems
from dispatcher.campaign.reasons import PlanStatus, Reason, Repair
from dispatcher.campaign.substitution import substitute

if TYPE_CHECKING:
    from dispatcher.campaign.plan import PlanChunk

Objects = npt.NDArray[Any]

MAX_PROBLEMS = 1_000
_EXAMPLES = 3


@dataclass(frozen=True)
class RepairExample:
    """One number that was repaired: as written, and as dialled."""

    row: int
    before: str
    after: str


@dataclass
class Substitution:
    """What ``--gsm7`` put for one character: how many ``times``, in how many ``rows``, and one text."""

    character: str
    replacement: str
    example_row: int
    before: str
    after: str
    times: int = 0
    rows: int = 0


@dataclass(frozen=True)
class FirstMessage:
    """The first message that would be sent."""

    row: int
    recipient: str
    sender: str | None
    text: str
    parts: int


@dataclass
class PlanSummary:
    """Totals over the chunks added so far; ``problems`` keeps the first :data:`MAX_PROBLEMS`, the counters know them
    all.
    """

    rows: int = 0
    counts: Counter[PlanStatus] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    claims: Counter[Claim] = field(default_factory=Counter)  # rows that say they were sent
    repairs: Counter[Repair] = field(default_factory=Counter)
    repair_examples: dict[Repair, list[RepairExample]] = field(default_factory=dict)
    encodings: Counter[str] = field(default_factory=Counter)
    countries: Counter[str] = field(default_factory=Counter)
    parts: int = 0
    due: Counter[tuple[str, datetime | None]] = field(default_factory=Counter)  # by country; to the minute
    substitutions: dict[str, Substitution] = field(default_factory=dict)
    first: FirstMessage | None = None
    column_examples: dict[str, str] = field(default_factory=dict)

    def add(self, chunk: PlanChunk, cells: pa.RecordBatch) -> None:
        """Count the chunk in; ``cells`` are the user's own, for what was found and one example a column."""
        ready = chunk.status.equals(PlanStatus.READY)
        self.rows += len(chunk.rows)
        self.counts.update(chunk.status.tally())
        self.reasons.update(chunk.reason.tally())
        self.encodings.update(chunk.encoding.tally(ready))
        self.countries.update(chunk.country.tally(ready))
        self.parts += int(chunk.parts[ready].sum())
        if chunk.times is not None:
            due = (
                None if at is None else at.replace(second=0, microsecond=0) for at in chunk.times.at[ready]
            )
            self.due.update(zip(chunk.country.at(ready), due, strict=True))
        self.problems.extend(problems(chunk, cells, MAX_PROBLEMS - len(self.problems)))
        self._add_repairs(chunk)
        self._add_examples(cells)
        if self.first is None and ready.any():
            i = int(np.flatnonzero(ready)[0])
            self.first = FirstMessage(
                int(chunk.rows[i]),
                chunk.recipient[i] or "",
                chunk.sender[i],
                chunk.text[i].as_py(),
                int(chunk.parts[i]),
            )

    def add_substitutions(self, rows: Objects, before: pa.Array, after: pa.Array) -> None:
        """Count what ``--gsm7`` replaced in texts that will be sent."""
        for i in pc.indices_nonzero(pc.not_equal(before, after)).to_pylist():
            old, new = before[i].as_py(), after[i].as_py()
            for character, times in Counter(offending(old)).items():
                known = self.substitutions.get(character)
                if known is None:
                    plain = substitute(character) or ""
                    known = Substitution(character, plain, int(rows[i]), old, new)
                    self.substitutions[character] = known
                known.times += times
                known.rows += 1

    def _add_repairs(self, chunk: PlanChunk) -> None:
        seen = chunk.recipient.known() & ~chunk.status.equals(PlanStatus.HIDDEN)
        times = np.bincount(chunk.repairs[seen])  # by repairs that were done together
        for repair in Repair:
            having = (np.arange(len(times)) & repair.value) != 0
            if not times[having].any():
                continue
            self.repairs[repair] += int(times[having].sum())
            examples = self.repair_examples.setdefault(repair, [])
            if len(examples) < _EXAMPLES:
                hit = np.flatnonzero(((chunk.repairs & repair.value) != 0) & seen)
                for i in hit[: _EXAMPLES - len(examples)].tolist():
                    after = chunk.recipient[i] or ""
                    examples.append(RepairExample(int(chunk.rows[i]), chunk.phone[i].as_py(), after))

    def _add_examples(self, cells: pa.RecordBatch) -> None:
        for heading, column in zip(cells.schema.names, cells.columns, strict=True):
            if heading not in self.column_examples:
                first = pc.index(pc.not_equal(column, ""), True).as_py()
                if first >= 0:
                    self.column_examples[heading] = column[first].as_py()
