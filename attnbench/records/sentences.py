"""Source code without its sentences: comments, docstrings and what a card only tells.

What is left decides how long a module takes and what it learns. A corrected sentence does not undo
an hour of timing.
"""

from __future__ import annotations

import ast

DECIDING = ("constraints", "official", "version")
"""Fields of a card that decide what is measured; the others are for readers."""


def without_sentences(source: bytes) -> bytes:
    """Return the code alone, in one normal form.

    What is no Python, or too deep for it, comes back as it is; so does what reads its docstrings.
    """
    if b"__doc__" in source:
        return source
    try:
        tree = ast.parse(source)
        return ast.unparse(_Stripped(_has_cards(tree)).visit(tree)).encode()
    except (SyntaxError, ValueError, RecursionError):
        return source


def _has_cards(tree: ast.Module) -> bool:
    """Whether ``Card`` is ours there, and no class of the plugin's own."""
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module in ("attnbench", "attnbench.cards")
        and any(alias.name == "Card" and alias.asname is None for alias in node.names)
        for node in ast.walk(tree)
    )


class _Stripped(ast.NodeTransformer):
    def __init__(self, has_cards: bool) -> None:
        self.has_cards = has_cards

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Drop texts that stand alone; ``pass`` keeps a body that was nothing else valid."""
        value = node.value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return ast.Pass()
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Keep of a card what decides."""
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name == "Card" and self.has_cards:
            node.args = []
            node.keywords = [one for one in node.keywords if one.arg in (*DECIDING, None)]
        return self.generic_visit(node)
