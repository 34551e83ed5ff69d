"""Why a row is not sent, and what was repaired in its number: codes for machines, one list.

A row's report shows ``code: sentence``; the sentence is ``reasons.<code>`` (or ``repairs.<code>``) of the catalogue.
"""

from __future__ import annotations

from enum import IntFlag, StrEnum


class PlanStatus(StrEnum):
    """What planning decided about a row.  The names are the ledger's row states of the same name."""

    # Enum's own is a Python function, and a million rows are counted by these
    __hash__ = str.__hash__

    READY = "ready"
    INVALID = "invalid"
    HIDDEN = "hidden"
    DUPLICATE = "duplicate"
    OPTED_OUT = "opted_out"
    ALREADY_SENT = "already_sent"
    TOO_LATE = "too_late"
    CAPPED = "capped"


class Reason(StrEnum):
    """Why a row is not (or was not) sent."""

    # Enum's own is a Python function, and a million rows are counted by these
    __hash__ = str.__hash__

    # the row as a whole
    ROW_TOO_LONG = "row_too_long"  # more fields than headings
    ROW_TOO_SHORT = "row_too_short"  # fewer fields than headings
    ROW_UNREADABLE = "row_unreadable"  # e.g. an unclosed quote
    HIDDEN_BY_HAND = "hidden_by_hand"
    HIDDEN_BY_FILTER = "hidden_by_filter"
    DUPLICATE_IN_FILE = "duplicate_in_file"
    OPTED_OUT = "opted_out"
    ALREADY_SENT = "already_sent"
    SENT_IN_REPORT = "sent_in_report"  # this row's own report says so, and the ledger confirms it
    # the number
    PHONE_MISSING = "phone_missing"
    PHONE_LETTERS = "phone_letters"
    PHONE_DIGITS_LOST = "phone_digits_lost"  # 3.93E+11 as text: the digits are gone
    PHONE_TWO_NUMBERS = "phone_two_numbers"
    PHONE_IS_DATE = "phone_is_date"
    PHONE_ERROR_CELL = "phone_error_cell"  # #N/A, #REF!, ...
    PHONE_TOO_SHORT = "phone_too_short"
    PHONE_TOO_LONG = "phone_too_long"
    PHONE_UNKNOWN_COUNTRY = "phone_unknown_country"  # no such country code
    PHONE_NOT_VALID = "phone_not_valid"  # no number of its country's plan looks like this
    PHONE_LANDLINE = "phone_landline"
    PHONE_NOT_MOBILE = "phone_not_mobile"  # premium, freephone, voip, pager, ...
    PHONE_FORMULA_WITHOUT_VALUE = "phone_formula_without_value"
    # the text
    TEXT_MISSING = "text_missing"
    TEXT_FIELD_EMPTY = "text_field_empty"  # a field of the template is blank in this row
    TEXT_LEFTOVER = "text_leftover"  # {{...}}, «...», #N/A, nan or None is still in the text
    TEXT_TEMPLATE_FAILED = "text_template_failed"  # the template raised for this row
    TEXT_TOO_LONG = "text_too_long"
    TEXT_MULTIPART = "text_multipart"  # more than one part, and --single-part was asked for
    TEXT_FORMULA_WITHOUT_VALUE = "text_formula_without_value"
    # the sender
    SENDER_LENGTH = "sender_length"
    SENDER_CHARACTERS = "sender_characters"
    SENDER_NUMERIC = "sender_numeric"
    SENDER_REQUIRED = "sender_required"  # Spain: no sender of one's own
    SENDER_FORMULA_WITHOUT_VALUE = "sender_formula_without_value"
    # the time
    DATE_MISSING = "date_missing"
    DATE_UNREADABLE = "date_unreadable"
    DATE_AMBIGUOUS = "date_ambiguous"  # 03/04: March or April
    DATE_WEEKDAY = "date_weekday"  # Monday 3 March 2026, which is a Tuesday
    DATE_WITHOUT_TIME = "date_without_time"
    DATE_FORMULA_WITHOUT_VALUE = "date_formula_without_value"
    TIME_ZONE_UNKNOWN = "time_zone_unknown"  # the number's country has several clocks
    # on the way (decided while sending; the ledger stores them like the others)
    FORBIDDEN_TEXT = "forbidden_text"  # the dry run answered 2044
    FORBIDDEN_BY_LIST = "forbidden_by_list"  # a word of the operator's own list
    REFUSED_BY_DRY_RUN = "refused_by_dry_run"
    REFUSED_BY_GATEWAY = "refused_by_gateway"
    BLOCKLISTED_WITH_IT = "blocklisted_with_it"  # accepted by an answer that says the account is blocklisted
    ANSWER_UNKNOWN = "answer_unknown"  # in doubt: sent, no answer
    CANCELLED = "cancelled"
    CAPPED = "capped"
    TOO_LATE = "too_late"
    SUPERSEDED = "superseded"  # a later version of the same file says it anew
    NO_FINAL_WORD = "no_final_word"  # accepted, and the gateway never said what became of it


class Repair(IntFlag):
    """What was changed to make a number readable; several may apply.  The catalogue's key is the lower-case name."""

    NONE = 0
    SEPARATORS = 1  # spaces, dots, dashes of all kinds, brackets
    INVISIBLE = 2  # zero-width and direction marks, no-break spaces
    FULLWIDTH = 4  # digits of another width or script
    TEL_SCHEME = 8  # tel:
    APOSTROPHE = 16  # a leading '
    DECIMAL_ZERO = 32  # 393331234567.0
    DOUBLE_ZERO = 64  # 00 for +
    PLUS_ADDED = 128  # the + was lost
    TRUNK_ZERO = 256  # +44 (0)7...
    COUNTRY_ADDED = 512  # a national number, read in the default region
    SCIENTIFIC = 1024  # 3.93331234567E+11 with all its digits
