"""Every script in benchmarks/ runs through with --smoke, and has a figure for each of its arms."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FORKED = Path(__file__).parents[1] / "forked_script.py"
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py"))

TRAININGS = [
    f"{name}{side}"
    for name in ("plain", "plain, channels_last", "attnbench", "attnbench, compiled")
    for side in ("", ", side by side")
]
RULES = [
    "attnbench ci",
    "pytest-benchmark, median:5%",
    "asv continuous, factor 1.1",
    "asv continuous, factor 1.05",
]
LINES = {
    # script -> arm -> lines that begin with it and go on with a figure
    "choosing.py": dict.fromkeys(
        [
            *["within 1 point and the half-width", "intervals that hold"],
            *["full measurement", "choice", "timing of the choice"],
        ],
        1,
    ),
    "counting.py": dict.fromkeys(["attnbench", "fvcore", "ptflops"], 4),
    "gpu.py": dict.fromkeys(
        ["fp32", "bf16", "plain loop", "attnbench", "attnbench / plain loop"], 1
    ),
    "modules.py": {
        **dict.fromkeys(["plain", "read and write once"], 5),
        **dict.fromkeys(["fused", "fused, compiled"], 4),
        **dict.fromkeys(["mobilenet_v2", "with ulsam", "with fused ulsam"], 2),
        **dict.fromkeys(["released loop", "ulsam", "se", "cbam", "non_local"], 1),
        "timm": 3,
    },
    "racing.py": dict.fromkeys(
        [f"{kind}, {arms} arms" for kind in ("normal", "t3") for arms in (2, 5)], 1
    ),
    # the power of growth is no figure to check here: seconds this small can fall with more cases
    "reading.py": dict.fromkeys(["24 cases", "48 cases"], 1),
    "regression.py": {
        **dict.fromkeys(RULES, 2),
        **dict.fromkeys(["params", "macs", "undelegated", "graph_breaks"], 1),
        "nothing (false alarms)": 1,
    },
    "report.py": dict.fromkeys(["100 rows", "filter and front", "with table and scatter"], 1),
    "startup.py": dict.fromkeys(
        [
            *["python -c pass", "import attnbench", "attnbench list modules"],
            *["attnbench list backbones", "attnbench --help", "import torch"],
        ],
        1,
    ),
    "timing.py": {
        **dict.fromkeys(
            ["attnbench", "torch.utils.benchmark", "pytest-benchmark", "timm's way"], 1
        ),
        "103 pieces of work against 100: called slower in": 1,
        "101 pieces of work against 100: called slower in": 1,
        "intervals of": 1,
        "attnbench (Hodges-Lehmann of pairs)": 1,
        "medians (torch.utils.benchmark, pytest-benchmark)": 1,
        "means (timm's way)": 1,
        "4 processes, 40 arms, t3": 1,
    },
    "training.py": {
        **dict.fromkeys(TRAININGS, 1),
        **{f"{ours} / {plain}:": 1 for ours in TRAININGS[5::2] for plain in TRAININGS[:4]},
        **dict.fromkeys(["DataLoader, 1 workers", "attnbench, one thread"], 1),
        "attnbench, once before": 1,
    },
}
# script -> keys of its file below which every number is positive
FILES = {
    "modules.py": ["median_ms", "ratio", "ratio_low", "ratio_high", "speed_up", "pairs"],
    "regression.py": ["seconds"],
    "timing.py": ["ratio", "seconds"],
}
PROGRESS = re.compile(r"left out: ulsam,groups=5 |\d+: (as many|5% more) pieces, ")
FIGURE = re.compile(r"(?<![\w.])(\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)(%?)")


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_runs_through(script, tmp_path, fork_server):
    words = ["--json", str(tmp_path / "file.json")] if script in FILES else []
    done = smoke(script) if script == "startup.py" else forked(fork_server, script, *words)
    assert done.returncode == 0, done.stderr
    # neither a traceback nor a warning
    assert [line for line in done.stderr.splitlines() if not PROGRESS.match(line)] == []
    assert done.stdout.startswith("smoke run: ")
    for arm, number in LINES[script].items():
        rest = figures_of(arm, done.stdout)
        assert len(rest) == number, f"{arm}: {rest}"
        assert all(map(positive, rest)), f"{arm}: {rest}"
    if words:
        document = json.loads((tmp_path / "file.json").read_text(), parse_constant=pytest.fail)
        for key in FILES[script]:
            values = list(numbers(document, key))
            assert values, key
            assert all(math.isfinite(value) and value > 0 for value in values), key


def test_a_wrong_request_ends_in_one_line():
    done = smoke("startup.py", "--rounds", "0")
    assert done.returncode == 2
    assert done.stderr == "startup.py: argument --rounds: must be 1 or more: 0\n"


@pytest.mark.parametrize("line", ["nan s", "inf s", "3 s (-2 to 4)", "0.0 s", "3 s (0 to 4)", "s"])
def test_what_is_no_figure_is_found(line):
    assert not positive(line)


@pytest.mark.parametrize("line", ["3 s", "1,234 images/s", "0/1", "0.00% 1.2", "x 2 (1e-5-1e+02)"])
def test_figures_pass(line):
    assert positive(line)


def smoke(script, *words):
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / script), "--smoke", *words],
        capture_output=True,
        text=True,
    )


def forked(server, script, *words):
    """As smoke, with forks for the process and for those that it starts."""
    script = str(BENCHMARKS / script)
    return server.run([sys.executable, "-P", str(FORKED), script, "--smoke", *words], os.environ)


def figures_of(arm, text):
    """What follows an arm's name in each line that begins with it and a figure."""
    return re.findall(rf"^ *{re.escape(arm)} +(\d.*)$", text, re.MULTILINE)


def positive(text):
    """Whether a line has figures, all finite and more than nothing.

    What is counted of a number (0/1), and an error in percent, may be nothing.
    """
    if re.search(r"\b(nan|inf)\b|(?<![\w.])-\d", text):
        return False
    counts = re.findall(r"\b\d+/\d+\b", text)
    found = FIGURE.findall(re.sub(r"\b\d+/\d+\b", "", text))
    values = [float(value.replace(",", "")) for value, percent in found if not percent]
    return bool(values or counts) and all(value > 0 for value in values)


def numbers(document, key, *, inside=False):
    """All numbers below a key, wherever it stands."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from numbers(value, key, inside=inside or name == key)
    elif isinstance(document, list):
        for value in document:
            yield from numbers(value, key, inside=inside)
    elif inside:
        yield document
