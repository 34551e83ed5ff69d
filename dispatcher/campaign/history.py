"""What happened before a campaign, as far as planning must know it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from dispatcher.campaign.earlier_report import SentRow


class History(Protocol):
    """Asked once per chunk of rows.  Numbers and keys are made when they are looked at: who knows nothing need not."""

    def opted_out(self, recipients: Iterable[str]) -> set[str]:
        """Those of the recipients who must not be texted."""

    def already_sent(self, guard_keys: Iterable[bytes]) -> set[bytes]:
        """Those of the guard keys whose text was sent, or may have been, within the guard days."""

    def sent_times(self, recipients: Sequence[str], since: datetime) -> Mapping[str, Sequence[datetime]]:
        """When each of the recipients was sent something since then, or may have been; asked where there is a cap."""

    def sent_as(self, message_ids: Sequence[str]) -> Sequence[SentRow]:
        """See :class:`~dispatcher.campaign.earlier_report.SentRows`."""

    def sent_to(self, recipients: Sequence[str]) -> Sequence[SentRow]:
        """See :class:`~dispatcher.campaign.earlier_report.SentRows`."""


class NoHistory:
    """A History that knows nothing: there is no ledger yet."""

    def opted_out(self, recipients: Iterable[str]) -> set[str]:
        return set()

    def already_sent(self, guard_keys: Iterable[bytes]) -> set[bytes]:
        return set()

    def sent_times(self, recipients: Sequence[str], since: datetime) -> Mapping[str, Sequence[datetime]]:
        return {}

    def sent_as(self, message_ids: Sequence[str]) -> Sequence[SentRow]:
        return ()

    def sent_to(self, recipients: Sequence[str]) -> Sequence[SentRow]:
        return ()
