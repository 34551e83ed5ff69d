"""Phone numbers: what a person typed becomes an E.164 mobile, or the reason why not.

Three steps, one module each: ``cleaning`` (what is written), ``numbering`` (what the numbering plans say, by
asking phonenumbers), ``reading`` (both together, for one cell and for a column).

A column is read by tables wherever they give what those three would: ``metadata`` (phonenumbers' patterns),
``patterns`` and ``automaton`` (all of them as one table), ``keeping`` (the table on disk), ``plain_cells``
(digits out of a column), ``disguised`` (``tel:`` and marks that nobody sees off them) and ``recogniser`` (the digits
through the table); ``recipients`` is what comes out.
"""

from dispatcher.campaign.phones.numbering import LIBRARY_VERSION, known_region
from dispatcher.campaign.phones.reading import Phone, PhoneColumn, read_phone, read_phones
from dispatcher.campaign.phones.recipients import Recipients

__all__ = [
    "LIBRARY_VERSION",
    "Phone",
    "PhoneColumn",
    "Recipients",
    "known_region",
    "read_phone",
    "read_phones",
]
