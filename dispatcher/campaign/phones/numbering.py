"""What the numbering plans say about digits.  The only module of the campaign that asks phonenumbers about a number.

Verdicts move with the library's metadata, so the report names :data:`LIBRARY_VERSION`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

import phonenumbers
from phonenumbers import (
    CountryCodeSource,
    NumberParseException,
    PhoneNumber,
    PhoneNumberType,
    ValidationResult,
)

from dispatcher.campaign.reasons import Reason

LIBRARY_VERSION: str = phonenumbers.__version__

_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})


class Origin(Enum):
    """Where the country code came from."""

    PLUS = auto()  # written after a +
    BARE = auto()  # written, without a + (393331234567)
    PREFIX = auto()  # written after the region's own international prefix (011 in the United States)
    REGION = auto()  # not written: a national number of the region


@dataclass(frozen=True, slots=True)
class Verdict:
    """``number`` (E.164) and ``country`` (ISO; ``001`` for satellite networks) of a valid number of any kind.

    ``reason`` is None for a mobile only.
    """

    number: str | None
    country: str | None
    reason: Reason | None
    origin: Origin = Origin.PLUS


_ORIGINS = {
    CountryCodeSource.FROM_NUMBER_WITH_PLUS_SIGN: Origin.PLUS,
    CountryCodeSource.FROM_NUMBER_WITHOUT_PLUS_SIGN: Origin.BARE,
    CountryCodeSource.FROM_NUMBER_WITH_IDD: Origin.PREFIX,
    CountryCodeSource.FROM_DEFAULT_COUNTRY: Origin.REGION,
}
_IMPOSSIBLE = {
    ValidationResult.TOO_SHORT: Reason.PHONE_TOO_SHORT,
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: Reason.PHONE_TOO_SHORT,
    ValidationResult.TOO_LONG: Reason.PHONE_TOO_LONG,
    ValidationResult.INVALID_COUNTRY_CODE: Reason.PHONE_UNKNOWN_COUNTRY,
}
_UNREADABLE = {
    NumberParseException.INVALID_COUNTRY_CODE: Reason.PHONE_UNKNOWN_COUNTRY,
    NumberParseException.TOO_LONG: Reason.PHONE_TOO_LONG,
    # What comes here has digits only, so "not a number" can only mean too few of them.
    NumberParseException.NOT_A_NUMBER: Reason.PHONE_TOO_SHORT,
    NumberParseException.TOO_SHORT_AFTER_IDD: Reason.PHONE_TOO_SHORT,
    NumberParseException.TOO_SHORT_NSN: Reason.PHONE_TOO_SHORT,
}


def known_region(code: str) -> bool:
    """Whether ``code`` (ISO, capitals) is a region whose national numbers can be read."""
    return code in phonenumbers.SUPPORTED_REGIONS


def judge(digits: str, region: str, *, plus: bool) -> Verdict:
    """What ``digits`` (0 to 9 only) are, dialled from ``region``, or with a ``+`` in front.

    About 25 us.  Never raises; an unknown region has no national numbers.
    """
    _prepare_library()
    try:
        number = phonenumbers.parse(f"+{digits}" if plus else digits, region, keep_raw_input=True)
    except NumberParseException as unreadable:
        return Verdict(None, None, _UNREADABLE[unreadable.error_type])
    kind = phonenumbers.number_type(number)
    # number_type is UNKNOWN exactly when is_valid_number is false; asking once halves the time.
    if kind == PhoneNumberType.UNKNOWN:
        possible = phonenumbers.is_possible_number_with_reason(number)
        return Verdict(None, None, _IMPOSSIBLE.get(possible, Reason.PHONE_NOT_VALID))
    country = phonenumbers.region_code_for_number(number)
    return Verdict(_e164(number), country, _reason_for(kind), _ORIGINS[number.country_code_source])


def _reason_for(kind: int) -> Reason | None:
    if kind in _MOBILE:
        return None
    return Reason.PHONE_LANDLINE if kind == PhoneNumberType.FIXED_LINE else Reason.PHONE_NOT_MOBILE


def _e164(number: PhoneNumber) -> str:
    return f"+{number.country_code}{phonenumbers.national_significant_number(number)}"


@lru_cache(maxsize=1)
def _prepare_library() -> None:
    # Twice as fast; the cache is bounded by the patterns that the metadata has.
    phonenumbers.enable_pattern_cache()
