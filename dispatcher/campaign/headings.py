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
            "|cell number|cell phone number|cell ph|cel|msisdn"
            "|cellulare|cellulari|cellul|numero cellulare|numero di cellulare|num cellulare|n cellulare"
            "|n cell|nr cellulare|telefono cellulare|telefono mobile|tel cellulare|tel cell|tel mobile"
            "|telefonino|numero mobile|utenza mobile"
            "|móvil|móviles|teléfono móvil|número móvil|número de móvil|num móvil|tel móvil|tlf móvil"
            "|tfno móvil|tlfno móvil|celular|celulares|número celular|número de celular|teléfono celular",
            within=True,
        ),
        # Also what is answered with yes or no, or with the make of a phone.
        _tier(
            "whatsapp|numero whatsapp|whatsapp number|smartphone|handset|gsm|sms number|numero sms",
            doubtful=True,
            within=True,
        ),
        _tier(
            "phone|phones|phone number|phone no|phone num|telephone|telephone number|tel|tel no|tel number"
            "|contact number|contact phone|contact no|ph|ph no|ph number"
            "|telefono|telefoni|numero telefono|numero di telefono|num telefono|n telefono|nr telefono"
            "|numero tel|n tel|recapito telefonico|recapiti telefonici|rec telefonico|recapito|recapiti"
            "|contatto telefonico|contatti telefonici|numero di contatto|numero contatto"
            "|teléfono|teléfonos|número de teléfono|número teléfono|tlf|tlfno|tfno|telf|tfn|fono"
            "|contacto telefónico|número de contacto|número contacto",
            within=True,
        ),
        _tier("number|numbers|numero|numeri|números|num|nr|no|n", doubtful=True),
        _tier(
            "recipient|recipients|to|contact|contacts|destinatario|destinatari|destinatarios"
            "|contatto|contatti|contacto|contactos|utenza|utenze",
            doubtful=True,
        ),
    ),
    Role.MESSAGE: (
        _tier(
            "message|messages|message text|text message|message body|sms text|sms message|sms body|msg"
            "|msg text|messaggio|messaggi|testo messaggio|testo del messaggio|testo sms|testo dell'sms"
            "|messaggio sms|testo da inviare|messaggio da inviare|sms da inviare|text to send|message to send"
            "|texto a enviar|mensaje a enviar|sms a enviar"
            "|mensaje|mensajes|texto mensaje|texto del mensaje|texto sms|texto del sms"
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

# Numbers of somebody who stands in for the person of the row: taken only when no other column can be meant.
_OF_SOMEBODY_ELSE = _keys(
    "relative|kin|parent|parents|mother|father|mum|mom|dad|spouse|wife|husband|partner|guardian|carer|caregiver"
    "|referente|genitore|genitori|madre|padre|mamma|papà|coniuge|moglie|marito|figlio|figlia|tutore|parente"
    "|parenti|familiare|familiari|famigliare|badante|accompagnatore"
    "|padres|tutor|tutora|cónyuge|esposo|esposa|marido|mujer|hijo|hija|familiar|pariente|cuidador|cuidadora"
    "|acompañante"
)

# Numbers of people who must not get the text, and numbers that get none: never taken unless named by option.
_NOT_THE_RECIPIENTS = _keys(
    "emergency|doctor|physician|gp|staff|operator|agent|salesman|sales rep|technician|driver"
    "|old|former|previous|wrong|invalid|inactive|landline|fax"
    "|emergenza|emergenze|urgenza|urgenze|medico|dottore|dottoressa|operatore|operatrice|agente|tecnico"
    "|venditore|autista|vecchio|vecchia|ex|precedente|errato|inattivo|disattivato|fisso|fissi"
    "|emergencia|emergencias|urgencia|urgencias|médico|médica|doctora|operador|operadora|técnico|vendedor"
    "|conductor|viejo|antiguo|anterior|erróneo|inactivo|fijo|fijos"
)

# Digits that only look like a number: an order 3331234567 is nobody's mobile.
_NO_PHONES = _keys(
    "id|code|order|invoice|customer no|account|contract|policy|ticket|barcode|ean|sku|vat|iban|card|zip|date"
    "|codice|cod|ordine|fattura|partita iva|p iva|piva|contratto|polizza|pratica|matricola|tessera|cap|data"
    "|código|pedido|factura|nif|cif|dni|nie|contrato|póliza|expediente|tarjeta|fecha"
)

# Prose that was written about people, not to them: never taken for the text because it reads like one.
_NOT_FOR_THE_RECIPIENT = _keys(
    "note|notes|comment|comments|remark|remarks|description|address|memo|internal|diagnosis|history|feedback"
    "|reason|treatment|therapy|service|services|symptoms|allergies|condition|report|result|results|exam|request"
    "|product|products|item|items|subject|summary|details|order|consent|privacy"
    "|nota|commento|commenti|osservazioni|osservazione|descrizione|indirizzo|interno|interna|interne"
    "|anamnesi|diagnosi|storico|annotazione|annotazioni|motivo|prestazione|prestazioni|trattamento|trattamenti"
    "|terapia|cura|servizio|servizi|sintomi|allergie|patologia|patologie|referto|esito|esame|esami|visita|storia"
    "|richiesta|prodotto|prodotti|articolo|articoli|oggetto|dettagli|ordine|consenso"
    "|notas|comentario|comentarios|observaciones|observación|descripción|dirección|diagnóstico|historial"
    "|prestación|prestaciones|tratamiento|tratamientos|servicio|servicios|síntomas|alergias|patología|informe"
    "|resultado|resultados|prueba|pruebas|historia|solicitud|producto|productos|artículo|artículos|asunto"
    "|detalles|pedido|consentimiento|consulta"
)


def rank(heading: str, role: Role) -> Rank | None:
    """How well ``heading`` names ``role``, or None.  A trailing number does not count (``Mobile 2``).

    The number of a doctor or a mother is not that of the patient, however well it is headed.
    """
    whole = _bare(heading).rstrip("0123456789")
    parts = _parts(heading)
    if role is Role.PHONE and not parts.isdisjoint(_OF_SOMEBODY_ELSE | _NOT_THE_RECIPIENTS):
        return None
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


def speaks_against_phone(heading: str) -> bool:
    """Whether the heading says that its numbers are nobody's to text, or no phone numbers at all."""
    return not _parts(heading).isdisjoint(_NOT_THE_RECIPIENTS | _NO_PHONES)


def _parts(heading: str) -> frozenset[str]:
    """Every run of neighbouring words as one key."""
    words = [_bare(word) for word in re.split(r"[\W_]+", heading) if word][:_WORDS_READ]
    places = range(len(words))
    return frozenset("".join(words[start : end + 1]) for start in places for end in places[start:])
