"""Running totals of a plan: what ``check`` and ``run`` show before anybody is asked anything."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dispatcher.campaign.reasons import PlanStatus, Reason, Repair
from dispatcher.campaign.substitution import Savings, savings

if TYPE_CHECKING:
    from dispatcher.campaign.plan import PlanChunk

MAX_PROBLEMS = 1_000
_EXAMPLES = 3


@dataclass(frozen=True)
class Problem:
    """One row that is not sent although somebody probably wanted it to be."""

    row: int
    column: str | None
    reason: Reason
    found: str


@dataclass(frozen=True)
class RepairExample:
    """One number that was repaired: as written, and as dialled."""

    row: int
    before: str
    after: str


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

    phone_column: str
    rows: int = 0
    counts: Counter[PlanStatus] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    repairs: Counter[Repair] = field(default_factory=Counter)
    repair_examples: dict[Repair, list[RepairExample]] = field(default_factory=dict)
    encodings: Counter[str] = field(default_factory=Counter)
    countries: Counter[str] = field(default_factory=Counter)
    parts: int = 0
    substitutions: Counter[tuple[str, str]] = field(default_factory=Counter)
    savings: Savings = field(default_factory=Savings)
    first: FirstMessage | None = None
    column_examples: dict[str, str] = field(default_factory=dict)

    def add(self, chunk: PlanChunk, cells: pd.DataFrame) -> None:
        """Count the chunk in; ``cells`` are the user's own, for one example a column."""
        ready = chunk.status == PlanStatus.READY
        self.rows += len(chunk.rows)
        self.counts.update(chunk.status)
        self.reasons.update(reason for reason in chunk.reason if reason is not None)
        self.encodings.update(chunk.encoding[ready])
        self.countries.update(chunk.country[ready])
        self.parts += int(chunk.parts[ready].sum())
        self.savings.merge(savings(chunk.text[ready], chunk.parts[ready]))
        self._add_problems(chunk)
        self._add_repairs(chunk)
        self._add_examples(cells)
        if self.first is None and ready.any():
            i = int(np.flatnonzero(ready)[0])
            self.first = FirstMessage(
                int(chunk.rows[i]), chunk.recipient[i], chunk.sender[i], chunk.text[i], int(chunk.parts[i])
            )

    def add_substitutions(self, changed: Counter[tuple[str, str]]) -> None:
        """Count what ``--gsm7`` replaced."""
        self.substitutions.update(changed)

    def _add_problems(self, chunk: PlanChunk) -> None:
        for i in np.flatnonzero(chunk.status == PlanStatus.INVALID):
            if len(self.problems) >= MAX_PROBLEMS:
                return
            detail = chunk.detail[i]
            found = chunk.phone[i] if detail == self.phone_column else ""
            self.problems.append(Problem(int(chunk.rows[i]), detail, chunk.reason[i], found))

    def _add_repairs(self, chunk: PlanChunk) -> None:
        for repair in Repair:
            hit = np.flatnonzero((chunk.repairs & repair.value != 0) & ~pd.isna(chunk.recipient))
            if not len(hit):
                continue
            self.repairs[repair] += len(hit)
            examples = self.repair_examples.setdefault(repair, [])
            for i in hit[: _EXAMPLES - len(examples)] if len(examples) < _EXAMPLES else ():
                examples.append(RepairExample(int(chunk.rows[i]), chunk.phone[i], chunk.recipient[i]))

    def _add_examples(self, cells: pd.DataFrame) -> None:
        for heading in cells.columns:
            if heading not in self.column_examples:
                column: Any = cells[heading]
                filled = column[column != ""]
                if len(filled):
                    self.column_examples[str(heading)] = str(filled.iloc[0])
