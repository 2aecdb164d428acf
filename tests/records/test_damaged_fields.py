"""Every field of a record, replaced by anything that JSON has: no reader fails."""

import copy
import json
import random

import pytest
from attnbench_modules import MODULES

from attnbench.records.store import FILE, case_of, read_run
from attnbench.registry.plugins import Catalog
from attnbench.regression.compare.accept import accept
from attnbench.regression.compare.compare_runs import compare
from attnbench.regression.compare.report import text_blocks
from attnbench.regression.history.metric_values import read_metrics
from attnbench.reports.overview.build_overview import build_overview, objects
from attnbench.reports.overview.entries import collect
from attnbench.reports.run_report import planned_of, report_of
from attnbench.reports.tables.render import render
from attnbench.reports.terminal import block_lines
from attnbench.runner.eta import format_duration
from attnbench.stats.timing_samples import AGAIN
from attnbench.suites.load import parse_suite
from attnbench.suites.plan import all_cases, plan
from attnbench.suites.planned import tables_to_json

MISSING = object()
JSON = (MISSING, None, True, 0, -1, 1.5, 10**400, float("inf"), "text", [1], [None], {"a": 1})
"""What stands in place of a field."""
WORDS = {"kind": ("latency", "export"), "status": ("failed", "skipped")}
"""What also does, in place of some."""
SUITE = {
    "suite": {"name": "mine", "title": "Mine"},
    "latency": {"runtimes": ["eager"], "budget_s": 1},
    "accuracy": {"dataset": "digits", "recipe": "digits-quick", "seeds": 2},
    "table": [
        {
            "columns": ["label", "params", "delta_params", "macs", "counters"],
            "latency": {},
            "accuracy": {},
            "row": [
                {"backbone": "mobilenet_v2,width=0.35"},
                {"backbone": "mobilenet_v2,width=0.35", "module": "se", "placement": "after:14"},
            ],
        }
    ],
}
COUNTER = {"agree": True, "unit": "MACs", "raw": 128, "macs": 128, "factor": 1, "remainder": 0}
COUNTER |= {"version": "1", "unsupported": {"mul": 1}, "reason": ""}
ADJUSTED = [{"operator": "mean", "why": "counted", "macs": 3}]
CARD = {
    "title": "SE", "family": "channel", "key": "hu2018", "short": "Hu", "bibtex": "@x{hu2018}",
    "traits": {"mlp": True}, "printed": {"params_text": "2m", "differences": ["Biases."]},
}  # fmt: skip
RUNTIME = {
    "title": "Eager", "processor": "EPYC", "isa": "AVX2", "versions": {"torch": "2"},
    "device": {"name": "cpu", "title": "EPYC"}, "fallbacks": {"mul": 2}, "notes": ["a note"],
}  # fmt: skip
STATED = {"backbone": "mobilenet_v2,width=0.35", "dataset": "digits", "top1": 99.5}
TRAINED = {
    "dataset": "digits", "synthetic": False, "device": "cpu", "images": [1437, 8], "classes": 10,
    "correct": "eJxLAAAAYgBi", "curve": [{"epoch": 1, "loss": 0.5, "top1": 90.0, "lr": 0.1}],
    "notes": [], "unreadable": [1, 0], "unreadable_names": ["a.png"],
    "recipe": {"name": "r", "title": "R", "hash": "1", "smoke": False, "baseline": [STATED]},
}  # fmt: skip


def record(case):
    """Return a complete record of a case as JSON."""
    fields = {"case": case.name, "kind": case.kind, "status": "ok", "hash": "1", "seconds": 0.5}
    fields |= {"conditions": case.to_json(), "reason": None, "notes": ["a note"]}
    if case.module:
        size = {"channels": 32, "size": [14, 14]}
        fields |= {"card": CARD, "slots": [{"path": "features.13", "layer": 14} | size]}
        fields |= {"accepted": {"reason": "why", "date": "2026", "from": None}}
    if case.kind == "cost":
        counters = {"rules": COUNTER, "fvcore": COUNTER | {"adjustments": ADJUSTED}}
        uncounted = [{"operator": "mine::op", "calls": 2, "sizes": [[1, 2]]}]
        values = {"params": 100, "macs": 200, "delta_params": 3, "delta_macs": 4}
        return fields | {"values": values, "counters": counters, "uncounted": uncounted}
    if case.kind == "accuracy":
        return fields | {"values": {"top1": 90.0, "top5": 99.0, "loss": 0.5}, "training": TRAINED}
    arms = dict.fromkeys((case.plain.name, AGAIN, case.name))
    samples = {"baseline": case.plain.name, "calls": dict.fromkeys(arms, 1), "warmup_s": 0.1}
    samples |= {"seconds": {arm: [0.1, 0.2, 0.1] for arm in arms}, "sampling_s": 0.1}
    samples |= {"stopped": "budget", "dropped": 0, "conditions": {"threads": 1}}
    values = {"max_error": 0.0, "tolerance": 1e-4, "peak_bytes": 100, "load_s": 0.1}
    return fields | {"values": values, "samples": [samples] * 2, "runtime": RUNTIME}


