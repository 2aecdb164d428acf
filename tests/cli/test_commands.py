"""Every command as the README uses it, and the JSON that others build on."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer

from attnbench.cli.app import app
from attnbench.records.store import FILE, read_run

from ..gate_plugin import HEAD, gate_class, gate_plugin

PLUGIN = gate_plugin(
    "my_attention",
    facts='family="channel", year=2026, paper="me"',
    name="MyAttention",
    options=", *, groups=4",
    conv="channels, channels, 1, groups=groups",
)


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "my.py"
    path.write_text(PLUGIN)
    return path.name


def test_listing_modules(attnbench):
    rows = attnbench("list", "modules", "--json").json
    assert {row["name"] for row in rows} >= {"ulsam", "se", "identity", "cbam"}
    assert all(row["origin"] for row in rows)
    assert "Saini, WACV'20" in attnbench("list", "modules").out


def test_list_alone_lists_modules(attnbench):
    assert attnbench("list", "--json").json == attnbench("list", "modules", "--json").json
    assert attnbench("list").out == attnbench("list", "modules").out


def test_listing_closes_with_the_families(attnbench):
    lines = attnbench("list", "modules").out.strip().splitlines()
    assert lines[-1].startswith("timm:NAME  21 attention layers of timm: se, ese, eca, ")
    assert lines[-1].endswith(", bat")
    assert "timm" not in attnbench("list", "modules", "--json").out


def test_a_family_member_in_the_commands(attnbench):
    args = ("-m", "timm:eca", "--channels", "64", "--size", "7", "--json")
    assert attnbench("cost", *args).json["params"] == 3
    shown = attnbench("show", "module", "timm:eca", "--json").json
    assert shown["title"] == "Efficient channel attention (timm's EcaModule)"
    assert shown["params_512"] == 5
    assert list(shown["options"]) == [
        "gamma", "beta", "gate_layer", "rd_ratio", "rd_channels", "rd_divisor", "use_mlp",
    ]  # fmt: skip


@pytest.mark.parametrize("what", ["", "modules", "backbones", "suites"])
def test_listing_imports_no_torch(what):
    code = (
        f"import sys; sys.argv = ['attnbench', 'list', *{what.split()}]\n"
        "from attnbench.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.exit('torch' in sys.modules or 'torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_that_the_test_above_can_fail():
    code = "import sys, torch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 1


def test_long_listing_has_parameters_and_constraints(attnbench):
    rows = {row["name"]: row for row in attnbench("list", "modules", "--long", "--json").json}
    assert rows["ulsam"]["params_512"] == 2572
    assert "multiple of groups" in rows["ulsam"]["constraints"][0]


def test_backbones_and_suites(attnbench):
    names = {row["name"] for row in attnbench("list", "backbones", "--json").json}
    assert {"mobilenet_v1", "mobilenet_v3_large", "timm:NAME"} <= names
    suites = {row["name"] for row in attnbench("list", "suites", "--json").json}
    assert {"quick", "ulsam-table1", "ulsam-ablation"} <= suites


def test_showing_a_backbone(attnbench):
    sites = {
        site["layer"]: site for site in attnbench("show", "backbone", "mobilenet_v2", "--json").json
    }
    assert sites[14]["path"] == "features.13"
    assert (sites[14]["channels"], sites[14]["size"], sites[14]["expanded"]) == (96, [14, 14], 576)
    assert [n for n, site in sites.items() if site["replaceable"]] == [
        4, 6, 7, 9, 10, 11, 13, 14, 16, 17,
    ]  # fmt: skip
    assert "features.13" in attnbench("show", "backbone", "mobilenet_v2").out


def test_showing_an_unknown_networks_sites(attnbench):
    out = attnbench("show", "backbone", "resnet18", "--size", "64").out
    assert "layer1.0" in out and "conv1" not in out
    assert "shown are its 8 blocks; --all shows the other sites as well" in out
    every = attnbench("show", "backbone", "resnet18", "--size", "64", "--all").out
    assert "layer1.0.conv1" in every and "called 2 times" in every


def test_showing_a_suite(attnbench):
    suite = attnbench("show", "suite", "ulsam-ablation", "--json").json
    cases = [case for table in suite["tables"] for row in table["rows"] for case in row["cases"]]
    assert "cost/mobilenet_v2/ulsam/replace:14,17" in cases
    assert "MV2 + ULSAM" in attnbench("show", "suite", "ulsam-ablation").out


def test_showing_a_suite_of_all_kinds(attnbench):
    found = attnbench("show", "suite", "quick", "--json").json
    assert found["cases"] == {"cost": 24, "latency": 48, "accuracy": 24}
    names = {name for table in found["tables"] for row in table["rows"] for name in row["cases"]}
    assert len(names) == 96
    shown = attnbench("show", "suite", "quick").out
    assert (
        "24 costs · 48 latencies · 24 trainings; all names: attnbench run quick --dry-run -v"
        in shown
    )
    assert (
        "mobilenet_v2,width=0.35 + se                1 cost · 2 latencies · 3 trainings\n" in shown
    )


def test_one_arm_is_the_object_itself(attnbench):
    arm = attnbench(
        "cost", "-b", "mobilenet_v2", "-m", "ulsam,groups=4", "-p", "replace:14,17", "--json"
    ).json
    assert (arm["params"], arm["trainable"]) == (3_067_904, 3_067_904)
    assert round(arm["macs"] / 1e6, 3) == 262.659
    assert arm["delta"]["params"] == 3_067_904 - 3_504_872
    assert arm["sites"] == 2
    assert [slot["layer"] for slot in arm["slots"]] == [14, 17]
    assert arm["uncounted"] == []
    assert set(arm["counters"]) == {"rules", "fvcore", "ptflops", "torch"}
    for report in arm["counters"].values():
        assert report["agree"] is True
        assert report["macs"] == arm["macs"]
        assert {"raw", "unit", "adjustments"} <= set(report)


CUSTOM = """
import torch
from torch import nn


