from collections import OrderedDict
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from attnbench import Card, Constraint
from attnbench.errors import PluginError
from attnbench.registry.attention import from_callable


class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return x * self.mix(x).sigmoid()


class Lazy(Gate):
    """Its width is known at the first call: C^2 + C parameters, and 2 C of the norm."""

    def __init__(self, channels):
        super().__init__(channels)
        self.mix = nn.Sequential(nn.LazyConv2d(channels, 1), nn.LazyBatchNorm2d())


class FirstCall(Gate):
    """A layer made in the first forward pass, on the map's device."""

    def __init__(self, channels):
        super().__init__(channels)
        self.mix = None

    def forward(self, x):
        if self.mix is None:
            self.mix = nn.Conv2d(x.shape[1], x.shape[1], 1).to(x.device)
        return super().forward(x)


class OnProcessor(FirstCall):
    """A layer made in the first forward pass, wherever the map is."""

    def forward(self, x):
        if self.mix is None:
            self.mix = nn.Conv2d(x.shape[1], x.shape[1], 1)
        return super().forward(x)


class Nested(Gate):
    def __init__(self, channels):
        super().__init__(channels)
        self.mix = nn.Sequential(OnProcessor(channels), nn.Dropout(0.5))


class Registering(Gate):
    """A parameter, a list of parameters and a buffer made in the first forward pass."""

    def __init__(self, channels):
        super().__init__(channels)
        self.mix = nn.Identity()

    def forward(self, x):
        if not hasattr(self, "scale"):
            self.register_parameter("scale", nn.Parameter(torch.randn(x.shape[1], 1, 1)))
            self.more = nn.ParameterList([torch.randn(x.shape[1], 1, 1)])
            self.register_buffer("seen", torch.zeros(3))
        return super().forward(x) * self.scale.to(x.device) * self.more[0].to(x.device)


class Growing(Gate):
    """A parameter that is replaced by one of the width."""

    def __init__(self, channels):
        super().__init__(channels)
        self.mix = nn.Identity()
        self.scale = nn.Parameter(torch.zeros(0))

    def forward(self, x):
        if self.scale.numel() != x.shape[1]:
            self.scale = nn.Parameter(torch.ones(x.shape[1], device=x.device))
        return super().forward(x) * self.scale[:, None, None]


APPEARING = [(Lazy, 16 * 16 + 16 + 32), (FirstCall, 272), (OnProcessor, 272), (Nested, 272),
             (Registering, 32), (Growing, 16)]  # fmt: skip


@pytest.mark.parametrize(("module", "params"), APPEARING)
class TestAppearing:
    def built(self, module, seed=0):
        torch.manual_seed(seed)
        return from_callable(module, {}).build(16, (5, 7))

    def test_parameters_are_there_from_the_start(self, module, params):
        built = self.built(module)
        assert sum(tensor.numel() for tensor in built.parameters()) == params
        before = {name: id(tensor) for name, tensor in built.named_parameters()}
        keys = set(built.state_dict())
        built(torch.randn(2, 16, 5, 7))
        assert {name: id(tensor) for name, tensor in built.named_parameters()} == before
        assert set(built.state_dict()) == keys
        assert all(part.training for part in built.modules())

    def test_the_seed_decides_their_values(self, module, params):
        first, again, other = (self.built(module, seed).state_dict() for seed in (0, 0, 1))
        assert all(torch.equal(first[key], again[key]) for key in first)
        drawn = [key for key in first if not torch.equal(first[key], other[key])]
        assert bool(drawn) == (module is not Growing)

    def test_the_optimizer_moves_them(self, module, params):
        built = self.built(module)
        before = [tensor.detach().clone() for tensor in built.parameters()]
        optimizer = torch.optim.SGD(built.parameters(), lr=0.5)
        built(torch.randn(2, 16, 5, 7)).square().sum().backward()
        optimizer.step()
        pairs = zip(before, built.parameters(), strict=True)
        assert all(tensor.requires_grad and not torch.equal(old, tensor) for old, tensor in pairs)

    def test_within_a_blend(self, module, params):
        built = from_callable(module, {"blend": True}).build(16, (5, 7))
        assert sum(tensor.numel() for tensor in built.parameters()) == params + 1


def test_running_statistics_keep_their_initial_values():
    norm = from_callable(Lazy, {}).build(16, (5, 7)).mix[1]
    assert not norm.running_mean.any()
    assert norm.num_batches_tracked == 0


def returning(value):
    """Return a factory of gates that return what ``value`` makes of a map."""
    return lambda channels: type("Returns", (Gate,), {"forward": lambda self, x: value(x)})(
        channels
    )


