"""Forward passes on a copy of a model, on shapes alone where possible, without side effects."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from attnbench.counting.model_copies import real_copy, shape_copy
from attnbench.errors import CountingError, RequestError
from attnbench.utils.text import describe_value

_Result = TypeVar("_Result")


def on_copy(
    model: nn.Module,
    size: tuple[int, ...],
    run: Callable[[nn.Module, Tensor], _Result],
    *,
    owned: bool = False,
) -> _Result:
    """Return ``run(copy, image)`` on a meta copy or, where that fails, like `on_real_copy`.

    An ``owned`` model is on the meta device and not used elsewhere: it is run without a copy.
    """
    try:
        with quiet_pass():
            image = torch.empty(size, dtype=_input_dtype(model), device="meta")
            return run(model.eval() if owned else shape_copy(model), image)
    except (Exception, SystemExit) as error:  # any failure of the model's code without values
        if any(parameter.is_meta for parameter in model.parameters()):
            raise CountingError(_failure(model, size, error)) from error
        return on_real_copy(model, size, run)


def on_real_copy(
    model: nn.Module, size: tuple[int, ...], run: Callable[[nn.Module, Tensor], _Result]
) -> _Result:
    """Return ``run(copy, image)`` on a real CPU copy, the image filled with noise.

    Raises:
        CountingError: the pass failed; the message names the model, the size and the error.
    """
    try:
        with quiet_pass():
            noise = torch.randn(size, generator=torch.Generator().manual_seed(0), device="cpu")
            return run(real_copy(model), noise.to(_input_dtype(model)))
    except (Exception, SystemExit) as error:
        raise CountingError(_failure(model, size, error)) from error


def checked_size(input_size: Sequence[int]) -> tuple[int, ...]:
    """Return `input_size` as a tuple of positive integers, or raise RequestError."""
    size = tuple(input_size) if isinstance(input_size, Sequence) else ()
    if not size or any(not isinstance(n, int) or n < 1 for n in size):
        raise RequestError(
            f"input size is invalid: got {describe_value(input_size)}. "
            "Give positive integers, batch first, as (1, 3, 224, 224)."
        )
    return size


@contextmanager
def quiet_pass() -> Iterator[None]:
    """Disable gradients and fused transformer paths, run attention as matmuls; restore afterwards.

    The cost of a model must not depend on the fused kernels that this machine has.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        rng = torch.random.fork_rng(devices=[])
        with rng, torch.no_grad(), _uncompiled(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _uncompiled() -> AbstractContextManager[object]:
    """Run compiled functions eagerly; none exist before ``torch._dynamo`` is imported."""
    if "torch._dynamo" in sys.modules:
        stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
        return stance
    return nullcontext()


def _input_dtype(model: nn.Module) -> torch.dtype:
    """Return the dtype of the first floating parameter, else torch's default."""
    kinds = (p.dtype for p in model.parameters() if p.dtype.is_floating_point)
    return next(kinds, torch.get_default_dtype())


def _failure(model: nn.Module, size: tuple[int, ...], error: BaseException) -> str:
    reason = " ".join(str(error).split()) or "no message"
    return (
        f"{type(model).__name__} cannot be counted: its forward pass on an input of size "
        f"{size} failed with {type(error).__name__}: {reason}"
    )
