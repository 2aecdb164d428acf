"""Normal form of code: without imports, comments, docstrings and descriptive fields of cards.

The remaining code determines what a module computes, its latency and its accuracy; changes of the
documentation do not invalidate results.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

DECIDING = ("constraints", "official", "version")
"""Fields of a card that affect measurements; the others are documentation."""
COUNTED = ("params", "macs", "printed")
"""Fields of a card with formulas for values of a cost record."""


@dataclass(frozen=True)
class NormalForm:
    """The options of the normal form."""

    counts_formulas: bool = False
    """Inclusion of the formulas of cards, which are part of a cost record."""
    docstrings: bool = False
    """Inclusion of docstrings, for code that reads them."""

    def kept_fields(self, constructor: str) -> tuple[str, ...] | None:
        """Return the relevant arguments of a card or its parts; None for any other class."""
        formulas = self.counts_formulas
        kept = {
            "Card": (*DECIDING, *(COUNTED if formulas else ())),
            "PrintedCost": ("params", "macs") if formulas else (),
            "Paper": (),
            "Traits": (),
        }
        return kept.get(constructor)


def normalize(
    node: ast.stmt, form: NormalForm, engine_name: Callable[[ast.expr], str | None]
) -> ast.stmt | None:
    """Return a statement in normal form, changed in place; None if nothing of it is relevant.

    Args:
        node: the statement.
        form: the options of the normal form.
        engine_name: returns the engine's name for an expression: ``Card`` for ``cards.Card``.
    """
    result = _Normalizer(form, engine_name).visit(node)
    assert result is None or isinstance(result, ast.stmt)
    return result


class _Normalizer(ast.NodeTransformer):
    def __init__(self, form: NormalForm, engine_name: Callable[[ast.expr], str | None]) -> None:
        self.form = form
        self.engine_name = engine_name

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Visit a node, its annotations parsed; keep emptied bodies valid by a ``pass``."""
        for name in ("annotation", "returns"):
            if annotation := getattr(node, name, None):
                setattr(node, name, _AnnotationReader().visit(annotation))
        filled = [name for name in ("body", "finalbody") if getattr(node, name, None)]
        super().generic_visit(node)
        for name in filled:
            if getattr(node, name) == []:
                setattr(node, name, [ast.Pass()])
        return node

    def visit(self, node: ast.AST) -> Any:
        """Drop imports, whose names are resolved where they are used, and ``pass``."""
        is_dropped = isinstance(node, ast.Import | ast.ImportFrom | ast.Pass)
        return None if is_dropped else super().visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop constants as statements, such as docstrings."""
        if isinstance(node.value, ast.Constant):
            is_text = isinstance(node.value.value, str)
            return node if is_text and self.form.docstrings else None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Keep only the relevant fields of a card."""
        kept = self.form.kept_fields(self.engine_name(node.func) or "")
        if kept is not None:
            node.args = []
            node.keywords = [keyword for keyword in node.keywords if keyword.arg in (*kept, None)]
        return self.generic_visit(node)


class _AnnotationReader(ast.NodeTransformer):
    """A parser of annotations that are given as strings."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Leave the texts of ``Literal`` as they are."""
        name = getattr(node.value, "attr", getattr(node.value, "id", ""))
        return node if name == "Literal" else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Replace a text by the expression in it."""
        if not isinstance(node.value, str):
            return node
        try:
            return ast.parse(node.value, mode="eval").body
        except (SyntaxError, ValueError):
            return node
