"""What waits for approval, who lets it go, and what changed meanwhile; and ``campaign.toml`` in a living folder."""

from __future__ import annotations

import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import load_workbook

from dispatcher.ledger import CampaignState
from tests.integration.processes import Cli, GatewayOutside, once_each, people
from tests.integration.watching import Watched, table

C = CampaignState


@pytest.fixture
def watched(cli: Cli) -> Watched:
    cli.env |= {"CHAOS_HASTE": "1"}
    (cli.folder / "prices.toml").write_text('[[price]]\nroute = "IT"\nper_part = "0.05"\n')
    return Watched(cli)


def settings(watched: Watched, text: str) -> None:
    watched.drop("campaign.toml", text)


def waits(watched: Watched, rows: list[tuple[str, str]]) -> None:
    """``a.csv`` of these rows waits for approval."""
    settings(watched, "approval = true")
    watched.drop("a.csv", table(rows))


def test_a_file_waits_with_its_plan_and_goes_when_it_is_moved(
    watched: Watched, gateway: GatewayOutside
) -> None:
    rows = [*people(3), ("12", "=1+1")]
    waits(watched, rows)
    running = watched.start("--prices", "prices.toml")
    running.when(watched.is_at("waiting", "a.csv"))
    assert gateway.sends() == Counter()
    note = watched.note("a.csv")
    assert "3 messages" in note
    assert "0.15 EUR" in note
    assert rows[0][1] in note
    plan = load_workbook(watched.beside("a.csv", ".plan.xlsx")).worksheets[0]
    shown = [[cell.value for cell in row] for row in plan.iter_rows(min_row=2)]
    assert [(row[2], row[4]) for row in shown[:3]] == rows[:3]
    assert shown[3][1] == "invalid"

    watched.path("a.csv").rename(watched.folder / "approved" / watched.path("a.csv").name)
    running.when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(rows[:3])
    assert watched.names("waiting") == watched.names("approved") == []


@pytest.mark.long
def test_approve_sends_it_even_if_nobody_watches_just_then(watched: Watched, gateway: GatewayOutside) -> None:
    rows = people(3)
    waits(watched, rows)
    running = watched.start()
    running.when(watched.is_at("waiting", "a.csv")).signal(signal.SIGTERM).ended()
    answer = watched.cli.json("approve", "1")
    assert (answer["code"], answer["state"]) == (0, "waiting_approval")
    watched.start().when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(rows)
    refused = watched.cli.json("approve", "1")
    assert (refused["code"], refused["error"]["code"]) == (2, "campaign_cannot_approve")


@pytest.mark.parametrize("how", ["folder", "command"])
def test_rejected_it_is_never_sent(watched: Watched, gateway: GatewayOutside, how: str) -> None:
    waits(watched, people(3))
    running = watched.start()
    running.when(watched.is_at("waiting", "a.csv"))
    if how == "folder":
        path = watched.path("a.csv")
        path.rename(watched.folder / "rejected" / path.name)
    else:
        assert watched.cli.json("reject", "1")["state"] == "cancelled"
    running.when(lambda: watched.is_at("rejected", "a.csv")() and bool(watched.told(running, "rejected")))
    assert watched.states() == {C.CANCELLED: 1}
    assert "cancelled" in watched.beside("a.csv", ".report.csv").read_text("utf-8-sig")
    assert watched.names("waiting") == []
    assert gateway.sends() == Counter()


def change(watched: Watched, rows: list[tuple[str, str]]) -> None:
    """The waiting file is edited and moved to ``approved/``, as one does with a spreadsheet program."""
    path = watched.path("a.csv")
    path.write_text(table(rows))
    path.rename(watched.folder / "approved" / path.name)


