"""Tables of a paper as LaTeX."""

import re

import pytest

from attnbench.errors import UnknownNameError
from attnbench.reports.paper.latex import to_latex

NASTY = r"""50% of $x_1$ #1 ~ ^ \cmd{y} [z] é"""


def rows_of(text):
    body = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    return [line.removesuffix(r" \\") for line in body.splitlines()]


def test_a_printed_figure_stands_beside_ours(paper_of, content):
    text = to_latex(paper_of(content), "small")
    assert "attnbench table small --preset paper\n" in text
    assert r"\multicolumn{3}{c}{FLOPs (M)}" in text
    assert rows_of(text) == [
        "MV2 & {--} &  & 3.51 & 300 & $\\checkmark$ & 300.790",
        "MV2 + ULSAM & 3.4 & $\\checkmark$ & 3.51 & 300.01 & $\\checkmark$ & 300.790",
    ]
    assert r"\checkmark$ reproduced" in text


def test_notes_stand_below_the_table_and_the_legend_last(paper_of, content):
    content["table"][0]["paper"] = {"title": "A caption", "notes": ["First."]}
    (table,) = paper_of(content)
    assert table.title == "A caption"
    assert table.notes[0] == "First."
    assert table.notes[-1].startswith("✓ reproduced")
    assert r"\caption{A caption.}" in to_latex([table], "small")


@pytest.mark.parametrize("two_column", [False, True])
def test_two_columns_are_crossed(paper_of, content, two_column):
    text = to_latex(paper_of(content, two_column=two_column), "small", two_column=two_column)
    assert (r"\begin{table*}" in text) == two_column
    assert (r"\begin{table}" in text) != two_column
    assert text.count(r"\begin{") == text.count(r"\end{")


def long_suite(content, rows=60):
    row = content["table"][0]["row"][0]
    content["table"][0]["row"] = [row | {"label": f"row {number}"} for number in range(rows)]
    return content


def test_a_long_table_breaks_across_pages(paper_of, content):
    text = to_latex(paper_of(long_suite(content)), "small")
    assert text.count(r"\begin{longtable}") == 1
    assert r"\endhead" in text
    assert all(f"row {number} &" in text for number in range(60))


def test_in_two_columns_a_long_table_is_several(paper_of, content):
    text = to_latex(paper_of(long_suite(content), two_column=True), "small", two_column=True)
    assert "longtable}" not in text.partition("\n\n")[2]
    assert text.count(r"\begin{table*}") == text.count("(continued)") + 1 == 2
    assert text.count(r"\label{") == text.count("tablenotes}") // 2 == 1
    assert [text.count(f"row {number} &") for number in range(60)] == [1] * 60


def test_columns_are_chosen_by_name(paper_of, content):
    (table,) = paper_of(content, columns=["macs", "params"])
    assert [column.column.key for column in table.columns] == ["label", "macs", "params"]
    with pytest.raises(UnknownNameError, match=r"'mac'.*Did you mean 'macs'"):
        paper_of(content, columns=["mac"])


def test_at_most_seven_columns_that_fit(paper_of, content):
    content["table"][0]["columns"] += [
        "trainable", "activations", "bytes", "delta_params", "delta_macs", "traits", "counters",
    ]  # fmt: skip
    for two_column in (False, True):
        (table,) = paper_of(content, two_column=two_column)
        assert 4 <= len(table.columns) <= 7
        assert not table.fit.sideways


def grouped(content):
    table = content["table"][0]
    table["groups"] = {
        "option": "groups", "values": [1, 8], "label": "g = {}", "columns": ["top1", "top5"],
    }  # fmt: skip
    table["row"][0]["printed"] |= {"top1": "71.25", "top5": "90.19"}
    table["row"][1]["printed"] |= {"top1": ["71.31", "71.35"], "top5": ["90.28", "90.36"]}
    table["paper"] = {"columns": ["printed_params"]}
    return content


def test_column_groups_have_heads_and_the_plain_network_a_cell_across(paper_of, content):
    text = to_latex(paper_of(grouped(content)), "small")
    assert r"\multicolumn{2}{c}{g = 1} & \multicolumn{2}{c}{g = 8}" in text
    assert rows_of(text) == [
        r"MV2 & {--} &  & \multicolumn{4}{c}{Top-1 = 71.25, Top-5 = 90.19}",
        r"MV2 + ULSAM & 3.4 & $\checkmark$ & 71.31 & 90.28 & 71.35 & 90.36",
    ]
    assert "Accuracies as printed, not measured here." in text


def test_tables_of_several_data_sets_stand_as_one(paper_of, content):
    first = content["table"][0]
    first |= {"columns": ["label", "top1"], "paper": {"head": "Food", "columns": ["top1"]}}
    for row, top1 in zip(first["row"], ("81.31", "81.28"), strict=True):
        row["printed"] = {"top1": top1}
    rows = [row | {"printed": {"top1": "62.88"}} for row in reversed(first["row"])]
    paper = {"head": "Birds", "columns": ["top1"], "beside": True}
    content["table"].append({**first, "row": rows[:1], "paper": paper})
    text = to_latex(paper_of(content), "small")
    assert text.count(r"\begin{table}") == 1
    assert r" & \multicolumn{1}{c}{Food} & \multicolumn{1}{c}{Birds}" in text
    assert rows_of(text) == ["MV2 & 81.31 & {--}", "MV2 + ULSAM & 81.28 & 62.88"]


def test_hostile_texts_are_typeset(paper_of, content):
    content["suite"]["title"] = NASTY
    content["table"][0] |= {"title": NASTY, "notes": [NASTY]}
    for row in content["table"][0]["row"]:
        row["label"] = NASTY
    text = to_latex(paper_of(content), "small")
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert not re.search(r"(?<!\\)[#%]", "\n".join(lines))
    assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0


def test_only_printed_rows_and_added_ones_where_the_suite_says_so(paper_of, content):
    table = content["table"][0]
    table["row"].append({"label": "ours", "backbone": "mobilenet_v2"})
    table["paper"] = {"rows": "printed"}
    names = [row.partition(" &")[0] for row in rows_of(to_latex(paper_of(content), "small"))]
    assert names == ["MV2", "MV2 + ULSAM"]
    added = rows_of(to_latex(paper_of(content, added=("se",)), "small"))
    assert len(added) == 3
