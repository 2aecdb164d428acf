"""Inference forms: each attention module in a model replaced by the result of its ``fuse()``."""

import copy

from torch import nn

from attnbench.errors import PluginError, RequestError
from attnbench.models.block_layers import Inserted
from attnbench.registry.blend import Blend


def fuse(model: nn.Module) -> nn.Module:
    """Return a copy of ``model``, in eval mode, with every attention module in inference form.

    The output equals that of ``model.eval()``, also where ``model`` is in training mode. The copy
    replaces the modules that :func:`attnbench.insert` placed, or ``model`` itself if it is an
    attention module, where they have a method ``fuse()``; other modules stay unchanged. A blend
    stays around the inference form of its module. The backbone's own layers stay as well.
    ``model`` is not changed and shares nothing with the copy.

    Raises:
        RequestError: ``model`` is no module.
        PluginError: a ``fuse()`` raised an exception, or returned an object that is no module.
    """
    if not isinstance(model, nn.Module):
        raise RequestError(f"fuse() needs a nn.Module: got a {type(model).__name__}")
    copied = copy.deepcopy(model).eval()
    for path, holder in _holders(copied):
        if _can_fuse(holder.attention):
            holder.attention = _fused(holder.attention, f"{path}.attention".lstrip("."))
    return _fused(copied, "") if _can_fuse(copied) else copied


def has_fused_form(model: nn.Module | type[nn.Module]) -> bool:
    """Return whether :func:`fuse` would replace any module.

    Args:
        model: a network, an attention module, or the class of one.
    """
    holders = [] if isinstance(model, type) else _holders(model)
    return any(map(_can_fuse, [model, *(holder.attention for _, holder in holders)]))


def _holders(model: nn.Module) -> list[tuple[str, Inserted | Blend]]:
    found = model.named_modules()
    return [(path, module) for path, module in found if isinstance(module, Inserted | Blend)]


def _can_fuse(attention: object) -> bool:
    return callable(getattr(attention, "fuse", None))


def _fused(attention: nn.Module, path: str) -> nn.Module:
    name = type(attention).__name__ + (f" at {path}" if path else "")
    try:
        fused = attention.fuse()  # type: ignore[operator]  # known to be callable
    except Exception as error:
        raise PluginError(f"{name}: fuse() fails: {type(error).__name__}: {error}") from error
    if not isinstance(fused, nn.Module):
        raise PluginError(f"{name}: fuse() must return a nn.Module: got a {type(fused).__name__}")
    return fused.eval()
