"""What is posted to ``serve`` by those who are not the gateway, or by a gateway whose words were mangled on the way.

A stranger knows everything about a message but the secret; a mangled callback has the right header and says nothing
that can be read, or something about another row.  None of it may change a row.
"""

from __future__ import annotations

import json
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from dispatcher.gateway.signing import SIGNATURE_HEADER, Signer
from dispatcher.gateway.simulator import Received, Simulator
from tests.chaos.harness import Account

MOST_NEW = 200  # messages learnt of at once
BETWEEN = (0.005, 0.06)  # seconds between two posts
JSON, FORM = {"Content-Type": "application/json"}, {"Content-Type": "application/x-www-form-urlencoded"}
LIE = "REJECTED"  # which no message of the scenario becomes
AWAY = 0  # in place of a status: nobody answered
NOT_NOW = frozenset({AWAY, 429, 503})


@dataclass(frozen=True)
class Post:
    """What is sent, and which answers are right when it is answered at all."""

    headers: dict[str, str]
    body: bytes
    right: frozenset[int] = frozenset({401})


Kind = Callable[[Received, Received, Signer, random.Random], Post]


def _told(message: Received, **change: Any) -> bytes:
    """As the gateway would tell it, with a lie about what became of it."""
    shown = {
        "id": message.id, "username": message.account, "state": LIE, "recipient": message.recipient,
        "message": message.message, "price": 0.9, "totalPrice": 0.9, "messageCount": 9,
        "callback": {"custom": message.custom}, **change,
    }  # fmt: skip
    return json.dumps(shown).encode()


def _elsewhere(message: Received) -> str:
    """The same row of another ledger."""
    key = str(message.row_key)
    return ("1" if key[0] == "0" else "0") + key[1:]


def _signed(message: Received, signer: Signer, more: dict[str, str] = JSON) -> dict[str, str]:
    return {**more, SIGNATURE_HEADER: signer.signature(message.row_key)}


def _mangled(body: bytes, more: dict[str, str] = JSON, *, right: int = 400) -> Kind:
    """The right header, and a body of which nothing can be read."""
    return lambda one, _other, signer, _rng: Post(_signed(one, signer, more), body, frozenset({right}))


KINDS: dict[str, Kind] = {
    "no header": lambda one, _other, _signer, _rng: Post(JSON, _told(one)),
    "empty header": lambda one, _o, _s, _rng: Post({**JSON, SIGNATURE_HEADER: ""}, _told(one)),
    "guessed": lambda one, _other, _signer, rng: Post(
        {**JSON, SIGNATURE_HEADER: rng.randbytes(32).hex()}, _told(one)
    ),
    "another secret": lambda one, _other, _signer, _rng: Post(_signed(one, Signer("another")), _told(one)),
    "another row's header": lambda one, other, signer, _rng: Post(_signed(other, signer), _told(one)),
    "another row's header, form": lambda one, other, signer, _rng: Post(
        _signed(other, signer, FORM), urlencode({"data": _told(one)}).encode()
    ),
    "signature of the id": lambda one, _other, signer, _rng: Post(
        {**JSON, SIGNATURE_HEADER: signer.signature(one.id)}, _told(one)
    ),
    "no row named": lambda one, _other, signer, _rng: Post(_signed(one, signer), _told(one, callback=None)),
    "another ledger": lambda one, _other, signer, _rng: Post(
        {**JSON, SIGNATURE_HEADER: signer.signature(_elsewhere(one))},
        _told(one, callback={"custom": {"row": _elsewhere(one)}}),
        frozenset({421}),
    ),
    # whoever learnt one row's header: that row's key opens no other
    "another's message": lambda one, other, signer, _rng: Post(
        _signed(one, signer), _told(other, callback={"custom": one.custom}), frozenset({200})
    ),
    "wrong types": lambda one, _other, signer, _rng: Post(
        _signed(one, signer),
        _told(
            one, state=7, price=[], totalPrice="NaN", messageCount=-1, encoding={}, sentAt="yesterday",
            deliveredAt=10**400, recipient=None, options="x", blocklisted="no",
        ),
        frozenset({200, 400}),
    ),
    "another id": lambda one, _other, signer, _rng: Post(
        _signed(one, signer), _told(one, id=["a"]), frozenset({400})
    ),
    "half": lambda one, _other, signer, _rng: Post(
        _signed(one, signer), _told(one)[:-40], frozenset({400})
    ),
    "empty": _mangled(b""),
    "no object": _mangled(b'["DELIVERED"]'),
    "deep": _mangled(b"[" * 30_000),
    "no text": _mangled(bytes(range(256))),
    "huge": _mangled(b'{"id": "' + b"x" * 300_000 + b'"}', right=413),
    "empty form": _mangled(b"", FORM),
    "broken form": _mangled(b"data=%7Bhalf&data=%&&==", FORM),
    "broken parts": _mangled(b"--x\r\nContent-Disp", {"Content-Type": "multipart/form-data; boundary=x"}),
    "no boundary": _mangled(b"--x\r\n", {"Content-Type": "multipart/form-data"}),
}  # fmt: skip


@dataclass
class Strangers:
    """They post to every receiver until they are called off; ``wrong`` is what none of them may be answered."""

    simulator: Simulator
    urls: Sequence[str]
    signer: Signer
    rng: random.Random
    answers: Counter[int] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    _known: list[Received] = field(default_factory=list)
    _seen: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While the block lasts."""
        thread = threading.Thread(target=self._work, name="strangers")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _work(self) -> None:
        pause = 0.0
        with httpx.Client(timeout=15) as client:
            while not self._over.wait(pause):
                found = self._two_messages()
                status = self._post(client, *found) if found is not None else AWAY
                pause = self.rng.uniform(*BETWEEN) * (10 if status == AWAY else 1)

    def _two_messages(self) -> tuple[Received, Received] | None:
        """Of those that were really sent, which carry a row's key."""
        seen = self.simulator.received(self._seen, MOST_NEW)
        self._seen += len(seen)
        self._known += [message for message in seen if message.accepted]
        if len(self._known) < 2:
            return None
        one, other = self.rng.sample(self._known, 2)
        return one, other

    def report(self, account: Account) -> None:
        """How they were answered; what was not as it must be is a broken promise."""
        account.events.update(
            {f"strangers answered {status or 'nothing'}": n for status, n in self.answers.items()}
        )
        account.events.update(self.wrong)
        account.unexpected += self.wrong.total()

    def _post(self, client: httpx.Client, one: Received, other: Received) -> int:
        name = self.rng.choice(list(KINDS))
        post, url = KINDS[name](one, other, self.signer, self.rng), self.rng.choice(self.urls)
        if self.rng.random() < 0.02:
            self._break_off(url, post)
            return AWAY
        try:
            status = client.post(url, content=post.body, headers=post.headers).status_code
        except httpx.TransportError:  # killed or frozen, or it hung up on a body that is too long
            status = AWAY
        self.answers[status] += 1
        if status not in post.right | NOT_NOW:
            self.wrong[f"{name}: {status}"] += 1
        return status

    def _break_off(self, url: str, post: Post) -> None:
        """Announces a body and goes away in the middle of it."""
        address = httpx.URL(url)
        head = "".join(f"{name}: {value}\r\n" for name, value in post.headers.items())
        first = f"POST {address.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n{head}\r\n"
        try:
            with socket.create_connection((address.host, address.port or 80), timeout=5) as connection:
                connection.sendall(first.encode() + post.body[:100])
        except OSError:
            pass
        self.answers[AWAY] += 1
