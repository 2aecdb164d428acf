"""The training loop: one network, one seed, on ``accelerate``.

With the same batches, memory format and threads it computes bit for bit what a plain loop of
forward, backward, optimizer and schedule computes (``tests/training/test_loop.py``).
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from attnbench.datasets.model import Data
from attnbench.errors import RequestError
from attnbench.training.augment import mixing
from attnbench.training.checkpoint import Checkpoint, Progress
from attnbench.training.evaluate import Diverged, Score, score
from attnbench.training.feed import Feed, feed
from attnbench.training.optimizing import optimizer_of, schedule_of
from attnbench.training.recipe import Recipe
from attnbench.training.seeds import step_seed

_SAVE_S = 20.0
"""Seconds of training between checkpoints."""
_LOOK = 20
"""Steps between looks at the losses: each look waits for the device."""
_TELL_S = 1.0
Tell = Callable[[str], None]

__all__ = ["Diverged", "Trained", "train"]


@dataclass(frozen=True)
class Trained:
    """What one training gave."""

    top1: float
    """Percent of the test images, after the last epoch."""
    top5: float | None
    correct: NDArray[np.bool_]
    """(N,): of each test image, in order, whether it was classified right."""
    loss: float
    """Mean training loss of the last epoch."""
    curve: list[dict[str, Any]]
    """Of each epoch: ``epoch`` from 1, ``loss``, ``lr`` at its end, ``top1`` where tested."""
    steps: int
    images_per_s: float
    """In training, without tests and checkpoints; of a resumed one its last part."""
    seconds: float
    device: str
    threads: int


def train(
    model: nn.Module,
    data: Data,
    recipe: Recipe,
    seed: int,
    *,
    folder: Path | None = None,
    epochs: int | None = None,
    tell: Tell = str,
) -> Trained:
    """Train a network in place, and test it.

    Args:
        model: (B, 3, S, S) -> (B, classes); afterwards on the processor, with the weights that
            were tested (the averaged ones where the recipe averages).
        data: what it is trained and tested on.
        recipe: how.
        seed: of the order of the images, of augmentation and dropout.
        folder: for checkpoints, every 20 seconds; a training that was stopped goes on from there
            and ends as it would have.
        epochs: instead of the recipe's.
        tell: is told how far it is.

    Raises:
        Diverged: the loss became infinite or no number; the step is named.
        RequestError: the recipe cannot be followed here.
    """
    return _Training(model, data, recipe, seed, epochs or recipe.epochs, tell).run(folder)


class _Training:
    def __init__(
        self, model: nn.Module, data: Data, recipe: Recipe, seed: int, epochs: int, tell: Tell
    ) -> None:
        self.plain, self.recipe, self.seed, self.epochs = model, recipe, seed, epochs
        self.tell = tell
        self.accelerator = _accelerator(recipe)
        if recipe.channels_last:
            model.to(memory_format=torch.channels_last)
        self.classes = len(data.train.classes)
        self.data: Feed = feed(data.train, recipe)
        self.test: Feed = feed(data.test, recipe)
        self.identity = _identity(model, data, recipe, seed, epochs)
        self.average = _averaged(model, recipe)
        optimizer = optimizer_of(model, recipe)
        self.schedule = schedule_of(optimizer, recipe, self.data.steps, epochs)
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.forward = torch.compile(self.model) if recipe.compile else self.model
        self.loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self.mix = mixing(recipe, self.classes)
        self.progress = Progress()
        states = [self.schedule, self.progress, *([self.average] if self.average else [])]
        self.accelerator.register_for_checkpointing(*states)
        self.images = 0
        self.busy_s = 0.0

    def run(self, folder: Path | None) -> Trained:
        start = time.perf_counter()
        checkpoint = Checkpoint(folder, self.identity) if folder else None
        if checkpoint:
            checkpoint.load(self.accelerator)
        ticker = _Ticker(self, checkpoint)
        total = self.epochs * self.data.steps
        while self.progress.step < total:
            self._epoch(ticker)
        final = self._score()
        return Trained(
            top1=final.top1,
            top5=final.top5,
            correct=final.correct,
            loss=float(self.progress.curve[-1]["loss"]),
            curve=self.progress.curve,
            steps=self.progress.step,
            images_per_s=self.images / self.busy_s if self.busy_s else math.nan,
            seconds=time.perf_counter() - start,
            device=str(self.accelerator.device),
            threads=torch.get_num_threads(),
        )

    def _epoch(self, ticker: _Ticker) -> None:
        """Train what is left of the running epoch."""
        epoch, first = divmod(self.progress.step, self.data.steps)
        self.model.train()
        batches = self.data.training(self.seed, epoch, first)
        for images, targets in self._seeded(batches):
            begin = time.perf_counter()
            self._step(images, targets)
            self.images += len(images)
            if self.progress.step % _LOOK == 0:
                self._look()
            ended = self.progress.step % self.data.steps == 0
            if ended:
                self._end_epoch(epoch)
            self.busy_s += time.perf_counter() - begin
            ticker.tick()

    def _seeded(self, batches: Iterator[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches, the global generator set for each step before its batch is made."""
        while True:
            torch.manual_seed(step_seed(self.seed, self.progress.step))
            begin = time.perf_counter()
            batch = next(batches, None)
            self.busy_s += time.perf_counter() - begin
            if batch is None:
                return
            yield batch

    def _step(self, images: Tensor, targets: Tensor) -> None:
        """Take one step of the optimizer, of as many parts as the recipe says."""
        if self.mix is not None:
            images, targets = self.mix(images, targets)
        parts, own = self.accelerator.num_processes, self.accelerator.process_index
        images, targets = images.tensor_split(parts)[own], targets.tensor_split(parts)[own]
        losses = []
        count = self.recipe.accumulate
        for part, wanted in zip(
            images.tensor_split(count), targets.tensor_split(count), strict=True
        ):
            with self.accelerator.accumulate(self.model):
                with self.accelerator.autocast():
                    output = self.forward(part.to(self.accelerator.device))
                    loss = self.loss(output, wanted.to(self.accelerator.device))
                self.accelerator.backward(loss)
                if self.recipe.clip_norm and self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        self.schedule.step()
        if self.average:
            self.average.update_parameters(self.accelerator.unwrap_model(self.model))
        self.progress.step += 1
        self.progress.losses.append(losses[0] if count == 1 else torch.stack(losses).mean())

    def _look(self) -> None:
        """Raise where a loss of the running epoch is not finite."""
        losses = torch.stack(self.progress.losses)
        bad = torch.nonzero(~torch.isfinite(losses)).flatten().tolist()
        if bad:
            step = self.progress.step - len(losses) + bad[0] + 1
            epoch = (step - 1) // self.data.steps + 1
            raise Diverged(f"diverged: loss {losses[bad[0]]} at step {step}, in epoch {epoch}")

    def _end_epoch(self, epoch: int) -> None:
        self._look()
        entry: dict[str, Any] = {
            "epoch": epoch + 1,
            "loss": float(torch.stack(self.progress.losses).double().mean()),
            "lr": float(self.optimizer.param_groups[0]["lr"]),
        }
        every = self.recipe.evaluate_every
        if every and (epoch + 1) % every == 0 and epoch + 1 < self.epochs:
            entry["top1"] = self._score().top1
            self.model.train()
        self.progress.curve.append(entry)
        self.progress.losses.clear()

    def _score(self) -> Score:
        """Test the network, the averaged one where there is one."""
        tested = self.accelerator.unwrap_model(self.model)
        if self.average is not None:
            tested = self.average.module
        found = score(tested, self.test, self.accelerator.device, self.classes)
        if self.progress.step == self.epochs * self.data.steps:
            self.plain.load_state_dict(tested.state_dict())
            self.plain.eval().to("cpu")
        return found


