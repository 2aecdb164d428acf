"""``attnbench show module``: all that is known, in order, in every format."""

import html

import pytest
from attnbench_modules import MODULES

from attnbench.conformance.checks import CHECKS

PLUGIN = """
from torch import nn

class MyAttention(nn.Module):
    def __init__(self, channels, *, groups=4, act_layer=nn.ReLU, **others):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, groups=groups)

    def forward(self, x):
        return x * self.conv(x).sigmoid()

class Sevens(MyAttention):
    def __init__(self, channels, *, feature_size=None):
        super().__init__(channels)

    def forward(self, x):
        if x.shape[2] != 7:
            raise ValueError("seven only")
        return super().forward(x)
"""
KEYS = {
    "name", "spec", "title", "origin", "declared", "family", "version", "paper", "traits",
    "formula", "formula_tex", "options", "takes_any_option", "takes_feature_size", "params_text",
    "macs_text", "params_512", "macs_512x14x14", "costs_counted", "costs_uncounted", "costs_reason",
    "printed",
    "official", "official_note", "deviations", "timm", "traps", "constraints", "dead", "exceptions",
    "defects", "licence", "conformance", "drift",
}  # fmt: skip
ORDER = (
    "\nWhat it computes\n", "\nOptions\n", "\nCosts\n", "\nWhere it goes\n", "\nHow ours differs\n",
    "\nKnown traps\n", "\nConstraints\n", "\nParameters that get no gradient\n", "\nConformance\n",
    "\nLicence of the original\n", "\nBibTeX\n",
)  # fmt: skip


@pytest.fixture
def plugin(tmp_path):
    (tmp_path / "my.py").write_text(PLUGIN)
    return "my.py"


@pytest.fixture
def two_checks(monkeypatch, worker_here):
    """The kit as a whole takes seconds, and is tested where it is."""
    chosen = [CHECKS["batch_independence"], CHECKS["batch_one"]]
    monkeypatch.setattr("attnbench.conformance.checks.default_checks", lambda: chosen)


def show(attnbench, *words):
    done = attnbench("show", "module", *words)
    assert done.status == 0, done.err
    return done


def test_json_has_everything(attnbench):
    document = show(attnbench, "ulsam,groups=8", "--json", "--no-check").json
    assert set(document) == KEYS
    assert (document["params_512"], document["macs_512x14x14"]) == (2584, 200_704)
    assert (document["printed"]["params_512"], document["costs_counted"]) == (1024, [])
    assert document["options"]["groups"] == {
        "default": 4, "value": 8, "type": "int",
        "description": "number of subspaces g, one attention map each",
    }  # fmt: skip
    assert document["paper"]["bibtex"].startswith("@inproceedings{saini2020ulsam")
    assert set(document["dead"]) == {"depthwise.bias", "pointwise.bias"}
    assert document["formula"].count("\n") == 3 and "\\odot" in document["formula_tex"]
    assert document["conformance"] is None and document["drift"] is None


def test_sections_come_in_their_order(attnbench, two_checks):
    done = show(attnbench, "bam")
    places = [done.out.index(title) for title in ORDER]
    assert places == sorted(places)
    assert done.out.startswith("bam: Bottleneck attention (BAM)\n")
    for text in (
        "68,513 at 512 channels, exactly 3Cq",
        "83,968 parameters",  # the printed parameters: 4 * 512^2 / 16 + 18 * 512^2 / 16^2
        "y = x * (1 + sigmoid(Mc * Ms))",
        r"\begin{align*}",
        "combine=mul",
        "after:4,7,14",
        "no BAM",
        "channel.0.bias",
        "2 checks hold: attnbench check bam shows them",
        "MIT (Jongchan/attention-module)",
    ):
        assert text in done.out
    assert all(line == line.rstrip() for line in done.out.splitlines())


