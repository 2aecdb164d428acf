"""Training speed: ours beside a plain loop on a DataLoader, the same networks, in one run.

    python benchmarks/training.py [--width 0.5] [--size 32] [--batch 128] [--rounds 7] [--steps 12]
                                  [--smoke]

MobileNetV2 (``--backbone``) on FashionMNIST (``--data``), on the processor; once with the strides
it was made with, once with those of the recipe ``fashion-mnist``, the same network for every arm
each time. ``plain`` is the loop of torchvision's ``references/classification`` and of PyTorch's
tutorial: PIL images, each with transforms of its own, from a ``DataLoader`` with a worker for each
core, and one training on all cores. ``attnbench`` is ``attnbench.training.loop.train``. ``side by
side`` is one training for each core, with one thread, as our suites run them; of their images all
count, over the time until the last training has taken its steps. A plain one among them has one
``DataLoader`` worker.

Each training is a fresh process, forked from a server that has only imported torch, and waits after
its last step until its turn comes again. The arms take turns in random order; before each turn some
steps are not timed, which use up what a ``DataLoader`` has prepared while it waited. Medians of the
rounds are shown, and their range; a ratio is one of two arms in the same round.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

import psutil
import torch
from command_line import Parser, count, run
from PIL import Image
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from attnbench.datasets.dataset import LabeledImages
from attnbench.datasets.registry import load
from attnbench.errors import RequestError
from attnbench.models.backbones import create_backbone
from attnbench.timing.isolation import allowed_cores
from attnbench.training.recipe import Augment, Recipe, adapt, find_recipe

UNTIMED = 6  # steps; a DataLoader prepares two batches for each worker
EPOCHS = 1000  # of ours: more than anybody waits for
FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(["torch._dynamo", "torchvision", "attnbench.training.loop"])
SMOKE = {
    "backbone": "mobilenet_v1",
    "data": "digits",
    "width": 0.1,
    "size": 8,
    "batch": 8,
    "rounds": 1,
    "steps": 1,
    "feed_rounds": 1,
    "cores": 1,
    "strides": "recipe",
    "compile": "eager",
}
RIVALS = (
    "plain",
    "plain, side by side",
    "plain, channels_last",
    "plain, channels_last, side by side",
)
OURS = ("attnbench", "attnbench, side by side")
COMPILED = ("attnbench, compiled", "attnbench, compiled, side by side")


@dataclass(frozen=True)
class Arm:
    """One way of training."""

    name: str
    data: str
    """Name of the data set."""
    backbone: str
    width: float
    recipe: Recipe
    processes: int
    threads: int
    workers: int
    """Of each training's ``DataLoader``."""
    backend: str
    """Of ``torch.compile``."""

    @property
    def is_plain(self) -> bool:
        """Whether it is not ours."""
        return self.name in RIVALS


