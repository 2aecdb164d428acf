"""Markdown form of a module's sections, for documentation pages."""

from __future__ import annotations

from collections.abc import Sequence

from attnbench.reports.module_page.latex_formula import mathematics
from attnbench.reports.module_page.sections import Block, Equations, Formula, Items, Rows, Section
from attnbench.utils.escape import markdown


def module_markdown(headline: str, sections: Sequence[Section]) -> str:
    """Return the page: a title, followed by the sections."""
    parts = [f"## {markdown(headline)}"]
    for number, section in enumerate(sections):
        if number:
            parts.append(f"### {markdown(section.title)}")
        parts += [_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Rows):
        return "\n".join(_row(label, text) for label, text in block.rows)
    if isinstance(block, Items):
        items = "\n".join(f"- {markdown(text)}" for text in block.texts)
        return "\n\n".join(part for part in (markdown(block.head), items) if part)
    if isinstance(block, Formula):
        return _fence("text", block.text)
    if isinstance(block, Equations):
        return _fence("math", mathematics(block.tex))
    return _fence(block.language, block.text)


def _row(label: str, text: str) -> str:
    """Return a list item, with a label that is code formatted as code."""
    if not label:
        return f"  {markdown(text)}"
    name = f"`{label}`" if set("=._") & set(label) else markdown(label)
    return f"- {name}: {markdown(text)}"


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"