def test_checks_are_run_unless_told_not_to(attnbench, two_checks):
    with_checks = show(attnbench, "se,reduction=8", "--json")
    found = with_checks.json["conformance"]
    assert set(found) == {"passed", "counts", "findings"}
    assert [one["check"] for one in found["findings"]] == ["batch_independence", "batch_one"]
    assert "se,reduction=8" in with_checks.err and "--no-check" in with_checks.err
    without = show(attnbench, "se", "--no-check")
    assert "Conformance" not in without.out and without.err == ""


def test_a_broken_check_is_named_and_no_failure(attnbench, two_checks, tmp_path):
    mixing = PLUGIN.replace("self.conv(x).sigmoid()", "x.mean(0, keepdim=True)")
    (tmp_path / "mixing.py").write_text(mixing)
    out = show(attnbench, "mixing.py:MyAttention").out
    assert "1 check holds, 1 broken" in out
    assert "- batch_independence: in eval" in out and "(and 1 more)" in out


@pytest.mark.parametrize("name", [name for name in sorted(MODULES) if not name.endswith(":")])
def test_every_module_in_every_format(attnbench, name):
    for form in ("text", "md", "tex"):
        out = show(attnbench, name, "--format", form, "--no-check").out
        assert str(MODULES[name]["title"]) in html.unescape(out), form
        assert "&=" in out or name == "identity", form
        if form == "md":
            assert out.count("```") == 2 * (2 + ("bibtex" in out))
            assert out.startswith(f"## {name}") and "```math\n" in out


def test_an_option_that_is_asked_for_is_told(attnbench):
    out = show(attnbench, "non_local,norm=false", "--no-check").out
    assert "norm=true" in out and "(asked for: false)" in out
    assert "525,568 at 512 channels" in out


def test_options_that_do_not_fit_have_a_reason_instead_of_values(attnbench):
    document = show(attnbench, "ulsam,groups=3", "--json", "--no-check").json
    assert document["params_512"] is document["macs_512x14x14"] is document["printed"] is None
    assert "multiple of groups" in document["costs_reason"]
    assert "multiple of groups" in show(attnbench, "ulsam,groups=3", "--no-check").out


def test_a_module_without_a_card_is_counted(attnbench, plugin):
    document = show(attnbench, f"{plugin}:MyAttention", "--json", "--no-check").json
    assert document["declared"] is False and document["options"]["act_layer"]["default"] == "ReLU"
    assert document["params_512"] == 512 * 128 + 512
    assert document["macs_512x14x14"] == 512 * 128 * 196
    assert document["costs_counted"] == ["params_512", "macs_512x14x14"]
    out = show(attnbench, f"{plugin}:MyAttention", "--no-check").out
    assert "66,048 at 512 channels, counted" in out
    assert "Not declared\n  what it computes, where it goes" in out
    assert "passes any other option on" in out


def test_a_module_that_cannot_be_at_the_shown_place(attnbench, plugin):
    document = show(attnbench, f"{plugin}:Sevens", "--json", "--no-check").json
    assert document["params_512"] is None and "seven only" in document["costs_reason"]
    assert document["takes_feature_size"] is True
    assert "built for one map size" in show(attnbench, f"{plugin}:Sevens", "--no-check").out


def test_a_formula_that_fails_is_told(attnbench, tmp_path):
    carded = PLUGIN + (
        "\nfrom attnbench.cards import Card\n"
        "def params(channels, **options):\n    return channels // 0\n"
        "MyAttention.card = Card(title='Mine', family='channel', params=params, traps=('one',))\n"
    )
    (tmp_path / "carded.py").write_text(carded)
    out = show(attnbench, "carded.py:MyAttention", "--no-check").out
    assert "ZeroDivisionError" in out and "  - one\n" in out
    assert "none declared" in out  # the constraints: the card is there and has none


def test_no_formula_for_latex_is_a_wrong_request(attnbench, plugin):
    done = attnbench("show", "module", f"{plugin}:MyAttention", "--format", "tex")
    assert (done.status, done.out) == (2, "")
    assert "formula_tex" in done.err and "my.py" in done.err


def test_pages_are_for_modules_alone(attnbench):
    done = attnbench("show", "backbone", "mobilenet_v2", "--format", "md")
    assert done.status == 2 and "json, text" in done.err
