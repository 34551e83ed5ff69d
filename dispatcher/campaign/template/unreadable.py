"""What a person is shown of a template that cannot be read: the piece of it where that shows, as they wrote it."""

from __future__ import annotations

import re

from dispatcher.errors import UsageError

_TAG = re.compile(r"\{(?P<kind>[{%#])(?:(?!\{[{%#]).)*?(?:\}\}|%\}|#\})", re.DOTALL)
_BEGINS = re.compile(r"\{[{%#]")
_BLOCK = re.compile(r"\{%[-+]?\s*(?P<name>(?P<end>end)?(?:if|for))\b")
_LONGEST = 60


def unreadable(source: str, line: int) -> UsageError:
    """The error for a template that Jinja refuses at ``line``; its own words are for people who write programs."""
    place = _left_open(source)
    if place is None:
        return UsageError("template_syntax", found=_on_line(source, line), line=line)
    return UsageError("template_syntax", found=_cut(source[place:]), line=source.count("\n", 0, place) + 1)


def _left_open(source: str) -> int | None:
    """Where the first ``{{``, ``{%`` or ``{#`` is that nothing closes, or the ``if`` or ``for`` without its end."""
    blocks: list[tuple[str, int]] = []
    end = 0
    for tag in _TAG.finditer(source):
        if begun := _BEGINS.search(source, end, tag.start()):
            return begun.start()
        end = tag.end()
        if block := _BLOCK.match(tag[0]):
            if not block["end"]:
                blocks.append((block["name"], tag.start()))
            elif not blocks or block["name"] != f"end{blocks.pop()[0]}":
                return tag.start()
    begun = _BEGINS.search(source, end)
    return begun.start() if begun else blocks[-1][1] if blocks else None


def _on_line(source: str, line: int) -> str:
    """The tag of a line, or the line where it has none or several."""
    lines = source.split("\n")
    text = lines[min(line, len(lines)) - 1]
    tags = [tag[0] for tag in _TAG.finditer(text)]
    return _cut(tags[0] if len(tags) == 1 else text.strip())


def _cut(text: str) -> str:
    first = text.split("\n", 1)[0]
    return first if len(first) <= _LONGEST else first[: _LONGEST - 1] + "…"
