from attnbench.utils.html_table import html_table


def test_cells_are_escaped_and_numbers_have_separators():
    html = html_table(("<a>", "b"), [(1234567, "x & y"), (0.123456, None)], "<t>", ["1 < 2"])
    assert "<a>" not in html
    assert "<th>&lt;a&gt;</th>" in html
    assert '<td style="text-align: right">1,234,567</td>' in html
    assert '<td style="text-align: right">0.1235</td>' in html
    assert "x &amp; y" in html
    assert "<caption>&lt;t&gt;</caption>" in html
    assert html.endswith("<p>1 &lt; 2</p>")
