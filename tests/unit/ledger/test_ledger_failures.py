"""What a database says becomes an error of this program, and nothing of it repeats a number or a text."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from dispatcher.errors import Unreachable
from dispatcher.ledger import Ledger, RowState
from dispatcher.ledger.failures import StatementRefused, server_failure

PHONE, TEXT = "+393331299999", "Meet me at the old bridge"
R = RowState


def secret(desk: Any, number: int = 2, **other: Any) -> tuple[Any, ...]:
    row: tuple[Any, ...] = desk.row(
        number, **{"recipient": PHONE, "text": TEXT, "phone": "333 1299999", **other}
    )
    return row


def loaded_twice(desk: Any) -> None:
    desk.campaign([secret(desk), secret(desk)])


def loaded_without_parts(desk: Any) -> None:
    desk.campaign([secret(desk, parts=None)])


def loaded_with_a_number_too_large(desk: Any) -> None:
    desk.campaign([secret(desk, parts=10**12)])


def loaded_with_text_for_a_number(desk: Any) -> None:
    desk.campaign([secret(desk, repairs=TEXT)])


def moved_where_no_row_goes(desk: Any) -> None:
    campaign = desk.campaign([secret(desk)])
    with desk.ledger._database.write() as connection:
        connection.execute(text(f"UPDATE rows SET state = {int(R.DELIVERED)} WHERE campaign_id = {campaign}"))


def sent_without_proof(desk: Any) -> None:
    desk.bring(desk.campaign([secret(desk)]), 2, R.ACCEPTED)
    with desk.ledger._database.write() as connection:
        connection.execute(text("UPDATE rows SET sent_at = NULL"))


def compared_with_nonsense(desk: Any) -> None:
    desk.campaign([secret(desk)])
    with desk.ledger._database.read() as connection:
        connection.execute(text("SELECT nothing FROM rows"))


VIOLATIONS: dict[Callable[[Any], None], str] = {
    loaded_twice: "rows",
    loaded_without_parts: "row_sendable",
    moved_where_no_row_goes: "illegal move in rows",
    sent_without_proof: "row_sent",
    compared_with_nonsense: "nothing",
}


@pytest.mark.parametrize("violation", VIOLATIONS, ids=lambda v: v.__name__)
def test_a_refused_statement_is_named_without_its_values(
    desk: Any, caplog: pytest.LogCaptureFixture, violation: Callable[[Any], None]
) -> None:
    with pytest.raises(StatementRefused) as caught:
        violation(desk)
    assert VIOLATIONS[violation] in str(caught.value)
    assert_silent(caught.value, caplog)


@pytest.mark.parametrize("violation", [loaded_with_a_number_too_large, loaded_with_text_for_a_number])
def test_a_value_the_server_cannot_read_is_not_repeated(
    server_desk: Any, caplog: pytest.LogCaptureFixture, violation: Callable[[Any], None]
) -> None:
    with pytest.raises(StatementRefused) as caught:
        violation(server_desk)
    assert_silent(caught.value, caplog)
    assert server_desk.raw("SELECT count(*) FROM rows") == [(0,)]


def test_a_text_the_server_cannot_hold_is_not_repeated(
    server_desk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StatementRefused, match="DataError") as caught:
        server_desk.campaign([secret(server_desk, text=f"{TEXT}\0")])
    assert_silent(caught.value, caplog)


def test_a_load_that_waits_too_long_is_told_like_any_other(
    server_desk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    desk = server_desk
    impatient = Ledger.open(raw_url(desk), busy_seconds=1)
    with psycopg.connect(raw_url(desk)) as other:
        other.execute("LOCK TABLE rows IN EXCLUSIVE MODE")
        with pytest.raises(Unreachable, match="ledger_locked") as caught:
            type(desk)(impatient).campaign([secret(desk)])
        other.rollback()
    assert_silent(caught.value, caplog)
    impatient.dispose()


def test_a_load_whose_connection_is_cut_is_told_like_any_other(
    server_desk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    desk, waits = (
        server_desk,
        "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND starts_with(query, 'COPY')",
    )
    with psycopg.connect(raw_url(desk)) as other, ThreadPoolExecutor(1) as thread:
        other.execute("LOCK TABLE rows IN EXCLUSIVE MODE")
        loading = thread.submit(desk.campaign, [secret(desk)])
        while not desk.raw(f"SELECT pg_terminate_backend(pid) {waits}"):
            assert not loading.done()
        with pytest.raises(Unreachable, match="ledger_server_unreachable") as caught:
            loading.result(timeout=30)
        other.rollback()
    assert_silent(caught.value, caplog)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("53100", "ledger_disk_full"),
        ("58030", "ledger_disk_failed"),
        ("XX001", "ledger_damaged"),
        ("25006", "ledger_read_only"),
        ("55P03", "ledger_locked"),
        ("40P01", "ledger_locked"),
        ("40001", "ledger_locked"),
        ("57014", "ledger_locked"),
        ("57P01", "ledger_server_unreachable"),
        ("57P03", "ledger_server_unreachable"),
        ("53300", "ledger_server_unreachable"),
        ("08006", "ledger_server_unreachable"),
        ("25P03", "ledger_server_unreachable"),
        ("3D000", "ledger_server_unreachable"),
        ("28P01", "ledger_server_unreachable"),
        ("22001", None),
        ("22P02", None),
        ("23505", None),
        ("23514", None),
        ("42703", None),
    ],
)
def test_what_a_server_says_has_one_meaning(state: str, code: str | None) -> None:
    error = psycopg.errors.lookup(state)(f"DETAIL: Failing row contains ({PHONE}, {TEXT})")
    failure = server_failure(error, "ledger", psycopg)
    assert (failure.code if failure else None) == code
    assert PHONE not in str(failure)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server closed the connection\n\tThis probably means\n", "server closed the connection"),
        ("connection failed\nFATAL: no such database\n", "FATAL: no such database"),
    ],
)
def test_a_broken_connection_says_what_the_library_said(text: str, said: str) -> None:
    failure = server_failure(psycopg.OperationalError(text), "ledger", psycopg)
    assert failure is not None
    assert (failure.code, failure.found) == ("ledger_server_unreachable", said)


def raw_url(desk: Any) -> str:
    url: str = desk.ledger.url
    return url.replace("postgresql+psycopg:", "postgresql:")


def assert_silent(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a log with a traceback nor any exception behind it that a log would show repeats a value."""
    try:
        raise error
    except Exception:
        logging.getLogger("test").exception("failed")
    told = [str(error), caplog.text, "".join(traceback.format_exception(error))]
    assert "Traceback" in caplog.text
    for word in (PHONE, PHONE[3:], TEXT, "1299999"):
        assert not any(word in each for each in told)
