"""A long list of messages as it comes: a table, CSV or one JSON object, never held as a whole."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dispatcher.campaign.sheet.formulas import guard_formula
from dispatcher.cli.output import Output, for_scripts
from dispatcher.errors import DispatcherError
from dispatcher.gateway.masking import ShownMessage
from dispatcher.intake.account import CURRENCY
from dispatcher.intake.listed import Listed

FIELDS = tuple(field.name for field in fields(ShownMessage))
_SHORTEST_TEXT = 8
_WIDE = 200  # where nobody's window says how wide
_TABLE = ("id", "state", "recipient", "sender", "created_at", "parts", "total_price", "text")


class View(Protocol):
    """A way of showing messages."""

    def show(self, messages: Sequence[ShownMessage]) -> bool:
        """Print some more; False when nobody reads them."""

    def failed(self, error: DispatcherError) -> bool:
        """Whether the error was told already."""

    def end(self, listed: Listed) -> None:
        """Say what the list lacks."""


class TableView:
    """For people: one table, in pieces.  Texts are cut to the width of the window; nothing else ever is."""

    def __init__(self, output: Output, zone: ZoneInfo) -> None:
        self._output = output
        self._zone = zone
        self._widths: dict[str, int] = {}

    def show(self, messages: Sequence[ShownMessage]) -> bool:
        """Print some more; False when nobody reads them."""
        lines = [{name: self._cell(each, name) for name in _TABLE} for each in messages]
        first = not self._widths
        for name in _TABLE:
            heading = len(self._heading(name))
            self._widths[name] = max(self._widths.get(name, heading), *(len(line[name]) for line in lines))
        self._output.say(self._rendered(lines, first))
        return self._output.is_read

    def failed(self, error: DispatcherError) -> bool:
        """Whether the error was told already."""
        return False

    def end(self, listed: Listed) -> None:
        """Say what the list lacks."""
        if not listed.n:
            self._output.tell("messages.none")
        if listed.limited:
            self._output.tell("messages.limited", n=listed.n)
        elif not listed.complete and self._output.is_read:
            self._output.warn(self._output.wording("messages.incomplete"))

    def _cell(self, message: ShownMessage, name: str) -> str:
        value = getattr(message, name)
        return local(value, self._zone) if isinstance(value, datetime) else plain(value)

    def _heading(self, name: str) -> str:
        heading = self._output.wording(f"message_fields.{name}")
        said = {"created_at": str(self._zone), "total_price": CURRENCY}.get(name)
        return heading if said is None else f"{heading} ({said})"

    def _rendered(self, lines: Sequence[Mapping[str, str]], first: bool) -> str:
        table = Table(box=None, pad_edge=False, show_header=first, header_style="")
        for name in _TABLE:
            long = name == "text"
            width = None if long else self._widths[name]
            heading = self._heading(name)
            table.add_column(heading, width=width, no_wrap=True, overflow="ellipsis" if long else "fold")
        for line in lines:
            table.add_row(*(Text(line[name]) for name in _TABLE))
        page = io.StringIO()
        width = shutil.get_terminal_size((_WIDE, 24)).columns if sys.stdout.isatty() else _WIDE
        # half a number looks like another number: in a narrow window its line goes over two
        whole = sum(width for name, width in self._widths.items() if name != "text")
        width = max(width, whole + 2 * len(_TABLE) + _SHORTEST_TEXT)
        Console(file=page, width=width, no_color=True).print(table)
        return "\n".join(line.rstrip() for line in page.getvalue().splitlines())


class CsvView:
    """For spreadsheets: a line of headings, then a line each; nothing in it acts as a formula."""

    def __init__(self, output: Output, zone: ZoneInfo) -> None:
        self._output = output
        self._zone = zone
        self._write([FIELDS])

    def show(self, messages: Sequence[ShownMessage]) -> bool:
        """Print some more; False when nobody reads them."""
        self._write([[self._cell(getattr(each, name)) for name in FIELDS] for each in messages])
        return self._output.is_read

    def failed(self, error: DispatcherError) -> bool:
        """Whether the error was told already."""
        return False

    def end(self, listed: Listed) -> None:
        """Say what the list lacks."""
        if listed.limited:
            self._output.warn(self._output.wording("messages.limited", n=listed.n))
        elif not listed.complete and self._output.is_read:
            self._output.warn(self._output.wording("messages.incomplete"))

    def _cell(self, value: object) -> str:
        if isinstance(value, datetime):
            return local(value, self._zone)
        if isinstance(value, str):
            return guard_formula(value)
        return plain(value)

    def _write(self, lines: Sequence[Sequence[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        self._output.data_line(text.getvalue())


class JsonView:
    """For scripts: one object whose list of messages grows while it is printed.

    An error in the middle ends the object, as its ``error``; before the first message it is an error like any other.
    """

    def __init__(self, output: Output, zone: ZoneInfo) -> None:
        self._output = output
        self._n = 0

    def show(self, messages: Sequence[ShownMessage]) -> bool:
        """Print some more; False when nobody reads them."""
        for each in messages:
            before = ", " if self._n else '{"messages": ['
            self._output.data_line(before + json.dumps(asdict(each), default=for_scripts))
            self._n += 1
        return self._output.is_read

    def failed(self, error: DispatcherError) -> bool:
        """Close an object that was begun already with the error."""
        if self._n:
            self._end({"complete": False, "limited": False, **self._output.error_values(error)})
            self._output.explain(error)
        return self._n > 0

    def end(self, listed: Listed) -> None:
        """Close the object."""
        self._end({"complete": listed.complete, "limited": listed.limited})

    def _end(self, values: Mapping[str, object]) -> None:
        before = "" if self._n else '{"messages": ['
        rest = json.dumps(values, default=for_scripts)
        self._output.data_line(f"{before}], {rest.removeprefix('{')}\n")


def local(moment: datetime, zone: ZoneInfo) -> str:
    """As the report shows it."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def plain(value: object) -> str:
    """One printable line: a text may hold what would move a terminal's cursor."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    return "".join(letter if letter.isprintable() else " " for letter in text)
