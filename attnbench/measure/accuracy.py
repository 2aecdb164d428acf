"""Accuracy cases: one network, trained once, with one seed.

A seed fixes the initial weights of a backbone, the order of the images and their augmentation,
independently of the module placed in it: differences between arms are paired by seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attnbench.datasets.dataset import Data, data_root
from attnbench.datasets.registry import dataset as find_dataset
from attnbench.datasets.registry import load
from attnbench.devices.tf32 import products_of
from attnbench.errors import CountingError, MissingExtraError, RequestError
from attnbench.measure.cost import BackboneCost, CostMeter, module_facts
from attnbench.measure.network import draw_apart
from attnbench.models.backbones import create_backbone, with_classes
from attnbench.models.insertion import fill
from attnbench.models.placement_slots import Slot
from attnbench.models.pretrained import transfer
from attnbench.models.weight_files import weights_file
from attnbench.registry.first_run import without_weights
from attnbench.suites.case import Case, Training, training_of
from attnbench.training.dataloader import transforms
from attnbench.training.recipe import Recipe, adapt, find_recipe
from attnbench.training.seeds import backbone_seed, module_seed
from attnbench.utils.bitmask import pack

if TYPE_CHECKING:
    from attnbench.training.loop import TrainingResult

METHOD = 1
"""Version of the training method; a higher one invalidates older accuracy records."""

Report = Callable[[str], object]


class AccuracyMeter:
    """A meter that trains accuracy cases.

    Args:
        cost: cost meter that provides modules and slots.
    """

    def __init__(self, cost: CostMeter) -> None:
        self.cost = cost
        self._known: dict[tuple[str, str, int], BackboneCost] = {}
        self._fitting: set[Case] = set()
        self._class_counts: dict[str, int] = {}

    def check(self, case: Case) -> None:
        """Raise an error for an invalid case, without training.

        Raises:
            MissingExtraError: the data set is missing; the message names its source.
            RequestError: the recipe, weights, placement or number of classes are invalid.
        """
        training = training_of(case)
        dataset = find_dataset(training.dataset)
        recipe = find_recipe(training.recipe)
        if training.weights and not weights_file(training.weights)[0].is_file():
            raise RequestError(
                f"weights cannot be read: got {training.weights!r}, which is no file"
            )
        missing = dataset.missing(data_root())
        if missing:
            raise MissingExtraError(missing)
        transforms(recipe)
        self._slots(case, recipe, self._classes(case))
        if training.weights:
            self._check_weights(case, training)

    def _check_weights(self, case: Case, training: Training) -> None:
        """Raise RequestError for unsuitable weights before the first training, once per network."""
        network = replace(case, training=replace(training, seed=0))
        if network not in self._fitting:
            transfer(self.network(network), Path(str(training.weights)))
            self._fitting.add(network)

    def places(self, case: Case) -> set[tuple[int, tuple[int, int]]]:
        """Return channels and map sizes of a case's modules."""
        recipe = find_recipe(training_of(case).recipe)
        slots = self._slots(case, recipe, self._classes(case))
        return {(slot.channels, slot.size) for slot in slots}

    def network(self, case: Case) -> nn.Module:
        """Return the initial network of a training, in training mode.

        The backbone's weights depend on the seed alone. Each module draws its weights, and its
        random numbers in training, from a stream of its own, so that the random numbers of an arm
        do not depend on the module of another.
        """
        training, recipe = training_of(case), find_recipe(training_of(case).recipe)
        classes = self._classes(case)
        torch.manual_seed(backbone_seed(training.seed))
        model = adapt(_built(str(case.backbone), classes), recipe)
        attention = case.resolve(self.cost.catalog).attention
        slots = self._slots(case, recipe, classes)
        # deepest first, one at a time: wrapping a block changes the paths of the modules inside it
        for slot in sorted(slots, key=lambda slot: slot.path.count("."), reverse=True):
            if attention is not None:
                torch.manual_seed(module_seed(training.seed, slot.path))
                model = fill(model, [slot], attention)
                draw_apart(model.get_submodule(slot.path), slot.path)
        return model.train()

    def measure(
        self,
        case: Case,
        folder: Path | None = None,
        report: Report = str,
        save: Path | None = None,
    ) -> dict[str, Any]:
        """Train a case and return values and evidence for its record.

        Args:
            case: a case whose data set is present.
            folder: folder for checkpoints; an interrupted training continues from there.
            report: progress callback, called with a text.
            save: file for the trained weights.

        Raises:
            Diverged: the loss became infinite or NaN.
            RequestError: the case is invalid.
        """
        from attnbench.training.loop import train  # accelerate takes seconds to import

        training, recipe = training_of(case), find_recipe(training_of(case).recipe)
        torch.set_num_threads(training.threads)
        report("loading data")
        data = load(training.dataset)
        if (here := len(data.train.classes)) != (classes := self._classes(case)):
            raise RequestError(
                f"data set {data.name} has {here} classes with images: expected {classes}. Load it "
                "again."
            )
        model = self.network(case)
        kept = str(transfer(model, Path(training.weights))) if training.weights else None
        epochs, seed = training.epochs, training.seed
        with products_of(recipe.precision, "cuda" if torch.cuda.is_available() else "cpu"):
            trained = train(model, data, recipe, seed, folder=folder, epochs=epochs, report=report)
        if save is not None:
            save.parent.mkdir(parents=True, exist_ok=True)
            torch.save(model.state_dict(), save)
        values: dict[str, Any] = {
            "top1": trained.top1,
            "top5": trained.top5,
            "loss": trained.loss,
            "steps": trained.steps,
        }
        facts = _facts(data, recipe, trained) | {"weights": kept}
        if training.int8:
            facts |= self._quantized(model, case, recipe, data, values, report)
        slots = self._slots(case, recipe, self._classes(case))
        return {
            "values": values,
            "training": facts,
            **module_facts(case, slots, self.cost.catalog),
        }

    def _quantized(
        self,
        model: nn.Module,
        case: Case,
        recipe: Recipe,
        data: Data,
        values: dict[str, Any],
        report: Report,
    ) -> dict[str, Any]:
        from attnbench.measure.int8_accuracy import quantized_correct

        report("quantizing to int8")
        correct, why = quantized_correct(model, recipe, data)
        if correct is None:
            return {"int8_failed": why}
        values["int8_top1"] = 100.0 * int(correct.sum()) / len(correct)
        return {"int8_correct": pack(correct)}

    def _slots(self, case: Case, recipe: Recipe, classes: int) -> list[Slot]:
        known = self._backbone(str(case.backbone), recipe, classes)
        return self.cost.slots(case, known.survey)

    def _backbone(self, spec: str, recipe: Recipe, classes: int) -> BackboneCost:
        """Return the traced backbone as the recipe adapts it; it is built at the first call."""
        key = (spec, recipe.hash, classes)
        size = (recipe.size, recipe.size)
        if key not in self._known:
            try:
                empty = without_weights(lambda: adapt(_built(spec, classes), recipe))
                found = BackboneCost(empty, size)
            except CountingError:  # its forward pass depends on values
                found = BackboneCost(adapt(_built(spec, classes), recipe), size)
            _check_output(spec, found, classes)
            self._known[key] = found
        return self._known[key]

    def _classes(self, case: Case) -> int:
        dataset = training_of(case).dataset
        if dataset not in self._class_counts:
            count = find_dataset(dataset).class_count(data_root())
            self._class_counts[dataset] = count or len(load(dataset).train.classes)
        return self._class_counts[dataset]