class _Ticker:
    """Saves and tells every few seconds."""

    def __init__(self, training: _Training, checkpoint: Checkpoint | None) -> None:
        self._training, self._checkpoint = training, checkpoint
        self._saved = self._told = time.monotonic()

    def tick(self) -> None:
        now = time.monotonic()
        if self._checkpoint and now - self._saved > _SAVE_S:
            self._checkpoint.save(self._training.accelerator)
            self._saved = time.monotonic()
        if now - self._told > _TELL_S:
            self._told = now
            self._training.tell(self._text())

    def _text(self) -> str:
        one = self._training
        epoch, step = divmod(one.progress.step, one.data.steps)
        speed = one.images / one.busy_s if one.busy_s else 0.0
        losses = one.progress.losses
        loss = f", loss {float(losses[-1]):.3f}" if losses else ""
        shown = min(epoch + 1, one.epochs)
        return (
            f"epoch {shown}/{one.epochs}, step {step}/{one.data.steps}{loss}, {speed:,.0f} images/s"
        )


def _accelerator(recipe: Recipe) -> Accelerator:
    """Return a fresh accelerator: its settings are kept for a process, and ours may change."""
    if AcceleratorState().num_processes == 1 if AcceleratorState._shared_state else True:
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
    precision = {"fp32": "no"}.get(recipe.precision, recipe.precision)
    if precision == "fp16" and not torch.cuda.is_available():
        raise RequestError(f"recipe {recipe.name}: precision fp16 needs a GPU; bf16 does not")
    return Accelerator(mixed_precision=precision, gradient_accumulation_steps=recipe.accumulate)


def _averaged(model: nn.Module, recipe: Recipe) -> AveragedModel | None:
    if not recipe.ema:
        return None
    average = get_ema_multi_avg_fn(recipe.ema)
    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)


def _identity(model: nn.Module, data: Data, recipe: Recipe, seed: int, epochs: int) -> str:
    """Hash what must be the same for a training to go on from a checkpoint."""
    shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
    sizes = [data.name, len(data.train), len(data.test)]
    content = [shapes, sizes, recipe.hash, seed, epochs, torch.__version__, torch.get_num_threads()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
