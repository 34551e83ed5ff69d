"""Why sending stopped: names alone, so that looking at a campaign needs no gateway."""

from __future__ import annotations

from enum import StrEnum


class Stop(StrEnum):
    """Why sending stopped; the wording is ``stops.<code>``."""

    UNAUTHORIZED = "token_refused"
    PAYMENT = "payment_required"
    FORBIDDEN = "forbidden"
    BLOCKLISTED = "account_blocklisted"
    FORBIDDEN_TEXT = "forbidden_text"
    REFUSALS = "too_many_refusals"
    DOUBTS = "too_many_doubts"
    UNREACHABLE = "gateway_unreachable"
    OTHER_ACCOUNT = "other_account"
    COST_CAP = "cost_cap"
    CREDIT = "not_enough_credit"
    TOKEN_CAP = "token_cap"  # noqa: S105 - a reason
    TOKEN_GONE = "token_gone"  # noqa: S105 - a reason
    NOT_ECHOED = "preflight_not_echoed"
    PREFLIGHT_FORBIDDEN = "preflight_forbidden"
    SCREENED_LONG_AGO = "screened_long_ago"
    CANARY_REFUSED = "canary_refused"
    CANARY_IN_DOUBT = "canary_in_doubt"
    CANARY_SILENT = "canary_silent"
    CANARY_UNDELIVERED = "canary_undelivered"
    CANARY_PRICE = "canary_price"
    CANARY_PARTS = "canary_parts"
    BUG = "bug"


CANARY_STOPS = frozenset(stop for stop in Stop if stop.startswith("canary_"))
"""The rows that went first turned out otherwise than they should: a person has to look before the others go."""

HELD_STOPS = frozenset({Stop.COST_CAP, Stop.CREDIT, Stop.UNREACHABLE, Stop.DOUBTS, Stop.BUG}) | CANARY_STOPS
"""Stops that endanger nothing: the campaign is held, not halted."""
