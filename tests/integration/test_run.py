"""``run`` from the outside: what it prints, how it ends, what the report says, what the gateway really received."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from openpyxl import load_workbook

from dispatcher.gateway.simulator import Fault, Faults, SimulatorConfig, SimulatorThread
from dispatcher.report import COLUMNS
from tests.integration.processes import (
    TOKEN,
    Cli,
    GatewayOutside,
    number,
    once_each,
    people,
    report_of,
    write_rows,
)

SAMPLE = Path(__file__).parents[2] / "samples" / "campaign.xlsx"
FORBIDDEN = "Win at our casino tonight."


@pytest.fixture
def three(cli: Cli) -> list[tuple[str, str]]:
    """``three.csv``: three people, two texts."""
    rows = people(3, texts=2)
    write_rows(cli.folder / "three.csv", rows)
    return rows


@pytest.fixture
def one_forbidden(cli: Cli) -> list[tuple[str, str]]:
    """``bad.csv``: row 3 has a forbidden word."""
    rows = people(4)
    rows[1] = (rows[1][0], FORBIDDEN)
    write_rows(cli.folder / "bad.csv", rows)
    return rows


def test_the_sample_is_sent_once_and_comes_back_as_it_was(cli: Cli) -> None:
    copyfile(SAMPLE, cli.folder / "campaign.xlsx")
    ended = cli("run", "campaign.xlsx", "--yes", "--json", seconds=60)  # idle: five
    first = {**ended.json, "code": ended.code}
    assert first["code"] == 1
    assert first["state"] == "finished"
    assert sum(first["counts"].values()) == first["rows"] == 203

    report = Path(first["report"])
    assert report.name == "campaign.simulated.report.xlsx"
    before, after = load_workbook(SAMPLE), load_workbook(report)
    assert after.sheetnames == [*before.sheetnames, "sms_summary", "sms_bill"]
    mine, ours = before.worksheets[0], after.worksheets[0]
    headings = [cell.value for cell in ours[1]]
    assert tuple(headings[-len(COLUMNS) :]) == COLUMNS
    statuses: Counter[Any] = Counter()
    accepted: Counter[tuple[str, str]] = Counter()
    recipient, status = headings.index("sms_recipient"), headings.index("sms_status")
    text = headings.index("Messaggio")
    for old, new in zip(mine.iter_rows(min_row=2), ours.iter_rows(min_row=2), strict=True):
        for was, now in zip(old, new, strict=False):
            assert now.value == was.value
            assert now.number_format == was.number_format
            assert repr(now.font) == repr(was.font)
            assert repr(now.fill) == repr(was.fill)
        statuses[new[status].value] += 1
        if new[status].value == "accepted":
            accepted[(new[recipient].value, new[text].value)] += 1
    del statuses[None]  # blank rows have no status
    assert dict(statuses) == first["counts"]
    assert {name: d.width for name, d in mine.column_dimensions.items()} == {
        name: ours.column_dimensions[name].width for name in mine.column_dimensions
    }

    sends = cli.sends()
    assert sends.total() == first["counts"]["accepted"]
    assert max(sends.values()) == 1
    assert sends == accepted

    written = report.read_bytes()
    second = cli.json("run", "campaign.xlsx", "--yes")
    assert second["code"] == 1  # the invalid rows still are
    assert second["campaign"] != first["campaign"]
    assert second["counts"]["already_sent"] == first["counts"]["accepted"]
    assert "accepted" not in second["counts"]
    assert cli.sends() == sends
    assert report.read_bytes() == written
    assert Path(second["report"]).name == "campaign.simulated.report-2.xlsx"


def test_the_report_says_what_the_gateway_did(
    cli: Cli, gateway: GatewayOutside, three: list[tuple[str, str]]
) -> None:
    answer = cli.json("run", "three.csv", "--yes")
    assert answer["code"] == 0
    assert Path(answer["report"]).name == "three.report.csv"  # a chosen gateway is not called simulated
    assert answer["gateway"] == gateway.url
    assert gateway.sends() == once_each(three)
    sent = {(message.recipient, message.message): message.id for message in gateway.accepted()}
    rows = report_of(cli, answer)
    assert {(row["phone"], row["text"]): row["sms_message_id"] for row in rows} == sent
    assert {row["sms_actual_cost"] for row in rows} == {"0.045"}
    again = cli.json("run", "three.csv", "--yes")
    assert (again["code"], again["counts"]) == (0, {"already_sent": 3})
    assert gateway.sends() == once_each(three)
    forced = cli.json("run", "three.csv", "--yes", "--again")
    assert (forced["code"], forced["counts"]) == (0, {"accepted": 3})
    assert set(gateway.sends().values()) == {2}


def test_plan_then_preflight_then_question_then_result(cli: Cli, three: list[tuple[str, str]]) -> None:
    ended = cli("run", "three.csv", "--yes")
    told = (
        "Gateway: the simulator",
        "3 messages to send",
        "Estimated cost",
        "Preflight:",
        "| Your app",
        "Send 3",
    )
    places = [
        ended.out.index(words) for words in (*told, "Campaign 1 is finished.", "3  accepted", "Report:")
    ]
    assert places == sorted(places)
    assert "simulated" in ended.out
    assert ended.err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("run", "missing.csv"), 3, "sheet_not_found"),
        (("run", "three.csv"), 2, "usage_needs_yes"),
        (("run", "three.csv", "--preflight", "some"), 2, "usage_choice"),
        (("run", "three.csv", "--max-cost", "lots"), 2, "money_not_readable"),
        (("run", "three.csv", "--report-dir", "three.csv", "--yes"), 2, "report_folder_not_writable"),
        (("run", "three.csv", "--colour"), 2, "usage"),
        (("resume", "77"), 2, "ledger_no_campaign"),
        (("reconcile", "--sent"), 2, "reconcile_flags"),
    ],
)
def test_every_error_is_one_object(
    cli: Cli, three: list[tuple[str, str]], arguments: tuple[str, ...], code: int, error: str
) -> None:
    ended = cli(*arguments, "--json")
    assert ended.code == code
    found = ended.error
    assert found["code"] == error
    assert found["message"]
    assert set(found) == {
        *("code", "message", "expected", "hint"),
        *("file", "sheet", "row", "column", "found"),
    }
    assert "Traceback" not in ended.err
    assert "Error:" in ended.err


def test_without_a_terminal_it_needs_yes_and_can_go_on(
    cli: Cli, gateway: GatewayOutside, three: list[tuple[str, str]]
) -> None:
    ended = cli("run", "three.csv")
    assert ended.code == 2
    assert "resume 1 --yes" in ended.err
    assert not gateway.accepted()
    status = cli.json("status", "1")
    assert (status["state"], status["counts"], status["code"]) == ("planned", {"ready": 3}, 4)
    assert cli.json("resume", "1", "--yes")["code"] == 0
    assert gateway.sends() == once_each(three)
    assert cli.json("resume", "1", "--yes")["error"]["code"] == "campaign_not_resumable"


def on_terminal(cli: Cli, *arguments: str, answer: bytes) -> tuple[int, str]:
    """Run on a terminal of its own and type ``answer`` when asked; gives the exit code and what the screen showed."""
    import pty  # there is none on Windows

    pid, screen = pty.fork()
    if pid == 0:  # the child: becomes dispatcher
        try:
            os.chdir(cli.folder)
            os.execve(
                sys.executable,
                ["python", "-m", "dispatcher", *arguments],
                {**cli.env, "TERM": "xterm", "COLUMNS": "100"},
            )
        finally:
            os._exit(99)
    shown = b""
    answered = False
    try:
        while True:
            try:
                block = os.read(screen, 4096)
            except OSError:  # Linux: the other end is closed
                break
            if not block:
                break
            shown += block
            if not answered and b"[y/N]" in shown:
                answered = True
                os.write(screen, answer)
    finally:
        os.close(screen)
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown.decode("utf-8", "replace")


@pytest.mark.skipif(os.name == "nt", reason="terminals of this kind are POSIX")
@pytest.mark.parametrize(
    ("answer", "code", "sent"),
    [(b"y\n", 0, 3), (b"n\n", 4, 0), (b"\x04", 4, 0), (b"\x03", 130, 0)],
    ids=["yes", "no", "end of input", "Ctrl-C"],
)
def test_the_answer_at_the_terminal_counts(
    cli: Cli, gateway: GatewayOutside, three: list[tuple[str, str]], answer: bytes, code: int, sent: int
) -> None:
    ended, shown = on_terminal(cli, "run", "three.csv", answer=answer)
    assert (ended, len(gateway.accepted())) == (code, sent), shown
    assert "Traceback" not in shown


def test_a_forbidden_word_costs_nothing_and_the_others_can_go(
    cli: Cli, gateway: GatewayOutside, one_forbidden: list[tuple[str, str]]
) -> None:
    held = cli("run", "bad.csv", "--yes", "--json")
    assert held.code == 4
    assert held.json["state"] == "held"
    assert held.json["forbidden_rows"] == [3]
    assert held.json["counts"] == {"ready": 4}
    assert "row 3" in held.err
    assert "resume 1 --without-refused" in held.err
    assert not gateway.accepted()
    assert cli.json("status", "1")["code"] == 4
    assert cli("resume", "1", "--yes").code == 4  # nothing has changed
    assert not gateway.accepted()
    rest = cli.json("resume", "1", "--yes", "--without-refused")
    assert (rest["code"], rest["counts"]) == (1, {"accepted": 3, "refused": 1})
    assert gateway.sends() == once_each([row for row in one_forbidden if row[1] != FORBIDDEN])
    (account,) = gateway.simulator.stats()["accounts"].values()
    assert account["blocklisted"] is False
    row = report_of(cli, rest)[1]
    assert (row["sms_status"], row["sms_reason"].split(":")[0]) == ("refused", "forbidden_text")
    assert row["sms_error_code"] == "2044"


def test_without_preflight_the_first_forbidden_word_stops_everything(
    cli: Cli, gateway: GatewayOutside, one_forbidden: list[tuple[str, str]]
) -> None:
    ended = cli("run", "bad.csv", "--yes", "--preflight", "none", "--rate-per-minute", "120", "--json")
    assert "WARNING" in ended.err
    assert ended.code == 4
    assert ended.json["state"] == "halted"
    counts = ended.json["counts"]
    assert counts["refused"] == 1
    assert counts["ready"] >= 1  # at this pace nothing behind it had left
    assert len(gateway.accepted()) == counts.get("accepted", 0)
    assert sum(counts.values()) == 4
    assert cli.json("status", "1")["code"] == 4


def test_a_dry_run_leaves_nothing_behind(
    cli: Cli, gateway: GatewayOutside, three: list[tuple[str, str]], one_forbidden: list[tuple[str, str]]
) -> None:
    write_rows(cli.folder / "mixed.csv", [*three, ("12", "To nobody.")])
    for name, code in (("three.csv", 0), ("mixed.csv", 1), ("bad.csv", 4)):
        answer = cli.json("run", name, "--dry-run")
        assert (answer["code"], answer["dry_run"]) == (code, True), name
        assert sum(answer["counts"].values()) == answer["rows"], name
        assert answer["campaign"] is None  # nothing to resume
    assert cli.json("status")["campaigns"] == []
    assert not gateway.accepted()
    assert [path.name for path in cli.folder.glob("*report*")] == []
    # what a dry run has screened is remembered
    before = len(gateway.received())
    assert cli("run", "three.csv", "--yes").code == 0
    assert len(gateway.received()) - before == 3 + 1  # three messages, and one dry run to learn the account


@pytest.mark.long
def test_a_reader_who_goes_away_stops_nothing(
    cli: Cli, gateway: GatewayOutside, three: list[tuple[str, str]]
) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "dispatcher", "run", "three.csv", "--yes"],
        cwd=cli.folder,
        env=cli.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stderr is not None
    with running:
        assert running.stdout.readline().startswith("Gateway")
        running.stdout.close()  # what `head -1` does
        said = running.stderr.read()
    assert (running.returncode, said) == (0, "")
    assert gateway.sends() == once_each(three)
    assert cli.json("status", "1")["state"] == "finished"


def test_a_dry_run_does_not_touch_an_interrupted_campaign(
    cli: Cli, gateway: GatewayOutside, one_forbidden: list[tuple[str, str]]
) -> None:
    assert cli("run", "bad.csv", "--yes").code == 4
    assert cli("run", "bad.csv", "-n").code == 4
    kept = cli.json("status", "1")
    assert (kept["state"], kept["reason"], kept["counts"]) == ("held", "preflight_forbidden", {"ready": 4})


def test_a_dry_run_that_the_gateway_stops_leaves_nothing_behind(
    cli: Cli, gateway: GatewayOutside, three: list[tuple[str, str]]
) -> None:
    ended = cli("run", "three.csv", "-n", "--json", DISPATCHER_TOKEN="another-token")
    assert (ended.code, ended.error["code"]) == (4, "preflight_token_refused")
    assert cli.json("status")["campaigns"] == []


class IgnoresDryRuns(BaseHTTPRequestHandler):
    """A gateway that sends whatever it is asked to try, and says ``also`` about the message."""

    protocol_version = "HTTP/1.1"
    also: dict[str, Any] = {}  # noqa: RUF012 - each test has a class of its own

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"id": "m1", "recipient": asked["recipient"], "message": asked["message"], "price": 0.05}
        body = json.dumps({"data": {**message, **self.also}}).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quietly."""


