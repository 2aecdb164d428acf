"""Accuracy in tables: means, paired differences and verdicts, from made-up records."""

import csv
import io
import json
import math
from statistics import mean, stdev
from typing import ClassVar

import numpy as np
import pytest

from attnbench.reports.tables.build import build_report
from attnbench.reports.tables.number_format import NOTHING
from attnbench.reports.tables.render import FORMATS, render
from attnbench.suites.load import parse_suite
from attnbench.suites.plan import all_cases, plan
from attnbench.utils.bitmask import pack

T_2 = 4.30265273
"""97.5% point of Student's t with two degrees of freedom, from a printed table."""
IMAGES = 10_000
STEP = 100 / IMAGES
PLAIN, ARM, OTHER = "plain", "ulsam", "se"
ROWS = [
    {"label": "MV2", "backbone": "mobilenet_v2"},
    {
        "label": "MV2 + ULSAM",
        "backbone": "mobilenet_v2",
        "module": "ulsam",
        "placement": "after:17",
    },
    {"label": "MV2 + SE", "backbone": "mobilenet_v2", "module": "se", "placement": "after:17"},
]
FACTS = {
    "dataset": "digits",
    "synthetic": False,
    "images": [50_000, IMAGES],
    "unreadable": [0, 0],
    "unreadable_names": [],
    "recipe": {"name": "r", "smoke": False, "baseline": []},
    "training_s": 60.0,
}


@pytest.fixture
def shown(catalog, record):
    """Build a report of accuracies: ``shown({PLAIN: [70, 71], ARM: [71, None]})``.

    A None is a training that is not run; a text is why one failed.
    """

    def make(tops, rows=ROWS, facts=None, columns=("top1", "difference"), **options):
        layout = {"columns": ["label", *options.pop("own", [])], **options.pop("layout", {})}
        widest = max(map(len, tops.values()))
        asked = {"dataset": "digits", "recipe": "digits-quick", "seeds": widest}
        content = {
            "suite": {"name": "small", "title": "A small suite"},
            "accuracy": asked | {"columns": list(columns), **options.pop("accuracy", {})},
            "table": [{**layout, "accuracy": {}, "row": rows}],
        }
        suite = parse_suite(content, "small.toml")
        tables = plan(suite, catalog, (), options.pop("brackets", None))
        known = {}
        for case in all_cases(tables):
            if case.kind == "cost":
                known[case.name] = record()
                continue
            name = case.backbone if case.backbone != "mobilenet_v2" else case.module or PLAIN
            values = tops.get(name, [])
            seed = case.training.seed
            value = values[seed] if seed < len(values) else None
            if value is not None:
                known[case.name] = made(record, case, value, facts, **options)
        return build_report(suite, tables, known, {})

    return make


def made(record, case, value, facts, status="failed", bits=None, extra=None):
    fields = {"kind": "accuracy", "conditions": {"backbone": case.backbone}}
    if isinstance(value, str):
        return record(**fields, status=status, reason=value, training=None) | {"values": {}}
    training = {**FACTS, **(facts or {})}
    found = record(**fields, training=training)
    found["values"] = {"top1": value, "top5": None, "loss": 1.0, "steps": 9, **(extra or {})}
    if bits:
        key = (case.module or PLAIN, case.training.seed)
        training["correct"] = pack(np.array(bits[key], dtype=bool))
        training["images"] = [50_000, len(bits[key])]
    return found


def cells(report, row=1):
    return [cell.plain for cell in report.tables[0].rows[row]][1:]


def texts(report):
    table = report.tables[0]
    return [*table.notes, *table.footnotes]


def t_interval(values, t):
    centre, reach = mean(values), t * stdev(values) / math.sqrt(len(values))
    return f"{centre:.2f} [{centre - reach:.2f}, {centre + reach:.2f}]"


def signed(values, t):
    centre, reach = mean(values), t * stdev(values) / math.sqrt(len(values))
    return f"{centre:+.2f} [{centre - reach:+.2f}, {centre + reach:+.2f}]"


