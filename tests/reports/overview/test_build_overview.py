"""An overview: rows of several runs joined by module and place, sparse columns left out."""

from dataclasses import replace

import pytest
from attnbench_modules import MODULES as TABLE

from attnbench.errors import RequestError
from attnbench.registry.plugins import Catalog
from attnbench.reports.overview.build_overview import (
    BEGIN,
    END,
    build_overview,
    lines,
    objects,
    read_page,
    with_report,
    write_page,
)
from attnbench.reports.overview.entries import collect
from attnbench.reports.tables.render import FORMATS, render
from attnbench.suites.load import parse_suite
from attnbench.suites.plan import all_cases, plan

from .made import COSTS, PLAIN_TOP1, recorded, rows, suite

MODULES = ["se", "cbam", "bam"]
LATENCY = {"runtimes": ["eager", "onnxruntime"]}
ACCURACY = {"dataset": "digits", "recipe": "digits", "seeds": 3}
EAGER = "latency/mobilenet_v2/cbam/after:14/eager"


def planned(content, change=None):
    """What ``collect`` takes; ``change`` alters records by the name of their case, or drops them."""
    catalog = Catalog()
    catalog.add_table(TABLE, "attnbench")
    parsed = parse_suite(content, "small.toml")
    tables = plan(parsed, catalog)
    records = {case.name: recorded(case) for case in all_cases(tables)}
    for name, fields in (change or {}).items():
        records[name] = {**records[name], **fields} if fields is not None else None
    return parsed, tables, {name: one for name, one in records.items() if one}


def timed_suite(modules=MODULES, forms=("plain",), **latency):
    content = suite(rows("mobilenet_v2", modules, forms=list(forms)), latency=LATENCY | latency)
    content["table"][0]["latency"] = {"columns": ["overhead"]}
    return content


def trained_suite(*more):
    content = suite([*rows("mobilenet_v2,width=0.35", MODULES), *more], accuracy=ACCURACY)
    content["table"][0]["accuracy"] = {}
    return content


def table_of(*runs):
    (table,) = build_overview(collect(runs), ["a", "b"], {}).tables
    return table


def heads(table):
    return [f"{one.group}: {one.head}" if one.group else one.head for one in table.columns]


def column(table, text):
    number = next(n for n, head in enumerate(heads(table)) if text in head)
    return {row[0].text: row[number].text for row in table.rows}


@pytest.fixture(scope="module")
def joined():
    return collect([planned(timed_suite(forms=("plain", "fused"))), planned(trained_suite())])


@pytest.fixture
def table(joined):
    return build_overview(joined, ["a", "b"], {}).tables[0]


def test_a_module_at_one_place_is_one_row(joined):
    (place,) = joined
    assert place.name == "after:14"
    assert sorted(place.entries) == sorted(MODULES)


def test_each_figure_stands_under_its_own_network(table):
    assert heads(table) == [
        "Module",
        "Family",
        "Paper",
        "mobilenet_v2: + Parameters",
        "mobilenet_v2: + MACs",
        "mobilenet_v2: + Bytes",
        "mobilenet_v2, PyTorch eager: Overhead",
        "mobilenet_v2, PyTorch eager: Overhead, fused",
        "mobilenet_v2, ONNX Runtime: Overhead",
        "mobilenet_v2, ONNX Runtime: Overhead, fused",
        "mobilenet_v2,width=0.35, digits: Top-1 to plain",
    ]
    assert column(table, "+ Parameters")["cbam"] == f"+{4 * COSTS['params']:,}"
    assert column(table, "eager: Overhead, fused")["se"].startswith("+4.0%")
    assert column(table, "Top-1")["cbam"].startswith("-2.00 [")


def test_rows_go_by_the_first_overhead(table):
    assert [row[0].text for row in table.rows] == ["cbam", "se", "bam"]


def test_unmeasured_rows_come_last():
    table = table_of(planned(timed_suite(), {EAGER: None}))
    assert [row[0].text for row in table.rows] == ["se", "bam", "cbam"]
    assert column(table, "eager: Overhead")["cbam"] == "not run"


def test_a_failure_is_told_below():
    failed = {"status": "failed", "reason": "out of luck", "values": {}, "samples": []}
    table = table_of(planned(timed_suite(), {EAGER: failed}))
    assert column(table, "eager: Overhead")["cbam"] == "failed"
    assert [text for text in table.footnotes if "out of luck" in text]