def main() -> None:
    """Print the feeds, then a table for each kind of strides."""
    options = parsed()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # read by the processes that train
    images = len(load(options.data).train)
    cores, load_now = options.cores, psutil.getloadavg()[0]
    print(
        f"{options.backbone} x{options.width:g} on {options.data} at "
        f"{options.size}x{options.size}, batch {options.batch}; {cores} cores, "
        f"torch {torch.__version__}, load {load_now:.2f}"
    )
    recipe = recipe_of(options)
    print(f"one epoch of {images:,} images, without training")
    show_feeds(options.data, recipe, cores, options.feed_rounds)
    titles = {"standard": "the standard strides", "recipe": "the recipe's strides"}
    for strides in titles if options.strides == "both" else [options.strides]:
        stem = recipe.stem if strides == "recipe" else None
        chosen = recipe.model_copy(update={"stem": stem})
        print(f"\n{titles[strides]}: {stem.strides if stem else 'all 2'}", flush=True)
        report(measured(arms_of(options, chosen, cores), options), options.batch)


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = Parser(__doc__, **SMOKE)
    parser.add_argument("--backbone", default="mobilenet_v2", help="name of one with a width")
    parser.add_argument("--data", default="fashion-mnist", help="data set of grey images")
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--size", type=count, default=32)
    parser.add_argument("--batch", type=count, default=128)
    parser.add_argument("--rounds", type=count, default=7)
    parser.add_argument("--steps", type=count, default=12)
    parser.add_argument("--feed-rounds", type=count, default=3)
    parser.add_argument("--cores", type=count, default=len(allowed_cores()))
    parser.add_argument("--strides", choices=["standard", "recipe", "both"], default="both")
    parser.add_argument("--compile", metavar="BACKEND", default="inductor")
    parser.add_argument("--no-compile", action="store_true")
    return parser.read()


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Return the shipped recipe with this size and batch; the plain loop reads its numbers, too."""
    flip = Augment(name="RandomHorizontalFlip")
    changed = {"size": options.size, "batch_size": options.batch, "augment": [flip]}
    return find_recipe("fashion-mnist").model_copy(update=changed)


def arms_of(options: argparse.Namespace, recipe: Recipe, cores: int) -> list[Arm]:
    """All ways of training one network."""
    arms = []
    for name in (*RIVALS, *OURS, *(() if options.no_compile else COMPILED)):
        many, plain = name.endswith("side by side"), name in RIVALS
        changed = {
            "compile": name in COMPILED,
            "channels_last": not plain or "channels_last" in name,
        }
        arms.append(
            Arm(
                name,
                options.data,
                options.backbone,
                options.width,
                recipe.model_copy(update=changed),
                processes=cores if many else 1,
                threads=cores if plain and not many else 1,
                workers=1 if many else cores,
                backend=options.compile,
            )
        )
    return arms


@dataclass(frozen=True)
class Speeds:
    """What one arm did."""

    arm: Arm
    first_s: float
    """From the start of the training until its first step was taken."""
    images_per_s: list[float]
    """Of each round."""

    @property
    def median(self) -> float:
        """Of all rounds."""
        return statistics.median(self.images_per_s)


def measured(arms: list[Arm], options: argparse.Namespace) -> dict[str, Speeds]:
    """Start all trainings, one arm after the other, then let the arms take turns."""
    with ExitStack() as stack:
        running = {arm.name: stack.enter_context(started(arm)) for arm in arms}
        speeds = {arm.name: Speeds(arm, running[arm.name].first_s, []) for arm in arms}
        for _ in range(options.rounds):
            for name in random.sample(list(running), len(running)):
                seconds = running[name].steps(options.steps)
                images = options.steps * options.batch * speeds[name].arm.processes
                speeds[name].images_per_s.append(images / seconds)
    return speeds


class Running:
    """The trainings of one arm, waiting after their first step.

    Args:
        pipes: one to each training.
    """

    def __init__(self, pipes: list[Connection]) -> None:
        self._pipes = pipes
        self.first_s: float = max(pipe.recv() for pipe in pipes)

    def steps(self, count: int) -> float:
        """Return the seconds in which every training has taken so many steps."""
        for pipe in self._pipes:
            pipe.send(count)
        spans = [pipe.recv() for pipe in self._pipes]
        return float(max(end for _, end in spans) - min(begin for begin, _ in spans))


@contextmanager
def started(arm: Arm) -> Iterator[Running]:
    """Start an arm's processes; in the end they are ended."""
    together, pipes, processes = FRESH.Barrier(arm.processes), [], []
    for _ in range(arm.processes):
        mine, theirs = FRESH.Pipe()
        processes.append(FRESH.Process(target=training_process, args=(arm, theirs, together)))
        processes[-1].start()
        theirs.close()
        pipes.append(mine)
    try:
        yield Running(pipes)
    finally:
        for pipe, process in zip(pipes, processes, strict=True):
            with suppress(BrokenPipeError):
                pipe.send(None)
            pipe.close()
            process.join(10)
            process.terminate()


def training_process(arm: Arm, pipe: Connection, together: Barrier) -> None:
    """Train until the other end of the pipe says None or is closed."""
    torch.set_num_threads(arm.threads)
    with tempfile.TemporaryDirectory() as folder, suppress(EOFError, BrokenPipeError):
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder  # every one compiles for itself
        load(arm.data)
        # the recipe says whether to compile, not by what
        torch.compile = partial(torch.compile, backend=arm.backend)
        gate = turns(pipe, together, time.monotonic())  # one clock for all processes
        register_optimizer_step_post_hook(lambda *_: next(gate))
        (plain_training if arm.is_plain else our_training)(arm)


def turns(pipe: Connection, together: Barrier, begin: float) -> Generator[None]:
    """Go on at each optimizer step: take the time, and wait between turns.

    Args:
        pipe: gives the steps of a turn, or None at the end; gets the seconds to the first step,
            then a turn's times.
        together: where the trainings of an arm wait for each other.
        begin: when the training started.
    """
    pipe.send(time.monotonic() - begin)
    while True:
        count = pipe.recv()
        if count is None:
            raise EOFError
        yield from itertools.repeat(None, UNTIMED)
        together.wait()
        begin = time.monotonic()
        yield from itertools.repeat(None, count)
        pipe.send((begin, time.monotonic()))


def network(arm: Arm) -> nn.Module:
    """Build the network that all arms train."""
    torch.manual_seed(0)
    classes = len(load(arm.data).train.classes)
    model = create_backbone(arm.backbone, width=arm.width, num_classes=classes)
    return adapt(model, arm.recipe).train()


def our_training(arm: Arm) -> None:
    """Train as the suites do."""
    from attnbench.training.loop import train

    train(network(arm), load(arm.data), arm.recipe, seed=0, epochs=EPOCHS)


