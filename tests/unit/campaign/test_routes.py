from __future__ import annotations

import pytest

from dispatcher.campaign.coded import Coded
from dispatcher.campaign.routes import Route, route_of, routes


@pytest.mark.parametrize(
    ("country", "route"),
    [
        ("IT", Route.IT),
        ("ES", Route.ES),
        ("SM", Route.WW),
        ("VA", Route.WW),
        ("GB", Route.WW),
        ("001", Route.WW),
    ],
)
def test_only_italy_and_spain_have_a_route_of_their_own(country: str, route: Route) -> None:
    assert route_of(country) is route


@pytest.mark.parametrize("country", ["IT", "ES", "FR"])
def test_a_forced_route_wins(country: str) -> None:
    assert route_of(country, Route.WW) is Route.WW


@pytest.mark.parametrize("forced", [None, Route.WW])
def test_a_column_equals_the_rule(forced: Route | None) -> None:
    countries = Coded.of(["IT", "ES", "SM", "IT", "US"])

    assert list(routes(countries, forced)) == [route_of(country, forced) for country in countries]


def test_a_row_without_a_country_has_no_route() -> None:
    assert list(routes(Coded.of([None, "IT"]), None)) == [None, Route.IT]
    assert list(routes(Coded.of([None]), Route.WW)) == [None]
    assert len(routes(Coded.of([]), None)) == 0
