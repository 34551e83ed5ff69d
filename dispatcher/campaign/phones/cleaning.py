"""What is written in a phone cell: digits, a plus, and what had to be taken away to see them.

Nothing here knows a numbering plan.  A cell is first rewritten with one ASCII character per meaning (every
dash is ``-``, every bracket ``(`` or ``)``, every digit 0 to 9), so that the rules are plain patterns.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from dispatcher.campaign.reasons import Reason, Repair

# Longer cells cannot be a number however many marks they carry; keeps every pattern below cheap.
_LONGEST_CELL = 200
# A shorter run of digits beside a separator is a prefix or a group, not a number of its own.
_SHORTEST_NUMBER = 5


@dataclass(frozen=True, slots=True)
class Written:
    """A cell that may be one number.

    ``digits`` holds only 0 to 9 and at least one of them.
    ``plus``: a ``+`` stands in front.
    ``trunk``: where in ``digits`` the zero of a ``(0)`` stands.
    ``joints``: the places in ``digits`` where a second number might begin (a slash, a comma, a new line, a
    bracket late in the text).
    ``gaps``: every place with a separator.
    """

    digits: str
    plus: bool
    repairs: Repair
    trunk: int | None = None
    joints: tuple[int, ...] = ()
    gaps: tuple[int, ...] = ()


_PLAIN = re.compile(r"\+?[0-9]+")
_PRINTABLE_ASCII = re.compile(r"[ -~]*")
_SAME_MEANING = str.maketrans('_[]{}\\"`', "-()()/''")

_OTHER_DASHES = "\u2212\u2043\u02d7\u30fc\uff70\u2796"  # minus, bullet, modifier, long vowel marks, emoji
_OTHER_DOTS = "\u00b7\u2022\u2219\u2024\u3002\uff0e\uff61\u30fb\uff65"
_OTHER_SLASHES = "\u2044\u2215\uff0f\uff3c"
_OTHER_PLUSES = "\uff0b\ufe62\u2795\u207a"
_OTHER_QUOTES = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u2032\u00b4\u02bc\uff07\uff02"
_OTHER_COMMAS = "\uff0c\u3001\u060c"
_TELEPHONE_SIGNS = "\u260e\u260f\u2706\u2121\U0001f4de\U0001f4f1\U0001f4f2\U0001f57f"
_NO_BREAK_SPACES = "\u00a0\u202f\u2007"
_MARKS_WITHOUT_WIDTH = "\u034f" + "".join(chr(code) for code in range(0xFE00, 0xFE10))
# Right-to-left override: a person sees the digits in the other order than they would be dialled in.
_REVERSING = "\u202e"


@lru_cache(maxsize=4096)
def _meaning(character: str) -> tuple[str, Repair]:
    """The ASCII character of the same meaning (or itself, when it has none) and the repair that is."""
    category = unicodedata.category(character)
    value = unicodedata.decimal(character, None)
    for characters, same, repair in (
        (_REVERSING, "?", Repair.NONE),
        (_NO_BREAK_SPACES, " ", Repair.INVISIBLE),
        (_MARKS_WITHOUT_WIDTH, "", Repair.INVISIBLE),
        (_OTHER_PLUSES, "+", Repair.FULLWIDTH),
        (_OTHER_DASHES, "-", Repair.NONE),
        (_OTHER_DOTS, ".", Repair.NONE),
        (_OTHER_SLASHES, "/", Repair.NONE),
        (_OTHER_QUOTES, "'", Repair.NONE),
        (_OTHER_COMMAS, ",", Repair.NONE),
        ("\uff1b", ";", Repair.NONE),
        ("\uff1a", ":", Repair.NONE),
        (_TELEPHONE_SIGNS, "tel:", Repair.NONE),
        ("\t", " ", Repair.NONE),
        ("\n\r\x0b\x0c\x85\u2028\u2029", "\n", Repair.NONE),
    ):
        if character in characters:
            return same, repair
    if value is not None:
        return str(value), Repair.NONE if character.isascii() else Repair.FULLWIDTH
    by_category = {"Cf": "", "Cc": "", "Zs": " ", "Pd": "-", "Ps": "(", "Pe": ")"}
    if category in by_category and not (character.isascii() and character.isprintable()):
        return by_category[category], Repair.INVISIBLE if category in ("Cf", "Cc") else Repair.NONE
    return character.translate(_SAME_MEANING), Repair.NONE


def _one_character_per_meaning(text: str) -> tuple[str, Repair]:
    if _PRINTABLE_ASCII.fullmatch(text):
        return text.translate(_SAME_MEANING), Repair.NONE
    repairs = Repair.NONE
    characters = []
    for character in text:
        same, repair = _meaning(character)
        characters.append(same)
        repairs |= repair
    return "".join(characters), repairs


_ERROR_CELL = re.compile(r"#[^\s\d]*(?:/0!?)?[!?]*|err:\d+", re.IGNORECASE)
_NOTHING = re.compile(r"n/a|na|n\.a\.?|nd|n\.d\.?|nan|nat|none|null|<na>|nil", re.IGNORECASE)
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?(?:z| ?[+-]\d{2}:?\d{2})?"
_DATE = re.compile(
    rf"(?:(?P<a>\d{{1,2}})(?P<s>[/.-])(?P<b>\d{{1,2}})(?P=s)(?:(?:19|20)?\d\d)"
    rf"|(?:19|20)\d\d(?P<t>[/.-])(?P<c>\d{{1,2}})(?P=t)(?P<d>\d{{1,2}}))(?:(?: |t|, ?){_TIME})?|{_TIME}",
    re.IGNORECASE,
)
_FORCED_TEXT = re.compile(r"=?\s*'+(?P<inside>[^']*)'?|=(?P<formula>[+\d].*)", re.DOTALL)
_LABELS = (
    "tel|telefono|teléfono|telephone|tlf|tfno|phone|mobile|mob|cell|cellulare|cel|celular|móvil|movil|gsm"
    "|sms|whatsapp|callto"
)
_LABEL = re.compile(rf"(?:{_LABELS})(?![^\W\d_])[\s.:]*(?://)?\s*", re.IGNORECASE)
_BETWEEN_TWO = re.compile(
    rf"(?<=\d)(?:\s+(?:o|oppure|or|e|ed|and|y|u|et|ou|und|oder)\s+|[\s/,;.-]*\b(?:{_LABELS})\b[\s.:]*)(?=[+(\d])",
    re.IGNORECASE,
)
_SCIENTIFIC = re.compile(r"\+?(?P<whole>\d+)(?:[.,](?P<fraction>\d*))?\s?[eE](?P<exponent>[+-]?\d{1,3})")
_DECIMAL_ZERO = re.compile(r"(\+?\d{6,})[.,]0+")
_FRACTION = re.compile(r"\+?\d{7,}[.,]\d{1,2}")
_NEGATIVE = re.compile(r"-\d+(?:[.,]\d*)?")
_LETTER = re.compile(r"[^\W\d_]")
_HARD_JOINT = re.compile(r"[;|&]|(?<=\d)[\s().\-/,']*\+")
_NUMBER = re.compile(r"[+0-9 ().\-/,\n']+")
_TRUNK = re.compile(r"(?P<before>[^/,\n]*?)\( ?0 ?\)")


def read_writing(text: str) -> Written | Reason:
    """What ``text`` has of a phone number, or why it has none (or more than one).

    Any Unicode string is answered.  Repairs found here: all but the lost plus, the trunk zero, the country.
    """
    if _PLAIN.fullmatch(text) and len(text) <= _LONGEST_CELL:
        return _with_prefix(text, Repair.NONE)
    if not (trimmed := text.strip()):
        return Reason.PHONE_MISSING
    if len(trimmed) > _LONGEST_CELL:
        return Reason.PHONE_LETTERS if _LETTER.search(trimmed) else Reason.PHONE_TOO_LONG
    core, repairs = _one_character_per_meaning(trimmed)
    if core.strip() != core or len(trimmed) != len(text):
        repairs |= Repair.SEPARATORS
    core = core.strip()
    core, found = _without_wrapping(core)
    repairs |= found
    if reason := _not_a_number(core):
        return reason
    if exact := _SCIENTIFIC.fullmatch(core):
        return _written_out(exact, repairs)
    if whole := _DECIMAL_ZERO.fullmatch(core):
        return _with_prefix(whole[1], repairs | Repair.DECIMAL_ZERO)
    return _one_number(core, repairs)


def _without_wrapping(core: str) -> tuple[str, Repair]:
    """Without what forces a cell to be text (``'…``, ``="…"``) and without ``tel:`` and its like."""
    repairs = Repair.NONE
    if forced := _FORCED_TEXT.fullmatch(core):
        core = (forced["inside"] if forced["inside"] is not None else forced["formula"]).strip()
        repairs |= Repair.APOSTROPHE
    if label := _LABEL.match(core):
        core = core[label.end() :].strip()
        repairs |= Repair.TEL_SCHEME
    return core, repairs


def _not_a_number(core: str) -> Reason | None:
    if not core or _NOTHING.fullmatch(core):
        return Reason.PHONE_MISSING
    if _ERROR_CELL.fullmatch(core):
        return Reason.PHONE_ERROR_CELL
    if (date := _DATE.fullmatch(core)) and _could_be_a_day(date):
        return Reason.PHONE_IS_DATE
    # =39-333-1234567 is a subtraction in a spreadsheet: what it left behind is some other number.
    if _NEGATIVE.fullmatch(core) or (_FRACTION.fullmatch(core) and not _DECIMAL_ZERO.fullmatch(core)):
        return Reason.PHONE_NOT_VALID
    return None


def _could_be_a_day(date: re.Match[str]) -> bool:
    pair = (date["a"], date["b"]) if date["a"] else (date["c"], date["d"])
    if pair[0] is None:
        return True  # a time of day alone
    low, high = sorted(int(part) for part in pair)
    return 1 <= low <= 12 and high <= 31


def _written_out(match: re.Match[str], repairs: Repair) -> Written | Reason:
    """3.93331234567E+11 has all its digits when the fraction is as long as the exponent."""
    fraction, exponent = match["fraction"] or "", int(match["exponent"])
    if exponent < 0 or len(fraction.rstrip("0")) > exponent:
        return Reason.PHONE_NOT_VALID
    if len(fraction) < exponent:
        return Reason.PHONE_DIGITS_LOST
    return _with_prefix(match["whole"] + fraction[:exponent], repairs | Repair.SCIENTIFIC)


def _one_number(core: str, repairs: Repair) -> Written | Reason:
    core = _BETWEEN_TWO.sub(" ; ", core)
    if _LETTER.search(core):
        return Reason.PHONE_LETTERS
    sides = [count for side in _HARD_JOINT.split(core) if (count := sum(map(str.isdigit, side)))]
    if len(sides) > 1:
        return Reason.PHONE_TWO_NUMBERS if max(sides) >= _SHORTEST_NUMBER else Reason.PHONE_NOT_VALID
    if (trimmed := core.strip(" ;|&\n,")) != core:
        core, repairs = trimmed, repairs | Repair.SEPARATORS
    if not any(map(str.isdigit, core)):
        return Reason.PHONE_MISSING if _NUMBER.fullmatch(core) or not core else Reason.PHONE_NOT_VALID
    if not _NUMBER.fullmatch(core) or "+" in core.lstrip("+ ().-/,\n'"):
        return Reason.PHONE_NOT_VALID
    return _without_separators(core, repairs)


def _without_separators(core: str, repairs: Repair) -> Written | Reason:
    digits, joints, gaps = [], [], []
    for character in core:
        if character.isdigit():
            digits.append(character)
        elif digits:
            gaps.append(len(digits))
            # A bracket early in the text is an area code; late, it may be an extension.
            if character in "/,\n" or (character == "(" and len(digits) > _SHORTEST_NUMBER):
                joints.append(len(digits))
    plain = "".join(digits)
    trunk = _TRUNK.match(core)
    written = _with_prefix(f"+{plain}" if "+" in core else plain, repairs)
    shift = len(plain) - len(written.digits)
    if core not in (plain, f"+{plain}"):
        repairs = written.repairs | Repair.SEPARATORS
    return Written(
        digits=written.digits,
        plus=written.plus,
        repairs=repairs | written.repairs,
        trunk=_place_of_trunk(trunk, shift),
        joints=_inside(joints, shift, written.digits),
        gaps=_inside(gaps, shift, written.digits),
    )


def _inside(places: list[int], shift: int, digits: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(place - shift for place in places if 0 < place - shift < len(digits)))


def _place_of_trunk(trunk: re.Match[str] | None, shift: int) -> int | None:
    """Where the zero of ``(0)`` stands, when all before it can be a country code (at most three digits)."""
    if trunk is None:
        return None
    place = sum(map(str.isdigit, trunk["before"])) - shift
    return place if 0 <= place <= 3 else None


def _with_prefix(plain: str, repairs: Repair) -> Written:
    """``+…`` or ``00…`` or digits alone; ``plain`` holds nothing else."""
    plus, digits = plain.startswith("+"), plain.lstrip("+")
    if digits.startswith("00") and len(digits) > 2:
        return Written(digits[2:], plus=True, repairs=repairs | Repair.DOUBLE_ZERO)
    return Written(digits, plus=plus, repairs=repairs)
