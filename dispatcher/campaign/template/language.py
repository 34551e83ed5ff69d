"""What a template may contain, and its translation into what the sandbox runs.

Fields are written as people write headings (``{{ Nome Cliente }}``); each becomes a name of its own before
Jinja parses.  Of Jinja's language only expressions, ``if``, ``for`` and ``set`` are let through; everything
that can grow or loop is rewritten to its bounded form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from jinja2 import TemplateSyntaxError, nodes
from jinja2.visitor import NodeTransformer

from dispatcher.campaign.template.filters import MAX_NUMBER
from dispatcher.campaign.template.headings import Headings
from dispatcher.campaign.template.leftovers import foreign_field, placeholder
from dispatcher.campaign.template.sandbox import (
    CONCAT,
    LOOP_FACTS,
    SCALAR,
    STRING_METHODS,
    TESTS,
    BoundedEnvironment,
)
from dispatcher.campaign.template.unreadable import unreadable
from dispatcher.errors import UsageError

MAX_SOURCE = 10_000
_MAX_DEPTH = 40

_EXPRESSION = re.compile(r"\{\{(?P<open>[-+]?)(?P<body>(?:(?!\{\{).)*?)(?P<close>[-+]?)\}\}", re.DOTALL)
_TAG_LINE = re.compile(
    r"^[ \t]*((?:\{%(?:(?!%\}).)*%\}[ \t]*)*\{%(?:(?!%\}).)*?)([-+]?%\})[ \t]*\n", re.MULTILINE
)
_WORDS = re.compile(r"[^\W\d]\w*(?:[ \t\-]+\w+)+")
_KEYWORDS = re.compile(r"\b(?:if|else|and|or|not|in|is)\b")

_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.For,
    nodes.Assign, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.CondExpr, nodes.Concat, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod,
    nodes.Neg, nodes.Pos, nodes.Getitem, nodes.Slice, nodes.Getattr, nodes.Call, nodes.Keyword,
    nodes.List, nodes.Tuple,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """A field that stands in the text by itself; ``default`` is its text when the cell is blank."""

    position: int
    default: str | None


@dataclass
class Program:
    """A checked template: the tree to compile, the columns it uses in order, their names in the tree.

    ``pieces`` is the whole template as fixed texts and plain fields, or None when it has logic.
    """

    tree: nodes.Template
    positions: list[int]
    names: dict[int, str]
    budget: str
    pieces: list[str | Field] | None = field(default=None)


def parse(source: str, headings: Headings, environment: BoundedEnvironment) -> Program:
    """Check and translate a template.  Raises UsageError ``template_…``."""
    if not source.strip():
        raise UsageError("template_empty")
    if len(source) > MAX_SOURCE:
        raise UsageError("template_too_long", found=str(len(source)), limit=MAX_SOURCE)
    prefix = _unused_prefix(source)
    translated, unknown = _translate(source, headings, prefix)
    try:
        tree = environment.parse(translated)
        _check(tree, environment)
        _refuse_foreign_fields(tree, headings)
        translation = _Translation(headings, prefix, tree)
        tree = translation.visit(tree)
    except TemplateSyntaxError as error:
        for name, line in unknown:
            if line == error.lineno:
                raise headings.unknown(name, line) from None
        raise unreadable(source, error.lineno) from None
    except (RecursionError, ValueError, OverflowError, MemoryError):
        # Thousands of brackets, or a number of thousands of digits: nothing a message needs.
        raise UsageError("template_not_allowed", found="…", line=1) from None
    positions = list(dict.fromkeys(translation.used))
    names = {position: f"{prefix}{position}" for position in positions}
    return Program(tree, positions, names, translation.budget, _pieces(tree, prefix))


def _unused_prefix(source: str) -> str:
    prefix = "field"
    while prefix in source:
        prefix += "_"
    return prefix


def _translate(source: str, headings: Headings, prefix: str) -> tuple[str, list[tuple[str, int]]]:
    """Fields as names; and the expressions that look like a field but match no heading, with their lines."""
    unknown: list[tuple[str, int]] = []

    def field_name(match: re.Match[str]) -> str:
        head, bar, filters = match["body"].partition("|")
        position = headings.find(head)
        if position is None:
            if _WORDS.fullmatch(head.strip()) and not _KEYWORDS.search(head):
                unknown.append((head.strip(), source.count("\n", 0, match.start()) + 1))
            return match[0]
        # The line breaks of a heading stay, so that the lines of later errors are right.
        name = f" {prefix}{position} " + "\n" * head.count("\n")
        return f"{{{{{match['open']}{name}{bar}{filters}{match['close']}}}}}"

    # A line of tags only leaves no empty line behind; its line break moves into the tag.
    return _EXPRESSION.sub(field_name, _TAG_LINE.sub(r"\1 \n\2", source)), unknown


def _refuse(node: nodes.Node, found: str) -> UsageError:
    return UsageError("template_not_allowed", found=found, line=node.lineno or 1)


def _check(node: nodes.Node, environment: BoundedEnvironment, depth: int = 0) -> None:
    """Raises UsageError ``template_not_allowed`` for anything outside the language."""
    if depth > _MAX_DEPTH:
        raise _refuse(node, "(((…)))")
    if not isinstance(node, _ALLOWED):
        raise _refuse(node, _construct(node))
    if isinstance(node, nodes.Filter) and (node.name not in environment.filters or node.node is None):
        raise _refuse(node, f"|{node.name}")
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        raise _refuse(node, f"is {node.name}")
    if isinstance(node, nodes.Const) and isinstance(node.value, (int, float)) and node.value > MAX_NUMBER:
        raise _refuse(node, "999…")
    if isinstance(node, nodes.Call):
        _check_call(node)
    elif isinstance(node, nodes.Getattr):
        raise _refuse(node, f".{node.attr}")
    if (
        isinstance(node, nodes.Getitem)
        and isinstance(node.arg, nodes.Const)
        and type(node.arg.value) is not int
    ):
        raise _refuse(node, f"[{node.arg.value!r}]")
    if isinstance(node, nodes.For) and (node.recursive or not isinstance(node.target, nodes.Name)):
        raise _refuse(node, "for")
    if isinstance(node, nodes.Assign) and not isinstance(node.target, nodes.Name):
        raise _refuse(node, "set")
    if isinstance(node, nodes.TemplateData) and (found := placeholder(node.data)):
        raise UsageError("template_leftover", found=found, line=node.lineno)
    for child in _inner(node):
        _check(child, environment, depth + 1)


def _refuse_foreign_fields(tree: nodes.Template, headings: Headings) -> None:
    """Raises UsageError ``template_leftover`` for ``[Nome]`` where Nome is a column: that is what all would read."""
    for text in tree.find_all(nodes.TemplateData):
        if found := foreign_field(text.data, headings.knows):
            line = text.lineno + text.data.count("\n", 0, text.data.index(found))
            raise UsageError("template_leftover", found=found, line=line)


def _check_call(node: nodes.Call) -> None:
    method = isinstance(node.node, nodes.Getattr) and node.node.attr in STRING_METHODS
    if not method and not _is_name(node.node, "range"):
        called = node.node
        shown = called.attr if isinstance(called, nodes.Getattr) else getattr(called, "name", "")
        raise _refuse(node, f"{shown}(…)")
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise _refuse(node, "*")


def _inner(node: nodes.Node) -> Iterator[nodes.Node]:
    """The children still to be checked; the allowed attributes are looked through."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Getattr):
            method = isinstance(node, nodes.Call) and child is node.node
            loop = _is_name(child.node, "loop") and child.attr in LOOP_FACTS
            yield child.node if method or loop else child
        else:
            yield child


