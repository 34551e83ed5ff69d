"""The catalogue of texts for people: English, Italian, Spanish.

A text is named ``section.key`` and lives in ``dispatcher/wording/<language>/<topic>.toml``; topics only keep
the files short. A table entry has parts (an error has ``message``, ``expected``, ``hint``; a counted phrase has
``one`` and ``other``). Placeholders are ``{name}``; in an error ``{name:section}`` words a code. A test holds
the three languages to the same keys and placeholders. Codes, JSON and logs never come from here, except the
English sentence of an error object.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib import resources
from string import Formatter
from typing import Any, Self

from dispatcher.errors import DispatcherError

LANGUAGES = ("en", "it", "es")


@cache
def _topics(language: str) -> Sequence[str]:
    """What the files of a language hold; to take them apart costs ten times as much as to read them."""
    folder = resources.files(__name__) / language
    files = sorted(folder.iterdir(), key=lambda entry: entry.name)
    return [file.read_text(encoding="utf-8") for file in files if file.name.endswith(".toml")]


_taken_apart = cache(tomllib.loads)


@cache
def _section(language: str, section: str) -> Mapping[str, Any]:
    """The entries of a section, from the files that have a part of it.  Raises KeyError where none has."""
    entries: dict[str, Any] = {}
    for topic in _topics(language):
        if f"[{section}]" in topic or f"[{section}." in topic:
            entries.update(_taken_apart(topic).get(section, {}))
    if not entries:
        raise KeyError(section)
    return entries


class Fact(str):
    """A fact that a sentence may name as a code: ``{found:campaign_states}`` is what that section says of it.

    What stands behind a code and a colon (``server_failed: 503``) is the ``{rest}`` of its text.  A fact that the
    section does not know is printed as it is.
    """

    _language: str

    def __new__(cls, value: str, language: str) -> Self:
        fact = super().__new__(cls, value)
        fact._language = language
        return fact

    def __format__(self, section: str) -> str:
        if not section:
            return str(self)
        code, _, rest = self.partition(": ")
        text = _section(self._language, section).get(code)
        return str(self) if text is None else str(text).format(rest=Fact(rest, self._language))


class Wording:
    """Texts in one language.

    ``language`` is one of :data:`LANGUAGES`; anything else falls back to English.
    """

    def __init__(self, language: str = "en") -> None:
        self.language = language if language in LANGUAGES else "en"

    def __call__(self, name: str, **values: Any) -> str:
        """The text called ``section.key``, its placeholders filled from ``values``.

        Raises KeyError for a name the catalogue does not have: a missing text is a bug, not a blank.
        """
        section, key = name.split(".", 1)
        entry = _section(self.language, section)[key]
        if isinstance(entry, Mapping):
            entry = entry["message"]
        return str(entry).format(**values)

    def count(self, name: str, n: int, **values: Any) -> str:
        """The counted phrase ``section.key`` for ``n`` things; the number is printed in the language's grouping."""
        section, key = name.split(".", 1)
        forms = _section(self.language, section)[key]
        return str(forms["one" if n == 1 else "other"]).format(n=self.number(n), **values)

    def number(self, n: int) -> str:
        """A whole number with the language's thousands separator (1,234 or 1.234)."""
        return f"{n:,}" if self.language == "en" else f"{n:,}".replace(",", ".")

    def money(self, amount: Decimal, currency: str) -> str:
        """An amount with at least two decimals and no needless zeros: 1,234.5678 EUR or 1.234,5678 EUR."""
        digits = max(2, -int(amount.normalize().as_tuple().exponent)) if amount else 2
        text = f"{amount:,.{digits}f}"
        if self.language != "en":
            text = text.translate(str.maketrans(",.", ".,"))
        return f"{text} {currency}"

    def error(self, error: DispatcherError) -> dict[str, str | None]:
        """``message``, ``expected`` and ``hint`` of an error, None where the catalogue has none."""
        entry = _section(self.language, "errors")[error.code]
        facts = {
            name: "" if value is None else self.fact(value) if isinstance(value, str) else value
            for name, value in error.facts().items()
        }
        return {
            part: entry[part].format(**facts) if part in entry else None
            for part in ("message", "expected", "hint")
        }

    def in_short(self, error: DispatcherError) -> str:
        """What went wrong, in one sentence; its code where the catalogue has none."""
        return self.error(error)["message"] or error.code

    def named(self, error: DispatcherError) -> set[str]:
        """The facts that the error's ``message`` names."""
        message = _section(self.language, "errors")[error.code]["message"]
        return {name for _, name, _, _ in Formatter().parse(message) if name}

    def fact(self, value: str) -> Fact:
        """A fact for a text that is no error's, where ``{name:section}`` words it all the same."""
        return Fact(value, self.language)

    def reason(self, code: str) -> str:
        """The sentence for a row's reason code."""
        return str(_section(self.language, "reasons")[code])
