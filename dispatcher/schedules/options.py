"""What a schedule was added with: kept as JSON, and checked whenever it is read.

It is the launch's own request that is kept, so whatever ``run`` learns to be asked joins by itself.  Everything is
settled when the schedule is added (texts read, paths absolute, settings applied): what was shown then is what is done,
wherever and under whatever settings the scheduler runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dispatcher.campaign.prices import Funds
from dispatcher.errors import UsageError
from dispatcher.intake.requests import LaunchRequest


@dataclass(frozen=True)
class BatchOptions:
    """How each tick is launched.  ``no_limit``: somebody said that no limit on the cost is meant; ``group``: by which
    the reminders of one file are removed together.
    """

    request: LaunchRequest
    prices: Path | None = None
    forbid_file: Path | None = None
    bundles: Mapping[str, int] | None = None
    wallet: Decimal | None = None
    no_limit: bool = False
    group: str | None = None

    @property
    def funds(self) -> Funds:
        """Bundles and wallet as they are before each tick."""
        return Funds(dict(self.bundles or {}), self.wallet)


def checked(batch: BatchOptions) -> BatchOptions:
    """Nobody is asked at a tick, so what a person would have to say yes to is refused.  UsageError for that."""
    if batch.request.dry_run:
        raise UsageError("schedule_dry_run")
    if batch.request.max_cost is None and not batch.no_limit:
        raise UsageError("schedule_needs_limit")
    if batch.request.max_cost is not None and batch.no_limit:
        raise UsageError("usage_contradiction", found="--max-cost, --no-limit")
    return batch


def to_json(batch: BatchOptions) -> dict[str, Any]:
    """As the ledger keeps it."""
    written: dict[str, Any] = _adapter().dump_python(batch, mode="json")
    return written


def from_json(name: str, options: Mapping[str, Any]) -> BatchOptions:
    """The inverse of :func:`to_json`; ``name`` is the schedule's.

    UsageError for what does not fit, and for an option that this program does not know: a newer one wrote it, and it
    may be a limit.
    """
    try:
        batch = _adapter().validate_python(dict(options))
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors(include_url=False)[0]["loc"])
        raise UsageError("schedule_options", found=place, schedule=name) from error
    if unknown := _unknown(options, to_json(batch)):
        raise UsageError("schedule_options", found=unknown, schedule=name)
    return checked(batch)


def _adapter() -> TypeAdapter[BatchOptions]:
    return TypeAdapter(BatchOptions)


def _unknown(stored: Mapping[str, Any], known: Mapping[str, Any], place: str = "") -> str | None:
    """The first stored option that was not read, by its path."""
    for key, value in stored.items():
        if key not in known:
            return f"{place}{key}"
        inner = known[key]
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            found = _unknown(value, inner, f"{place}{key}.")
            if found is not None:
                return found
    return None
