"""Whose clock it is where nobody says: the machine's, by a name, whatever its variables hold."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from dispatcher.zones import is_zone, machine_zone, name_of

_ASKED = "from dispatcher.zones import machine_zone; print(machine_zone())"


class PytzZone:
    """As much of a zone of pytz as is looked at: its name is in ``zone``, and it has no ``key``."""

    def __init__(self, zone: str) -> None:
        self.zone = zone


@pytest.mark.parametrize("named", ["Atlantic/Canary", ":Atlantic/Canary"])
def test_the_environment_is_believed(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", named)
    assert machine_zone() == "Atlantic/Canary"


@pytest.mark.parametrize("named", ["CET-1CEST", "Europe", "x y", "../secret", __file__])
def test_what_names_no_zone_stops_nothing(named: str) -> None:
    # in a process of its own: what Babel finds when it is first imported is part of the matter
    asked = [sys.executable, "-c", _ASKED]
    told = subprocess.run(asked, env={**os.environ, "TZ": named}, capture_output=True, text=True, check=False)
    assert (told.stdout.strip(), told.stderr) == ("UTC", "")


def test_zones_of_either_library_have_a_name() -> None:
    assert name_of(ZoneInfo("Europe/Madrid")) == "Europe/Madrid"
    assert name_of(PytzZone("Europe/Madrid")) == "Europe/Madrid"
    assert name_of(PytzZone("local")) is None
    assert name_of(UTC) is None


def test_the_name_is_one_that_others_know() -> None:
    assert is_zone(machine_zone())
    assert not is_zone("Europe")
