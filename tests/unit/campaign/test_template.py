"""Templates: fields as people write them, texts that may not go out, and the join of columns."""

from __future__ import annotations

import unicodedata
from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.template import Rendered, TextColumn, compile_template, literal
from dispatcher.errors import UsageError
from dispatcher.wording import LANGUAGES, Wording

HEADINGS = ["Nome Cliente", "Città", "E-mail", "Importo (€)", "Data", "1° rata", "Titolo"]
ROW = {
    "Nome Cliente": "  Mario D'ANGELO ",
    "Città": "Forlì",
    "E-mail": " \u00a0",
    "Importo (€)": "12,50",
    "Data": "05/12/2026",
    "1° rata": "1.234,50",
    "Titolo": "",
}


def rows(column: TextColumn) -> list[Rendered]:
    return [Rendered(*row) for row in zip(column.text, column.reason, column.detail, strict=True)]


@pytest.mark.parametrize(
    "name",
    [
        "Nome Cliente",
        "nome cliente",
        "NOME-CLIENTE",
        "nome_cliente",
        "NomeCliente",
        " nome  cliente ",
        "Nòme Cliente",
    ],
)
def test_a_field_is_found_however_it_is_written(name: str) -> None:
    for source in (f"Ciao {{{{ {name} }}}}!", f"Ciao {{{{{name}|trim}}}}!"):
        template = compile_template(source, HEADINGS)
        assert template.fields == ("Nome Cliente",)
        assert template.render_row(ROW).text == "Ciao Mario D'ANGELO!"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ citta }} {{ Importo (€) }} {{1° rata}}", "Forlì 12,50 1.234,50"),
        ("{Nome} {{ Data }}", "{Nome} 05/12/2026"),
        ('{{ Titolo|default("cliente") }}', "cliente"),
        ('{{ e-mail|trim|lower|d("nessuna") }}', "nessuna"),
        ("{{ Nome Cliente|title }}", "Mario D'Angelo"),
        ("{{ Nome Cliente|upper }}", "MARIO D'ANGELO"),
        ("{{ nome_cliente.split(' ')[0] }}", "Mario"),
        ("{{ nome_cliente[:3] ~ '-' ~ citta[0] ~ 1 }}", "Mar-F1"),
        ("{% if titolo %}{{ titolo }} {% endif %}{{ citta }}", "Forlì"),
        ("{% if titolo == '' and e_mail == titolo %}A{% else %}B{% endif %}", "A"),
        ("{{ 'Sig. ' if titolo }}{{ citta }}", "Forlì"),
        ("{% if citta in ['Forlì', 'Roma'] %}qui{% else %}là{% endif %}", "qui"),
        ("{% if Importo (€)|x %}{% endif %}", None),
        ("{{ (Data|replace('/', '-'))|truncate(5, '') }}", "05-12"),
        ("{{ Importo (€)|float * 2 + 0.1 }}", "25,1"),
        ("{{ 1° rata|float|round(1) }}", "1234,5"),
        ("{{ Importo (€)|int + 1 }}", "13"),
        (
            "{% for c in 'abc' %}{{ loop.index }}{{ c }}{% if not loop.last %},{% endif %}{% endfor %}",
            "1a,2b,3c",
        ),
        ("{% set nome = nome_cliente|lower %}{{ nome }}", "mario d'angelo"),
        ("{% set titolo = titolo|default('Sig.') %}{{ titolo }}", "Sig."),
        ("{{ range(3)|join('-') }}", "0-1-2"),
        ("uno   {{- citta -}}   due", "unoForlìdue"),
        ("{# una nota #}ciao", "ciao"),
        ("Righe\n{% if data %}\nuno\n{% endif %}\ndue", "Righe\nuno\ndue"),
        ("in linea {% if data %}sì{% endif %}\ndue", "in linea sì\ndue"),
        ("  a\r\nb\rc \u200b ", "a\nb\nc"),
        ("perche\u0301", "perché"),
        ("None of nan, NaT", "None of nan, NaT"),
    ],
)
def test_what_a_template_gives(source: str, text: str | None) -> None:
    if text is None:
        with pytest.raises(UsageError):
            compile_template(source, HEADINGS)
        return
    template = compile_template(source, HEADINGS, decimal_mark=",")
    assert template.render_row(ROW) == Rendered(text)
    assert rows(template.render(pd.DataFrame([ROW, ROW]))) == [Rendered(text)] * 2


