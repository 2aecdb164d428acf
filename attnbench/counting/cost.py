"""Analytic cost of a model: parameters, MACs, activations, bytes, and other tools' counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from attnbench.counting.counters import count_all
from attnbench.counting.forward_pass import checked_size
from attnbench.counting.reconcile import CounterReport
from attnbench.counting.trace import Trace, trace
from attnbench.errors import CountingError, RequestError


class Cost:
    """The cost of one model for one image; all numbers are exact integers.

    Attributes:
        params: elements of all parameters, shared parameters once.
        trainable: elements of the parameters that require gradients.
        macs: multiply-adds of convolutions, linear layers and matrix products.
        activations: output elements of the same operators.
        bytes: bytes read and written by each operator on its own (unfused).
        operators: number of operators that move data; views are free.
        trace: the counted forward pass, batch 1.
    """

    def __init__(self, model: nn.Module, input_size: tuple[int, ...]) -> None:
        _check_initialized(model)
        self.trace: Trace = trace(model, input_size)
        self.params: int = sum(p.numel() for p in model.parameters())
        self.trainable: int = sum(p.numel() for p in model.parameters() if p.requires_grad)
        totals = self.trace.totals
        self.macs, self.activations = totals.macs, totals.activations
        self.bytes, self.operators = totals.bytes, totals.operators
        self._model, self._input_size = model, input_size

    @cached_property
    def counters(self) -> Mapping[str, CounterReport]:
        """The reports of ``rules``, ``fvcore``, ``ptflops`` and ``torch``.

        The counters run (about a second) at the first access, on copies of the model at that time.
        """
        return count_all(self._model, self._input_size, self.trace)

    def to_dict(self, *, counters: bool = False) -> dict[str, Any]:
        """Return the JSON form of a cost; `counters` adds the other tools' reports."""
        values: dict[str, Any] = {"params": self.params, "trainable": self.trainable}
        values |= asdict(self.trace.totals)
        if counters:
            values["counters"] = {name: r.to_dict() for name, r in self.counters.items()}
        return values

    def __repr__(self) -> str:
        return f"Cost(params={self.params:,}, macs={self.macs:,}, input_size={self._input_size})"


def cost(model: nn.Module, input_size: Sequence[int] = (1, 3, 224, 224)) -> Cost:
    """Return the cost of `model` for one image, from shapes alone; the model is not changed.

    Args:
        model: any module that takes one floating tensor.
        input_size: shape of that tensor, the batch first; the numbers are for one image, whatever
            the batch size.

    Raises:
        CountingError: the model cannot run on that input.

    Example:
        >>> cost(torchvision.models.mobilenet_v2()).macs
        300774272
    """
    if not isinstance(model, nn.Module):
        raise RequestError(f"cost() needs a nn.Module: got {type(model).__name__}.")
    return Cost(model, (1, *checked_size(input_size)[1:]))


def _check_initialized(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise CountingError(
                f"{type(model).__name__} cannot be counted: parameter {name!r} is lazy and has no"
                " size yet; run the model once first"
            )
