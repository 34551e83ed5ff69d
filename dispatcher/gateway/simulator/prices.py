"""The stand-in's price list: invented figures of a plausible size, EUR per part without VAT.

The provider publishes only "from 0.05" for the worldwide route, so nothing here is a quotation.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from dispatcher.gateway.models import Route

PART_PRICES: Mapping[Route, Decimal] = MappingProxyType(
    {Route.IT: Decimal("0.045"), Route.ES: Decimal("0.052")}
)

_BY_PRICE = {
    "0.05": "AT CA FR GB IE MT PT SE US",
    "0.055": "AU CH CY CZ EE ES FI GR HR IT LT LU LV NL NO PL RO SI SK SM",
    "0.06": "BE BG DE DK HU IS JP LI MC NZ SG ZA",
    "0.07": "AL AR BR CL CO CR CN HK IN KR MX PE TR UY",
    "0.085": "BA DO EC GE IL KE MA MD ME MK RS TH UA VN",
    "0.12": "AE DZ EG GH ID NG PH PK SA SN TN",
}

WORLD_PRICES: Mapping[str, Decimal] = MappingProxyType(
    {country: Decimal(price) for price, countries in _BY_PRICE.items() for country in countries.split()}
)
WORLD_DEFAULT = Decimal("0.15")
