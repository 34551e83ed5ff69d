"""Phone numbers: what a person typed becomes an E.164 mobile, or the reason why not.

Three steps, one module each: ``cleaning`` (what is written), ``numbering`` (what the numbering plans say;
the only place that asks phonenumbers), ``reading`` (both together, for one cell and for a column).
"""

from dispatcher.campaign.phones.numbering import LIBRARY_VERSION, known_region
from dispatcher.campaign.phones.reading import Phone, PhoneColumn, read_phone, read_phones

__all__ = ["LIBRARY_VERSION", "Phone", "PhoneColumn", "known_region", "read_phone", "read_phones"]
