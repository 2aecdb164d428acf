"""Operators of unknown MACs are named, and every operator of torch is one of three kinds."""

import re

import pytest
import torch
import torchvision  # noqa: F401  (registers its operators)
from torch import Tensor, nn

from attnbench.counting.cost import cost
from attnbench.counting.mac_rules import RULES
from attnbench.counting.recorder import Recorder
from attnbench.counting.uncounted_operators import is_free, plain_name, tensors_of_unknown

SIZE = (1, 4, 8)
PRODUCTS = re.compile(
    r"(?!.*(index|masked|packed_sequence|flatten_weight|pack_4bit|fused_rms))"
    r".*(conv(?!ert)|linear|matmul|mm(?!a|in|ax)|attention|rnn|lstm(?!_cell)|gru(?!_cell)|_dist|bilinear"
    r"|einsum|solve|cholesky|linalg_(?!cross|vector_norm|_powsum|check)).*"
)
"""Names of operators that multiply two large operands, as far as names say it."""


@torch.library.custom_op("attnbench_tests::product", mutates_args=())
def product(left: Tensor, right: Tensor) -> Tensor:
    return left @ right


@torch.library.custom_op("attnbench_tests::pair", mutates_args=())
def pair(left: Tensor) -> tuple[Tensor, Tensor]:
    return left @ left.transpose(1, 2), left.clone()


@torch.library.custom_op("attnbench_tests::in_place", mutates_args={"left"})
def in_place(left: Tensor, right: Tensor) -> None:
    left.copy_(left @ right)


@torch.library.custom_op("attnbench_tests::listed", mutates_args=())
def listed(left: Tensor, rights: list[Tensor]) -> Tensor:
    return left @ rights[0]


class Applied(nn.Module):
    def __init__(self, run):
        super().__init__()
        self.run, self.weight = run, nn.Parameter(torch.eye(8))

    def forward(self, x):
        return self.run(x, self.weight)


def named(operator, *sizes, calls=1):
    return {"operator": operator, "calls": calls, "sizes": list(map(list, sizes))}


def change(x, w):
    changed = x.clone()
    in_place(changed, w)
    return changed


MATRIX = (8, 8)
UNKNOWN = {
    "custom": (lambda x, w: product(x, w), named("attnbench_tests::product", SIZE, MATRIX)),
    "two calls": (
        lambda x, w: product(product(x, w), w),
        named("attnbench_tests::product", SIZE, MATRIX, calls=2),
    ),
    "two results": (lambda x, w: pair(x)[1], named("attnbench_tests::pair", SIZE)),
    "in place": (change, named("attnbench_tests::in_place", SIZE, MATRIX)),
    "a list": (
        lambda x, w: listed(x, [w, w]),
        named("attnbench_tests::listed", SIZE, MATRIX, MATRIX),
    ),
    "solve": (
        lambda x, w: torch.linalg.solve(w, x[0].t()),
        named("_linalg_solve_ex", MATRIX, (8, 4)),
    ),
    "inverse": (lambda x, w: torch.linalg.inv(w), named("linalg_inv_ex", MATRIX)),
    "exponential": (lambda x, w: torch.matrix_exp(w), named("linalg_matrix_exp", MATRIX)),
    "svd": (lambda x, w: torch.linalg.svd(w).S, named("_linalg_svd", MATRIX)),
    "qr": (lambda x, w: torch.linalg.qr(w).Q, named("linalg_qr", MATRIX)),
    "eigenvalues": (lambda x, w: torch.linalg.eigh(w).eigenvalues, named("_linalg_eigh", MATRIX)),
    "cholesky": (lambda x, w: torch.linalg.cholesky(w), named("linalg_cholesky_ex", MATRIX)),
    "sparse": (
        lambda x, w: torch.sparse.mm(w.to_sparse(), x[0].t()),
        named("_sparse_addmm", (8, 4), MATRIX, (8, 4)),
    ),
}


@pytest.mark.parametrize(("run", "found"), UNKNOWN.values(), ids=UNKNOWN)
def test_operators_of_unknown_macs_are_named(run, found):
    assert cost(Applied(run), SIZE).uncounted == [found]


def test_no_counter_agrees_over_an_operator_of_unknown_macs():
    counted = cost(Applied(lambda x, w: product(x @ w, w)), SIZE)
    assert counted.macs == 4 * 8 * 8
    assert [report.agree for report in counted.counters.values()] == [False] * 4
    assert counted.counters["rules"].unsupported == {"attnbench_tests::product": 1}
    assert counted.to_dict()["uncounted"] == counted.uncounted != []


