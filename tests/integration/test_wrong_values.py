"""A wrong option or setting: three lines in the reader's own language, and a hint that fits."""

from __future__ import annotations

import re

import pytest

from dispatcher.wording import LANGUAGES
from tests.integration.inside import Inside
from tests.integration.processes import people, write_rows

#: what pydantic, click and the system say by themselves, in English
FOREIGN = re.compile(
    r"Input should|should match|No such|Invalid value|Missing (argument|option|command)|unexpected|Errno|Value error"
)
TYPED = [
    (("chek", "people.csv"), "chek", "check"),
    (("messages", "frobnicate"), "frobnicate", None),
    (("run",), "FILE", None),
    (("resume", "x"), "ID", None),
    (("purge",), "--older-than", None),
    (("check", "people.csv", "--sendr", "A"), "--sendr", "--sender"),
    (("check", "people.csv", "too-much"), "too-much", None),
    (("run", "people.csv", "--canary", "0"), "--canary 0", "1 – 1000"),
    (("run", "people.csv", "--rate-per-minute=x"), "--rate-per-minute x", "≥ 1"),
    (("simulator", "--port", "99999"), "--port 99999", "0 – 65535"),
    (("watch", ".", "--settle", "x"), "--settle x", "0 – 3600"),
    (("run", "people.csv", "--message"), "--message", None),
    (("purge", "--older-than", "3"), "3", "--older-than 3d"),
    (("run", "people.csv", "--wait-delivery", "5"), "5", "--wait-delivery 5m"),
    (("run", "people.csv", "--report-dir", "nowhere"), "nowhere", "--report-dir"),
    (("check", "people.csv", "--gateway", "http://127.0.0.1:9"), "127.0.0.1:9", "dispatcher simulator"),
    (("run", "people.csv", "--max-cost", "-3"), "-3", "20"),
    (("simulator", "--faults", '{"x": 1}'), "x", "reset_after"),
]
SET = [
    ("RATE_PER_MINUTE", "abc", "1 – 1000000"),
    ("TIMEZONE", "Mars", "Europe/"),
    ("LOG", "loud", "debug, info"),
    ("LOG_FORMAT", "xml", "text, json"),
    ("MAX_COST", "x", "20.00"),
    ("DEFAULT_REGION", "Italy", "IT, ES"),
    ("BUSY_SECONDS", "0", "0.1 – 600"),
    ("METRICS_PORT", "99999", "1 – 65535"),
    ("WALLET", "-1", "≥ 0"),
    ("GUARD_DAYS", "1.5", "0 – 3650"),
]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    ("command", "found", "helps"),
    TYPED,
    ids=lambda value: " ".join(value or ()) if isinstance(value, tuple) else None,
)
def test_on_the_command_line(
    inside: Inside, lang: str, command: tuple[str, ...], found: str, helps: str | None
) -> None:
    inside.set({"DISPATCHER_LANG": lang})
    write_rows(inside.folder / "people.csv", people(1))
    ended = inside(*command)
    assert ended.code == 2
    message, *rest = ended.err.splitlines()
    assert found in message
    assert not FOREIGN.search(ended.err)
    assert rest  # what to do
    assert helps is None or helps in "\n".join(rest)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(("name", "value", "expected"), SET)
def test_in_the_settings(inside: Inside, lang: str, name: str, value: str, expected: str) -> None:
    inside.set({"DISPATCHER_LANG": lang, f"DISPATCHER_{name}": value})
    ended = inside("check", "people.csv")
    assert ended.code == 2
    message, allowed, hint = ended.err.splitlines()
    assert value.casefold() in message.casefold()
    assert name.lower() in message
    assert expected in allowed
    assert hint
    assert not FOREIGN.search(ended.err)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_page_that_cannot_be_written_there(inside: Inside, lang: str) -> None:
    write_rows(inside.folder / "people.csv", people(1))
    assert inside("run", "people.csv", "--yes", "--sender", "Clinica", "--dry-run").code == 0
    assert inside("run", "people.csv", "--yes", "--sender", "Clinica").code == 0
    number = inside.json("status")["campaigns"][0]["campaign"]
    ended = inside("report", str(number), "--html", "--output", "nowhere/page.html", "--lang", lang)
    assert ended.code == 2
    assert "--output" in ended.err
    assert not FOREIGN.search(ended.err)
