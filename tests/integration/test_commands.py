"""The other commands: opt-outs, looking back, the gateway's own view, one-time codes, the simulator by itself."""

from __future__ import annotations

import json
import signal
import socket
import sys
from datetime import datetime

import httpx
import pytest

from dispatcher.settings import masked
from tests.integration.cluster import new_cluster
from tests.integration.processes import TOKEN, Cli, GatewayOutside, number, once_each, people, write_rows
from tests.servers.postgres import Postgres
from tests.servers.valkey import Valkey

SECRET = "s3cret-of-the-callback"
POST = {"Authorization": f"Bearer {TOKEN}"}


def test_opt_outs(cli: Cli, gateway: GatewayOutside) -> None:
    rows = people(5)
    write_rows(cli.folder / "a.csv", rows)
    added = cli.json("optout", "add", number(0), "312 3400001")
    assert (added["code"], added["added"], added["already"]) == (0, 2, 0)
    assert cli.json("optout", "add", number(0))["already"] == 1
    (cli.folder / "stop.csv").write_text(f"Cellulare\n{number(2)}\nnobody\n{number(1)}\n", encoding="utf-8")
    imported = cli.json("optout", "import", "stop.csv")
    assert (imported["code"], imported["added"], imported["already"]) == (1, 1, 1)
    assert imported["unreadable"] == [{"row": 3, "found": "nobody", "code": "phone_letters"}]
    listed = cli.json("optout", "list")["opt_outs"]
    assert sorted(one["recipient"] for one in listed) == [number(0), number(1), number(2)]
    assert {one["source"] for one in listed} == {"command line", "stop.csv"}
    assert all(datetime.fromisoformat(one["since"]).tzinfo for one in listed)
    done = cli.json("run", "a.csv", "--yes")
    assert (done["code"], done["counts"]) == (0, {"accepted": 2, "opted_out": 3})
    assert gateway.sends() == once_each(rows[3:])
    assert {message.recipient for message in gateway.received()} == {
        number(3),
        number(4),
    }  # no dry run either
    refused = cli("otp", "send", number(0), "--json")
    assert (refused.code, refused.error["code"]) == (2, "otp_opted_out")
    assert cli.json("optout", "remove", number(0), number(4))["removed"] == 1
    assert cli.json("run", "a.csv", "--yes")["counts"] == {"accepted": 1, "opted_out": 2, "already_sent": 2}


def test_opt_outs_are_all_or_none(cli: Cli) -> None:
    ended = cli("optout", "add", number(0), "hello", "--json")
    assert (ended.code, ended.error["code"], ended.error["found"]) == (2, "optout_number", "hello")
    assert cli.json("optout", "list")["opt_outs"] == []
    assert cli("optout", "list").out == "Nobody has opted out.\n"
    assert not cli.ledger.exists()  # looking never makes one


def test_looking_before_anything_was_sent(cli: Cli) -> None:
    assert cli.json("status") == {"campaigns": [], "code": 0}
    health = cli.json("health")
    assert (health["code"], health["ledger"]) == (0, None)
    first = cli()
    assert first.code == 0
    assert len(first.out.splitlines()) == 3
    assert not cli.ledger.parent.exists()


def test_status_and_health(cli: Cli, gateway: GatewayOutside) -> None:
    write_rows(cli.folder / "a.csv", [*people(2), ("123", "To nobody.")])
    write_rows(cli.folder / "b.csv", people(1, first=50))
    assert cli("run", "a.csv", "--yes").code == 1
    assert cli("run", "b.csv", "--yes").code == 0
    listed = cli.json("status")
    assert [(one["campaign"], one["state"]) for one in listed["campaigns"]] == [
        (2, "finished"),
        (1, "finished"),
    ]
    one = cli.json("status", "1")
    assert (one["code"], one["rows"], one["counts"]) == (1, 3, {"accepted": 2, "invalid": 1})
    assert {
        *("campaign", "state", "rows", "counts", "parts", "estimated_cost", "actual_cost"),
        *("unpriced_rows", "currency", "report", "seconds"),
    } <= one.keys()
    assert (one["actual_cost"], one["estimated_cost"]) == ("0.09", None)
    said = cli("status", "1")
    assert "row 4" in said.out
    assert said.err == ""
    health = cli.json("health")
    assert (health["code"], health["ok"], health["ledger"]) == (0, True, f"sqlite:///{cli.ledger}")


