from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.columns import Chosen, ColumnOptions, Columns, How, choose_columns, heading_key
from dispatcher.errors import DispatcherError, FileError, UsageError
from dispatcher.wording import LANGUAGES, Wording

MOBILES = ["333 1234567", "+393337654321", "347 1112223", "3200000000"]
LANDLINES = ["02 12345678", "06 12345678", "011 1234567", "02 12345679"]
NAMES = ["Anna", "Bruno", "Carla Rossi", "Dario"]
TEXTS = [
    "Gentile Anna, la aspettiamo domani alle dieci in studio.",
    "Ciao Bruno, il tuo ordine è pronto e ti aspetta in negozio.",
    "Carla, ricorda la visita di controllo di lunedì prossimo.",
    "Dario, da oggi i saldi: fino al trenta per cento su tutto.",
]
YES = ["sì", "no", "sì", "sì"]
VAT_NUMBERS = ["12345678901", "12025550123", "12125550199", "13105550123"]


def choose(
    columns: dict[str, list[str]] | list[tuple[str, list[str]]],
    options: ColumnOptions | None = None,
    *,
    has_template: bool = True,
) -> Columns:
    pairs = list(columns.items()) if isinstance(columns, dict) else columns
    headings = [heading for heading, _ in pairs]
    return choose_columns(
        headings,
        pa.RecordBatch.from_arrays([pa.array(cells, pa.string()) for _, cells in pairs], names=headings),
        options or ColumnOptions(),
        default_region="IT",
        has_template=has_template,
        file="clienti.xlsx",
        sheet="Foglio1",
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Phone Number", "phone_number"),
        ("PHONE-NUMBER", "phonenumber"),
        ("Móvil", "movil"),
        ("Cellulare ", "\ufeffcellulare"),
        ("Numero\u00a0di telefono", "numero di\ntelefono"),
        ("Straße", "STRASSE"),
        ("e\u0301tat", "état"),
        ("a\u2013b", "A B"),
    ],
)
def test_spellings_of_one_heading(one: str, other: str) -> None:
    assert heading_key(one) == heading_key(other)


@pytest.mark.parametrize(("one", "other"), [("Phone 1", "Phone 2"), ("Tel.", "Tel"), ("a/b", "ab")])
def test_headings_that_differ(one: str, other: str) -> None:
    assert heading_key(one) != heading_key(other)


@given(st.text(max_size=20))
def test_a_key_is_its_own_key(heading: str) -> None:
    assert heading_key(heading_key(heading)) == heading_key(heading)


@pytest.mark.parametrize(
    "heading",
    [
        "Phone",
        "Mobile",
        "MOBILE PHONE",
        "mobile_number",
        "Cell",
        "Tel.",
        "Telephone",
        "MSISDN",
        "GSM",
        "Mobile 1",
        "Mobile*",
        "Telefono",
        "Cellulare",
        "Numero di telefono",
        "n. cellulare",
        "Cellulare cliente",
        "Recapito telefonico",
        "N° tel.",
        "Teléfono",
        "Móvil",
        "movil",
        "Número de móvil",
        "Tlf.",
        "Celular",
        "Phone (mobile)",
        "Customer mobile",
        "Number",
        "Numero",
        "Número",
        "Recipient",
        "Destinatario",
        "N. cell.",
        "Cell. paziente",
        "Tfno. móvil",
        "Tlfno",
        "Recapito",
        "Recapiti",
        "Rec. telefonico",
        "WhatsApp",
        "Teléfono móvil 1",
        "Cel.",
        "Ph no",
        "Contatti",
        "Contacto telefónico",
        "Número de contacto",
        "📞 Cellulare",
    ],
)
def test_phone_headings(heading: str) -> None:
    assert choose({"Nome": NAMES, heading: MOBILES}).phone == Chosen(heading, How.HEADING)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("Mobile", "Phone"),
        ("Cellulare", "Telefono"),
        ("Móvil", "Teléfono"),
        ("Customer mobile", "Phone"),
        ("Phone", "Number"),
        ("Telefono", "Numero"),
        ("Mobile", "Mobile of a relative"),
        ("Telefono", "Destinatario"),
        ("Phone", "Work phone"),
        ("Cellulare", "WhatsApp"),
        ("Numero WhatsApp", "Telefono"),
    ],
)
def test_the_better_heading_wins_whatever_the_order(better: str, worse: str) -> None:
    assert choose({better: MOBILES, worse: MOBILES}).phone.heading == better
    assert choose({worse: MOBILES, better: MOBILES}).phone.heading == better