class TestFigures:
    TOPS: ClassVar = {PLAIN: [70.0, 71.0, 70.6], ARM: [71.1, 71.9, 72.0], OTHER: [70.2, 70.9, 70.4]}

    def test_means_and_paired_differences(self, shown):
        report = shown(self.TOPS)
        assert cells(report, 0) == [t_interval(self.TOPS[PLAIN], T_2), NOTHING]
        top1, difference = cells(report, 1)
        assert top1 == t_interval(self.TOPS[ARM], T_2)
        pairs = [1.1, 0.9, 1.4]
        assert difference.startswith(signed(pairs, T_2))
        # p = 0.0159 and, of two rows, still under 0.05
        assert difference.endswith("better")
        assert "inconclusive" in cells(report, 2)[1]

    def test_by_hand(self, shown):
        """The same from figures worked out on paper."""
        report = shown({PLAIN: [50.0, 50.0, 50.0], ARM: [51.0, 52.0, 53.0]})
        # mean 2, sd 1, 4.3027 / sqrt(3) = 2.4841
        assert cells(report)[1].startswith("+2.00 [-0.48, +4.48]")
        assert cells(report)[0] == "52.00 [49.52, 54.48]"

    def test_a_mean_stays_within_percentages(self, shown):
        report = shown({PLAIN: [90.0, 100.0, 100.0], ARM: [0.0, 0.0, 9.0]})
        assert cells(report, 0)[0].endswith(", 100.00]")
        assert cells(report, 1)[0].startswith("3.00 [0.00, ")

    def test_pairs_are_of_the_same_seed(self, shown):
        report = shown({PLAIN: [70.0, 71.0, None, 70.5], ARM: [71.0, None, 99.0, 71.7]})
        top1, difference = cells(report)
        assert top1.startswith(f"{mean([71.0, 99.0, 71.7]):.2f} [")
        assert difference.startswith(f"{mean([1.0, 1.2]):+.2f} [")
        assert difference.endswith("no verdict: 2 seeds; 3 are the least")

    def test_one_seed_has_no_interval(self, shown):
        report = shown({PLAIN: [70.0], ARM: [71.0], OTHER: [70.0]})
        assert cells(report) == ["71.00", "+1.00 no verdict: 1 seed; 3 are the least"]

    def test_the_same_in_every_seed(self, shown):
        report = shown({PLAIN: [70.0, 71.0, 70.6], ARM: [70.0, 71.0, 70.6]})
        assert cells(report)[1] == "+0.00 [+0.00, +0.00] same within 0"

    def test_no_pair(self, shown):
        assert cells(shown({PLAIN: [None, 70.0], ARM: [71.0, None]}))[1] == "plain not measured"

    def test_int8_and_seconds(self, shown):
        report = shown(
            {PLAIN: [70.0, 71.0], ARM: [71.0, 72.0]},
            columns=("int8", "int8_difference", "top5", "seconds"),
            extra={"int8_top1": 60.0},
        )
        # two seeds and no spread but rounding: 12.7062 * step / sqrt(12 * 2)
        reach = 12.7062 * STEP / math.sqrt(24)
        assert cells(report)[0] == f"60.00 [{60 - reach:.2f}, {60 + reach:.2f}]"
        assert cells(report)[1:] == ["+0.00 [+0.00, +0.00]", NOTHING, "60"]

    def test_images_gained_and_lost(self, shown):
        bits = {
            (PLAIN, 0): [1, 1, 1, 0, 0, 0, 0, 0, 1, 1],
            (ARM, 0): [1, 1, 0, 1, 1, 1, 1, 1, 1, 1],
        }
        report = shown({PLAIN: [50.0], ARM: [90.0]}, columns=["mcnemar"], bits=bits)
        # five gained, one lost: twice the chance of at most one tail in six throws, 2 * 7 / 64
        assert cells(report) == ["5 / 1, p = 0.22"]
        assert cells(report, 0) == [NOTHING]

    def test_records_without_bits(self, shown):
        assert cells(shown({PLAIN: [50.0], ARM: [90.0]}, columns=["mcnemar"])) == [NOTHING]

    def test_what_can_be_found_is_said(self, shown):
        report = shown(self.TOPS)
        (said,) = [text for text in texts(report) if text.startswith("With 3 seeds")]
        spread = mean([stdev([1.1, 0.9, 1.4]), stdev([0.2, -0.1, -0.2])])  # the median of two
        assert f"standard deviation of a paired difference {spread:.2f} points" in said


