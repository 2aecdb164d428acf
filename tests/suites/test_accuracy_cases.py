"""Which trainings a suite asks for: one for each row, column group and seed."""

import pytest

from attnbench.errors import RequestError, UnknownNameError
from attnbench.measure.cost import CostMeter
from attnbench.measure.iso_macs import IsoMacBaselines
from attnbench.models.backbones import canonical_backbone
from attnbench.registry.plugins import catalog
from attnbench.suites.case import case_from_json
from attnbench.suites.load import parse_suite
from attnbench.suites.plan import all_cases, plan
from attnbench.suites.planned import tables_from_json, tables_to_json

PLAIN = {"backbone": "mobilenet_v2"}
PLACED = {"backbone": "mobilenet_v2", "module": "ulsam", "placement": "replace:14,17"}
OTHER = {"backbone": "mobilenet_v1", "module": "se", "placement": "after:5"}
WIDER = {"backbone": "mobilenet_v2", "control": "wider", "label": "{backbone}, no attention"}
QUICK = {"dataset": "synthetic", "recipe": "digits-quick", "seeds": 2}
SIDE = "12x12"
"""Of the recipe's images."""


def suite(*rows, accuracy=None, **layout):
    return parse_suite(
        {
            "suite": {"name": "s", "title": "S"},
            "accuracy": QUICK | (accuracy or {}),
            "table": [{"columns": ["label"], "accuracy": {}, "row": list(rows), **layout}],
        },
        "s.toml",
    )


def planned(*rows, brackets=None, added=(), **kwargs):
    return plan(suite(*rows, **kwargs), catalog(), added, brackets)[0].rows


def trained(row):
    return [[case.name for case in cases] for cases in row.accuracy]


class TestNames:
    def test_one_for_each_seed(self):
        plain, placed = planned(PLAIN, PLACED)
        assert trained(plain) == [
            [
                f"accuracy/mobilenet_v2/plain/{SIDE}/synthetic/digits-quick,seed=0",
                f"accuracy/mobilenet_v2/plain/{SIDE}/synthetic/digits-quick,seed=1",
            ]
        ]
        assert trained(placed) == [
            [
                f"accuracy/mobilenet_v2/ulsam/replace:14,17/{SIDE}/synthetic/digits-quick,seed={seed}"
                for seed in (0, 1)
            ]
        ]
        assert plain.against == placed.against == plain.accuracy[0]

    @pytest.mark.parametrize(
        ("accuracy", "end"),
        [
            ({"epochs": 3}, "synthetic/digits-quick,epochs=3,seed=0"),
            ({"int8": True}, "synthetic/digits-quick,int8=true,seed=0"),
            ({"threads": 2}, "synthetic/digits-quick,threads=2,seed=0"),
            ({"weights": "w.pt"}, "synthetic/digits-quick,weights=w.pt,seed=0"),
            (
                {"weights": "w.pt", "epochs": 9, "int8": True},
                "synthetic/digits-quick,epochs=9,int8=true,weights=w.pt,seed=0",
            ),
            ({"dataset": "synthetic,classes=4"}, "synthetic,classes=4/digits-quick,seed=0"),
        ],
    )
    def test_conditions_are_part_of_it(self, accuracy, end):
        (row,) = planned(PLAIN, accuracy=accuracy)
        assert row.accuracy[0][0].name == f"accuracy/mobilenet_v2/plain/{SIDE}/{end}"

    def test_the_recipe_is_the_data_sets_own_by_default(self):
        own = suite(PLAIN)
        content = own.model_dump(mode="json", exclude_none=True)
        content["accuracy"] = {"dataset": "digits", "seeds": 1}
        (row,) = plan(parse_suite(content, "s.toml"), catalog())[0].rows
        assert row.accuracy[0][0].training.recipe == "digits"

    def test_unknown_recipe(self):
        with pytest.raises(UnknownNameError, match="digits-quick"):
            planned(PLAIN, accuracy={"recipe": "digits-quik"})

    def test_a_case_as_json_is_the_same(self):
        for row in planned(PLAIN, PLACED, accuracy={"int8": True, "epochs": 2}):
            for case in row.accuracy[0]:
                assert case_from_json(case.to_json()) == case

    def test_a_suite_read_back_from_a_run_is_the_same(self):
        own = suite(PLAIN, accuracy={"int8": True, "columns": ["top1", "int8"]})
        again = parse_suite(own.model_dump(mode="json"), "records.jsonl")
        assert again.accuracy_of(again.table[0]) == own.accuracy_of(own.table[0])


