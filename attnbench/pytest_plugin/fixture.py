"""The fixture ``attention_benchmark``: a module against a baseline, in the tests of users."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest

from attnbench.errors import CountingError, PluginError, RequestError
from attnbench.pytest_plugin.benchmark import pedantic
from attnbench.pytest_plugin.project import project_of
from attnbench.pytest_plugin.reporting import report_user_errors

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnbench.timing.comparison import Compared

DEFAULT_BUDGET_S = 5.0
_MODULE, _BASELINE = "module", "baseline"


@dataclass
class AttentionBenchmark:
    """The value of the fixture, a callable.

    Attributes:
        config: the configuration of the pytest run, for the settings of plugins and budget.
        benchmark: pytest-benchmark's fixture; None without it.
        used: whether that has timed a function; it accepts only one per test.
    """

    config: pytest.Config
    benchmark: Any
    used: bool = False

    def __call__(
        self,
        module: str | nn.Module | Callable[[int], nn.Module],
        baseline: str | nn.Module | Callable[[int], nn.Module] | None = None,
        *,
        input: Sequence[int] | Tensor = (1, 64, 14, 14),
        budget_s: float | None = None,
        threads: int = 1,
    ) -> Compared:
        """Time a module against a baseline, interleaved, both in evaluation mode.

        The result has ``ratio`` (module over baseline), its 95% interval ``ratio_low`` and
        ``ratio_high``, and ``verdict``: ``"slower"``, ``"faster"``, ``"same"`` or
        ``"inconclusive"``. Tests on noisy machines should assert the verdict. With
        pytest-benchmark, the first call of a test is also listed in its table, with these values as
        ``extra_info``. If it is disabled (``--benchmark-disable``, xdist), both are called once,
        ``verdict`` is ``"inconclusive"``, ``trust`` gives the reason, and the values are NaN.

        Args:
            module: a module, a spec (``"se,reduction=8"``, ``"my.py:Mine"``), or a class or
                function that makes a module from a number of channels. It is copied, not changed.
            baseline: likewise; by default one pass over the feature map, one read and one write.
            input: shape (B, C, H, W) of the feature map, or the feature map itself.
            budget_s: seconds of sampling; by default ``--attnbench-budget``, then ``budget`` of
                ``[tool.attnbench]``, then 5.
            threads: the number of threads of both.
        """
        with report_user_errors():
            try:
                given, shape = _map(input)
                arms = {
                    _MODULE: self._built(module, shape),
                    _BASELINE: self._built(baseline, shape),
                }
                if self.benchmark is not None and not self.benchmark.enabled:
                    return self._called_once(arms, given)
                seconds = budget_s or project_of(self.config).budget or DEFAULT_BUDGET_S
                found = _compared(arms, given, seconds, threads)
            except Exception as error:
                self._timed(_fail, error)  # pytest-benchmark complains if it was not used
                raise
            if self.benchmark is not None and not self.used:
                self.used = True
                facts = _facts(_title(module, shape), arms[_MODULE], shape, found)
                self.benchmark.extra_info.update(facts)
                run = _call(arms[_MODULE], given)
                pedantic(self.benchmark, run, found.median_ms / 1e3, seconds, threads)
        return found

    def _built(self, module: Any, shape: tuple[int, ...]) -> nn.Module:
        from torch import nn

        from attnbench.measure.network import OnePass
        from attnbench.registry.attention import find_attention, from_callable
        from attnbench.runtimes.torch_export import eval_copy

        catalog = project_of(self.config).catalog
        if module is None:
            return OnePass().eval()
        if isinstance(module, nn.Module):
            return eval_copy(module)
        if isinstance(module, str):
            attention = find_attention(module, catalog)
        elif callable(module):
            attention = from_callable(cast("Callable[..., nn.Module]", module), {})
        else:
            raise RequestError(
                f"module is neither a nn.Module, a spec nor a class: got a {type(module).__name__}"
            )
        size = (shape[2], shape[3]) if len(shape) == 4 else None
        try:
            return eval_copy(attention.build(shape[1], size))
        except PluginError as error:
            # the module belongs to the test: pytest should show its line
            raise error.__cause__ or error from None

    def _called_once(self, arms: dict[str, nn.Module], given: Tensor) -> Compared:
        from attnbench.timing.comparison import Compared

        _call(arms[_BASELINE], given.clone())()
        self._timed(_call(arms[_MODULE], given.clone()))
        nan = math.nan
        why = "benchmarks are disabled: each was called once"
        return Compared(nan, nan, nan, "inconclusive", None, nan, why, nan, nan, nan, nan, pairs=0)

    def _timed(self, run: Callable[..., object], *args: object) -> None:
        """Call a function once, by pytest-benchmark if it is installed and not yet used."""
        if self.benchmark is None or self.used:
            run(*args)
        else:
            self.used = True
            self.benchmark.pedantic(run, args=args)


def _fail(error: Exception) -> NoReturn:
    raise error


def _map(input: Any) -> tuple[Tensor, tuple[int, ...]]:
    import torch

    if isinstance(input, torch.Tensor):
        return input.detach().clone(), tuple(input.shape)
    shape = tuple(input)
    if len(shape) < 2 or not all(isinstance(size, int) and size > 0 for size in shape):
        raise RequestError(f"input is neither a shape (B, C, H, W) nor a tensor: got {input!r}")
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)), shape


def _call(model: nn.Module, given: Tensor) -> Callable[[], object]:
    import torch

    @torch.inference_mode()
    def call() -> object:
        return model(given)

    return call


def _compared(arms: dict[str, nn.Module], given: Tensor, budget_s: float, threads: int) -> Compared:
    import torch

    from attnbench.latency import ArmError, compare
    from attnbench.runtimes.torch_export import eval_copy

    torch.set_num_threads(threads)
    # separate feature maps: an in-place operation must not change those of the others
    calls = {name: _call(model, given.clone()) for name, model in arms.items()}
    again = _call(eval_copy(arms[_BASELINE]), given.clone())
    try:
        found = compare(calls, baseline=_BASELINE, budget_s=budget_s, again=again, threads=threads)
    except ArmError as error:
        # the module belongs to the test: pytest should show its line
        raise error.__cause__ or error from None
    return found[_MODULE]


def _facts(title: str, model: nn.Module, shape: tuple[int, ...], found: Compared) -> dict[str, Any]:
    from attnbench.counting.cost import cost

    facts: dict[str, Any] = {"case": title, "params": None, "macs": None}
    try:
        counted = cost(model, shape)
        facts |= {"params": counted.params, "macs": counted.macs}
    except (CountingError, RequestError):  # it can be timed all the same
        pass
    kept = ("ratio", "ratio_low", "ratio_high", "verdict", "floor", "trust", "pairs")
    return facts | {key: value for key, value in asdict(found).items() if key in kept}


def _title(module: Any, shape: tuple[int, ...]) -> str:
    name = module if isinstance(module, str) else getattr(module, "__name__", None)
    return f"{name or type(module).__name__}/{'x'.join(map(str, shape))}"