def identity(training: Training) -> dict[str, Any]:
    """Return the parts of a training that a record's hash covers: recipe, data, weights, method."""
    root, dataset = data_root(), find_dataset(training.dataset)
    recipe = find_recipe(training.recipe)
    return {
        "method": METHOD,
        "recipe": recipe.hash,
        "epochs": training.epochs or recipe.epochs,
        "data": None if dataset.missing(root) else dataset.identity(root),
        "weights": _file_hash(training.weights) if training.weights else None,
    }


def _check_output(spec: str, backbone: BackboneCost, classes: int) -> None:
    """Refuse a backbone that would fail in scoring, after the last epoch."""
    backbone.check_output(spec)
    output = backbone.survey.trace.calls[0].output
    if output is not None and tuple(output) != (1, classes):
        raise RequestError(
            f"backbone {spec} returns an output of shape {tuple(output)} for an image: must return "
            f"(1, {classes}), a score for each class of the data set."
        )


def _built(spec: str, classes: int) -> nn.Module:
    """Return a backbone with one output per class, whatever ``num_classes`` its spec has."""
    return create_backbone(with_classes(spec, classes))


def _facts(data: Data, recipe: Recipe, trained: TrainingResult) -> dict[str, Any]:
    is_cuda = trained.device.startswith("cuda")
    return {
        **({"tf32": recipe.precision == "tf32"} if is_cuda else {}),
        "dataset": data.name,
        "synthetic": data.synthetic,
        "images": [len(data.train), len(data.test)],
        "classes": len(data.train.classes),
        "notes": list(data.notes),
        "unreadable": [len(data.train.unreadable), len(data.test.unreadable)],
        "unreadable_names": [*data.train.unreadable, *data.test.unreadable][:20],
        "recipe": {
            "name": recipe.name,
            "title": recipe.title,
            "source": recipe.source,
            "hash": recipe.hash,
            "smoke": recipe.smoke,
            "baseline": [reference.model_dump() for reference in recipe.baseline],
        },
        "curve": trained.curve,
        "correct": pack(trained.correct),
        "device": trained.device,
        "threads": trained.threads,
        "images_per_s": trained.images_per_s,
        "training_s": trained.seconds,
    }


def _file_hash(given: str) -> str | None:
    path, key = weights_file(given)
    if not path.is_file():
        return None
    status = path.stat()
    found = _content_hash(str(path), status.st_size, status.st_mtime_ns)
    return f"{found}:{key}" if key else found


@lru_cache(maxsize=8)
def _content_hash(path: str, size: int, changed: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
