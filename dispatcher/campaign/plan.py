"""The plan: for every row of the file its recipient, text, route, parts and cost, or the reason why not.

The work goes chunk by chunk over whole columns, in row order, and nothing but running totals stays in
memory, so a file of any size can be planned.  What other systems know (who opted out, who already got this
text) is asked through
:class:`~dispatcher.campaign.history.History`; planning itself touches no database and no network.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from dispatcher.campaign.ahead import ahead
from dispatcher.campaign.columns import Columns, choose_columns
from dispatcher.campaign.costly import CampaignSavings, CostlyCharacters, PricedRows
from dispatcher.campaign.earlier_report import EarlierReport, places
from dispatcher.campaign.history import History
from dispatcher.campaign.locale import Locale
from dispatcher.campaign.plan_model import Objects, PlanChunk, PlanOptions
from dispatcher.campaign.prices import Bill, Destinations, Pricer
from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.repeated import guard_key, guard_keys
from dispatcher.campaign.routes import routes
from dispatcher.campaign.row_reading import RowReader, RowReadings
from dispatcher.campaign.segments import MAX_PARTS, Encoding
from dispatcher.campaign.senders import sender_problem
from dispatcher.campaign.sheet import Sheet, SheetChunk
from dispatcher.campaign.summary import PlanSummary
from dispatcher.campaign.template import Template, cells_of, compile_template
from dispatcher.campaign.timing.due import DueColumn
from dispatcher.campaign.timing.headings import send_at_heading
from dispatcher.campaign.timing.options import checked
from dispatcher.campaign.timing.schedule import Schedule
from dispatcher.campaign.verdict import Verdict
from dispatcher.errors import FileError, UsageError

__all__ = ["Objects", "PlanChunk", "PlanOptions", "Planner"]

_SAMPLE_ROWS = 1_000


class Planner:
    """Plans one sheet.  Iterate :meth:`chunks` once, to its end; then :attr:`summary` and :meth:`bill` are complete.

    Raises FileError or UsageError at construction when columns, template or sender cannot be settled.
    """

    def __init__(
        self,
        sheet: Sheet,
        options: PlanOptions,
        pricer: Pricer,
        history: History,
        *,
        locale: Locale = Locale.IT,
        now: datetime | None = None,
    ) -> None:
        _require_usable_sender(options.sender)
        self.sheet = sheet
        self.options = options
        self._pricer = pricer
        self._history = history
        source = sheet.chunks()
        first = next(source, None)
        if first is None:
            raise FileError("sheet_no_rows", file=sheet.path.name, sheet=sheet.name)
        self._source: Iterator[SheetChunk] = itertools.chain([first], source)
        self.template: Template | None = None
        if options.message is not None:
            mark = "." if locale is Locale.EN else ","
            self.template = compile_template(options.message, sheet.headings, decimal_mark=mark)
        self.columns: Columns = choose_columns(
            sheet.headings,
            first.cells.head(_SAMPLE_ROWS),
            options.columns,
            default_region=options.default_region,
            has_template=self.template is not None,
            file=sheet.path.name,
            sheet=sheet.name,
        )
        self.schedule = _schedule(sheet, options, locale, now)
        self._seen: set[bytes] = set()
        self._earlier = EarlierReport()
        self._reader = RowReader(options, self.columns, self.template, sheet.headings)
        self._costly = CostlyCharacters(
            self._reader.text_headings, None if self.template is None else self.template.source
        )
        self.summary = PlanSummary()

    def chunks(self) -> Iterator[PlanChunk]:
        """The plan in row order."""
        for readings in ahead(map(self._reader.read, self._source)):
            planned = self._plan(readings)
            self.summary.add(planned, readings.chunk.cells)
            yield planned

    def bill(self) -> Bill:
        """What the rows planned so far cost."""
        return self._pricer.bill()

    def savings(self) -> CampaignSavings:
        """What ``--gsm7`` would save on the rows planned so far, and which column's cells are to blame."""
        return self._costly.savings(self._pricer)

    def _plan(self, readings: RowReadings) -> PlanChunk:
        chunk, phones, text = readings.chunk, readings.phones, readings.text
        cells, measured = chunk.cells, readings.measured
        verdict = Verdict(chunk)
        # before anything else: in the next report this is all that says that the row was sent
        sent_before = self._sent_before(chunk, phones.recipient)
        verdict.where(sent_before.astype(bool), Reason.SENT_IN_REPORT)
        verdict.hidden()
        verdict.problems()
        verdict.valueless([self.columns.phone.heading], Reason.PHONE_FORMULA_WITHOUT_VALUE)
        verdict.add(phones.reason, detail=self.columns.phone.heading)
        verdict.valueless(self._reader.text_headings, Reason.TEXT_FORMULA_WITHOUT_VALUE)
        verdict.add(readings.texts.reason, details=readings.texts.detail)
        verdict.where(measured.parts > MAX_PARTS, Reason.TEXT_TOO_LONG)
        if self.options.single_part:
            verdict.where(measured.parts > 1, Reason.TEXT_MULTIPART)
        if self.columns.sender:
            verdict.valueless([self.columns.sender.heading], Reason.SENDER_FORMULA_WITHOUT_VALUE)
        verdict.add(
            readings.sender_reasons, detail=self.columns.sender.heading if self.columns.sender else None
        )
        schedule, due, timed = self.schedule, None, None
        if schedule is not None:
            timed = self._timed_cells(schedule, cells)
            due = schedule.read(verdict, chunk, timed, phones.country)
        keys = self._exclude_known(verdict, phones.recipient, text, timed, due)
        times = None
        if schedule is not None and due is not None:
            times = schedule.place(verdict, due, phones.country)
            schedule.keep_within_cap(verdict, times, phones.recipient, self._history)

        ready = verdict.open()
        route = routes(phones.country, self.options.route)
        going = pa.array(ready)
        if self.options.gsm7:
            before = readings.texts.texts.filter(going)
            self.summary.add_substitutions(chunk.rows[ready], before, text.filter(going))
        cost: Objects = np.full(len(chunk.rows), None, dtype=object)
        cost[ready] = self._price(
            PricedRows(
                cells={h: cells_of(cells[h]).filter(going) for h in self._reader.text_headings},
                rows=chunk.rows[ready],
                destinations=Destinations.of(route[ready], phones.country[ready]),
                texts=text.filter(going),
                parts=measured.parts[ready].astype(np.int64),
                ucs2=measured.encoding[ready] == Encoding.UCS2,
            )
        )
        return PlanChunk(
            rows=chunk.rows,
            status=verdict.status(),
            reason=verdict.reason,
            detail=verdict.detail,
            phone=cells_of(cells[self.columns.phone.heading]),
            recipient=phones.recipient,
            country=phones.country,
            repairs=phones.repairs,
            route=route,
            sender=readings.senders,
            text=text,
            encoding=measured.encoding,
            parts=measured.parts,
            guard_key=keys,
            cost=cost,
            sent_before=sent_before,
            times=times,
        )

    def _sent_before(self, chunk: SheetChunk, recipients: Objects) -> Objects:
        """The places of the ledger's rows that prove what an earlier report in this file says."""
        if chunk.report is None or self.options.again:
            return places({}, len(chunk.rows))
        judged = self._earlier.judge(chunk.report, recipients, self._history)
        self.summary.claims.update(claim for claim, _ in judged.values())
        return places(judged, len(chunk.rows))

    def _timed_cells(self, schedule: Schedule, cells: pd.DataFrame) -> pd.DataFrame:
        """The columns that times are read from, as Python's own text."""
        return pd.DataFrame({h: cells[h].to_numpy(dtype=object) for h in schedule.headings}, dtype=object)

    def _price(self, rows: PricedRows) -> Objects:
        self._costly.add(rows, self._pricer)
        return self._pricer.price_to(rows.rows, rows.destinations, rows.parts).cost

    def _exclude_known(
        self,
        verdict: Verdict,
        recipients: Objects,
        texts: pa.Array,
        timed: pd.DataFrame | None,
        due: DueColumn | None,
    ) -> Objects:
        """Leave out who opted out, what is twice in the file and what was already sent; gives the guard keys."""
        for i in np.flatnonzero(verdict.reason == Reason.SENT_IN_REPORT).tolist():
            if texts[i].is_valid:
                self._seen.add(guard_key(recipients[i], texts[i].as_py()))
        gone = self._history.opted_out(recipients[verdict.open()].tolist())
        if gone:
            verdict.where(np.isin(recipients, list(gone)), Reason.OPTED_OUT)
        valid = np.flatnonzero(verdict.open())
        keys: Objects = np.full(len(recipients), None, dtype=object)
        keys[valid] = twins = guard_keys(
            pa.array(recipients[valid], pa.string()), texts.take(pa.array(valid))
        )
        if self.schedule is not None and due is not None and timed is not None:
            reminders = self.schedule.guard_keys(due, timed, recipients)
            if reminders is not None:
                keys[valid] = reminders[valid]
                twins = [
                    self.schedule.twin_key(due, timed, i, recipients[i], texts[i].as_py())
                    for i in valid.tolist()
                ]
        if not self.options.keep_duplicates:
            verdict.at(self._repeated(valid.tolist(), twins), Reason.DUPLICATE_IN_FILE)
        if not self.options.again:
            fresh = np.flatnonzero(verdict.open()).tolist()
            sent = self._history.already_sent(keys[fresh].tolist())
            verdict.at([i for i in fresh if keys[i] in sent] if sent else [], Reason.ALREADY_SENT)
        return keys

    def _repeated(self, rows: Sequence[int], keys: Sequence[bytes]) -> list[int]:
        """Those of the rows whose key an earlier row of the file has."""
        seen = self._seen
        repeated = []
        for row, key in zip(rows, keys, strict=True):
            if key in seen:
                repeated.append(row)
            else:
                seen.add(key)
        return repeated


def _schedule(sheet: Sheet, options: PlanOptions, locale: Locale, now: datetime | None) -> Schedule | None:
    timing = None if options.timing is None else checked(options.timing)
    if timing is None or (timing.is_plain and send_at_heading(sheet.headings) is None):
        return None
    if now is None:
        raise ValueError("times are planned against a clock")
    return Schedule(timing, sheet, locale, now)


def _require_usable_sender(sender: str | None) -> None:
    """A sender that no country takes is a wrong setting, not a fault of every row."""
    problem = sender_problem(sender, "")
    if problem is not None:
        raise UsageError("sender_not_usable", found=sender, reason=str(problem))