@pytest.mark.parametrize(
    ("also", "code", "reason"),
    [({}, "preflight_not_echoed", None), ({"blocklisted": True}, "preflight_halted", "account_blocklisted")],
)
def test_what_a_dry_run_has_sent_is_not_forgotten(
    cli: Cli, three: list[tuple[str, str]], also: dict[str, Any], code: str, reason: str | None
) -> None:
    handler = type("Handler", (IgnoresDryRuns,), {"also": also})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        gateway = {"DISPATCHER_GATEWAY": f"http://127.0.0.1:{server.server_port}", "DISPATCHER_TOKEN": TOKEN}
        ended = cli("run", "three.csv", "--dry-run", "--json", **gateway)
        server.shutdown()
    assert (ended.code, ended.error["code"]) == (4, code)
    (kept,) = cli.json("status")["campaigns"]
    assert (kept["state"], kept["reason"]) == ("halted", reason or code)
    assert kept["counts"]["accepted"] == 1


@pytest.mark.long
def test_the_cap_holds_before_anything_is_sent_and_can_be_raised(cli: Cli) -> None:
    rows = people(10)
    write_rows(cli.folder / "ten.csv", rows)  # 0.45 EUR with the embedded simulator's prices
    held = cli("run", "ten.csv", "--yes", "--max-cost", "0.40", "--json")
    assert (held.code, held.json["state"], held.json["reason"]) == (4, "held", "cost_cap")
    assert held.json["counts"] == {"ready": 10}
    assert "0.40 EUR" in held.err
    assert "resume 1 --max-cost 0.45" in held.err
    assert (held.json["max_cost_needed"], cli.json("status", "1")["max_cost_needed"]) == ("0.45", "0.45")
    assert cli.json("resume", "1", "--yes")["reason"] == "cost_cap"
    assert cli.json("run", "ten.csv", "--yes", "--max-cost", "0.44")["reason"] == "cost_cap"
    assert not cli.sends()
    done = cli.json("resume", "1", "--yes", "--max-cost", "0,45")
    assert (done["code"], done["counts"], done["actual_cost"]) == (0, {"accepted": 10}, "0.45")
    assert cli.sends() == once_each(rows)


