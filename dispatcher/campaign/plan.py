"""The plan: for every row of the file its recipient, text, route, parts and cost, or the reason why not.

The work goes chunk by chunk over whole columns, in row order, and nothing but running totals stays in
memory, so a file of any size can be planned.  What other systems know (who opted out, who already got this
text) is asked through
:class:`~dispatcher.campaign.history.History`; planning itself touches no database and no network.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pyarrow as pa

from dispatcher.campaign.ahead import made_ahead
from dispatcher.campaign.coded import Coded
from dispatcher.campaign.columns import Columns, choose_columns
from dispatcher.campaign.costly import CampaignSavings, CostlyCharacters, PricedRows
from dispatcher.campaign.earlier_report import EarlierReport, places
from dispatcher.campaign.exclusion import Exclusion, Timed
from dispatcher.campaign.history import History
from dispatcher.campaign.locale import Locale
from dispatcher.campaign.phones import Recipients
from dispatcher.campaign.plan_model import Objects, PlanChunk, PlanOptions
from dispatcher.campaign.prices import Bill, Destinations, Pricer
from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.routes import routes
from dispatcher.campaign.row_reading import RowReader, RowReadings
from dispatcher.campaign.segments import MAX_PARTS, Encoding
from dispatcher.campaign.senders import sender_problem
from dispatcher.campaign.sheet import Sheet, SheetChunk
from dispatcher.campaign.summary import PlanSummary
from dispatcher.campaign.template import Template, cells_of, compile_template
from dispatcher.campaign.timing.headings import send_at_heading
from dispatcher.campaign.timing.options import checked
from dispatcher.campaign.timing.schedule import Schedule, Times
from dispatcher.campaign.verdict import Verdict
from dispatcher.errors import UsageError

__all__ = ["Objects", "PlanChunk", "PlanOptions", "Planner"]

_SAMPLE_ROWS = 1_000


class Planner:
    """Plans one sheet.  Iterate :meth:`chunks` once, to its end; then :attr:`summary` and :meth:`bill` are complete.

    Raises FileError or UsageError at construction when there are no rows, or columns, template or sender cannot be
    settled.
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
        first = next(source)
        self._source: Iterator[SheetChunk] = itertools.chain([first], source)
        self.template: Template | None = None
        if options.message is not None:
            mark = "." if locale is Locale.EN else ","
            self.template = compile_template(options.message, sheet.headings, decimal_mark=mark)
        self.columns: Columns = choose_columns(
            sheet.headings,
            first.table.slice(0, _SAMPLE_ROWS),
            options.columns,
            default_region=options.default_region,
            has_template=self.template is not None,
            file=sheet.path.name,
            sheet=sheet.name,
        )
        self.schedule = _schedule(sheet, options, locale, now)
        self._exclusion = Exclusion(options, history)
        self._earlier = EarlierReport()
        self._reader = RowReader(options, self.columns, self.template, sheet.headings)
        self._costly = CostlyCharacters(
            self._reader.text_headings, None if self.template is None else self.template.source
        )
        self.summary = PlanSummary()

    def chunks(self) -> Iterator[PlanChunk]:
        """The plan in row order."""
        for readings in made_ahead(self._source, self._reader.read):
            planned = self._plan(readings)
            self.summary.add(planned, readings.chunk.table)
            yield planned

    def bill(self) -> Bill:
        """What the rows planned so far cost."""
        return self._pricer.bill()

    def savings(self) -> CampaignSavings:
        """What ``--gsm7`` would save on the rows planned so far, and which column's cells are to blame."""
        return self._costly.savings(self._pricer)

    def _plan(self, readings: RowReadings) -> PlanChunk:
        chunk, phones, text = readings.chunk, readings.phones, readings.text
        cells, measured = chunk.table, readings.measured
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
        timed = self._timed(verdict, readings)
        keys = self._exclusion.exclude(verdict, phones.recipient, text, timed)
        times = None if timed is None else self._times(verdict, readings, timed)

        ready = verdict.open()
        route = routes(phones.country, self.options.route)
        if self.options.gsm7:
            going = pa.array(ready)
            before = readings.texts.texts.filter(going)
            self.summary.add_substitutions(chunk.rows[ready], before, text.filter(going))
        cost = self._price(
            PricedRows(
                cells=readings.texts.cells,
                texts=text,
                characters=readings.characters,
                going=np.flatnonzero(ready),
                rows=chunk.rows[ready],
                destinations=Destinations.of(route.at(ready), phones.country.at(ready)),
                parts=measured.parts[ready].astype(np.int64),
                ucs2=measured.encoding.equals(Encoding.UCS2)[ready],
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
            cost=Coded.same(None, len(chunk.rows)).replaced(ready, cost),
            sent_before=sent_before,
            times=times,
        )

    def _sent_before(self, chunk: SheetChunk, recipients: Recipients) -> Objects:
        """The places of the ledger's rows that prove what an earlier report in this file says."""
        if chunk.report is None or self.options.again:
            return places({}, len(chunk.rows))
        judged = self._earlier.judge(chunk.report, recipients.objects(), self._history)
        self.summary.claims.update(claim for claim, _ in judged.values())
        return places(judged, len(chunk.rows))

    def _timed(self, verdict: Verdict, readings: RowReadings) -> Timed | None:
        """What the cells say of times, where rows have any."""
        schedule, chunk = self.schedule, readings.chunk
        if schedule is None:
            return None
        cells = chunk.cells[list(dict.fromkeys(schedule.headings))].astype(object)
        due = schedule.read(verdict, chunk, cells, readings.phones.country.objects())
        return Timed(schedule, due, cells)

    def _times(self, verdict: Verdict, readings: RowReadings, timed: Timed) -> Times:
        """When the rows that are not left out go."""
        times = timed.schedule.place(verdict, timed.due, readings.phones.country.objects())
        timed.schedule.keep_within_cap(verdict, times, readings.phones.recipient.objects(), self._history)
        return times

    def _price(self, rows: PricedRows) -> Coded:
        self._costly.add(rows, self._pricer)
        return self._pricer.price_to(rows.rows, rows.destinations, rows.parts).cost


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