class TestVerdicts:
    TOPS: ClassVar = {PLAIN: [70.0, 71.0, 70.6], ARM: [75.1, 76.0, 75.6]}

    def test_withheld(self, shown):
        recipe = FACTS["recipe"]
        for facts, why in (
            ({"recipe": recipe | {"smoke": True}}, "smoke test"),
            ({"synthetic": True}, "synthetic pictures"),
        ):
            report = shown(self.TOPS, facts=facts)
            assert cells(report)[1].endswith(f"no verdict: {why}")
            assert why in report.tables[0].columns[-1].group
            assert any("smoke test" in text or "synthetic" in text for text in texts(report))

    @pytest.mark.parametrize(("stated", "weak"), [(71.5, False), (71.6, True), (80.0, True)])
    def test_weak_baseline(self, shown, stated, weak):
        """The plain backbone reaches 70.53."""
        baseline = [{"backbone": "mobilenet_v2", "dataset": "digits", "top1": stated}]
        report = shown(self.TOPS, facts={"recipe": FACTS["recipe"] | {"baseline": baseline}})
        assert cells(report)[1].endswith("better") != weak
        head = report.tables[0].columns[-1].group
        assert ("weak baseline" in head) == weak
        said = f"Weak baseline: plain reached 70.53, the recipe's source states {stated:g}"
        assert any(text.startswith(said) for text in texts(report)) == weak

    @pytest.mark.parametrize(
        "other", [{"backbone": "mobilenet_v1"}, {"dataset": "cifar10"}], ids=lambda one: str(one)
    )
    def test_what_is_stated_of_others_is_no_matter(self, shown, other):
        baseline = [{"backbone": "mobilenet_v2", "dataset": "digits", "top1": 99.0} | other]
        report = shown(self.TOPS, facts={"recipe": FACTS["recipe"] | {"baseline": baseline}})
        assert cells(report)[1].endswith("better")

    def test_rows_are_judged_together(self, shown):
        """Alone p = 0.03 is enough, beside a row that shows nothing it is not."""
        arm = [71.0, 71.4, 72.2]
        alone = shown({PLAIN: [70.0, 70.2, 70.4], ARM: arm}, rows=ROWS[:2])
        assert cells(alone)[1].endswith("better")
        other = [70.9, 69.0, 71.2]
        both = shown({PLAIN: [70.0, 70.2, 70.4], ARM: arm, OTHER: other})
        assert "inconclusive" in cells(both)[1]


class TestWhatIsMissing:
    def test_failed_and_skipped_seeds_are_said_once(self, shown):
        tops = {PLAIN: [70.0, 71.0, 70.6], ARM: [71.1, "diverged at step 7", 72.0]}
        report = shown(tops, own=["top1"])
        (note,) = [text for text in report.tables[0].footnotes if "diverged" in text]
        assert note.endswith("digits-quick,seed=1: failed: diverged at step 7")
        assert cells(report)[-2].startswith("71.55 [")

        missing = {name: ["needs CIFAR-10"] * 3 for name in (PLAIN, ARM, OTHER)}
        report = shown(missing, own=["top1"], status="skipped")
        assert [text for text in texts(report) if "CIFAR" in text] == ["skipped: needs CIFAR-10"]
        assert cells(report) == [NOTHING, "skipped", "skipped"]

    def test_not_run(self, shown):
        report = shown({PLAIN: [70.0, 71.0], ARM: []})
        assert cells(report) == ["not run", "not run"]

    def test_rows_that_are_not_trained(self, shown):
        other = {
            "label": "MV1",
            "backbone": "mobilenet_v1",
            "module": "se",
            "placement": "after:5",
        }
        report = shown(
            {PLAIN: [70.0], ARM: [71.0]},
            rows=[*ROWS[:2], other],
            accuracy={"backbones": ["mobilenet_v2"]},
        )
        assert cells(report, 2) == ["not measured", "not measured"]

    def test_quantising_that_failed(self, shown):
        tops = {PLAIN: [70.0, 71.0], ARM: [71.0, 72.0]}
        report = shown(tops, columns=["int8"], facts={"int8_failed": "no such operator"})
        assert cells(report) == [NOTHING]
        assert report.tables[0].footnotes == ("int8: no such operator",)

    @pytest.mark.parametrize(
        ("numbers", "names"),
        [([2, 1], "3 (a.jpg, b.jpg, c.jpg)"), ([1, 3], "4 (a.jpg, b.jpg, c.jpg, ...)")],
    )
    def test_unreadable_images(self, shown, numbers, names):
        facts = {
            "unreadable": numbers,
            "unreadable_names": ["a.jpg", "b.jpg", "c.jpg", "d.jpg"][: sum(numbers)],
        }
        report = shown({PLAIN: [70.0], ARM: [71.0]}, facts=facts)
        said = [text for text in texts(report) if "cannot be read" in text]
        assert said == [f"Images that cannot be read, left out: {names}"]


