"""A paper's tables as LaTeX: floats with notes, long tables and those in two columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from attnbench.reports.paper.build_paper import PaperTable
from attnbench.reports.paper.typeset import TypesetColumn, group_row, shared_cell
from attnbench.utils.escape import latex, visible

PACKAGES = "amssymb,booktabs,longtable,rotating,siunitx,threeparttable"
_HEAD = r"""% Tables of {name}: attnbench table {name} --preset paper{option}
% Needs: \usepackage{{{packages}}}
% The full tables are the supplement: attnbench table {name} --format tex
"""


def to_latex(tables: Sequence[PaperTable], name: str, *, two_column: bool = False) -> str:
    """Return the tables as a fragment to include into a document."""
    option = " --two-column" if two_column else ""
    head = _HEAD.format(name=name, option=option, packages=PACKAGES)
    lines = [
        line
        for number, table in enumerate(tables, start=1)
        for line in ("", *_table(table, f"tab:{name}-paper-{number}", two_column))
    ]
    return visible(head + "\n".join(lines) + "\n")


def _table(table: PaperTable, label: str, two_column: bool) -> Iterator[str]:
    if table.fit.most_rows is None:
        kind = "sidewaystable" if table.fit.sideways else "table"
        yield from _float(table, range(table.rows), label, kind + "*" * two_column)
    elif two_column:  # LaTeX has long tables for a single column only
        most = table.fit.most_rows
        for start in range(0, table.rows, most):
            rows = range(start, min(start + most, table.rows))
            yield from _float(table, rows, label if start == 0 else "", "table*")
    else:
        yield from _long(table, label)


def _float(table: PaperTable, rows: range, label: str, kind: str) -> Iterator[str]:
    yield rf"\begin{{{kind}}}"
    yield r"\centering"
    yield from _settings(table)
    yield r"\begin{threeparttable}"
    if label:
        yield rf"\caption{{{latex(table.title)}.}}\label{{{label}}}"
    else:
        yield r"\addtocounter{table}{-1}"
        yield rf"\caption{{{latex(table.title)} (continued).}}"
    yield rf"\begin{{tabular}}{{{_spec(table)}}}"
    yield from _heads(table)
    yield from _rows(table, rows)
    yield from (r"\bottomrule", r"\end{tabular}")
    if rows.stop == table.rows and table.notes:
        yield r"\begin{tablenotes}[flushleft]\footnotesize"
        yield from (rf"\item {latex(note)}" for note in table.notes)
        yield r"\end{tablenotes}"
    yield from (r"\end{threeparttable}", rf"\end{{{kind}}}")


def _long(table: PaperTable, label: str) -> Iterator[str]:
    yield r"\begingroup"
    yield from _settings(table)
    yield r"\setlength{\LTcapwidth}{\linewidth}\setcounter{LTchunksize}{500}"
    yield rf"\begin{{longtable}}{{{_spec(table)}}}"
    yield rf"\caption{{{latex(table.title)}.}}\label{{{label}}} \\"
    yield from (*_heads(table), r"\endfirsthead")
    yield rf"\caption[]{{{latex(table.title)} (continued).}} \\"
    yield from (*_heads(table), r"\endhead", r"\bottomrule", r"\endfoot")
    yield from _rows(table, range(table.rows))
    yield r"\end{longtable}"
    yield from (rf"\noindent\footnotesize {latex(note)}\par" for note in table.notes)
    yield r"\endgroup"


def _settings(table: PaperTable) -> Iterator[str]:
    yield rf"{table.fit.command}\setlength{{\tabcolsep}}{{{table.fit.gap:g}pt}}"
    yield r"\sisetup{detect-weight=true,mode=match}"


def _spec(table: PaperTable) -> str:
    return "@{}" + "".join(column.spec for column in table.columns) + "@{}"


def _heads(table: PaperTable) -> Iterator[str]:
    yield r"\toprule"
    if above := group_row(table.columns):
        yield above
    yield " & ".join(column.head for column in table.columns) + r" \\"
    yield r"\midrule"


def _rows(table: PaperTable, rows: range) -> Iterator[str]:
    for row in rows:
        if row in table.starts and row != rows.start:
            yield r"\addlinespace"
        yield " & ".join(_cells(table.columns, row)) + r" \\"


def _cells(columns: Sequence[TypesetColumn], row: int) -> Iterator[str]:
    for is_shared, members in groupby(columns, key=lambda column: column.is_shared(row)):
        if is_shared:
            yield shared_cell(list(members), row)
        else:
            yield from (cell for column in members for cell in column.cells(row))