def test_the_plain_network_is_told_below(table):
    text = "\n".join(table.notes)
    assert f"Plain mobilenet_v2: {COSTS['params']:,} parameters, {COSTS['macs']:,} MACs" in text
    assert "Plain takes 10.0" in text
    assert f"Plain reaches {sum(PLAIN_TOP1) / 3:.2f}" in text
    assert "A Processor" in text


def test_what_few_modules_have_is_no_column_but_named():
    runs = planned(timed_suite()), planned(timed_suite(["se"], runtimes=["openvino"]))
    table = table_of(*runs)
    assert not [head for head in heads(table) if "openvino" in head]
    assert "mobilenet_v2 openvino (1)" in table.notes[-1]
    (se,) = [one for one in objects(collect(runs)[0]) if one["module"] == "se"]
    assert [one["conditions"] for one in se["latencies"]] == ["eager", "onnxruntime", "openvino"]


def test_what_nothing_was_measured_for_is_no_column():
    parsed, tables, records = planned(timed_suite())
    costs = {name: one for name, one in records.items() if name.startswith("cost/")}
    table = table_of((parsed, tables, costs))
    assert not [head for head in heads(table) if "Overhead" in head]
    assert "not measured" in table.notes[-1]


def test_the_first_run_wins():
    other = {"cost/mobilenet_v2/se/after:14": {"values": {"delta_params": 7}}}
    table = table_of(planned(timed_suite(), other), planned(timed_suite()))
    assert column(table, "+ Parameters")["se"] == "+7"


def test_places_stand_apart():
    other = suite(rows("mobilenet_v2", ["se"], placement="official"))
    names = [one.name for one in collect([planned(timed_suite()), planned(other)])]
    assert names == ["after:14", "official"]


def test_modules_alone_have_their_map_for_a_place():
    run = planned(suite([{"module": MODULES, "channels": 96, "size": 14}]))
    assert [one.name for one in collect([run])] == ["96x14x14"]
    assert "the module alone: Parameters" in heads(table_of(run))


def test_a_column_group_is_a_module_each():
    content = suite([{"backbone": "mobilenet_v2", "module": "ulsam", "placement": "after:14"}])
    content["table"][0]["groups"] = {
        "option": "groups",
        "values": [1, 2],
        "label": "g = {}",
        "columns": ["params"],
    }
    (place,) = collect([planned(content)])
    assert sorted(place.entries) == ["ulsam,groups=1", "ulsam,groups=2"]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_shows_it(joined, form):
    text = render(build_overview(joined, ["a"], {"torch": "9.9"}), form)
    assert all(name in text for name in MODULES)


def test_data_has_every_figure(joined):
    (se,) = [one for one in objects(joined[0]) if one["module"] == "se"]
    (cost,) = [one for one in se["costs"] if one["backbone"] == "mobilenet_v2"]
    assert cost["delta_params"] == 2 * COSTS["params"]
    eager = next(one for one in se["latencies"] if one["conditions"] == "eager")
    assert eager["ratio"] == pytest.approx(1.05, abs=0.002)
    assert eager["verdict"] == "slower"
    assert se["accuracies"][0]["difference"] == pytest.approx(1.0)
    assert se["accuracies"][0]["seeds"] == 3


def test_two_sizes_of_pictures_are_two_networks():
    large, small = timed_suite(["se"]), timed_suite(["cbam", "bam"])
    small["suite"]["size"] = 96
    table = table_of(planned(large), planned(small))
    shown = [head for head in heads(table) if "mobilenet_v2" in head]
    assert shown
    assert all(head.startswith("mobilenet_v2 96x96") for head in shown)
    assert column(table, "+ MACs")["se"] == "–"
    assert "mobilenet_v2 eager (1)" in table.notes[-1]


def test_two_recipes_on_the_same_data_are_two_columns():
    short = trained_suite()
    short["accuracy"] = {**ACCURACY, "epochs": 1}
    runs = planned(trained_suite()), planned(short)
    accuracies = [head for head in heads(table_of(*runs)) if "Top-1" in head]
    assert accuracies == [
        "mobilenet_v2,width=0.35, digits, digits: Top-1 to plain",
        "mobilenet_v2,width=0.35, digits, digits,epochs=1: Top-1 to plain",
    ]
    (se,) = [one for one in objects(collect(runs)[0]) if one["module"] == "se"]
    assert [one["recipe"] for one in se["accuracies"]] == ["digits", "digits,epochs=1"]
    flat = next(one for one in lines(collect(runs)[0]) if one["module"] == "se")
    assert flat["mobilenet_v2,width=0.35/digits/digits,epochs=1/difference"] == pytest.approx(1.0)


