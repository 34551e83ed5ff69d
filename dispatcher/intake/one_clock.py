"""By whose clock the appointments of a ledger are read."""

from __future__ import annotations

from dispatcher.campaign.timing.options import TimingOptions
from dispatcher.errors import UsageError
from dispatcher.ledger import Ledger


def agree_on_clock(ledger: Ledger, timing: TimingOptions | None, *, chosen: bool) -> None:
    """See that reminders are read by the clock that this ledger's reminders were read by before.

    A reminder that was sent is known by the moment of its appointment: the same file read by another clock would remind
    everybody again.  A zone that somebody set (``chosen``) holds from now on; one that a machine happens to have must
    be the one that holds.  Raises UsageError ``timing_other_clock``.
    """
    if timing is None or not timing.is_reminder:
        return
    agreed = ledger.agreement("timezone").reach(timing.zone, replace=chosen)
    if agreed != timing.zone:
        raise UsageError("timing_other_clock", found=timing.zone, agreed=agreed)