class TestPrinted:
    TOPS: ClassVar = {PLAIN: [70.0, 71.0, 70.6], ARM: [71.1, 71.9, 72.0]}

    def rows(self, figure, **fields):
        return [ROWS[0], {**ROWS[1], "printed": {"top1": figure}, **fields}]

    @pytest.mark.parametrize(
        ("figure", "verdict"),
        [
            ("71.67", "reproduced"),
            ("70.45", "reproduced"),  # the interval is 70.44 to 72.89
            ("70.43", "differs"),
            ("72.88", "reproduced"),
            ("72.90", "differs"),
        ],
    )
    def test_the_interval_decides(self, shown, figure, verdict):
        report = shown(self.TOPS, rows=self.rows(figure), own=["top1"])
        assert cells(report)[0] == f"{figure} / 71.67 [70.44, 72.89] ({verdict})"

    def test_a_reason(self, shown):
        rows = self.rows("60.00", reasons={"top1": "other images"})
        report = shown(self.TOPS, rows=rows, own=["top1"])
        assert cells(report)[0].endswith("(explained)")
        assert "other images" in report.tables[0].footnotes

    def test_two_seeds_are_not_judged(self, shown):
        tops = {PLAIN: [70.0, 71.0], ARM: [71.1, 71.9]}
        report = shown(tops, rows=self.rows("10.00"), own=["top1"])
        assert cells(report)[0].endswith("(not judged)")

    def test_nor_is_a_smoke_test(self, shown):
        facts = {"recipe": FACTS["recipe"] | {"smoke": True}}
        report = shown(self.TOPS, rows=self.rows("71.67"), own=["top1"], facts=facts)
        assert cells(report)[0].endswith("(not judged)")

    def test_not_measured(self, shown):
        report = shown({PLAIN: [70.0], ARM: []}, rows=self.rows("71.67"), own=["top1"])
        assert cells(report)[0] == "71.67 / not measured"


class TestWider:
    def test_compared_with_the_backbone_that_it_is_a_control_of(self, shown):
        wide = "mobilenet_v2,width=1.02"
        rows = [
            *ROWS[:2],
            {"label": "{backbone}", "backbone": "mobilenet_v2", "control": "wider"},
        ]
        tops = {PLAIN: [70.0, 71.0, 70.6], ARM: [71.1, 71.9, 72.0], wide: [72.0, 72.9, 72.7]}
        report = shown(tops, rows=rows, brackets=lambda arms: [wide])
        assert report.tables[0].rows[2][0].plain == wide
        top1, difference = cells(report, 2)
        assert top1 == t_interval(tops[wide], T_2)
        assert difference == f"{signed([2.0, 1.9, 2.1], T_2)} better"


