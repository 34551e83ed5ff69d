"""What the page says of a campaign, gathered from the ledger and put into words; the template only lays it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from dispatcher.ledger import CampaignView, Ledger
from dispatcher.ledger.bills import Problem
from dispatcher.ledger.states import LEFT_OUT, SENT, RowState
from dispatcher.report.bill import CampaignBill, bill_of
from dispatcher.report.fates import CountryFates, Fate, by_country, by_state, fates_seen
from dispatcher.report.page.pictures import TimelinePicture, length, shares, timeline_picture
from dispatcher.report.reasons import SHOWN_TEXT, reason_text
from dispatcher.wording import Wording

BAR = 300.0  # width of a bar of the funnel and the tables, in its own units
_STRETCHES = 60
_EXAMPLES = 5
_GROUPS = 40


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the funnel: how many rows got so far, out of all."""

    name: str
    count: str
    share: str
    width: float


@dataclass(frozen=True, slots=True)
class CountryRow:
    """A country: its rows, what became of them, what they cost, and the bars that show it."""

    country: str
    rows: str
    delivered: str
    share: str
    estimated: str
    charged: str
    unpriced: str
    fates: Sequence[tuple[str, float, float]]
    estimated_width: float
    charged_width: float
    sent: bool


@dataclass(slots=True)
class ProblemGroup:
    """Rows with one problem: how many, and the first of them."""

    title: str
    state: str
    code: str
    rows: int = 0
    examples: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Example:
    """A row of a problem."""

    row: int
    text: str


@dataclass(frozen=True, slots=True)
class ShownProblem:
    """A problem as the page shows it."""

    title: str
    state: str
    code: str
    rows: str
    examples: Sequence[Example]
    more: str


@dataclass(frozen=True)
class PageContent:
    """Everything on the page, in words; times are local."""

    language: str
    title: str
    simulated: bool
    facts: Sequence[tuple[str, str]]
    figures: Sequence[tuple[str, str]]
    funnel: Sequence[Step]
    states: Sequence[tuple[str, str, str]]
    fates: Sequence[tuple[str, str]]
    timeline: TimelinePicture | None
    timeline_note: str
    countries: Sequence[CountryRow]
    bill: Sequence[tuple[str, str]]
    problems: Sequence[ShownProblem]
    more_problems: str