def test_fields_are_in_the_order_of_their_first_use() -> None:
    template = compile_template("{{ data }} {% if citta %}{{ data }}{% endif %} {{ E-mail }}", HEADINGS)
    assert template.fields == ("Data", "Città", "E-mail")


def test_an_exact_heading_wins_and_two_alike_are_ambiguous() -> None:
    headings = ["nome", "Nome", "NO ME"]
    assert compile_template("{{ Nome }}", headings).fields == ("Nome",)
    with pytest.raises(UsageError) as raised:
        compile_template("{{ NOME }}", headings)
    assert raised.value.code == "template_ambiguous_field"
    assert raised.value.params["headings"] == "nome, Nome"


@pytest.mark.parametrize(
    ("source", "code", "facts"),
    [
        ("", "template_empty", {}),
        (" \n", "template_empty", {}),
        ("x" * 10_001, "template_too_long", {"limit": 10_000}),
        ("uno\n{{ Nme Cliente }}", "template_unknown_field", {"closest": "Nome Cliente", "line": 2}),
        ("{{ cita }}", "template_unknown_field", {"closest": "Città"}),
        ("{% if cita %}{% endif %}", "template_unknown_field", {"found": "cita"}),
        ("a\nb {{ data", "template_syntax", {"line": 2, "found": "{{ data"}),
        ("{{ data } e {{ citta }}", "template_syntax", {"line": 1, "found": "{{ data } e {{ citta }}"}),
        ("uno\n{% if data %}x\n{{ citta }}", "template_syntax", {"line": 2, "found": "{% if data %}x"}),
        ("{% if data %}{% for x in [1] %}{% endif %}", "template_syntax", {"found": "{% endif %}"}),
        ("Ciao {{ data | }}, {# qui #}", "template_syntax", {"found": "Ciao {{ data | }}, {# qui #}"}),
        ("Ciao {{ data | }}", "template_syntax", {"found": "{{ data | }}"}),
        ("a\n\nCiao {{ }}" + "b" * 99, "template_syntax", {"line": 3, "found": "{{ }}"}),
        ("{% endif %}", "template_syntax", {"found": "{% endif %}"}),
        ("{% boh %}", "template_syntax", {"found": "{% boh %}"}),
        ("Ciao {# " + "x" * 99, "template_syntax", {"found": "{# " + "x" * 56 + "…"}),
        ("Ciao «Nome»", "template_leftover", {"found": "«Nome»"}),
        ("uno\ndue #N/D", "template_leftover", {"found": "#N/D"}),
        ("Ciao {nome cliente}", "template_leftover", {"found": "{nome cliente}", "line": 1}),
        ("uno\nCiao [Nome_Cliente]", "template_leftover", {"found": "[Nome_Cliente]", "line": 2}),
        ("{{ data }}\n<<citta>>", "template_leftover", {"found": "<<citta>>", "line": 2}),
        ("il <Data>", "template_leftover", {"found": "<Data>"}),
        ("il %DATA%", "template_leftover", {"found": "%DATA%"}),
        ("il $data!", "template_leftover", {"found": "$data"}),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_template(source: str, code: str, facts: dict[str, object]) -> None:
    with pytest.raises(UsageError) as raised:
        compile_template(source, HEADINGS)
    assert raised.value.code == code
    assert {name: raised.value.facts()[name] for name in facts} == facts
    for language in LANGUAGES:
        assert Wording(language).error(raised.value)["message"]


@pytest.mark.parametrize(
    "source", ["vedi [sic]", "tanti <3 e > 2", "20% il lunedì, 30% sempre", "{ok}", "costa 5$", "il [] <>"]
)
def test_brackets_that_name_no_column_are_text(source: str) -> None:
    assert compile_template(source, HEADINGS).render_row({}).text == source


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", Reason.TEXT_FIELD_EMPTY),
        (" \u00a0\u200b", Reason.TEXT_FIELD_EMPTY),
        ("{{ nome }}", Reason.TEXT_LEFTOVER),
        ("«Nome»", Reason.TEXT_LEFTOVER),
        ("#N/A", Reason.TEXT_LEFTOVER),
        ("#N/D", Reason.TEXT_LEFTOVER),
        ("#RIF!", Reason.TEXT_LEFTOVER),
        ("#VALORE!", Reason.TEXT_LEFTOVER),
        ("#DIV/0!", Reason.TEXT_LEFTOVER),
        ("#¡REF!", Reason.TEXT_LEFTOVER),
        ("#¿NOMBRE?", Reason.TEXT_LEFTOVER),
        ("Err:502", Reason.TEXT_LEFTOVER),
        ("Nicol\ufffd", Reason.TEXT_LEFTOVER),
        ("NicolÃ²", Reason.TEXT_LEFTOVER),
        ("cittÃ\u00a0", Reason.TEXT_LEFTOVER),
        ("ZoÃ©", Reason.TEXT_LEFTOVER),
        ("GarcÃ\u00ada", Reason.TEXT_LEFTOVER),
        ("lâ€™ora", Reason.TEXT_LEFTOVER),
        ("5 â‚¬", Reason.TEXT_LEFTOVER),
        ("JOÃO Ângela", None),
        ("château Â", None),
        ("nan", Reason.TEXT_LEFTOVER),
        ("None", Reason.TEXT_LEFTOVER),
        ("NaT", Reason.TEXT_LEFTOVER),
        ("null", Reason.TEXT_LEFTOVER),
        ("nan Rossi", Reason.TEXT_LEFTOVER),
        ("x" * 6_000, Reason.TEXT_TOO_LONG),
        ("Nan", None),
        ("Fernanda", None),
        ("Nonesuch", None),
        ("Null", None),
        ("#1", None),
        ("{Nome}", None),
        ("il null della riga", None),
    ],
)
@pytest.mark.parametrize(
    "source", ["Ciao {{ Nome }}, None", "{% if Altro %}Ciao {% endif %}{{ Nome }}, None"]
)
def test_values_that_may_not_go_out(source: str, value: str, reason: Reason | None) -> None:
    template = compile_template(source, ["Nome", "Altro"])
    rendered = template.render_row({"Nome": value, "Altro": "x"})
    assert rendered.reason == reason
    assert (rendered.text is None) == (reason is not None)
    if reason in (Reason.TEXT_FIELD_EMPTY, Reason.TEXT_LEFTOVER):
        assert rendered.detail == "Nome"