class TestOrder:
    def test_seed_by_seed_after_all_else(self):
        cases = all_cases(
            plan(suite(PLAIN, PLACED, OTHER, latency={"runtimes": ["eager"]}), catalog())
        )
        kinds = [case.kind for case in cases]
        assert kinds == ["cost"] * 3 + ["latency"] * 3 + ["accuracy"] * 8
        trainings = [case for case in cases if case.kind == "accuracy"]
        assert [case.training.seed for case in trainings] == [0] * 4 + [1] * 4
        # a plain backbone that has no row is trained all the same, before its arms
        names = [(case.backbone, case.module) for case in trainings[:4]]
        assert names == [
            ("mobilenet_v2", None),
            ("mobilenet_v2", "ulsam"),
            ("mobilenet_v1", None),
            ("mobilenet_v1", "se"),
        ]


class TestSharing:
    def test_the_fused_row_shows_the_training_of_the_other(self):
        rows = planned(PLACED | {"forms": ["plain", "fused"]})
        assert [row.cases[0].fused for row in rows] == [False, True]
        assert rows[0].accuracy == rows[1].accuracy
        assert not rows[1].accuracy[0][0].fused

    def test_column_groups_get_one_each(self):
        groups = {"option": "groups", "values": [1, 4, 8], "label": "g = {}", "columns": ["top1"]}
        plain, placed = planned(PLAIN, PLACED, groups=groups, accuracy={"columns": []})
        assert [len(row.accuracy) for row in (plain, placed)] == [1, 3]
        assert [cases[0].module for cases in placed.accuracy] == [
            "ulsam,groups=1",
            "ulsam",
            "ulsam,groups=8",
        ]
        assert placed.against == plain.accuracy[0]

    def test_only_some_backbones(self):
        v2, v1 = planned(PLACED, OTHER, accuracy={"backbones": ["mobilenet_v2,width=1.00"]})
        assert len(v2.accuracy[0]) == 2
        assert (v1.accuracy, v1.against) == ((), ())

    def test_modules_alone_are_not_trained(self):
        (row,) = planned({"module": "se", "channels": 16, "size": 7})
        assert row.accuracy == ()

    def test_added_modules_are(self):
        *_, added = planned(PLAIN, PLACED, added=["se"])
        assert added.accuracy[0][0].module == "se"

    def test_tables_come_back_from_the_header(self):
        own = suite(PLAIN, PLACED, OTHER, accuracy={"backbones": ["mobilenet_v2"]})
        tables = plan(own, catalog())
        content = tables_to_json(own, tables)
        again = tables_from_json(own, content)
        for table, other in zip(tables, again, strict=True):
            assert [row.accuracy for row in other.rows] == [row.accuracy for row in table.rows]
            assert [row.against for row in other.rows] == [row.against for row in table.rows]

    def test_and_from_one_that_is_older(self):
        own = suite(PLAIN, PLACED)
        content = tables_to_json(own, plan(own, catalog()))
        for row in content[0]:
            del row["accuracy"], row["against"]
            for case in row["cases"]:
                del case["training"], case["conditions"]
        (table,) = tables_from_json(own, content)
        assert [row.accuracy for row in table.rows] == [(), ()]
        assert table.rows[1].cases[0].module == "ulsam"


