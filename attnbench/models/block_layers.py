"""What is inside a block: its depthwise convolution, its last pointwise one, its SE.

Found from the order of the calls, not from the names of attributes, so that torchvision's, timm's
and anybody's blocks are read alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.counting.trace import Trace
from attnbench.models.inserted import Inserted

_SE_CLASSES = ("SqueezeExcitation", "SqueezeExcite", "SEModule")
_ACTIVATION_FILES = ("activation", "activations", "activations_me")


@dataclass(frozen=True)
class BlockLayers:
    """Module paths of the positions within a block; None where the block has no such thing."""

    depthwise: str | None = None
    project: str | None = None
    se: str | None = None
    expanded: int | None = None
    """Channels of the depthwise convolution."""


def look_inside(path: str, trace: Trace, modules: Mapping[str, nn.Module]) -> BlockLayers:
    """Find the inner positions of the block at ``path``."""
    called = [call.path for call in trace.calls if call.path.startswith(f"{path}.")]
    se = next((one for one in called if type(modules[one]).__name__ in _SE_CLASSES), None)
    passed_over = [f"{se}."] if se else []
    passed_over += [f"{one}.attention" for one in called if isinstance(modules[one], Inserted)]
    if isinstance(modules[path], Inserted):
        passed_over.append(f"{path}.attention")
    own = [one for one in called if one != se and not one.startswith(tuple(passed_over))]
    units = _units(own, modules)
    depthwise = next((i for i, one in enumerate(units) if _is_depthwise(modules[one])), None)
    pointwise = [i for i, one in enumerate(units) if _is_pointwise(modules[one])]
    return BlockLayers(
        depthwise=None if depthwise is None else _stage(own, units, depthwise, modules),
        project=_stage(own, units, pointwise[-1], modules) if pointwise else None,
        se=se,
        expanded=None if depthwise is None else _out_channels(modules[units[depthwise]]),
    )


def _units(paths: Sequence[str], modules: Mapping[str, nn.Module]) -> list[str]:
    """Return what computes: leaves, and norms that carry their activation within (timm's)."""
    norms = tuple(f"{path}." for path in paths if _is_norm(modules[path]))
    return [
        path
        for path in paths
        if not path.startswith(norms)
        and (_is_norm(modules[path]) or not any(modules[path].children()))
    ]


def _stage(
    called: Sequence[str], units: Sequence[str], start: int, modules: Mapping[str, nn.Module]
) -> str | None:
    """Return the path of what ends the stage of the convolution ``units[start]``.

    That is its activation or norm, or the container of exactly these; None where the block is
    nothing but this stage.
    """
    end = start + 1
    while end < len(units) and _continues(modules[units[end]]):
        end += 1
    if end - start == len(units):
        return None
    members = set(units[start:end])
    last = units[end - 1]
    while (parent := last.rpartition(".")[0]) in called:
        if not {unit for unit in units if unit.startswith(f"{parent}.")} <= members:
            break
        last = parent
    return last


def _continues(module: nn.Module) -> bool:
    return _is_norm(module) or type(module).__module__.rpartition(".")[2] in _ACTIVATION_FILES


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm | nn.GroupNorm | nn.LayerNorm | nn.InstanceNorm2d)


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and 1 < module.in_channels == module.groups


def _is_pointwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1


def _out_channels(module: nn.Module) -> int:
    return int(module.get_parameter("weight").shape[0])
