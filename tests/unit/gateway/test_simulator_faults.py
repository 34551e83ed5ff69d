"""Faults: reproducible decisions, and what each one does on a real socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.errors import UsageError
from dispatcher.gateway.simulator import (
    Fault,
    Faults,
    SimulatorConfig,
    SimulatorThread,
    Window,
    faults_from_json,
)

SEND = {"recipient": "+393123456789", "message": "Ciao"}
TOKEN = {"Authorization": "Bearer simulator"}
NOT_ACCEPTED = {Fault.ERROR_BEFORE, Fault.RESET_BEFORE, Fault.HANG_BEFORE, Fault.THROTTLED}
READABLE = {
    **{Fault.ERROR_BEFORE: 503, Fault.ERROR_AFTER: 503, Fault.THROTTLED: 429},
    **{Fault.LATE: 201, Fault.LATE_ANSWER: 201},
}


@pytest.fixture
def stand_in() -> Iterator[SimulatorThread]:
    with SimulatorThread(SimulatorConfig()) as running:
        yield running


@pytest.mark.parametrize("fault", Fault)
def test_what_a_fault_leaves_behind(stand_in: SimulatorThread, fault: Fault) -> None:
    stand_in.simulator.set_faults(Faults(schedule={2: fault}, hang_seconds=0.05))
    with httpx.Client(base_url=stand_in.url, headers=TOKEN) as client:
        assert client.post("/IT-messages", json=SEND).status_code == 201
        if fault in READABLE:
            assert client.post("/IT-messages", json={**SEND, "message": "Due"}).status_code == READABLE[fault]
        elif fault is Fault.GARBAGE:
            with pytest.raises(ValueError, match="Expecting value"):
                client.post("/IT-messages", json={**SEND, "message": "Due"}).json()
        else:
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                client.post("/IT-messages", json={**SEND, "message": "Due"})
        assert client.post("/IT-messages", json={**SEND, "message": "Tre"}).status_code == 201
    texts = [message.message for message in stand_in.simulator.received()]
    assert texts == (["Ciao", "Tre"] if fault in NOT_ACCEPTED else ["Ciao", "Due", "Tre"])


def test_a_throttled_answer_says_when_to_come_back(stand_in: SimulatorThread) -> None:
    stand_in.simulator.set_faults(Faults(rates={Fault.THROTTLED: 1}, retry_after=7))
    answer = httpx.post(stand_in.url + "/IT-messages", json=SEND, headers=TOKEN)
    assert (answer.status_code, answer.headers["Retry-After"], answer.json()["code"]) == (429, "7", 429)


@pytest.mark.parametrize(("only_sends", "statuses"), [(True, [201, 200, 503]), (False, [503, 503, 503])])
def test_whom_faults_affect(stand_in: SimulatorThread, only_sends: bool, statuses: list[int]) -> None:
    stand_in.simulator.set_faults(Faults(rates={Fault.ERROR_BEFORE: 1}, only_sends=only_sends))
    with httpx.Client(base_url=stand_in.url, headers=TOKEN) as client:
        dry_run = client.post("/IT-messages", json={**SEND, "options": {"dryRun": True}})
        listing = client.get("/messages")
        real = client.post("/IT-messages", json=SEND)
    assert [answer.status_code for answer in (dry_run, listing, real)] == statuses


def test_faults_change_over_http_while_it_runs(stand_in: SimulatorThread) -> None:
    with httpx.Client(base_url=stand_in.url, headers=TOKEN) as client:
        assert client.post("/_simulator/faults", json={"rates": {"error_after": 1}}).status_code == 200
        assert client.post("/IT-messages", json=SEND).status_code == 503
        assert client.post("/_simulator/faults", json={"rates": {"no_such_fault": 1}}).status_code == 422
        assert client.post("/_simulator/faults", content=b"{").status_code == 422
        assert client.post("/_simulator/faults", json={}).status_code == 200
        assert client.post("/IT-messages", json=SEND).status_code == 201
    assert stand_in.simulator.sends() == {("+393123456789", "Ciao"): 2}


def test_stopping_lets_go_of_a_hanging_request() -> None:
    faults = Faults(rates={Fault.LATE: 1}, hang_seconds=3600)
    failures: list[Exception] = []

    def send() -> None:
        try:
            httpx.post(stand_in.url + "/IT-messages", json=SEND, headers=TOKEN, timeout=60)
        except httpx.HTTPError as error:
            failures.append(error)

    with SimulatorThread(SimulatorConfig(faults=faults)) as stand_in:
        sending = threading.Thread(target=send)
        sending.start()
        while not stand_in.simulator.arrivals():
            time.sleep(0.001)
    sending.join()
    assert len(failures) == 1
    assert stand_in.simulator.received() == []


@given(st.integers(), st.dictionaries(st.sampled_from(list(Fault)), st.floats(0, 1 / len(Fault))))
def test_decisions_depend_on_seed_and_number_only(seed: int, rates: dict[Fault, float]) -> None:
    faults = Faults(rates=rates, latency=(0.1, 0.5))
    forwards = [faults.decide(seed, number, 0) for number in range(1, 40)]
    backwards = [faults.decide(seed, number, 99) for number in range(39, 0, -1)]
    assert forwards == backwards[::-1]
    assert all(fault is None or fault in rates for fault, _ in forwards)
    assert all(0.1 <= wait <= 0.5 for _, wait in forwards)


def test_a_schedule_comes_before_a_window_and_a_window_before_chance() -> None:
    faults = Faults(
        rates={Fault.GARBAGE: 1}, schedule={3: Fault.LATE}, windows=(Window(Fault.RESET_BEFORE, 10, 20),)
    )
    asked = [(1, 9.9), (2, 10), (3, 15), (4, 19.9), (5, 20)]
    assert [faults.decide(0, number, elapsed)[0] for number, elapsed in asked] == [
        Fault.GARBAGE, Fault.RESET_BEFORE, Fault.LATE, Fault.RESET_BEFORE, Fault.GARBAGE,
    ]  # fmt: skip


def test_faults_read_from_json() -> None:
    written = {
        "rates": {"reset_after": 0.25},
        "schedule": {"4": "garbage"},
        "windows": [{"fault": "throttled", "start": 1, "end": 2}],
        "latency": [0, 1],
        "only_sends": False,
    }
    assert faults_from_json(written) == Faults(
        rates={Fault.RESET_AFTER: 0.25},
        schedule={4: Fault.GARBAGE},
        windows=(Window(Fault.THROTTLED, 1.0, 2.0),),
        latency=(0.0, 1.0),
        only_sends=False,
    )
    assert faults_from_json({}) == Faults()


@pytest.mark.parametrize(
    "written",
    [[], {"rate": {}}, {"rates": {"reset_after": "much"}}, {"windows": [{}]}, {"latency": 3}, {"rates": []},
     {"error_status": 200}, {"hang_seconds": "long"}],
    ids=str,
)  # fmt: skip
def test_unreadable_faults_are_refused(written: object) -> None:
    with pytest.raises(UsageError) as refused:
        faults_from_json(written)
    assert refused.value.code == "simulator_faults"
