"""What goes into the ledger and comes out of it, as frozen records.  Money is Decimal, time is aware UTC."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from dispatcher.ledger.states import CampaignState, Priority, RowState

ROW_COLUMNS = (
    "row",  # number of the row in the file, as the person sees it
    "state",  # int(RowState), one of states.ROW_STARTS
    "reason",  # code or None
    "recipient",  # E.164
    "country",  # two letters or None
    "route",  # IT, ES, WW
    "sender",
    "text",
    "encoding",  # small int, the planner's
    "parts",
    "estimated_cost",  # micro-units (values.to_micros) or None when unpriced
    "reserve_cost",  # micro-units; what counts against the cap until the price is known
    "guard_key",  # 16 bytes
    "repairs",  # bits
    "phone",  # as written, short; or None
    "due_at",  # microseconds since 1970 UTC (values.to_instant); None is at once
)
"""The order of a tuple for ``load_rows``: plain database values, because a million of them pass."""

ROW_EXTRAS = (
    "error_detail",  # which column is wrong, or where it was sent; or None
    "useful_until",  # microseconds since 1970 UTC: later it is not sent; None is always
)
"""What may follow in such a tuple: the first of them, or both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCampaign:
    """A campaign about to be loaded."""

    name: str
    file_name: str
    file_sha256: str
    gateway: str
    fingerprint: str  # of the options that change what is sent
    owner: str  # of the loading process (Processes)
    input_path: str | None = None
    sheet: str | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    max_cost: Decimal | None = None
    currency: str = "EUR"
    priority: int = Priority.NORMAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the plan adds up to.  ``rows`` and ``parts`` are checked against what was loaded."""

    rows: int
    parts: int
    estimated_cost: Decimal | None
    unpriced_rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignView:
    """A campaign as stored."""

    id: int
    name: str
    file_name: str
    file_sha256: str
    input_path: str | None
    sheet: str | None
    source: Mapping[str, Any]
    options: Mapping[str, Any]
    fingerprint: str
    gateway: str
    account: str | None
    owner: str | None
    state: CampaignState
    state_reason: str | None
    priority: int
    rows: int
    parts: int
    estimated_cost: Decimal | None
    unpriced_rows: int
    currency: str
    max_cost: Decimal | None
    committed_cost: Decimal
    actual_cost: Decimal
    accepted_unpriced: int
    not_echoed: int  # 201s that did not echo recipient and text unchanged
    report_path: str | None
    report_sha256: str | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    canary: str | None = (
        None  # JSON list of the row numbers that go first and alone; None: no such rows (any more)
    )
    purge_begun_at: datetime | None = None  # since when its texts, numbers and input are being removed
    purged_at: datetime | None = None  # since when they are gone
    guarded_until: datetime | None = None  # once purged: until when keyed hashes of what it sent are kept


class Timeliness(Protocol):
    """The windows of a campaign, as far as a claim must know them."""

    def next(self, country: str | None, start: datetime, end: datetime) -> datetime | None:
        """The first moment from ``start`` on at which what takes ``end - start`` may go out; None: not soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRequest:
    """Ask for the next rows.  ``token`` is new for every claim.

    ``guard_since``: rows whose guard key another campaign of the same gateway and account has (possibly) sent
    since then become already_sent instead; None does not look.
    ``keep_witness``: the last due row waits while another one is claimed with it, on its way, or in doubt with a
    deadline ahead.  Sent later, it proves that the gateway's listing has got further than the doubtful attempt.
    ``starts_within``: how long after ``now`` the last of the rows starts.  Rows that are of no use by then become
    too_late, and those for which ``windows`` has closed by then are put off until it opens.
    ``most_per_person``: rows of people who have had so many messages of the gateway since ``capped_since`` become
    capped.
    """

    owner: str
    token: str
    limit: int
    deadline: datetime
    now: datetime
    guard_since: datetime | None = None
    respect_opt_outs: bool = True
    keep_witness: bool = False
    starts_within: timedelta = timedelta(0)
    windows: Timeliness | None = None
    most_per_person: int | None = None
    capped_since: datetime | None = None

    @property
    def starts_until(self) -> datetime:
        """When the last of the rows starts, at the latest."""
        return self.now + self.starts_within

    def later(self, by: timedelta) -> ClaimRequest:
        """The same request by a clock that is ahead."""
        return replace(self, now=self.now + by, deadline=self.deadline + by) if by else self


class ClaimedRow(NamedTuple):
    """A row whose intent to send is on disk."""

    row: int
    recipient: str
    route: str
    sender: str | None
    text: str
    encoding: int | None
    parts: int
    reserve_cost: Decimal
    attempts: int
    country: str | None = None
    useful_until: datetime | None = None

    def __repr__(self) -> str:
        # neither number nor text: representations end up in logs
        return f"ClaimedRow(row={self.row})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a claim gave.

    ``state`` is the campaign's (only SENDING gives rows); ``halted`` a stop of the whole account; ``capped``
    says the next row does not fit max_cost; ``left_out`` rows were moved to another state or put off instead.
    """

    rows: Sequence[ClaimedRow] = ()
    state: CampaignState
    halted: bool = False
    capped: bool = False
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A 201: the gateway has it."""

    token: str
    row: int
    message_id: str
    sent_at: datetime
    actual_cost: Decimal | None = None
    echoed: bool = True
    parts: int | None = None  # as the gateway counted, and in which encoding
    encoding: int | None = None
    reason: str | None = None  # why it may not arrive all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The gateway read it and said no to this row."""

    token: str
    row: int
    reason: str
    error_code: str | None = None
    detail: str | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """It provably never left, or was turned away unread; back to ready, and the attempt does not count."""

    token: str
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InDoubt:
    """It was sent and the answer is unknown."""

    token: str
    row: int
    error_code: str | None = None
    detail: str | None = None


Settlement = Accepted | Refused | NotSent | InDoubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of a batch of settlements.

    ``moved`` counts rows per new state; ``ignored`` are rows whose settlement came too late to mean anything
    (a late success that could not be applied is an event as well); ``state`` is the campaign's.
    """

    moved: Mapping[RowState, int]
    ignored: Sequence[int]
    state: CampaignState
    claim: Claim | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Reconcile found the message."""

    message_id: str
    sent_at: datetime
    actual_cost: Decimal | None = None
    parts: int | None = None
    encoding: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """Reconcile proved that the gateway does not have it; ``evidence`` goes into the journal."""

    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A person said what happened."""

    sent: bool
    by: str


Resolution = Found | Absent | Decided


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """What a callback or a listing says about a message.

    ``state``: None when it only proves acceptance, else one of DELIVERED, UNDELIVERABLE, EXPIRED, REJECTED.
    ``campaign_id``, ``row`` and ``token``: what the message carries of its row key, when it does.
    ``parts`` and ``encoding`` (its number) are the gateway's own count.  ``is_to`` is asked with the recipient of
    the row: whether the message may be to that number; None does not ask.  ``text``: as the gateway tells it.
    """

    message_id: str
    seen_at: datetime
    state: RowState | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    actual_cost: Decimal | None = None
    error_code: str | None = None
    error_detail: str | None = None
    campaign_id: int | None = None
    row: int | None = None
    token: str | None = None
    parts: int | None = None
    encoding: int | None = None
    is_to: Callable[[str], bool] | None = field(default=None, compare=False, repr=False)
    text: str | None = field(default=None, repr=False)