def test_rows_taken_out_before_approval_are_not_sent_and_the_rest_is(
    watched: Watched, gateway: GatewayOutside
) -> None:
    rows = people(4)
    waits(watched, rows)
    running = watched.start("--prices", "prices.toml")
    running.when(watched.is_at("waiting", "a.csv"))
    change(watched, rows[:3])
    running.when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(rows[:3])
    assert watched.states() == {C.FINISHED: 1, C.CANCELLED: 1}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        pytest.param(
            [*people(4), ("+393123400050", "New.")], "1 message is new or different", id="another row"
        ),
        pytest.param(
            [*people(3), (people(4)[3][0], "Another text.")],
            "1 message is new or different",
            id="another text",
        ),
        pytest.param(
            [*people(3), (people(4)[3][0], ("Long. " * 40).strip())],
            "it may come to 0.25 EUR, not 0.20 EUR",
            id="dearer",
        ),
    ],
)
def test_any_other_change_waits_again_and_shows_it(
    watched: Watched, gateway: GatewayOutside, changed: list[tuple[str, str]], says: str
) -> None:
    waits(watched, people(4))
    running = watched.start("--prices", "prices.toml")
    running.when(watched.is_at("waiting", "a.csv"))
    change(watched, changed)
    running.when(lambda: len(watched.told(running, "waiting")) == 2)
    assert watched.place("a.csv") == "waiting"
    assert says in watched.note("a.csv")
    assert gateway.sends() == Counter()
    assert watched.states() == {C.WAITING_APPROVAL: 1, C.CANCELLED: 1}
    path = watched.path("a.csv")
    path.rename(watched.folder / "approved" / path.name)
    running.when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(changed)


@pytest.mark.long
def test_people_who_opt_out_before_approval_get_nothing(watched: Watched, gateway: GatewayOutside) -> None:
    rows = people(3)
    waits(watched, rows)
    running = watched.start()
    running.when(watched.is_at("waiting", "a.csv"))
    assert watched.cli("optout", "add", rows[0][0]).code == 0
    assert watched.cli("approve", "1").code == 0
    running.when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(rows[1:])


def test_what_costs_more_than_the_limit_waits_and_approval_lifts_the_limit(
    watched: Watched, gateway: GatewayOutside
) -> None:
    rows = people(4)
    settings(watched, "max_cost = 0.10")
    watched.drop("cheap.csv", table(people(2, first=30)))
    watched.drop("a.csv", table(rows))
    running = watched.start("--prices", "prices.toml", "--max-cost", "0.15")
    running.when(watched.is_at("waiting", "a.csv")).when(watched.is_at("done", "cheap.csv"))
    assert "limit of 0.10 EUR" in watched.note("a.csv")
    path = watched.path("a.csv")
    path.rename(watched.folder / "approved" / path.name)
    running.when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(rows) + once_each(people(2, first=30))
    with watched.ledger() as ledger:
        campaigns = {
            one.file_name.partition(" ")[2].partition(" ")[2]: one for one in ledger.queries.campaigns()
        }
        assert campaigns["a.csv"].max_cost == Decimal("0.20")


def test_a_corrected_file_for_the_same_people_waits(watched: Watched, gateway: GatewayOutside) -> None:
    rows = people(12)
    watched.drop("a.csv", table(rows))
    running = watched.start()
    running.when(watched.is_at("done", "a.csv"))
    watched.drop("b.csv", table([(number, f"Sorry: {text}") for number, text in rows]))
    running.when(watched.is_at("waiting", "b.csv"))
    assert "another text" in watched.note("b.csv")
    assert gateway.sends() == once_each(rows)


def test_approved_may_lie_elsewhere(watched: Watched, gateway: GatewayOutside) -> None:
    boss = watched.cli.folder / "boss"
    waits(watched, people(2))
    running = watched.start("--approved-dir", boss)
    running.when(watched.is_at("waiting", "a.csv"))
    assert "approved" not in [entry.name for entry in watched.folder.iterdir()]
    assert str(boss) in watched.note("a.csv")
    path = watched.path("a.csv")
    path.rename(boss / path.name)
    running.when(watched.is_at("done", "a.csv"))


@pytest.mark.parametrize("edited", [False, True])
def test_what_was_stopped_goes_on_when_it_is_moved_to_approved(
    watched: Watched, gateway: GatewayOutside, edited: bool
) -> None:
    rows = [*people(3), ("+393123400077", "Come to our casino.")]
    watched.drop("a.csv", table(rows))
    running = watched.start()
    running.when(watched.is_at("waiting", "a.csv"))
    assert "these rows are left out" in watched.note("a.csv")
    right = [*rows[:3], ("+393123400077", "Come to our shop.")] if edited else rows
    change(watched, right)
    running.when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(right if edited else rows[:3])
    report = watched.beside("a.csv", ".report.csv").read_text("utf-8-sig")
    assert ("forbidden" in report) is not edited
    assert watched.names("waiting") == watched.names("approved") == []
    assert watched.told(running, "told_to_go_on")