@pytest.mark.parametrize(
    ("source", "value", "reason"),
    [
        ("{{ a|default('') }}", "", Reason.TEXT_MISSING),
        ("{% if a == 'x' %}x{% endif %}", "y", Reason.TEXT_MISSING),
        ("{{ a|float }}", "dodici", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ a|float }}", "1.234", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ a.split(' ')[1] }}", "uno", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ 1 / a|int }}", "0", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ a.split(' ') }}", "", Reason.TEXT_FIELD_EMPTY),
        ("{{ a ~ 'x' }}", "", Reason.TEXT_FIELD_EMPTY),
        ("{{ a == 'x' }}", "x", Reason.TEXT_TEMPLATE_FAILED),
        ("{% for w in a.split('-') %}x{% endfor %}y", "-" * 20_000, Reason.TEXT_TEMPLATE_FAILED),
        ("{% if a == 'no' %}{{ a }}{% endif %}ok", "nan", None),
        ("{% if a == '#N/D' %}non disponibile{% endif %}", "#N/D", None),
        ("{% if a %}c'è{% endif %}", "x" * 30_000, None),
        ("{% if a %}c'è{% endif %}", "x" * 40_000, Reason.TEXT_TOO_LONG),
        ("{{ a|replace('«', '') }}", "«x»", None),
    ],
)
def test_what_becomes_of_a_row(source: str, value: str, reason: Reason | None) -> None:
    assert compile_template(source, ["a"]).render_row({"a": value}).reason == reason


