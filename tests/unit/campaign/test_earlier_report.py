"""Which rows of a report that comes back count as sent: what the ledger proves, for the number that is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from dispatcher.campaign.earlier_report import SAYS_SENT, Claim, EarlierReport, SentRow
from dispatcher.campaign.sheet.model import ReportCells
from dispatcher.ledger.states import MAYBE_SENT, RowState

ANNA, BRUNO, CARLA = "+393123450001", "+393123450002", "+393123450003"
REAL, SIMULATED = 7, 3


@dataclass
class Known:
    """Rows of a ledger that were, or may have been, sent."""

    rows: list[SentRow]

    def sent_as(self, message_ids: Sequence[str]) -> list[SentRow]:
        return [row for row in self.rows if row.message_id in message_ids]

    def sent_to(self, recipients: Sequence[str]) -> list[SentRow]:
        return [row for row in self.rows if row.recipient in recipients]


def sent(row: int, recipient: str, message_id: str | None, *, real: bool = True) -> SentRow:
    return SentRow(real, REAL if real else SIMULATED, row, recipient, message_id)


def cells(*rows: tuple[str, str, str]) -> ReportCells:
    """(status, message id, sms_recipient) of each row."""
    return ReportCells(*(np.array(column, dtype=object) for column in zip(*rows, strict=True)))


def judged(known: list[SentRow], *rows: tuple[str, str, str], now: Sequence[str | None]) -> list[str | None]:
    found = EarlierReport().judge(cells(*rows), np.array(now, dtype=object), Known(known))
    return [str(found[i][0]) if i in found else None for i in range(len(rows))]


def test_the_statuses_that_say_sent_are_the_ledgers() -> None:
    assert {state.code for state in MAYBE_SENT} | {RowState.ALREADY_SENT.code} == SAYS_SENT


@pytest.mark.parametrize(
    ("status", "message_id", "number", "claim"),
    [
        ("accepted", "m1", ANNA, Claim.PROVED),
        (" Delivered ", " m1 ", ANNA, Claim.PROVED),
        ("already_sent", "m1", ANNA, Claim.PROVED),
        ("accepted", "m1", BRUNO, Claim.OTHER_NUMBER),
        ("accepted", "s1", ANNA, Claim.OTHER_GATEWAY),
        ("accepted", "m9", ANNA, Claim.UNKNOWN),
        ("refused", "m1", ANNA, None),
        ("invalid", "", ANNA, None),
        ("ready", "m1", ANNA, None),
        ("", "m1", ANNA, None),
        ("accepted", "m1", None, None),
        ("in_doubt", "", ANNA, Claim.PROVED),
        ("sending", "", CARLA, Claim.UNKNOWN),
    ],
)
def test_one_row(status: str, message_id: str, number: str | None, claim: Claim | None) -> None:
    known = [sent(2, ANNA, "m1"), sent(2, ANNA, "s1", real=False)]
    assert judged(known, (status, message_id, ""), now=[number]) == [claim]


def test_a_message_both_gateways_know_counts_for_the_one_sent_to() -> None:
    known = [sent(2, ANNA, "m1", real=False), sent(5, ANNA, "m1")]
    found = EarlierReport().judge(
        cells(("accepted", "m1", ANNA)), np.array([ANNA], dtype=object), Known(known)
    )
    assert found[0][1] == known[1]


def test_a_row_in_doubt_of_a_simulated_report_does_not_count_for_somebody_who_got_something_real() -> None:
    known = [sent(2, ANNA, "s1", real=False), sent(3, BRUNO, None, real=False), sent(9, BRUNO, "m9")]
    rows = (("accepted", "s1", ANNA), ("in_doubt", "", BRUNO))
    assert judged(known, *rows, now=[ANNA, BRUNO]) == [Claim.OTHER_GATEWAY, Claim.OTHER_GATEWAY]


def test_a_row_in_doubt_of_a_real_report_counts_although_it_was_simulated_too() -> None:
    known = [
        *(sent(2, ANNA, "s1", real=False), sent(3, BRUNO, None, real=False)),
        *(sent(2, ANNA, "m1"), sent(3, BRUNO, "found later")),
    ]
    rows = (("in_doubt", "", BRUNO), ("accepted", "m1", ANNA))
    assert judged(known, *rows, now=[BRUNO, ANNA]) == [Claim.PROVED, Claim.PROVED]


@pytest.mark.parametrize(
    ("written", "claim"),
    [
        (BRUNO, Claim.OTHER_NUMBER),
        (BRUNO.lstrip("+"), Claim.OTHER_NUMBER),
        (ANNA, Claim.PROVED),
        (ANNA.lstrip("+"), Claim.PROVED),
        ("3.93123E+11", Claim.PROVED),  # the spreadsheet program's doing
        ("", Claim.PROVED),
    ],
)
def test_a_row_in_doubt_whose_number_was_corrected(written: str, claim: Claim) -> None:
    assert judged([sent(2, ANNA, None)], ("in_doubt", "", written), now=[ANNA]) == [claim]


def test_the_file_is_remembered_from_chunk_to_chunk() -> None:
    known = Known([sent(2, ANNA, "s1", real=False), sent(3, BRUNO, None, real=False), sent(9, BRUNO, "m9")])
    earlier = EarlierReport()
    earlier.judge(cells(("accepted", "s1", ANNA)), np.array([ANNA], dtype=object), known)
    found = earlier.judge(cells(("in_doubt", "", BRUNO)), np.array([BRUNO], dtype=object), known)
    assert found[0][0] is Claim.OTHER_GATEWAY