@pytest.mark.parametrize(
    ("doubtful", "cells"),
    [
        ("Tipo cellulare", ["iPhone", "Android", "iPhone", ""]),
        ("Mobile verified", YES),
        ("Cell provider", NAMES),
        ("Numero", ["12", "13", "14", "15"]),
        ("Destinatario", NAMES),
        ("Mobile opt-out", ["", "", "", ""]),
        ("WhatsApp", YES),
        ("Smartphone", NAMES),
        ("Mobile", YES),
        ("Cellulare", ["", "", "", ""]),
    ],
)
def test_a_doubtful_heading_needs_cells_that_agree(doubtful: str, cells: list[str]) -> None:
    assert choose({doubtful: cells, "Telefono": MOBILES}).phone.heading == "Telefono"


@pytest.mark.parametrize(
    "heading",
    [
        "Cellulare medico",
        "Móvil del médico",
        "Emergency contact mobile",
        "Cellulare emergenza",
        "Vecchio cellulare",
        "Old mobile",
        "Ex cell.",
        "Mobile of next of kin",
        "Cell. madre",
        "Cellulare referente",
        "Móvil tutor",
        "Fax mobile",
    ],
)
@pytest.mark.parametrize("own", ["Telefono", "Numero", "Contact", "Teléfono"])
def test_the_number_of_somebody_else_is_not_taken(heading: str, own: str) -> None:
    others = [*reversed(MOBILES)]

    assert choose({heading: others, own: MOBILES}).phone == Chosen(own, How.HEADING)


@pytest.mark.parametrize("heading", ["Cell. madre", "Mobile (parent)", "Cellulare referente", "Móvil tutor"])
def test_somebody_elses_number_is_taken_when_it_is_the_only_one(heading: str) -> None:
    assert choose({"Nome": NAMES, heading: MOBILES}).phone == Chosen(heading, How.CONTENT)
    with pytest.raises(FileError) as error:
        choose({"Numero paziente": MOBILES, heading: [*reversed(MOBILES)]})
    assert error.value.code == "columns_ambiguous"


@pytest.mark.parametrize(
    "heading",
    ["Cellulare medico", "Emergency mobile", "Móvil antiguo", "ID", "Numero ordine", "P. IVA", "Código"],
)
def test_numbers_that_are_nobodys_to_text_need_the_option(heading: str) -> None:
    with pytest.raises(FileError) as error:
        choose({"Nome": NAMES, heading: MOBILES})
    assert error.value.code == "columns_no_phone"
    assert choose({heading: MOBILES}, ColumnOptions(phone=heading)).phone == Chosen(heading, How.OPTION)


@pytest.mark.parametrize(
    ("heading", "cells"),
    [
        ("Prefisso", ["+39", "", "+1", "39"]),
        ("Country code", ["39", "39", "1", "39"]),
        ("Prefijo", ["0039", "", "001", "0039"]),
    ],
)
def test_a_prefix_beside_the_number_is_not_overlooked(heading: str, cells: list[str]) -> None:
    with pytest.raises(FileError) as error:
        choose({heading: cells, "Mobile": MOBILES})
    assert (error.value.code, error.value.found) == ("columns_prefix_apart", cells[2])


@pytest.mark.parametrize(
    ("heading", "cells"),
    [
        ("Prefisso", ["+39", "39", "0039", ""]),
        ("Prefisso", ["39", "+1", "IT", "?"]),  # the second number has a country of its own
        ("Country", ["IT", "US", "1", "CH"]),
        ("Città", ["MI", "RM", "TO", "NA"]),
    ],
)
def test_a_prefix_that_agrees_does_no_harm(heading: str, cells: list[str]) -> None:
    assert choose({heading: cells, "Mobile": MOBILES}).phone.heading == "Mobile"


def test_a_heading_beats_content() -> None:
    assert choose({"Telefono": LANDLINES, "Altro": MOBILES}).phone == Chosen("Telefono", How.HEADING)


@pytest.mark.parametrize(
    "columns",
    [
        [("Mobile 1", MOBILES), ("Mobile 2", MOBILES)],
        [("cellulare", MOBILES), ("Mobile", MOBILES)],
        [("Phone", MOBILES), ("Phone", MOBILES)],
        [("A", MOBILES), ("B", MOBILES)],
    ],
)
def test_two_equally_good_columns_are_an_error(columns: list[tuple[str, list[str]]]) -> None:
    with pytest.raises(FileError) as error:
        choose(columns)

    assert error.value.code == "columns_ambiguous"
    assert error.value.found == f"{columns[0][0]}, {columns[1][0]}"
    assert error.value.params["flag"] == "--phone-column"


