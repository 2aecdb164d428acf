"""Choices: predicted overheads beside those of whole networks, and the best row of a choice.

    python benchmarks/choosing.py [--network SPEC] [--runtime NAME] [--slice 30m] [--smoke]
    python benchmarks/choosing.py --full --network mobilenet_v2 --runtime onnxruntime

Predictions: for each network and runtime all modules are screened in sections, ``--draws``
placements with predicted overheads of up to 20% are drawn, and timed as whole networks. Counted are
the predictions within 1 point and the half-width of the measured interval, and the predicted
intervals that hold the measured overhead.

Full: every module at single blocks, the last k and all of them is timed as a whole network; then a
choice is made from scratch. Compared are its best row and that of the full measurement, and the
seconds that both have taken.

Records are kept in ``--out``: after ``--slice`` of wall time the script ends, and the same command
goes on.
"""

from __future__ import annotations

import random
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TypeVar

from command_line import Parser, count, run

from attnbench.choosing.answer import find_answer, new_search
from attnbench.choosing.candidates import find_modules
from attnbench.choosing.measurement import RunFolder, folder_name
from attnbench.choosing.prediction import Prediction
from attnbench.choosing.request import SAMPLING_S, ChooseRequest, parse_limit
from attnbench.choosing.search import Search, Verified, select_rows
from attnbench.cli.options import parse_duration, parse_size
from attnbench.cli.progress import SilentProgress
from attnbench.models.backbones import canonical_backbone
from attnbench.records.store import FILE, read_run
from attnbench.registry.plugins import catalog
from attnbench.runner.worker_main import new_worker
from attnbench.runner.worker_tasks import Measurers
from attnbench.suites.case import Conditions
from attnbench.utils.scratch import scratch_folder
from attnbench.workers.process import Worker

NETWORKS = ["mobilenet_v2", "timm:mobilenetv3_large_100"]
RUNTIMES = ["eager", "onnxruntime"]
MOST = 0.2
POINT = 0.01
BATCH = 4
EVERYTHING = "1000000%"
SMOKE = {
    "network": ["mobilenet_v1,width=0.25"],
    "runtime": ["eager"],
    "modules": ["eca"],
    "places": ["after:13"],
    "draws": 1,
    "size": "32",
    "budget": "900%",
}


T = TypeVar("T")


@dataclass
class Bench:
    """One network in one runtime."""

    options: Namespace
    network: str
    runtime: str
    worker: Worker
    until: float

    def request(self, overhead: str, places: Sequence[str] = ()) -> ChooseRequest:
        """Return the request of a choice."""
        return ChooseRequest(
            str(canonical_backbone(self.network)),
            Conditions(self.runtime),
            parse_limit("overhead", overhead, share=True),
            modules=tuple(self.options.modules),
            places=tuple(self.options.places or places),
            size=parse_size(self.options.size),
            budget_s=max(600.0, self.until - time.monotonic()),
            sampling_s=0.05 if self.options.smoke else SAMPLING_S,
        )

    def folder(self, kind: str, request: ChooseRequest) -> Path:
        """Return the run folder of a measurement."""
        shared = "smoke" if self.options.smoke else kind  # which measures everything once
        return self.options.out / shared / folder_name(request)

    def search(self, kind: str, places: Sequence[str] = ()) -> Search:
        """Return a search that leaves out nothing."""
        request, measurers = self.request(EVERYTHING, places), Measurers(catalog())
        folder = self.folder(kind, request)
        measure = RunFolder(request, folder, measurers, self.worker, SilentProgress())
        return new_search(request, find_modules(request.modules, catalog()), {}, measurers, measure)


def predictions(bench: Bench) -> Iterator[Verified]:
    """Yield drawn placements with their predictions and measured overheads."""
    search = bench.search("predictions")
    search.screen()
    predicted = search.predict()
    small = [candidate for candidate in predicted if abs(predicted[candidate].summed) <= MOST]
    small = [*predicted] if bench.options.smoke else small
    drawn = random.Random(0).sample(small, min(bench.options.draws, len(small)))
    for batch in _batches(drawn, BATCH):
        if time.monotonic() > bench.until:
            return
        current = search.predict()  # with what is known by now, as in a choice
        search.verify({candidate: current[candidate] for candidate in batch}, bench.until)
    yield from search.found.verified