@torch.library.custom_op("attnbench_tests::mixed", mutates_args=())
def mixed(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return left @ right


class Mixer(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, channels))

    def forward(self, x):
        return mixed(x.transpose(1, 3).contiguous(), self.weight).transpose(1, 3)
"""


@pytest.fixture
def custom(tmp_path):
    path = tmp_path / "custom.py"
    path.write_text(CUSTOM)
    return f"{path}:Mixer"


ENTRY = {"operator": "attnbench_tests::mixed", "calls": 1, "sizes": [[1, 4, 4, 8], [8, 8]]}
UNKNOWN = "attnbench_tests::mixed (1 call on 1x4x4x8, 8x8)"


def test_an_operator_of_unknown_macs_is_named_under_the_table(attnbench, custom):
    alone = ("cost", "-m", custom, "--channels", "8", "--size", "4")
    arm = attnbench(*alone, "--json").json
    assert (arm["macs"], arm["uncounted"]) == (0, [ENTRY])
    assert [report["agree"] for report in arm["counters"].values()] == [False] * 4
    out = attnbench(*alone).out
    assert "not countable: attnbench_tests::mixed" in out
    assert f"[1] Not countable, and not in the MACs: {UNKNOWN}." in out
    assert "agree" not in out
    assert "unexplained" not in out
    for form in ("md", "csv", "tex", "html"):
        assert "1x4x4x8" in attnbench(*alone, "--no-counters", "--format", form).out


def test_a_module_page_names_operators_of_unknown_macs(attnbench, custom):
    assert "Not countable" in attnbench("show", "module", custom, "--no-check").out


def test_placements_say_how_many_sites_they_fill(attnbench):
    where = ("cost", "-b", "mobilenet_v3_small", "-m", "se", "--no-counters")
    out = attnbench(*where, "-p", "after:5", "-p", "replace-se:all").out
    assert "after:5 (1 site)" in out
    assert "replace-se:all (9 sites)" in out


def test_several_arms_cross(attnbench):
    arms = attnbench(
        "cost", "-b", "mobilenet_v1,width=0.25", "-b", "mobilenet_v2", "-m", "se", "-m", "ulsam",
        "-p", "after:11", "-p", "replace:11", "--no-counters", "--json",
    ).json["arms"]  # fmt: skip
    assert len(arms) == 8
    assert len({arm["name"] for arm in arms}) == 8
    assert "counters" not in arms[0]


def test_a_module_alone(attnbench):
    arm = attnbench(
        "cost", "-m", "ulsam,groups=4", "--channels", "512", "--size", "14", "--json"
    ).json
    assert (arm["params"], arm["macs"]) == (2572, 200_704)
    assert (arm["paper_params"], arm["paper_macs"]) == (1024, 200_704)
    assert arm["formula"] == {"params": 2572, "macs": 200_704}


def test_no_paper_prints_a_formula(attnbench, plugin):
    arm = attnbench(
        "cost", "-m", f"{plugin}:MyAttention", "--channels", "8", "--size", "7x5", "--json"
    ).json
    assert arm["paper_params"] is None and arm["paper_macs"] is None
    assert arm["macs"] == 8 * 2 * 35


@pytest.mark.parametrize("form", ["text", "md", "csv", "tex", "html"])
def test_cost_in_every_format(attnbench, form):
    done = attnbench(
        "cost",
        "-b",
        "mobilenet_v2",
        "-m",
        "se",
        "-p",
        "official",
        "--no-counters",
        "--format",
        form,
    )
    assert done.status == 0
    assert "3,534,885" in done.out or "3534885" in done.out or "3{,}534{,}885" in done.out


def test_schema_is_json(attnbench):
    assert "suite" in attnbench("schema").json["properties"]


def option_names():
    """Map each command to the names of its options: ``(("-o", "--output"), ...)``."""
    commands = typer.main.get_command(app).commands
    return {
        name: [tuple(option.opts) for option in command.params]
        for name, command in commands.items()
    }


def test_an_option_has_the_same_meaning_in_all_commands():
    known = option_names()
    own = {name for name, options in known.items() if ("-o", "--output") in options}
    runs = {name for name, options in known.items() if ("--out",) in options}
    own_file = {
        "activations",
        "choose",
        "export",
        "history",
        "merge",
        "new",
        "overview",
        "report",
        "table",
    }
    assert own == own_file
    assert runs == {"accept", "accuracy", "choose", "compare", "overview", "report", "run", "table"}
    for options in known.values():
        assert all(
            names in [("-o", "--output"), ("--out",)]
            for names in options
            if {"-o", "--output", "--out"} & set(names)
        )
    kinds = {name for name, options in known.items() if ("--only",) in options}
    assert kinds == {"run", "compare", "ci"}
    assert [name for name, options in known.items() if ("--select",) in options] == ["check"]


@pytest.mark.parametrize("name", ["train", "maps"])
def test_earlier_commands_are_gone(attnbench, name):
    done = attnbench(name)
    assert done.status == 2
    assert f"'{name}'" in done.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("merge", "runs", "--out", "all"), "--output"),
        (("new", "gate", "--out", "gate"), "--output"),
        (("check", "se", "--only", "nan"), "--only"),
        (("activation",), "'activations'"),
    ],
)
def test_a_name_of_another_command_is_refused(attnbench, words, hint):
    done = attnbench(*words)
    assert done.status == 2
    assert hint in done.err


def test_version_and_help(attnbench):
    assert attnbench("--version").out.startswith("attnbench ")
    for command in ("list", "show", "cost", "run", "table", "merge", "schema"):
        done = attnbench(command, "--help")
        assert done.status == 0 and done.out.strip()


def test_plugin_module_by_registered_name(attnbench, plugin):
    arm = attnbench(
        "cost",
        "--plugin",
        plugin,
        "-m",
        "my_attention,groups=8",
        "--channels",
        "16",
        "--size",
        "4",
        "--json",
    ).json
    assert arm["params"] == 16 * 2 + 16


def test_nothing_but_json_on_standard_output_with_a_noisy_plugin(attnbench, tmp_path):
    loud = "import os\nprint('HELLO')\nos.write(1, b'from below')\n"
    (tmp_path / "loud.py").write_text(loud + PLUGIN)
    done = attnbench("list", "modules", "--plugin", "loud.py", "--json")
    assert "my_attention" in [row["name"] for row in done.json]
    assert "HELLO" in done.err and "from below" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("backbone", "mobilenet_v2", "--json"),
        ("backbone", "mobilenet_v2"),
        ("module", "se", "--no-check"),
    ],
)
def test_a_reader_that_leaves_early_is_no_failure(words, fork_server, tmp_path):
    with (
        (tmp_path / "err").open("w") as errors,
        fork_server.attnbench("show", *words, stderr=errors, cwd=tmp_path) as process,
    ):
        process.stdout.close()  # before the first line: whatever it writes meets a closed pipe
        assert process.wait() == 0
    assert (tmp_path / "err").read_text() == ""


def test_a_full_standard_output_is_told():
    command = f"{sys.executable} -m attnbench list modules --json > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 2
    assert "standard output" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("closed", "status", "out"), [(">&-", 1, ""), ("2>&-", 0, "[]"), ("<&- >&- 2>&-", 1, "")]
)
def test_a_closed_standard_stream(closed, status, out):
    """The null device takes its place; what cannot be written is an error."""
    program = (
        "from attnbench.cli.output import open_closed_streams, print_json, stdout_to_stderr\n"
        "open_closed_streams()\nwith stdout_to_stderr(): print(1)\nprint_json([])"
    )
    command = ["bash", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (status, out)
    assert closed != ">&-" or "standard output cannot be written" in done.stderr


class TestSettingsOfTheProcess:
    """A plugin that changes the default dtype spoils no other module's row, and is named."""

    SAID = (
        "attnbench: wide.py changes the default dtype of the process from torch.float32 to "
        "torch.float64: restored\n"
    )

    @pytest.fixture
    def wide(self, tmp_path):
        """Return the options of a request with the plugin and two modules."""
        text = HEAD + "torch.set_default_dtype(torch.float64)\n"
        path = tmp_path / "wide.py"
        path.write_text(text + gate_class('@attnbench.register("wide")', name="Wide"))
        return ("--plugin", path, "-m", "se", "-m", "wide", "--channels", 64, "--size", 14)

    def test_cost(self, attnbench, wide):
        done = attnbench("cost", *wide, "--json")
        channels, hidden, x = 64, 4, 64 * 14 * 14
        weights = 2 * channels * hidden + channels + hidden
        # what mean, conv, relu, conv, sigmoid and product read and write besides the weights
        values = (x + channels) + (channels + hidden) + 2 * hidden + (hidden + channels)
        values += 2 * channels + (x + channels + x)
        assert done.json["arms"][0]["bytes"] == 4 * (values + weights) == 154_448
        assert done.err == self.SAID
        assert [f"attnbench: {note}\n" for note in done.json["arms"][0]["notes"]] == [self.SAID]

    def test_latency(self, attnbench, wide, worker_here):
        done = attnbench("latency", *wide, "--budget", 0.05, "--json")
        assert done.status == 0
        assert done.err.count(self.SAID) == 1
        for arm in done.json["arms"]:
            assert f"attnbench: {arm['runtimes']['eager']['notes'][0]}\n" == self.SAID

    def test_a_forward_pass_that_sets_the_threads(self, attnbench, tmp_path, worker_here):
        text = HEAD + gate_class(name="Threads", output="(torch.set_num_threads(3), x)[1]")
        (tmp_path / "threads.py").write_text(text)
        threads = torch.get_num_threads()
        words = ("-m", "threads.py:Threads", "-m", "se", "--channels", 8, "--size", 7, "--json")
        done = attnbench("latency", *words, "--budget", 0.05)
        first, second = (arm["runtimes"]["eager"] for arm in done.json["arms"])
        assert (first["status"], second["status"], done.status) == ("failed", "ok", 1)
        change = "threads.py:Threads changes the number of threads of the process from 1 to 3"
        assert first["reason"].startswith(f"{change} in its forward pass")
        assert f"{change.replace('from 1', f'from {threads}')} in its forward pass: " in done.err
        assert f"attnbench: {first['notes'][0]}\n" in done.err and "notes" not in second
        assert torch.get_num_threads() == threads

    def test_the_record_of_a_failure_says_so(self, attnbench, tmp_path, worker_here):
        head = HEAD + "class Sets(nn.Identity):\n    def __init__(self, channels):\n"
        body = "        super().__init__()\n        torch.set_num_threads(3)\n"
        (tmp_path / "sets.py").write_text(f"{head}{body}    def forward(self, x):\n        1 / 0\n")
        row = '[[table.row]]\nmodule = "sets.py:Sets"\nchannels = 8\nsize = 7\n'
        head = '[suite]\nname = "mine"\ntitle = "Mine"\n[[table]]\ncolumns = ["label", "params"]\n'
        (tmp_path / "mine.toml").write_text(head + row)
        done = attnbench("run", "mine.toml", "--out", "out")
        (record,) = read_run(tmp_path / "out" / "mine" / FILE).records.values()
        assert (done.status, record.status) == (1, "failed")
        assert "ZeroDivisionError" in record.reason
        (note,) = record.notes
        assert note.endswith(" to 3 in its constructor: restored")
        assert f"attnbench: {note}\n" in done.err

    def test_a_constructor_that_sets_the_threads(self, attnbench, tmp_path, worker_here):
        head = HEAD + "class Sets(nn.Identity):\n    def __init__(self, channels):\n"
        body = "        super().__init__()\n        torch.set_num_threads(3)\n"
        (tmp_path / "sets.py").write_text(head + body)
        words = ("-m", "sets.py:Sets", "--channels", 8, "--size", 7, "--json")
        done = attnbench("latency", *words, "--budget", 0.05)
        (note,) = done.json["runtimes"]["eager"]["notes"]
        assert note.endswith(" to 3 in its constructor: restored")
        assert f"attnbench: {note}\n" in done.err


@pytest.mark.parametrize(("options", "known"), [(["-b", "mobilenet_v2"], "placement"), ([], "map")])
def test_a_wrong_column_is_refused_before_anything_is_counted(
    attnbench, monkeypatch, options, known
):
    monkeypatch.setattr("attnbench.cli.cost.load_catalog", lambda plugin: 1 / 0)
    done = attnbench("cost", *options, "-m", "se", "--columns", "wrong")
    assert done.status == 2
    assert done.err.startswith("attnbench: unknown --columns 'wrong'.")
    assert known in done.err


def test_an_overview_of_some_modules_names_what_it_does_not_have(attnbench):
    results = Path(__file__).parents[2] / "results" / "mobilenet-latency"
    done = attnbench("overview", results, "-m", "see", "--brief")
    assert (done.status, done.out) == (2, "")
    assert "unknown --module 'see'" in done.err and "'se'" in done.err
