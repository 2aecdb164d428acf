"""Inner layers of a block: its depthwise convolution, its last pointwise one, its SE.

They are found from the order of the calls, not from attribute names, so that the blocks of
torchvision, timm and any other library are treated alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.counting.trace import Trace

_SE_CLASSES = ("SqueezeExcitation", "SqueezeExcite", "SEModule")
_ACTIVATION_FILES = ("activation", "activations", "activations_me")


class Inserted(nn.Module):
    """A block followed by an attention module; a replaced block is an Identity.

    The keys of the plain network map as follows: ``P.rest`` becomes ``P.block.rest``.
    (B, C, H, W) -> (B, C, H', W').
    """

    def __init__(self, block: nn.Module, attention: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """Return ``attention(block(x))``."""
        out: Tensor = self.attention(self.block(x))
        # ResNets add in place to a block's output, and activations run in place on it: this must
        # not overwrite the tensors that the attention saved for its backward pass.
        return out.clone() if out.requires_grad and not torch.compiler.is_exporting() else out


@dataclass(frozen=True)
class BlockLayers:
    """Module paths of the positions within a block; None where the block has no such layer."""

    depthwise: str | None = None
    project: str | None = None
    se: str | None = None
    expanded: int | None = None
    """Channels of the depthwise convolution."""


def look_inside(path: str, trace: Trace, modules: Mapping[str, nn.Module]) -> BlockLayers:
    """Find the inner positions of the block at ``path``."""
    called = [call.path for call in trace.calls if call.path.startswith(f"{path}.")]
    se = next((name for name in called if type(modules[name]).__name__ in _SE_CLASSES), None)
    excluded = [f"{se}."] if se else []
    excluded += [f"{name}.attention" for name in called if isinstance(modules[name], Inserted)]
    if isinstance(modules[path], Inserted):
        excluded.append(f"{path}.attention")
    own = [name for name in called if name != se and not name.startswith(tuple(excluded))]
    units = _units(own, modules)
    depthwise = next((i for i, unit in enumerate(units) if _is_depthwise(modules[unit])), None)
    pointwise = [i for i, unit in enumerate(units) if _is_pointwise(modules[unit])]
    return BlockLayers(
        depthwise=None if depthwise is None else _stage(own, units, depthwise, modules),
        project=_stage(own, units, pointwise[-1], modules) if pointwise else None,
        se=se,
        expanded=None if depthwise is None else _out_channels(modules[units[depthwise]]),
    )


def _units(paths: Sequence[str], modules: Mapping[str, nn.Module]) -> list[str]:
    """Return the computing modules: leaves, and norms that contain their activation (timm's)."""
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
    """Return the path of the module that ends the stage of the convolution ``units[start]``.

    This is its activation or norm, or the container of exactly these; None where the block
    consists of this stage only.
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
