"""Which column holds the number, the text and the sender: by option, else by heading, else by content.

Never a guess between two: candidates that are equally good are an error that names them and the flag.
A file without any text is a FileError (exit 3), not wrong usage: in a watched folder nobody typed a command,
and it is the file that has to change.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from dispatcher.campaign.headings import (
    Role,
    heading_key,
    is_ours,
    rank,
    speaks_against_phone,
    speaks_against_text,
)
from dispatcher.campaign.phones import read_phone
from dispatcher.campaign.prefixes import refuse_prefixes_apart
from dispatcher.campaign.reasons import Repair
from dispatcher.campaign.senders import sender_problem
from dispatcher.errors import FileError, UsageError

__all__ = ["Chosen", "ColumnOptions", "Columns", "How", "choose_columns", "heading_key"]

FLAGS = {Role.PHONE: "--phone-column", Role.MESSAGE: "--message-column", Role.SENDER: "--sender-column"}

_SAMPLE_ROWS = 500
_SHARE_OF_MOBILES = 0.6  # decides by content alone
_SHARE_THAT_AGREES = 0.5  # confirms a doubtful heading
_SHARE_FILLED = 0.5  # of a column that is chosen by content
_PROSE_LENGTH, _PROSE_WORDS = 40, 6  # on average: longer than names and addresses
_SENTENCE_LENGTH = 10
_SENDERS_PER_ROW = 0.25  # at most: "Alias" may be a nickname and "From" a town, another in every row
_HEADINGS_LISTED = 30
_LAST = 1_000  # behind every rank: a column headed Mobile that holds yes and no, or nothing


class How(StrEnum):
    """How a column was found."""

    OPTION = "option"
    HEADING = "heading"
    CONTENT = "content"


@dataclass(frozen=True)
class ColumnOptions:
    """Headings that the operator named; None leaves the choice to us."""

    phone: str | None = None
    message: str | None = None
    sender: str | None = None


@dataclass(frozen=True)
class Chosen:
    """A column, by its heading as it stands in the file, which no other column has."""

    heading: str
    how: How


@dataclass(frozen=True)
class Columns:
    """``message`` is None when a template writes the text."""

    phone: Chosen
    message: Chosen | None
    sender: Chosen | None


def choose_columns(
    headings: Sequence[str],
    sample: pa.RecordBatch,
    options: ColumnOptions,
    *,
    default_region: str,
    has_template: bool,
    file: str,
    sheet: str | None,
) -> Columns:
    """The columns of a file; ``sample`` holds its first rows as text, in the order of ``headings``.

    Raises UsageError ``columns_no_such``, ``columns_same_column``, ``columns_message_and_template``;
    FileError ``columns_ambiguous``, ``columns_no_phone``, ``columns_no_message``, ``columns_prefix_apart``.
    """
    if has_template and options.message is not None:
        raise UsageError(
            "columns_message_and_template", file=file, flag=FLAGS[Role.MESSAGE], found=options.message
        )
    choice = _Choice(headings, sample.slice(0, _SAMPLE_ROWS), default_region, file, sheet)
    choice.take_option(Role.PHONE, options.phone)
    choice.take_option(Role.MESSAGE, options.message)
    choice.take_option(Role.SENDER, options.sender)
    for role in (Role.PHONE, Role.SENDER) if has_template else Role:
        choice.take_by_heading(role)
    choice.take_by_content(Role.PHONE, choice.is_mobile_column)
    if not has_template:
        choice.take_by_content(Role.MESSAGE, choice.is_prose_column)
    phone, message = choice.chosen(Role.PHONE), choice.chosen(Role.MESSAGE)
    if phone is None:
        raise choice.error("columns_no_phone", Role.PHONE, found=_listed(headings))
    if message is None and not has_template:
        raise choice.error("columns_no_message", Role.MESSAGE, found=_listed(headings))
    refuse_prefixes_apart(headings, sample, phone.heading, region=default_region, file=file, sheet=sheet)
    return Columns(phone, message, choice.chosen(Role.SENDER))


class _Choice:
    """The columns taken so far; each column serves one role."""

    def __init__(
        self, headings: Sequence[str], sample: pa.RecordBatch, region: str, file: str, sheet: str | None
    ) -> None:
        self._headings = headings
        self._sample = sample
        self._region = region
        self._file = file
        self._sheet = sheet
        self._taken: dict[Role, tuple[int, How]] = {}

    def chosen(self, role: Role) -> Chosen | None:
        if role not in self._taken:
            return None
        place, how = self._taken[role]
        return Chosen(self._headings[place], how)

    def error(self, code: str, role: Role, *, found: str) -> FileError:
        return FileError(code, file=self._file, sheet=self._sheet, found=found, flag=FLAGS[role])

    def take_option(self, role: Role, wanted: str | None) -> None:
        if wanted is None:
            return
        places = self._places(wanted)
        if not places:
            raise self._no_such(role, wanted)
        if any(place == places[0] for place, _ in self._taken.values()):
            raise UsageError(
                "columns_same_column", file=self._file, found=self._headings[places[0]], flag=FLAGS[role]
            )
        self._take(role, places, How.OPTION)

    def take_by_heading(self, role: Role) -> None:
        """The heading that fits best; a doubtful one only when its cells agree."""
        if role in self._taken:
            return
        ranked: dict[int, list[int]] = {}
        for place in self._free():
            found = rank(self._headings[place], role)
            if found is None or (found.doubtful and not self._cells_agree(place, role)):
                continue
            nothing = role is Role.PHONE and not self._holds_numbers(place)
            ranked.setdefault(found.place + _LAST * nothing, []).append(place)
        if ranked:
            self._take(role, ranked[min(ranked)], How.HEADING)

    def take_by_content(self, role: Role, fits: Callable[[int], bool]) -> None:
        if role in self._taken:
            return
        places = [place for place in self._free() if fits(place)]
        if places:
            self._take(role, places, How.CONTENT)

    def is_mobile_column(self, place: int) -> bool:
        cells = self._cells(place)
        if not self._is_filled(cells) or speaks_against_phone(self._headings[place]):
            return False
        return _share(map(self._is_mobile, cells)) >= _SHARE_OF_MOBILES

    def is_prose_column(self, place: int) -> bool:
        cells = self._cells(place)
        if not self._is_filled(cells) or speaks_against_text(self._headings[place]):
            return False
        length = sum(map(len, cells)) / len(cells)
        words = sum(len(cell.split()) for cell in cells) / len(cells)
        return length >= _PROSE_LENGTH and words >= _PROSE_WORDS

    def _places(self, wanted: str) -> list[int]:
        """Where the heading stands exactly so, or else in another spelling."""
        key = heading_key(wanted)
        exact = [place for place, heading in enumerate(self._headings) if heading == wanted]
        alike = [place for place, heading in enumerate(self._headings) if key and heading_key(heading) == key]
        return exact or alike

    def _take(self, role: Role, places: list[int], how: How) -> None:
        # A heading that stands twice names no column, even when only one of the two was meant.
        same = [place for place, heading in enumerate(self._headings) if heading == self._headings[places[0]]]
        if len(places) > 1 or len(same) > 1:
            names = [self._headings[place] for place in sorted({*places, *same})]
            raise self.error("columns_ambiguous", role, found=_listed(names))
        self._taken[role] = (places[0], how)

    def _free(self) -> list[int]:
        taken = {place for place, _ in self._taken.values()}
        return [
            place
            for place, heading in enumerate(self._headings)
            if place not in taken and heading_key(heading) and not is_ours(heading)
        ]

    def _cells(self, place: int) -> list[str]:
        return [cell for cell in self._sample.column(place).to_pylist() if cell and cell.strip()]

    def _is_filled(self, cells: list[str]) -> bool:
        return bool(cells) and len(cells) >= _SHARE_FILLED * len(self._sample)

    def _cells_agree(self, place: int, role: Role) -> bool:
        cells = self._cells(place)
        if role is Role.SENDER and len(set(cells)) > max(1, _SENDERS_PER_ROW * len(cells)):
            return False
        tests = {Role.PHONE: self._is_number, Role.MESSAGE: _is_sentence, Role.SENDER: _is_sender}
        return len(self._sample) == 0 or _share(map(tests[role], cells)) >= _SHARE_THAT_AGREES

    def _holds_numbers(self, place: int) -> bool:
        return len(self._sample) == 0 or any(map(self._is_number, self._cells(place)))

    def _is_number(self, cell: str) -> bool:
        """Any valid number, landlines too: the heading has said what it is."""
        return read_phone(cell, self._region).country is not None

    def _is_mobile(self, cell: str) -> bool:
        """A mobile beyond doubt: an Italian VAT number may be a mobile of the United States without its +."""
        phone = read_phone(cell, self._region)
        guessed = Repair.PLUS_ADDED in phone.repairs and phone.country != self._region
        return phone.recipient is not None and not guessed

    def _no_such(self, role: Role, wanted: str) -> UsageError:
        closest = max(self._headings, key=lambda heading: _likeness(heading, wanted), default="")
        return UsageError(
            "columns_no_such",
            file=self._file,
            sheet=self._sheet,
            found=wanted,
            flag=FLAGS[role],
            headings=_listed(self._headings),
            closest=closest,
        )


def _is_sentence(cell: str) -> bool:
    return len(cell) >= _SENTENCE_LENGTH and " " in cell.strip()


def _is_sender(cell: str) -> bool:
    return sender_problem(cell, "") is None


def _share(answers: Iterable[bool]) -> float:
    counted = list(answers)
    return sum(counted) / len(counted) if counted else 0.0


def _likeness(heading: str, wanted: str) -> float:
    return difflib.SequenceMatcher(None, heading_key(heading), heading_key(wanted)).ratio()


def _listed(headings: Sequence[str]) -> str:
    names = ", ".join(headings[:_HEADINGS_LISTED])
    return names if len(headings) <= _HEADINGS_LISTED else f"{names}, …"
