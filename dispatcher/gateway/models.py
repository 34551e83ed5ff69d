"""The Gateway SMS API's messages as types: what goes out, what comes back.

Source: the published description of SMS v2 (1.2.7).  Reading is lenient (unknown fields are kept out, optional ones may
be missing, a null is the default); writing is strict.  Money comes as a JSON number and becomes Decimal by its written
digits, never through binary floating point.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class Route(StrEnum):
    """The endpoint a message goes through."""

    IT = "IT"
    ES = "ES"
    WW = "WW"


class MessageState(StrEnum):
    """Where the provider says a message is.  The last four are final."""

    NEW = "NEW"
    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    UNDELIVERABLE = "UNDELIVERABLE"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


FINAL_STATES = frozenset(
    {MessageState.DELIVERED, MessageState.UNDELIVERABLE, MessageState.EXPIRED, MessageState.REJECTED}
)


class ErrorCode:
    """The provider's error codes that mean something to a sender."""

    OTP_LENGTH = 1020
    RECIPIENT = 2011
    WRONG_COUNTRY = 2013
    BLOCKLISTED = 2020
    SENDER_LENGTH = 2021
    SENDER_NUMERIC = 2024
    FORBIDDEN_DRY_RUN = 2044  # and on real WW sends
    FORBIDDEN = 2050  # on real IT and ES sends


class _Out(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)


class Options(_Out):
    """``options`` of a request."""

    dry_run: bool = Field(False, alias="dryRun")
    fail_on_multiple_messages: bool = Field(False, alias="failOnMultipleMessages")


class Callback(_Out):
    """``callback`` of a request; ``url`` is required by the provider whenever a callback is given."""

    url: str
    method: str | None = None
    field: str | None = None
    retry: int | None = Field(None, ge=0, le=5)
    headers: dict[str, str] | None = Field(None, repr=False)
    custom: dict[str, Any] | None = None


class SendRequest(_Out):
    """One message to one recipient."""

    sender: str | None = None
    recipient: str
    message: str = Field(repr=False)
    options: Options | None = None
    callback: Callback | None = None


class OtpRequest(_Out):
    """One generated code to one recipient."""

    recipient: str
    alphanumeric: bool = False
    length: int = 5
    cache_seconds: int = Field(0, alias="cacheSeconds")
    options: Options | None = None
    callback: Callback | None = None


def _decimal(value: object) -> object:
    # float's repr is the shortest text that reads back as the same number, which is what the provider wrote
    return Decimal(repr(value)) if isinstance(value, float) else value


def _plausible(value: Decimal) -> Decimal:
    if not -MOST_MONEY < value < MOST_MONEY:
        raise ValueError("no price")
    return value


MOST_MONEY = 1_000_000
"""What reads as more than this is no price, and sums of such would not fit anywhere."""

Money = Annotated[Decimal, BeforeValidator(_decimal), AfterValidator(_plausible)]


def _as_utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError as error:  # year 1 or 9999 at the edge of a zone
        raise ValueError("out of range") from error


Moment = Annotated[datetime, AfterValidator(_as_utc)]
"""Aware UTC; the provider's date-times without a zone are read as UTC."""


Count = Annotated[int, Field(ge=0, le=32_000)]

Name = Annotated[str, Field(pattern=r"^[^\x00]+$")]
"""What others are known by; no database keeps U+0000 the way it was given."""


class _In(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class EchoedOptions(_In):
    """``options`` as a message echoes them."""

    dry_run: bool | None = Field(None, alias="dryRun")
    fail_on_multiple_messages: bool | None = Field(None, alias="failOnMultipleMessages")


class EchoedCallback(_In):
    """``callback`` as a message echoes it; headers are secrets and are not kept."""

    url: str | None = None
    custom: Any = None


class Message(_In):
    """A message as the provider describes it: in a 201, a listing, a callback."""

    id: Name
    username: Name | None = None
    state: MessageState | None = None
    sender: str | None = None
    recipient: str | None = None
    country_code: str | None = Field(None, alias="countryCode")
    message: str | None = Field(None, repr=False)
    encoding: str | None = None
    characters_count: Count | None = Field(None, alias="charactersCount")
    message_count: Count | None = Field(None, alias="messageCount")
    price: Money | None = None
    total_price: Money | None = Field(None, alias="totalPrice")
    blocklisted: bool | None = None
    blocklisted_reason: str | None = Field(None, alias="blocklistedReason")
    options: EchoedOptions | None = None
    callback: EchoedCallback | None = None
    created_at: Moment | None = Field(None, alias="createdAt")
    updated_at: Moment | None = Field(None, alias="updatedAt")
    sent_at: Moment | None = Field(None, alias="sentAt")
    delivered_at: Moment | None = Field(None, alias="deliveredAt")
    is_otp: bool | None = Field(None, alias="isOtp")
    otp: str | None = Field(None, repr=False)

    @property
    def is_dry_run(self) -> bool:
        """True only when the provider says so: a listed message with ``options.dryRun`` was never sent."""
        return bool(self.options and self.options.dry_run)