#: Long cells by name, so that a failure stays readable.
_LONG = {"long": "x" * 1_700, "longer": "y" * 5_001, "longest": "z" * 33_000}
_ODD = ["", " ", "nan", "Fernanda", "None", "null", "{", "{{", "}", "«", "»", "#", "#N/D", "N/D"]
_MARKS = ["e\u0301", "\u0301", "\r", "\r\n", "\u200b", *_LONG]
_VALUES = st.one_of(st.none(), st.text(max_size=12), st.sampled_from([*_ODD, *_MARKS]))
_PIECES = st.sampled_from(
    [
        "Ciao",
        " ",
        "{",
        "}",
        "#",
        "\n",
        "None",
        "e",
        "{{ a }}",
        "{{ b }}",
        "{{ a|default('x') }}",
        "{{ b|d('') }}",
    ]
)


@settings(deadline=None)
@given(
    st.lists(_PIECES, min_size=1, max_size=6).map("".join),
    st.lists(st.tuples(_VALUES, _VALUES), max_size=8),
)
def test_the_join_of_columns_equals_the_scalar_rule(
    source: str, values: list[tuple[str | None, str | None]]
) -> None:
    try:
        template = compile_template(source, ["a", "b"])
    except UsageError:
        return  # braces that meet, or nothing but blanks
    cells = [{"a": _LONG.get(a or "", a or ""), "b": _LONG.get(b or "", b or "")} for a, b in values]
    expected = [template.render_row(row) for row in cells]
    frame = pd.DataFrame(cells, columns=["a", "b"], dtype=object)
    rendered = template.render(frame.replace({"": None}))
    assert rows(rendered) == expected
    if rendered.made_of is not None:
        pieces = zip(*(piece.column.to_pylist() for piece in rendered.made_of), strict=True)
        together = [Counter("".join(row)) for row in pieces]
        assert together == [Counter(row.text or "") for row in expected]
    with_logic = compile_template("{% if 1 %}{% endif %}" + source, ["a", "b"])
    assert rows(with_logic.render(frame)) == expected


@pytest.mark.parametrize(
    ("text", "sent"),
    [("Ciao [Nome]", False), ("Ciao {nome}", False), ("Ciao <NO ME>", False), ("Ciao [Anna]", True), ("Ciao $", True)],
)  # fmt: skip
def test_a_column_in_other_brackets_was_meant_as_a_field(text: str, sent: bool) -> None:
    expected = Rendered(text) if sent else Rendered(None, Reason.TEXT_LEFTOVER, "Testo")

    assert rows(literal([text, "ok"], "Testo", ["Nome", "Testo"])) == [expected, Rendered("ok")]


@settings(deadline=None)
@given(st.lists(_VALUES, max_size=8))
def test_a_message_column_is_literal(values: list[str | None]) -> None:
    for value, row in zip(values, rows(literal(values, "Testo")), strict=True):
        single = rows(literal([value], "Testo"))[0]
        assert row == single
        if row.text is not None:
            assert row.text == unicodedata.normalize("NFC", row.text).strip()
            assert "\r" not in row.text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Sconto {20%} su {tutto}", Rendered("Sconto {20%} su {tutto}")),
        (" uno\r\ndue ", Rendered("uno\ndue")),
        ("Fernanda, nano", Rendered("Fernanda, nano")),
        (None, Rendered(None, Reason.TEXT_MISSING, "Testo")),
        ("\u200b ", Rendered(None, Reason.TEXT_MISSING, "Testo")),
        ("Ciao {{ Nome }}", Rendered(None, Reason.TEXT_LEFTOVER, "Testo")),
        ("Ciao «Nome»", Rendered(None, Reason.TEXT_LEFTOVER, "Testo")),
        ("Ciao nan,", Rendered(None, Reason.TEXT_LEFTOVER, "Testo")),
        ("Ciao None", Rendered(None, Reason.TEXT_LEFTOVER, "Testo")),
        ("il #N/A", Rendered(None, Reason.TEXT_LEFTOVER, "Testo")),
        ("#NOME?", Rendered(None, Reason.TEXT_LEFTOVER, "Testo")),
    ],
)
def test_literal_texts(value: str | None, expected: Rendered) -> None:
    assert rows(literal([value, "ok"], "Testo")) == [expected, Rendered("ok")]


