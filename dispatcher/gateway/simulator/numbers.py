"""The stand-in's own check of a recipient, apart from the product's on purpose: comparing can fail."""

from __future__ import annotations

import re
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneNumberType

_E164 = re.compile(r"\+[1-9][0-9]{5,14}")
_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})


class Recipient(NamedTuple):
    """A mobile number: E.164, calling code without ``+``, ISO country."""

    number: str
    prefix: str
    country: str


def mobile(text: str) -> Recipient | None:
    """The mobile number a text is, or None when it is not one, or is not written in E.164."""
    if not _E164.fullmatch(text):
        return None
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.number_type(number) not in _MOBILE:
        return None
    if phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) != text:
        return None
    country = phonenumbers.region_code_for_number(number)
    return Recipient(text, str(number.country_code), country) if country else None