class TestForms:
    TOPS: ClassVar = {PLAIN: [70.0, 71.0, 70.6], ARM: [71.1, 71.9, 72.0], OTHER: [70.2]}

    def lines(self, report):
        return [line for line in report.lines if line["case"].startswith("accuracy/")]

    def test_one_line_for_each_training(self, shown):
        lines = self.lines(shown(self.TOPS))
        assert [(line["row"], line["seed"], line["status"]) for line in lines] == [
            *(("MV2", seed, "ok") for seed in range(3)),
            *(("MV2 + ULSAM", seed, "ok") for seed in range(3)),
            ("MV2 + SE", 0, "ok"),
            ("MV2 + SE", 1, "not run"),
            ("MV2 + SE", 2, "not run"),
        ]
        arm = lines[4]
        assert (arm["dataset"], arm["recipe"], arm["module"]) == ("digits", "digits-quick", "ulsam")
        assert (arm["top1"], arm["top5"], arm["loss"], arm["int8_top1"]) == (71.9, None, 1.0, None)
        assert arm["difference"] == pytest.approx(0.9)
        pairs = [1.1, 0.9, 1.4]
        reach = T_2 * stdev(pairs) / math.sqrt(3)
        assert arm["difference_mean"] == pytest.approx(mean(pairs))
        assert arm["difference_low"] == pytest.approx(mean(pairs) - reach)
        assert arm["difference_high"] == pytest.approx(mean(pairs) + reach)
        assert arm["top1_mean"] == pytest.approx(mean(self.TOPS[ARM]))
        assert (arm["verdict"], arm["more_seeds"]) == ("better", None)
        plain = lines[0]
        assert (plain["difference"], plain["difference_mean"], plain["verdict"]) == (None,) * 3
        assert lines[-1]["top1"] is None
        assert (lines[6]["difference_low"], lines[6]["verdict"]) == (None, "none")

    def test_failures_have_their_reason(self, shown):
        lines = self.lines(shown({PLAIN: [70.0], ARM: ["diverged"], OTHER: [70.0]}))
        assert (lines[1]["status"], lines[1]["reason"]) == ("failed", "diverged")

    def test_json_and_csv_hold_numbers_only(self, shown):
        for tops in (self.TOPS, {PLAIN: [70.0], ARM: [71.0]}):
            report = shown(tops, own=["top1"])
            json.dumps(report.lines, allow_nan=False)
            rows = list(csv.DictReader(io.StringIO(render(report, "csv"))))
            assert len(rows) == len(report.lines)
            values = [value for row in rows for value in row.values()]
            assert not {"inf", "-inf", "nan"} & {str(value).lower() for value in values}

    @pytest.mark.parametrize("form", FORMATS)
    def test_every_form(self, shown, form):
        weak = [{"backbone": "mobilenet_v2", "dataset": "digits", "top1": 99.0}]
        facts = {"recipe": FACTS["recipe"] | {"baseline": weak, "smoke": True}}
        report = shown(self.TOPS, facts=facts, own=["top1"], accuracy={"epochs": 7})
        text = render(report, form)
        if form == "csv":
            assert "difference_mean" in text
            return
        head = report.tables[0].columns[-1].group
        assert head == (
            "digits, 12×12, recipe digits-quick, 7 epochs, 3 seeds, smoke test, weak baseline"
        )
        words = ["digits-quick", "7 epochs", "smoke test", "weak baseline", "Difference"]
        assert all(word in text for word in words)
        assert ("Accuracy: mean over seeds" in text) == (form != "tex")  # the paper says how

    def test_without_accuracy_nothing_is_said_of_it(self, report_of, content):
        report = report_of(content)
        assert not any("Accuracy" in line for line in report.footer)
        assert not any(line["case"].startswith("accuracy/") for line in report.lines)


class TestWhatDidNotLearn:
    TOPS: ClassVar = {PLAIN: [90.0, 91.0, 92.0], ARM: [10.0, 11.0, 12.0]}

    def notes(self, shown, loss, classes=10):
        report = shown(self.TOPS, facts={"classes": classes}, extra={"loss": loss})
        return [text for text in report.tables[0].footnotes if "Did not learn" in text]

    def test_it_is_said_with_the_loss_of_guessing(self, shown):
        (text,) = self.notes(shown, 2.2)
        assert "3 of 3 seeds" in text
        assert "ended at 2.20, guessing among 10 classes has 2.30" in text

    def test_a_loss_that_is_no_number_is_one_of_these(self, shown):
        assert self.notes(shown, math.nan)

    @pytest.mark.parametrize(("loss", "classes"), [(2.0, 10), (2.2, 100), (2.2, None), (0.0, 1)])
    def test_what_learned_or_cannot_be_told_is_not(self, shown, loss, classes):
        assert self.notes(shown, loss, classes) == []
