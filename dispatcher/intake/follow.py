"""Follow a campaign that is being sent: keep its lanes running, show how far it is, stop when asked.

The ledger says how far a campaign is, never the queue; so following works the same whoever sends.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from dispatcher.errors import DispatcherError, Unreachable
from dispatcher.intake.house import House, Progress, Sender, Watcher
from dispatcher.intake.waiting import Waiting
from dispatcher.interrupts import unbroken
from dispatcher.ledger import CampaignState, RowState
from dispatcher.ledger.failures import is_busy
from dispatcher.ledger.states import SENT, UNDER_WAY
from dispatcher.sending.reconcile import Outlook
from dispatcher.sending.stops import Stop

T = TypeVar("T")

POLL_SECONDS = 0.2
SWEEP_SECONDS = 1.0
RATE_WINDOW = 25  # polls over which the shown rate is taken


def follow(
    house: House,
    watcher: Watcher,
    campaign_id: int,
    stop: threading.Event,
    *,
    wait_for_doubts: bool = True,
    beside: Sequence[int] = (),
    only: Callable[[], dict[RowState, int]] | None = None,
) -> bool:
    """Send the campaign until nothing is left that can be sent or settled now; True when a person interrupted.

    On the first Ctrl-C the campaign is paused and what is in flight is settled; a second one leaves at once.
    ``beside``: campaigns of the same person that are woken and sent meanwhile when their time comes.
    ``only`` counts the rows that are meant where not all are: it ends when those are settled.
    Raises what a lane failed with, after its rows are safe.
    """
    interrupted = False
    with house.sender(stop) as sender:
        try:
            _until_idle(house, watcher, campaign_id, sender, wait_for_doubts, beside, only)
        except KeyboardInterrupt:
            interrupted = True
            stop.set()
            _patiently(watcher, lambda: house.ledger.campaigns.pause(campaign_id, house.clock.now()))
            watcher.pausing()
        finally:
            stop.set()
    if sender.failure is not None:
        with suppress(DispatcherError):
            _stand_still(house, campaign_id, sender.failure)
        raise sender.failure
    _patiently(watcher, lambda: house.ledger.campaigns.finish_if_done(campaign_id, house.clock.now()))
    return interrupted


def _patiently(watcher: Watcher, write: Callable[[], T]) -> T:
    """Again and again while the ledger is only busy; Ctrl-C ends it between two tries."""
    told = False
    while True:
        try:
            with unbroken():
                return write()
        except Unreachable as error:
            if not is_busy(error):
                raise
            if not told:
                watcher.warn("ledger_busy")
            told = True
            time.sleep(SWEEP_SECONDS)


def _stand_still(house: House, campaign_id: int, failure: BaseException) -> None:
    """No lane can go on: a bug is for a person to look at, a ledger or pace that did not answer only needs time."""
    now = house.clock.now()
    if isinstance(failure, DispatcherError):
        house.ledger.campaigns.pause(campaign_id, now)
    else:
        house.ledger.campaigns.hold(campaign_id, str(Stop.BUG), now)


def _until_idle(
    house: House,
    watcher: Watcher,
    campaign_id: int,
    sender: Sender,
    wait_for_doubts: bool,
    beside: Sequence[int],
    only: Callable[[], dict[RowState, int]] | None,
) -> None:
    meter = _Meter()
    next_sweep = 0.0
    while_busy: Outlook | None = None
    lookout, waiting, limit = (
        _Lookout(house, watcher, only),
        Waiting(house, watcher),
        _Limit(house, campaign_id),
    )
    while sender.failure is None:
        seen = lookout.look(campaign_id)
        if seen is None:
            continue
        counts, state = seen
        watcher.sending(meter.read(counts))
        if state not in UNDER_WAY:
            if not (wait_for_doubts and limit.may_leave_more(state, counts)):
                return
            if not counts.get(RowState.IN_DOUBT):
                continue  # it goes on
        if beside and time.monotonic() >= next_sweep:
            _send_beside(waiting, beside, sender)
        open_rows = counts.get(RowState.READY) or counts.get(RowState.SENDING)
        busy = state in UNDER_WAY and bool(open_rows)
        outlook = _look_for_doubts(watcher, campaign_id, sender, counts) if wait_for_doubts else None
        if busy:
            while_busy = outlook
        elif not wait_for_doubts or _hopeless(sender, campaign_id, outlook, while_busy, counts):
            return
        if busy and time.monotonic() >= next_sweep:
            next_sweep = time.monotonic() + SWEEP_SECONDS
            sender.enqueue(campaign_id)
            lookout.look_for_workers()
        # a second is enough while nothing is due; what is due is sent without waiting for the next look
        time.sleep(_nap(waiting, campaign_id) if state is CampaignState.WAITING else POLL_SECONDS)


def _nap(waiting: Waiting, campaign_id: int) -> float:
    try:
        return waiting.nap(campaign_id)
    except Unreachable as error:
        if not (is_busy(error) or waiting.others_send):
            raise
        return SWEEP_SECONDS


def _send_beside(waiting: Waiting, beside: Sequence[int], sender: Sender) -> None:
    try:
        for other in waiting.wake_others(beside):
            sender.enqueue(other)
    except Unreachable as error:
        if not is_busy(error):  # else they are looked at again in a moment
            raise


class _Limit:
    """The limit on the cost, of which rows in doubt take their part until it is known what became of them."""

    def __init__(self, house: House, campaign_id: int) -> None:
        self._house = house
        self._campaign_id = campaign_id
        self._waited = False

    def may_leave_more(self, state: CampaignState, counts: dict[RowState, int]) -> bool:
        """Whether a campaign that is held at its limit may go on after all; it does once its doubts are settled."""
        campaigns, queries = self._house.ledger.campaigns, self._house.ledger.queries
        if state is not CampaignState.HELD or not counts.get(RowState.READY):
            return False
        if queries.campaign(self._campaign_id).state_reason != Stop.COST_CAP:
            return False
        if counts.get(RowState.IN_DOUBT):
            self._waited = True
        elif self._waited:  # once for these doubts: what does not fit now is held again, and stays so
            self._waited = False
            campaigns.resume(self._campaign_id, self._house.clock.now())
        else:
            return False
        return True


class _Lookout:
    """Sees how far the campaign is.  A busy ledger is waited for and, where others send, a server that is away."""

    def __init__(
        self, house: House, watcher: Watcher, only: Callable[[], dict[RowState, int]] | None
    ) -> None:
        self._house = house
        self._watcher = watcher
        self._only = only
        self._told: set[str] = set()

    def look(self, campaign_id: int) -> tuple[dict[RowState, int], CampaignState] | None:
        """Counts and state; None while the ledger cannot be asked."""
        try:
            with unbroken():
                ledger, now = self._house.ledger, self._house.clock.now()
                ledger.rows.doubt_expired(now)
                state = ledger.campaigns.finish_if_done(campaign_id, now)
                seen = (self._only() if self._only else ledger.queries.counts(campaign_id)), state
        except Unreachable as error:
            if self._house.has_workers is None and not is_busy(error):
                raise
            self._tell("ledger_busy" if is_busy(error) else "ledger_away")
            time.sleep(SWEEP_SECONDS)
            return None
        self._told -= {"ledger_away", "ledger_busy"}
        return seen

    def look_for_workers(self) -> None:
        """Say so when nobody is there who sends."""
        if self._house.has_workers is None:
            return
        with suppress(Unreachable):
            if self._house.has_workers():
                self._told.discard("no_worker")
            else:
                self._tell("no_worker")

    def _tell(self, name: str) -> None:
        if name not in self._told:
            self._told.add(name)
            self._watcher.warn(name)


def _look_for_doubts(
    watcher: Watcher, campaign_id: int, sender: Sender, counts: dict[RowState, int]
) -> Outlook | None:
    """Have what is in doubt looked for, when it is time to; gives what the last look showed."""
    in_doubt = counts.get(RowState.IN_DOUBT, 0)
    if not in_doubt:
        return None
    outlook = sender.reconcile(campaign_id)
    if outlook is not None and outlook.open:
        watcher.doubts(outlook, in_doubt)
    return outlook


def _hopeless(
    sender: Sender,
    campaign_id: int,
    outlook: Outlook | None,
    while_busy: Outlook | None,
    counts: dict[RowState, int],
) -> bool:
    """Whether looking again would change nothing.  What was seen while rows still went out proves nothing about that:
    the last of them may be the witness that was missing.
    """
    in_doubt = counts.get(RowState.IN_DOUBT, 0)
    if not in_doubt or sender.gave_up(campaign_id) is not None:
        return True
    return outlook is not None and outlook is not while_busy and len(outlook.stuck) >= in_doubt


class _Meter:
    """Turns counts into progress with a rate over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=RATE_WINDOW)

    def read(self, counts: dict[RowState, int]) -> Progress:
        sent = sum(counts.get(state, 0) for state in SENT)
        refused, in_doubt = counts.get(RowState.REFUSED, 0), counts.get(RowState.IN_DOUBT, 0)
        ready = counts.get(RowState.READY, 0) + counts.get(RowState.SENDING, 0)
        done = sent + refused + in_doubt
        self._seen.append((time.monotonic(), done))
        (since, before), (now, after) = self._seen[0], self._seen[-1]
        # rows that come back from in doubt were done and are no more
        rate = max(0.0, (after - before) / (now - since)) if now - since > 0.5 else None
        return Progress(
            total=done + ready,
            sent=sent,
            refused=refused,
            in_doubt=in_doubt,
            ready=ready,
            rate=rate,
            left=ready / rate if rate else None,
        )
