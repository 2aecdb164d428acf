from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from attnbench.errors import RequestError
from attnbench.reports.tables.render import FORMATS, render, write

NASTY = r"""a|b & 50% of $x_1$ <script>"q"</script> #1 ~ ^ \cmd{y} `c` *z* [l](u) 'é'"""
PLACED = "cost/mobilenet_v2/ulsam/after:17"


@pytest.fixture
def nasty(content):
    """Every free text of a suite is hostile."""
    content["suite"] |= {"title": NASTY, "source": NASTY, "url": NASTY, "notes": [NASTY]}
    table = content["table"][0]
    table |= {"title": NASTY, "notes": [NASTY], "cite": True}
    table["columns"] += ["traits", "formula"]
    table["groups"] = {
        "option": "groups",
        "values": [1, 8],
        "label": "{} " + NASTY,
        "columns": ["top1", "top5"],
    }
    for row in table["row"]:
        row |= {"label": NASTY, "note": NASTY, "reasons": {"macs": NASTY}}
        row["printed"] = {"macs": "1M", "top1": "70.0"}
    return content


class _Reader(HTMLParser):
    """Checks nesting, collects cell texts and widths."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.widths: list[int] = []
        self.texts: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag in ("meta", "br"):
            return
        self.open.append(tag)
        if tag == "tr":
            self.widths.append(0)
        if tag in ("td", "th"):
            self.widths[-1] += int(dict(attrs).get("colspan", 1))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read_html(text):
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


def markdown_rows(text):
    return [line for line in text.splitlines() if line.startswith("|")]


def cells_of(line):
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def test_markdown_rows_have_the_same_number_of_cells(report_of, nasty):
    parts = render(report_of(nasty), "md").split("\n\n|")[1:]
    widths = [{cells_of(line) for line in markdown_rows(f"|{part}")} for part in parts]
    assert all(len(found) == 1 and 2 <= max(found) <= 8 for found in widths)
    # each part names its rows by label and placement
    assert sum(max(found) - 2 for found in widths) == len(report_of(nasty).tables[0].columns) - 2


def test_markdown_text(report_of, content):
    text = render(report_of(content), "md")
    assert text.startswith("# A small suite\n\nPrinted params: printed / nominal = plain")
    assert "| MV2 + ULSAM | after:17 | 3.4M / 3.4M = 3.4M + 320 ✓ |" in text
    assert "✓ reproduced (follows from the source's own formulas)." in text
    assert "\n\n\n" not in text
    assert text.endswith("Measured with attnbench 0.1.0.\n")


def latex_rows(text):
    body = text.split(r"\endhead")[1].split(r"\bottomrule")[0]
    return [line for line in body.splitlines() if line.endswith(r"\\")]


def latex_width(row):
    cells = re.split(r"(?<!\\)&", row)
    spans = [re.match(r"\s*\\multicolumn\{(\d+)\}", cell) for cell in cells]
    return sum(int(span[1]) if span else 1 for span in spans)


def test_latex_rows_have_the_same_number_of_cells(report_of, nasty):
    text = render(report_of(nasty), "tex")
    parts = text.split(r"\begin{longtable}")[1:]
    assert len(parts) > 1
    for part in parts:
        wanted = len(re.match(r"\{@\{\}([lr]+)@\{\}\}", part)[1])
        assert [latex_width(row) for row in latex_rows(part)] == [wanted] * 2
        heads = part.split(r"\toprule")[1].split(r"\midrule")[0].splitlines()
        assert [latex_width(row) for row in heads if row.endswith(r"\\")] == [wanted]


def test_latex_has_no_raw_specials(report_of, nasty):
    text = render(report_of(nasty), "tex")
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert not re.search(r"(?<!\\)#", "\n".join(lines))
    assert not [line for line in lines if re.search(r"(?<!\\)%.", line)]
    assert balanced("\n".join(lines))
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0


def balanced(text):
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    return depth == 0


def test_latex_cites_only_where_asked(report_of, content):
    assert r"\cite" not in render(report_of(content), "tex")
    content["table"][0]["cite"] = True
    assert r"MV2 + ULSAM~\cite{saini2020ulsam}" in render(report_of(content), "tex")
    assert r"MV2 + ULSAM \[Saini, WACV'20\]" in render(report_of(content), "md")


def test_latex_formulas_are_mathematics(report_of, content):
    content["table"][0]["columns"] = ["label", "formula"]
    assert "& $2m$ & $2mhw$" in render(report_of(content), "tex")


def test_html_is_well_formed_and_escaped(report_of, nasty):
    report = report_of(nasty)
    text = render(report, "html")
    reader = read_html(text)
    width = len(report.tables[0].columns)
    # the second head row has the grouped columns only
    assert reader.widths == [width, 4, width, width]
    assert "script" not in reader.tags
    assert NASTY in "".join(reader.texts)


def test_html_links_only_to_the_web(report_of, content):
    content["suite"]["url"] = "javascript:alert(1)"
    assert 'href="javascript' not in render(report_of(content), "html")
    content["suite"]["url"] = "https://example.org/?a=1&b=2"
    assert 'href="https://example.org/?a=1&amp;b=2"' in render(report_of(content), "html")


def test_html_footnotes_link_to_their_text(report_of, nasty):
    text = render(report_of(nasty), "html")
    targets = set(re.findall(r'href="#(t\d+n\d+)"', text))
    assert targets
    assert targets <= set(re.findall(r'id="(t\d+n\d+)"', text))


def test_html_marks_verdicts(report_of, content):
    text = render(report_of(content), "html")
    assert '<span class="verdict reproduced">reproduced</span>' in text


def test_csv_is_tidy_and_exact(report_of, content, record):
    big = 2**53 + 1
    report = report_of(
        content,
        {
            PLACED: record(
                {"macs": big},
                counters={"torch": {"raw": big, "macs": 1, "agree": False, "unit": "x"}},
            ),
            "cost/mobilenet_v2/plain": {"status": "failed", "reason": 'a, "b"\nc'},
        },
    )
    frame = pd.read_csv(io.StringIO(render(report, "csv")), dtype={"macs": "Int64"})
    assert frame["macs"].isna().tolist() == [True, False]
    assert frame["macs"][1] == big
    assert frame["reason"][0] == 'a, "b"\nc'
    assert frame["status"].tolist() == ["failed", "ok"]
    assert frame.loc[1, ["suite", "row", "backbone", "module", "placement"]].tolist() == [
        "small",
        "MV2 + ULSAM",
        "mobilenet_v2",
        "ulsam",
        "after:17",
    ]
    assert frame["printed_macs"].tolist() == ["300M", "300.01M"]
    assert frame["verdict_macs"].tolist() == ["not measured", "reproduced by cutting"]
    assert f",{big}," in render(report, "csv")


def test_csv_of_groups_has_the_option(report_of, nasty):
    frame = pd.read_csv(io.StringIO(render(report_of(nasty), "csv")))
    assert frame["groups"].dropna().astype(int).tolist() == [1, 8]
    assert len(frame) == 3


def test_an_unknown_format_is_refused(report_of, content):
    with pytest.raises(RequestError, match=r"'latex'.*'tex'.*csv, html, md, tex"):
        render(report_of(content), "latex")


def test_bibtex_has_each_paper_once(report_of, content):
    assert "".join(report_of(content, added=("se",)).bibtex).count("@inproceedings") == 1


@pytest.mark.parametrize("form", FORMATS)
def test_rendering_is_deterministic(report_of, nasty, form):
    assert render(report_of(nasty), form) == render(report_of(nasty), form)


def test_write(report_of, content, tmp_path):
    folder = tmp_path / "new" / "small"
    report = report_of(content)
    paths = write(report, folder)
    assert sorted(path.name for path in paths) == sorted(
        ["table.md", "table.csv", "table.tex", "table.html", "table.bib"]
    )
    assert sorted(paths) == sorted(folder.iterdir())
    for form in FORMATS:
        assert (folder / f"table.{form}").read_bytes() == render(report, form).encode()


def test_write_leaves_the_old_file_when_it_fails(report_of, content, tmp_path, monkeypatch):
    path = tmp_path / "table.md"
    path.write_text("old")

    def fail(*_args):
        raise OSError("no space left")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="no space"):
        write(report_of(content), tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["table.md"]
    assert path.read_text() == "old"


def test_write_removes_a_bibliography_that_no_longer_holds(report_of, content, tmp_path):
    write(report_of(content), tmp_path)
    del content["table"][0]["row"][1]
    write(report_of(content), tmp_path)
    assert not (tmp_path / "table.bib").exists()