class LateInTraining(Gate):
    """A parameter made in the first pass in training."""

    def forward(self, x):
        if self.training and not hasattr(self, "scale"):
            self.scale = nn.Parameter(torch.zeros(x.shape[1], 1, 1))
        return super().forward(x) * (1 + self.scale if hasattr(self, "scale") else 1)


class LateInTheSecondPass(Gate):
    def __init__(self, channels):
        super().__init__(channels)
        self.passes = 0

    def forward(self, x):
        self.passes += 1
        if self.passes == 2:
            self.scale = nn.Conv2d(x.shape[1], x.shape[1], 1)
        return super().forward(x)


class NewInEachPass(Gate):
    def forward(self, x):
        self.scale = nn.Conv2d(x.shape[1], x.shape[1], 1, device=x.device)
        return self.scale(x)


class Unreached(Gate):
    def __init__(self, channels):
        super().__init__(channels)
        self.auxiliary = nn.LazyConv2d(4, 1)


class PairInTraining(Gate):
    def forward(self, x):
        return (x, x.mean()) if self.training else x


class OneImage(Gate):
    def forward(self, x):
        return super().forward(x)[:1]


@pytest.mark.parametrize(
    ("module", "texts"),
    [
        (LateInTraining, ["scale.", "Create them in __init__"]),
        (LateInTheSecondPass, ["scale.weight, scale.bias", "Create them in __init__"]),
        (NewInEachPass, ["scale.weight, scale.bias"]),
        (Unreached, ["lazy", "auxiliary.weight, auxiliary.bias", "size"]),
        (PairInTraining, ["a tuple of 2 in training", "got ((2, 16, 5, 7), ())"]),
        (OneImage, ["another shape in training", "(1, 16, 5, 7) for (2, 16, 5, 7)"]),
    ],
)
@pytest.mark.parametrize("options", [{}, {"blend": True}])
def test_what_training_would_miss_is_refused(module, options, texts):
    attention = from_callable(module, options)
    for size in ((5, 7), (4, 4)):
        with pytest.raises(PluginError) as caught:
            attention.build(16, size)
        assert all(text in str(caught.value) for text in texts), caught.value


class Holding(Gate):
    """A gate whose weights are wherever ``hold`` puts them."""

    def __init__(self, channels):
        super().__init__(channels)
        self.mix = None
        self.mixing = self.hold(channels)

    def forward(self, x):
        return x * self.mixing(x).sigmoid()


def holding(hold):
    """Return the class of gates whose ``hold(self, channels)`` returns what mixes channels."""
    return type("Holding", (Holding,), {"hold": hold})


def mix(channels):
    return nn.Conv2d(channels, channels, 1, bias=False)


def scaled_by(scale):
    return lambda x: x * scale.to(x.device)


def in_a_list(self, channels):
    self.kept = [mix(channels)]
    return lambda x: self.kept[0](x)


def in_a_dict_of_tuples(self, channels):
    self.kept = {"one": (1, (mix(channels),))}
    return lambda x: self.kept["one"][1][0](x)


def in_an_object(self, channels):
    self.kept = SimpleNamespace(layer=mix(channels))
    return lambda x: self.kept.layer(x)


def in_a_closure(self, channels):
    layer = mix(channels)
    return lambda x: layer(x)


def on_the_class(self, channels):
    Holding.layer = mix(channels)
    return Holding.layer.forward


def frozen(self, channels):
    layer = mix(channels).requires_grad_(False)
    return lambda x: layer(x)


def recurrent(self, channels):
    kept = [nn.GRU(channels, channels, batch_first=True, bias=False)]
    return lambda x: kept[0](x.flatten(2).transpose(1, 2))[0].transpose(1, 2).view_as(x)


def made_in_the_first_pass(self, channels):
    kept = []

    def mixing(x):
        if not kept:
            kept.append(mix(channels))
        return kept[0].to(x.device)(x)

    return mixing


def loose_parameter(self, channels):
    return scaled_by(nn.Parameter(torch.randn(1, channels, 1, 1)))


def loose_leaf(self, channels):
    self.kept = torch.randn(1, channels, 1, 1, requires_grad=True)
    return lambda x: x * self.kept


def many(self, channels):
    scales = [nn.Parameter(torch.randn(*[1] * n, channels, 1, 1)) for n in range(1, 8)]
    return lambda x: sum(x * scale.to(x.device).view(1, -1, 1, 1) for scale in scales)


SQUARE, ROW = "got (16, 16, 1, 1). ", "got (1, 16, 1, 1). "
FOUR = (
    "got (1, 16, 1, 1), (1, 1, 16, 1, 1), (1, 1, 1, 16, 1, 1), (1, 1, 1, 1, 16, 1, 1) and 3 more. "
)


