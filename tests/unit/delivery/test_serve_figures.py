"""What ``serve`` says of what came in: the numbers add up."""

import pytest

from dispatcher.delivery.receiver import STATUSES, Outcome
from dispatcher.serving import Figures
from dispatcher.wording import Wording


def test_what_is_not_stored_is_counted_by_its_status() -> None:
    figures = Figures()
    figures.requests.update({Outcome.STORED: 7, Outcome.REFUSED: 3, Outcome.TOO_LONG: 1, Outcome.LIMITED: 2})
    assert figures.turned_away() == {401: 3, 413: 1, 429: 2}
    values = figures.values()
    assert values["received"] == values["stored"] + sum(figures.turned_away().values()) == 13


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.STORED])
def test_every_other_outcome_is_among_them(outcome: Outcome) -> None:
    figures = Figures()
    figures.requests[outcome] += 1
    assert figures.turned_away() == {STATUSES[outcome]: 1}


@pytest.mark.parametrize("language", ["en", "it", "es"])
@pytest.mark.parametrize("event", ["summary", "ended"])
def test_the_sentence_names_the_statuses(language: str, event: str) -> None:
    figures = Figures()
    told = Wording(language)(f"serve.{event}", **figures.values(), turned_away=4, statuses="401: 3, 413: 1")
    assert "4" in told
    assert "401: 3, 413: 1" in told
