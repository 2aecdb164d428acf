"""Every position, on every layer where it is possible, against what the plain network computes.

Where a module goes is looked up by hand here, from the way these networks are built, and not from
the code under test.
"""

import copy

import pytest
import torch
from torch import nn
from torchvision.ops import SqueezeExcitation

import attnbench

OURS = "mobilenet_v1"
NAMES = [
    OURS,
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "timm:mobilenetv1_100",
    "timm:mobilenetv2_100",
    "timm:mobilenetv2_050",
]
AFTER = ["after", "after-depthwise", "after-project"]
REPLACEABLE = {
    "1": [4, 6, 8, 9, 10, 11, 12, 14],
    "2": [4, 6, 7, 9, 10, 11, 13, 14, 16, 17],
    "3_small": [4, 6, 7, 9, 11, 12],
    "3_large": [2, 4, 6, 7, 9, 10, 11, 13, 15, 16],
}
every_backbone = pytest.mark.parametrize("name", NAMES)


def version(name):
    return "1" if "v1" in name else "2" if "v2" in name else name.removeprefix("mobilenet_v")


def block_paths(model, name):
    """Module path of each block, by layer number."""
    if name.startswith("timm:"):
        stages = enumerate(model.blocks)
        paths = [f"blocks.{i}.{j}" for i, stage in stages for j in range(len(stage))]
    else:
        paths = [f"features.{i}" for i in range(1, len(model.features) - ("v1" not in name))]
    return dict(enumerate(paths, start=2))


def place_within(model, name, path, position):
    """Path of the module whose output a position of a block is about."""
    block = model.get_submodule(path)
    if position == "after":
        return path
    is_depthwise = position == "after-depthwise"
    if name == OURS:
        return f"{path}.depthwise" if is_depthwise else f"{path}.pointwise"
    if name.startswith("timm:"):
        norms = {"DepthwiseSeparableConv": ("bn1", "bn2"), "InvertedResidual": ("bn2", "bn3")}
        return f"{path}.{norms[type(block).__name__][not is_depthwise]}"
    if name == "mobilenet_v2":
        last = len(block.conv) - 1  # [expansion,] depthwise, convolution, norm
        return f"{path}.conv.{last - 2 if is_depthwise else last}"
    parts = list(block.block)  # [expansion,] depthwise, [squeeze-and-excitation,] projection
    wide = next(i for i, part in enumerate(parts) if is_depthwise_stage(part))
    return f"{path}.block.{wide if is_depthwise else len(parts) - 1}"


def is_depthwise_stage(part):
    return isinstance(part, nn.Sequential) and part[0].groups == part[0].in_channels


def se_paths(model, path):
    return [
        f"{path}.{inner}"
        for inner, module in model.get_submodule(path).named_modules()
        if isinstance(module, SqueezeExcitation)
    ]


@torch.no_grad()
def captured(model, image, paths):
    """The plain network's output, and input and output of some of its modules."""
    seen = {}

    def keep(path):
        def hook(module, inputs, output):
            seen[path] = inputs[0].clone(), output.clone()

        return hook

    hooks = [model.get_submodule(path).register_forward_hook(keep(path)) for path in set(paths)]
    output = model(image)
    for hook in hooks:
        hook.remove()
    return output, seen


@torch.no_grad()
def run(model, image):
    return model(image)


@every_backbone
@pytest.mark.parametrize("position", AFTER)
def test_after(backbones, image, probe, name, position):
    model = backbones(name)
    blocks = block_paths(model, name)
    places = {at: place_within(model, name, path, position) for at, path in blocks.items()}
    output, seen = captured(model, image, places.values())
    placed = attnbench.insert(model, f"{position}:all", probe, input_size=image.shape)
    assert torch.equal(run(placed, image), output)
    inserted = {
        path: module for path, module in placed.named_modules()
        if isinstance(module, attnbench.Inserted)
    }  # fmt: skip
    assert set(inserted) == set(places.values())
    for path in places.values():
        (given,) = inserted[path].attention.seen
        assert torch.equal(given, seen[path][1]), path
        assert inserted[path].attention.channels == given.shape[1]


@every_backbone
def test_replace(backbones, image, probe, name):
    model = backbones(name)
    blocks = block_paths(model, name)
    _, seen = captured(model, image, blocks.values())
    without = copy.deepcopy(model)
    for layer in REPLACEABLE[version(name)]:
        placed = attnbench.insert(model, f"replace:{layer}", probe, input_size=image.shape)
        block = without.get_submodule(blocks[layer])
        without.set_submodule(blocks[layer], nn.Identity())
        assert torch.equal(run(placed, image), run(without, image)), layer
        without.set_submodule(blocks[layer], block)
        (given,) = placed.get_submodule(blocks[layer]).attention.seen
        assert torch.equal(given, seen[blocks[layer]][0]), layer


