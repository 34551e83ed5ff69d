"""``watch`` from the outside: files dropped into a folder, and where each of them comes to rest."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from openpyxl import Workbook

from dispatcher.gateway.simulator import Fault, Faults
from dispatcher.ledger import CampaignState
from tests.integration.processes import Cli, GatewayOutside, once_each, people
from tests.integration.watching import REST, Watched, table

SAMPLE = Path(__file__).parents[2] / "samples" / "campaign.xlsx"
C = CampaignState


@pytest.fixture
def watched(cli: Cli) -> Watched:
    cli.env |= {"CHAOS_HASTE": "1"}  # after a kill, what was in flight is proved absent within seconds
    return Watched(cli)


def workbook(rows: list[tuple[str, str]]) -> bytes:
    book, packed = Workbook(), BytesIO()
    assert book.active is not None
    for row in [("phone", "text"), *rows]:
        book.active.append(row)
    book.save(packed)
    return packed.getvalue()


def test_every_file_comes_to_rest_in_the_folder_that_says_what_became_of_it(
    watched: Watched, gateway: GatewayOutside
) -> None:
    good, mixed = people(5), [*people(2, first=10), ("12", "too short")]
    watched.drop("clinica però (1).xlsx", workbook(good))
    watched.drop("mix..ed.csv", table(mixed))
    watched.drop("scan.pdf", b"%PDF-1.7 scan")
    watched.drop("no text.csv", "phone\n+393123400001\n")
    watched.drop("~$lock.xlsx", b"x")
    watched.drop("cloud.xlsx.part", workbook(good))
    (watched.folder / "empty.csv").touch()
    (watched.folder / "link.csv").symlink_to(watched.drop("target.tmp", table(people(3, first=20))))
    running = watched.start()
    running.when(watched.is_at("done", "clinica però (1).xlsx", "mix..ed.csv"))
    running.when(watched.is_at("failed", "scan.pdf", "no text.csv"))

    assert gateway.sends() == once_each(good) + once_each(mixed[:2])
    assert watched.beside("clinica però (1).xlsx", ".report.xlsx").is_file()
    assert "accepted" in watched.beside("mix..ed.csv", ".report.csv").read_text("utf-8-sig")
    assert "no spreadsheet" in watched.note("scan.pdf")
    assert "no text to send" in watched.note("no text.csv")
    for left in ("~$lock.xlsx", "cloud.xlsx.part", "empty.csv", "link.csv", "target.tmp"):
        assert watched.place(left) == ""
    assert watched.names("processing") == watched.names("waiting") == []
    ended = running.signal(signal.SIGTERM).ended()
    assert (ended.code, ended.lines[-1]["event"]) == (0, "ended")
    done = {one["file"] for one in ended.lines if one["event"] == "done"}
    assert {watched.path("mix..ed.csv").name, watched.path("clinica però (1).xlsx").name} == done


@pytest.mark.parametrize(
    ("language", "note", "says"),
    [("it", "LEGGIMI", "non è stato inviato nulla"), ("es", "LEEME", "no se ha enviado nada")],
)
def test_a_note_speaks_the_readers_language_and_no_command_line(
    watched: Watched, gateway: GatewayOutside, language: str, note: str, says: str
) -> None:
    watched.drop("lista.csv", "telefono\n+393123400001\n")
    watched.start("--lang", language).when(watched.is_at("failed", "lista.csv"))
    text = watched.note("lista.csv", note)
    assert says in text
    assert "lista.csv" in text
    assert "--" not in text
    assert str(watched.folder) not in text


def test_names_never_collide(watched: Watched, gateway: GatewayOutside) -> None:
    running = watched.start()
    for n in range(3):
        watched.drop("clinic.csv", table(people(2, first=10 * n)))
        running.when(lambda: not (watched.folder / "clinic.csv").exists())
    running.when(lambda: [place for place, _ in watched.at("clinic.csv")] == ["done"] * 3)
    assert len([name for name in watched.names("done") if ".report" in name]) == 3
    assert gateway.sends().total() == 6


def test_a_report_dropped_back_sends_only_what_was_corrected(
    watched: Watched, gateway: GatewayOutside
) -> None:
    running = watched.start()
    rows = [*people(3), ("12", "Your appointment is at 9:00.")]
    watched.drop("clinic.csv", table(rows))
    running.when(watched.is_at("done", "clinic.csv"))
    report = watched.beside("clinic.csv", ".report.csv")
    corrected = report.read_text("utf-8-sig").replace("\n12,", "\n+393123400099,")
    watched.drop("back.report.csv", corrected)
    running.when(watched.is_at("done", "back.csv"))
    assert gateway.sends() == once_each([*rows[:3], ("+393123400099", rows[3][1])])


def test_a_list_dropped_again_withdraws_what_waits_of_the_older_one(
    watched: Watched, gateway: GatewayOutside
) -> None:
    def drop(*rows: str) -> None:
        watched.drop("Clinic.csv", "phone,text,send_at\n" + "".join(f"{row}\n" for row in rows))

    running = watched.start()
    anna, luca, eva = ("+393123400001,Hello Anna.", "+393123400002,Hello Luca.", "+393123400003,Hello Eva.")
    drop(f"{anna},2099-01-01 10:00", f"{luca},2099-01-01 10:00", f"{eva},2099-01-01 10:00")
    running.when(lambda: watched.states()[C.WAITING] == 1)
    drop(f"{anna},2099-01-02 10:00", f"{eva},2099-01-01 10:00")
    running.when(lambda: any(place == "done" for place, _ in watched.at("Clinic.csv")))
    (older,) = [name for place, name in watched.at("Clinic.csv") if place == "done"]
    report = (watched.folder / "done" / older).with_suffix(".report.csv").read_text("utf-8-sig")
    assert report.count("superseded: ") == 3
    (told,) = watched.told(running, "replaces")
    assert (told["campaign"], told["rows"], told["other"]) == (1, 3, older)
    assert watched.states() == {C.FINISHED: 1, C.WAITING: 1}
    drop("+393123400009,Hello Sara.,2099-01-01 11:00")  # another list under the same name
    running.when(lambda: bool(watched.told(running, "does_not_replace")))
    running.when(lambda: watched.states() == {C.FINISHED: 1, C.WAITING: 2})
    assert gateway.sends().total() == 0


def test_the_same_content_twice_is_sent_once(watched: Watched, gateway: GatewayOutside) -> None:
    rows = people(3)
    running = watched.start()
    watched.drop("a.csv", table(rows))
    running.when(watched.is_at("done", "a.csv"))
    watched.drop("b.csv", table(rows))
    running.when(watched.is_at("done", "b.csv"))
    assert gateway.sends() == once_each(rows)


def test_a_copy_of_what_is_under_way_is_set_aside(watched: Watched, gateway: GatewayOutside) -> None:
    rows = people(40)
    running = watched.start("--rate-per-minute", "600")
    watched.drop("a.csv", table(rows))
    running.when(lambda: watched.states()[C.SENDING] == 1)
    watched.drop("b.csv", table(rows))
    running.when(watched.is_at("failed", "b.csv"))
    assert "already" in watched.note("b.csv")
    running.when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(rows)


def test_a_forbidden_text_makes_the_file_wait(watched: Watched, gateway: GatewayOutside) -> None:
    rows = [*people(2), ("+393123400009", "Win at our casino tonight.")]
    watched.drop("bad.csv", table(rows))
    running = watched.start()
    running.when(watched.is_at("waiting", "bad.csv"))
    assert "Nothing has been sent" in watched.note("bad.csv")
    assert watched.beside("bad.csv", ".report.csv").is_file()
    assert gateway.sends() == Counter()
    answer = watched.cli.json("resume", "1", "--without-refused", "--yes")
    assert answer["code"] == 1
    running.when(watched.is_at("done", "bad.csv"))
    assert watched.names("waiting") == []
    assert gateway.sends() == once_each(rows[:2])


def test_sigterm_pauses_and_the_next_start_goes_on(watched: Watched, gateway: GatewayOutside) -> None:
    rows = people(60)
    watched.drop("a.csv", table(rows))
    running = watched.start("--rate-per-minute", "1200")
    running.when(lambda: gateway.sends().total() > 3)
    assert running.signal(signal.SIGTERM).ended().code == 0
    sent = gateway.sends().total()
    assert sent < len(rows)
    assert watched.place("a.csv") == "processing"
    assert watched.states()[C.SENDING] == 1
    watched.start().when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(rows)


@pytest.mark.parametrize("event", ["taken", "planned"])
def test_sigterm_before_anything_is_sent_loses_nothing(
    watched: Watched, gateway: GatewayOutside, event: str
) -> None:
    rows = people(80, texts=80)
    watched.drop("a.csv", table(rows))
    running = watched.start("--rate-per-minute", "600")  # 8 s of dry runs
    running.when(lambda: bool(watched.told(running, event)))
    assert running.signal(signal.SIGTERM).ended().code == 0
    assert watched.place("a.csv") == "processing"
    assert gateway.sends() == Counter()
    watched.start().when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(rows)


def moments(watched: Watched, gateway: GatewayOutside) -> dict[str, Callable[[], bool]]:
    """Stages of a file's way, as seen from outside."""
    return {
        "taken": lambda: watched.place("a.csv") == "processing",
        "loading": lambda: sum(watched.states().values()) > 0,
        "preflight": lambda: any(one.dry_run for one in gateway.received()),
        "sending": lambda: gateway.sends().total() > 5,
        "sent": lambda: gateway.sends().total() == 60,
        "reported": lambda: bool(watched.names("done")),
    }