SPLIT = [
    (sign[:place], sign[place:]) for sign in ("{{", "{%", "}}", "Err:502") for place in range(1, len(sign))
]


@pytest.mark.parametrize(("first", "second"), SPLIT)
def test_a_placeholder_across_two_fields_is_found(first: str, second: str) -> None:
    template = compile_template("Ciao {{ a }}{{ b }}", ["a", "b"])
    cells = {"a": ["Ada", first], "b": ["Rossi", second]}

    assert rows(template.render(pd.DataFrame(cells))) == [
        Rendered("Ciao AdaRossi"),
        Rendered(None, Reason.TEXT_LEFTOVER),
    ]


@pytest.mark.parametrize(
    "source", ["{{ nome|d('') }} Ciao", "Ciao {{ nome|d('') }}", "{{ nome|d(' ') }} Ciao"]
)
def test_blanks_beside_an_empty_default_are_taken_off(source: str) -> None:
    column = compile_template(source, ["Nome"]).render(pd.DataFrame({"Nome": [""]}))

    assert (rows(column), column.made_of) == ([Rendered("Ciao")], None)


def test_an_arrow_backed_column_with_missing_cells() -> None:
    cells = pd.DataFrame({"Nome": pd.Series(["Ada", None], dtype="str")})
    assert rows(compile_template("Ciao {{ nome }}", ["Nome"]).render(cells)) == [
        Rendered("Ciao Ada"),
        Rendered(None, Reason.TEXT_FIELD_EMPTY, "Nome"),
    ]


def test_the_pieces_of_joined_texts_are_told_and_of_a_row_apart_its_text() -> None:
    cells = pd.DataFrame({"Nome": ["Ada", "", "Zoë"], "Data": ["5/12", "6/12", "{{ Data }}"]})
    column = compile_template("Ciao {{ nome|d('lei') }}: {{ data }}!", ["Nome", "Data"]).render(cells)

    assert column.text.tolist() == ["Ciao Ada: 5/12!", "Ciao lei: 6/12!", None]
    assert column.made_of is not None
    assert [piece.column.to_pylist() for piece in column.made_of] == [
        ["Ciao : !", "Ciao : !", ""],
        ["Ada", "lei", ""],
        ["5/12", "6/12", ""],
        ["", "", ""],
    ]
    assert {heading: cells.column.to_pylist() for heading, cells in column.cells.items()} == {
        "Nome": ["Ada", "", "Zoë"],
        "Data": ["5/12", "6/12", "{{ Data }}"],
    }


@pytest.mark.parametrize("cells", [["e\u0301", "a"], ["a\rb", "a"]])
def test_the_pieces_of_texts_that_are_tidied_are_not_told(cells: list[str]) -> None:
    column = compile_template("Ciao {{ nome }}!", ["Nome"]).render(pd.DataFrame({"Nome": cells}))

    assert column.made_of is None


def test_no_rows() -> None:
    cells = pd.DataFrame({"Nome": pd.Series([], dtype="str")})
    assert rows(compile_template("Ciao {{ nome }}", ["Nome"]).render(cells)) == []
    assert rows(literal(cells["Nome"], "Nome")) == []
