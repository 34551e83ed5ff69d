"""Which column a field of a template names: in any case, with or without spaces, ``_``, ``-`` and accents."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from dispatcher.campaign.headings import heading_key
from dispatcher.errors import UsageError

_SHOWN = 30


#: From strict to lenient; the first that knows the name decides.
_KEYS: tuple[Callable[[str], str], ...] = (str.strip, lambda name: name.strip().casefold(), heading_key)


class Headings:
    """The headings of a sheet, found by the names people write in templates."""

    def __init__(self, headings: Sequence[str]) -> None:
        self.names = tuple(headings)
        self._by_key: list[dict[str, list[int]]] = []
        for key in _KEYS:
            positions: dict[str, list[int]] = {}
            for position, heading in enumerate(self.names):
                positions.setdefault(key(heading), []).append(position)
            positions.pop("", None)
            self._by_key.append(positions)

    def find(self, name: str) -> int | None:
        """The position of the column called ``name``, or None.

        Raises UsageError ``template_ambiguous_field`` when several columns are called that.
        """
        for key, positions in zip(_KEYS, self._by_key, strict=True):
            found = positions.get(key(name), [])
            if len(found) == 1:
                return found[0]
            if found:
                same = ", ".join(self.names[position] for position in found)
                raise UsageError("template_ambiguous_field", found=name.strip(), headings=same)
        return None

    def knows(self, name: str) -> bool:
        """Whether some column is called ``name``."""
        return heading_key(name) in self._by_key[-1]

    def unknown(self, name: str, line: int) -> UsageError:
        """The error for a field that no column matches; it names the most similar heading."""
        close = {heading_key(heading): heading for heading in self.names if heading.strip()}
        closest = difflib.get_close_matches(heading_key(name), close, n=1, cutoff=0.0)
        shown = [heading for heading in self.names if heading.strip()]
        more = ", …" if len(shown) > _SHOWN else ""
        return UsageError(
            "template_unknown_field",
            found=name.strip(),
            line=line,
            headings=", ".join(shown[:_SHOWN]) + more,
            closest=close[closest[0]] if closest else "",
        )