def plain_training(arm: Arm) -> None:
    """Train as torchvision's reference does."""
    recipe, model = arm.recipe, network(arm)
    loader = plain_loader(arm.data, recipe, arm.workers)
    if recipe.channels_last:
        model = model.to(memory_format=torch.channels_last)
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=recipe.optimizer.lr / 25,  # where one cycle of ours starts
        momentum=recipe.optimizer.momentum,
        nesterov=recipe.optimizer.nesterov,
        weight_decay=recipe.optimizer.weight_decay,
    )
    while True:
        total = 0.0
        for images, targets in loader:
            if recipe.channels_last:
                images = images.to(memory_format=torch.channels_last)
            loss = criterion(model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()


class Pictures(Dataset[tuple[Any, int]]):
    """A split as torchvision's ``FashionMNIST`` gives it: PIL images, transformed one by one."""

    def __init__(self, samples: LabeledImages, transform: Callable[[Any], Tensor]) -> None:
        if samples.stacked is None or samples.stacked.shape[1] != 1:
            raise RequestError("a data set of grey images in memory is needed")
        self._images, self._targets = samples.stacked, samples.targets
        self._transform = transform

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self._images[index, 0].numpy(), mode="L")
        return self._transform(picture), int(self._targets[index])


def plain_loader(data: str, recipe: Recipe, workers: int) -> DataLoader[tuple[Tensor, int]]:
    """Return the training split as PyTorch's tutorial loads it."""
    transform = transforms.Compose(
        [
            transforms.Resize(recipe.size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Lambda(repeated),
            transforms.Normalize(recipe.mean, recipe.std),
        ]
    )
    pictures = Pictures(load(data).train, transform)
    return DataLoader(
        pictures,
        batch_size=recipe.batch_size,
        shuffle=True,
        num_workers=workers,
        # the platform's own way again, in a process that was not started in that way
        multiprocessing_context=multiprocessing.get_all_start_methods()[0],
    )


def repeated(image: Tensor) -> Tensor:
    """Return a gray image in three channels."""
    return image.repeat(3, 1, 1)


def show_feeds(data: str, recipe: Recipe, cores: int, rounds: int) -> None:
    """Print what the images of one epoch take without any training."""
    ours: list[float] = []
    built: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        made, epoch = in_process(our_epoch, data, recipe)
        built.append(made)
        ours.append(epoch)
        theirs.append(in_process(plain_epoch, data, recipe, cores))
    workers = f"DataLoader, {cores} workers"
    print(f"  {workers:<34} {of_rounds(theirs, 's', 3)}")
    print(f"  {'attnbench, one thread':<34} {of_rounds(ours, 's', 3)}")
    print(f"  {'attnbench, once before':<34} {of_rounds(built, 's', 3)}")


def in_process(call: Callable[..., Any], *args: Any) -> Any:
    """Return the result of a call in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=FRESH) as pool:
        return pool.submit(call, *args).result()


def our_epoch(data: str, recipe: Recipe) -> tuple[float, float]:
    """Seconds to bring all images into memory, and to go through them once."""
    from attnbench.training.dataloader import feed

    torch.set_num_threads(1)
    samples = load(data).train
    begin = time.perf_counter()
    images = feed(samples, recipe)
    made = time.perf_counter() - begin
    for _ in images.training(seed=0, epoch=0):
        pass
    return made, time.perf_counter() - begin - made


def plain_epoch(data: str, recipe: Recipe, workers: int) -> float:
    """Seconds of a ``DataLoader`` for all images."""
    loader = plain_loader(data, recipe, workers)
    begin = time.perf_counter()
    for _ in loader:
        pass
    return time.perf_counter() - begin


def of_rounds(values: list[float], unit: str, digits: int) -> str:
    """Median and range in words."""
    low, high = f"{min(values):,.{digits}f}", f"{max(values):,.{digits}f}"
    return f"{statistics.median(values):8,.{digits}f} {unit} ({low} to {high})"


def report(speeds: Mapping[str, Speeds], batch: int) -> None:
    """Print a line for each arm, then the comparisons."""
    for name, one in speeds.items():
        arm = one.arm
        threads = f"{arm.processes} x {arm.threads} thread{'s' if arm.threads > 1 else ''}"
        print(f"  {name:<34} {threads:<14} {of_rounds(one.images_per_s, 'images/s', 0)}")
    for ours in (name for name in speeds if name in (OURS[1], COMPILED[1])):
        for rival in RIVALS:
            pairs = zip(speeds[ours].images_per_s, speeds[rival].images_per_s, strict=True)
            print(f"  {ours} / {rival}: {of_rounds([a / b for a, b in pairs], 'x', 2).strip()}")
    for plain, compiled in zip(OURS, COMPILED, strict=True):
        if compiled in speeds:
            print(f"  {compiled}: {worth(speeds[plain], speeds[compiled], batch)}")


def worth(plain: Speeds, compiled: Speeds, batch: int) -> str:
    """Return the cost of compiling per training, and when it has paid."""
    trainings = plain.arm.processes
    before, after = (batch * trainings / one.median for one in (plain, compiled))
    seconds = max(compiled.first_s - plain.first_s, 0.0)
    if after >= before:
        return f"{seconds:.0f} s of warm-up, which never pay"
    images = seconds / (before - after) * batch
    return f"{seconds:.0f} s of warm-up, which pay from {images:,.0f} images of each training on"


if __name__ == "__main__":
    run(main)
