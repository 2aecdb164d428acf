import pytest
from attnbench_modules import MODULES
from torch import nn

from attnbench import Card
from attnbench.errors import PlacementError, RequestError, UnknownNameError
from attnbench.measure.cost import CostMeter
from attnbench.registry.plugins import Catalog, catalog
from attnbench.registry.registry import Entry
from attnbench.suites.case import Case
from attnbench.suites.load import find_suite, parse_suite
from attnbench.suites.plan import all_cases, make_case, plan


def suite(*rows, head=None, **layout):
    return parse_suite(
        {
            "suite": {"name": "s", "title": "S", **(head or {})},
            "table": [{"columns": ["label"], "row": list(rows), **layout}],
        },
        "s.toml",
    )


def planned(*rows, added=(), **kwargs):
    return plan(suite(*rows, **kwargs), catalog(), added)[0].rows


def names(rows):
    return [[case.name for case in row.cases] for row in rows]


ALONE = {"module": "se", "channels": 512, "size": 14}
PLAIN = {"backbone": "mobilenet_v2"}
PLACED = {"backbone": "mobilenet_v2", "module": "ulsam", "placement": "replace:14,17"}
GROUPS = {"option": "groups", "values": [1, 4, 8], "label": "g = {}", "columns": ["top1"]}


class TestNames:
    @pytest.mark.parametrize(
        ("row", "name"),
        [
            (ALONE, "cost/alone/se/512x14x14"),
            (ALONE | {"size": [7, 9]}, "cost/alone/se/512x7x9"),
            (ALONE | {"module": "se,reduction=4,bias=true"}, "cost/alone/se,reduction=4/512x14x14"),
            (PLAIN, "cost/mobilenet_v2/plain"),
            (PLAIN | {"size": 192}, "cost/mobilenet_v2/plain/192x192"),
            (PLAIN | {"size": [224, 224]}, "cost/mobilenet_v2/plain"),
            (PLACED, "cost/mobilenet_v2/ulsam/replace:14,17"),
            (
                {
                    "backbone": "mobilenet_v1,width=0.50,num_classes=1000",
                    "module": "ulsam,momentum=0.1,groups=08",
                    "placement": " replace : 12, 8 - 10 ",
                    "size": [96, 128],
                },
                "cost/mobilenet_v1,width=0.5/ulsam,groups=8/replace:8-10,12/96x128",
            ),
            (PLACED | {"placement": " official "}, "cost/mobilenet_v2/ulsam/official"),
        ],
    )
    def test_canonical(self, row, name):
        assert names(planned(row)) == [[name]]

    def test_size_and_counters_of_the_suite(self):
        rows = planned(PLAIN, PLAIN | {"size": 64}, head={"size": [96, 100], "counters": True})
        assert [row.cases[0].size for row in rows] == [(96, 100), (64, 64)]
        assert all(row.cases[0].counters for row in rows)

    def test_plain_partner(self):
        (row,) = planned(PLACED)
        assert row.cases[0].plain.name == "cost/mobilenet_v2/plain"

    def test_shipped_names_are_unique_and_stable_under_planning_again(self):
        for name in catalog().suites.names():
            suite = find_suite(name, catalog())
            cases = all_cases(plan(suite, catalog(), brackets=lambda arms: []))
            assert len({case.name for case in cases}) == len(cases)
            for case in cases:
                again = make_case(
                    catalog(),
                    backbone=case.backbone,
                    module=case.module,
                    placement=case.placement,
                    channels=case.channels,
                    size=case.size,
                    counters=case.counters,
                    fused=case.fused,
                )
                again = again.for_latency(case.conditions) if case.conditions else again
                if case.training:
                    again = again.for_training(case.training, case.size[0])
                assert again == case

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"module": "ulsma"}, UnknownNameError),
            ({"backbone": "mobilnet"}, UnknownNameError),
            ({"placement": "replace:"}, PlacementError),
            ({"module": "ulsam,groups=x"}, RequestError),
        ],
    )
    def test_make_case_refuses(self, change, error):
        with pytest.raises(error):
            make_case(catalog(), **(PLACED | change))


