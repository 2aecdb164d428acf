"""Streams of random numbers, each determined by the seed and by its purpose.

Arms with the same seed have the same initial weights of the backbone, the same images in the same
order with the same augmentation, and the same dropout masks of the backbone. There are three
reasons: modules are initialized from streams of their own, the order of an epoch has its own
stream, too, and the global generator is seeded anew before every step, so that the random draws of
a module's forward pass do not affect later steps. For the same reason, a training run that resumes
from a checkpoint needs no saved generator state.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def stream(*parts: int | str) -> int:
    """Return the seed of a stream, 63 bits, from its purpose; identical on every machine."""
    text = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def backbone_seed(seed: int) -> int:
    """Return the seed of a backbone's initial weights."""
    return stream("backbone", seed)


def module_seed(seed: int, path: str) -> int:
    """Return the seed of the initial weights of the module at a path of the network."""
    return stream("module", seed, path)


def step_seed(seed: int, step: int) -> int:
    """Return the seed of augmentation and dropout in one optimizer step."""
    return stream("step", seed, step)


def image_seed(seed: int, epoch: int, index: int) -> int:
    """Return the seed of the augmentation of one image, if each has its own draws."""
    return stream("image", seed, epoch, index)


def order(seed: int, epoch: int, count: int) -> Tensor:
    """Return the order of an epoch's images, (count,) of int64."""
    generator = torch.Generator().manual_seed(stream("order", seed, epoch))
    return torch.randperm(count, generator=generator)
