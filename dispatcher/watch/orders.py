"""How the files of a watched folder are to be sent: what ``watch`` was started with, tightened by ``campaign.toml``.

The file belongs to whoever may write into the folder, ``watch`` to whoever answers for the account.  So the file
decides what was left open, and otherwise may only be stricter: a lower limit, more dry runs, approval.  What would
loosen something is an error, not ignored: whoever wrote it believes that it holds.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from dispatcher.campaign.locale import Locale
from dispatcher.campaign.phones import known_region
from dispatcher.campaign.prices import parse_money
from dispatcher.campaign.senders import sender_problem
from dispatcher.campaign.timing.narrowing import narrowed
from dispatcher.campaign.timing.options import TimingOptions
from dispatcher.campaign.timing.windows import MARKETING as MARKETING_HOURS
from dispatcher.campaign.timing.windows import parse_windows, read_back
from dispatcher.errors import UsageError
from dispatcher.intake.planning import PlanRequest
from dispatcher.sending.preflight import Mode, PreflightChoice
from dispatcher.watch.names import SETTINGS_FILE

KEYS = ("sender", "message", "columns", "region", "locale", "preflight", "max_cost", "approval", "windows")
COLUMNS = ("phone", "message", "sender")
MARKETING = "marketing"
DEFAULT_ZONE = "UTC"
LARGEST = 100_000  # bytes
WINDOWS_EXAMPLE = "IT 09:00-13:00,15:00-20:00 mon-fri; * 09:00-20:00"
_STRICTNESS = (Mode.NONE, Mode.SAMPLE, Mode.AUTO, Mode.ALL)


@dataclass(frozen=True)
class Orders:
    """How a file is sent.  ``plan`` names no file yet; ``fixed`` are the keys (``columns.phone`` …) that ``watch``
    itself was given, which ``campaign.toml`` may repeat and not change; ``marketing``: the hours that are meant by this
    word as ``windows``.
    """

    plan: PlanRequest
    preflight: PreflightChoice = field(default_factory=PreflightChoice)
    max_cost: Decimal | None = None
    approval: bool = False
    fixed: frozenset[str] = frozenset()
    marketing: str = MARKETING_HOURS


def read_orders(folder: Path, given: Orders) -> Orders:
    """``given`` as tightened by the folder's ``campaign.toml``, or as it is where there is none.

    UsageError for a file that cannot be read, an unknown key, a value out of range, or one that would loosen ``given``.
    """
    path = folder / SETTINGS_FILE
    values = _values(path)
    for key in values:
        if key not in KEYS:
            _unknown(path, key, KEYS)
    reader = _Reader(path, given)
    orders = reader.limits(values, given)
    return replace(orders, plan=reader.plan(values, given.plan))


def _values(path: Path) -> Mapping[str, Any]:
    try:
        if path.is_symlink():
            raise UsageError("watch_toml_unreadable", file=path.name, problem="link")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError("watch_toml_unreadable", file=path.name, problem=error.strerror or "") from error
    if len(content) > LARGEST:
        raise UsageError("watch_toml_unreadable", file=path.name, problem=f"> {LARGEST} bytes")
    try:
        # amounts keep their written digits; utf-8-sig: Notepad writes a mark
        return tomllib.loads(content.decode("utf-8-sig"), parse_float=str)
    except UnicodeDecodeError as error:
        raise UsageError("watch_toml_unreadable", file=path.name, problem="UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError("watch_toml_unreadable", file=path.name, problem=str(error)) from error


def _unknown(path: Path, key: str, known: tuple[str, ...]) -> None:
    # a misspelt limit would be no limit at all
    closest = difflib.get_close_matches(key, known, n=1)
    raise UsageError(
        "watch_toml_unknown_key",
        file=path.name,
        found=key,
        closest=closest[0] if closest else ", ".join(known),
        keys=", ".join(known),
    )


@dataclass(frozen=True)
class _Reader:
    path: Path
    given: Orders

    def limits(self, values: Mapping[str, Any], given: Orders) -> Orders:
        preflight, max_cost, approval = given.preflight, given.max_cost, given.approval
        if "preflight" in values:
            preflight = self._preflight(values["preflight"])
        if "max_cost" in values:
            max_cost = self._max_cost(values["max_cost"])
        if "approval" in values:
            approval = self._approval(values["approval"])
        return replace(given, preflight=preflight, max_cost=max_cost, approval=approval)

    def plan(self, values: Mapping[str, Any], given: PlanRequest) -> PlanRequest:
        options, locale = given.options, given.locale
        if "sender" in values:
            options = replace(
                options, sender=self._sender(self._own("sender", values["sender"], options.sender))
            )
        if "message" in values:
            options = replace(options, message=self._own("message", values["message"], options.message))
        if "region" in values:
            region = self._own("region", str(values["region"]).upper(), options.default_region)
            if not known_region(region):
                self._refuse("region", region, "IT, ES, DE, …")
            options = replace(options, default_region=region)
        if "locale" in values:
            name = self._own("locale", values["locale"], str(locale))
            if name not in tuple(Locale):
                self._refuse("locale", name, ", ".join(Locale))
            locale = Locale(name)
        if "columns" in values:
            options = replace(options, columns=replace(options.columns, **self._columns(values["columns"])))
        if "windows" in values:
            zone = options.timing.zone if options.timing is not None else DEFAULT_ZONE
            timing = replace(options.timing or TimingOptions(zone), windows=self._windows(values["windows"]))
            options = replace(options, timing=timing)
        return replace(given, options=options, locale=locale)

    def _windows(self, value: Any) -> str:
        """Those that hold already, made narrower; ``marketing`` among the parts stands for the hours of advertising."""
        timing = self.given.plan.options.timing
        holds = None if timing is None else timing.windows
        parts = [part.strip() for part in str(value).split(";") if part.strip()]
        own = [part for part in parts if part.casefold() != MARKETING]
        try:
            asked = [self.given.marketing] if len(own) < len(parts) else []
            asked += [parse_windows("; ".join(own)).text] if own else []
        except UsageError as error:
            self._refuse("windows", error.found or "", WINDOWS_EXAMPLE)
        for text in asked:
            found = read_back(text) if holds is None else narrowed(read_back(holds), read_back(text))
            if isinstance(found, str):
                self._loosens("windows", found, holds or "")
            holds = found.text
        return holds if asked and holds else self._refuse("windows", str(value), WINDOWS_EXAMPLE)

    def _columns(self, table: Any) -> dict[str, str]:
        if not isinstance(table, dict):
            self._refuse("columns", str(table), '[columns] phone = "…"')
        named = {}
        for role, heading in table.items():
            if role not in COLUMNS:
                _unknown(self.path, f"columns.{role}", tuple(f"columns.{each}" for each in COLUMNS))
            named[role] = self._own(
                f"columns.{role}", heading, getattr(self.given.plan.options.columns, role)
            )
        return named

    def _own(self, key: str, value: Any, given: str | None) -> str:
        """A text; the one that ``watch`` was given where it was given one."""
        if not isinstance(value, str) or not value.strip():
            self._refuse(key, str(value), f'{key} = "…"')
        if key in self.given.fixed and value != given:
            self._loosens(key, value, given or "")
        return str(value)

    def _sender(self, sender: str) -> str:
        if sender_problem(sender, "") is not None:
            self._refuse("sender", sender, "3-11: A-Z a-z 0-9")
        return sender

    def _preflight(self, value: Any) -> PreflightChoice:
        try:
            choice = PreflightChoice.from_text(str(value))
        except UsageError as error:
            self._refuse("preflight", str(value), str(error.params.get("allowed", "")))
        if _strictness(choice) < _strictness(self.given.preflight):
            self._loosens("preflight", str(choice), str(self.given.preflight))
        return choice

    def _max_cost(self, value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, str | int):
            self._refuse("max_cost", str(value), "20.00")
        try:
            amount = parse_money(str(value))
        except UsageError:
            self._refuse("max_cost", str(value), "20.00")
        if self.given.max_cost is not None and amount > self.given.max_cost:
            self._loosens("max_cost", str(amount), str(self.given.max_cost))
        return amount

    def _approval(self, value: Any) -> bool:
        if not isinstance(value, bool):
            self._refuse("approval", str(value), "true, false")
        if self.given.approval and not value:
            self._loosens("approval", "false", "true")
        return bool(value)

    def _refuse(self, key: str, found: str, allowed: str) -> NoReturn:
        raise UsageError("watch_toml_value", file=self.path.name, found=found, key=key, allowed=allowed)

    def _loosens(self, key: str, found: str, given: str) -> NoReturn:
        raise UsageError("watch_toml_loosens", file=self.path.name, found=found, key=key, given=given)


def _strictness(choice: PreflightChoice) -> tuple[int, int]:
    """Comparable: more dry runs are greater."""
    return _STRICTNESS.index(choice.mode), choice.sample if choice.mode is Mode.SAMPLE else choice.all_up_to
