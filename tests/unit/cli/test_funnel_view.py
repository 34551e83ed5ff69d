"""The funnel of a campaign: added up, and shown."""

from __future__ import annotations

import json

import pytest

from dispatcher.cli.funnel_view import funnel_values, show_funnel
from dispatcher.cli.output import Output
from dispatcher.ledger.bills import BillGroup
from dispatcher.ledger.states import RowState
from dispatcher.report.funnel import funnel_of
from dispatcher.wording import LANGUAGES, Wording

R = RowState
GROUPS = [
    BillGroup(route="IT", country="IT", state=R.DELIVERED, rows=7),
    BillGroup(route="IT", country="IT", state=R.ACCEPTED, rows=2),
    BillGroup(route="WW", country="FR", state=R.UNDELIVERABLE, rows=1),
    BillGroup(route=None, country=None, state=R.INVALID, rows=50),
    BillGroup(route="IT", country="IT", state=R.READY, rows=3),
]


def test_every_accepted_message_is_in_one_place() -> None:
    funnel = funnel_of(GROUPS)
    assert (funnel.total.accepted, funnel.total.on_the_way) == (10, 2)
    assert [(line.country, line.route, line.accepted) for line in funnel.lines] == [
        ("FR", "WW", 1),
        ("IT", "IT", 9),
    ]
    values = funnel_values(funnel)
    for part in (values, *values["lines"]):
        ends = ("delivered", "undeliverable", "expired", "rejected", "on_the_way")
        assert sum(part[name] for name in ends) == part["accepted"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_read_what_there_is(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_funnel(Output(as_json=False, wording=Wording(language)), funnel_of(GROUPS))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(digit in lines[0] for digit in ("10", "7", "2", "1"))
    assert "IT IT: 9" in lines[1]
    assert "0" not in lines[1]


def test_before_the_first_message_there_is_nothing_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    funnel = funnel_of(GROUPS[-2:])
    show_funnel(Output(as_json=False, wording=Wording("en")), funnel)
    assert capsys.readouterr().out == ""
    assert json.loads(json.dumps(funnel_values(funnel)))["lines"] == []


def test_many_countries_are_cut_short(capsys: pytest.CaptureFixture[str]) -> None:
    many = [BillGroup(route="WW", country=f"A{n}", state=R.DELIVERED, rows=n) for n in range(1, 21)]
    show_funnel(Output(as_json=False, wording=Wording("en")), funnel_of(many))
    lines = capsys.readouterr().out.splitlines()
    assert "WW A20: 20" in lines[1]
    assert lines[-1] == "  and 8 countries more"