def profiled(x, w):
    with torch.profiler.record_function("name"):
        return x @ w


def conditional(x, w):
    return torch.ops.higher_order.cond(x.sum() > 1e9, lambda x: x, lambda x: x @ w, (x,))


def looped(x, w):
    from torch._higher_order_ops.while_loop import while_loop_op

    start = (torch.zeros((), dtype=torch.int64), x)
    return while_loop_op(lambda i, x: i < 3, lambda i, x: (i + 1, x @ w), start, ())[1]


def composite(x, w):
    with torch.inference_mode():
        return torch.matmul(x, w)


ONE = 4 * 8 * 8
COUNTED = {
    "profiler": (profiled, ONE),
    "branch": (conditional, ONE),
    "loop": (looped, 3 * ONE),
    "inference mode": (composite, ONE),
    "vmap": (lambda x, w: torch.func.vmap(lambda row: row @ w)(x[0]), ONE),
    "checkpoint": (
        lambda x, w: torch.utils.checkpoint.checkpoint(torch.matmul, x, w, use_reentrant=False),
        ONE,
    ),
    "a scale": (lambda x, w: x * w.sum(), 0),
    "loop of outer products": (lambda x, w: sum(torch.outer(row, row) for row in x[0]), 0),
}


@pytest.mark.parametrize(("run", "macs"), COUNTED.values(), ids=COUNTED)
def test_products_are_found_wherever_they_run(run, macs):
    counted = cost(Applied(run), SIZE)
    assert (counted.macs, counted.uncounted) == (macs, [])


def test_flex_attention_is_counted_as_attention():
    from torch._higher_order_ops.flex_attention import flex_attention

    query, every = torch.zeros(1, 2, 5, 4), torch.ones((), dtype=torch.bool)
    blocks = (1, 1, *[torch.ones(1, 1, 1, dtype=torch.int32)] * 2, *[None] * 6, 128, 128)
    mask = (*blocks, lambda *_: every)
    with torch.no_grad(), Recorder() as recorder:
        flex_attention(query, query, query, lambda s, *_: s, mask, 1.0, {})
    assert [op.macs for op in recorder.ops] == [2 * 2 * 5 * 5 * 4]


def overloads():
    """Yield the operators of torch and torchvision that take several tensors."""
    dispatched = set(torch._C._dispatch_get_all_op_names())  # without those of TorchScript alone
    for schema in torch._C._jit_get_all_schemas():
        library, _, name = schema.name.partition("::")
        tensors = [
            str(a.type) for a in schema.arguments if "Tensor" in str(a.type) and not a.is_out
        ]
        if library in ("aten", "torchvision") and len(tensors) + ("List" in str(tensors)) > 1:
            packet = getattr(getattr(torch.ops, library), name, None)
            overload = schema.overload_name or "default"
            if hasattr(packet, overload) and getattr(packet, overload).name() in dispatched:
                yield name if library == "aten" else schema.name, getattr(packet, overload)


def is_made_of_others(operator):
    return torch._C._dispatch_has_kernel_for_dispatch_key(
        operator.name(), torch._C.DispatchKey.CompositeImplicitAutograd
    )


def test_every_operator_of_several_tensors_is_counted_or_free_or_reported():
    names = {name for name, operator in overloads() if not is_made_of_others(operator)}
    assert len(names) > 400
    free = {name for name in names if is_free(name)}
    counted = {name for name in names if plain_name(name) in RULES}
    reported = {name for name, op in overloads() if tensors_of_unknown(op) is not None}
    assert not free & counted
    assert not free & reported
    views = names - free - counted - reported
    assert not views, views


def test_no_product_is_on_the_list_of_those_without():
    names = {name for name, _ in overloads()}
    assert sorted(name for name in names if is_free(name) and PRODUCTS.fullmatch(name)) == []


def test_an_operator_of_a_later_torch_is_reported():
    with torch.library._scoped_library("aten", "FRAGMENT") as library:
        library.define("later_product(Tensor a, Tensor b) -> Tensor")
        library.impl("later_product", lambda a, b: a @ b, "CompositeExplicitAutograd")
        run = torch.ops.aten.later_product
        assert cost(Applied(lambda x, w: run(x, w)), SIZE).uncounted == [
            named("later_product", SIZE, MATRIX)
        ]
        # a number is no large operand
        assert cost(Applied(lambda x, w: run(x[0], w) + run(w[:1, :1], w[:1, :1])), SIZE)
