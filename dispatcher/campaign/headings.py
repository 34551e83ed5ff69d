"""How people head the columns of numbers, texts and senders, in English, Italian and Spanish."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

# Combining marks, invisible marks, control characters, spaces, dashes.
_NOT_IN_A_KEY = frozenset({"Mn", "Cf", "Cc", "Zs", "Pd"})
_WORDS_READ = 12


class Role(StrEnum):
    """What a column is needed for."""

    PHONE = "phone"
    MESSAGE = "message"
    SENDER = "sender"


@dataclass(frozen=True, slots=True)
class Rank:
    """How well a heading fits a role: a lower ``place`` is better, equal places are equally good.

    ``doubtful``: such a heading is also used for other things, so the cells have to agree.
    """

    place: int
    doubtful: bool


@dataclass(frozen=True)
class _Tier:
    """Headings of one rank; with ``within``, one of them may also be a part of a longer heading."""

    headings: frozenset[str]
    doubtful: bool = False
    within: bool = False


def heading_key(heading: str) -> str:
    """What all spellings of a heading share: no case, accents, spaces, ``_``, ``-`` or invisible marks."""
    return "".join(
        character
        for character in unicodedata.normalize("NFKD", heading).casefold()
        if character != "_" and unicodedata.category(character) not in _NOT_IN_A_KEY
    )


def _bare(heading: str) -> str:
    """The key without punctuation: ``Tel.`` and ``Tel`` are one heading."""
    return "".join(character for character in heading_key(heading) if character.isalnum())


def _keys(headings: str) -> frozenset[str]:
    return frozenset(map(_bare, headings.split("|")))


def _tier(headings: str, *, doubtful: bool = False, within: bool = False) -> _Tier:
    return _Tier(_keys(headings), doubtful=doubtful, within=within)


_TIERS = {
    Role.PHONE: (
        _tier(
            "mobile|mobile phone|mobile number|mobile phone number|mobile no|mobile tel|mob|cell|cell phone"
            "|cell number|cell phone number|handset|smartphone|gsm|msisdn|sms number|whatsapp"
            "|cellulare|cellulari|cellul|numero cellulare|numero di cellulare|num cellulare|n cellulare"
            "|n cell|nr cellulare|telefono cellulare|telefono mobile|tel cellulare|tel cell|tel mobile"
            "|telefonino|numero mobile|numero sms"
            "|móvil|móviles|teléfono móvil|número móvil|número de móvil|num móvil|tel móvil|tlf móvil"
            "|tfno móvil|celular|número celular|número de celular|teléfono celular",
            within=True,
        ),
        _tier(
            "phone|phones|phone number|phone no|phone num|telephone|telephone number|tel|tel no|tel number"
            "|contact number|contact phone|contact no"
            "|telefono|telefoni|numero telefono|numero di telefono|num telefono|n telefono|nr telefono"
            "|numero tel|n tel|recapito telefonico|recapito|contatto telefonico"
            "|teléfono|teléfonos|número de teléfono|número teléfono|tlf|tfno|telf|tfn",
            within=True,
        ),
        _tier("number|numbers|numero|numeri|números|num|nr|no|n", doubtful=True),
        _tier(
            "recipient|recipients|to|contact|destinatario|destinatari|destinatarios|contatto|contacto",
            doubtful=True,
        ),
    ),
    Role.MESSAGE: (
        _tier(
            "message|messages|message text|text message|message body|sms text|sms message|sms body|msg"
            "|msg text|messaggio|messaggi|testo messaggio|testo del messaggio|testo sms|testo dell'sms"
            "|messaggio sms|mensaje|mensajes|texto mensaje|texto del mensaje|texto sms|texto del sms"
            "|mensaje sms"
        ),
        _tier("text|testo|texto"),
        _tier("sms|body|content|corpo|contenuto|cuerpo|contenido", doubtful=True),
    ),
    Role.SENDER: (
        _tier(
            "sender|sender id|sender name|sms sender|sender alias|alphanumeric sender"
            "|mittente|nome mittente|mittente sms|alias mittente"
            "|remitente|nombre remitente|remitente sms|alias remitente"
        ),
        _tier("alias|from|originator", doubtful=True),
    ),
}

# Prose that was written about people, not to them: never taken for the text because it reads like one.
_NOT_FOR_THE_RECIPIENT = _keys(
    "note|notes|comment|comments|remark|remarks|description|address|memo|internal|diagnosis|history|feedback"
    "|nota|commento|commenti|osservazioni|osservazione|descrizione|indirizzo|interno|interna|interne"
    "|anamnesi|diagnosi|storico|annotazioni"
    "|notas|comentario|comentarios|observaciones|observación|descripción|dirección|diagnóstico|historial"
)


def rank(heading: str, role: Role) -> Rank | None:
    """How well ``heading`` names ``role``, or None.  A trailing number does not count (``Mobile 2``)."""
    whole = _bare(heading).rstrip("0123456789")
    parts = _parts(heading)
    for place, tier in enumerate(_TIERS[role]):
        if whole in tier.headings:
            return Rank(2 * place, tier.doubtful)
        if tier.within and not tier.headings.isdisjoint(parts):
            return Rank(2 * place + 1, doubtful=True)
    return None


def is_ours(heading: str) -> bool:
    """Whether a report of ours wrote the column; such columns are not read again."""
    return heading.strip().casefold().startswith("sms_")


def speaks_against_text(heading: str) -> bool:
    """Whether the heading says that the column is about the recipient rather than for them."""
    return not _NOT_FOR_THE_RECIPIENT.isdisjoint(_parts(heading))


def _parts(heading: str) -> frozenset[str]:
    """Every run of neighbouring words as one key."""
    words = [_bare(word) for word in re.split(r"[\W_]+", heading) if word][:_WORDS_READ]
    places = range(len(words))
    return frozenset("".join(words[start : end + 1]) for start in places for end in places[start:])
