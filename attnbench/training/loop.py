"""The training loop: one network, one seed, on ``accelerate``.

With the same batches, memory format and threads, its results on the processor are bit-identical to
those of a plain loop of forward, backward, optimizer and schedule, and so is a resumed training
(``tests/training/``). On CUDA neither is promised: kernels may add in an order that differs.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from attnbench.datasets.dataset import Data
from attnbench.errors import RequestError
from attnbench.training.checkpoint import Checkpoint, Stateful, TrainingProgress
from attnbench.training.dataloader import Batch, Feed, feed, find_mixing
from attnbench.training.evaluate import Diverged, Score, predict, score_of
from attnbench.training.optimizer import optimizer_of, schedule_of
from attnbench.training.progress_text import progress_text
from attnbench.training.recipe import Recipe
from attnbench.training.seeds import step_seed

_SAVE_S = 20.0
"""Seconds of training between checkpoints."""
_LOOK = 20
"""Steps between checks of the losses: each check waits for the device."""
_REPORT_S = 1.0
Report = Callable[[str], object]
_Tensors = list[Tensor] | tuple[Tensor, ...]


@dataclass(frozen=True)
class TrainingResult(Score):
    """The result of one training run, with the score on the test images after the last epoch."""

    loss: float
    """Mean training loss of the last epoch."""
    curve: list[dict[str, Any]]
    """Entry of each epoch: ``epoch`` from 1, ``loss``, ``lr`` at its end, ``top1`` if tested."""
    steps: int
    images_per_s: float | None
    """Training throughput without tests and checkpoints; after a resumption that of the last part;
    None if no step was left."""
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
    report: Report = str,
) -> TrainingResult:
    """Train a network in place and test it.

    Args:
        model: (B, 3, S, S) -> (B, classes); afterwards on the CPU, with the tested weights (the
            averaged ones if the recipe has an exponential moving average).
        data: the data set for training and testing.
        recipe: the recipe.
        seed: the random seed of image order, augmentation and dropout.
        folder: the folder of checkpoints, written every 20 seconds; an interrupted training run
            resumes from the last one, with the same result as without the interruption.
        epochs: the number of epochs, in place of the recipe's.
        report: the progress callback; it receives the progress as a text.

    Raises:
        Diverged: the loss became infinite or NaN; the error gives the step.
        RequestError: the recipe cannot be applied on this machine or to this data set.
    """
    return _Training(model, data, recipe, seed, epochs or recipe.epochs, report).run(folder)


class _Training:
    def __init__(
        self, model: nn.Module, data: Data, recipe: Recipe, seed: int, epochs: int, report: Report
    ) -> None:
        self.plain, self.recipe, self.seed, self.epochs = model, recipe, seed, epochs
        self.report = report
        self.accelerator = _accelerator(recipe)
        if recipe.channels_last:
            model.to(memory_format=torch.channels_last)
        self.classes = len(data.train.classes)
        processes = self.accelerator.num_processes
        _check(data, recipe, processes)
        device = self.accelerator.device
        self.data: Feed = feed(data.train, recipe, processes, device)
        self.test: Feed = feed(data.test, recipe, device=device)
        others = [seed, epochs, device.type, processes]
        self.identity = _identity(model, data, recipe, others)
        self.average = _averaged(model, recipe, self.accelerator.device)
        optimizer = optimizer_of(model, recipe)
        self.schedule = schedule_of(optimizer, recipe, self.data.steps, epochs)
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        _bare(self.accelerator, self.model)
        self.forward = torch.compile(self.model) if recipe.compile else self.model
        self.loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self.mix = find_mixing(recipe, self.classes)
        self.progress = TrainingProgress()
        self.images, self.busy_s = 0, 0.0
        self.checkpoint: Checkpoint | None = None
        self.saved = self.reported = 0.0

    def run(self, folder: Path | None) -> TrainingResult:
        start = time.perf_counter()
        if folder:
            self._resume(folder)
        self.saved = self.reported = time.monotonic()
        while self.progress.step < self.epochs * self.data.steps:
            self._epoch()
        return TrainingResult(
            **vars(self._score()),
            loss=float(self.progress.curve[-1]["loss"]),
            curve=self.progress.curve,
            steps=self.progress.step,
            images_per_s=self.images / self.busy_s if self.busy_s else None,
            seconds=time.perf_counter() - start,
            device=str(self.accelerator.device),
            threads=torch.get_num_threads(),
        )

    def _resume(self, folder: Path) -> None:
        states: dict[str, Stateful] = {"schedule": self.schedule, "progress": self.progress}
        if self.average is not None:
            states["average"] = self.average
        self.checkpoint = Checkpoint(folder, self.identity, states)
        if self.checkpoint.load(self.accelerator):
            losses = self.progress.losses
            self.progress.losses = [loss.to(self.accelerator.device) for loss in losses]

    def _epoch(self) -> None:
        epoch, first = divmod(self.progress.step, self.data.steps)
        self.model.train()
        batches = self.data.training(self.seed, epoch, first)
        for images, targets in self._seeded(batches):
            begin = time.perf_counter()
            self._step(images, targets)
            self.images += len(images)
            if self.progress.step % _LOOK == 0:
                self._finite_losses()
            if self.progress.step % self.data.steps == 0:
                self._end_epoch(epoch)
            self.busy_s += time.perf_counter() - begin
            self._save_and_report()

    def _seeded(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield the batches; the global generator is seeded before each batch is made."""
        while True:
            torch.manual_seed(step_seed(self.seed, self.progress.step))
            begin = time.perf_counter()
            batch = next(batches, None)
            self.busy_s += time.perf_counter() - begin
            if batch is None:
                return
            yield batch

    def _step(self, images: Tensor, targets: Tensor) -> None:
        """Take one optimizer step, with gradients accumulated over the recipe's number of parts."""
        if self.mix is not None:
            images, targets = self.mix(images, targets)
        processes, own = self.accelerator.num_processes, self.accelerator.process_index
        count = self.recipe.accumulate
        # factor from a mean over the parts to a mean over the whole batch
        share = count * processes / len(images)
        images, targets = images.tensor_split(processes)[own], targets.tensor_split(processes)[own]
        losses = []
        parts = zip(images.tensor_split(count), targets.tensor_split(count), strict=True)
        for part, wanted in parts:
            with self.accelerator.accumulate(self.model):
                with self.accelerator.autocast():
                    output = self.forward(part).float()
                    loss = self.loss(output, wanted)
                if count * processes > 1:
                    loss = loss * (len(part) * share)
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

    def _finite_losses(self) -> Tensor:
        """Return the losses of the current epoch so far, (steps,), equal in all processes.

        Raises:
            Diverged: a loss is not finite.
        """
        losses = torch.stack(self.progress.losses)
        if self.accelerator.num_processes > 1:
            losses = torch.as_tensor(self.accelerator.reduce(losses, reduction="mean"))
        bad = torch.nonzero(~torch.isfinite(losses)).flatten().tolist()
        if bad:
            step = self.progress.step - len(losses) + bad[0] + 1
            epoch = (step - 1) // self.data.steps + 1
            raise Diverged(f"diverged: loss {losses[bad[0]]} at step {step}, in epoch {epoch}")
        return losses

    def _end_epoch(self, epoch: int) -> None:
        entry: dict[str, Any] = {
            "epoch": epoch + 1,
            "loss": float(self._finite_losses().double().mean()),
            "lr": float(self.optimizer.param_groups[0]["lr"]),
        }
        every = self.recipe.evaluate_every
        if every and (epoch + 1) % every == 0 and epoch + 1 < self.epochs:
            entry["top1"] = self._score().top1
            self.model.train()
        self.progress.curve.append(entry)
        self.progress.losses.clear()

    def _score(self) -> Score:
        """Test the network, or the averaged one if there is one."""
        tested = self.accelerator.unwrap_model(self.model)
        if self.average is not None:
            tested = self.average.module
        found = score_of(*predict(tested, self.test), self.classes)
        if self.progress.step == self.epochs * self.data.steps:
            self.plain.load_state_dict(tested.state_dict())
            self.plain.eval().to("cpu")
        return found

    def _save_and_report(self) -> None:
        """Save a checkpoint and report the progress, each if the last is long enough ago."""
        now = time.monotonic()
        if self.checkpoint and now - self.saved > _SAVE_S:
            self.checkpoint.save(self.accelerator)
            self.saved = time.monotonic()
        if now - self.reported > _REPORT_S:
            self.reported = now
            self.report(self._progress_text())

    def _progress_text(self) -> str:
        steps, losses = self.data.steps, self.progress.losses
        speed = self.images / self.busy_s if self.busy_s else 0.0
        loss = f", loss {float(losses[-1]):.3f}" if losses else ""
        at = progress_text(self.progress.step, steps, self.epochs)
        return f"{at}{loss}, {speed:,.0f} images/s"


