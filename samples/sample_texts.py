"""Names and messages of the samples: an invented group of clinics and shops and its invented customers."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

LANGUAGES = {
    "IT": "it", "SM": "it", "ES": "es", "GB": "en", "US": "en", "FR": "fr", "DE": "de", "CH": "de",
    "AT": "de",
}  # fmt: skip

COUNTRY_NAMES = {
    "IT": "Italia", "ES": "Spagna", "GB": "Regno Unito", "FR": "Francia", "DE": "Germania",
    "CH": "Svizzera", "US": "Stati Uniti", "SM": "San Marino", "AT": "Austria",
}  # fmt: skip

FIRST_NAMES = {
    "it": (
        "Giulia", "Marco", "Francesca", "Niccolò", "Chiara", "Davide", "Elena", "Matteo", "Noemi",
        "Lorenzo", "Ilaria", "Simone", "Beatrice", "Paolo", "Irene", "Tommaso", "Desirée", "Fabio",
        "Camilla", "Enrico", "Viola", "Pietro", "Sofia",
    ),
    "es": (
        "María", "Javier", "Lucía", "Andrés", "Carmen", "Íñigo", "Elena", "Sergio", "Inés", "Pablo",
        "Begoña", "Álvaro", "Nuria", "Rubén", "Marta", "Hugo",
    ),
    "en": ("Emily", "Jack", "Chloe", "Oliver", "Grace", "Harry", "Zoe", "Thomas", "Ruby"),
    "fr": ("Chloé", "Julien", "Hélène", "Antoine", "Françoise", "Émile", "Manon"),
    "de": ("Jürgen", "Katrin", "Björn", "Anneliese", "Lukas", "Heike", "Götz"),
}  # fmt: skip

LAST_NAMES = {
    "it": (
        "Rossini", "Bertolotti", "Cantù", "D'Amico", "Ferrarin", "Galimberti", "Lo Presti", "Mantovani",
        "Nardò", "Orlandi", "Pellegrini", "Quaranta", "Ruffini", "Santacroce", "Tassinari", "Ubaldi",
        "Vernocchi", "Zanella", "De Luca", "Marangon",
    ),
    "es": (
        "Ibáñez", "Moreno", "Núñez", "Castaño", "Vidal", "Peña", "Salcedo", "Gutiérrez", "Robles",
        "Ferrer", "Aldana", "Quiroga", "Muñoz",
    ),
    "en": ("Whitcombe", "Ashdown", "O'Leary", "Fairbrook", "Penhale", "Hollis", "Marlow"),
    "fr": ("Lefèvre", "Garnier", "Beaulieu", "Moreau", "Desprès"),
    "de": ("Weißmüller", "Brandt", "Köhler", "Sommer", "Vögele"),
}  # fmt: skip

_DAYS = {
    "it": ("lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
}  # fmt: skip
_DATES = {
    "it": "{day} {number} ottobre",
    "es": "{day} {number} de octubre",
    "en": "{day} {number} October",
    "fr": "{day} {number} octobre",
    "de": "{day}, {number}. Oktober",
}

SHOP = "Vita Shop"
CLINIC = "VitaSana"

#: language -> kind -> text; fields: name, surname, date, time, amount.
TEXTS = {
    "it": {
        "appointment": "Ciao {name}, ti aspettiamo {date} alle {time} alla Clinica Vita Sana."
        " Se non puoi venire, avvisaci allo 02 12345678.",
        "order": "Gentile {name} {surname}, il suo ordine è pronto: può ritirarlo da Vita Shop fino a {date}."
        " Da pagare: {amount} €. A presto!",
        "invoice": "Gentile {name} {surname}, la fattura di {amount} € scade {date}."
        " Se ha già pagato, ignori questo messaggio. Clinica Vita Sana",
        "closed": "Clinica Vita Sana: lunedì 1 novembre siamo chiusi per festività."
        " Riapriamo martedì 2 novembre alle 8:30. Per urgenze: 02 12345678.",
        "arrived": "Ciao {name}! È arrivato quello che aspettavi: il tuo ordine ti attende da Vita Shop"
        " fino a {date}.",
        "ready": "È pronto il tuo ordine, {name}. Ti aspettiamo da Vita Shop!",
        "course": "Ciao {name}, il corso “Schiena sana” inizia {date} alle {time}. C’è posto anche per te:"
        " prenota allo 02 12345678.",
        "birthday": "Buon compleanno {name}! 🎂 Un regalo ti aspetta da Vita Shop.",
        "test": "Gentile {name} {surname}, per l'esame di {date} alle {time}: digiuno da 8 ore, acqua"
        " permessa; porti la tessera sanitaria e gli esami precedenti. Per spostarlo ci chiami allo"
        " 02 12345678 entro il giorno prima.",
        "surgery": "Gentile {name} {surname}, il suo intervento è fissato per {date}: si presenti in"
        " accettazione alle {time}, a digiuno dalla mezzanotte. Porti con sé documento, tessera sanitaria,"
        " impegnativa, esami del sangue e l'elenco dei farmaci che prende. Non guidi nelle 24 ore successive:"
        " si faccia accompagnare da una persona di fiducia. Per ogni dubbio siamo allo 02 12345678, dal"
        " lunedì al venerdì dalle 8:30 alle 18:30.",
    },
    "es": {
        "appointment": "Hola {name}, te esperamos el {date} a las {time} en Vita Sana."
        " Si no puedes venir, avisa al 810 12 34 56. ¡Gracias!",
        "reminder": "Hola {name}, recuerda tu revisión del {date} a las {time}. Llámanos al 810 12 34 56"
        " si necesitas cambiarla.",
        "order": "Hola {name}, tu pedido está listo. ¡Te esperamos!",
        "invoice": "Hola {name}, la factura de {amount} € vence el {date}. Si ya has pagado, no hagas caso de"
        " este mensaje. Vita Sana",
        "closed": "Vita Sana: el lunes 1 de noviembre cerramos por festivo. Volvemos el martes 2 a las 9:00."
        " Urgencias: 810 12 34 56.",
    },
    "en": {
        "appointment": "Hi {name}, see you on {date} at {time} at Vita Sana."
        " Can't make it? Call us on 0121 234 5678.",
        "order": "Hi {name}, your order is ready. You can collect it from Vita Shop until {date}."
        " Amount due: €{amount}.",
        "closed": "Vita Sana will be closed on Monday 1 November and open again on Tuesday at 9 am."
        " Thank you for your patience.",
    },
    "fr": {
        "appointment": "Bonjour {name}, nous vous attendons {date} à {time} chez Vita Sana. À bientôt !",
        "order": "Bonjour {name}, votre commande est arrivée. Elle vous attend chez Vita Shop jusqu'à {date}."
        " Reste à payer : {amount} €.",
    },
    "de": {
        "appointment": "Guten Tag {name} {surname}, wir erwarten Sie am {date} um {time} Uhr bei Vita Sana."
        " Bei Verhinderung bitten wir um Ihren Anruf.",
        "order": "Guten Tag {name} {surname}, Ihre Bestellung ist da und liegt bis {date} bei Vita Shop für"
        " Sie bereit. Offener Betrag: {amount} €.",
    },
}

SHOP_KINDS = frozenset({"order", "arrived", "ready", "birthday"})


def spoken_date(when: dt.datetime, language: str) -> str:
    """``giovedì 7 ottobre``; every date of the samples is in October."""
    return _DATES[language].format(day=_DAYS[language][when.weekday()], number=when.day)


def written_amount(amount: Decimal, language: str) -> str:
    """``84,50``, in English ``84.50``."""
    text = f"{amount:.2f}"
    return text if language == "en" else text.replace(".", ",")