def _is_name(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.name == name


def _construct(node: nodes.Node) -> str:
    return {"Pow": "**", "AssignBlock": "set … endset", "FilterBlock": "filter"}.get(
        type(node).__name__, type(node).__name__.lower()
    )


class _Translation(NodeTransformer):
    """Names become columns; what can grow or loop becomes its bounded form."""

    def __init__(self, headings: Headings, prefix: str, tree: nodes.Template) -> None:
        self._headings = headings
        self._prefix = prefix
        self._locals = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
        self.budget = f"{prefix}budget"
        self.used: list[int] = []

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802
        match = re.fullmatch(rf"{self._prefix}(\d+)", node.name)
        position = int(match[1]) if match else self._headings.find(node.name)
        if position is None:
            if node.name not in self._locals:
                raise self._headings.unknown(node.name, node.lineno)
            return node
        self.used.append(position)
        return nodes.Name(f"{self._prefix}{position}", node.ctx, lineno=node.lineno)

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802
        return node if _is_name(node.node, "loop") and node.attr in LOOP_FACTS else self.generic_visit(node)

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        function = node.node
        if _is_name(function, "range"):
            node.node = nodes.Const(None)
            self.generic_visit(node)
            node.node = function
            return node
        return self.generic_visit(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return nodes.Filter(node.nodes[0], CONCAT, node.nodes[1:], [], None, None, lineno=node.lineno)

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.items = [
            nodes.Filter(item, SCALAR, [], [], None, None, lineno=node.lineno) for item in node.items
        ]
        return node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return self.visit_List(nodes.List(node.items, lineno=node.lineno))

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if node.expr2 is None:  # {{ "Sig. " if title }}: nothing otherwise
            node.expr2 = nodes.Const("", lineno=node.lineno)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        weight = sum(1 for _ in node.find_all(nodes.Node))
        self.generic_visit(node)
        guard = nodes.Name(self.budget, "load", lineno=node.lineno)
        price = nodes.Const(weight, lineno=node.lineno)
        node.iter = nodes.Call(guard, [node.iter, price], [], None, None, lineno=node.lineno)
        return node


def _pieces(tree: nodes.Template, prefix: str) -> list[str | Field] | None:
    pieces: list[str | Field] = []
    for output in tree.body:
        if not isinstance(output, nodes.Output):
            return None
        for node in output.nodes:
            piece = _piece(node, prefix)
            if piece is None:
                return None
            pieces.append(piece)
    return pieces or None


def _piece(node: nodes.Node, prefix: str) -> str | Field | None:
    if isinstance(node, nodes.TemplateData):
        return node.data
    default: str | None = None
    if isinstance(node, nodes.Filter) and node.name in ("default", "d"):
        if len(node.args) != 1 or node.kwargs or not isinstance(node.args[0], nodes.Const):
            return None
        default = node.args[0].value
        if not isinstance(default, str):
            return None
        assert node.node is not None
        node = node.node
    if isinstance(node, nodes.Name) and (match := re.fullmatch(rf"{prefix}(\d+)", node.name)):
        return Field(int(match[1]), default)
    return None