def _accelerator(recipe: Recipe) -> Accelerator:
    """Return a new accelerator, after a reset: its settings are global, and ours may change."""
    if not AcceleratorState._shared_state or AcceleratorState().num_processes == 1:
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
    if recipe.precision in ("fp16", "tf32") and not torch.cuda.is_available():
        raise RequestError(
            f"recipe {recipe.name}: precision {recipe.precision} needs a GPU. bf16 does not."
        )
    mixed = {"fp32": "no", "tf32": "no"}.get(recipe.precision, recipe.precision)
    return Accelerator(mixed_precision=mixed, gradient_accumulation_steps=recipe.accumulate)


def _bare(accelerator: Accelerator, model: nn.Module) -> None:
    """Undo the changes of ``prepare`` to a network: the loop casts, and may train a network twice.

    A network with a wrapped forward pass would be tested, exported and stored in bf16.
    """
    plain = accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    vars(plain).pop("_is_accelerate_prepared", None)
    forward = vars(plain).get("forward")
    if getattr(forward, "__func__", None) is type(plain).forward:
        del plain.forward


def _averaged(model: nn.Module, recipe: Recipe, device: torch.device) -> AveragedModel | None:
    if not recipe.ema:
        return None
    lerp: Any = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]

    def update(averages: _Tensors, values: _Tensors, count: Tensor | int) -> None:
        if averages[0].is_floating_point():
            lerp(averages, values, count)
        else:  # a batch norm's counter: its average would be truncated to an integer
            for average, value in zip(averages, values, strict=True):
                average.copy_(value)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True).to(device)


