"""A CUDA device, checked and measured in under six minutes; leaves records and a table.

    python benchmarks/gpu.py [--device cuda] [--out DIR] [--smoke]

The checklist: MobileNetV2's output in fp32, TF32, bf16 and fp16 beside fp32 eager on the processor;
the A/A floor, the network against its own copy, in eager mode and as a CUDA graph; the modules of
the suite ``quick``, at batch 1 as graphs and at batch 64 in eager mode, with measured peaks; images
per second of our training loop beside a plain one on a ``DataLoader``. ``DIR/gpu`` has the records
and the table that ``attnbench run`` would leave, and ``training.json``.

Without such a device it ends in one line. ``--smoke`` goes through the same steps on the processor,
without what needs a device.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from command_line import Parser, count, run, seconds
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from attnbench.cli.progress import LineProgress, SilentProgress
from attnbench.datasets.dataset import LabeledImages
from attnbench.datasets.registry import load
from attnbench.devices import Device, find_device
from attnbench.devices.tf32 import products_of
from attnbench.models.backbones import create_backbone
from attnbench.registry.plugins import catalog
from attnbench.reports.run_report import records_of, write_tables
from attnbench.reports.tables.case_results import LatencyCell, read_timings
from attnbench.reports.tables.latency_columns import milliseconds, overhead, size
from attnbench.reports.tables.row_views import row_views
from attnbench.runner.job import Job, prepare
from attnbench.runner.run_suite import measure
from attnbench.runner.select_cases import Choice
from attnbench.runner.worker_main import new_worker
from attnbench.runner.worker_tasks import Measurers
from attnbench.suites.load import parse_suite
from attnbench.timing.isolation import allowed_cores
from attnbench.training.loop import train
from attnbench.training.recipe import Augment, Recipe, adapt, find_recipe
from attnbench.utils.scratch import scratch_folder

NAME = "gpu"
MODULES = ["identity", "ulsam", "se", "cbam", "bam", "double_attention", "non_local"]
PRECISIONS = ["fp32", "tf32", "bf16", "fp16"]
SMOKE = {
    "device": "cpu",
    "backbone": "mobilenet_v1,width=0.1",
    "size": 32,
    "batch": 2,
    "budget": 0.05,
    "modules": ["se"],
    "precisions": ["fp32", "tf32", "bf16"],
    "images": 48,
    "train_batch": 8,
    "train_size": 16,
    "rounds": 1,
    "workers": 1,
}


def main() -> None:
    """Go through the checklist; end with status 1 if something failed."""
    options = parsed()
    device = find_device(options.device)
    print(f"{device.describe()['title']}, torch {torch.__version__}", flush=True)
    with ExitStack() as stack:
        out = options.out or (stack.enter_context(scratch_folder()) if options.smoke else Path())
        job = checklist_job(options, device, out / NAME)
        cells = measured(job, quiet=options.smoke)
        for line in (*agreement_lines(cells), *floor_lines(cells), *module_lines(cells)):
            print(line)
        with products_of("fp32", device.kind):  # for both loops
            speeds = training_speeds(options, device)
        for line in training_lines(speeds):
            print(line, flush=True)
        (out / NAME / "training.json").write_text(json.dumps(speeds, indent=1))
    failed = [cell for cell in cells if cell.status == "failed"]
    for cell in failed:
        print(cell.failure(cell.case.name))
    if failed:
        sys.exit(1)


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = Parser(__doc__, **SMOKE)
    parser.add_argument("--device", default="cuda", help="cuda, or cuda:1")
    parser.add_argument("--out", type=Path, help="folder of the records; this one by default")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--size", type=count, default=224, help="side of the image")
    parser.add_argument("--batch", type=count, default=64, help="of the larger batch")
    parser.add_argument("--budget", type=seconds, default=3.0, help="seconds of a session")
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS)
    parser.add_argument("--modules", nargs="+", default=MODULES, help="those of quick by default")
    parser.add_argument("--images", type=count, default=6400, help="images of a training's epoch")
    parser.add_argument("--train-batch", type=count, default=128)
    parser.add_argument("--train-size", type=count, default=96)
    parser.add_argument("--rounds", type=count, default=3, help="trainings of each loop")
    parser.add_argument("--workers", type=count, default=len(allowed_cores()))
    return parser.read()


def checklist(options: argparse.Namespace, device: Device) -> dict[str, Any]:
    """Return the content of a suite: a table of precisions, and one of modules for each batch."""
    plain = {"backbone": options.backbone, "label": "plain"}
    modules = {
        "backbone": options.backbone,
        "label": "{module}",
        "module": options.modules,
        "placement": "after:14",
    }
    replays = {"graph": True} if device.kind == "cuda" else {}
    columns = ["overhead", "median", "floor", "peak"]
    tables = [
        (
            "precisions",
            {"precisions": options.precisions, "columns": ["median", "floor", "sqnr", "top1"]},
        ),
        ("batch 1, CUDA graphs" if replays else "batch 1", {**replays, "columns": columns}),
        (f"batch {options.batch}", {"batch": options.batch, "columns": columns}),
    ]
    return {
        "suite": {"name": NAME, "title": "A CUDA device", "size": options.size},
        "latency": {
            "device": device.name,
            "runtimes": ["eager"],
            "budget_s": options.budget,
            "processes": 1,
        },
        "table": [
            {
                "title": title,
                "columns": ["label", "delta_params", "delta_macs"],
                "latency": latency,
                "row": [plain] if title == "precisions" else [plain, modules],
            }
            for title, latency in tables
        ],
    }


def checklist_job(options: argparse.Namespace, device: Device, folder: Path) -> Job:
    """Return the job of the checklist, planned and checked; it measures everything anew."""
    suite = parse_suite(checklist(options, device), "of the checklist")
    return prepare(suite, catalog(), folder, Choice(fresh=True), Measurers(catalog()))


def measured(job: Job, *, quiet: bool) -> list[LatencyCell]:
    """Measure the job, write its tables, and return its latencies, each once."""
    with new_worker() as worker:
        done = measure(job, worker, SilentProgress() if quiet else LineProgress())
    for path in write_tables(done, done.path.parent):
        print(f"wrote {path}")
    records = records_of(done)
    timings = read_timings(records)
    views = [view for table in job.tables for view in row_views(job.suite, table, records, timings)]
    return list({cell.case.name: cell for view in views for cell in view.timed}.values())


def agreement_lines(cells: Sequence[LatencyCell]) -> Iterator[str]:
    """Yield a line for each precision: the output beside fp32 eager on the processor."""
    yield "output beside fp32 eager on the processor"
    for cell in cells:
        if not cell.case.module and cell.conditions.batch == 1 and not cell.conditions.graph:
            yield f"  {cell.conditions.precision:<6} {_agreement(cell)}"


def _agreement(cell: LatencyCell) -> str:
    values = cell.values
    if cell.timing is None:
        return cell.failure("").strip()
    error, noise = values.get("max_error"), values.get("sqnr_db")
    parts = [
        "not finite" if error is None else f"{100 * error:.2g}% of its largest value",
        "" if noise is None else f"SQNR {noise:.0f} dB",
        f"top-1 {100 * (values.get('top1_agreement') or 0):.0f}%",
    ]
    return ", ".join(part for part in parts if part)


def floor_lines(cells: Sequence[LatencyCell]) -> Iterator[str]:
    """Yield the A/A floor of each session in fp32, and how much of the time is launching."""
    yield "the network against its own copy"
    for cell in cells:
        if cell.case.module or cell.conditions.precision != "fp32" or cell.judgment is None:
            continue
        share = cell.values.get("launch_share")
        launching = "" if share is None else f", launching {share:.0%} of the time"
        yield f"  {_mode(cell):<22} {100 * cell.judgment.floor:.2f}% floor{launching}"


def module_lines(cells: Sequence[LatencyCell]) -> Iterator[str]:
    """Yield a line for each module and batch: overhead, median and measured peak."""
    for cell in cells:
        if cell.case.module and cell.timing:
            own, peak = milliseconds(cell.timing.own.median), cell.values.get("peak_bytes")
            name = f"{cell.case.module}, {_mode(cell)}"
            yield f"  {name:<40} {own} ms, {overhead(cell)}, peak {size(peak)}"


def _mode(cell: LatencyCell) -> str:
    graph = ", CUDA graph" if cell.conditions.graph else ""
    return f"batch {cell.conditions.batch}{graph}"


def training_speeds(options: argparse.Namespace, device: Device) -> dict[str, list[float]]:
    """Return the images per second of each loop, which take turns in random order."""
    flip = Augment(name="RandomHorizontalFlip")
    changed = {"size": options.train_size, "batch_size": options.train_batch, "augment": [flip]}
    recipe = find_recipe("synthetic").model_copy(update={**changed, "stem": None})
    data = load(f"synthetic,count={options.images},size={options.train_size}")

    def network() -> nn.Module:
        torch.manual_seed(0)
        return adapt(create_backbone(f"{options.backbone},num_classes=10"), recipe).train()

    def ours() -> float:
        return train(network(), data, recipe, seed=0, epochs=1).images_per_s or 0.0

    def plain() -> float:
        return plain_training(network(), data.train, recipe, device, options.workers)

    loops: dict[str, Callable[[], float]] = {"plain loop": plain, "attnbench": ours}
    for loop in loops.values():  # lazy initialization, autotuning
        loop()
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(options.rounds):
        for name in random.sample(list(loops), len(loops)):
            speeds[name].append(loops[name]())
    return speeds


def plain_training(
    model: nn.Module, samples: LabeledImages, recipe: Recipe, device: Device, workers: int
) -> float:
    """Return the images per second of an epoch as torchvision's reference trains."""
    transform = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(recipe.mean, recipe.std),
        ]
    )
    pictures = Pictures(samples, transform)
    loader = DataLoader(pictures, recipe.batch_size, shuffle=True, num_workers=workers)
    model = model.to(device.torch_device).to(memory_format=torch.channels_last)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    begin, total = time.perf_counter(), 0.0
    for images, targets in loader:
        there = images.to(device.torch_device).contiguous(memory_format=torch.channels_last)
        loss = criterion(model(there), targets.to(device.torch_device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return len(samples) / (time.perf_counter() - begin)


@dataclass
class Pictures(Dataset[tuple[Tensor, int]]):
    """A split of images in memory, transformed one by one."""

    samples: LabeledImages
    transform: Callable[[Tensor], Tensor]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.samples.image(index)), int(self.samples.targets[index])


def training_lines(speeds: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Yield the images per second of each loop, and their ratio in the same round."""
    yield "training"
    for name, found in speeds.items():
        yield f"  {name:<22} {statistics.median(found):,.0f} images/s"
    ratios = [a / b for a, b in zip(speeds["attnbench"], speeds["plain loop"], strict=True)]
    yield f"  {'attnbench / plain loop':<22} {statistics.median(ratios):.2f} x"


if __name__ == "__main__":
    run(main)
