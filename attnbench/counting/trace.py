"""One shape-only forward pass: every operator and module call of a model, with its cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from attnbench.counting.copies import real_copy, shape_copy
from attnbench.counting.ops import Call, Op, Totals
from attnbench.counting.recorder import Recorder
from attnbench.errors import CountingError, RequestError

__all__ = ["Call", "Op", "Totals", "Trace", "checked_size", "quiet_pass", "trace"]


@dataclass(frozen=True)
class Trace:
    """A forward pass: its operators, and its module calls in the order of entry."""

    ops: tuple[Op, ...]
    calls: tuple[Call, ...]

    @property
    def macs(self) -> int:
        """Multiply-adds of the whole pass."""
        return sum(op.macs for op in self.ops)

    @property
    def activations(self) -> int:
        """Output elements of all convolutions, linear layers and matrix products."""
        return sum(op.activations for op in self.ops)

    @property
    def bytes(self) -> int:
        """Bytes read and written by all operators, each on its own."""
        return sum(op.bytes for op in self.ops)

    def ops_under(self, path: str) -> tuple[Op, ...]:
        """Return the operators that ran inside the module at `path`.

        For a container that is never called itself (``nn.ModuleList``), those of its parts.
        Empty for a module that did not run.
        """
        ranges = [(c.first_op, c.last_op) for c in self.calls if c.path == path]
        if not ranges:
            inside = f"{path}." if path else ""
            ranges = [(c.first_op, c.last_op) for c in self.calls if c.path.startswith(inside)]
        within = sorted({at for first, last in ranges for at in range(first, last)})
        return tuple(self.ops[at] for at in within)

    def under(self, path: str) -> Totals:
        """Return the totals of `ops_under`."""
        ops = self.ops_under(path)
        return Totals(
            macs=sum(op.macs for op in ops),
            activations=sum(op.activations for op in ops),
            bytes=sum(op.bytes for op in ops),
        )


def trace(model: nn.Module, input_size: Sequence[int]) -> Trace:
    """Run `model` once on shapes alone and return what ran.

    The pass runs on a copy on the meta device, in eval mode and without gradients; the model
    itself is never touched. A model whose forward looks at values runs once more, for real, on
    the CPU.

    Args:
        model: any module that takes one floating tensor.
        input_size: shape of that tensor, the batch first.

    Raises:
        CountingError: the forward pass failed both ways.
    """
    size = checked_size(input_size)
    with quiet_pass():
        try:
            return _run(shape_copy(model), size, _empty)
        except Exception:  # whatever a model's own code raises on tensors without values
            pass
        try:
            return _run(real_copy(model), size, _noise)
        except Exception as error:
            raise CountingError(_failure(model, size, error)) from error


def checked_size(input_size: Sequence[int]) -> tuple[int, ...]:
    """Return `input_size` as a tuple of positive integers, or raise RequestError."""
    size = tuple(input_size)
    if not size or any(not isinstance(n, int) or n < 1 for n in size):
        raise RequestError(
            f"input size {size!r}: give positive integers, batch first, as (1, 3, 224, 224)"
        )
    return size


@contextmanager
def quiet_pass() -> Iterator[None]:
    """No gradients, no fused transformer path, attention as plain matmuls; restored after.

    What a model costs must not depend on which fused kernel this machine happens to have.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _run(
    model: nn.Module, size: tuple[int, ...], make: Callable[[tuple[int, ...], torch.dtype], Tensor]
) -> Trace:
    image = make(size, input_dtype(model))
    recorder = Recorder()
    recorder.watch(model)
    with recorder:
        model(image)
    return Trace(tuple(recorder.ops), recorder.calls)


def input_dtype(model: nn.Module) -> torch.dtype:
    """Return the dtype of the first floating parameter, else torch's default."""
    kinds = (p.dtype for p in model.parameters() if p.dtype.is_floating_point)
    return next(kinds, torch.get_default_dtype())


def _empty(size: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.empty(size, dtype=dtype, device="meta")


def _noise(size: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(size, generator=generator, device="cpu").to(dtype)


def _failure(model: nn.Module, size: tuple[int, ...], error: Exception) -> str:
    reason = " ".join(str(error).split()) or "no message"
    return (
        f"{type(model).__name__} cannot be counted: its forward pass on an input of size "
        f"{size} failed with {type(error).__name__}: {reason}"
    )
