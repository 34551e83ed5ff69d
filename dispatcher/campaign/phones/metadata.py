"""phonenumbers' metadata as the automaton needs it: every region's patterns, and what a match of them means.

:func:`judged` follows ``region_code_for_number`` and ``number_type`` of phonenumbers step by step, but starts
from which patterns matched, not from a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import phonenumbers
from phonenumbers.phonemetadata import PhoneMetadata, PhoneNumberDesc

# Satellite networks and the like: calling codes without a region.
_NO_REGION = "001"

# The names of a region's patterns.  Those up to "mobile" are phonenumbers' own and hold whole national numbers.
GENERAL, FIXED, MOBILE = "general_desc", "fixed_line", "mobile"
OTHERS = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)
LEADING = "leading"  # starts with the digits that tell a region from others of its calling code
TRUNK = "trunk"  # starts with what may be a prefix that is only dialled inside the country
ABROAD = "abroad"  # starts with what may be the region's own international prefix

Matched = Callable[[str, str], bool]
"""Whether a pattern (the region's key, the pattern's name) matched."""


class Kind(IntEnum):
    """What a valid number is."""

    MOBILE = 0  # also "fixed line or mobile"
    FIXED = 1
    OTHER = 2  # premium, freephone, voip, ...


@dataclass(frozen=True)
class Region:
    """One region of one calling code; ``code`` is ISO or ``001``."""

    code: str
    calling_code: str
    metadata: PhoneMetadata

    @property
    def key(self) -> str:
        """Its name here: ``code``, with the calling code where only that tells it from others."""
        return self.code + self.calling_code if self.code == _NO_REGION else self.code

    def description(self, name: str) -> PhoneNumberDesc | None:
        description: PhoneNumberDesc | None = getattr(self.metadata, name)
        return description

    def literal_trunk(self) -> str:
        """The prefix dialled inside the country when it is plain digits, else empty.

        Of several it is the first, which is the one that a regular expression tries first.
        """
        prefixes = (self.metadata.national_prefix_for_parsing or "").split("|")
        return prefixes[0] if all(prefix.isdigit() for prefix in prefixes) else ""

    def too_long(self, length: int) -> bool:
        """Whether phonenumbers calls a national number of ``length`` digits too long."""
        return length not in self._local_lengths and length > max(self._lengths)

    def possible(self, length: int) -> bool:
        return length not in self._local_lengths and length in self._lengths

    @property
    def _lengths(self) -> tuple[int, ...]:
        general = self.metadata.general_desc
        return general.possible_length if general else ()

    @property
    def _local_lengths(self) -> tuple[int, ...]:
        general = self.metadata.general_desc
        return general.possible_length_local_only if general else ()

    def kind(self, matched: Matched, length: int) -> Kind | None:
        """What a national number of ``length`` digits is in this region; None when it is not valid."""

        def is_a(name: str) -> bool:
            description = self.description(name)
            lengths = description.possible_length if description else ()
            return matched(self.key, name) and (not lengths or length in lengths)

        if not is_a(GENERAL):
            return None
        if any(is_a(name) for name in OTHERS):
            return Kind.OTHER
        same = self.metadata.same_mobile_and_fixed_line_pattern
        if is_a(FIXED):
            return Kind.MOBILE if same or is_a(MOBILE) else Kind.FIXED
        return Kind.MOBILE if not same and is_a(MOBILE) else None


def judged(regions: Sequence[Region], matched: Matched, length: int) -> tuple[Region, Kind] | None:
    """Region and kind of a national number of ``length`` digits; ``regions`` are all of its calling code."""
    for region in regions:
        kind = region.kind(matched, length)
        if len(regions) == 1:
            its_own = True
        elif region.metadata.leading_digits is not None:
            its_own = matched(region.key, LEADING)
        else:
            its_own = kind is not None
        if its_own:
            return None if kind is None else (region, kind)
    return None


def all_regions() -> Iterator[list[Region]]:
    """The regions of every calling code, in the order in which phonenumbers asks them; the first is the main one."""
    for calling_code, codes in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()):
        found = ((code, _metadata(code, calling_code)) for code in codes)
        # Like phonenumbers, over regions that it has no patterns for.
        yield [Region(code, str(calling_code), metadata) for code, metadata in found if metadata is not None]


def _metadata(code: str, calling_code: int) -> PhoneMetadata | None:
    if code == _NO_REGION:
        return PhoneMetadata.metadata_for_nongeo_region(calling_code)
    return PhoneMetadata.metadata_for_region(code)


def country_of(key: str) -> str:
    """What a region is called in reports, from its key."""
    return _NO_REGION if key.startswith(_NO_REGION) else key


def region_named(code: str) -> Region | None:
    """The region whose national numbers are read for ``code``, or None when phonenumbers does not know it."""
    if code not in phonenumbers.SUPPORTED_REGIONS:
        return None
    metadata = PhoneMetadata.metadata_for_region(code)
    return None if metadata is None else Region(code, str(metadata.country_code), metadata)