@pytest.mark.long
def test_what_a_person_paused_goes_on_as_well(watched: Watched, gateway: GatewayOutside) -> None:
    rows = people(60)
    watched.drop("a.csv", table(rows))
    running = watched.start("--rate-per-minute", "150")  # it is paused long before it is done
    running.when(lambda: gateway.sends().total() > 3)
    assert watched.cli("pause", "1").code == 0
    running.when(watched.is_at("waiting", "a.csv"))
    assert gateway.sends().total() < len(rows)
    path = watched.path("a.csv")
    path.rename(watched.folder / "approved" / path.name)
    running.when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(rows)


def test_what_did_not_wait_is_not_sent_from_approved(watched: Watched, gateway: GatewayOutside) -> None:
    running = watched.start()
    (watched.folder / "approved" / "b.csv").write_text(table(people(2)))
    running.when(watched.is_at("failed", "b.csv"))
    assert "without having waited" in watched.note("b.csv")
    assert gateway.sends() == Counter()


@pytest.mark.long
@pytest.mark.parametrize("moment", ["waiting", "approved"])
def test_a_kill_around_the_approval_loses_nothing(
    watched: Watched, gateway: GatewayOutside, moment: str
) -> None:
    rows = people(20)
    waits(watched, rows)
    running = watched.start("--rate-per-minute", "1200")
    running.when(watched.is_at("waiting", "a.csv"))
    if moment == "approved":
        path = watched.path("a.csv")
        path.rename(watched.folder / "approved" / path.name)
        running.when(lambda: watched.place("a.csv") == "processing")
    running.signal(signal.SIGKILL).ended()
    if moment == "waiting":
        assert watched.cli("approve", "1").code == 0
    watched.start().when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == once_each(rows)


# --- campaign.toml


def test_settings_are_checked_at_the_start(watched: Watched, gateway: GatewayOutside) -> None:
    settings(watched, "max_cost = 50")
    ended = watched.cli("watch", "in", "--json", "--max-cost", "20")
    assert (ended.code, ended.error["code"]) == (2, "watch_toml_loosens")


def test_settings_hold_for_what_comes_after_them_and_wrong_ones_stop_everything(
    watched: Watched, gateway: GatewayOutside
) -> None:
    note = watched.folder / "campaign.toml.READ-ME.txt"
    running = watched.start()
    settings(watched, "sender = 'Clinica'\nmax_costs = 3")
    running.when(note.exists)
    assert "max_costs" in note.read_text("utf-8-sig")
    watched.drop("a.csv", table(people(2)))
    settings(watched, "sender = 'Clinica'")
    running.when(watched.is_at("done", "a.csv"))
    assert not note.exists()
    assert {one.sender for one in gateway.accepted()} == {"Clinica"}


def test_a_message_in_the_settings_is_the_text_of_every_file(
    watched: Watched, gateway: GatewayOutside
) -> None:
    settings(watched, "message = 'Ciao {{ Nome }}.'\n[columns]\nphone = 'Tel'")
    watched.drop("a.csv", "Tel,Nome\n+393123400001,Ada\n")
    watched.start().when(watched.is_at("done", "a.csv"))
    assert gateway.sends() == {("+393123400001", "Ciao Ada."): 1}


@pytest.mark.long
def test_two_folders_of_one_ledger(watched: Watched, gateway: GatewayOutside, tmp_path: Path) -> None:
    other = watched.cli.folder / "other"
    other.mkdir()
    watched.start()
    second = watched.cli.start("watch", "other", "--settle", "0.2", "--json")
    (other / "b.csv").write_text(table(people(2)))
    second.when(lambda: any((other / "done").glob("* b.csv")))
    assert gateway.sends() == once_each(people(2))


@pytest.mark.long
def test_a_campaign_of_another_gateway_is_left_waiting_and_not_tried_for_ever(
    watched: Watched, gateway: GatewayOutside
) -> None:
    waits(watched, people(2))
    running = watched.start()
    running.when(watched.is_at("waiting", "a.csv")).signal(signal.SIGTERM).ended()
    assert watched.cli("approve", "1").code == 0
    watched.gateway = ("--gateway", "simulator")
    other = watched.start()
    other.when(lambda: len(watched.told(other, "waiting")) == 1)
    watched.drop("b.csv", table(people(2, first=50)))
    other.when(watched.is_at("waiting", "b.csv"))
    assert [one["file"].endswith("a.csv") for one in watched.told(other, "waiting")] == [True, False]
    assert gateway.sends() == Counter()