class TestRows:
    def test_lists_are_crossed_in_order(self):
        rows = planned(
            {
                "backbone": ["mobilenet_v1", "mobilenet_v2"],
                "module": ["se", "cbam"],
                "placement": ["after:11", "after:12"],
            }
        )
        assert names(rows) == [
            [f"cost/{backbone}/{module}/{placement}"]
            for backbone in ("mobilenet_v1", "mobilenet_v2")
            for module in ("se", "cbam")
            for placement in ("after:11", "after:12")
        ]
        assert len({id(row.row) for row in rows}) == 1

    def test_channels_are_crossed_too(self):
        assert names(planned(ALONE | {"channels": [8, 16], "size": 3})) == [
            ["cost/alone/se/8x3x3"],
            ["cost/alone/se/16x3x3"],
        ]

    @pytest.mark.parametrize(
        ("row", "labels"),
        [
            (PLAIN, ["mobilenet_v2 + plain"]),
            (PLACED, ["mobilenet_v2 + ulsam"]),
            (ALONE, ["se"]),
            (PLACED | {"label": "ours"}, ["ours"]),
            (
                PLACED
                | {
                    "module": ["se", "ulsam,groups=4"],
                    "label": "{module} in {backbone} at {placement}, {size}",
                },
                [
                    "se in mobilenet_v2 at replace:14,17, 224x224",
                    "ulsam,groups=4 in mobilenet_v2 at replace:14,17, 224x224",
                ],
            ),
            (PLAIN | {"label": "{module}|{placement}"}, ["|"]),
        ],
    )
    def test_labels(self, row, labels):
        assert [row.label for row in planned(row)] == labels

    def test_all_cases_once_each(self):
        tables = plan(suite(PLACED, PLAIN, PLACED | {"label": "again"}), catalog())
        assert len(tables[0].rows) == 3
        assert [case.name for case in all_cases(tables * 2)] == [
            "cost/mobilenet_v2/ulsam/replace:14,17",
            "cost/mobilenet_v2/plain",
        ]


class Mine(nn.Identity):
    card = Card(title="Mine", family="parameter-free")


class TestSelectors:
    def test_all(self):
        modules = [row.cases[0].module for row in planned(ALONE | {"module": "@all"})]
        assert modules == catalog().modules.names()

    def test_families(self):
        def of(family):
            return [name for name, one in MODULES.items() if one.get("family") == family]

        rows = planned(ALONE | {"module": ["@family:channel", "ulsam,groups=8"]})
        assert {"se", "eca"} <= set(of("channel"))
        modules = [row.cases[0].module for row in rows]
        assert modules == [*sorted(of("channel")), "ulsam,groups=8"]
        rows = planned(ALONE | {"module": "@family:mixed"})
        assert {"bam", "cbam"} <= {row.cases[0].module for row in rows} == set(of("mixed"))

    def test_family_of_the_card_where_the_table_says_nothing(self):
        found = Catalog()
        found.modules.add(Entry(name="mine", target=f"{__name__}:Mine", origin="here"))
        found.modules._load = lambda target: Mine
        (table,) = plan(suite(ALONE | {"module": "@family:parameter-free"}), found)
        assert [row.cases[0].module for row in table.rows] == ["mine"]


class TestGroups:
    def test_one_case_for_each_value(self):
        assert names(planned(PLACED, groups=GROUPS)) == [
            [
                "cost/mobilenet_v2/ulsam,groups=1/replace:14,17",
                "cost/mobilenet_v2/ulsam/replace:14,17",
                "cost/mobilenet_v2/ulsam,groups=8/replace:14,17",
            ]
        ]

    def test_rows_that_do_not_vary(self):
        rows = planned(
            PLAIN,
            PLACED,
            PLACED | {"module": "se"},
            PLACED | {"module": "ulsam,groups=16"},
            groups=GROUPS,
        )
        assert [len(row.cases) for row in rows] == [1, 3, 1, 1]

    def test_other_options_stay(self):
        (row,) = planned(PLACED | {"module": "ulsam,momentum=0.5"}, groups=GROUPS)
        assert [case.module for case in row.cases] == [
            "ulsam,groups=1,momentum=0.5",
            "ulsam,momentum=0.5",
            "ulsam,groups=8,momentum=0.5",
        ]

    def test_words_and_switches(self):
        vary = GROUPS | {"option": "combine", "values": ["mul", "add"]}
        (row,) = planned(PLACED | {"module": "bam"}, groups=vary)
        assert [case.module for case in row.cases] == ["bam", "bam,combine=add"]
        vary = GROUPS | {"option": "bias", "values": [True, False]}
        (row,) = planned(PLACED | {"module": "se"}, groups=vary)
        assert [case.module for case in row.cases] == ["se", "se,bias=false"]

    def test_option_that_no_row_has(self):
        with pytest.raises(RequestError, match="'groups'"):
            planned(PLAIN, PLACED | {"module": "se"}, groups=GROUPS)


