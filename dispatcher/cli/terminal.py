"""A launch as seen in a terminal: a live bar, or plain lines where there is no terminal, and one question."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.live import Live
from rich.text import Text

from dispatcher.campaign.plan import Planner
from dispatcher.campaign.prices import Bill
from dispatcher.cli.canary_view import show_judgement
from dispatcher.cli.moment_text import clock, moment_text
from dispatcher.cli.output import Output
from dispatcher.cli.plan_view import show_plan
from dispatcher.cli.preflight_view import (
    other_texts_line,
    other_texts_values,
    show_covering,
    show_listed,
    show_unseen,
)
from dispatcher.cli.question_view import show_question
from dispatcher.cli.times_view import forecasts, show_times
from dispatcher.errors import UsageError
from dispatcher.intake.house import Delivering, OtherTexts, Progress, Question
from dispatcher.intake.requests import Landing
from dispatcher.intake.superseding import Older
from dispatcher.ledger import CampaignView
from dispatcher.sending.canary import Judgement
from dispatcher.sending.preflight import PreflightResult
from dispatcher.sending.reconcile import Obstacle, Outlook

PLAIN_LINE_SECONDS = 5.0
BAR_WIDTH = 24


@dataclass(frozen=True)
class Times:
    """What is needed to say when something will be."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    rate_per_minute: int = 10_000
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Terminal:
    """Implements :class:`dispatcher.intake.house.Watcher` on standard output (standard error with ``--json``)."""

    def __init__(self, output: Output, *, yes: bool, times: Times | None = None) -> None:
        self._output = output
        self._times = times or Times()
        self.rows_ahead: Callable[[], int] = lambda: 0  # of other campaigns that are being sent
        self._words = output.wording
        self._yes = yes
        self._console = Console(
            file=sys.stderr if output.as_json else sys.stdout, highlight=False, markup=False
        )
        self._live: Live | None = None
        self._last_line = time.monotonic()  # what is done within seconds needs no line about its progress
        self._last_share: float | None = None
        self._said_until: datetime | None = None
        self._said_obstacle: Obstacle | None = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the live bar away."""
        if self._live is not None:
            with suppress(OSError):  # a terminal that was closed
                self._live.stop()
            self._live = None

    def going_on(self, campaign: CampaignView) -> None:
        state = self._words(f"campaign_states.{campaign.state.code}")
        self._output.tell("run.going_on", campaign=campaign.id, file=campaign.file_name, state=state)

    def planned(self, planner: Planner, bill: Bill) -> None:
        self.close()
        show_plan(self._output, planner, bill)
        ahead, times = self.rows_ahead(), self._times
        found = forecasts(planner, times.now(), times.rate_per_minute, ahead)
        show_times(self._output, planner, found, ahead)

    def loading(self, rows: int) -> None:
        if self._console.is_terminal:
            self._show(self._words("run.loading", done=self._words.number(rows)))

    def preflight_starts(self, result: PreflightResult) -> None:
        self._output.say()
        if not result.to_screen:
            self._output.tell("run.preflight_known")
            return
        if result.covering:
            show_covering(self._output, result)
        self._output.tell(
            "run.preflight_start",
            requests=self._words.count("run.requests", result.to_screen),
            duration=self._duration(result.seconds or 0),
        )

    def confirm_preflight(self, campaign: int, result: PreflightResult) -> bool:
        """Ask whether so many dry runs are worth it; ``--yes`` says yes."""
        self._output.tell(
            "preflight.question", requests=self._words.count("run.requests", result.to_screen - result.done)
        )
        return self._answered_yes(campaign)

    def silence(self, gateway: str, seconds: float) -> None:
        """Nothing has come back for so long: say what is being waited for."""
        self.close()
        self._output.tell("run.silence", gateway=gateway, duration=self._duration(seconds))

    def preflight(self, result: PreflightResult) -> None:
        self._progress(
            self._words(
                "run.preflight_progress",
                done=self._words.number(result.done),
                total=self._words.number(result.to_screen),
            ),
            result.done / max(1, result.to_screen),
        )

    def preflight_ends(self, result: PreflightResult) -> None:
        self.close()
        self._output.tell(
            "run.preflight_done", screened=self._words.count("run.texts", result.done + result.remembered)
        )
        if result.refused:
            self._output.say(self._words.count("run.preflight_refused", result.refused))
        for disagreement in result.disagreements[:10]:
            self._output.tell("run.disagreement", **vars(disagreement))
        if len(result.disagreements) > 10:
            self._output.tell("run.more_disagreements", n=self._words.number(len(result.disagreements)))
        if result.covering and result.forbidden:
            show_unseen(self._output, result)

    def warn(self, name: str) -> None:
        self._output.warn(self._words(f"run.{name}"))

    def listed(self, rows: Mapping[str, int]) -> None:
        self.close()
        show_listed(self._output, rows)

    def other_texts(self, found: OtherTexts) -> None:
        """Before the question, or as a warning where ``--yes`` has answered it."""
        self.close()
        line = other_texts_line(self._words, found, self._times.zone)
        if self._yes:
            self._output.warn(line)
        else:
            self._output.say()
            self._output.say(line)

    def older_versions(self, found: Sequence[Older]) -> None:
        """What becomes of the older versions of this list when it is sent."""
        self.close()
        self._output.say()
        for older in found:
            name = "run.replaces" if older.replaced else "run.does_not_replace"
            facts = {"campaign": older.campaign, "file": older.file}
            self._output.say(self._words.count(name, older.waiting, **facts))

    def confirm(self, question: Question) -> bool:
        """Ask once; without a terminal to ask on, UsageError unless ``--yes`` answered."""
        show_question(self._output, question)
        return self._answered_yes(question.campaign)

    def _answered_yes(self, campaign: int) -> bool:
        if self._yes:
            self._output.tell("run.yes_given")
            return True
        if sys.stdin.isatty():
            self._output.ask(self._words("run.yes_no"))
        if not (sys.stdin.isatty() and self._output.is_read):
            raise UsageError("usage_needs_yes", campaign=campaign)
        answer = sys.stdin.readline().strip().casefold()
        return answer in self._words("run.yes_answers").split()

    def sending(self, progress: Progress) -> None:
        rate = f"{progress.rate:.0f}" if progress.rate is not None else "…"
        line = self._words(
            "run.progress",
            sent=self._words.number(progress.sent),
            total=self._words.number(progress.total),
            refused=self._words.number(progress.refused),
            in_doubt=self._words.number(progress.in_doubt),
            rate=rate,
            left=self._duration(progress.left) if progress.left is not None else "…",
        )
        self._progress(line, 1 - progress.ready / max(1, progress.total))

    def doubts(self, outlook: Outlook, in_doubt: int) -> None:
        """Say once until when the rows in doubt are waited for, and then what still stands in the way."""
        if outlook.until is None:
            self._say_obstacle(outlook, in_doubt)
            return
        if outlook.until == self._said_until:
            return
        self._said_until = outlook.until
        self.close()
        until = clock(outlook.until, self._times.zone)
        self._output.say(self._words.count("run.doubts_until", in_doubt, until=until))

    def _say_obstacle(self, outlook: Outlook, in_doubt: int) -> None:
        (obstacle, _), *_ = Counter(outlook.open.values()).most_common(1)
        if obstacle is not self._said_obstacle:
            self._said_obstacle = obstacle
            self.close()
            why = self._words(f"doubts.{obstacle}")
            self._output.say(self._words.count("run.doubts_still", in_doubt, why=why))

    def waiting(self, until: datetime, rows: int) -> None:
        """Say once until when nothing is due."""
        self.close()
        zone = self._times.zone
        shown = moment_text(self._words, until, zone)
        self._output.say(self._words.count("run.waiting_until", rows, until=shown, zone=str(zone)))

    def pausing(self) -> None:
        self.close()
        self._output.tell("run.pausing")

    def delivering(self, seen: Delivering) -> None:
        """A bar that fills with what is final."""
        final = seen.delivered + seen.failed
        line = self._words(
            "delivery.progress",
            delivered=self._words.number(seen.delivered),
            failed=self._words.number(seen.failed),
            on_the_way=self._words.number(seen.on_the_way),
            until=clock(seen.until, self._times.zone),
        )
        self._progress(line, final / max(1, final + seen.on_the_way))

    def canary_begins(self, rows: int, wait: timedelta) -> None:
        self.close()
        duration = self._duration(wait.total_seconds())
        self._output.say(self._words.count("canary.begins", rows, duration=duration))

    def canary_ends(self, judgement: Judgement) -> None:
        self.close()
        show_judgement(self._output, judgement)

    def details(self, landing: Landing) -> dict[str, Any]:
        """What the command's JSON object says beyond the campaign."""
        error = landing.report_error
        return {
            "dry_run": landing.dry_run,
            "forbidden_rows": list(landing.forbidden),
            "other_texts": other_texts_values(landing.other_texts),
            "older_versions": [asdict(older) for older in landing.older],
            "missing_credit": landing.shortfall.missing if landing.shortfall else None,
            "report_error": self._output.error_values(error)["error"] if error else None,
        }

    def _progress(self, line: str, share: float) -> None:
        if self._console.is_terminal:
            filled = round(max(0.0, min(1.0, share)) * BAR_WIDTH)
            self._show(f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {line}")
        elif share != self._last_share and time.monotonic() - self._last_line >= PLAIN_LINE_SECONDS:
            self._last_line, self._last_share = time.monotonic(), share
            self._output.say(line)

    def _show(self, line: str) -> None:
        with suppress(OSError):  # a terminal that was closed
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.start()
            self._live.update(Text(line, overflow="ellipsis", no_wrap=True), refresh=True)

    def _duration(self, seconds: float) -> str:
        if seconds < 60:
            return self._words("run.seconds", n=max(1, round(seconds)))
        if seconds < 5_400:
            return self._words("run.minutes", n=round(seconds / 60))
        return self._words("run.hours", n=round(seconds / 3_600, 1))
