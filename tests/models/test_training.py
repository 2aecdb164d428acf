"""Every module trains wherever it can be put."""

import pytest
import torch
from torch import nn

import attnbench
from attnbench import Inserted, insert

SIZE = (2, 3, 32, 32)
MOBILENETS = ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"]
PLACES = {
    "mobilenet_v1": "replace:4,8-12+after:3,13+after-depthwise:2,14+after-project:5",
    "mobilenet_v2": "replace:4,9-11,17+after:3,14+after-depthwise:5,14+after-project:14,18",
    "mobilenet_v3_small": "replace:4+replace-se:2,5+after:8+after-depthwise:3+after-project:12",
    "mobilenet_v3_large": "replace:2,9+replace-se:5,13+after:8,16+after-project:3",
}


def step(model, size=SIZE):
    torch.manual_seed(0)
    loss = model(torch.randn(size)).float().square().mean()
    loss.backward()
    torch.optim.SGD(model.parameters(), 1e-3).step()
    return loss


def narrow(name):
    # all widths still have channels that are multiples of 8, so that groups divide them
    options = {"width": 0.35} if "mobilenet" in name else {}
    return attnbench.create_backbone(name, num_classes=4, **options)


def attentions(model):
    return [m.attention for m in model.modules() if isinstance(m, Inserted)]


def check_trained(model):
    """Every module got gradients that are numbers, and its norms saw the batch."""
    for one in attentions(model):
        gradients = [p.grad for p in one.parameters()]
        assert all(g is not None and g.isfinite().all() for g in gradients)


@pytest.mark.parametrize(
    ("name", "module"),
    # each module in one of the networks, the control in all
    [(list(MOBILENETS)[i % len(MOBILENETS)], one) for i, one in enumerate(attnbench.list_modules())]
    + [(name, "identity") for name in MOBILENETS],
)
class TestEveryModule:
    def test_inserted_everywhere(self, name, module):
        text = "after:all+after-depthwise:all+after-project:all"
        model = insert(narrow(name), text, module, input_size=SIZE)
        assert step(model).isfinite()
        check_trained(model)

    def test_in_place_of_blocks_and_beside_them(self, name, module):
        model = insert(narrow(name), PLACES[name], module, input_size=SIZE)
        assert len(attentions(model)) >= 6
        assert step(model).isfinite()
        check_trained(model)


class Saving(nn.Module):
    """Ends in an operator whose backward pass needs its own output."""

    function = staticmethod(torch.sigmoid)

    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return self.function(x * self.scale)


class Exp(Saving):
    function = staticmethod(lambda x: torch.exp(-x.abs()))


class Product(Saving):
    """Needs its input."""

    function = staticmethod(lambda x: x * torch.tanh(x))


# an addition in place, an activation in place, or both, come right behind these
IN_PLACE = [
    ("resnet18", "after:layer1.0.bn2"),
    ("resnet18", "after:bn1"),
    ("resnet18", "after:**.bn*"),
    ("resnet18", "after:**.downsample"),
    ("resnet18", "replace:layer2.1.bn2"),
    ("squeezenet1_0", "after:features.*"),
    ("squeezenet1_0", "after:**.squeeze,**.expand*"),
    ("shufflenet_v2_x0_5", "after:stage2.*"),
    ("regnet_y_400mf", "after:**.f"),
    ("efficientnet_b0", "after:**.block.0"),
    ("mobilenet_v2", "after:1,2,19+after-depthwise:all+after:**.conv.0.1"),
    ("mobilenet_v3_small", "after:features.0.1,features.12.1+after-project:all"),
]


@pytest.mark.parametrize(
    ("module", "training"), [(Saving, True), (Saving, False), (Exp, True), (Product, True)]
)
@pytest.mark.parametrize(("name", "placement"), IN_PLACE)
def test_what_the_module_saved_is_not_overwritten(name, placement, module, training):
    size = (2, 3, 48, 48)
    model = insert(narrow(name), placement, module, input_size=size).train(training)
    step(model, size)
    check_trained(model)


@pytest.mark.parametrize(
    ("name", "placement"),
    [("resnet18", "after:layer1.0.bn2"), ("squeezenet1_0", "after:**.squeeze")],
)
def test_the_test_above_can_fail(monkeypatch, name, placement):
    monkeypatch.setattr(Inserted, "forward", lambda self, x: self.attention(self.block(x)))
    model = insert(narrow(name), placement, Saving)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        step(model, (2, 3, 64, 64))


def test_frozen_block_still_passes_gradients_on():
    model = narrow("mobilenet_v2").eval()
    for parameter in model.parameters():
        parameter.requires_grad = False
    placed = insert(model, "after:3+after-depthwise:14", Saving, input_size=SIZE)
    step(placed)
    check_trained(placed)
    assert {p.requires_grad for p in placed.features[2].block.parameters()} == {False}


def test_gradients_are_those_of_the_plain_network():
    """The identity changes no gradient, in train mode either."""
    torch.manual_seed(0)
    plain = narrow("mobilenet_v2")
    placed = insert(plain, "after:all+after-depthwise:all", "identity", input_size=SIZE)
    step(plain)
    step(placed)
    # MobileNetV2 itself has no module called `block`
    ours = {key.replace(".block.", "."): one for key, one in placed.named_parameters()}
    for key, parameter in plain.named_parameters():
        assert torch.equal(ours[key].grad, parameter.grad), key