@every_backbone
def test_replace_all(backbones, image, name):
    model = backbones(name)
    without = copy.deepcopy(model)
    for layer in REPLACEABLE[version(name)]:
        without.set_submodule(block_paths(model, name)[layer], nn.Identity())
    placed = attnbench.insert(model, "replace:all", "identity", input_size=image.shape)
    assert torch.equal(run(placed, image), run(without, image))


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v3_large"])
def test_replace_se(backbones, image, probe, name):
    model = backbones(name)
    paths = {at: se_paths(model, path) for at, path in block_paths(model, name).items()}
    paths = {at: found[0] for at, found in paths.items() if found}
    _, seen = captured(model, image, paths.values())
    without = copy.deepcopy(model)
    for layer, path in paths.items():
        placed = attnbench.insert(model, f"replace-se:{layer}", probe, input_size=image.shape)
        run(placed, image)
        (given,) = placed.get_submodule(path).attention.seen
        assert torch.equal(given, seen[path][0]), layer
        without.set_submodule(path, nn.Identity())
    placed = attnbench.insert(model, "replace-se:all", "identity", input_size=image.shape)
    assert torch.equal(run(placed, image), run(without, image))
    assert len([m for m in placed.modules() if isinstance(m, attnbench.Inserted)]) == len(paths)


@every_backbone
def test_stem_and_head(backbones, image, probe, name):
    model = backbones(name)
    blocks = block_paths(model, name)
    head = max(blocks) + 1
    is_timm = name.startswith("timm:")
    places = {1: "bn1" if is_timm else "features.0"}
    if "v1" not in name:
        places[head] = "bn2" if is_timm else f"features.{head - 1}"
    output, seen = captured(model, image, places.values())
    text = "after:" + ",".join(map(str, places))
    placed = attnbench.insert(model, text, probe, input_size=image.shape)
    assert torch.equal(run(placed, image), output)
    for path in places.values():
        (given,) = placed.get_submodule(path).attention.seen
        assert torch.equal(given, seen[path][1])


def test_several_in_one_block(backbones, image, probe):
    model = backbones("mobilenet_v2")
    text = "after:14+after-depthwise:14+after-project:14+replace:17"
    placed = attnbench.insert(model, text, probe, input_size=image.shape)
    paths = [p for p, m in placed.named_modules() if isinstance(m, attnbench.Inserted)]
    assert paths == [
        "features.13",
        "features.13.block.conv.1",
        "features.13.block.conv.3",
        "features.16",
    ]
    _, seen = captured(model, image, ["features.13", "features.13.conv.1", "features.13.conv.3"])
    run(placed, image)
    for inserted, plain in zip(paths[:3], sorted(seen), strict=True):
        (given,) = placed.get_submodule(inserted).attention.seen
        assert torch.equal(given, seen[plain][1])


@pytest.mark.parametrize(
    ("name", "text", "path"),
    [
        ("resnet18", "after:layer2.*", "layer2.1"),
        ("resnet18", "after:layer1.0.bn2", "layer1.0.bn2"),
        ("resnet18", "after:**", "layer4.1.conv2"),
        ("squeezenet1_0", "after:features.*", "features.3"),
        ("shufflenet_v2_x0_5", "after:stage2.*", "stage2.1"),
        ("efficientnet_b0", "after-depthwise:features.*.*", "features.2.0.block.1"),
        ("convnext_tiny", "after:features.1.*", "features.1.2"),
        ("swin_t", "after:features.0.0", "features.0.0"),
    ],
)
def test_unknown_backbones(backbones, image, probe, name, text, path):
    model = backbones(name)
    output, seen = captured(model, image, [path])
    placed = attnbench.insert(model, text, probe, input_size=image.shape)
    assert torch.equal(run(placed, image), output)
    found = {
        inserted.replace(".block.", ".", inserted.count(".block.") if name == "resnet18" else 0): m
        for inserted, m in placed.named_modules()
        if isinstance(m, attnbench.Inserted)
    }
    (given,) = found[path].attention.seen
    assert torch.equal(given, seen[path][1])


def test_unknown_backbone_replaced(backbones, image):
    model = backbones("resnet18")
    placed = attnbench.insert(model, "replace:layer*.1", "identity", input_size=image.shape)
    without = copy.deepcopy(model)
    for stage in (without.layer1, without.layer2, without.layer3, without.layer4):
        stage[1] = nn.Identity()
    assert torch.equal(run(placed, image), run(without, image))


def test_inserting_into_what_was_inserted_into(backbones, image, probe):
    """The second module goes behind the first, and is never put inside it."""
    model = backbones("mobilenet_v2")
    first = "after:14+after-depthwise:14+after-project:14"
    placed = attnbench.insert(model, first, "se,reduction=4", input_size=image.shape)
    again = attnbench.insert(placed, first, probe, input_size=image.shape)
    assert [site.layer for site in attnbench.find_sites(again, image.shape)] == [*range(1, 20)]
    outer = {p: m for p, m in again.named_modules() if isinstance(m, attnbench.Inserted)}
    assert sorted(path for path, one in outer.items() if isinstance(one.attention, probe)) == [
        "features.13",
        "features.13.block.block.conv.1",
        "features.13.block.block.conv.3",
    ]
    assert torch.equal(run(again, image), run(placed, image))
    sites = {site.layer: site for site in attnbench.find_sites(placed, image.shape)}
    assert sites[14].inside.depthwise == "features.13.block.conv.1"
    assert sites[14].inside.project == "features.13.block.conv.3"
    assert sites[14].inside.expanded == 576
    assert sites[14].replaceable
