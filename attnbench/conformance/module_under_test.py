"""Module under examination: its instances and its input maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.cards import Card
from attnbench.conformance.findings import Finding, failure
from attnbench.errors import AttnbenchError, RequestError
from attnbench.registry.attention import Attention
from attnbench.registry.first_run import FirstRun, materialize

Size = tuple[int, int]

WIDTHS = (32, 64, 96, 128, 16, 256, 512)
SIZES: tuple[Size, ...] = ((7, 9), (7, 7), (8, 8), (14, 14), (16, 16), (28, 28), (56, 56))
_MIDDLE: tuple[int, Size] = (64, (14, 14))


@dataclass
class Subject:
    """Module under examination, as the checks receive it.

    Most checks use ``channels`` and ``size``: the first of :data:`WIDTHS` and :data:`SIZES` at
    which the module can be built and run. They are small and unequal, so that height, width,
    channels and batch cannot be mistaken for each other.

    Args:
        attention: the module with its options.
        exceptions: check to reason, in addition to those of the card.
    """

    attention: Attention
    exceptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def card(self) -> Card | None:
        """Return the card, if the module has one."""
        return self.attention.card

    @property
    def channels(self) -> int:
        """Return the number of channels of most checks."""
        return self._place[0]

    @property
    def size(self) -> Size:
        """Return (height, width) of most checks."""
        return self._place[1]

    @cached_property
    def _place(self) -> tuple[int, Size]:
        """Return the first width and size that work, else the first: the checks report why."""
        for place in product(WIDTHS, SIZES):
            if self.refusal(*place) is None and self.runs(*place):
                return place
        return WIDTHS[0], SIZES[0]

    @cached_property
    def exact(self) -> torch.dtype:
        """Return float64, or float32 for a module that fails in double precision."""
        with suppress(Exception):
            module = self.build(moved=False).double().eval()
            if run(module, self.maps(2, dtype=torch.float64)).dtype == torch.float64:
                return torch.float64
        return torch.float32

    @cached_property
    def middle_place(self) -> tuple[int, Size]:
        """Return width and size of a middle layer of a network, if they work, else the usual."""
        return _MIDDLE if self.runs(*_MIDDLE) else self._place

    def runs(self, channels: int, size: Size) -> bool:
        """Return whether the module can be built and run in eval at a width and size."""
        with suppress(Exception):
            run(self._construct(channels, size).eval(), self.maps(2, channels, size))
            return True
        return False

    @cached_property
    def first_run(self) -> FirstRun | None:
        """Return the first run, on whose account commands refuse it; None if it is not built."""
        place = self._place
        with suppress(AttnbenchError):
            return self.attention.first_run(*place, self._construct(*place))
        return None

    @property
    def appearing(self) -> tuple[str, ...]:
        """Return the parameters and buffers that appear, or get their size, in a first run."""
        return self.first_run.appearing if self.first_run else ()

    def _construct(self, channels: int, size: Size, seed: int = 0) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # not those of GPUs: it is built on the CPU
            return self.attention.construct(channels, size)

    def refusal(self, channels: int, size: Size) -> str | None:
        """Return the declared constraint that forbids a width and size, else None.

        Raises:
            PluginError: a constraint of the card fails.
        """
        try:
            self.attention.check(channels, size)
        except RequestError as error:
            if type(error) is not RequestError:
                raise
            return str(error)
        return None

    def build(
        self,
        channels: int | None = None,
        size: Size | None = None,
        *,
        moved: bool = True,
        seed: int = 0,
    ) -> nn.Module:
        """Return a fresh instance, the same for the same seed, in training mode.

        It has the parameters that appear in a first run, whatever else that run shows.

        Args:
            channels: number of channels of its maps; :attr:`channels` if left out.
            size: height and width of its maps; :attr:`size` if left out.
            moved: whether all parameters and running statistics are perturbed, so that an initial
                value of zero hides no error; otherwise they are as the constructor leaves them.
            seed: seed of the weights.

        Raises:
            RequestError: the module rejects the width or the size.
        """
        # before the seed: finding them draws random numbers
        place, appearing = (channels or self.channels, size or self.size), self.appearing
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # not those of GPUs: it is built on the CPU
            module = self.attention.construct(*place)
            if appearing:
                with suppress(Exception):  # the checks report it
                    materialize(module, (2, place[0], *place[1]))
            return _moved(module) if moved else module

    def maps(
        self,
        batch: int = 3,
        channels: int | None = None,
        size: Size | None = None,
        *,
        seed: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Return normally distributed maps (batch, channels, h, w), the same for the same seed."""
        generator = torch.Generator().manual_seed(seed)
        shape = (batch, channels or self.channels, *(size or self.size))
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


@torch.no_grad()
def _moved(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        if parameter.is_floating_point():
            parameter.add_(0.3 * torch.randn_like(parameter))
    for norm in module.modules():
        if isinstance(norm, _BatchNorm) and norm.running_mean is not None:
            norm.running_mean.normal_(std=0.1)
            if norm.running_var is not None:
                norm.running_var.uniform_(0.5, 2.0)
    return module


@torch.no_grad()
def run(module: nn.Module, x: Tensor) -> Tensor:
    """Return the output without recording gradients."""
    y: Tensor = module(x)
    return y


def check_output(
    found: Tensor, wanted: Tensor, tolerance: float, reason: str, remedy: str
) -> Iterator[Finding]:
    """Report an output with a :func:`relative_error` above a tolerance.

    Args:
        found: output.
        wanted: correct output.
        tolerance: largest error, relative to the largest value of ``wanted``.
        reason: beginning of the sentence; ``off by 1.0e-02 of the largest value`` follows.
        remedy: recommended change.
    """
    error = relative_error(found, wanted)
    if error > tolerance:
        yield failure(f"{reason} off by {error:.1e} of the largest value", remedy, error=error)


def equal_values(first: Tensor, second: Tensor) -> bool:
    """Return whether two tensors have equal shapes and values; NaN equals NaN."""
    return first.shape == second.shape and torch.equal(first.nan_to_num(), second.nan_to_num())


def join_shape(shape: Iterable[int]) -> str:
    """Return ``3x32x7x9``."""
    return "x".join(map(str, shape))


def relative_error(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference, relative to the largest value of ``wanted``; inf for NaN."""
    if found.shape != wanted.shape:
        return float("inf")
    found, wanted = found.detach().double(), wanted.detach().double()
    scale = max(float(wanted.abs().max()), 1e-30)
    error = float((found - wanted).abs().max()) / scale
    return error if error == error else float("inf")
