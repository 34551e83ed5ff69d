"""A covering set, one's own list of words, people who just got a text: from the command to the gateway."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import count, pairwise
from pathlib import Path

import pytest

from dispatcher.application import Application
from dispatcher.campaign.prices import Funds
from dispatcher.cli.output import Output
from dispatcher.cli.terminal import Terminal
from dispatcher.gateway.models import Route
from dispatcher.gateway.simulator import Received
from dispatcher.intake.house import House
from dispatcher.intake.screening import Screened, screen
from dispatcher.ledger import CampaignView, NewCampaign, RowState, Totals
from dispatcher.sending.preflight import Preflight, PreflightChoice, PreflightResult
from dispatcher.settings import load
from dispatcher.wording import Wording
from tests.integration.processes import TOKEN, Cli, GatewayOutside, number, report_of, write_rows

NAMES = ["Anna", "Bruno", "Carla", "Dario", "Elena", "Fabio", "Giulia", "Hugo"]
COVERING = "auto:20"  # above 20 texts a covering set


def clinic(size: int, **other: str) -> list[tuple[str, str]]:
    """So many appointments, each with a text of its own; ``r7="…"`` is the name in the eighth."""
    rng = random.Random(1)
    return [
        (
            number(n),
            f"Ciao {other.get(f'r{n}', NAMES[n % 8])}, ti aspettiamo il {n % 28 + 1:02}/03/2026: "
            f"https://clinic.example/{rng.getrandbits(40):x}",
        )
        for n in range(size)
    ]


def words(text: str) -> set[tuple[str, str]]:
    """Every two neighbouring words, with what differs in every row taken away."""
    stable = [word for word in text.lower().split() if not any(map(str.isdigit, word))]
    return set(pairwise(["^", *stable]))


def dry_runs(gateway: GatewayOutside) -> list[str]:
    return [message.message for message in gateway.received() if message.dry_run]


def test_a_covering_set_is_checked_and_everything_is_sent_once(cli: Cli, gateway: GatewayOutside) -> None:
    rows = clinic(300)
    write_rows(cli.folder / "clinic.csv", rows)

    ended = cli("run", "clinic.csv", "--preflight", COVERING, "--yes", "--json")

    assert ended.code == 0, ended.err
    assert gateway.sends() == dict.fromkeys(rows, 1)
    checked = dry_runs(gateway)
    assert len(checked) < 30
    held = set().union(*map(words, checked))
    assert all(words(text) <= held for _, text in rows)
    assert "Only a covering set is checked" in ended.err
    assert "numbers in the message column" in ended.err
    assert "links after their host in the message column" in ended.err
    assert "--preflight all" in ended.err


def test_a_field_that_is_compared_by_its_shape_is_named(cli: Cli, gateway: GatewayOutside) -> None:
    lines = [f"{number(n)};{NAMES[n % 8]};{n % 28 + 1}/3/2026;{n * 7919:06}" for n in range(60)]
    (cli.folder / "c.csv").write_text("\n".join(["phone;Name;Day;Code", *lines]), encoding="utf-8")
    text = "Hello {{ Name }}, see you on {{ Day }}: https://c.example/{{ Code }} or 06 1234."

    ended = cli("run", "c.csv", "--message", text, "--preflight", COVERING, "--yes", "--json")

    assert ended.code == 0, ended.err
    assert "links after their host in Code; numbers in Day." in ended.err
    assert len(dry_runs(gateway)) < 30


@pytest.mark.long
def test_one_forbidden_word_holds_everything_and_only_a_full_preflight_lets_the_others_go(
    cli: Cli, gateway: GatewayOutside
) -> None:
    # the covering set meets the first of them; the others share its words and are not in the set
    bad = {f"r{n}": "Casino" for n in (150, 158, 299)}
    rows = clinic(300, **bad)
    write_rows(cli.folder / "clinic.csv", rows)

    held = cli("run", "clinic.csv", "--preflight", COVERING, "--yes", "--json")

    assert held.code == 4
    assert held.json["state"] == "held"
    assert held.json["forbidden_rows"] == [152]
    assert "checks all 300 texts before it sends any" in held.err
    assert not gateway.accepted()

    without = cli("resume", "1", "--without-refused", "--yes", "--json")

    assert "every text of it is checked" in without.err
    assert without.code == 1
    assert without.json["counts"] == {"accepted": 297, "refused": 3}
    refused = [row for row in report_of(cli, without.json) if row["sms_status"] == "refused"]
    assert {row["phone"] for row in refused} == {number(n) for n in (150, 158, 299)}
    assert all("casino" not in message.message.lower() for message in gateway.received())
    assert gateway.sends() == {row: 1 for row in rows if "Casino" not in row[1]}


def test_many_dry_runs_are_asked_about_first(cli: Cli, gateway: GatewayOutside) -> None:
    rows = [(number(n), f"Dear {first} {last}") for n, (first, last) in enumerate(names_of(60))]
    write_rows(cli.folder / "names.csv", rows)

    ended = cli("run", "names.csv", "--preflight", COVERING, "--json")

    assert ended.code == 2
    assert ended.error["code"] == "usage_needs_yes"
    assert len(gateway.received()) <= 1  # the first one alone

    dry = cli(
        "run", "names.csv", "--preflight", COVERING, "--dry-run", "--json"
    )  # what was asked for is done
    assert dry.code == 0
    assert len(dry_runs(gateway)) >= 60
    assert not gateway.accepted()


def names_of(size: int) -> list[tuple[str, str]]:
    return [(f"N{chr(97 + n // 8)}", f"S{chr(97 + n % 8)}") for n in range(size)]


def test_a_word_of_ones_own_list_is_never_shown_to_the_gateway(cli: Cli, gateway: GatewayOutside) -> None:
    rows = [(number(1), "Your bonus awaits"), (number(2), "See you at nine"), (number(3), "B.O.N.U.S!")]
    write_rows(cli.folder / "a.csv", rows)
    (cli.folder / "words.txt").write_text("# marketing\nBonus\n", encoding="utf-8")

    ended = cli("run", "a.csv", "--forbid-file", "words.txt", "--yes", "--json")

    assert ended.code == 1
    assert ended.json["counts"] == {"accepted": 1, "refused": 2}
    assert {message.message for message in gateway.received()} == {"See you at nine"}
    reasons = [row["sms_reason"] for row in report_of(cli, ended.json)]
    assert [reason.partition(":")[0] for reason in reasons] == ["forbidden_by_list", "", "forbidden_by_list"]
    assert "keeps 2 rows back" in ended.err
    assert "Bonus: 2 rows" in ended.err


def test_a_list_in_the_settings_is_looked_for_in_the_sender_too(cli: Cli, gateway: GatewayOutside) -> None:
    write_rows(cli.folder / "a.csv", [(number(1), "See you at nine"), (number(2), "See you at ten")])
    (cli.folder / "words.txt").write_text("bonusclub", encoding="utf-8")

    ended = cli(
        *("run", "a.csv", "--sender", "Bonus Club", "--yes", "--json"), DISPATCHER_FORBID_FILE="words.txt"
    )

    assert (ended.code, ended.json["counts"]) == (1, {"refused": 2})
    assert not gateway.received()


def test_a_list_that_cannot_be_read_sends_nothing(cli: Cli, gateway: GatewayOutside) -> None:
    write_rows(cli.folder / "a.csv", [(number(1), "Your bonus awaits")])

    ended = cli("run", "a.csv", "--forbid-file", "nowhere.txt", "--yes", "--json")

    assert (ended.code, ended.error["code"]) == (2, "forbid_file")
    assert not gateway.received()


@pytest.mark.long
def test_people_who_just_got_another_text_are_announced(cli: Cli, gateway: GatewayOutside) -> None:
    people = [number(n) for n in range(12)]
    write_rows(cli.folder / "clinic.csv", [(person, "Helo from the clinic") for person in people])
    write_rows(
        cli.folder / "clinic 2.csv", [(person, "Hello from the clinic") for person in [*people, number(99)]]
    )
    first = cli("run", "clinic.csv", "--yes", "--json")
    assert (first.code, first.json["other_texts"]) == (0, None)

    ended = cli("run", "clinic 2.csv", "--yes", "--json")

    assert ended.code == 0
    assert ended.json["other_texts"] == {"campaign": 1, "people": 12}
    assert "12 of 13 people already got another text on " in ended.err
    assert "(campaign 1, clinic.csv)" in ended.err
    assert len(gateway.accepted()) == 12 + 13  # it was said, and yes was the answer


# --- what a dry run refuses for its number


class Desk:
    """A campaign put straight into a ledger: with numbers that planning would not let through."""

    def __init__(self, folder: Path, gateway: GatewayOutside) -> None:
        self._flags = {
            "gateway": gateway.url,
            "token": TOKEN,
            "ledger": f"sqlite:///{folder / 'ledger.db'}",
            "rate_per_minute": 60_000,
        }
        self._folder = folder
        self._files = count()

    def preflight(
        self, rows: Sequence[tuple[str, str]], choice: str
    ) -> tuple[PreflightResult, dict[str, int]]:
        """What a preflight says about rows (number, text), and the states they are in afterwards."""
        configuration = load(self._flags, environ={}, directory=self._folder, user_directory=self._folder)
        with Application(configuration, Wording("en")) as application:
            house = application.house(Funds({}, None))
            campaign = self._loaded(house, rows)
            result = asyncio.run(self._run(house, campaign, PreflightChoice.from_text(choice)))
            return result, {s.code: n for s, n in house.ledger.queries.counts(campaign.id).items()}

    def screened_after(
        self, rows: Sequence[tuple[str, str]], trouble: Callable[[House, int], object]
    ) -> Screened:
        """What a launch screens of the rows after something happened to their campaign."""
        configuration = load(self._flags, environ={}, directory=self._folder, user_directory=self._folder)
        words = Wording("en")
        with Application(configuration, words) as application:
            house = application.house(Funds({}, None))
            campaign = self._loaded(house, rows).id
            trouble(house, campaign)
            terminal = Terminal(Output(as_json=False, wording=words), yes=True)
            choice = PreflightChoice.from_text(COVERING)
            return screen(house, terminal, house.ledger.queries.campaign(campaign), choice, ask=True)

    def _loaded(self, house: House, rows: Sequence[tuple[str, str]]) -> CampaignView:
        now, loading = house.clock.now(), house.ledger.loading
        new = NewCampaign(
            name="c",
            file_name="c.csv",
            file_sha256=f"{next(self._files):064x}",
            gateway=house.gateway,
            fingerprint="f",
            owner=house.owner,
        )
        campaign = loading.create_campaign(new, now)
        ready, route = int(RowState.READY), str(Route.IT)
        loading.load_rows(
            campaign,
            [
                (
                    n,
                    ready,
                    None,
                    to,
                    "IT",
                    route,
                    "ACME",
                    text,
                    1,
                    1,
                    0,
                    0,
                    n.to_bytes(16, "big"),
                    0,
                    None,
                    None,
                )
                for n, (to, text) in enumerate(rows, 2)
            ],
        )
        totals = Totals(rows=len(rows), parts=len(rows), estimated_cost=Decimal(0))
        loading.finish_loading(campaign, totals, now)
        assert house.ledger.campaigns.begin_preflight(campaign, now)
        return house.ledger.queries.campaign(campaign)

    async def _run(self, house: House, campaign: CampaignView, choice: PreflightChoice) -> PreflightResult:
        async with house.services() as services:
            preflight = Preflight(services, campaign, choice, progress=ignore, rng=random.Random(1))
            return await preflight.run(ignore)


def nothing(house: House, campaign: int) -> None:
    """All is well."""


def halt(house: House, campaign: int) -> None:
    """A real send met a forbidden text, or the account was blocklisted."""
    assert house.ledger.campaigns.halt(campaign, "forbidden_text", house.clock.now())


def refuse(house: House, campaign: int) -> None:
    """A row was left out because its text is forbidden."""
    reason, now = "forbidden_text", house.clock.now()
    assert house.ledger.rows.exclude(campaign, [2], RowState.REFUSED, reason, now) == 1


@pytest.mark.parametrize(("trouble", "everything"), [(nothing, False), (halt, True), (refuse, True)])
def test_a_campaign_in_which_a_text_was_forbidden_is_screened_in_full(
    desk: Desk, gateway: GatewayOutside, trouble: Callable[[House, int], object], everything: bool
) -> None:
    rows = [(number(n), f"Hi {NAMES[n % 8]} {n:02}") for n in range(60)]

    screened = desk.screened_after(rows, trouble)

    assert screened.partial == (not everything)
    assert (len(set(dry_runs(gateway))) >= 59) == everything


def ignore(result: PreflightResult) -> None:
    """Nobody watches."""


@pytest.fixture
def desk(tmp_path: Path, gateway: GatewayOutside) -> Desk:
    return Desk(tmp_path, gateway)


LANDLINE = "+390612345678"  # the stand-in refuses it with 2011


def passed(messages: Sequence[Received]) -> list[str]:
    return [message.message for message in messages if message.dry_run]


def test_a_text_refused_for_its_number_covers_nothing(desk: Desk, gateway: GatewayOutside) -> None:
    # the first of each eight would be chosen, and nobody looks at its text
    rows = [
        (LANDLINE if 8 <= n < 16 else number(n), f"{'Hi' if n < 8 else 'Dear'} {NAMES[n % 8]} {n:02}")
        for n in range(64)
    ]

    result, counts = desk.preflight(rows, COVERING)

    assert result.covering
    assert result.forbidden == []
    assert counts == {"ready": 56, "refused": 8}
    held = set().union(*map(words, passed(gateway.received())))
    assert all(words(text) <= held for to, text in rows if to != LANDLINE)


def test_a_forbidden_word_behind_a_refused_number_is_met_in_another_row(
    desk: Desk, gateway: GatewayOutside
) -> None:
    rows = [(number(n), f"Hi {NAMES[n % 8]} {n:02}") for n in range(40)]
    rows[20] = (LANDLINE, "Hi Casino 20")
    rows[30] = (number(30), "Hi Casino 30")

    result, _ = desk.preflight(rows, COVERING)

    assert result.forbidden == [32]


def test_a_text_known_as_forbidden_is_met_though_its_words_are_harmless(
    desk: Desk, gateways: Callable[..., GatewayOutside], tmp_path: Path
) -> None:
    # three words that are forbidden together: no pair of them is new, but an earlier preflight met the text
    strict = gateways(forbidden_words=frozenset({"one two three"}))
    desk = Desk(tmp_path, strict)
    rows = [(number(n), f"{text} {n:02}") for n, text in enumerate(["one two four", "zero two three"] * 15)]
    rows += [(number(40), "one two three")]

    covering, _ = desk.preflight(rows, COVERING)
    assert covering.forbidden == []  # what the promise does not hold; the limits are told

    full, _ = desk.preflight(rows, "all")
    assert full.forbidden == [32]
    known, _ = desk.preflight(rows, COVERING)
    assert known.forbidden == [32]