def places(value, at=()):
    """Yield the path of each field at each depth; of a list, the first element's."""
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value[:1])
    for key, part in items if isinstance(value, dict | list) else ():
        yield from places(part, (*at, key)) if isinstance(part, dict | list) else [(*at, key)]


def damaged(whole, at, value):
    """Return a copy with another value at a path, or without it."""
    made = copy.deepcopy(whole)
    inner = made
    for key in at[:-1]:
        inner = inner[key]
    if value is MISSING:
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return made


@pytest.fixture(scope="module")
def lines():
    """The header of a run with cases of all kinds, and its records."""
    catalog = Catalog()
    catalog.add_table(MODULES, "attnbench")
    suite = parse_suite(copy.deepcopy(SUITE), "mine.toml")
    tables = plan(suite, catalog)
    head = {"format": 4, "suite": suite.model_dump(mode="json"), "suite_hash": "1"}
    head |= {"tables": tables_to_json(suite, tables), "versions": {"torch": "2"}, "machine": {}}
    return [head, *map(record, all_cases(tables))]


def written(folder, lines):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def read_everywhere(run, base, folder):
    """Return all that the commands make of a run."""
    render(report_of(run), "md")
    found = collect([planned_of(run)])
    json.dumps([*map(objects, found), render(build_overview(found, ["mine"], {}), "md")])
    for pair in ((base, run), (run, base)):
        [list(block_lines(block, 80)) for block in text_blocks(compare(*pair))]
    read_metrics(run, {each.case_key for each in run.records.values()})
    for each in run.records.values():
        format_duration(each.seconds)
    into = folder / "base" / FILE
    into.parent.mkdir(exist_ok=True)
    into.write_bytes(base.path.read_bytes())
    accept(into, run.path, reason="why")
    return read_run(into)


def test_the_run_is_sound(lines, tmp_path):
    run = read_run(written(tmp_path / "run", lines))
    assert (len(run.records), run.left_out) == (8, {})
    assert {each.kind for each in run.records.values()} == {"cost", "latency", "accuracy"}
    assert len(read_everywhere(run, run, tmp_path).records) == 8


@pytest.fixture(scope="module")
def mutants(lines, tmp_path_factory):
    """Each field of a record of each kind, replaced by each value, as far as it is read: by kind.

    Each has a case of its own, so that one file has them all.
    """
    whole = {line["kind"]: line for line in lines[1:] if line["conditions"]["module"]}
    made = [
        damaged(line | {"case": f"{line['case']}#{number}-{place}"}, at, value)
        for line in whole.values()
        for number, at in enumerate(places(line))
        for place, value in enumerate((*JSON, *WORDS.get(at[-1], ())))
    ]
    run = read_run(written(tmp_path_factory.mktemp("mutants"), [lines[0], *made]))
    return made, run


def test_what_is_left_out_is_named_by_its_line(mutants):
    made, run = mutants
    named_text = 3 - 1  # the same case in three lines, of which the last counts
    assert len(run.records) + len(run.left_out) + named_text == len(made) > 2000
    for reason in run.left_out.values():
        place, _, problem = reason.partition(": damaged record is left out: ")
        assert case_of(made[int(place.rpartition(":")[2]) - 2]) not in run.records
        assert problem and "\n" not in reason
    assert len(run.left_out) > 1000


@pytest.mark.parametrize("seed", range(3))
def test_what_is_read_makes_no_reader_fail(lines, mutants, seed, tmp_path):
    base = read_run(written(tmp_path / "sound", lines))
    drawn, kept = random.Random(seed), {"cost": [], "latency": [], "accuracy": []}
    for line in mutants[0]:
        if case_of(line) in mutants[1].records:
            kept[line["kind"]].append(line)
    for _ in range(6):
        chosen = [drawn.choice(kept[line["kind"]]) for line in lines[1:]]
        renamed = [
            made | {"case": line["case"]} for line, made in zip(lines[1:], chosen, strict=True)
        ]
        run = read_run(written(tmp_path / "run", [lines[0], *renamed]))
        assert len(run.records) == len(lines) - 1
        read_everywhere(run, base, tmp_path)


def test_a_case_whose_record_is_damaged_is_not_compared_nor_removed(lines, tmp_path):
    base = read_run(written(tmp_path / "sound", lines))
    number = max(n for n, line in enumerate(lines) if line.get("kind") == "cost")
    case = lines[number]["case"]
    broken = [*lines[:number], lines[number] | {"values": 3}, *lines[number + 1 :]]
    other = read_run(written(tmp_path / "run", broken))
    for pair, was, now in (((base, other), "ok", "damaged"), ((other, base), "damaged", "ok")):
        (found,) = compare(*pair).missing
        assert (found.case, found.base, found.new) == (case, was, now)
        assert f"{FILE}:{number + 1}: damaged record is left out: values: " in found.reason
        assert compare(*pair).failed()
    assert accept(base.path, other.path, reason="why") == ()
    assert set(read_run(base.path).records) == set(base.records)
    assert accept(other.path, base.path, reason="why") == (case,)
    mended = read_run(other.path)
    assert set(mended.records) == set(base.records) and mended.left_out == {}
