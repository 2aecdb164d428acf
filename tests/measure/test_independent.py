"""Counts of drawn combinations against hooks on a real forward pass, which share no code with us."""

import random

import pytest
import torch
from torch import nn

from attnbench.errors import PlacementError
from attnbench.measure.cost import CostMeter
from attnbench.models.backbones import create_backbone
from attnbench.models.insertion import insert
from attnbench.registry.plugins import catalog
from attnbench.suites.plan import make_case

BACKBONES = [
    *[f"mobilenet_v1,width={width}" for width in (0.25, 0.35, 0.5, 0.6, 0.75, 1.0, 1.3)],
    *[f"mobilenet_v2,width={width}" for width in (0.35, 0.5, 0.75, 1.0, 1.4)],
    *["mobilenet_v3_small", "mobilenet_v3_large,width=0.75"],
    *["timm:mobilenetv1_100", "timm:mobilenetv2_050"],
]
POSITIONS = ("after", "replace", "after-depthwise", "after-project")
SIZE = 64


def drawn(count, seed=20):
    """Combinations of backbone, groups, position and layers, among them ones that cannot be."""
    draw = random.Random(seed)
    for _ in range(count):
        layers = sorted(draw.sample(range(2, 19), draw.randint(1, 3)))
        placement = f"{draw.choice(POSITIONS)}:{','.join(map(str, layers))}"
        yield draw.choice(BACKBONES), f"ulsam,groups={draw.choice([1, 2, 4, 8, 16])}", placement


def counted_by_hooks(model):
    macs = 0

    def count(module, inputs, output):
        nonlocal macs
        if isinstance(module, nn.Conv2d):
            kernel = module.kernel_size[0] * module.kernel_size[1]
            macs += output.numel() * kernel * module.in_channels // module.groups
        else:
            macs += output.numel() * module.in_features

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, SIZE, SIZE))
    return {"params": sum(p.numel() for p in model.parameters()), "macs": macs}


@pytest.fixture(scope="module")
def meter():
    return CostMeter(catalog())


def test_drawn_combinations(meter):
    possible = 0
    for backbone, module, placement in drawn(60):
        case = make_case(
            catalog(), backbone=backbone, module=module, placement=placement, size=SIZE
        )
        try:
            meter.check(case)
        except PlacementError:
            continue  # a strided block replaced, groups that do not divide, a layer that is not
        possible += 1
        model = insert(create_backbone(backbone), placement, module, input_size=(1, 3, SIZE, SIZE))
        values = meter.measure(case)["values"]
        assert {"params": values["params"], "macs": values["macs"]} == counted_by_hooks(model), case
    assert possible > 15
