"""The board of lanes: one contract, in one process and in Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.board import LEASE_SECONDS, Board, LocalBoard, RedisBoard
from tests.servers.valkey import Valkey


@pytest.fixture
def redis_board(valkey: Valkey) -> Iterator[RedisBoard]:
    with valkey.client() as client:
        yield RedisBoard(client, "board")


@pytest.fixture(params=["embedded", "redis"])
def board(request: pytest.FixtureRequest) -> Board:
    return LocalBoard() if request.param == "embedded" else request.getfixturevalue("redis_board")


def test_a_lane_is_started_once(board: Board) -> None:
    chain = board.start(1, 0)
    assert chain is not None
    assert board.start(1, 0) is None
    assert board.start(1, 1) not in (None, chain)
    assert board.start(2, 0) not in (None, chain)


def test_a_lane_that_ended_can_be_started_again(board: Board) -> None:
    chain = board.start(1, 0)
    assert chain is not None
    assert board.take(1, 0, chain)
    board.end(1, 0, chain)
    assert board.start(1, 0) not in (None, chain)


def test_a_lane_goes_on_slice_after_slice(board: Board) -> None:
    chain = board.start(1, 0)
    assert chain is not None
    for _ in range(3):
        assert board.take(1, 0, chain)
        assert board.start(1, 0) is None
        assert board.pass_on(1, 0, chain)
        assert board.start(1, 0) is None


def test_the_end_of_another_chain_ends_nothing(board: Board) -> None:
    chain = board.start(1, 0)
    assert chain is not None
    assert board.take(1, 0, chain)
    board.end(1, 0, "another")
    assert not board.pass_on(1, 0, "another")
    assert board.start(1, 0) is None
    assert board.pass_on(1, 0, chain)


def test_a_double_of_a_running_lane_does_not_run(redis_board: RedisBoard) -> None:
    chain = redis_board.start(1, 0)
    assert chain is not None
    assert redis_board.take(1, 0, chain)
    assert not redis_board.take(1, 0, "another")
    assert redis_board.pass_on(1, 0, chain)


def test_the_first_job_of_a_queued_lane_runs(redis_board: RedisBoard) -> None:
    """The lane was started again because its job waited for long; whichever is reached first is the lane."""
    chain = redis_board.start(1, 0)
    assert chain is not None
    assert redis_board.take(1, 0, "older")
    assert not redis_board.take(1, 0, chain)


def test_a_job_runs_though_the_board_was_lost(redis_board: RedisBoard, valkey: Valkey) -> None:
    chain = redis_board.start(1, 0)
    assert chain is not None
    valkey.lose_everything()
    assert redis_board.take(1, 0, chain)
    assert redis_board.start(1, 0) is None


def test_a_running_lane_that_was_lost_is_not_passed_on(redis_board: RedisBoard, valkey: Valkey) -> None:
    chain = redis_board.start(1, 0)
    assert chain is not None
    assert redis_board.take(1, 0, chain)
    valkey.lose_everything()
    assert not redis_board.pass_on(1, 0, chain)
    assert redis_board.start(1, 0) is not None


def test_a_lane_nobody_hears_of_is_forgotten(redis_board: RedisBoard, valkey: Valkey) -> None:
    with valkey.client() as client:
        chain = redis_board.start(1, 0)
        assert chain is not None
        for step in (redis_board.take, redis_board.pass_on):
            assert step(1, 0, chain)
            (left,) = [client.pttl(key) for key in client.scan_iter("*:lane:1:0")]
            assert 0 < left <= LEASE_SECONDS * 1_000