@pytest.mark.parametrize(
    ("hold", "got"),
    [
        (in_a_list, SQUARE),
        (in_a_dict_of_tuples, SQUARE),
        (in_an_object, SQUARE),
        (in_a_closure, SQUARE),
        (on_the_class, SQUARE),
        (frozen, SQUARE),
        (recurrent, "got (48, 16). "),
        (made_in_the_first_pass, SQUARE),
        (loose_parameter, ROW),
        (loose_leaf, ROW),
        (many, FOUR),
    ],
)
@pytest.mark.parametrize("options", [{}, {"blend": True}])
def test_weights_that_are_not_registered_are_refused(hold, got, options):
    attention = from_callable(holding(hold), options)
    with pytest.raises(PluginError) as caught:
        attention.build(16, (5, 7))
    assert str(caught.value) == (
        f"{attention.spec} uses weights that are not among its parameters: {got}Keep layers as "
        "attributes or in nn.ModuleList, nn.ModuleDict; loose weights as nn.Parameter attributes"
    )
    with pytest.raises(PluginError, match="not among its parameters"):
        attention.build(16)


def layer_in_each_pass(self, channels):
    return lambda x: mix(channels).to(x)(x)


def norm_in_each_pass(self, channels):
    return lambda x: nn.LayerNorm(x.shape[1:], device=x.device)(x)


def parameter_in_each_pass(self, channels):
    return lambda x: scaled_by(nn.Parameter(torch.randn(1, channels, 1, 1)))(x)


@pytest.mark.parametrize(
    ("hold", "got"),
    [
        (layer_in_each_pass, SQUARE),
        (norm_in_each_pass, "got (16, 5, 7). "),
        (parameter_in_each_pass, ROW),
    ],
)
@pytest.mark.parametrize("options", [{}, {"blend": True}])
def test_weights_made_anew_in_each_pass_are_refused(hold, got, options):
    attention = from_callable(holding(hold), options)
    with pytest.raises(PluginError) as caught:
        attention.build(16, (5, 7))
    assert str(caught.value) == (
        f"{attention.spec} makes weights anew in each pass, so that none is trained: {got}"
        "Create them in __init__, or once in the first pass"
    )


def constants(self, channels):
    self.kept = [torch.randn(1, channels, 1, 1)]
    return lambda x: scaled_by(self.kept[0])(x)


def alias(self, channels):
    self.mix = mix(channels)
    self.kept = [self.mix, self]
    return lambda x: self.kept[1].kept[0](x)


def bound(self, channels):
    self.mix = mix(channels)
    return self.mix.forward


def flat_weights(self, channels):
    self.mix = nn.GRU(channels, channels, batch_first=True)
    return lambda x: self.mix(x.flatten(2).transpose(1, 2))[0].transpose(1, 2).view_as(x)


def own_gradient(self, channels):
    self.mix = mix(channels)

    def mixing(x):
        with torch.enable_grad():
            y = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.mix(y).square().sum(), y)
        return gradient

    return mixing


def generated(self, channels):
    self.weight = nn.Parameter(torch.randn(channels, channels, 1, 1))
    layer = mix(channels).to("meta")
    return lambda x: torch.func.functional_call(layer, {"weight": self.weight * 2}, (x,))


def unused(self, channels):
    self.mix, self.kept = mix(channels), [mix(channels)]
    return lambda x: self.mix(x)


def normalized(self, channels):
    self.mix = nn.utils.parametrizations.spectral_norm(mix(channels))
    return lambda x: self.mix(x)


def moved_in_the_first_pass(self, channels):
    def mixing(x):
        if self.mix is None:
            self.mix = mix(channels).to(x)
        return self.mix(x)

    return mixing


def no_weights(self, channels):
    return lambda x: nn.BatchNorm2d(channels, affine=False).to(x)(x)


@pytest.mark.parametrize(
    ("hold", "params"),
    [
        (constants, 0),
        (alias, 256),
        (bound, 256),
        (flat_weights, 2 * 3 * 16 * 16 + 2 * 3 * 16),
        (own_gradient, 256),
        (generated, 256),
        (unused, 256),
        (normalized, 256),
        (moved_in_the_first_pass, 256),
        (no_weights, 0),
    ],
)
def test_weights_that_are_registered_are_accepted_however_they_are_reached(hold, params):
    built = from_callable(holding(hold), {}).build(16, (5, 7))
    assert sum(tensor.numel() for tensor in built.parameters()) == params


class FixedWidth(Gate):
    """Its width is an option behind another."""

    def __init__(self, dropout=0.1, dim=24):
        super().__init__(dim)


def test_an_option_that_may_be_the_width_is_named():
    for size in ((5, 7), None):
        with pytest.raises(PluginError, match="Write FixedWidth,dim=channels if"):
            from_callable(FixedWidth, {}).build(16, size)
    built = from_callable(FixedWidth, {"dim": "channels"}).build(16)
    assert built.mix.weight.shape == (16, 16, 1, 1)