def test_trainings_that_all_failed_are_told_below():
    parsed, tables, records = planned(trained_suite())
    skipped = {"status": "skipped", "reason": "no pictures", "values": {}, "training": None}
    records = {
        name: {**one, **skipped} if name.startswith("accuracy/") else one
        for name, one in records.items()
    }
    table = table_of((parsed, tables, records))
    assert column(table, "Top-1")["se"] == "skipped"
    assert [text for text in table.footnotes if "no pictures" in text]


def test_what_one_record_of_a_card_lacks_another_has():
    old = {"cost/mobilenet_v2/se/after:14": {"card": {"short": "A, B'20"}}}
    table = table_of(planned(timed_suite(), old), planned(timed_suite()))
    assert column(table, "Family")["se"] == "channel"


def test_no_timing_at_all_leaves_no_note():
    failed = {"status": "failed", "reason": "out of luck", "values": {}, "samples": []}
    run = planned(timed_suite(["se"]))
    gone = {name: failed for name in run[2] if "/se/" in name and name.startswith("latency/")}
    table = table_of(planned(timed_suite(["se"]), gone))
    assert column(table, "eager: Overhead")["se"] == "failed"
    assert not [note for note in table.notes if "eager" in note]


def test_a_plain_record_of_before_bytes_were_counted():
    old = {key: value for key, value in COSTS.items() if key != "bytes"}
    table = table_of(planned(timed_suite(), {"cost/mobilenet_v2/plain": {"values": old}}))
    assert table.notes[0] == "Plain mobilenet_v2: 1,000 parameters, 50,000 MACs."


PAGE = f"# Mine\n\n{BEGIN}\nold\n{END}\n\nMore.\n"


def test_what_stands_between_is_replaced_and_nothing_else():
    assert with_report(PAGE, "new", "x") == f"# Mine\n\n{BEGIN}\n\nnew\n\n{END}\n\nMore.\n"


def test_twice_is_once():
    once = with_report(PAGE, r"new \1 \g<0>", "x")
    assert r"new \1 \g<0>" in once
    assert with_report(once, r"new \1 \g<0>", "x") == once


def test_the_first_time_there_is_nothing_between():
    assert "new" in with_report(f"{BEGIN}\n{END}\n", "new", "x")


@pytest.mark.parametrize(
    "text",
    ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{END}\n" * 2],
    ids=["none", "no end", "turned round", "two"],
)
def test_no_place_for_it_says_how_to_make_one(text):
    with pytest.raises(RequestError, match=BEGIN) as error:
        with_report(text, "new", "README.md")
    assert "README.md" in str(error.value)


def test_files(tmp_path):
    path = tmp_path / "page.md"
    with pytest.raises(RequestError, match="cannot be read"):
        read_page(path)
    path.write_text("older\n")
    write_page(path, PAGE)
    assert read_page(path) == PAGE
    with pytest.raises(RequestError, match="cannot be written"):
        write_page(tmp_path / "no" / "page.md", PAGE)


def test_line_ends_and_links_and_modes_stay(tmp_path):
    path, link = tmp_path / "page.md", tmp_path / "link.md"
    path.write_bytes(PAGE.replace("\n", "\r\n").encode())
    path.chmod(0o640)
    link.symlink_to(path)
    write_page(link, with_report(read_page(link), "new", "x"))
    assert path.read_bytes().startswith(b"# Mine\r\n\r\n")
    assert path.read_bytes().count(b"\n") == path.read_bytes().count(b"\r\n")
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_brief_table_has_parameters_overheads_and_accuracies_without_notes(joined):
    (table,) = build_overview(joined, ["a", "b"], {}, brief=True).tables
    found = [head.rpartition(": ")[2] for head in heads(table)]
    assert found == [
        *["Module", "Family", "+ Parameters", "Overhead", "Overhead", "Top-1 to plain", "Accuracy"]
    ]
    assert (table.notes, table.footnotes) == ((), ())
    words = column(table, "Accuracy")
    assert set(words) == set(MODULES) and set(words.values()) <= {
        *["better", "worse", "same", "inconclusive", "withheld"]
    }


def test_chosen_modules_alone_are_shown_with_the_columns_of_all(joined):
    (place,) = joined
    chosen = replace(place, chosen=("bam", "se", "nowhere"))
    (table,) = build_overview([chosen], ["a"], {}).tables
    assert {row[0].text for row in table.rows} == {"bam", "se"}
    assert heads(table) == heads(build_overview([place], ["a"], {}).tables[0])
    assert {row["module"] for row in objects(chosen)} == {"bam", "se"}