def test_an_option_settles_it() -> None:
    chosen = choose({"Mobile 1": MOBILES, "Mobile 2": MOBILES}, ColumnOptions(phone="mobile_2"))

    assert chosen.phone == Chosen("Mobile 2", How.OPTION)


def test_an_option_prefers_the_exact_spelling() -> None:
    assert choose({"phone": MOBILES, "Phone": MOBILES}, ColumnOptions(phone="Phone")).phone.heading == "Phone"
    with pytest.raises(FileError) as error:
        choose({"phone": MOBILES, "Phone": MOBILES}, ColumnOptions(phone="PHONE"))
    assert error.value.code == "columns_ambiguous"


@pytest.mark.parametrize(
    "cells", [MOBILES, [*MOBILES[:3], "?"], ["333 1234567", "+34612345678", "", "02 12345678", "3331234568"]]
)
def test_content_decides_when_no_heading_fits(cells: list[str]) -> None:
    names = (NAMES * 2)[: len(cells)]

    assert choose({"Nome": names, "Colonna": cells}).phone == Chosen("Colonna", How.CONTENT)


@pytest.mark.parametrize(
    "cells",
    [
        NAMES,
        LANDLINES,
        ["333 1234567", "?", "?", "333 1234568"],
        ["333 1234567", "", "", ""],
        VAT_NUMBERS,
        ["", "", "", ""],
    ],
    ids=["names", "landlines", "half", "sparse", "vat-numbers", "blank"],
)
def test_content_that_does_not_decide(cells: list[str]) -> None:
    with pytest.raises(FileError) as error:
        choose({"Nome": NAMES, "Colonna": cells})

    assert error.value.code == "columns_no_phone"
    assert (error.value.file, error.value.sheet, error.value.found) == (
        "clienti.xlsx",
        "Foglio1",
        "Nome, Colonna",
    )


def test_a_file_without_rows_is_read_by_its_headings() -> None:
    chosen = choose({"Cellulare cliente": [], "Messaggio": []}, has_template=False)

    assert chosen == Columns(Chosen("Cellulare cliente", How.HEADING), Chosen("Messaggio", How.HEADING), None)


def test_our_own_report_columns_are_not_read() -> None:
    chosen = choose({"sms_recipient": MOBILES, "Colonna": MOBILES, "sms_sender": NAMES})

    assert chosen == Columns(Chosen("Colonna", How.CONTENT), None, None)


@pytest.mark.parametrize(
    "heading",
    [
        "Message",
        "text",
        "SMS",
        "SMS text",
        "Messaggio",
        "Testo",
        "testo_messaggio",
        "Testo dell'SMS",
        "Mensaje",
        "Texto",
        "Body",
        "Testo da inviare",
        "SMS a enviar",
    ],
)
def test_message_headings(heading: str) -> None:
    chosen = choose({"Mobile": MOBILES, heading: TEXTS}, has_template=False)

    assert chosen.message == Chosen(heading, How.HEADING)


def test_a_message_heading_beats_a_text_heading() -> None:
    assert choose(
        {"Testo": NAMES, "Mobile": MOBILES, "Messaggio": TEXTS}, has_template=False
    ).message == Chosen("Messaggio", How.HEADING)


def test_prose_is_a_message_column_when_it_is_the_only_one() -> None:
    chosen = choose({"Mobile": MOBILES, "Nome": NAMES, "Colonna": TEXTS}, has_template=False)

    assert chosen.message == Chosen("Colonna", How.CONTENT)


@pytest.mark.parametrize(
    ("heading", "cells"),
    [
        ("SMS", YES),
        ("Note", TEXTS),
        ("Note interne", TEXTS),
        ("Observaciones", TEXTS),
        ("Internal comments", TEXTS),
        ("Motivo della visita", TEXTS),
        ("Prestazione", TEXTS),
        ("Esito referto", TEXTS),
        ("Treatment", TEXTS),
        ("Motivo de consulta", TEXTS),
        ("Nome", NAMES),
        ("Via", ["Via Giuseppe Garibaldi 12, 20100 Milano"] * 4),
        ("Colonna", [TEXTS[0], "", "", ""]),
    ],
)
def test_what_is_not_a_message(heading: str, cells: list[str]) -> None:
    with pytest.raises(FileError) as error:
        choose({"Mobile": MOBILES, heading: cells}, has_template=False)

    assert error.value.code == "columns_no_message"


