"""A campaign as one HTML file: escaped, closed to the network, and the same in a real browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dispatcher.errors import UsageError
from dispatcher.ledger import Accepted, ClaimRequest, DeliveryReport, Ledger, RowState
from dispatcher.ledger.bills import Moment, Timeline
from dispatcher.report.campaign import Reporter
from dispatcher.report.page.pictures import HEIGHT, WIDTH, shares, timeline_picture
from dispatcher.wording import LANGUAGES, Wording
from tests.unit.loaded import START, load_campaign, loadable_row

ROME = ZoneInfo("Europe/Rome")
HOSTILE = '<script>document.title="taken"</script><img src=x onerror=alert(1)> \u202eםולש "\' 🎉.xlsx'
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta"}


@pytest.fixture
def campaign(ledger: Ledger, tmp_path: Path) -> int:
    """Six messages to two countries over two minutes, three delivered; a refusal and two kinds of invalid rows."""
    rows = [loadable_row(n) for n in range(2, 6)]
    rows += [loadable_row(n, route="WW", country="FR") for n in (6, 7)]
    invalid = {"recipient": None, "country": None, "route": None, "estimated_cost": None}
    rows += [loadable_row(n, RowState.INVALID, reason="phone_missing", **invalid) for n in range(8, 16)]
    rows += [loadable_row(16, text=f"win {HOSTILE}")]
    source = {"path": str(tmp_path / "people.xlsx"), "kind": "xlsx"}
    number = load_campaign(ledger, 1, rows, START, file_name=HOSTILE, source=source)
    ledger.rows.exclude(number, [16], RowState.REFUSED, "forbidden_text", START, "2044")
    assert ledger.campaigns.begin_preflight(number, START)
    assert ledger.campaigns.start_sending(number, START)
    deadline = START + timedelta(seconds=30)
    request = ClaimRequest(owner="me", token="t", limit=9, deadline=deadline, now=START)
    ledger.rows.settle_and_claim(number, [], request, START)
    answers = [
        Accepted(
            token="t",
            row=row,
            message_id=f"m{row}",
            sent_at=START + timedelta(seconds=20 * (row - 2)),
            actual_cost=Decimal("0.05") if row < 6 else None,
        )
        for row in range(2, 8)
    ]
    ledger.rows.settle_and_claim(number, answers, None, START)
    ends = {2: RowState.DELIVERED, 3: RowState.DELIVERED, 4: RowState.DELIVERED, 5: RowState.EXPIRED}
    reports = [
        DeliveryReport(
            message_id=f"m{row}",
            seen_at=START,
            state=state,
            delivered_at=START + timedelta(seconds=100 + row),
        )
        for row, state in ends.items()
    ]
    ledger.deliveries.record("sandbox", reports, START)
    return number


def page(ledger: Ledger, campaign: int, target: Path, language: str = "en", **other: Any) -> Path:
    reporter = Reporter(ledger, Wording(language), ROME, simulated=frozenset(other.pop("simulated", ())))
    return reporter.page(ledger.queries.campaign(campaign), other.pop("report_dir", None), target)


class Reader(HTMLParser):
    """The elements of a page, with what they hold; raises where they are not nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style" and data.strip():
            self.texts.append(" ".join(data.split()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_from_outside_is_loaded_run_or_taken_for_markup(
    ledger: Ledger, campaign: int, tmp_path: Path, language: str
) -> None:
    text = page(ledger, campaign, tmp_path / "p.html", language).read_text(encoding="utf-8")
    found = Reader(text)
    names = {name for name, _ in found.elements}
    assert not names & {"script", "img", "link", "iframe", "object", "embed", "form", "a", "base", "video"}
    for _, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href", "style")]
    policy = next(a["content"] for _, a in found.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/=]{44}'; base-uri 'none'; form-action 'none'", policy
    )
    assert "url(" not in text
    assert "@import" not in text
    assert not re.search(r"https?://", text)
    assert found.elements[0] == ("html", {"lang": language})
    assert sum(HOSTILE.split('"')[0] in each for each in found.texts) >= 2  # the title, and the heading


def test_the_page_says_what_became_of_it(ledger: Ledger, campaign: int, tmp_path: Path) -> None:
    found = Reader(page(ledger, campaign, tmp_path / "p.html").read_text(encoding="utf-8"))
    words = Wording("en")
    said = found.texts
    at = (
        said.index("delivered by phone")
        if "delivered by phone" in said
        else said.index(words("page.in_file"))
    )
    assert said[at : at + 3] == [words("page.in_file"), "15", "100.0 %"]
    assert "3 (50.0 %)" in said
    assert "0.20 EUR" in said
    assert words.reason("phone_missing") in said
    assert words.count("page.more_rows", 3) in said
    assert any("win <script>" in each for each in said)  # the text nobody can mend without seeing it
    assert "2044" in said
    assert [kind for name, a in found.elements if name == "rect" and (kind := a.get("class")) == "failed"]
    assert words("page.simulated") not in said


def test_a_simulated_campaign_says_so(ledger: Ledger, campaign: int, tmp_path: Path) -> None:
    text = page(ledger, campaign, tmp_path / "p.html", simulated=["sandbox"]).read_text(encoding="utf-8")
    assert html.escape(Wording("en")("page.simulated")) in text


def test_a_campaign_before_its_first_message_has_a_page(ledger: Ledger, tmp_path: Path) -> None:
    number = load_campaign(ledger, 1, [loadable_row(2)], START)
    found = Reader(page(ledger, number, tmp_path / "p.html").read_text(encoding="utf-8"))
    assert Wording("en")("page.no_problems") in found.texts
    assert Wording("en")("page.timeline") not in found.texts


def test_a_page_replaces_itself_and_nothing_else(ledger: Ledger, campaign: int, tmp_path: Path) -> None:
    other = load_campaign(ledger, 2, [loadable_row(2)], START, source={"path": str(tmp_path / "people.xlsx")})
    beside = tmp_path / "people.report.html"
    reporter = Reporter(ledger, Wording("en"), ROME, simulated=frozenset())
    views = {n: ledger.queries.campaign(n) for n in (campaign, other)}
    assert [reporter.page(views[campaign], None, None) for _ in range(2)] == [beside, beside]
    assert reporter.page(views[other], None, None) == tmp_path / "people.report-2.html"
    assert reporter.page(views[campaign], tmp_path, None) == beside
    theirs = tmp_path / "theirs.html"
    theirs.write_text("<p>mine</p>")
    with pytest.raises(UsageError) as caught:
        reporter.page(views[campaign], None, theirs)
    assert caught.value.code == "report_page_exists"
    assert theirs.read_text() == "<p>mine</p>"


def test_bars_stay_within_their_picture_and_every_stretch_has_its_place() -> None:
    minute = timedelta(minutes=1)
    moments = [Moment(at=START, sent=1_000_000, delivered=0, failed=0)]
    moments += [Moment(at=START + 3 * minute, sent=0, delivered=1, failed=400_000)]
    names = {"sent": "sent", "delivered": "delivered", "failed": "failed"}
    picture = timeline_picture(Timeline(width=minute, moments=moments), ROME, names)
    assert picture.highest == 1_000_000
    assert [(bar.kind, bar.title) for bar in picture.bars] == [
        ("sent", "10:00: sent 1000000"),
        ("delivered", "10:03: delivered 1"),
        ("failed", "10:03: failed 400000"),
    ]
    for bar in picture.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH
        assert 0 <= bar.y <= bar.y + bar.height <= HEIGHT
        assert bar.height >= 1
    assert [label.text for label in picture.labels] == ["10:00", "10:01", "10:02", "10:03"]


@pytest.mark.parametrize(
    ("width", "apart", "labels"),
    [
        (timedelta(seconds=10), 2, ["10:00:00", "10:00:10", "10:00:20"]),
        (timedelta(hours=12), 2, ["2026-03-02 10:00", "2026-03-02 22:00", "2026-03-03 10:00"]),
    ],
)
def test_an_axis_has_one_form_all_along(width: timedelta, apart: int, labels: list[str]) -> None:
    ends = [Moment(at=at, sent=1, delivered=0, failed=0) for at in (START, START + apart * width)]
    names = {"sent": "sent", "delivered": "delivered", "failed": "failed"}
    picture = timeline_picture(Timeline(width=width, moments=ends), ROME, names)
    assert [label.text for label in picture.labels] == labels


def test_shares_fill_their_bar() -> None:
    placed = shares([("a", 1), ("b", 0), ("c", 2)], 300)
    assert placed == [("a", 0, 100), ("c", 100, 200)]
    assert shares([], 300) == []


LOOK = """<!doctype html><iframe id="frame" width="390" height="800"></iframe><pre id="seen"></pre><script>
const frame = document.getElementById("frame");
frame.onload = () => {
  const page = frame.contentDocument, view = frame.contentWindow;
  const fill = (kind) => view.getComputedStyle(page.querySelector("rect." + kind)).fill;
  document.getElementById("seen").textContent = JSON.stringify({
    title: page.title, top: document.title, scripts: page.scripts.length, images: page.images.length,
    loaded: view.performance.getEntriesByType("resource").length,
    wide: page.documentElement.scrollWidth, fills: [fill("delivered"), fill("failed"), fill("sent")],
    margin: view.getComputedStyle(page.body).maxWidth,
    shown: [...page.querySelectorAll("rect")].filter((each) => each.getBoundingClientRect().height > 0).length,
    stuck: [...page.querySelectorAll(".scroll")].filter(
      (each) => !each.querySelector(".timeline") && each.scrollWidth > each.clientWidth + 1).length,
    drawn: page.querySelectorAll("rect").length,
  });
};
frame.srcdoc = PAGE;
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here (Debian: apt-get install chromium)")
def test_a_real_browser_shows_it_on_a_phone(ledger: Ledger, campaign: int, tmp_path: Path) -> None:
    made = page(ledger, campaign, tmp_path / "p.html").read_text(encoding="utf-8")
    look = tmp_path / "look.html"
    look.write_text(LOOK.replace("PAGE", json.dumps(made).replace("</", "<\\/")), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [str(BROWSER), *flags, "--virtual-time-budget=5000", "--dump-dom", look.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'<pre id="seen">(\{.*?\})</pre>', shown, re.DOTALL)
    assert found is not None, shown[-2_000:]
    seen = json.loads(html.unescape(found[1]))
    assert HOSTILE[:30] in seen["title"]
    assert (seen["top"], seen["scripts"], seen["images"], seen["loaded"]) == ("", 0, 0, 0)
    assert (seen["wide"] <= 390, seen["stuck"]) == (True, 0)  # nothing sticks out of a phone
    # the style applies, so the policy let it in; light or dark
    assert seen["fills"] in (
        ["rgb(46, 125, 50)", "rgb(198, 40, 40)", "rgb(30, 136, 229)"],
        ["rgb(102, 187, 106)", "rgb(239, 83, 80)", "rgb(100, 181, 246)"],
    )
    assert seen["shown"] == seen["drawn"] > 10