def show_predictions(bench: Bench) -> None:
    """Print how many predictions are near, and how many intervals hold."""
    rows = list(predictions(bench))
    near = sum(
        abs(row.prediction.value - row.overhead)
        <= POINT + (row.timing.arm.high - row.timing.arm.low) / 2
        for row in rows
    )
    held = sum(row.prediction.low <= row.overhead <= row.prediction.high for row in rows)
    print(f"{bench.network} in {bench.runtime}, {len(rows)} of {bench.options.draws} placements")
    print(f"  within 1 point and the half-width {near}/{len(rows)}")
    print(f"  intervals that hold {held}/{len(rows)}", flush=True)


def show_full(bench: Bench) -> None:
    """Print the best row of the full measurement and of a choice, and what both have taken."""
    search = bench.search("full", ("single", "last", "all"))
    nothing = dict.fromkeys(search.found.within, Prediction(0.0, 0.0, 0.0, 0.0))
    for batch in _batches(nothing, 2 * BATCH):
        if time.monotonic() > bench.until:
            print(
                f"  {len(search.found.verified)}/{len(nothing)} measured; the same command goes on"
            )
            return
        search.verify({candidate: nothing[candidate] for candidate in batch}, bench.until)
    most = parse_limit("--max-overhead", bench.options.budget, share=True).value
    fitting = [row for row in search.found.verified if row.timing.arm.high - 1 <= most]
    request = bench.request(bench.options.budget, ("single", "last", "all"))
    measurers = Measurers(catalog())
    folder = bench.folder("choice", request)
    measure = RunFolder(request, folder, measurers, bench.worker, SilentProgress())
    answer = find_answer(request, measurers, measure, runtimes=())
    for name, row in (
        ("full measurement", next(iter(select_rows(fitting, {})), None)),
        ("choice", answer.rows[0].verified if answer.rows else None),
    ):
        print(f"  {name} {_text(row)}")
    whole, chosen = (_seconds(bench.folder(kind, request)) for kind in ("full", "choice"))
    print(f"  timing of the choice {chosen:.0f} s, {chosen / whole:.1%} of the full measurement")


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    listed = list(items)
    yield from (listed[start : start + size] for start in range(0, len(listed), size))


def _text(row: Verified | None) -> str:
    if row is None:
        return "nothing"
    arm, candidate = row.timing.arm, row.candidate
    times = f"{candidate.sites} sites, {arm.ratio:.4f} of plain ({arm.low:.4f} to {arm.high:.4f})"
    return f"{times}: {candidate.module} {candidate.placement}"


def _seconds(folder: Path) -> float:
    """Return the seconds of all latencies of a run."""
    records = read_run(folder / FILE).records.values()
    return sum(record.seconds for record in records if record.kind == "latency")


def main() -> None:
    """Measure and print both, for each network and runtime."""
    parser = Parser(__doc__, **SMOKE)
    parser.add_argument("--network", action="append", help="spec; repeats")
    parser.add_argument("--runtime", action="append", help="name; repeats")
    parser.add_argument("--modules", nargs="+", default=["@all"])
    parser.add_argument("--places", nargs="+", help="kinds or placements instead of all kinds")
    parser.add_argument("--draws", type=count, default=60)
    parser.add_argument("--size", default="224")
    parser.add_argument("--full", action="store_true", help="the best row, instead of predictions")
    parser.add_argument("--budget", default="5%", help="of the best row")
    parser.add_argument("--slice", default="30m", help="wall time after which it ends")
    parser.add_argument("--out", type=Path, default=Path("choosing"), help="of the records")
    options = parser.read()
    until = time.monotonic() + parse_duration("--slice", options.slice)
    with scratch_folder() as scratch, new_worker() as worker:
        if options.smoke:
            options.out = scratch
        for network, runtime in product(options.network or NETWORKS, options.runtime or RUNTIMES):
            bench = Bench(options, network, runtime, worker, until)
            (show_full if options.full else show_predictions)(bench)
            if options.smoke:
                show_full(bench)


if __name__ == "__main__":
    run(main)
