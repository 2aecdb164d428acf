"""Regressions: how often each rule cries wolf, and how often it finds what was planted.

    python benchmarks/regression.py [--simulated 200] [--planted 10] [--real 30] [--json FILE]
                                    [--smoke]

A false alarm is a comparison of a commit with itself that a rule calls changed: slower for the
peers, for ours faster, too. Found is a head that takes 5% longer and is called slower. Ours is the
rule of ``attnbench ci``: base, its copy and head, interleaved in each of a few fresh processes. The
peers get the same seconds as they would see them, from two jobs: base's in one set of processes,
head's in another. ``pytest-benchmark`` compares medians by its own check; ``asv continuous`` wants
Mann-Whitney's test to say so at p < 0.002, and the medians to differ by its factor.

--simulated: seconds from a noise model (``Weather``), each draw judged with head as it is and with
head 5% slower. --real: a module of 100 equal convolutions and one of 105, exported; the true ratio
is 1.05 by construction. Tries with either take turns; the peers' base is that of the try before.
--planted: what is exact. Small modules of which head has one parameter or a wider kernel more
(``attnbench ci``), or one undelegated operator or graph break more (``attnbench run`` on either
side, then the comparison of both runs), beside modules in which nothing was planted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import torch
from command_line import NOWHERE, Parser, count, file, run, seconds
from pytest_benchmark.utils import parse_compare_fail
from scipy import stats
from torch import nn

import attnbench
from attnbench.records.store import Run, find_run, read_run
from attnbench.regression.ci.timing import TimedPair, TimingPlan, time_interleaved
from attnbench.regression.ci.verdict import compare_sides
from attnbench.regression.compare.compare_runs import compare
from attnbench.regression.compare.comparison import VERDICTS
from attnbench.regression.compare.gates import Gates
from attnbench.runtimes.torch_export import export_program
from attnbench.stats.timing_samples import AGAIN, TimingSamples

Array = npt.NDArray[np.float64]

SLOWER = 1.05  # what is planted
ARMS = ("base", AGAIN, "head")
NAME = "latency/alone/pieces"  # of the one network that is compared
ASV_P = 0.002
SMOKE = {
    "simulated": 1,
    "planted": 1,
    "runtime": "eager",
    "real": 1,
    "slower": 1,
    "pieces": 20,
    "processes": 1,
    "budget": 0.1,
    "json": NOWHERE,
}


@dataclass(frozen=True)
class Try:
    """One comparison, as ours and as the peers see it."""

    planted: bool
    processes: tuple[TimingSamples, ...]
    """Of the runner that interleaves."""
    before: Array
    """Base's seconds in the peers' first job."""
    after: Array
    """Head's seconds in their second."""


