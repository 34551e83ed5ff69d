"""Which endpoint of the gateway a number goes through.

The Italian and the Spanish endpoint refuse numbers of any other country (error 2013), the worldwide one takes
all.  So San Marino (+378) and the Vatican, though next door, and +39 numbers that phonenumbers places outside
Italy, go worldwide.
"""

from __future__ import annotations

from enum import StrEnum

from dispatcher.campaign.coded import Coded


class Route(StrEnum):
    """The values are those of the gateway's endpoints and of the ledger."""

    # Enum's own is a Python function, and a million rows are counted by these
    __hash__ = str.__hash__

    IT = "IT"
    ES = "ES"
    WW = "WW"


ROUTES = {"IT": Route.IT, "ES": Route.ES}


def route_of(country: str, forced: Route | None = None) -> Route:
    """The route to ``country`` (ISO); ``forced`` wins, whatever the country."""
    return forced if forced is not None else ROUTES.get(country, Route.WW)


def routes(countries: Coded, forced: Route | None = None) -> Coded:
    """``route_of`` for a column; a row without a country has no route."""
    return countries.mapped(lambda country: None if country is None else route_of(country, forced))