class PageWriter:
    """Gathers the content of one campaign's page."""

    def __init__(self, ledger: Ledger, campaign: CampaignView, words: Wording, zone: ZoneInfo) -> None:
        self._ledger, self._campaign, self._words, self._zone = ledger, campaign, words, zone

    def content(self, *, simulated: bool) -> PageContent:
        """What the page says now; a few seconds for a million rows."""
        words, campaign, bill = self._words, self._campaign, bill_of(self._ledger, self._campaign)
        countries = by_country(bill.groups)
        fates = fates_seen(countries)
        picture, note = self._timeline()
        problems, more = self._problems()
        return PageContent(
            language=words.language,
            title=words("sheets.title", campaign=campaign.id, file=campaign.file_name),
            simulated=simulated,
            facts=self._facts(),
            figures=self._figures(bill),
            funnel=self._funnel(bill),
            states=[
                (state.code, words(f"states.{state.code}"), words.number(n))
                for state, n in by_state(bill.groups).items()
            ],
            fates=[(str(fate), words(f"fates.{fate}")) for fate in fates],
            timeline=picture,
            timeline_note=note,
            countries=self._countries(countries, fates, bill.currency),
            bill=self._bill(bill),
            problems=problems,
            more_problems=more,
        )

    def _facts(self) -> list[tuple[str, str]]:
        words, campaign = self._words, self._campaign
        moments = [
            ("page.started", campaign.started_at),
            ("page.finished", campaign.finished_at),
            ("page.as_of", campaign.updated_at),
        ]
        facts = [
            (words("sheets.state"), words(f"campaign_states.{campaign.state.code}")),
            (words("sheets.gateway"), campaign.gateway),
        ]
        return facts + [(words(name), self._moment(at)) for name, at in moments if at is not None]

    def _figures(self, bill: CampaignBill) -> list[tuple[str, str]]:
        words, sums = self._words, bill.total.sums
        delivered = by_state(bill.groups).get(RowState.DELIVERED, 0)
        return [
            (words("sheets.messages"), words.number(sums.rows)),
            (words("fates.delivered"), f"{words.number(delivered)} ({self._percent(delivered, sums.rows)})"),
            (words("page.charged"), self._money(bill.total.charged, bill.currency)),
            (words("page.estimated"), self._money(bill.total.estimated, bill.currency)),
        ]

    def _funnel(self, bill: CampaignBill) -> list[Step]:
        states = by_state(bill.groups)
        whole = sum(states.values())
        kept_back = LEFT_OUT | {RowState.INVALID, RowState.TOO_LATE, RowState.CAPPED, RowState.CANCELLED}
        steps = (
            ("page.in_file", frozenset(RowState)),
            ("page.to_send", frozenset(RowState) - kept_back),
            ("page.accepted", SENT),
            ("page.delivered", frozenset({RowState.DELIVERED})),
        )
        counts = [(name, sum(states.get(state, 0) for state in among)) for name, among in steps]
        return [
            Step(self._words(name), self._words.number(n), self._percent(n, whole), length(n, whole, BAR))
            for name, n in counts
        ]

    def _timeline(self) -> tuple[TimelinePicture | None, str]:
        timeline = self._ledger.bills.timeline(self._campaign.id, _STRETCHES)
        if timeline is None:
            return None, ""
        names = {kind: self._words(f"page.bar_{kind}") for kind in ("sent", "delivered", "failed")}
        picture = timeline_picture(timeline, self._zone, names)
        highest = self._words.number(picture.highest)
        return picture, self._words(
            "page.timeline_note", width=_span(timeline.width), zone=self._zone.key, highest=highest
        )

    def _countries(
        self, countries: Sequence[CountryFates], fates: Sequence[Fate], currency: str
    ) -> list[CountryRow]:
        dearest = max(
            (amount for each in countries for amount in (each.estimated, each.charged) if amount),
            default=Decimal(0),
        )
        return [self._country(each, fates, currency, dearest) for each in countries]

    def _country(
        self, each: CountryFates, fates: Sequence[Fate], currency: str, dearest: Decimal
    ) -> CountryRow:
        words, delivered = self._words, each.fates.get(Fate.DELIVERED, 0)

        return CountryRow(
            country=each.country or words("sheets.no_country"),
            rows=words.number(each.rows),
            delivered=words.number(delivered),
            share=self._percent(delivered, each.sent),
            estimated=self._money(each.estimated, currency),
            charged=self._money(each.charged, currency),
            unpriced=words.number(each.unpriced),
            fates=shares([(str(fate), each.fates.get(fate, 0)) for fate in fates], BAR),
            estimated_width=length(float(each.estimated or 0), float(dearest), BAR),
            charged_width=length(float(each.charged or 0), float(dearest), BAR),
            sent=each.sent > 0,
        )

    def _bill(self, bill: CampaignBill) -> list[tuple[str, str]]:
        words, sums, said = self._words, bill.total.sums, bill.dry_run
        amounts: list[tuple[str, Decimal | None]] = [("planned", bill.planned_cost)]
        if said is not None:
            amounts.append(("dry_runs", said.cost))
        amounts += [("sent_estimated", bill.total.estimated), ("sent_charged", bill.total.charged)]
        if bill.has_bundles:
            amounts += [("from_wallet", bill.total.from_wallet), ("bundle_list_price", sums.bundled_charged)]
        lines = [(words(f"sheets.{name}"), self._money(amount, bill.currency)) for name, amount in amounts]
        if sums.unpriced:
            lines.append((words("sheets.still_unpriced"), words.number(sums.unpriced)))
        lines.append((words("sheets.differences"), words.number(bill.differing)))
        return lines

    def _problems(self) -> tuple[list[ShownProblem], str]:
        words = self._words
        groups: dict[tuple[RowState, str | None, str | None], ProblemGroup] = {}
        for problem in self._ledger.bills.problems(self._campaign.id):
            key = (problem.state, problem.reason, problem.error_code)
            if key not in groups:
                state = words(f"states.{problem.state.code}")
                title = words.reason(problem.reason) if problem.reason else state
                groups[key] = ProblemGroup(title, state, problem.error_code or "")
            groups[key].rows += 1
            if len(groups[key].examples) < _EXAMPLES:
                groups[key].examples.append(problem)
        found = sorted(groups.values(), key=lambda group: -group.rows)
        left = len(found) - _GROUPS
        return [self._shown(group) for group in found[:_GROUPS]], (
            words.count("page.more_problems", left) if left > 0 else ""
        )

    def _shown(self, group: ProblemGroup) -> ShownProblem:
        words = self._words
        wanted = [each.row for each in group.examples if each.reason in SHOWN_TEXT]
        texts = self._ledger.queries.texts(self._campaign.id, wanted) if wanted else {}
        examples = [
            Example(each.row, reason_text(words, each, texts.get(each.row)) if each.reason else group.state)
            for each in group.examples
        ]
        more = group.rows - len(examples)
        return ShownProblem(
            title=group.title,
            state=group.state,
            code=group.code,
            rows=words.count("plan.rows", group.rows),
            examples=examples,
            more=words.count("page.more_rows", more) if more else "",
        )

    def _money(self, amount: Decimal | None, currency: str) -> str:
        return self._words("plan.unknown_cost") if amount is None else self._words.money(amount, currency)

    def _percent(self, part: int, whole: int) -> str:
        if not whole:
            return "–"
        text = f"{100 * part / whole:.1f} %"
        return text if self._words.language == "en" else text.replace(".", ",")

    def _moment(self, at: datetime) -> str:
        return at.astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")


def _span(width: timedelta) -> str:
    seconds = int(width.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