def main() -> None:
    """Print a table for each kind of try that was asked for."""
    options = parsed()
    torch.set_num_threads(1)
    documents: dict[str, Any] = {}
    if options.simulated:
        tries = list(simulated(options.simulated, options.processes, options.seed))
        print(f"simulated: {options.processes} processes of {ROUNDS} rounds, seed {options.seed}")
        show(tries)
    if options.planted:
        show_planted(planted(options.planted, options.runtime))
    if options.real:
        documents["real"] = real(options)
    if options.json:
        options.json.write_text(json.dumps(documents))


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = Parser(__doc__, **SMOKE)
    parser.add_argument("--simulated", type=count, default=0, metavar="N")
    parser.add_argument(
        "--planted", type=count, default=0, metavar="N", help="modules of each kind"
    )
    parser.add_argument(
        "--runtime", help="of what is planted in compiled networks; one that has it by default"
    )
    parser.add_argument("--real", type=count, default=0, metavar="N", help="A/A tries")
    parser.add_argument("--slower", type=count, default=20, metavar="N", help="real tries at +5%%")
    parser.add_argument("--pieces", type=pieces, default=100, help="convolutions of a real base")
    parser.add_argument("--processes", type=count, default=3)
    parser.add_argument("--budget", type=seconds, default=2.0, help="seconds of each process")
    parser.add_argument("--limit", type=seconds, default=900.0, help="seconds of --real in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=file, help="samples of the real tries")
    options = parser.read()
    if not (options.simulated or options.planted or options.real):
        parser.error("choose some of --simulated N, --planted N and --real N")
    return options


def pieces(text: str) -> int:
    """Read a number of pieces that has 5% more."""
    number = count(text)
    if number % 20:
        raise argparse.ArgumentTypeError(f"5% of it must be a whole number: {text}")
    return number


# --- rules ---------------------------------------------------------------------------------------


def ours(one: Try) -> bool:
    """``attnbench ci``; of a head that was not touched an improvement is a false alarm, too."""
    return verdict(one) in (("regressions",) if one.planted else ("regressions", "improvements"))


def verdict(one: Try) -> str:
    """Return the verdict of ``attnbench ci`` on the latency."""
    exports = {"base": None, "head": None}
    found = compare_sides([], {NAME: TimedPair(one.processes, exports=exports)}, Gates({}))
    return next(name for name, change in found.all() if change.metric == "latency")


def pytest_benchmark(one: Try) -> bool:
    """``--benchmark-compare-fail=median:5%``, by its own check."""
    before, after = ({"median": float(np.median(row))} for row in (one.before, one.after))
    check: Any = parse_compare_fail  # untyped
    return bool(check("median:5%").fails(after, before))


def asv(factor: float) -> Callable[[Try], bool]:
    """``asv continuous --factor``: medians by the factor, and Mann-Whitney's test at 0.002.

    Its other test, of confidence intervals, is for fewer than six samples on either side.
    """

    def worse(one: Try) -> bool:
        # more than 20 samples: the normal approximation without continuity correction
        test = stats.mannwhitneyu(one.before, one.after, method="asymptotic", use_continuity=False)
        medians = np.median(one.before), np.median(one.after)
        return bool(test.pvalue < ASV_P and medians[0] < medians[1] / factor)

    return worse


RULES: Mapping[str, Callable[[Try], bool]] = {
    "attnbench ci": ours,
    "pytest-benchmark, median:5%": pytest_benchmark,
    "asv continuous, factor 1.1": asv(1.1),
    "asv continuous, factor 1.05": asv(1.05),
}


def show(tries: Sequence[Try]) -> None:
    """Print what each rule said of the same tries."""
    print(f"{'rule':30} {'false alarms':>14} {'5% found':>14} {'sampled s/try':>14}")
    for name, rule in RULES.items():
        said = {
            planted: [rule(one) for one in tries if one.planted is planted]
            for planted in (False, True)
        }
        counts = [f"{sum(said[one])}/{len(said[one])}" for one in (False, True)]
        taken = np.mean([sampled(one, alone=rule is ours) for one in tries])
        print(f"{name:30} {counts[0]:>14} {counts[1]:>14} {taken:14.2g}", flush=True)


def sampled(one: Try, *, alone: bool) -> float:
    """Seconds that a rule's samples took: three arms of ours, or base and head."""
    if not alone:
        return float(one.before.sum() + one.after.sum())
    return float(sum(sum(row) for part in one.processes for row in part.seconds.values()))


# --- simulated -----------------------------------------------------------------------------------

ROUNDS = 60  # two seconds of three arms of some 10 ms
CALL_S = 0.01


@dataclass(frozen=True)
class Weather:
    """How noisy a runner is in one comparison; all are standard deviations of logarithms.

    Attributes:
        process: of whole processes, which are laid out in memory each in its own way.
        layout: of the arms within a process, for as long as it lives.
        drift: of the machine's speed over the length of a process.
        call: of a call, with the heavy tails of Student's t with 3 degrees of freedom.
        burst: share of the calls that fall into a neighbour's burst of ten calls or so, and take
            up to half as long again.
    """

    process: float
    layout: float
    drift: float
    call: float
    burst: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Weather:
        """Return some weather."""
        return cls(
            process=rng.uniform(0.005, 0.02),
            layout=rng.uniform(0.002, 0.006),
            drift=rng.uniform(0.02, 0.10),
            call=rng.uniform(0.005, 0.03),
            burst=rng.uniform(0.0, 0.2),
        )


def simulated(count: int, processes: int, seed: int) -> Iterator[Try]:
    """Draw comparisons; each comes as it is and with a slower head."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        weather = Weather.drawn(rng)
        mine = [process(weather, rng) for _ in range(processes)]
        later = [process(weather, rng) for _ in range(processes)]
        before = np.concatenate([logs[0] for logs in mine])
        after = np.concatenate([logs[2] for logs in later])
        for factor in (1.0, SLOWER):
            more = np.array([[0.0], [0.0], [np.log(factor)]])
            parts = tuple(samples_of(logs + more) for logs in mine)
            yield Try(factor > 1, parts, CALL_S * np.exp(before), CALL_S * np.exp(after) * factor)


def process(weather: Weather, rng: np.random.Generator) -> Array:
    """Logarithms of the seconds of each arm in each round, (3, rounds), of equal arms."""
    calls = ROUNDS * len(ARMS)
    shared = rng.normal(0, weather.process) + bursts(weather.burst, calls, rng)
    shared += weather.drift * np.cumsum(rng.standard_normal(calls)) / np.sqrt(calls)
    own = weather.call * rng.standard_t(3, calls)
    # the calls of a round come in random order
    order = rng.permuted(np.tile(np.arange(len(ARMS)), (ROUNDS, 1)), axis=1)
    logs = np.empty((len(ARMS), ROUNDS))
    logs[order.T, np.arange(ROUNDS)] = (shared + own).reshape(ROUNDS, len(ARMS)).T
    return logs + rng.normal(0, weather.layout, (len(ARMS), 1))


def bursts(share: float, calls: int, rng: np.random.Generator) -> Array:
    """Return the seconds that a neighbor's bursts add to each call."""
    length = 10
    slow = np.zeros(calls)
    for start in np.flatnonzero(rng.random(calls) < share / length):
        slow[start : start + rng.geometric(1 / length)] = rng.uniform(0.05, 0.4)
    return slow


def samples_of(logs: Array) -> TimingSamples:
    """Return log-times as the samples of a timing process."""
    rows = CALL_S * np.exp(logs)
    seconds = {arm: tuple(map(float, row)) for arm, row in zip(ARMS, rows, strict=True)}
    return TimingSamples("base", seconds, dict.fromkeys(ARMS, 1), 0.0, float(rows.sum()), "budget")


# --- real ----------------------------------------------------------------------------------------

SHAPE = (1, 32, 14, 14)


def real(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time as many tries as the limit allows, print what was said, return all samples."""
    with tempfile.TemporaryDirectory() as folder:
        files = artifacts(Path(folder), options.pieces)
        begin, loads = time.perf_counter(), [psutil.getloadavg()[0]]
        taken: list[tuple[bool, tuple[TimingSamples, ...]]] = []
        for slower in turns(options.real, options.slower):
            spent = time.perf_counter() - begin
            if taken and spent * (len(taken) + 1) / len(taken) > options.limit:
                break
            taken.append((slower, timed((files[0], files[slower]), options)))
            loads.append(psutil.getloadavg()[0])
            tell(
                f"{len(taken)}: {'5% more' if slower else 'as many'} pieces, {words(taken[-1][1])}"
            )
        spent = time.perf_counter() - begin
    print(
        f"real: {options.processes} processes of at most {options.budget:g} s, "
        f"{spent / len(taken):.1f} s/try in all, load {np.median(loads):.1f} "
        f"({min(loads):.1f} to {max(loads):.1f}) on {psutil.cpu_count()} cores"
    )
    show(as_seen(taken))
    return [
        {"planted": slower, "samples": [one.to_json() for one in parts]} for slower, parts in taken
    ]


def artifacts(folder: Path, fewer: int) -> list[Path]:
    """Export both modules.

    Raises:
        SystemExit: their work is not 1.05 to 1.
    """
    files, macs = [], []
    for pieces in (fewer, fewer + fewer // 20):
        torch.manual_seed(0)
        channels = SHAPE[1]
        convs = [nn.Conv2d(channels, channels, 3, padding=1) for _ in range(pieces)]
        model = nn.Sequential(*convs).eval().requires_grad_(False)
        macs.append(attnbench.cost(model, SHAPE).macs)
        files.append(folder / f"{pieces}.pt2")
        torch.export.save(export_program(model, torch.randn(SHAPE)), files[-1])
    if macs[1] / macs[0] != SLOWER:
        raise SystemExit(f"{macs[1]} MACs are not {SLOWER} times {macs[0]}")
    return files


def turns(aa: int, slower: int) -> list[bool]:
    """Which tries have the slower head: both kinds evenly spread."""
    places = [((one + 0.5) / aa, False) for one in range(aa)]
    places += [((one + 0.5) / slower, True) for one in range(slower)]
    return [kind for _, kind in sorted(places)]


def timed(files: tuple[Path, Path], options: argparse.Namespace) -> tuple[TimingSamples, ...]:
    """Return the samples of the timing processes of ``attnbench ci``.

    Raises:
        SystemExit: they cannot.
    """
    plan = TimingPlan(options.budget, options.processes)
    samples, error = time_interleaved(NAME, SHAPE, files, plan, lambda _: None)
    if error is not None:
        raise SystemExit(error)
    return tuple(samples)


def as_seen(taken: Sequence[tuple[bool, tuple[TimingSamples, ...]]]) -> list[Try]:
    """Give each try the peers' base of the try before, a job earlier; the first has the last's."""
    seen = []
    for number, (slower, parts) in enumerate(taken):
        other = taken[number - 1][1]
        seen.append(Try(slower, parts, seconds_of(other, "base"), seconds_of(parts, "head")))
    return seen


def seconds_of(parts: Sequence[TimingSamples], arm: str) -> Array:
    """Return an arm's seconds in all processes."""
    return np.concatenate([np.asarray(one.seconds[arm]) for one in parts])


def tell(line: str) -> None:
    """Progress goes to standard error."""
    print(line, file=sys.stderr, flush=True)


def words(parts: tuple[TimingSamples, ...]) -> str:
    """Return our verdict on a try, for the log."""
    found = compare_sides([], {NAME: TimedPair(parts, exports={})}, Gates({}))
    name, change = next(one for one in found.all() if one[1].metric == "latency")
    if change.change is None or change.low is None or change.high is None:
        return f"{name}: {change.reason}"
    return f"{name}: {change.change:+.2%} [{change.low:+.2%}, {change.high:+.2%}]; {change.reason}"


# --- planted -------------------------------------------------------------------------------------

IMPORTS = "import attnbench\nimport torch\nfrom torch import nn\n"
MODULE = """

@attnbench.register("{name}")
class Module_{name}(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, {kernel}, padding={kernel} // 2, bias={bias})

    def forward(self, x):
        gate = self.conv(x)
{lines}        return x * gate.sigmoid()
"""
SUITE = '[suite]\nname = "planted"\ntitle = "Planted"\n'
TABLE = '[[table]]\ncolumns = ["label", "params", "macs"]\n'
RUNTIME = 'latency = {{ runtimes = ["{runtime}"], budget_s = 0.1, processes = 1 }}\n'
ROW = '[[table.row]]\nmodule = "{name}"\nchannels = {channels}\nsize = 8\n'
FILES = ("planted.py", "planted.toml")
COMMITTER = "-c user.name=benchmark -c user.email=benchmark@localhost"
UNDELEGATED = (  # what XNNPACK does not take
    "erf()", "atan()", "round()", "cumsum(3)", "flip(3)", "sign()", "cosh()", "abs().log1p()",
    "amax((2, 3), keepdim=True)", "var((2, 3), keepdim=True)",
)  # fmt: skip
BREAK = "torch._dynamo.graph_break()"
Found = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Planted:
    """A module, and what head has more of.

    Attributes:
        name: of the module.
        metric: what must be called grown; empty where nothing was planted.
        base: its source in base.
        head: its source in head.
        channels: that it is built for.
        runtime: that shows the difference; empty for what is counted.
    """

    name: str
    metric: str
    base: str
    head: str
    channels: int
    runtime: str = ""


def planted(modules: int, runtime: str | None) -> Found:
    """Return how often each metric was found grown; under the empty name, false alarms.

    Args:
        modules: of each kind.
        runtime: for all that is not counted, instead of the one that shows what is planted.
    """
    counted = [made for number in range(modules) for made in of_counts(number)]
    fallen = [made for number in range(modules) for made in of_fallbacks(number)]
    if runtime:
        fallen = [replace(made, runtime=runtime) for made in fallen]
    with tempfile.TemporaryDirectory() as folder:
        found = outcome(counted, by_ci(counted, Path(folder, "project")))
        more = outcome(fallen, by_runs(fallen, Path(folder)))
    alarms, others = found.pop(""), more.pop("")
    return {**found, **more, "": (alarms[0] + others[0], alarms[1] + others[1])}


def of_counts(number: int) -> Iterator[Planted]:
    """Modules of which head has one parameter more, a wider kernel, and nothing."""
    kernel, channels = 2 * (number % 5) + 1, 4 + number
    for name, metric, wider, bias in (
        (f"bias_{number}", "params", 0, True),
        (f"wider_{number}", "macs", 2, False),
        (f"still_{number}", "", 0, False),
    ):
        base = gate(name, kernel=kernel, bias=False)
        yield Planted(name, metric, base, gate(name, kernel=kernel + wider, bias=bias), channels)


def of_fallbacks(number: int) -> Iterator[Planted]:
    """Modules of which head has an undelegated operator more, a graph break more, and nothing."""
    size = len(UNDELEGATED)
    operator, other = (f"gate = gate.{UNDELEGATED[one % size]}" for one in (number, number + 1))
    # every second module has one already
    for kind, metric, runtime, before, more in (
        ("operator", "undelegated", "executorch", [other], operator),
        ("break", "graph_breaks", "compile", [BREAK], BREAK),
    ):
        base = before if number % 2 else []
        for name, lines in ((f"{kind}_{number}", [*base, more]), (f"{kind}_still_{number}", base)):
            grown = metric if lines is not base else ""
            yield Planted(
                name, grown, gate(name, lines=base), gate(name, lines=lines), 4 + number, runtime
            )


def gate(name: str, *, kernel: int = 3, bias: bool = True, lines: Sequence[str] = ()) -> str:
    """Return the source of a module that gates a map with another of one channel."""
    indented = "".join(f"        {line}\n" for line in lines)
    return MODULE.format(name=name, kernel=kernel, bias=bias, lines=indented)


def write(folder: Path, modules: Sequence[Planted], side: str) -> None:
    """Write a side's modules, and the suite that has all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [one.head if side == "head" else one.base for one in modules]
    (folder / FILES[0]).write_text(IMPORTS + "".join(sources))
    text = SUITE
    for runtime in dict.fromkeys(one.runtime for one in modules):
        text += TABLE + (RUNTIME.format(runtime=runtime) if runtime else "")
        rows = [one for one in modules if one.runtime == runtime]
        text += "".join(ROW.format(name=one.name, channels=one.channels) for one in rows)
    (folder / FILES[1]).write_text(text)


def by_ci(modules: Sequence[Planted], folder: Path) -> Mapping[str, Any]:
    """Return the report of ``attnbench ci`` on a repository whose working tree is head."""
    write(folder, modules, "base")
    for line in ("init -q -b main", "add -A", f"{COMMITTER} commit -q -m base"):
        subprocess.run(["git", *line.split()], cwd=folder, check=True)
    write(folder, modules, "head")
    words = ("ci", "--base", "main", "--suite", FILES[1], "--only", "cost", "--json")
    document: Mapping[str, Any] = json.loads(attnbench_in(folder, *words))
    return document


def by_runs(modules: Sequence[Planted], folder: Path) -> Mapping[str, Any]:
    """Return the report of ``attnbench compare`` on two runs, without times: one process each."""
    base, head = (run_of(modules, folder / side, side) for side in ("base", "head"))
    return compare(base, head, {"overhead": "ignore"}).to_json()


def run_of(modules: Sequence[Planted], folder: Path, side: str) -> Run:
    """Return the run that ``attnbench run`` measures of a side."""
    write(folder, modules, side)
    attnbench_in(folder, "run", FILES[1], "--only", "latency", "--out", "out")
    return read_run(find_run("planted", folder / "out"))


def attnbench_in(folder: Path, *words: str) -> str:
    """Return the standard output of a command.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-m", "attnbench", *words, "--plugin", FILES[0]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode not in (0, 1):  # 1: something grew
        raise SystemExit(done.stderr)
    return done.stdout


def outcome(modules: Sequence[Planted], document: Mapping[str, Any]) -> Found:
    """Return how many were found of how many, by metric; false alarms under the empty name.

    Raises:
        SystemExit: a module is not in the comparison at all.
    """
    said: dict[str, set[tuple[str, str]]] = {}
    for verdict in VERDICTS:
        for one in document[verdict]:
            said.setdefault(one["case"].split("/")[2], set()).add((verdict, one["metric"]))
    found: dict[str, list[bool]] = {}
    for one in modules:
        if one.name not in said:
            raise SystemExit(f"{one.name} was not compared")
        changed = {key for key in said[one.name] if key[0] != "unchanged"}
        hit = ("regressions", one.metric) in changed if one.metric else bool(changed)
        found.setdefault(one.metric, []).append(hit)
    return {metric: (sum(hits), len(hits)) for metric, hits in found.items()}


def show_planted(found: Found) -> None:
    """Print how many of each kind were found."""
    print(f"{'planted':30} {'found':>14}")
    for metric, (hits, total) in found.items():
        print(f"{metric or 'nothing (false alarms)':30} {f'{hits}/{total}':>14}", flush=True)


if __name__ == "__main__":
    run(main)