@pytest.mark.parametrize(
    "stage",
    [
        *(pytest.param(stage, marks=pytest.mark.long) for stage in ("taken", "preflight", "sent")),
        *("loading", "sending", "reported"),
    ],
)
def test_a_kill_at_any_stage_leaves_nothing_half_done(
    watched: Watched, gateway: GatewayOutside, stage: str
) -> None:
    rows = people(60, texts=20)
    watched.drop("a.csv", table(rows))
    running = watched.start("--rate-per-minute", "3000")
    running.until(moments(watched, gateway)[stage]).signal(signal.SIGKILL).ended()
    assert watched.place("a.csv") in ("processing", "done")
    if watched.place("a.csv") == "processing":
        watched.start().when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(rows)
    assert watched.states() == {C.FINISHED: 1}


def test_two_watchers_never_take_the_same_file_and_one_outlives_the_other(
    watched: Watched, gateway: GatewayOutside
) -> None:
    first, second = watched.start(), watched.start()
    files = {f"{n}.csv": people(4, first=10 * n) for n in range(6)}
    for name, rows in files.items():
        watched.drop(name, table(rows))
    first.when(watched.is_at("done", *files))
    told = [len(watched.told(each, "taken")) for each in (first, second)]
    assert sorted(told) == [0, 6]
    working, other = (first, second) if told[0] else (second, first)
    assert watched.told(other, "standing_by")
    working.signal(signal.SIGKILL).ended()
    watched.drop("late.csv", table(people(3, first=90)))
    other.when(watched.is_at("done", "late.csv"))
    assert max(gateway.sends().values()) == 1