def _check(data: Data, recipe: Recipe, processes: int) -> None:
    """Refuse unknown labels, and batches that cannot be cut in parts of the two of batch norm."""
    least = 2 * recipe.accumulate * processes
    if recipe.batch_size < least:
        raise RequestError(
            f"recipe {recipe.name}: batch_size is too small for accumulate {recipe.accumulate} on "
            f"{processes} processes: got {recipe.batch_size}. Give at least {least}."
        )
    if len(data.train) < least:
        raise RequestError(
            f"data set {data.name} has too few training images for recipe {recipe.name}: "
            f"got {len(data.train)}. It needs at least {least}."
        )
    classes = len(data.train.classes)
    for split in (data.train, data.test):
        highest = int(split.targets.max())
        if highest >= classes:  # else scoring would fail after the last epoch
            raise RequestError(
                f"data set {data.name} has label {highest}, which is no index of its {classes} "
                "classes."
            )


def _identity(model: nn.Module, data: Data, recipe: Recipe, others: list[Any]) -> str:
    """Return the hash of everything that must be unchanged to resume from a checkpoint."""
    weights = hashlib.blake2b()
    for value in model.state_dict().values():
        weights.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    sizes = [data.name, len(data.train), len(data.test)]
    versions = [torch.__version__, torch.get_num_threads()]
    shown = re.sub(r"0x[0-9a-f]+", "", repr(model))  # without addresses of functions
    content = [shown, weights.hexdigest(), sizes, recipe.hash, versions, others]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
