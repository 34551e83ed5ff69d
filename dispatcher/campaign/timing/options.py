"""What the operator decided about the times of a campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dispatcher.campaign.timing.caps import Cap, parse_cap
from dispatcher.campaign.timing.days_off import parse_regions
from dispatcher.campaign.timing.spans import Span, parse_span
from dispatcher.campaign.timing.windows import Windows, read_back
from dispatcher.errors import UsageError

USEFUL_FOR = "24h"
"""How long after its time a message that was given one may still go out, unless the operator says otherwise."""


@dataclass(frozen=True)
class TimingOptions:
    """Texts as typed, so that they compare equal and can be kept; checked by :func:`checked`.

    ``remind_before`` is one offset: a file with several is several campaigns.  ``useless_at`` is the next one after
    it, by which time this reminder has nothing more to say.  ``windows`` as :class:`Windows` writes them.
    """

    zone: str
    recipient_time: bool = False
    send_at: str | None = None
    send_at_column: str | None = None
    remind_before: str | None = None
    useless_at: str | None = None
    date_column: str | None = None
    time_column: str | None = None
    key_column: str | None = None
    useful_for: str | None = None
    windows: str | None = None
    cap: str | None = None
    holidays: str | None = None

    @property
    def is_plain(self) -> bool:
        """Nothing was asked for: only a column called ``send_at`` can give rows a time."""
        return self == TimingOptions(
            self.zone,
            recipient_time=self.recipient_time,
            useful_for=self.useful_for,
            holidays=self.holidays,
        )

    @property
    def is_reminder(self) -> bool:
        return self.remind_before is not None

    @property
    def offset(self) -> Span | None:
        return None if self.remind_before is None else parse_span(self.remind_before, "--remind-before")

    @property
    def next_offset(self) -> Span | None:
        return None if self.useless_at is None else parse_span(self.useless_at, "--remind-before")

    @property
    def useful_span(self) -> Span | None:
        """None: a reminder without a limit of its own is useful until the appointment."""
        text = self.useful_for or (None if self.is_reminder else USEFUL_FOR)
        return None if text is None else parse_span(text, "--useful-for")

    @property
    def parsed_windows(self) -> Windows | None:
        return None if self.windows is None else read_back(self.windows)

    @property
    def parsed_cap(self) -> Cap | None:
        return None if self.cap is None else parse_cap(self.cap)


def checked(options: TimingOptions) -> TimingOptions:
    """The same, if it makes sense.  UsageError: ``timing_span``, ``timing_windows``, ``timing_cap``,
    ``usage_contradiction``, ``timing_needs``.
    """
    for span in (options.offset, options.next_offset, options.useful_span):
        del span  # parsing is the check
    _ = options.parsed_windows, options.parsed_cap, parse_regions(options.holidays)
    if options.is_reminder and (options.send_at or options.send_at_column):
        raise UsageError("usage_contradiction", found="--remind-before, --send-at")
    if options.is_reminder and options.date_column is None:
        raise UsageError("timing_needs", flag="--remind-before", missing="--date-column")
    for flag, value in (
        ("--date-column", options.date_column),
        ("--time-column", options.time_column),
        ("--key-column", options.key_column),
    ):
        if value is not None and not options.is_reminder:
            raise UsageError("timing_needs", flag=flag, missing="--remind-before")
    return options


def one_per_offset(options: TimingOptions, offsets: Sequence[str]) -> list[TimingOptions]:
    """The reminders of one file, earliest first, each useless once the next one is due.

    UsageError ``timing_offset_twice``.
    """
    spans = sorted(
        ((parse_span(text, "--remind-before"), text) for text in offsets), key=lambda pair: -pair[0].length
    )
    lengths = [span.length for span, _ in spans]
    if len(set(lengths)) < len(lengths):
        raise UsageError("timing_offset_twice", found=", ".join(offsets))
    following = [span.text for span, _ in spans[1:]] + [None]
    return [
        checked(replace(options, remind_before=span.text, useless_at=after))
        for (span, _), after in zip(spans, following, strict=True)
    ]


def kept(options: TimingOptions | None) -> dict[str, Any]:
    """What senders have to know later, for a campaign's options: windows, cap, whether it reminds."""
    if options is None or options.is_plain:
        return {}
    found = {
        "timezone": options.zone,
        "windows": options.windows,
        "holidays": options.holidays if options.windows else None,
        "cap": options.cap,
        "remind_before": options.remind_before,
    }
    return {name: value for name, value in found.items() if value is not None}


def kept_windows(campaign: Mapping[str, Any]) -> tuple[Windows, str] | None:
    """The windows of a campaign's options, and the operator's zone; None where it has none."""
    text = campaign.get("windows")
    return None if not text else (read_back(str(text)), str(campaign.get("timezone", "UTC")))


def kept_cap(campaign: Mapping[str, Any]) -> Cap | None:
    """The cap of a campaign's options."""
    text = campaign.get("cap")
    return None if not text else parse_cap(str(text))
