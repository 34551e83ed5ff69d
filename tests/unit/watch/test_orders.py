"""``campaign.toml`` decides what was left open, and may otherwise only be stricter."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from dispatcher.campaign.locale import Locale
from dispatcher.campaign.plan import PlanOptions
from dispatcher.campaign.timing.narrowing import narrowed
from dispatcher.campaign.timing.options import TimingOptions
from dispatcher.campaign.timing.windows import MARKETING, Windows, read_back
from dispatcher.errors import UsageError
from dispatcher.intake.planning import PlanRequest
from dispatcher.sending.preflight import PreflightChoice
from dispatcher.watch.orders import Orders, read_orders

ZONE = "Europe/Rome"
PARTS = (
    *(
        "IT 08:00-22:00 mon-sat",
        "IT 09:00-13:00,15:00-19:00",
        "IT 20:00-03:00 fri",
        "IT 00:00-12:00,12:00-24:00",
    ),
    *(
        "* 09:00-20:00 mon-sat",
        "* 10:00-12:00",
        "* 22:00-02:00",
        "ES 09:00-14:00 sat,sun",
        "ES 10:00-11:15 mon-fri",
    ),
)


def given(
    *,
    sender: str | None = None,
    preflight: str = "auto",
    max_cost: str | None = None,
    approval: bool = False,
    windows: str | None = None,
    fixed: tuple[str, ...] = (),
) -> Orders:
    options = PlanOptions(sender=sender, timing=TimingOptions(ZONE, windows=windows))
    return Orders(
        plan=PlanRequest(Path("in"), options=options),
        preflight=PreflightChoice.from_text(preflight),
        max_cost=None if max_cost is None else Decimal(max_cost),
        approval=approval,
        fixed=frozenset(fixed),
    )


def read(folder: Path, text: str | bytes, orders: Orders) -> Orders:
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "campaign.toml").write_bytes(content)
    return read_orders(folder, orders)


def test_without_the_file_everything_is_as_watch_was_started(tmp_path: Path) -> None:
    assert read_orders(tmp_path, given(max_cost="20")) == given(max_cost="20")


def test_every_key_has_its_effect(tmp_path: Path) -> None:
    text = """
        sender = "Clinica"
        message = "Ciao {{ Nome }}"
        region = "es"
        locale = "es"
        preflight = "all"
        max_cost = 12.50
        approval = true
        windows = "ES 09:00-14:00 mon-fri"
        [columns]
        phone = "Móvil"
        sender = "Remitente"
    """
    orders = read(tmp_path, text, given())
    options = orders.plan.options
    assert (options.sender, options.message, options.default_region) == ("Clinica", "Ciao {{ Nome }}", "ES")
    assert (options.columns.phone, options.columns.message, options.columns.sender) == (
        "Móvil",
        None,
        "Remitente",
    )
    assert options.timing == TimingOptions(ZONE, windows="ES 09:00-14:00 mon-fri")
    assert orders.plan.locale is Locale.ES
    assert (str(orders.preflight), orders.max_cost, orders.approval) == ("all", Decimal("12.50"), True)


def test_what_notepad_saves_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, b'\xef\xbb\xbfsender = "Clinica"\r\n', given()).plan.options.sender == "Clinica"


@pytest.mark.parametrize(
    ("orders", "text"),
    [
        (given(max_cost="20"), "max_cost = 20.01"),
        (given(max_cost="20"), 'max_cost = "1000"'),
        (given(preflight="all"), 'preflight = "auto"'),
        (given(preflight="auto"), 'preflight = "sample:500"'),
        (given(preflight="auto:500"), 'preflight = "auto:499"'),
        (given(preflight="sample:5"), 'preflight = "sample:4"'),
        (given(preflight="sample:5"), 'preflight = "none"'),
        (given(approval=True), "approval = false"),
        (given(sender="Clinica", fixed=("sender",)), 'sender = "Other"'),
        (given(fixed=("message",)), 'message = "Hello"'),
        (given(fixed=("region",)), 'region = "ES"'),
        (given(fixed=("locale",)), 'locale = "es"'),
        (given(fixed=("columns.phone",)), '[columns]\nphone = "Mobile"'),
        (given(windows="IT 09:00-12:00"), 'windows = "IT 09:00-13:00"'),
        (given(windows="IT 09:00-12:00"), 'windows = "* 08:00-11:00"'),
        (given(windows="IT 09:00-12:00 mon-fri"), 'windows = "IT 09:00-12:00 mon-sat"'),
        (given(windows="IT 09:00-12:00"), 'windows = "IT 09:00-12:00 +holidays"'),
        (given(windows="IT 09:00-12:00"), 'windows = "marketing"'),
        (given(windows=MARKETING), 'windows = "ES 10:00-21:01"'),
        (given(windows=MARKETING), 'windows = "FR 10:00-21:00"'),
        (given(windows=MARKETING), 'windows = "IT 21:00-01:00"'),
        (given(), 'windows = "marketing; IT 07:00-22:00"'),
    ],
)
def test_nothing_is_loosened(tmp_path: Path, orders: Orders, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text, orders)
    assert caught.value.code == "watch_toml_loosens"


@pytest.mark.parametrize(
    ("orders", "text"),
    [
        (given(max_cost="20"), "max_cost = 20"),
        (given(max_cost="20"), "max_cost = 0"),
        (given(preflight="none"), 'preflight = "sample:1"'),
        (given(preflight="sample:5"), 'preflight = "sample:6"'),
        (given(preflight="sample:5"), 'preflight = "auto"'),
        (given(preflight="auto"), 'preflight = "auto:20000"'),
        (given(preflight="all"), 'preflight = "all"'),
        (given(approval=True), "approval = true"),
        (given(sender="Clinica", fixed=("sender",)), 'sender = "Clinica"'),
        (given(sender="Clinica"), 'sender = "Other"'),
        (given(windows=MARKETING), 'windows = "marketing"'),
        (given(windows=MARKETING), f'windows = "{MARKETING}"'),
    ],
)
def test_the_same_or_something_stricter_is_taken(tmp_path: Path, orders: Orders, text: str) -> None:
    assert read(tmp_path, text, orders) is not None


@pytest.mark.parametrize(
    ("holds", "asked", "found"),
    [
        (None, "marketing", MARKETING),
        (None, "IT 09:00-13:00", "IT 09:00-13:00"),
        (None, "marketing; IT 09:00-13:00 mon", f"IT 09:00-13:00 mon; {MARKETING}"),
        (MARKETING, "IT 09:00-13:00", f"IT 09:00-13:00 mon-sat; {MARKETING}"),
        (MARKETING, "IT 09:00-13:00,15:00-19:00 tue,thu", f"IT 09:00-13:00,15:00-19:00 tue,thu; {MARKETING}"),
        (MARKETING, "* 10:00-18:00 mon-fri", "* 10:00-18:00 mon-fri"),
        (MARKETING, "FR 10:00-18:00", f"FR 10:00-18:00 mon-sat; {MARKETING}"),
        ("IT 22:00-02:00 fri +holidays", "IT 22:30-01:00", "IT 22:30-01:00 fri"),
        ("IT 00:00-12:00,12:00-24:00", "IT 10:00-24:00", "IT 10:00-24:00"),
    ],
)
def test_windows_become_narrower_country_by_country(
    tmp_path: Path, holds: str | None, asked: str, found: str
) -> None:
    timing = read(tmp_path, f'windows = "{asked}"', given(windows=holds)).plan.options.timing
    assert timing is not None
    assert timing.parsed_windows is not None
    for country in ("IT", "ES", "FR", "US", None):
        assert timing.parsed_windows.of(country) == read_back(found).of(country)


@given_any(
    holds=st.lists(st.sampled_from(PARTS), unique_by=lambda part: part[:2]),
    asked=st.lists(st.sampled_from(PARTS), min_size=1, unique_by=lambda part: part[:2]),
)
def test_whatever_is_asked_for_no_minute_is_added(holds: list[str], asked: list[str]) -> None:
    outer, inner = read_back("; ".join(holds)), read_back("; ".join(asked))
    found = narrowed(outer, inner)
    if isinstance(found, str):
        assert found.partition(" ")[0] in {country for each in (outer, inner) for country in each.by_country}
        return
    for country in ("IT", "ES", None):
        for day in (date(2027, 3, 1) + n * timedelta(days=1) for n in range(7)):
            assert minutes(found, country, day) <= minutes(outer, country, day) & minutes(inner, country, day)


def minutes(windows: Windows, country: str | None, day: date) -> set[datetime]:
    """The open quarters of an hour that begin on the day's windows."""
    window = windows.of(country)
    start = datetime.combine(day, time(0))
    spans = ((start, start + timedelta(days=2)),) if window is None else window.of(day)
    quarters = (start + n * timedelta(minutes=15) for n in range(192))
    return {each for each in quarters if any(begin <= each < end for begin, end in spans)}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("gateway = 'production'", "watch_toml_unknown_key"),
        ("max_costs = 5", "watch_toml_unknown_key"),
        ("[columns]\nmobile = 'x'", "watch_toml_unknown_key"),
        ("columns = 'x'", "watch_toml_value"),
        ("sender = 5", "watch_toml_value"),
        ("sender = 'A sender that is far too long'", "watch_toml_value"),
        ("message = ''", "watch_toml_value"),
        ("region = 'XX'", "watch_toml_value"),
        ("locale = 'tlh'", "watch_toml_value"),
        ("preflight = 'some'", "watch_toml_value"),
        ("max_cost = true", "watch_toml_value"),
        ("max_cost = -1", "watch_toml_value"),
        ("max_cost = 'much'", "watch_toml_value"),
        ("approval = 'yes'", "watch_toml_value"),
        ("windows = 'whenever'", "watch_toml_value"),
        ("windows = ''", "watch_toml_value"),
        ("windows = 'marketing; marketin'", "watch_toml_value"),
        ("sender = 'A'\nsender = 'B'", "watch_toml_unreadable"),
        ("sender =", "watch_toml_unreadable"),
        (b"sender = '\xff'", "watch_toml_unreadable"),
        (b"#" * 100_001, "watch_toml_unreadable"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str | bytes, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text, given())
    assert caught.value.code == code


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("approval = true")
    (tmp_path / "campaign.toml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError) as caught:
        read_orders(tmp_path, given())
    assert caught.value.code == "watch_toml_unreadable"