class TestWider:
    @staticmethod
    def brackets(arms):
        return ["mobilenet_v2,width=0.95", "mobilenet_v2,width=1.02"] if arms else []

    def test_a_row_for_each_backbone(self):
        rows = planned(PLAIN, PLACED, OTHER, WIDER, brackets=self.brackets)
        assert [row.label for row in rows[3:]] == [
            "mobilenet_v2,width=0.95, no attention",
            "mobilenet_v2,width=1.02, no attention",
        ]
        plain = rows[0]
        for row in rows[3:]:
            assert row.against == plain.accuracy[0]
            assert row.accuracy[0][0].backbone == row.cases[0].backbone
            assert row.accuracy[0] != row.against

    def test_only_the_arms_of_its_own_backbone_count(self):
        seen = []

        def brackets(arms):
            seen.extend(arms)
            return []

        rows = planned(PLAIN, PLACED, OTHER, WIDER, brackets=brackets)
        assert len(rows) == 3
        assert [(case.backbone, case.module) for case in seen] == [("mobilenet_v2", "ulsam")]

    def test_they_are_trained_where_their_own_backbone_is(self):
        rows = planned(
            PLACED, WIDER, accuracy={"backbones": ["mobilenet_v2"]}, brackets=self.brackets
        )
        assert all(row.accuracy for row in rows)
        rows = planned(
            PLACED, OTHER, WIDER, accuracy={"backbones": ["mobilenet_v1"]}, brackets=self.brackets
        )
        assert [bool(row.accuracy) for row in rows] == [False, True, False, False]

    def test_really_counted(self):
        rows = planned(PLACED, WIDER, brackets=IsoMacBaselines(CostMeter(catalog())))
        names = [row.cases[0].backbone for row in rows[1:]]
        assert len(names) == 2
        assert all(str(canonical_backbone(name)) == name for name in names)

    def test_without_counting(self):
        with pytest.raises(RequestError, match="wider"):
            planned(PLACED, WIDER)

    @pytest.mark.parametrize(
        ("rows", "layout", "text"),
        [
            ([PLACED | {"control": "wider"}], {}, r"row\[[12]\].*wider"),
            (
                [WIDER | {"backbone": ["mobilenet_v1", "mobilenet_v2"]}],
                {},
                r"row\[[12]\].*wider",
            ),
            ([PLACED, WIDER], {"latency": {"runtimes": ["eager"]}}, "latency"),
            ([PLAIN | {"control": "narrower"}], {}, "wider"),
        ],
    )
    def test_mistakes(self, rows, layout, text):
        with pytest.raises(RequestError, match=text):
            planned(*rows, brackets=self.brackets, **layout)


class TestMistakes:
    def content(self, **accuracy):
        return {
            "suite": {"name": "s", "title": "S"},
            "accuracy": accuracy,
            "table": [{"columns": ["label"], "row": [PLAIN]}],
        }

    def test_no_table_has_accuracy(self):
        with pytest.raises(RequestError, match="accuracy"):
            parse_suite(self.content(), "s.toml")

    @pytest.mark.parametrize(
        ("wrong", "text"),
        [
            ({"seeds": 0}, "seeds"),
            ({"sedes": 3}, "sedes"),
            ({"columns": ["top1", "top1"]}, "twice"),
            ({"columns": ["top3"]}, "columns"),
            ({"patience_s": 0.0}, "patience_s"),
            ({"epochs": "3"}, "epochs"),
        ],
    )
    def test_wrong_values(self, wrong, text):
        content = self.content(**wrong)
        content["table"][0]["accuracy"] = {}
        with pytest.raises(RequestError, match=text):
            parse_suite(content, "s.toml")

    def test_a_table_overrides_the_suite(self):
        content = self.content(dataset="synthetic", seeds=5, int8=True)
        content["table"][0]["accuracy"] = {"seeds": 2}
        own = parse_suite(content, "s.toml")
        found = own.accuracy_of(own.table[0])
        assert (found.dataset, found.seeds, found.int8) == ("synthetic", 2, True)
