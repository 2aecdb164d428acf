"""Small nets with MACs worked by hand, all for an input of (1, 16, 6, 6)."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = (1, 16, 6, 6)
N = 36  # positions


class Apply(nn.Module):
    """Runs a function of (module, image), so that a net fits on a few lines."""

    def __init__(self, forward: Callable[[nn.Module, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.run = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, image: Tensor) -> Tensor:
        return self.run(self, image)


class SharedParent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        conv = nn.Conv2d(16, 16, 1)
        self.left, self.right = nn.Sequential(conv), nn.Sequential(conv)

    def forward(self, image: Tensor) -> Tensor:
        return self.left(image) + self.right(image)


class Subspaces(nn.Module):
    """ULSAM's shape: per subspace depthwise 1x1, max pool, 1x1 to one channel, softmax, gate."""

    def __init__(self, groups: int = 4) -> None:
        super().__init__()
        self.groups = groups
        self.depthwise = nn.ModuleList(nn.Conv2d(4, 4, 1, groups=4) for _ in range(groups))
        self.point = nn.ModuleList(nn.Conv2d(4, 1, 1) for _ in range(groups))

    def forward(self, image: Tensor) -> Tensor:
        parts = image.chunk(self.groups, dim=1)
        return torch.cat([self.part(i, part) for i, part in enumerate(parts)], dim=1)

    def part(self, at: int, part: Tensor) -> Tensor:
        pooled = F.max_pool2d(self.depthwise[at](part), 3, 1, 1)
        gate = self.point[at](pooled).flatten(2).softmax(-1).view(-1, 1, *part.shape[2:])
        return part * gate + part


def rows(image: Tensor) -> Tensor:
    return image.flatten(2).transpose(1, 2)  # (1, 36, 16)


def se(m, x):
    return x * torch.sigmoid(m.up(F.relu(m.down(F.adaptive_avg_pool2d(x, 1)))))


def non_local(product):
    def forward(m, x):
        q, k, v = (conv(x).flatten(2) for conv in (m.q, m.k, m.v))  # (1, 8, 36)
        return m.out(product(q, k, v).view(1, 8, 6, 6)) + x

    return lambda: Apply(
        forward,
        q=nn.Conv2d(16, 8, 1),
        k=nn.Conv2d(16, 8, 1),
        v=nn.Conv2d(16, 8, 1),
        out=nn.Conv2d(8, 16, 1),
    )


def by_operator(q, k, v):
    return v @ (q.transpose(1, 2) @ k).softmax(-1).transpose(1, 2)


def by_function(q, k, v):
    return torch.matmul(v, torch.bmm(q.transpose(1, 2), k).softmax(-1).transpose(1, 2))


def by_einsum(q, k, v):
    weights = torch.einsum("bcn,bcm->bnm", q, k).softmax(-1)
    return torch.einsum("bnm,bcm->bcn", weights, v)


def by_attention(q, k, v):
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).contiguous()


def gate(m, x):
    centred = (x - x.mean((2, 3), keepdim=True)).pow(2)
    return x * torch.sigmoid(centred / (4 * centred.sum((2, 3), keepdim=True) / 35 + 1e-4) + 0.5)


def multihead(weights):
    def forward(m, x):
        tokens = rows(x)
        return m.mha(tokens, tokens, tokens, need_weights=weights)[0]

    return lambda: Apply(forward, mha=nn.MultiheadAttention(16, 4, batch_first=True))


def conv_stack():
    return nn.Sequential(
        nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
        nn.Conv2d(16, 8, 3, stride=2, groups=4, padding="valid"),
        nn.ConvTranspose2d(8, 4, 3, stride=2, groups=2),
        nn.Conv2d(4, 4, 3, padding="same", dilation=2),
        nn.BatchNorm2d(4),
        nn.ReLU6(inplace=True),
    )


class Net(NamedTuple):
    make: Callable[[], nn.Module]
    macs: int


_PROJECT = 4 * N * 16 * 8
_PAIR = 2 * N * N * 8
_TOKENS = 4 * N * 16 * 16 + 2 * N * N * 16

