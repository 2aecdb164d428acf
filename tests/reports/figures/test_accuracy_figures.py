"""Pictures stand beside the tables of a run with accuracies, and beside no other."""

from attnbench.records.format import FORMAT, Header, Record
from attnbench.records.store import Run
from attnbench.registry.plugins import catalog
from attnbench.reports.figures.accuracy_figures import write_plots
from attnbench.suites.case import tables_to_json
from attnbench.suites.load import parse_suite
from attnbench.suites.plan import plan

CONTENT = {
    "suite": {"name": "mine", "title": "Mine"},
    "accuracy": {"dataset": "digits", "seeds": 3},
    "table": [
        {
            "columns": ["label"],
            "accuracy": {},
            "row": [
                {"backbone": "mobilenet_v2"},
                {"backbone": "mobilenet_v2", "module": "se", "placement": "after:14"},
            ],
        }
    ],
}


def run_of(tmp_path, top1):
    suite = parse_suite(CONTENT, "here")
    tables = plan(suite, catalog())
    header = Header(
        format=FORMAT,
        suite=suite.model_dump(mode="json"),
        suite_hash="",
        tables=tables_to_json(suite, tables),
        versions={},
        machine={},
    )
    cases = [case for row in tables[0].rows for cases in row.accuracy for case in cases]
    records = [
        Record(
            case=case.name,
            kind="accuracy",
            status="ok",
            hash="",
            conditions=case.to_json(),
            values={"top1": top1(case)},
            training={"curve": [{"epoch": 1, "loss": 1.0, "lr": 0.1}], "images": [10, 100]},
        )
        for case in cases
        if top1(case) is not None
    ]
    return Run(tmp_path / "records.jsonl", [header], {one.case: one for one in records})


def test_differences_and_curves(tmp_path):
    run = run_of(tmp_path, lambda case: 90.0 + case.training.seed + (1 if case.module else 0))
    names = [path.name for path in write_plots(run, tmp_path)]
    assert names == ["differences.png", "curves.png"]
    assert all((tmp_path / name).read_bytes()[:4] == b"\x89PNG" for name in names)


def test_a_plain_backbone_alone_has_no_difference(tmp_path):
    run = run_of(tmp_path, lambda case: None if case.module else 90.0)
    assert [path.name for path in write_plots(run, tmp_path)] == ["curves.png"]


def test_nothing_measured_nothing_written(tmp_path):
    assert write_plots(run_of(tmp_path, lambda case: None), tmp_path) == []
    assert list(tmp_path.iterdir()) == []