def test_two_columns_of_prose_are_ambiguous() -> None:
    with pytest.raises(FileError) as error:
        choose({"Mobile": MOBILES, "A": TEXTS, "B": TEXTS}, has_template=False)

    assert (error.value.code, error.value.params["flag"]) == ("columns_ambiguous", "--message-column")


def test_with_a_template_no_column_is_the_message() -> None:
    assert choose({"Mobile": MOBILES, "Messaggio": TEXTS}).message is None


@pytest.mark.parametrize(
    "heading", ["Sender", "Sender ID", "Mittente", "Remitente", "sender_name", "Alias", "From"]
)
def test_sender_headings(heading: str) -> None:
    assert choose({"Mobile": MOBILES, heading: ["Bottega"] * 4}).sender == Chosen(heading, How.HEADING)


@pytest.mark.parametrize(
    ("heading", "cells"),
    [
        ("From", ["05/12/2026"] * 4),
        ("From", ["Roma", "Milano", "Torino", "Napoli"]),
        ("Alias", ["Pippo", "Nino", "Bea", "Lalla"]),
    ],
    ids=["dates", "towns", "nicknames"],
)
def test_what_is_not_a_sender(heading: str, cells: list[str]) -> None:
    assert choose({"Mobile": MOBILES, heading: cells}).sender is None


def test_options_for_every_role() -> None:
    options = ColumnOptions(phone="c", message="A", sender="b")

    chosen = choose({"A": TEXTS, "B": NAMES, "C": MOBILES, "Mobile": MOBILES}, options, has_template=False)

    assert chosen == Columns(*(Chosen(heading, How.OPTION) for heading in ("C", "A", "B")))


def test_a_column_serves_one_purpose() -> None:
    chosen = choose({"Mobile": MOBILES, "Phone": MOBILES}, ColumnOptions(sender="Mobile"))

    assert chosen.phone.heading == "Phone"


@pytest.mark.parametrize(
    ("options", "has_template", "code", "found"),
    [
        (ColumnOptions(phone="Celulare"), True, "columns_no_such", "Celulare"),
        (ColumnOptions(sender=""), True, "columns_no_such", ""),
        (ColumnOptions(phone="Cellulare", sender="cellulare"), True, "columns_same_column", "Cellulare"),
        (ColumnOptions(message="Nome"), True, "columns_message_and_template", "Nome"),
    ],
)
def test_wrong_options(options: ColumnOptions, has_template: bool, code: str, found: str) -> None:
    with pytest.raises(UsageError) as error:
        choose({"Nome": NAMES, "Cellulare": MOBILES}, options, has_template=has_template)

    assert (error.value.code, error.value.found) == (code, found)


def test_a_missing_column_is_answered_with_the_closest_and_all() -> None:
    with pytest.raises(UsageError) as error:
        choose({"Nome": NAMES, "Cellulare": MOBILES}, ColumnOptions(phone="celulare"))

    assert error.value.params["closest"] == "Cellulare"
    assert error.value.params["headings"] == "Nome, Cellulare"


def _errors() -> list[DispatcherError]:
    cases: list[tuple[dict[str, list[str]], dict[str, Any]]] = [
        ({"A": NAMES}, {}),
        ({"Mobile": MOBILES}, {"has_template": False}),
        ({"Mobile 1": MOBILES, "Mobile 2": MOBILES}, {}),
        ({"Prefix": ["+1"] * 4, "Mobile": MOBILES}, {}),
        ({"Mobile": MOBILES}, {"options": ColumnOptions(phone="x")}),
        ({"Mobile": MOBILES}, {"options": ColumnOptions(message="x")}),
        ({"Mobile": MOBILES}, {"options": ColumnOptions(phone="Mobile", sender="Mobile")}),
    ]
    raised = []
    for columns, arguments in cases:
        with pytest.raises(DispatcherError) as error:
            choose(columns, **arguments)
        raised.append(error.value)
    return raised


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_has_its_sentences(language: str) -> None:
    errors = _errors()

    assert len({error.code for error in errors}) == len(errors)
    for error in errors:
        sentences = Wording(language).error(error)
        assert all(sentences.values())
        assert error.found is not None
        assert error.found in str(sentences["message"]) + str(sentences["expected"])