@pytest.mark.long
def test_a_cap_with_unknown_prices_is_never_passed(cli: Cli, gateway: GatewayOutside) -> None:
    write_rows(
        cli.folder / "ten.csv", people(10)
    )  # no price book: a part counts 1 EUR until its price is told
    ended = cli("run", "ten.csv", "--yes", "--max-cost", "1.10", "--rate-per-minute", "300", "--json")
    assert (ended.code, ended.json["reason"]) == (4, "cost_cap")
    assert len(gateway.accepted()) < 10
    assert sum(message.total_price for message in gateway.accepted()) <= 1.10
    assert cli("resume", "1", "--yes", "--max-cost", "20").code == 0
    assert gateway.sends() == once_each(people(10))


def test_a_gateway_dearer_than_the_price_book_is_found_out_before_anything_is_sent(
    cli: Cli, gateway: GatewayOutside
) -> None:
    rows = people(10)
    write_rows(cli.folder / "ten.csv", rows)
    (cli.folder / "cheap.toml").write_text('[[price]]\nroute = "IT"\nper_part = "0.02"\n', encoding="utf-8")
    flags = ("run", "ten.csv", "--yes", "--prices", "cheap.toml", "--json")
    held = cli(*flags, "--max-cost", "0.40")
    assert (held.code, held.json["reason"]) == (4, "cost_cap")
    assert gateway.accepted() == []
    done = cli("resume", "1", "--yes", "--json", "--max-cost", "0.45")
    assert (done.code, done.json["counts"]) == (0, {"accepted": 10})
    assert "up to 0.45 EUR" in done.err


