"""Timing of models that are given as objects, beside the one of them that is the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from attnbench.measure.latency import NetworkTimer
from attnbench.measure.network import SEED
from attnbench.runtimes.sample_inputs import examples
from attnbench.runtimes.torch_export import eval_copy
from attnbench.suites.case import Case, Conditions


class GivenModels(NetworkTimer):
    """The models of one comparison, timed in this process, with the weights that they have.

    Args:
        models: name -> model; they are not changed.
        baseline: name of the model with which the others are compared.
        input_size: shape of the input, the batch first. With three channels the inputs are
            photographs, otherwise normally distributed.
        conditions: runtime, precision, device and threads.
    """

    owns_process: ClassVar[bool] = False

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        baseline: str,
        input_size: Sequence[int],
        conditions: Conditions,
    ) -> None:
        size = (input_size[-2], input_size[-1]) if len(input_size) > 2 else (1, 1)
        self.input_size = tuple(input_size)
        self.cases = {
            name: Case(
                "latency",
                None,
                None if name == baseline else name,
                None,
                None,
                size,
                conditions=conditions,
            )
            for name in models
        }
        self._models = {self.cases[name]: model for name, model in models.items()}

    def network(self, case: Case) -> nn.Module:
        """Return a copy of a model on the processor, in evaluation mode."""
        return eval_copy(self._models[case]).cpu()

    def inputs(self, case: Case, count: int = 1) -> list[Tensor]:
        """Return inputs of the models with at least ``count`` images in total."""
        return examples(torch.empty(self.input_size, device="meta"), count, SEED)