class TestAdded:
    def test_row_wherever_the_suite_puts_a_module(self):
        rows = planned(
            PLAIN,
            PLACED,
            PLACED | {"module": "se"},
            PLACED | {"placement": "after:3"},
            ALONE,
            added=["cbam,reduction=8", "bam"],
        )
        assert [row.added for row in rows] == [False] * 5 + [True] * 6
        assert names(rows[5:]) == [
            [f"cost/{place}"]
            for place in (
                "mobilenet_v2/cbam,reduction=8/replace:14,17",
                "mobilenet_v2/cbam,reduction=8/after:3",
                "alone/cbam,reduction=8/512x14x14",
                "mobilenet_v2/bam/replace:14,17",
                "mobilenet_v2/bam/after:3",
                "alone/bam/512x14x14",
            )
        ]
        assert rows[5].label == "mobilenet_v2 + cbam,reduction=8"
        assert rows[7].label == "cbam,reduction=8"

    def test_row_says_what_the_file_would_say(self):
        *_, added = planned(PLACED, added=["se"])
        assert (added.row.backbone, added.row.module) == ("mobilenet_v2", "se")
        assert (added.row.placement, added.row.channels) == ("replace:14,17", None)
        assert added.row.printed == {}
        *_, alone = planned(ALONE, added=["ulsam"])
        assert (alone.row.backbone, alone.row.channels, alone.row.size) == (None, 512, (14, 14))
        # and would give the same case
        assert (
            planned(alone.row.model_dump(exclude_none=True) | {"size": 14})[0].cases == alone.cases
        )

    def test_module_that_is_there_already_gets_no_second_row(self):
        assert len(planned(PLACED, added=["ulsam,groups=4"])) == 1
        assert len(planned(PLACED, added=["ulsam,groups=8"])) == 2

    def test_varies_with_the_column_groups(self):
        rows = planned(PLACED, added=["ulsam,momentum=0.5", "se", "ulsam,groups=16"], groups=GROUPS)
        assert [len(row.cases) for row in rows] == [3, 3, 1, 1]

    @pytest.mark.parametrize("spec", ["ulsma", "ulsam,gruops=3", "mobilenet_v2", ""])
    def test_wrong(self, spec):
        with pytest.raises(RequestError):
            planned(PLACED, added=[spec])

    def test_table_without_modules_gets_none(self):
        assert len(planned(PLAIN, added=["se"])) == 1


def test_case_is_hashable_and_compares():
    one = Case("cost", None, "se", None, 8, (4, 4))
    assert len({one, Case("cost", None, "se", None, 8, (4, 4))}) == 1


LATENCY = {"runtimes": ["eager", "onnxruntime"]}


