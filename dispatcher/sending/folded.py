"""Where the values come from that a covering set compares by their shape only: for the person to know."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from dispatcher.sending.covering import Kind, folded_part

_FIELD = re.compile(r"\{\{[-+]?(.*?)[-+]?\}\}", re.DOTALL)
_WORD = re.compile(r"\S+")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Folded:
    """Some kind of value that was compared by its shape; ``field`` is None when no single field gave it."""

    field: str | None
    kind: Kind


def folded_in(template: str | None, texts: Iterable[str]) -> list[Folded]:
    """What was folded in ``texts``, in a stable order, each by the field of the template that holds it.

    The field is None without a template (a message column), and where a text is no plain join of the template's
    fields.  What the template itself writes is in every text as it is, and is not named.
    """
    plain = _Fields(template) if template and "{%" not in template else None
    found: set[Folded] = set()
    for text in texts:
        flat = " ".join(text.split())
        words = [(word.start(), word.end(), *folded_part(word[0])) for word in _WORD.finditer(flat)]
        folded = [(start + skipped, end, what) for start, end, what, skipped in words if what]
        if not folded:
            continue
        fields = plain.spans(flat) if plain else None
        for start, end, what in folded:
            names = [None] if fields is None else _givers(fields, flat, start, end, what)
            found.update(Folded(name, kind) for name in names for kind in what)
    return sorted(found, key=lambda each: (each.field or "", each.kind))


def _givers(
    fields: list[tuple[str, int, int]], text: str, start: int, end: int, what: Iterable[Kind]
) -> list[str | None]:
    """The fields that gave the digits, or the piece of a link's path, between ``start`` and ``end``."""
    givers: list[str | None] = []
    for name, first, last in fields:
        part = text[max(first, start) : min(last, end)]
        if part and (Kind.LINK in what or any(map(str.isdecimal, part))):
            givers.append(name)
    return givers


class _Fields:
    """Takes a text apart into what each field of a plain template gave."""

    def __init__(self, template: str) -> None:
        parts = _FIELD.split(template.strip())
        self._start = _SPACE.sub(" ", parts[0])
        self._names: list[str] = []
        self._fixed: list[str] = []  # after each of the names
        for name, fixed in zip(parts[1::2], parts[2::2], strict=True):
            heading = name.partition("|")[0].strip()
            if self._names and not self._fixed[-1]:  # two fields without anything between
                self._names[-1] += f", {heading}"
                self._fixed[-1] = _SPACE.sub(" ", fixed)
            else:
                self._names.append(heading)
                self._fixed.append(_SPACE.sub(" ", fixed))

    def spans(self, text: str) -> list[tuple[str, int, int]] | None:
        """Name, start and end of each field's value in a text without needless spaces; None when it does not fit."""
        if not text.startswith(self._start):
            return None
        spans, at = [], len(self._start)
        for position, (name, fixed) in enumerate(zip(self._names, self._fixed, strict=True)):
            end = text.find(fixed, at)
            if position == len(self._names) - 1:
                end = len(text) - len(fixed) if text.endswith(fixed) else -1
            if end < at:
                return None
            spans.append((name, at, end))
            at = end + len(fixed)
        return spans
