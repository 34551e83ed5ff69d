"""What one would write first: pandas, phonenumbers and Jinja2, row by row.  ``python -m tests.benchmarks.naive FILE``

In a file of its own, since the program tunes phonenumbers where it is imported.  Prints seconds and processor seconds.
"""

from __future__ import annotations

import sys
import time

import pandas as pd
import phonenumbers
from jinja2.sandbox import SandboxedEnvironment

TEMPLATE = "Gentile {{ Nome }} {{ Cognome }}, la aspettiamo a {{ Città }} il {{ Data }}. Studio Sole"
MOBILES = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)


def plan(file: str) -> int:
    """The parts of all messages."""
    template = SandboxedEnvironment().from_string(TEMPLATE)
    seen, parts = set(), 0
    for row in pd.read_csv(file, dtype=str, keep_default_na=False).to_dict("records"):
        try:
            number = phonenumbers.parse(row["Cellulare"], "IT")
        except phonenumbers.NumberParseException:
            continue
        if not phonenumbers.is_valid_number(number) or phonenumbers.number_type(number) not in MOBILES:
            continue
        recipient = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        text = template.render(row)
        if (recipient, text) not in seen:
            seen.add((recipient, text))
            parts += -(-len(text) // (153 if text.isascii() else 67))
    return parts


if __name__ == "__main__":
    started, processor = time.perf_counter(), time.process_time()
    plan(sys.argv[1])
    sys.stdout.write(f"{time.perf_counter() - started:.3f} {time.process_time() - processor:.3f}\n")
