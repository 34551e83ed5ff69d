"""Bodies that nobody meant, batches that fail, and the bound on a rate."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from dispatcher.delivery.batches import Batches, Full
from dispatcher.delivery.bounds import Bucket
from dispatcher.delivery.callbacks import LONGEST_NAME, Callback, read_callback
from dispatcher.errors import Unreachable

KINDS = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "text/plain",
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        "id",
        "data",
        "state",
        "recipient",
        "totalPrice",
        "blocklisted",
        "callback",
        "options",
        "deliveredAt",
        "messageCount",
    ]
)


def read(kind: str, body: bytes) -> Callback | None:
    return asyncio.run(read_callback(Headers({"content-type": kind}), body))


@given(
    kind=st.sampled_from(KINDS),
    body=st.binary(max_size=200) | st.builds(lambda b: b"--x\r\n" + b, st.binary(max_size=200)),
)
@settings(max_examples=150, deadline=None)
def test_no_bytes_break_the_reader(kind: str, body: bytes) -> None:
    found = read(kind, body)
    assert found is None or found.message.id


@given(body=st.dictionaries(fields, json_values, max_size=6), wrapped=st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_json_breaks_the_reader(body: dict[str, Any], wrapped: bool) -> None:
    found = read("application/json", json.dumps({"data": body} if wrapped else body).encode())
    if found is not None:
        assert found.message.id.isprintable()
        assert 0 < len(found.message.id) <= LONGEST_NAME


def test_batches_are_stored_in_order_and_what_waits_is_bounded() -> None:
    stored: list[list[int]] = []

    async def store(items: Sequence[int]) -> None:
        stored.append(list(items))
        await asyncio.sleep(0)
        if 13 in items:
            raise RuntimeError("thirteen")
        if 7 in items:
            raise Unreachable("ledger_locked", file="ledger", found="busy")

    async def bring() -> list[Any]:
        batches = Batches(store, most=4, room=8)
        waiting = [asyncio.create_task(batches.put(n)) for n in (1, 2, 3, 4, 5, 13, 6, 8, 9)]
        await asyncio.sleep(0)
        writer = asyncio.create_task(batches.run())
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        answers += await asyncio.gather(batches.put(7), return_exceptions=True)
        waiting = [asyncio.create_task(batches.put(10))]
        await asyncio.sleep(0)
        batches.close()
        await writer
        answers += await asyncio.gather(*waiting, batches.put(11), return_exceptions=True)
        return [answer if answer is None else type(answer) for answer in answers]

    answers = asyncio.run(bring())
    assert answers == [None, None, None, None, None, RuntimeError, None, None, Full, Unreachable, None, Full]
    assert stored == [[1, 2, 3, 4], [5, 13, 6, 8], [5], [13], [6], [8], [7], [10]]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [([0] * 4, "yyyn"), ([0, 0, 0, 0.4, 0.1, 0.1], "yyynyn"), ([0, 0, 0, 100, 0, 0, 0], "yyyyyyn")],
)
def test_a_bucket_fills_at_its_rate_up_to_its_brim(steps: list[float], expected: str) -> None:
    now = 0.0
    bucket = Bucket(2.0, 3, lambda: now)
    found = ""
    for step in steps:
        now += step
        found += "y" if bucket.take() else "n"
    assert found == expected
