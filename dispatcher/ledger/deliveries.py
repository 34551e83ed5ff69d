"""What became of accepted messages.  A report for a row in flight or in doubt proves that it was accepted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from dispatcher.ledger.awaiting import NO_FINAL_WORD
from dispatcher.ledger.campaigns import all_locked
from dispatcher.ledger.chunks import in_chunks
from dispatcher.ledger.counting import Tally
from dispatcher.ledger.database import Database
from dispatcher.ledger.inbox import put_aside, rows_waited_for, take_out, waiting_for
from dispatcher.ledger.journal import note
from dispatcher.ledger.learnt import Charge
from dispatcher.ledger.records import Accepted, DeliveryReport
from dispatcher.ledger.schema import campaigns, events, gateways, rows
from dispatcher.ledger.settling import FACTS, news_of, settle_rows, short_detail
from dispatcher.ledger.states import RowState, may_move
from dispatcher.ledger.writing import Decision, write_decisions

CHUNK = 500  # reports of one transaction: others want to write, too
STRANGE = "report_about_another"  # it names a row, and its message id, or its number, is another row's
SECOND = "second_message"  # the row has another message: it went twice
MOST_NOTED = 20  # of a row
Place = tuple[int, int]  # campaign and row


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """``changed``: rows that moved or learned something; ``unknown``: message ids of no row of ours (yet); ``strange``:
    reports that cannot be about the row they name, and changed nothing.
    """

    changed: int
    unknown: Sequence[str]
    strange: int = 0


Reports = Sequence[DeliveryReport]


@dataclass
class _Done:
    """What one transaction did so far; what ``waits`` may match later, and comes with whether it proves acceptance."""

    changed: int = 0
    strange: int = 0
    waits: list[tuple[DeliveryReport, bool]] = field(default_factory=list)


class Deliveries:
    """Records delivery reports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, gateway: str, reports: Reports, now: datetime, *, keep: bool = False) -> Recorded:
        """Apply reports from ``gateway``; a final state never changes again, telling twice does no harm.

        A report that names its row is about that row or about none; another one is found by its message id.  With
        ``keep`` what names a row and matches none yet waits in the inbox.  One transaction for CHUNK reports.
        """
        changed = strange = 0
        unknown: list[str] = []
        for chunk in in_chunks(reports, CHUNK):
            with self._database.write() as connection:
                done = _record(connection, gateway, chunk, now, keep)
            changed += done.changed
            strange += done.strange
            unknown += [report.message_id for report, _ in done.waits]
        return Recorded(changed=changed, unknown=unknown, strange=strange)

    def gateways_of(self, campaign_ids: Collection[int]) -> dict[int, str]:
        """To which gateway campaigns belong, of those there are."""
        query = select(campaigns.c.id, gateways.c.name).join(
            gateways, gateways.c.id == campaigns.c.gateway_id
        )
        with self._database.read() as connection:
            found = connection.execute(query.where(campaigns.c.id.in_(sorted(campaign_ids))))
            return {row.id: row.name for row in found}

    def match_inbox(self, now: datetime) -> int:
        """Look through all that waits; returns how many rows changed.  Settling does so for its own rows.

        One transaction for CHUNK rows.
        """
        changed = 0
        with self._database.read() as connection:
            found = rows_waited_for(connection)
        for campaign_id, numbers in found.items():
            for chunk in in_chunks(numbers, CHUNK):
                changed += self._match(campaign_id, chunk, now)
        return changed

    def _match(self, campaign_id: int, numbers: Sequence[int], now: datetime) -> int:
        changed, tally = 0, Tally()
        with self._database.write() as connection:
            for campaign in all_locked(connection, campaigns.c.id == campaign_id):
                changed += match_waiting(connection, campaign, numbers, tally, now)
                tally.write(connection, campaign_id, now)
        return changed


def match_waiting(
    connection: Connection, campaign: Row[Any], numbers: Collection[int], tally: Tally, now: datetime
) -> int:
    """Apply what waits for rows of a locked campaign, now that something was said about them; returns how many rows
    changed.
    """
    waiting = waiting_for(connection, campaign.id, numbers)
    if not waiting:
        return 0
    done = _Done()
    _apply(connection, campaign, waiting, tally, now, done)
    still = {report.message_id for report, _ in done.waits}
    take_out(connection, campaign.gateway, [r.message_id for r, _ in waiting if r.message_id not in still])
    return done.changed


