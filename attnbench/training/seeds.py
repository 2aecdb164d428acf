"""Streams of random numbers, each fixed by the seed and by what it is for.

Arms of one seed start from the same backbone, see the same images in the same order with the same
augmentation, and drop the same activations of the backbone. Three things bring that about: modules
are initialised from streams of their own, the order of an epoch has one too, and the global
generator is set anew before every step, so that what a module draws in its forward pass moves
nothing that comes after the step. A training that goes on from a checkpoint needs no saved state
for the same reason.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def stream(*parts: int | str) -> int:
    """Return the seed of a stream, 63 bits, from what it is for; the same on every machine."""
    text = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def backbone_seed(seed: int) -> int:
    """Return the seed of a backbone's initial weights."""
    return stream("backbone", seed)


def module_seed(seed: int, path: str) -> int:
    """Return the seed of the initial weights of the module at a path of the network."""
    return stream("module", seed, path)


def step_seed(seed: int, step: int) -> int:
    """Return the seed of the augmentation and the dropout of one optimizer step."""
    return stream("step", seed, step)


def image_seed(seed: int, epoch: int, index: int) -> int:
    """Return the seed of the augmentation of one image, where each has a draw of its own."""
    return stream("image", seed, epoch, index)


def order(seed: int, epoch: int, count: int) -> Tensor:
    """Return the order of an epoch's images, (count,) of int64."""
    generator = torch.Generator().manual_seed(stream("order", seed, epoch))
    return torch.randperm(count, generator=generator)
