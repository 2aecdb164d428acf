"""Small tables as HTML, as notebooks show them."""

from collections.abc import Iterable, Sequence
from html import escape

from attnbench.utils.escape import visible


def html_table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    title: str = "",
    notes: Sequence[str] = (),
) -> str:
    """Return a table as HTML; integers have thousands separators, and numbers are on the right.

    Args:
        head: the heads of the columns.
        rows: the cells; None is an empty one.
        title: caption above the table.
        notes: lines below it.
    """
    parts = ["<table>"]
    parts += [f"<caption>{_escaped(title)}</caption>"] if title else []
    heads = "".join(f"<th>{_escaped(text)}</th>" for text in head)
    parts += [f"<thead><tr>{heads}</tr></thead>", "<tbody>"]
    parts += [f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows]
    parts += ["</tbody>", "</table>"]
    return "\n".join([*parts, *(f"<p>{_escaped(note)}</p>" for note in notes)])


def _cell(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
        return f'<td style="text-align: right">{text}</td>'
    return f'<td style="text-align: left">{"" if value is None else _escaped(value)}</td>'


def _escaped(value: object) -> str:
    return escape(visible(str(value)))