def _record(connection: Connection, gateway: str, reports: Reports, now: datetime, keep: bool) -> _Done:
    done = _Done()
    groups = _by_campaign(connection, gateway, reports, now, done)
    charges: Counter[Charge] = Counter()
    tallies: dict[int, Tally] = {}
    for campaign in all_locked(connection, campaigns.c.id.in_(sorted(groups))) if groups else ():
        tallies[campaign.id] = tally = Tally(charges)
        told = [(report, True) for report in groups[campaign.id]]
        _apply(connection, campaign, told, tally, now, done)
    for report, proves in done.waits if keep else ():
        if report.campaign_id is not None and report.row is not None:
            put_aside(connection, gateway, report, proves=proves)
    for campaign_id, tally in tallies.items():
        tally.write(connection, campaign_id, now)
    return done


def _by_campaign(
    connection: Connection, gateway: str, reports: Reports, now: datetime, done: _Done
) -> Mapping[int, list[DeliveryReport]]:
    """Reports of rows that were tried on this gateway, each naming its row; the others wait."""
    gateway_id = connection.execute(select(gateways.c.id).where(gateways.c.name == gateway)).scalar()
    settled = _by_message(connection, gateway_id, [report.message_id for report in reports])
    tried = _tried(connection, gateway_id, reports)
    groups: dict[int, list[DeliveryReport]] = defaultdict(list)
    for report in reports:
        named, of_message = _named(report), settled.get(report.message_id)
        if named is not None and of_message not in (None, named):
            # a row's key opens no other row
            done.strange += 1
            _note_once(connection, STRANGE, named, report.message_id, now)
        elif named is None and of_message is not None:
            groups[of_message[0]].append(replace(report, campaign_id=of_message[0], row=of_message[1]))
        elif named in tried:
            groups[named[0]].append(report)
        else:
            done.waits.append((report, True))
    return groups


def _named(report: DeliveryReport) -> Place | None:
    return None if report.campaign_id is None or report.row is None else (report.campaign_id, report.row)


def _by_message(connection: Connection, gateway_id: int | None, ids: Sequence[str]) -> dict[str, Place]:
    query = select(rows.c.message_id, rows.c.campaign_id, rows.c.row)
    found = connection.execute(query.where(rows.c.gateway_id == gateway_id, rows.c.message_id.in_(ids)))
    return {row.message_id: (row.campaign_id, row.row) for row in found}


def _tried(connection: Connection, gateway_id: int | None, reports: Reports) -> set[Place]:
    """The rows that the reports name, where an attempt at them was ever made on this gateway."""
    numbers: dict[int, set[int]] = defaultdict(set)
    for report in reports:
        if report.campaign_id is not None and report.row is not None:
            numbers[report.campaign_id].add(report.row)
    tried: set[Place] = set()
    for campaign_id, of_campaign in numbers.items():
        chosen = (rows.c.campaign_id == campaign_id, rows.c.row.in_(sorted(of_campaign)))
        made = (rows.c.attempt_token.is_not(None), rows.c.gateway_id == gateway_id)
        found = connection.execute(select(rows.c.row).where(*chosen, *made)).scalars()
        tried.update((campaign_id, row) for row in found)
    return tried


