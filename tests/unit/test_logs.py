"""Log lines: events with facts, in two forms, and nothing of anybody in them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from dispatcher.logs import FACTS, log_to, owned_by

NUMBER, TEXT = "+393123400017", "Ciao Maria, a domani"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in ("dispatcher", "jobs"))]
    levels, handlers = [each.level for each in loggers], list(root.handlers)
    yield
    root.handlers = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def written(form: str, level: str = "debug") -> io.StringIO:
    stream = io.StringIO()
    log_to(stream, level, form)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_time_level_event_and_facts() -> None:
    stream = written("json")
    logging.getLogger("jobs.sweep").warning(
        "doubts_found", extra={"campaign": 3, "rows": 2, "reason": "owner_died"}
    )
    (line,) = lines(stream)
    assert datetime.fromisoformat(line.pop("time")).tzinfo == UTC
    assert line == {
        "level": "warning",
        "logger": "jobs.sweep",
        "event": "doubts_found",
        "campaign": 3,
        "rows": 2,
        "reason": "owner_died",
    }


def test_text_has_the_same_on_one_line() -> None:
    stream = written("text")
    logging.getLogger("dispatcher.sending").info("row_answered", extra={"campaign": 3, "row": 17})
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(" info dispatcher.sending row_answered campaign=3 row=17")


def test_the_owner_is_named_while_there_is_one() -> None:
    stream, log = written("json"), logging.getLogger("dispatcher.presence")
    with owned_by("4f2a"):
        log.warning("no_sign_of_life")
    log.warning("no_sign_of_life")
    assert [line.get("owner") for line in lines(stream)] == ["4f2a", None]


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_tells_no_value(form: str) -> None:
    stream = written(form)
    try:
        try:
            raise KeyError(NUMBER)
        except KeyError as cause:
            raise ValueError(TEXT) from cause
    except ValueError as error:
        logging.getLogger("jobs").error("campaign_stopped", extra={"campaign": 1}, exc_info=error)
    said = stream.getvalue()
    assert "test_logs.py" in said
    assert "ValueError" in said
    assert "KeyError" in said
    assert NUMBER not in said
    assert TEXT not in said
    if form == "json":
        assert len(lines(stream)) == 1


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_fact_that_is_not_on_the_list_is_not_printed(form: str) -> None:
    stream = written(form)
    logging.getLogger("dispatcher").info("row_answered", extra={"recipient": NUMBER, "row": 4})
    assert NUMBER not in stream.getvalue()
    assert "recipient" not in FACTS


def test_what_a_library_says_is_cut_and_its_chatter_left_out() -> None:
    stream = written("json")
    asyncio_log = logging.getLogger("asyncio")
    asyncio_log.info("Using selector")
    asyncio_log.error(f"Task of {NUMBER} was destroyed\nfuture: <Task exception=ValueError({TEXT!r})>")
    (line,) = lines(stream)
    assert line["event"] == "Task of +… was destroyed"


@pytest.mark.parametrize(("level", "seen"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_is_that_of_the_settings(level: str, seen: int) -> None:
    stream, log = written("json", level), logging.getLogger("dispatcher.sending")
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("event")
    assert len(lines(stream)) == seen


def test_set_up_twice_it_writes_once() -> None:
    before, stream = written("json"), written("json")
    logging.getLogger("jobs").error("event")
    assert len(lines(stream)) == 1
    assert before.getvalue() == ""
