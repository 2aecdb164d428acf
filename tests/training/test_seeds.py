"""The streams of random numbers: distinct, and for ever the same."""

import hashlib
import itertools

import torch

from attnbench.training.seeds import (
    backbone_seed,
    image_seed,
    module_seed,
    order,
    step_seed,
    stream,
)

GOLDEN = {
    "backbone": 274627092425642288,
    "module": 7658437542138165262,
    "step": 4496653803066668728,
    "image": 8226537945031189318,
    "order": [5, 6, 2, 0, 4, 3, 1, 7],
}


def test_a_stream_is_the_start_of_a_hash():
    digest = hashlib.blake2b(b"step\x003\x0014", digest_size=8).hexdigest()
    assert stream("step", 3, 14) == int(digest, 16) >> 1 == step_seed(3, 14)


def test_golden_values():
    # records and checkpoints of older versions were trained with these
    assert backbone_seed(0) == GOLDEN["backbone"]
    assert module_seed(1, "features.3") == GOLDEN["module"]
    assert step_seed(2, 5) == GOLDEN["step"]
    assert image_seed(0, 1, 2) == GOLDEN["image"]
    assert order(0, 0, 8).tolist() == GOLDEN["order"]


def test_streams_are_distinct():
    numbers = range(4)
    found = [
        *(backbone_seed(one) for one in numbers),
        *(module_seed(one, path) for one in numbers for path in ("", "1", "11", "features.1")),
        *(step_seed(*two) for two in itertools.product(numbers, range(12))),
        *(image_seed(*three) for three in itertools.product(numbers, numbers, range(12))),
        *(stream("order", *two) for two in itertools.product(numbers, numbers)),
    ]
    assert len(set(found)) == len(found)
    assert all(0 <= one < 2**63 for one in found)


def test_numbers_that_run_together_are_told_apart():
    assert stream("image", 1, 23) != stream("image", 12, 3) != stream("image", 123)


def test_every_seed_is_one_that_torch_takes():
    for one in (stream("a"), 2**63 - 1):
        torch.Generator().manual_seed(one)


def test_an_order_is_a_permutation_of_its_own_and_draws_from_no_other_generator():
    before = torch.random.get_rng_state()
    first = order(0, 0, 50)
    assert sorted(first.tolist()) == list(range(50))
    assert torch.equal(first, order(0, 0, 50))
    assert not torch.equal(first, order(0, 1, 50))
    assert not torch.equal(first, order(1, 0, 50))
    assert torch.equal(before, torch.random.get_rng_state())
