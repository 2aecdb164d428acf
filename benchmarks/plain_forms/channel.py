"""Gates of channels, layer by layer as the papers' equations have them."""

from __future__ import annotations

import torch
from attnbench_modules.eca import ECA
from attnbench_modules.effective_se import EffectiveSE
from attnbench_modules.fca import FCA
from attnbench_modules.gc import GlobalContext
from attnbench_modules.gct import GCT
from attnbench_modules.ge import GE
from attnbench_modules.nam import NAM
from attnbench_modules.se import SE
from attnbench_modules.srm import EPS, SRM
from torch import Tensor
from torch.nn import functional as F

from .layers import Form, mean, on_maps, written


@written
def se(module: SE, x: Tensor) -> Tensor:
    """Hu et al. 2018: squeeze, excitation, scale."""
    hidden = module.relu(module.squeeze(mean(x)))
    return x * torch.sigmoid(module.excite(hidden))


@written
def eca(module: ECA, x: Tensor) -> Tensor:
    """Wang et al. 2020: one filter along the channels' means."""
    line = mean(x).squeeze(3).transpose(1, 2)  # (B, 1, C)
    gate = torch.sigmoid(module.conv(line).transpose(1, 2).unsqueeze(3))
    return x * gate.expand_as(x)


def effective_se(module: EffectiveSE) -> Form:
    """Lee and Park 2020: one layer, which keeps the width, a 1x1 convolution."""
    layer = on_maps(module.fc)
    return lambda x: x * F.hardsigmoid(layer(mean(x)))


@written
def ge(module: GE, x: Tensor) -> Tensor:
    """Hu et al. 2018, GE-theta-minus of global extent: the mean gates, there is no layer."""
    return x * torch.sigmoid(mean(x)).expand_as(x)


@written
def srm(module: SRM, x: Tensor) -> Tensor:
    """Lee et al. 2019: mean and deviation, CFC, norm."""
    values = x.flatten(2)  # (B, C, N)
    means, deviations = values.mean(2), (values.var(2) + EPS).sqrt()
    style = torch.stack([means, deviations], 2)  # (B, C, 2)
    scores = (style * module.cfc).sum(2)[..., None, None]
    return x * torch.sigmoid(module.norm(scores))


@written
def nam(module: NAM, x: Tensor) -> Tensor:
    """Liu et al. 2021: the norm of x times each weight's share of all weights."""
    size = module.norm.weight.abs()
    shares = size / size.sum()
    return torch.sigmoid(shares.view(1, -1, 1, 1) * module.norm(x)) * x


@written
def gct(module: GCT, x: Tensor) -> Tensor:
    """Yang et al. 2020: embedding, normalisation, gate."""
    norms = (x.pow(2).sum((2, 3), keepdim=True) + module.eps).sqrt()
    embedded = module.alpha * norms
    usual = (embedded.pow(2).mean(1, keepdim=True) + module.eps).sqrt()
    return x * (1 + torch.tanh(module.gamma * embedded / usual + module.beta))


@written
def fca(module: FCA, x: Tensor) -> Tensor:
    """Qin et al. 2021: a frequency of each channel, then as SE."""
    pooled = x if x.shape[2:] == module.size else F.adaptive_avg_pool2d(x, module.size)
    spectrum = (pooled * module.basis).sum((2, 3))  # (B, C)
    gate = torch.sigmoid(module.excite(torch.relu(module.squeeze(spectrum))))
    return x * gate[..., None, None].expand_as(x)


@written
def gc(module: GlobalContext, x: Tensor) -> Tensor:
    """Cao et al. 2019: attention pooling, transform, addition."""
    assert module.mask is not None
    weights = module.mask(x).flatten(2).softmax(2)  # (B, 1, N)
    context = torch.matmul(x.flatten(2), weights.transpose(1, 2)).unsqueeze(3)
    hidden = module.relu(module.norm(module.squeeze(context)))
    term: Tensor = module.excite(hidden)
    return x + term
