"""Forgetting people: what campaigns that are long over keep of them, in the ledger and in the files beside it.

Reports, and the files of a watched folder, are the operator's: nothing here touches them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dispatcher.campaign.timing.caps import Cap, parse_cap
from dispatcher.campaign.timing.spans import parse_span
from dispatcher.errors import UsageError
from dispatcher.gateway.simulator.forgetting import forget_before
from dispatcher.intake.inputs import inputs_of
from dispatcher.ledger import Ledger
from dispatcher.ledger.purging import Ended, Left

SHORTEST = timedelta(days=3)
"""Until then the gateway still says what became of messages."""
_ASIDE = ".purged"


@dataclass(frozen=True, kw_only=True)
class PurgePlan:
    """``campaigns`` ended before ``before`` and go; ``left`` are as old and stay."""

    before: datetime
    campaigns: Sequence[Ended]
    left: Sequence[Left]

    @property
    def rows(self) -> int:
        """How many rows lose their numbers and texts."""
        return sum(each.rows for each in self.campaigns)


@dataclass(frozen=True, kw_only=True)
class Purged:
    """``inputs`` kept copies of files were deleted, ``simulated`` messages of the simulator.

    ``hashes``: campaigns whose guard days are over, and whose hashes went.  ``compacted`` False: what was removed may
    be in the database's file still.
    """

    campaigns: Sequence[int]
    rows: int
    inputs: int
    simulated: int
    hashes: int
    compacted: bool


def read_age(text: str, cap: Cap | None) -> timedelta:
    """``90d``.  UsageError for what is none, is too young, or would make the cap for one person forget."""
    age = parse_span(text, "--older-than").length
    if age < SHORTEST:
        raise UsageError("purge_too_young", found=text, days=SHORTEST.days)
    if cap is not None and age < cap.within:
        raise UsageError("purge_cap", found=text, cap=str(cap))
    return age


def longest_cap(ledger: Ledger) -> Cap | None:
    """Of the caps that open campaigns and schedules have of their own, the one that looks back furthest."""
    asked = [options.get("cap") for options in ledger.purging.open_options()]
    asked += [_cap_of_schedule(schedule.options) for schedule in ledger.schedules.all()]
    return max((parse_cap(text) for text in asked if text), key=lambda cap: cap.within, default=None)


def _cap_of_schedule(options: Mapping[str, Any]) -> str | None:
    found: Any = options
    for name in ("request", "plan", "options", "timing"):
        found = found.get(name) or {}
    text: str | None = found.get("cap")
    return text


def plan_purge(ledger: Ledger, age: timedelta, now: datetime) -> PurgePlan:
    """What would go."""
    before = now - age
    purging = ledger.purging
    return PurgePlan(before=before, campaigns=purging.ended_before(before), left=purging.left_before(before))


@dataclass(frozen=True)
class Purge:
    """Purges one ledger.  ``folder`` is where the kept inputs and the simulator's state of this machine lie."""

    ledger: Ledger
    folder: Path
    guard: timedelta
    now: Callable[[], datetime]

    def run(self, plan: PurgePlan) -> Purged:
        """Carry it out.  Killed at any moment, the next run goes on with what is left."""
        needed = self.ledger.purging.inputs()
        done = [each.id for each in plan.campaigns if self._forget(each.id, plan.before)]
        purging = self.ledger.purging
        hashes = purging.drop_hashes(self.now())
        purging.forget_beside(plan.before)
        self.ledger.codes.forget_old(self.now())
        inputs = self._delete_inputs(plan.before, needed)
        simulator = self.folder / "simulator.db"
        simulated = forget_before(simulator, plan.before) if simulator.is_file() else 0
        compacted = not self.ledger.compacting.is_due() or self.ledger.compacting.compact()
        gone = set(done)
        return Purged(
            campaigns=done,
            rows=sum(each.rows for each in plan.campaigns if each.id in gone),
            inputs=inputs,
            simulated=simulated,
            hashes=hashes,
            compacted=compacted,
        )

    def _forget(self, campaign_id: int, before: datetime) -> bool:
        purging, after = self.ledger.purging, -1
        if not purging.begin(campaign_id, before, self.guard, self.now()):
            return False
        while (last := purging.forget_rows(campaign_id, after, self.guard, self.now())) is not None:
            after = last
        purging.finish(campaign_id, self.now())
        return True

    def _delete_inputs(self, before: datetime, needed: Collection[str]) -> int:
        """Delete what no campaign needs any more (``needed`` until now); also what a killed launch or purge left."""
        folder = inputs_of(self.folder, self.ledger)
        kept = {Path(path).name for path in self.ledger.purging.inputs()}
        # kept before every ledger had a folder of its own: what else lies there may be another ledger's
        shared = {path for each in needed if (path := Path(each)).parent == folder.parent}
        files = {*shared, *(folder.iterdir() if folder.is_dir() else ())}
        old = [path for path in sorted(files) if path.is_file() and _is_old(path, before)]
        return sum(self._delete(path) for path in old if path.name not in kept)

    def _delete(self, path: Path) -> bool:
        """A launch may be about to read the same file: what it took meanwhile is put back."""
        aside = path if path.suffix == _ASIDE else path.with_name(path.name + _ASIDE)
        with suppress(OSError):  # in use, where that keeps a file: the next time
            path.rename(aside)
            if path.name in {Path(each).name for each in self.ledger.purging.inputs()}:
                aside.rename(path)
                return False
            aside.unlink()
            return True
        return False


def _is_old(path: Path, before: datetime) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime < before.timestamp()
    return False
