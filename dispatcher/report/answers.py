"""What the report says of each row: the ledger's rows, worded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from dispatcher.campaign.reasons import Reason
from dispatcher.ledger import ENCODING_NAMES, Ledger
from dispatcher.ledger.memory import EarlierSend
from dispatcher.ledger.report_pages import ReportPage
from dispatcher.ledger.states import ROW_STARTS, RowState
from dispatcher.ledger.values import from_instant, from_micros
from dispatcher.report.reasons import SHOWN_TEXT, reason_text
from dispatcher.report.rows import Answers, CellValue, brief
from dispatcher.wording import Wording

V = TypeVar("V")
W = TypeVar("W")

_UNPLANNED = frozenset(ROW_STARTS) - {RowState.READY}
_SECOND = 1_000_000  # microseconds


class _Told(NamedTuple):
    """What a row's reason is told from."""

    state: RowState
    reason: str
    error_detail: str | None


class Answering:
    """Words the rows of one campaign, in one language, with times in one zone."""

    def __init__(self, ledger: Ledger, campaign_id: int, wording: Wording, timezone: ZoneInfo) -> None:
        self._ledger = ledger
        self._campaign_id = campaign_id
        self._wording = wording
        self._timezone = timezone
        self._in_words = lru_cache(maxsize=1024)(self._worded)  # many rows have the same reason

    def pages(self) -> Iterator[Answers]:
        """Every row of the campaign as it is now, in row order."""
        for page in self._ledger.report_pages.of(self._campaign_id):
            yield Answers(page.row, self._columns(page))

    def _columns(self, page: ReportPage) -> list[Sequence[CellValue]]:
        """In the order of :data:`dispatcher.report.rows.COLUMNS`."""
        planned = [state not in _UNPLANNED for state in page.state]
        return [
            _each(page.state, lambda state: RowState(state).code),
            self._reasons(page),
            page.recipient,
            page.country,
            _only(planned, page.route),
            _only(planned, page.sender),
            _only(planned, _each(page.encoding, lambda number: ENCODING_NAMES.get(number or 0))),
            _only(planned, page.parts),
            _each(page.estimated_cost, _money),
            _each(page.actual_cost, _money),
            *self._sent(page),
            page.error_code,
        ]

    def _reasons(self, page: ReportPage) -> list[str | None]:
        reasons: list[str | None] = [None] * len(page.row)
        given = [place for place, reason in enumerate(page.reason) if reason]
        refused = [page.row[place] for place in given if page.reason[place] in SHOWN_TEXT]
        texts = self._ledger.queries.texts(self._campaign_id, refused) if refused else {}
        for place in given:
            told = _Told(RowState(page.state[place]), page.reason[place] or "", page.error_detail[place])
            reasons[place] = self._in_words(told, texts.get(page.row[place]))
        return reasons

    def _worded(self, told: _Told, text: str | None) -> str:
        return f"{told.reason}: {reason_text(self._wording, told, text)}"

    def _sent(self, page: ReportPage) -> tuple[Sequence[str | None], ...]:
        """Message ids, when they were sent, and when they were delivered.

        Of rows that were not sent again: those of what they were sent before, as far as the ledger knows.
        """
        ids, sent, delivered = (
            list(page.message_id),
            self._times(page.sent_at),
            self._times(page.delivered_at),
        )
        again = [place for place, state in enumerate(page.state) if state == RowState.ALREADY_SENT]
        earlier = self._earlier(page, again) if again else {}
        for place in again:
            if (send := earlier.get(page.row[place])) is not None:
                ids[place] = ids[place] or send.message_id
                sent[place] = sent[place] or self._shown(send.sent_at)
                delivered[place] = delivered[place] or self._shown(send.delivered_at)
        return ids, sent, delivered

    def _times(self, moments: Sequence[int | None]) -> list[str | None]:
        seconds = [None if moment is None else moment // _SECOND for moment in moments]
        return _each(
            seconds, lambda second: None if second is None else self._shown(from_instant(second * _SECOND))
        )

    def _shown(self, moment: datetime | None) -> str | None:
        if moment is None:
            return None
        return moment.astimezone(self._timezone).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")

    def _earlier(self, page: ReportPage, places: Collection[int]) -> Mapping[int, EarlierSend]:
        """What the rows at these places were sent before."""
        memory = self._ledger.memory
        proved = {
            page.row[place]: _place_of(page.error_detail[place] or "0.0")
            for place in places
            if page.reason[place] == Reason.SENT_IN_REPORT
        }
        at = memory.sends_at(set(proved.values()))
        others = [page.row[place] for place in places if page.row[place] not in proved]
        like = memory.sends_like(self._campaign_id, others)
        return like | {row: at[place] for row, place in proved.items() if place in at}


def _each(values: Sequence[V], change: Callable[[V], W]) -> list[W]:
    """Every value changed, those that are alike once."""
    changed = {value: change(value) for value in set(values)}
    return [changed[value] for value in values]


def _only(wanted: Iterable[bool], values: Iterable[V]) -> list[V | None]:
    return [value if want else None for want, value in zip(wanted, values, strict=True)]


def _money(micros: int | None) -> CellValue:
    return None if micros is None else brief(from_micros(micros))


def _place_of(detail: str) -> tuple[int, int]:
    campaign, _, row = detail.partition(".")
    return int(campaign), int(row)