@pytest.mark.long
def test_messages_and_codes_show_no_secrets(cli: Cli, gateway: GatewayOutside) -> None:
    callback = {"url": "http://127.0.0.1:9/", "headers": {"X-Secret": SECRET}, "custom": {"row": "a.1.2"}}
    sent = httpx.post(
        f"{gateway.url}/IT-messages",
        headers=POST,
        json={"recipient": number(1), "message": "Hello.", "sender": "Studio", "callback": callback},
    )
    message_id = sent.json()["data"]["id"]

    code = cli.json("otp", "send", number(2), "--length", "8")
    (otp,) = (message for message in gateway.accepted() if message.is_otp)
    digits = "".join(c for c in otp.message if c.isdigit())
    assert len(digits) == 8
    assert (code["code"], code["otp"], code["id"]) == (0, None, otp.id)
    assert digits not in json.dumps(code)
    shown = cli.json("otp", "send", number(3), "--show-code")
    (second,) = (message for message in gateway.accepted() if message.recipient == number(3))
    assert shown["otp"]
    assert shown["otp"] in second.message

    listed = cli("messages", "list", "--json", "--limit", "10")
    assert [message["id"] for message in listed.json["messages"]] == [second.id, otp.id, message_id]
    assert len(cli.json("messages", "list", "--limit", "1")["messages"]) == 1
    one = cli("messages", "show", message_id, "--json")
    assert (one.json["id"], one.json["text"], one.json["recipient"]) == (message_id, "Hello.", number(1))
    masked = cli("messages", "show", otp.id, "--json")
    for said in (listed, one, masked, cli("messages", "list"), cli("messages", "show", otp.id)):
        assert SECRET not in said.out + said.err
        assert digits not in said.out + said.err
        assert shown["otp"] not in said.out + said.err
        assert TOKEN not in said.out + said.err
    missing = cli("messages", "show", "no-such-id", "--json")
    assert (missing.code, missing.error["code"]) == (2, "no_message")


@pytest.mark.skipif(sys.platform == "win32", reason="there a child cannot be sent Ctrl-C alone")
def test_the_simulator_by_itself(cli: Cli) -> None:
    serving = cli.start("simulator", "--port", "0", "--state", "gateway.db", "--json")
    serving.when(lambda: "}" in serving.said)
    answer = json.loads(serving.said.splitlines()[0])
    rows = people(2)
    write_rows(cli.folder / "a.csv", rows)
    env = {"DISPATCHER_GATEWAY": answer["url"], "DISPATCHER_TOKEN": answer["token"]}
    assert cli("run", "a.csv", "--yes", **env).code == 0
    ended = serving.signal(signal.SIGINT).ended(20)
    assert ended.code == 0
    assert ended.json == answer
    received = cli.json("simulator", "--received", "--state", "gateway.db")["received"]
    assert once_each(rows) == once_each(
        [(message["recipient"], message["message"]) for message in received if not message["dry_run"]]
    )
    said = cli("simulator", "--received", "--state", "gateway.db").out.splitlines()
    assert len(said) == len(received)
    assert sum("dry run" in line for line in said) == len(received) - 2


@pytest.mark.skipif(sys.platform == "win32", reason="rights of this kind are POSIX")
def test_what_is_written_down_is_for_its_owner_only(cli: Cli) -> None:
    cli.ledger.parent.mkdir(mode=0o755)
    write_rows(cli.folder / "a.csv", people(1))
    assert cli("run", "a.csv", "--yes").code == 0
    for path in cli.ledger.parent.rglob("*"):
        rights = path.stat().st_mode & 0o777
        assert rights & 0o077 == 0, (path, oct(rights))


def test_health_of_a_cluster(cli: Cli, postgres: Postgres, valkey: Valkey) -> None:
    with new_cluster(cli, postgres, valkey) as cluster, socket.socket() as nobody:
        healthy = cli.json("health")
        shown = masked(cluster.env["DISPATCHER_BROKER"])
        assert (healthy["code"], healthy["ok"], healthy["queue"]) == (0, True, shown)
        nobody.bind(("127.0.0.1", 0))
        away = nobody.getsockname()[1]
        cut = cli.json("health", DISPATCHER_BROKER=f"redis://me:secret@127.0.0.1:{away}/0")
        assert (cut["code"], cut["error"]["code"]) == (5, "broker_unreachable")
        assert "secret" not in str(cut)
        cut = cli.json("health", DISPATCHER_LEDGER=cluster.ledger_url(away))
        assert cut["code"] == 5
