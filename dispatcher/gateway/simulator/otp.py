"""One-time codes: the request, the code, and the sentence around it in the recipient's language."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from dispatcher.gateway.models import ErrorCode, Route
from dispatcher.gateway.simulator import answers
from dispatcher.gateway.simulator.answers import Refused
from dispatcher.gateway.simulator.numbers import Recipient
from dispatcher.gateway.simulator.orders import Order, read_callback, read_options, read_recipient
from dispatcher.gateway.simulator.segments import measure

SENDER = "OTP MOBILE"
_LENGTHS = range(4, 11)
_CACHE_SECONDS = range(601)
_DIGITS = "0123456789"
_ALPHANUMERIC = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # nothing that reads like something else

_ENGLISH = "Your verification code is {code}"
_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "IT SM": "Il tuo codice di verifica è {code}",
        "ES AR CL CO MX PE UY": "Tu código de verificación: {code}",
        "FR MC": "Votre code de vérification : {code}",
        "DE AT LI": "Ihr Bestätigungscode lautet {code}",
        "PT BR": "O seu código de verificação: {code}",
    }
)


@dataclass(frozen=True, slots=True)
class CodeOrder:
    """A code somebody wants generated and sent."""

    recipient: Recipient
    alphanumeric: bool
    length: int
    cache_seconds: int
    options: Mapping[str, bool]
    callback: Mapping[str, Any] | None

    def order(self, code: str) -> Order:
        """The message that carries ``code``."""
        text = sentence(self.recipient.country).format(code=code)
        echoed = {
            "length": self.length,
            "alphanumeric": self.alphanumeric,
            "cacheSeconds": self.cache_seconds,
        }
        otp = {"otp": code, "otpOptions": echoed}
        return Order(Route.WW, SENDER, self.recipient, text, measure(text), self.options, self.callback, otp)


def read_code_order(data: Mapping[str, Any]) -> CodeOrder:
    """The code a request asks for.  Raises Refused."""
    options, callback = read_options(data.get("options")), read_callback(data.get("callback"))
    alphanumeric = _given(data, "alphanumeric", False)
    length = _given(data, "length", 5)
    cache_seconds = _given(data, "cacheSeconds", 0)
    if not isinstance(alphanumeric, bool):
        raise answers.invalid("alphanumeric", "true or false")
    if type(length) is not int:
        raise answers.invalid("length", "a whole number")
    if length not in _LENGTHS:
        raise Refused(422, ErrorCode.OTP_LENGTH, f"A code has {_LENGTHS[0]} to {_LENGTHS[-1]} characters")
    if type(cache_seconds) is not int or cache_seconds not in _CACHE_SECONDS:
        raise answers.invalid("cacheSeconds", f"a whole number from 0 to {_CACHE_SECONDS[-1]}")
    number = data.get("recipient")
    if not isinstance(number, str) or not number:
        raise answers.invalid("recipient", "a text")
    return CodeOrder(read_recipient(number), alphanumeric, length, cache_seconds, options, callback)


def make_code(wanted: CodeOrder, seed: int, now: int) -> str:
    """A code for one recipient at one moment: the same seed and the same microsecond give the same code."""
    letters = _ALPHANUMERIC if wanted.alphanumeric else _DIGITS
    digest = hashlib.blake2b(f"{seed}:{wanted.recipient.number}:{now}".encode(), digest_size=16).digest()
    number = int.from_bytes(digest, "big")
    code = ""
    for _ in range(wanted.length):
        number, place = divmod(number, len(letters))
        code += letters[place]
    return code


def sentence(country: str) -> str:
    """The text around a code for recipients in an ISO country."""
    return next((text for countries, text in _SENTENCES.items() if country in countries.split()), _ENGLISH)


def _given(data: Mapping[str, Any], name: str, default: object) -> object:
    value = data.get(name)
    return default if value is None else value