def _apply(
    connection: Connection,
    campaign: Row[Any],
    told: Sequence[tuple[DeliveryReport, bool]],
    tally: Tally,
    now: datetime,
    done: _Done,
) -> None:
    """Reports about rows of a locked campaign, in the order they came; with each, whether it may prove acceptance."""
    current = _facts(connection, campaign.id, {report.row for report, _ in told})
    about: dict[int, list[DeliveryReport]] = defaultdict(list)
    proofs: dict[tuple[int, str], DeliveryReport] = {}
    for report, may_prove in told:
        row = current.get(report.row or 0)
        if row is None or row.attempt_token is None:
            done.waits.append((report, may_prove))
        elif not _is_about(report, row):
            done.strange += 1
            _note_once(connection, STRANGE, (campaign.id, row.row), report.message_id, now)
        elif row.message_id not in (None, report.message_id):
            _note_once(connection, SECOND, (campaign.id, row.row), report.message_id, now)
        elif row.message_id is None and not (may_prove and _has_its_text(report, row, campaign)):
            done.waits.append((report, False))
        else:
            about[row.row].append(report)
            if row.message_id is None:
                proofs.setdefault((row.row, report.message_id), report)
    changed = _prove(connection, campaign, current, list(proofs.values()), tally, now)
    if proofs:
        current |= _facts(connection, campaign.id, {number for number, _ in proofs})
    writes = [(current[number], _outcome(current[number], reports)) for number, reports in about.items()]
    writes = [(row, decision) for row, decision in writes if decision.applies]
    write_decisions(connection, campaign, writes, tally)
    done.changed += len(changed | {row.row for row, _ in writes})


def _facts(connection: Connection, campaign_id: int, numbers: Collection[int | None]) -> dict[int, Row[Any]]:
    query = select(*FACTS, rows.c.recipient, rows.c.text, rows.c.reason)
    chosen = (rows.c.campaign_id == campaign_id, rows.c.row.in_(sorted(filter(None, numbers))))
    found: Sequence[Any] = connection.execute(query.where(*chosen)).all()
    return {row.row: row for row in found}


def _is_about(report: DeliveryReport, row: Row[Any]) -> bool:
    return report.is_to is None or not row.recipient or report.is_to(row.recipient)  # it may be purged


def _has_its_text(report: DeliveryReport, row: Row[Any], campaign: Row[Any]) -> bool:
    """Another text proves nothing, unless this gateway is known to give texts back otherwise than it got them."""
    return report.text in (None, row.text) or not row.text or campaign.not_echoed > 0


def _prove(
    connection: Connection,
    campaign: Row[Any],
    current: Mapping[int, Row[Any]],
    proofs: Reports,
    tally: Tally,
    now: datetime,
) -> set[int]:
    """Messages of rows that have none yet: the gateway has them.  Returns the rows that moved."""
    answers = [
        Accepted(
            token=report.token or current[report.row or 0].attempt_token,
            row=report.row or 0,
            message_id=report.message_id,
            sent_at=report.sent_at or report.seen_at,
            actual_cost=report.actual_cost,
            echoed=report.text in (None, current[report.row or 0].text),
            parts=report.parts,
            encoding=report.encoding,
        )
        for report in proofs
    ]
    _, ignored = settle_rows(connection, campaign, answers, tally, now)
    moved = {answer.row for answer in answers} - set(ignored)
    for answer in answers:
        if answer.row in moved and current[answer.row].state is RowState.IN_DOUBT:
            about = {"campaign_id": campaign.id, "row": answer.row}
            note(connection, "proved_by_report", now, **about, message_id=answer.message_id)
    return moved


def _outcome(row: Row[Any], reports: Reports) -> Decision:
    """What the reports say that the row does not know: the first final state, the first price."""
    new: RowState | None = None
    values: dict[str, Any] = {}
    for report in reports:
        if row.message_id != report.message_id:
            continue  # the row got another message; settling has written that down
        if new is None and report.state is not None and may_move(row.state, report.state):
            new = report.state
            values |= {"delivered_at": report.delivered_at, "error_code": report.error_code}
            if row.reason == NO_FINAL_WORD:
                values |= {"reason": None}  # it came after all
            values |= {"error_detail": short_detail(report.error_detail)}
        news = news_of(row, report.actual_cost, report.parts, report.encoding)
        values |= {name: value for name, value in news.items() if not values.get(name)}
    return Decision(new, values)


def _note_once(connection: Connection, kind: str, place: Place, message_id: str, now: datetime) -> None:
    """A gateway tells it again and again, and a listing shows it at every look."""
    of_row = (events.c.campaign_id == place[0], events.c.row == place[1], events.c.kind == kind)
    noted = list(connection.execute(select(events.c.detail).where(*of_row).limit(MOST_NOTED)).scalars())
    if len(noted) < MOST_NOTED and all(detail.get("message_id") != message_id for detail in noted):
        note(connection, kind, now, campaign_id=place[0], row=place[1], message_id=message_id)