@pytest.mark.parametrize(
    "name",
    ["attività  ñ 日本語.CSV", "-leading.csv"],
)
def test_files_may_have_any_name(cli: Cli, gateway: GatewayOutside, name: str) -> None:
    rows = people(2)
    write_rows(cli.folder / name, rows)
    ended = cli("run", "--yes", "--json", "--", name)
    assert ended.code == 0, ended
    answer = ended.json
    assert [row["sms_status"] for row in report_of(cli, answer)] == ["accepted"] * 2
    assert gateway.sends() == once_each(rows)
    assert (cli.folder / name).read_bytes() == write_rows(cli.folder / "same.csv", rows).read_bytes()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_takes_no_report_is_told_before_sending(cli: Cli, gateway: GatewayOutside) -> None:
    closed = cli.folder / "closed"
    closed.mkdir()
    write_rows(closed / "a.csv", people(2))
    closed.chmod(0o555)
    try:
        ended = cli("run", closed / "a.csv", "--yes", "--json")
    finally:
        closed.chmod(0o755)
    assert (ended.code, ended.error["code"]) == (2, "report_folder_not_writable")
    assert not gateway.received()


@pytest.mark.long
def test_the_report_folder_is_tried_before_anything_else_happens(
    cli: Cli, gateway: GatewayOutside, three: list[tuple[str, str]]
) -> None:
    ended = cli("run", "three.csv", "--yes", "--report-dir", "three.csv", "--json")
    assert (ended.code, ended.error["code"]) == (2, "report_folder_not_writable")
    assert "--report-dir" in ended.error["hint"]
    assert not gateway.received()
    assert cli.json("status")["campaigns"] == []
    (cli.folder / "reports").mkdir()
    answer = cli.json("run", "three.csv", "--yes", "--report-dir", "reports")
    assert answer["code"] == 0
    assert Path(answer["report"]).parent.name == "reports"