MAP = "(1, 16, 5, 7)"
MUST = "must return one tensor of the input's shape"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (lambda x: (x, x), f"returns a tuple of 2, {MUST}: got ({MAP}, {MAP}) for {MAP}"),
        (lambda x: [x], f"returns a list of 1, {MUST}: got ({MAP}) for {MAP}"),
        (lambda x: {"out": x}, f"returns a dict of 1, {MUST}: got {{'out': {MAP}}} for {MAP}"),
        (
            lambda x: OrderedDict(),
            f"returns a OrderedDict of 0, {MUST}: got {{}} for {MAP}",
        ),
        (lambda x: None, f"returns None, {MUST}: got NoneType for {MAP}"),
        (
            lambda x: SimpleNamespace(out=x),
            f"returns a SimpleNamespace, {MUST}: got SimpleNamespace for {MAP}",
        ),
        (
            lambda x: x.mean((2, 3), True),
            f"returns another shape, {MUST}: got (1, 16, 1, 1) for {MAP}",
        ),
        (lambda x: x.flatten(1), f"returns another shape, {MUST}: got (1, 560) for {MAP}"),
        (
            lambda x: x.double(),
            f"returns another dtype, {MUST} and dtype: got torch.float64 for torch.float32",
        ),
        (lambda x: x @ x, f"fails on {MAP}: RuntimeError: "),
    ],
)
def test_an_output_that_breaks_the_contract(value, problem):
    for options in ({}, {"blend": True}):
        with pytest.raises(PluginError) as caught:
            from_callable(returning(value), options).build(16, (5, 7))
        assert problem in str(caught.value)
        assert "\n" not in str(caught.value)


def only_pairs(x):
    if x.shape[0] == 1:
        raise ValueError("one image")
    return x


def branching(x):
    return x if x.mean() > 100 else x * 2


class InPlace(Gate):
    def forward(self, x):
        return x.mul_(2)


def one_map_size(channels, *, feature_size):
    return returning(lambda x: x + torch.zeros(feature_size))(channels)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "factory",
    [
        returning(lambda x: x.transpose(2, 3).contiguous().transpose(2, 3)),
        returning(only_pairs),
        returning(branching),
        InPlace,
        one_map_size,
        lambda channels: torch.jit.script(Gate(channels)),
    ],
)
def test_modules_that_keep_it(factory):
    built = from_callable(factory, {}).build(16, (5, 7))
    assert built(torch.randn(2, 16, 5, 7)).shape == (2, 16, 5, 7)


def test_it_runs_once_for_each_width_and_size():
    runs = []

    def counted(x):
        runs.append(tuple(x.shape))
        return x

    attention = from_callable(returning(counted), {})
    for channels, size in ((8, (4, 4)), (8, (4, 4)), (16, (4, 4)), (8, (4, 5)), (8, (4, 4))):
        attention.build(channels, size)
    # the module's first pass of all is followed by two in training
    assert runs == [(1, 8, 4, 4), *[(2, 8, 4, 4)] * 2, (1, 16, 4, 4), (1, 8, 4, 5)]


def test_it_takes_nothing_from_the_generators():
    def drawing(x):
        return x + torch.rand(()) + torch.rand_like(x)

    attention = from_callable(returning(drawing), {})
    torch.manual_seed(0)
    first = attention.build(8, (4, 4)), torch.rand(3)
    torch.manual_seed(0)
    again = attention.build(8, (4, 4)), torch.rand(3)
    assert torch.equal(first[1], again[1])
    assert torch.equal(first[0].mix.weight, again[0].mix.weight)


def test_without_a_size_a_failing_run_is_no_verdict():
    attention = from_callable(returning(lambda x: x.view(len(x), 8, 7, 7)), {})
    assert isinstance(attention.build(8), nn.Module)


def test_a_map_that_the_module_fails_on_is_named():
    even = returning(lambda x: x * F.interpolate(F.avg_pool2d(x, 2), scale_factor=2))
    from_callable(even, {}).build(16, (4, 6))
    with pytest.raises(PluginError, match=r"fails on \(1, 16, 5, 7\): RuntimeError: .*size"):
        from_callable(even, {}).build(16, (5, 7))


class Constrained(Gate):
    card = Card(
        title="Even widths",
        family="channel",
        constraints=(Constraint("channels must be even", lambda channels, **_: channels % 2 == 0),),
    )


def test_a_constraint_is_named_before_anything_is_run():
    with pytest.raises(Exception, match="channels must be even"):
        from_callable(Constrained, {}).build(15, (4, 4))
