"""Templates cannot reach Python, and cannot eat memory or time."""

from __future__ import annotations

import pandas as pd
import pytest

from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.template import compile_template
from dispatcher.errors import UsageError

_DOUBLING = "{% set a = 'aaaaaaaaaa' %}" + "{% set a = a ~ a %}" * 40
_NESTED = "{% for i in range(1000) %}{% for j in range(1000) %}x{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    "source",
    [
        "{{ nome.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ nome['__class__'] }}",
        "{{ nome|attr('__class__') }}",
        "{{ nome.format(nome) }}",
        "{{ '{0.__class__}'.format(nome) }}",
        "{{ nome.format_map({}) }}",
        "{{ nome.split.__self__ }}",
        "{{ nome.upper }}",
        "{{ self.__init__ }}",
        "{{ range.__init__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ cycler() }}",
        "{{ joiner() }}",
        "{{ namespace(a=1) }}",
        "{{ dict(a=1) }}",
        "{{ {'a': 1} }}",
        "{{ nome() }}",
        "{{ loop('x') }}",
        "{% for a in nome recursive %}{{ loop(a) }}{% endfor %}",
        "{% for a, b in nome %}{% endfor %}",
        "{% for a in nome %}{{ loop.__class__ }}{% endfor %}",
        "{% for a in nome %}{{ loop.cycle('a', 'b') }}{% endfor %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% extends 'x' %}",
        "{% block x %}{% endblock %}",
        "{% macro x() %}{{ x() }}{% endmacro %}",
        "{% call nome() %}{% endcall %}",
        "{% filter upper %}x{% endfilter %}",
        "{% set x %}y{% endset %}",
        "{% set a, b = nome %}",
        "{% set a.b = nome %}",
        "{% with a = nome %}{% endwith %}",
        "{% autoescape true %}{% endautoescape %}",
        "{{ nome|center(1000000000) }}",
        "{{ nome|indent(1000000000) }}",
        "{{ nome|format }}",
        "{{ nome|map('upper') }}",
        "{{ nome|tojson }}",
        "{{ nome|pprint }}",
        "{{ nome|safe }}",
        "{{ nome.ljust(1000000000) }}",
        "{{ nome.center(1000000000) }}",
        "{{ nome.zfill(1000000000) }}",
        "{{ nome.expandtabs(1000000000) }}",
        "{{ nome.replace('', nome) }}",
        "{{ nome.split(*nome) }}",
        "{{ 10 ** 10 ** 9 }}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ 1e999 }}",
        "{{ 9999999999999999 }}",
        "{{ nome is sameas nome }}",
        "{{ nome is filter }}",
        "{{ " + "9" * 5_000 + " }}",
        "{{ " + "(" * 4_000 + "1" + ")" * 4_000 + " }}",
        "{{ " + "not " * 2_400 + "1 }}",
        "{{" * 5_000,
        "{%" * 5_000,
        "{% if nome %}" * 45 + "{% endif %}" * 45,
        "{% for i in nome %}" * 25 + "{% endfor %}" * 25,
    ],
)
def test_refused_before_any_row(source: str) -> None:
    with pytest.raises(UsageError) as raised:
        compile_template(source, ["Nome"])
    assert raised.value.code in ("template_not_allowed", "template_unknown_field", "template_syntax")


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 1000000000 }}",
        "{{ nome * 1000000000 }}",
        "{{ range(1000000000)|join }}",
        "{{ range(-1000000000000, 1000000000000)|length }}",
        "{{ range(1000)|join(nome ~ 'xxxxxxxxxxxxxxxxxxxxx') }}",
        "{{ (nome * 5000)|replace('', nome * 5000) }}",
        "{{ (nome * 5000) ~ nome }}",
        "{{ nome * 5000 + nome }}",
        _DOUBLING + "{{ a }}",
        _NESTED,
        "{% for i in range(1000) %}{{ nome * 1000 }}{% endfor %}",
        "{% for i in range(1000) if i > 2000 %}"
        + "x" * 10
        + "{% for j in range(1000) %}{% endfor %}{% endfor %}"
        "{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}",
    ],
)
def test_refused_by_trying_it_out(source: str) -> None:
    with pytest.raises(UsageError) as raised:
        compile_template(source, ["Nome"])
    assert raised.value.code == "template_too_much_work"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ '%1000000000d' % 1 }}", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ '%s' % nome }}", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ nome['upp' ~ 'er'] }}", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ nome['__cla' ~ 'ss__'] }}", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ [nome, [nome]]|join }}", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ [nome] }}", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ [1] * 3 }}", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ 999999999999999 * 999999999999999 }}", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ nome|length|round(1000000000) }}", Reason.TEXT_TEMPLATE_FAILED),
        ("{% if nome != '1' %}{{ nome * 1000000000 }}{% endif %}", Reason.TEXT_TOO_LONG),
        ("{% if nome != '1' %}" + _NESTED + "{% endif %}", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ none }}", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ true }}", Reason.TEXT_TEMPLATE_FAILED),
        ("{{ x }}{% set x = 1 %}", Reason.TEXT_TEMPLATE_FAILED),
    ],
)
def test_fails_for_the_row(source: str, reason: Reason) -> None:
    rendered = compile_template(source, ["Nome"]).render_row({"Nome": "Ada"})
    assert (rendered.text, rendered.reason) == (None, reason)


def test_many_exhausted_rows_refuse_the_template() -> None:
    template = compile_template("{% if nome != '1' %}" + _NESTED + "{% endif %}", ["Nome"])
    with pytest.raises(UsageError) as raised:
        template.render(pd.DataFrame({"Nome": ["Ada"] * 1_000}))
    assert raised.value.code == "template_too_much_work"


def test_lists_that_share_themselves_cannot_grow() -> None:
    source = "{% set a = [nome, nome] %}" + "{% set a = [a, a] %}" * 40 + "{{ a|join }}"
    assert (
        compile_template(source, ["Nome"]).render_row({"Nome": "Ada"}).reason == Reason.TEXT_TEMPLATE_FAILED
    )