def test_lost_answers_are_found_and_nothing_goes_twice(
    cli: Cli, gateways: Callable[..., GatewayOutside]
) -> None:
    rates = dict.fromkeys((Fault.ERROR_AFTER, Fault.RESET_AFTER, Fault.GARBAGE, Fault.THROTTLED), 0.02)
    gateway = gateways(faults=Faults(rates=rates, retry_after=0.1), seed=7)
    rows = people(300)
    write_rows(cli.folder / "many.csv", rows)
    answer = cli.json("run", "many.csv", "--yes")
    assert (answer["code"], answer["counts"]) == (0, {"accepted": 300})
    assert gateway.sends() == once_each(rows)


@pytest.mark.long
def test_what_never_arrived_is_in_doubt_until_it_is_settled(
    cli: Cli, gateways: Callable[..., GatewayOutside]
) -> None:
    rows = people(40)
    gateway = gateways(faults=Faults(schedule={40: Fault.RESET_BEFORE}))
    write_rows(cli.folder / "many.csv", rows)
    ended = cli("run", "many.csv", "--yes", "--no-wait", "--json")
    assert (ended.code, ended.json["counts"]) == (1, {"accepted": 39, "in_doubt": 1})
    assert "reconcile 1" in ended.err
    assert gateway.sends().total() == 39
    statuses = Counter(row["sms_status"] for row in report_of(cli, ended.json))
    assert statuses == {"accepted": 39, "in_doubt": 1}
    assert cli.json("status", "1")["code"] == 1
    looked = cli.json("reconcile", "1", "--no-wait")
    assert (looked["code"], looked["found"], len(looked["in_doubt"])) == (1, 0, 1)
    proved = cli.json("reconcile", "1", "--absent-after", "1s")
    assert (proved["code"], proved["absent"], proved["in_doubt"]) == (0, 1, [])
    assert gateway.sends().total() == 39  # proving sends nothing
    done = cli.json("resume", "1", "--yes")
    assert (done["code"], done["counts"]) == (0, {"accepted": 40})
    assert gateway.sends() == once_each(rows)


@pytest.mark.parametrize("then", ["found", "proved absent"])
def test_a_doubt_that_takes_the_limit_is_looked_at_before_the_limit_counts(
    cli: Cli, gateways: Callable[..., GatewayOutside], then: str
) -> None:
    """No price book: what is in doubt takes 1 EUR of the limit, and nothing else fits beside it."""
    lost = Fault.RESET_AFTER if then == "found" else Fault.RESET_BEFORE
    gateway = gateways(faults=Faults(schedule={1: lost}))
    write_rows(cli.folder / "ten.csv", people(10))
    held = cli("run", "ten.csv", "--yes", "--max-cost", "1.50", "--no-wait", "--json")
    assert (held.code, held.json["reason"]) == (4, "cost_cap")
    assert held.json["counts"] == {"ready": 9, "in_doubt": 1}
    if then == "proved absent":
        assert cli.json("reconcile", "1", "--absent-after", "1s")["absent"] == 1
    done = cli("run", "ten.csv", "--yes", "--json")
    assert (done.code, done.json["counts"]) == (0, {"accepted": 10})
    assert gateway.sends() == once_each(people(10))


