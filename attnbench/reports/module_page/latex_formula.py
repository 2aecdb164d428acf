"""LaTeX form of a card's formula: one equation per line, aligned at the equals signs."""

from __future__ import annotations


def display(formula_tex: str) -> str:
    r"""Return the equations in display mode: ``\[..\]``, or ``align*`` (amsmath) for several."""
    lines = _equations(formula_tex)
    if len(lines) == 1:
        return f"\\[\n  {lines[0]}\n\\]"
    return _environment("align*", lines)


def mathematics(formula_tex: str) -> str:
    """Return the equations without math delimiters, for Markdown's math blocks."""
    lines = _equations(formula_tex)
    return lines[0] if len(lines) == 1 else _environment("aligned", lines)


def _equations(formula_tex: str) -> list[str]:
    """Return the equations, one per line; a formula with its own environment is not split."""
    if "\\begin{" in formula_tex:
        return [formula_tex.strip()]
    return [line.strip() for line in formula_tex.splitlines() if line.strip()]


def _environment(name: str, lines: list[str]) -> str:
    body = " \\\\\n".join(f"  {_aligned(line)}" for line in lines)
    return f"\\begin{{{name}}}\n{body}\n\\end{{{name}}}"


def _aligned(line: str) -> str:
    r"""Mark the first equals sign outside brackets (bounds of a sum, ``\left(`` to ``\right)``)."""
    depth = 0
    for at, character in enumerate(line):
        depth += (character in "{([") - (character in "})]")
        if character == "=" and depth == 0:
            return f"{line[:at]}&{line[at:]}"
    return f"& {line}"