class TestLatency:
    def planned(self, *rows, **latency):
        return plan(suite(*rows, latency={**LATENCY, **latency}), catalog())[0].rows

    def test_a_suite_read_back_from_a_run_is_the_same(self):
        content = {
            "suite": {"name": "s", "title": "S"},
            "latency": {"runtimes": ["eager", "compile"], "batch": 4},
            "table": [{"columns": ["label"], "latency": {"columns": ["median"]}, "row": [PLAIN]}],
        }
        own = parse_suite(content, "s.toml")
        again = parse_suite(own.model_dump(mode="json"), "records.jsonl")
        assert again.latency_of(again.table[0]) == own.latency_of(own.table[0])

    def test_each_row_is_timed_in_each_runtime(self):
        (plain, placed) = self.planned(PLAIN, PLACED, batch=8)
        assert [case.name for case in placed.latency] == [
            "latency/mobilenet_v2/ulsam/replace:14,17/eager,batch=8",
            "latency/mobilenet_v2/ulsam/replace:14,17/onnxruntime,batch=8",
        ]
        assert [case.name for case in placed.cases] == ["cost/mobilenet_v2/ulsam/replace:14,17"]
        assert [case.plain for case in placed.latency] == list(plain.latency)

    def test_precisions_cross_with_runtimes(self):
        (row,) = self.planned(PLACED, precisions=["fp32", "int8"], threads=2)
        assert [str(case.conditions) for case in row.latency] == [
            "eager,threads=2",
            "onnxruntime,threads=2",
            "eager,precision=int8,threads=2",
            "onnxruntime,precision=int8,threads=2",
        ]

    def test_costs_come_before_latencies(self):
        own = suite(PLAIN, PLACED, latency=LATENCY)
        kinds = [case.kind for case in all_cases(plan(own, catalog()))]
        assert kinds == ["cost"] * 2 + ["latency"] * 4

    def test_a_table_overrides_the_suite(self):
        content = {
            "suite": {"name": "s", "title": "S"},
            "latency": {"runtimes": ["eager"], "batch": 4, "budget_s": 3.0},
            "table": [{"columns": ["label"], "latency": {"batch": 2}, "row": [PLAIN]}],
        }
        own = parse_suite(content, "s.toml")
        found = own.latency_of(own.table[0])
        assert (found.runtimes, found.batch, found.budget_s, found.processes) == (
            ["eager"],
            2,
            3.0,
            3,
        )

    def test_a_table_without_latency_has_none(self):
        assert planned(PLAIN)[0].latency == ()

    def test_ranking_by_a_runtime_that_is_not_measured(self):
        with pytest.raises(RequestError, match="'compile'"):
            self.planned(PLAIN, rank="compile")

    def test_fused_forms_are_rows_of_modules_that_have_one(self, monkeypatch):
        row = {**PLACED, "module": ["ulsam", "identity"], "forms": ["plain", "fused"]}
        assert [(one.label, one.cases[0].fused) for one in planned(row)] == [
            ("mobilenet_v2 + ulsam", False),
            ("mobilenet_v2 + ulsam, fused", True),
            ("mobilenet_v2 + identity", False),
        ]

    def test_asking_for_a_fused_form_that_is_not_there(self):
        with pytest.raises(RequestError, match="'identity'"):
            planned({**PLACED, "module": "identity", "forms": ["fused"]})

    def test_a_selector_leaves_out_who_has_no_official_place(self):
        rows = planned({**PLAIN, "module": ["@all"], "placement": "official"})
        assert "identity" not in {row.cases[0].module for row in rows}
        assert "se" in {row.cases[0].module for row in rows}
        with pytest.raises(PlacementError, match="identity"):
            case = planned({**PLAIN, "module": "identity", "placement": "official"})[0].cases[0]
            CostMeter(catalog()).check(case)


CARDLESS = "torch.nn:Identity"
MANY = {"backbone": "mobilenet_v2", "module": ["se", "identity"], "placement": "after:14"}


class TestAddedForms:
    """An added module stands where the others do, and in the forms that they have."""

    def test_fused_where_others_are_and_it_can(self):
        both = MANY | {"forms": ["plain", "fused"]}
        assert names(planned(both, added=["bam", CARDLESS])[3:]) == [
            ["cost/mobilenet_v2/bam/after:14"],
            ["cost/mobilenet_v2/bam/after:14/fused"],
            [f"cost/mobilenet_v2/{CARDLESS}/after:14"],
        ]

    def test_no_official_place(self):
        official = MANY | {"module": "se", "placement": "official"}
        rows = planned(official, MANY, added=["cbam", CARDLESS])
        assert names(rows[3:]) == [
            ["cost/mobilenet_v2/cbam/official"],
            ["cost/mobilenet_v2/cbam/after:14"],
            [f"cost/mobilenet_v2/{CARDLESS}/after:14"],
        ]
        with pytest.raises(RequestError, match=r"torch\.nn:Identity.*official"):
            planned(official, added=[CARDLESS])

    def test_labelled_as_its_neighbours(self):
        labelled = MANY | {"label": "{module} in {backbone}"}
        assert planned(labelled, added=["bam"])[-1].label == "bam in mobilenet_v2"
        assert planned(MANY | {"module": "se", "label": "SE-Net"}, added=["bam"])[-1].label == (
            "mobilenet_v2 + bam"
        )