def test_a_gateway_that_comes_back_is_waited_for(
    cli: Cli, gateway: GatewayOutside, three: list[tuple[str, str]]
) -> None:
    port = int(gateway.url.rsplit(":", 1)[1])
    gateway.thread.stop()
    running = cli.start("run", "three.csv", "--yes", "--json").when(lambda: cli.ledger.exists())
    with SimulatorThread(SimulatorConfig(token=TOKEN), port=port) as back:
        assert running.ended().code == 0
        assert back.simulator.sends() == once_each(three)


def test_a_gateway_that_is_down_is_exit_5(cli: Cli, gateway: GatewayOutside) -> None:
    gateway.thread.stop()
    ended = cli("messages", "list", "--json")
    assert (ended.code, ended.error["code"]) == (5, "gateway_not_reached")
    ended = cli("otp", "send", number(1), "--json")
    assert (ended.code, ended.error["code"]) == (5, "otp_not_sent")


def test_a_wrong_token_is_exit_4_and_nothing_is_sent(
    cli: Cli, gateway: GatewayOutside, three: list[tuple[str, str]]
) -> None:
    ended = cli("run", "three.csv", "--yes", "--json", DISPATCHER_TOKEN="wrong-token-9")
    assert (ended.code, ended.error["code"]) == (4, "preflight_token_refused")
    assert "DISPATCHER_TOKEN" in ended.error["hint"]
    assert not gateway.received()
    assert "wrong-token-9" not in ended.out + ended.err
    # with the right one the same command goes on
    assert cli.json("run", "three.csv", "--yes")["code"] == 0
    assert gateway.sends() == once_each(three)


@pytest.mark.parametrize(
    ("env", "code"),
    [
        ({"DISPATCHER_TOKEN": "abc"}, "settings_token_without_gateway"),
        ({"DISPATCHER_GATEWAY": "sandbox"}, "settings_token_missing"),
        (
            {"DISPATCHER_GATEWAY": "http://sms.example.com", "DISPATCHER_TOKEN": "abc"},
            "settings_gateway_unknown",
        ),
        ({"DISPATCHER_RATE_PER_MINUTE": "0"}, "settings_invalid"),
        ({"DISPATCHER_LEDGER": "sqlite:///:memory:"}, "ledger_in_memory"),
        ({"DISPATCHER_BROKER": "redis://localhost:1"}, "settings_pairing"),
    ],
)
def test_dangerous_settings_are_refused(
    cli: Cli, three: list[tuple[str, str]], env: dict[str, str], code: str
) -> None:
    ended = cli("run", "three.csv", "--yes", "--json", **env)
    assert (ended.code, ended.error["code"]) == (2, code)
    assert not cli.ledger.exists()


def test_neither_output_nor_log_has_secrets_or_people(
    cli: Cli, gateway: GatewayOutside, three: list[tuple[str, str]]
) -> None:
    ended = cli("run", "three.csv", "--yes", "--json", DISPATCHER_LOG="debug")
    assert ended.code == 0
    logged = [line for line in ended.err.splitlines() if " debug " in line or " info " in line]
    assert any(" debug " in line for line in logged)
    assert cli.env["DISPATCHER_TOKEN"] not in ended.out + ended.err
    for line in logged:
        assert number(0)[-8:] not in line
        assert "appointment" not in line


def test_secrets_stay_secret_when_everything_goes_wrong(cli: Cli, three: list[tuple[str, str]]) -> None:
    env = {"DISPATCHER_GATEWAY": "http://127.0.0.1:9", "DISPATCHER_TOKEN": "not a token"}
    ended = cli("messages", "list", "--json", DISPATCHER_LOG="debug", **env)
    assert ended.code == 2
    assert "not a token" not in ended.out + ended.err


@pytest.mark.skipif(sys.platform == "win32", reason="the whole path counts there")
def test_a_report_that_cannot_be_written_is_not_the_end_of_the_campaign(
    cli: Cli, gateway: GatewayOutside
) -> None:
    """Its name would be too long.  What was sent is told as ever."""
    rows, name = people(3), "x" * 245 + ".csv"
    write_rows(cli.folder / name, rows)
    done = cli.json("run", name, "--yes")
    assert (done["code"], done["state"], done["counts"]) == (0, "finished", {"accepted": 3})
    assert (done["report"], done["report_error"]["code"]) == (None, "report_not_written")
    assert sum(gateway.sends().values()) == 3