NETS = {
    "se": Net(lambda: Apply(se, down=nn.Conv2d(16, 4, 1), up=nn.Conv2d(4, 16, 1)), 2 * 16 * 4),
    "non_local @": Net(non_local(by_operator), _PROJECT + _PAIR),
    "non_local matmul": Net(non_local(by_function), _PROJECT + _PAIR),
    "non_local einsum": Net(non_local(by_einsum), _PROJECT + _PAIR),
    "non_local sdpa": Net(non_local(by_attention), _PROJECT + _PAIR),
    "parameter-free gate": Net(lambda: Apply(gate), 0),
    "convolutions": Net(
        conv_stack, N * 16 * 9 + 2 * 2 * 8 * 4 * 9 + 2 * 2 * 8 * 2 * 9 + 5 * 5 * 4 * 4 * 9
    ),
    "shared": Net(lambda: nn.Sequential(*[nn.Conv2d(16, 16, 1)] * 2), 2 * N * 256),
    "shared parent": Net(SharedParent, 2 * N * 256),
    "functional": Net(
        lambda: Apply(
            lambda m, x: F.linear(F.conv2d(x, m.c.weight, padding=1), m.l.weight, m.l.bias),
            c=nn.Conv2d(16, 4, 3),
            l=nn.Linear(6, 5),
        ),
        N * 16 * 4 * 9 + 4 * 6 * 6 * 5,
    ),
    "multihead": Net(multihead(False), _TOKENS),
    "multihead weights": Net(multihead(True), _TOKENS),
    "linear 3-D": Net(lambda: Apply(lambda m, x: m.l(rows(x)), l=nn.Linear(16, 8)), N * 128),
    "linear 4-D": Net(
        lambda: Apply(lambda m, x: m.l(x.permute(0, 2, 3, 1)), l=nn.Linear(16, 8)), N * 128
    ),
    "upsampling": Net(
        lambda: nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(16, 2, 1)),
        4 * N * 32,
    ),
    "subspaces": Net(Subspaces, 2 * N * 16),
}


class Failing(nn.Module):
    """Raises in forward, after some of its parts have run."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(16, 4, 1), nn.BatchNorm2d(4)

    def forward(self, image: Tensor) -> Tensor:
        self.norm(self.conv(image))
        raise ValueError("no such\nthing")


class ByValue(nn.Module):
    """Looks at values, so that it cannot run on shapes alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 4, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(image) if image.sum().item() < 1e9 else image


@pytest.fixture(params=sorted(NETS))
def net(request) -> Net:
    return NETS[request.param]


@pytest.fixture
def failing() -> nn.Module:
    return Failing()


@pytest.fixture
def by_value() -> nn.Module:
    return ByValue()


@pytest.fixture
def size() -> tuple[int, ...]:
    return SIZE


def _footprint(model: nn.Module) -> dict[str, object]:
    """Everything of a model that a counter could leave a mark on."""
    return {
        path: (
            module.training,
            sorted(vars(module)),
            len(module._forward_hooks),
            len(module._forward_pre_hooks),
            [
                (name, id(t), t.clone(), t.device, t.requires_grad)
                for held in (module._parameters, module._buffers)
                for name, t in held.items()
                if t is not None
            ],
        )
        for path, module in model.named_modules()
    }


def _globals() -> tuple[object, ...]:
    module = nn.modules.module
    names = ("matmul", "mm", "bmm", "addmm", "baddbmm", "mul", "add")
    return (
        dict(vars(F)),
        {name: vars(torch)[name] for name in names},
        {name: vars(Tensor).get(name) for name in names},
        torch.backends.mha.get_fastpath_enabled(),
        torch.backends.cuda.flash_sdp_enabled(),
        torch.backends.cuda.math_sdp_enabled(),
        torch.is_grad_enabled(),
        torch._C._get_tracing_state(),
        len(module._global_forward_hooks),
        len(module._global_forward_pre_hooks),
        torch.get_rng_state().tolist(),
    )


@pytest.fixture
def untouched():
    """A check: call it with a model, run something, call what it returned."""

    def watch(model: nn.Module) -> Callable[[], None]:
        before, world = _footprint(model), _globals()

        def check() -> None:
            assert repr(_footprint(model)) == repr(before)
            assert _globals() == world

        return check

    return watch
