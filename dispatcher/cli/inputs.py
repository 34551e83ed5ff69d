"""From flags to the requests that the rest of the program understands."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from dispatcher.campaign.columns import ColumnOptions
from dispatcher.campaign.locale import Locale
from dispatcher.campaign.phones import known_region
from dispatcher.campaign.plan import PlanOptions
from dispatcher.campaign.prices import Funds, parse_bundle, parse_money
from dispatcher.campaign.routes import Route
from dispatcher.campaign.timing.options import TimingOptions, checked, one_per_offset
from dispatcher.campaign.timing.windows import marketing_windows
from dispatcher.errors import UsageError
from dispatcher.intake.planning import PlanRequest
from dispatcher.ledger import Priority
from dispatcher.settings import Settings

MAX_TEMPLATE_BYTES = 100_000


@dataclass(frozen=True)
class TimingFlags:
    """The flags about times, as typed."""

    send_at: str | None = None
    send_at_column: str | None = None
    remind_before: tuple[str, ...] = ()
    date_column: str | None = None
    time_column: str | None = None
    key_column: str | None = None
    useful_for: str | None = None
    recipient_time: bool = False
    marketing: bool = False


@dataclass(frozen=True)
class FileFlags:
    """The flags about the file and its texts, as typed; a command that has not all of them leaves them out."""

    file: Path
    sheet: str | None = None
    encoding: str | None = None
    locale: str | None = None
    phone_column: str | None = None
    message_column: str | None = None
    sender_column: str | None = None
    message: str | None = None
    message_file: Path | None = None
    route: str | None = None
    gsm7: bool = False
    single_part: bool = False
    duplicates: str = "skip"
    again: bool = False
    bundle: list[str] | None = None
    wallet: str | None = None
    timing: TimingFlags = field(default_factory=TimingFlags)


def plan_request(flags: FileFlags, settings: Settings) -> PlanRequest:
    """How the file is to be read and planned.  Raises UsageError for values outside a flag's range."""
    if not known_region(settings.default_region):
        raise UsageError("settings_region_unknown", found=settings.default_region)
    return PlanRequest(
        file=flags.file,
        sheet=flags.sheet,
        encoding=flags.encoding,
        locale=_locale(flags.locale, settings),
        options=PlanOptions(
            message=_template(flags),
            sender=settings.sender,
            columns=ColumnOptions(flags.phone_column, flags.message_column, flags.sender_column),
            default_region=settings.default_region,
            route=_route(flags.route),
            gsm7=flags.gsm7,
            single_part=flags.single_part,
            keep_duplicates=_choice("--duplicates", flags.duplicates, ("skip", "keep")) == "keep",
            again=flags.again,
            timing=timing_options(flags.timing, settings)[0],
        ),
    )


def plan_requests(flags: FileFlags, settings: Settings) -> list[PlanRequest]:
    """One for each reminder that is asked for, the earliest first; one where there are no reminders."""
    first = plan_request(flags, settings)
    return [
        replace(first, options=replace(first.options, timing=timing))
        for timing in timing_options(flags.timing, settings)
    ]


def timing_options(flags: TimingFlags, settings: Settings) -> list[TimingOptions]:
    """The times of each campaign that the flags ask for.  Raises UsageError where they make no sense."""
    options = TimingOptions(
        zone=settings.timezone,
        recipient_time=flags.recipient_time,
        send_at=flags.send_at,
        send_at_column=flags.send_at_column,
        date_column=flags.date_column,
        time_column=flags.time_column,
        key_column=flags.key_column,
        useful_for=flags.useful_for,
        windows=marketing_windows(settings.windows).text if flags.marketing else None,
        cap=settings.cap,
        holidays=settings.holidays or None,
    )
    if not flags.remind_before:
        return [checked(options)]
    if flags.send_at or flags.send_at_column:
        raise UsageError("usage_contradiction", found="--remind-before, --send-at")
    reminders = one_per_offset(options, flags.remind_before)
    longest = reminders[0].offset
    if longest is not None and longest.length > timedelta(days=settings.guard_days):
        raise UsageError("timing_offset_beyond_guard", found=flags.remind_before[0], days=settings.guard_days)
    return reminders


def funds(flags: FileFlags | None, settings: Settings, wallet_typed: str | None = None) -> Funds:
    """Bundles and wallet from flags, else from settings; ``wallet_typed`` where there are no flags about a file."""
    bundle, typed = (flags.bundle, flags.wallet) if flags else (None, wallet_typed)
    texts = bundle or [text for text in settings.bundles.replace(";", ",").split(",") if text.strip()]
    wallet: Decimal | None = settings.wallet if typed is None else parse_money(typed)
    bundles: dict[str, int] = {}
    for route, parts in map(parse_bundle, texts):
        if route in bundles:
            raise UsageError("bundle_twice", found=route)
        bundles[route] = parts
    return Funds(bundles=bundles, wallet=wallet)


def money(text: str | None) -> Decimal | None:
    """An amount as typed, 20.00 or 20,00."""
    return None if text is None else parse_money(text)


def duration(flag: str, text: str | None) -> timedelta | None:
    """A length of time as typed: 90s, 30m, 24h, 2d."""
    if text is None:
        return None
    units = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
    number, unit = text.strip()[:-1], text.strip()[-1:].lower()
    if unit not in units or not number.isdecimal() or int(number) > 10_000:
        example = f"{text.strip()}m" if text.strip().isdecimal() else "30m"
        raise UsageError("timing_span", flag=flag, found=text, allowed="90s, 30m, 24h, 2d", example=example)
    return timedelta(seconds=int(number) * units[unit])


def chosen_priority(name: str | None) -> Priority | None:
    """A priority as typed: high, normal or low."""
    if name is None:
        return None
    return Priority[_choice("--priority", name, ("high", "normal", "low")).upper()]


def _template(flags: FileFlags) -> str | None:
    if flags.message_file is None:
        return flags.message
    if flags.message is not None:
        raise UsageError("usage_contradiction", found="--message, --message-file")
    path = flags.message_file
    try:
        if path.stat().st_size > MAX_TEMPLATE_BYTES:
            raise UsageError("usage_message_file", file=str(path), found=f"{path.stat().st_size} bytes")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("usage_message_file", file=str(path), found=type(error).__name__) from error


def _locale(name: str | None, settings: Settings) -> Locale:
    if name is not None:
        return Locale(_choice("--locale", name, tuple(Locale)))
    if settings.lang is not None:
        return Locale(settings.lang)
    return {"IT": Locale.IT, "ES": Locale.ES}.get(settings.default_region, Locale.EN)


def _route(name: str | None) -> Route | None:
    # IT and ES take numbers of their own country only; forcing them would make every other row a paid mistake
    return None if name is None else Route(_choice("--route", name, (Route.WW.lower(),)).upper())


def _choice(flag: str, value: str, allowed: tuple[str, ...]) -> str:
    if value.casefold() not in {option.casefold() for option in allowed}:
        raise UsageError("usage_choice", found=value, flag=flag, allowed=", ".join(allowed))
    return next(option for option in allowed if option.casefold() == value.casefold())
