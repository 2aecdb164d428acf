"""Source code without its sentences: comments, docstrings and what a card only tells.

What is left decides how long a module takes and what it learns. A corrected sentence does not undo
an hour of timing.
"""

from __future__ import annotations

import ast

DECIDING = ("constraints", "official", "version")
"""Fields of a card that decide what is measured; the others are for readers."""


def without_sentences(source: bytes) -> bytes:
    """Return the code alone, in one normal form; what is no Python comes back as it is."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return source
    return ast.unparse(_Stripped().visit(tree)).encode()


class _Stripped(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Drop texts that stand alone; ``pass`` keeps a body that was nothing else valid."""
        value = node.value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return ast.Pass()
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Keep of a card what decides."""
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name == "Card":
            node.args = []
            node.keywords = [one for one in node.keywords if one.arg in (*DECIDING, None)]
        return self.generic_visit(node)