def test_run_beside_a_watcher_shares_ledger_and_limit(watched: Watched, gateway: GatewayOutside) -> None:
    ours, theirs = people(20), people(20, first=50)
    running = watched.start("--rate-per-minute", "1200")
    watched.drop("a.csv", table(theirs))
    (watched.cli.folder / "b.csv").write_text(table(ours))
    answer = watched.cli.json("run", "b.csv", "--yes", "--rate-per-minute", "1200")
    assert answer["code"] == 0
    running.when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(ours) + once_each(theirs)


@pytest.mark.long
def test_a_gateway_that_asks_for_patience_is_given_it(
    watched: Watched, gateways: Callable[..., GatewayOutside]
) -> None:
    gateway = gateways(faults=Faults(rates={Fault.THROTTLED: 0.3}, retry_after=1))
    rows = people(20)
    watched.drop("a.csv", table(rows))
    watched.start().when(lambda: watched.place("a.csv") in REST)
    assert watched.place("a.csv") == "done"
    assert gateway.sends() == once_each(rows)


def test_the_sample_goes_through_the_simulator(watched: Watched) -> None:
    watched.folder.mkdir()
    copyfile(SAMPLE, watched.folder / "campaign.xlsx")
    watched.gateway = ("--gateway", "simulator")
    watched.start().when(watched.is_at("done", "campaign.xlsx"))
    assert watched.beside("campaign.xlsx", ".simulated.report.xlsx").is_file()


# --- what it refuses


def refused(watched: Watched, *flags: str | Path, **env: str) -> dict[str, Any]:
    ended = watched.cli("watch", "in", "--json", *flags, **env)
    assert ended.code == 2
    return ended.error


def test_no_gateway_was_named(watched: Watched) -> None:
    watched.folder.mkdir()
    assert refused(watched)["code"] == "settings_gateway_required"
    assert list(watched.folder.iterdir()) == []


def test_a_folder_of_another_ledger(watched: Watched, gateway: GatewayOutside) -> None:
    watched.start().signal(signal.SIGTERM).ended()
    elsewhere = f"sqlite:///{watched.cli.folder / 'other' / 'ledger.db'}"
    assert refused(watched, "--ledger", elsewhere)["code"] == "watch_other_ledger"


def test_no_folder(watched: Watched, gateway: GatewayOutside) -> None:
    assert refused(watched)["code"] == "watch_no_folder"


def test_a_subfolder_that_is_a_link(watched: Watched, gateway: GatewayOutside) -> None:
    watched.folder.mkdir()
    (watched.cli.folder / "elsewhere").mkdir()
    (watched.folder / "done").symlink_to(watched.cli.folder / "elsewhere")
    assert refused(watched)["code"] == "watch_no_folder"


def test_the_folder_of_the_ledger(watched: Watched, gateway: GatewayOutside) -> None:
    watched.folder.mkdir()
    ledger = f"sqlite:///{watched.folder / 'ledger.db'}"
    assert refused(watched, "--ledger", ledger)["code"] == "watch_ledger_inside"
