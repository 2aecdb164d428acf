"""Batches: their images, order, cuts, normalization and augmentation."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision.transforms.v2 import functional as tv

from attnbench.datasets.dataset import LabeledImages
from attnbench.errors import RequestError
from attnbench.training import dataloader as feeds
from attnbench.training.dataloader import (
    FileFeed,
    MemoryFeed,
    augment_batch,
    feed,
    find_mixing,
    transforms,
)
from attnbench.training.seeds import image_seed, order, step_seed

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


class Stored:
    """Images of various sizes, decoded one by one; can be sent to other processes."""

    def __init__(self, images):
        self.images = images

    def __call__(self, index):
        return self.images[index]


def files(count, sides=((10, 14), (8, 8), (9, 20))):
    generator = torch.Generator().manual_seed(3)
    images = [
        torch.randint(0, 256, (1 if at % 5 == 4 else 3, *sides[at % 3]), generator=generator)
        for at in range(count)
    ]
    targets = torch.arange(count) % 7
    return LabeledImages(targets, tuple("abcdefg"), Stored([one.to(torch.uint8) for one in images]))


def normalised(images):
    """(B, 3, H, W) of uint8, by hand."""
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (MEAN, STD))
    return (images.float() / 255 - mean) / std


def all_of(batches):
    images, targets = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(targets)


def test_batches_from_memory(split, recipe):
    samples = split(40)
    batches = list(feed(samples, recipe()).training(seed=4, epoch=2))
    assert [len(images) for images, _ in batches] == [16, 16, 8]
    images, targets = all_of(batches)
    numbers = order(4, 2, 40)
    assert torch.equal(targets, samples.targets[numbers])
    assert images.dtype == torch.float32
    assert torch.allclose(images, normalised(samples.stacked[numbers]), atol=1e-6)


@pytest.mark.parametrize("channels_last", [True, False])
def test_memory_format(split, recipe, channels_last):
    images, _ = next(feed(split(8), recipe(channels_last=channels_last)).training(0, 0))
    assert images.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert images.is_contiguous() == (not channels_last)


def test_grey_images_get_three_channels_each_normalised_by_its_own(split, recipe):
    samples = split(10, channels=1)
    images, _ = all_of(feed(samples, recipe()).test())
    assert torch.allclose(images, normalised(samples.stacked.expand(-1, 3, -1, -1)), atol=1e-6)


def test_images_of_another_size_are_resized(split, recipe):
    samples = split(6, side=12)
    images, _ = all_of(feed(samples, recipe()).test())
    small = functional.interpolate(samples.stacked.float(), (8, 8), mode="bilinear", antialias=True)
    assert torch.allclose(images, normalised(small.round()), atol=1.01 / 255 / 0.2)


def test_the_shorter_side_is_fitted_and_the_centre_cut_out(recipe):
    ramp = torch.arange(40, dtype=torch.uint8).expand(3, 20, 40)
    samples = LabeledImages(torch.zeros(1, dtype=torch.int64), ("a", "b"), Stored([ramp]))
    for kind in (MemoryFeed, FileFeed):
        images, _ = next(kind(samples, recipe(resize=10)).test())
        wanted = tv.resize(ramp, [10], antialias=True)[:, 1:9, 6:14]
        assert torch.allclose(images, normalised(wanted[None]), atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "augment", "kind"),
    [
        ("files", "RandomHorizontalFlip", MemoryFeed),
        ("files", "RandomResizedCrop", FileFeed),
        ("stacked", "RandomResizedCrop", MemoryFeed),
    ],
)
def test_crops_are_of_whole_pictures(split, recipe, samples, augment, kind):
    options = {"size": 8} if augment == "RandomResizedCrop" else {}
    made = files(4) if samples == "files" else split(4)
    assert type(feed(made, recipe(augment=[{"name": augment, **options}]))) is kind


def test_test_images_come_in_order_and_whole(split, recipe):
    samples = split(600)
    batches = list(feed(samples, recipe()).test())
    assert [len(images) for images, _ in batches] == [256, 256, 88]
    images, targets = all_of(batches)
    assert torch.equal(targets, samples.targets)
    assert torch.allclose(images, normalised(samples.stacked), atol=1e-6)


@pytest.mark.parametrize("kind", [MemoryFeed, FileFeed])
@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_an_epoch_can_go_on_from_any_batch(kind, first, recipe):
    flips = recipe(augment=[{"name": "RandomHorizontalFlip"}])

    def batches(start):
        # as the loop does: the generator is set for each step
        found, at = [], start
        generator = kind(files(40), flips).training(0, 1, start)
        while True:
            torch.manual_seed(step_seed(0, at))
            batch = next(generator, None)
            if batch is None:
                return found
            found.append(batch)
            at += 1

    whole, rest = batches(0), batches(first)
    assert len(rest) == 3 - first
    for (images, targets), (same, same_targets) in zip(whole[first:], rest, strict=True):
        assert torch.equal(images, same)
        assert torch.equal(targets, same_targets)


@pytest.mark.parametrize(
    ("count", "accumulate", "processes", "sizes"),
    [
        (32, 1, 1, [16, 16]),
        (33, 1, 1, [16, 16]),
        (34, 1, 1, [16, 16, 2]),
        (9, 1, 1, [9]),
        (35, 2, 1, [16, 16]),
        (36, 2, 1, [16, 16, 4]),
        (37, 3, 1, [16, 16]),
        (39, 2, 2, [16, 16]),
        (40, 2, 2, [16, 16, 8]),
    ],
)
def test_a_last_batch_whose_parts_would_be_single_images(
    split, recipe, count, accumulate, processes, sizes
):
    made = feed(split(count), recipe(accumulate=accumulate), processes)
    assert made.steps == len(sizes)
    assert [len(images) for images, _ in made.training(0, 0)] == sizes


def test_augmented_from_memory_by_the_global_generator(split, recipe):
    flips = recipe(augment=[{"name": "RandomHorizontalFlip"}], draw=4)
    samples = split(16)
    torch.manual_seed(11)
    images, _ = next(feed(samples, flips).training(0, 0))
    plain = normalised(samples.stacked[order(0, 0, 16)])
    flipped = [
        bool(torch.allclose(a, b.flip(-1), atol=1e-6)) for a, b in zip(images, plain, strict=True)
    ]
    torch.manual_seed(11)
    draws = [bool(torch.rand(1) < 0.5) for _ in range(4)]
    assert flipped == [draw for draw in draws for _ in range(4)]


AUGMENTED = {
    "augment": [{"name": "RandomResizedCrop", "size": 8}, {"name": "RandomHorizontalFlip"}],
    "resize": 9,
}


@pytest.mark.parametrize("channels_last", [True, False])
def test_normalization_is_this_to_the_last_bit(split, recipe, channels_last):
    """Committed accuracies depend on it."""
    samples = split(40)
    images, _ = all_of(feed(samples, recipe(channels_last=channels_last)).training(1, 0))
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (MEAN, STD))
    wanted = (samples.stacked[order(1, 0, 40)].to(torch.float32) / 255.0 - mean) / std
    assert torch.equal(images, wanted)


@pytest.mark.parametrize("kind", [MemoryFeed, FileFeed])
def test_a_gpu_gets_pinned_uint8_and_normalizes_it(recipe, kind, monkeypatch):
    made, log = kind(files(20), recipe()), []
    there, pin = torch.Tensor.to, torch.Tensor.pin_memory

    def pinned(tensor):
        log.append("pinned")
        return tensor

    def moved(tensor, *to, **options):
        if to and to[0] == torch.device("cuda"):
            log.append((tensor.dtype, options))
            return tensor  # the device is simulated
        return there(tensor, *to, **options)

    monkeypatch.setattr(made, "device", torch.device("cuda"))
    monkeypatch.setattr(feeds, "DataLoader", partial(without_pinning, log))
    monkeypatch.setattr(torch.Tensor, "pin_memory", pinned)
    monkeypatch.setattr(torch.Tensor, "to", moved)
    images, _ = next(made.training(0, 0))
    sent = [
        "pinned", (torch.uint8, {"non_blocking": True}),
        "pinned", (torch.int64, {"non_blocking": True}),
    ]  # fmt: skip
    assert log == ["loader pins"] * (kind is FileFeed) + sent
    monkeypatch.setattr(torch.Tensor, "to", there)
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    assert torch.equal(images, next(kind(files(20), recipe()).training(0, 0))[0])


def without_pinning(log, images, *, pin_memory, **options):
    """Return a loader that pins nothing, as there is no device to pin for."""
    log += ["loader pins"] * pin_memory
    return DataLoader(images, **options)


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (1, True)])
def test_the_processes_of_training_go_on_from_epoch_to_epoch(
    recipe, monkeypatch, workers, persistent
):
    made = []

    def loader(images, **options):
        made.append((options["num_workers"], options["persistent_workers"]))
        return DataLoader(images, **options)

    monkeypatch.setattr(feeds, "DataLoader", loader)
    samples, chosen = files(40), recipe(workers=workers, **AUGMENTED)
    kept = FileFeed(samples, chosen)
    next(kept.training(2, 0))  # left in the middle: what was prepared must not come later
    for epoch in (1, 2):
        found = all_of(kept.training(2, epoch))
        alone = all_of(FileFeed(samples, recipe(workers=0, **AUGMENTED)).training(2, epoch))
        assert torch.equal(found[0], alone[0]) and torch.equal(found[1], alone[1])
    assert made[0] == (workers, persistent)
    assert len(made) == 3  # one of the feed that is kept, and one of each that is compared
    next(kept.test())
    assert made[-1] == (workers, False)


def test_files_have_draws_of_their_own(recipe):
    flips = recipe(augment=[{"name": "RandomHorizontalFlip"}], draw=16)
    samples = files(20, sides=((8, 8),) * 3)
    images, targets = all_of(FileFeed(samples, flips).training(6, 1))
    numbers = order(6, 1, 20).tolist()
    assert targets.tolist() == [number % 7 for number in numbers]
    for number, found in zip(numbers, images, strict=True):
        generator = torch.Generator().manual_seed(image_seed(6, 1, number))
        image = samples.image(number).expand(3, -1, -1)
        flipped = image.flip(-1) if torch.rand(1, generator=generator) < 0.5 else image
        assert torch.allclose(found, normalised(flipped[None])[0], atol=1e-6)


def test_the_number_of_processes_changes_nothing(recipe, monkeypatch):
    monkeypatch.setattr(feeds, "allowed_cores", lambda: [0, 1])
    samples = files(24)
    found = []
    for workers in (0, 2):
        torch.manual_seed(77)
        before = torch.random.get_rng_state()
        made = FileFeed(samples, recipe(workers=workers, **AUGMENTED))
        found.append(all_of(made.training(1, 0)))
        assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_no_more_processes_than_cores(recipe, monkeypatch):
    seen = []

    def loader(images, **options):
        seen.append(options["num_workers"])
        return DataLoader(images, batch_sampler=options["batch_sampler"])

    monkeypatch.setattr(feeds, "DataLoader", loader)
    monkeypatch.setattr(feeds, "allowed_cores", lambda: [0, 1, 2])
    for workers in (0, 2, 50):
        assert len(list(FileFeed(files(4), recipe(workers=workers)).test())) == 1
    assert seen == [0, 2, 3]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_decoded_any_more(recipe, workers):
    samples = files(6)
    broken = LabeledImages(samples.targets, samples.classes, Broken())
    with pytest.raises(RequestError) as caught:
        list(FileFeed(broken, recipe(workers=workers)).test())
    assert str(caught.value) == "photo.jpg cannot be decoded: truncated"


class Broken:
    def __call__(self, index):
        raise RequestError("photo.jpg cannot be decoded: truncated")


def test_files_and_memory_give_the_same_test_images(recipe):
    samples = files(15)
    for changes in ({}, {"resize": 11}):
        found = [all_of(kind(samples, recipe(**changes)).test()) for kind in (MemoryFeed, FileFeed)]
        assert torch.equal(found[0][0], found[1][0])
        assert torch.equal(found[0][1], samples.targets)
        assert torch.equal(found[1][1], samples.targets)


def test_what_fits_into_memory_does_not_depend_on_the_machine(split, recipe, monkeypatch):
    samples = split(10)
    monkeypatch.setattr(feeds, "_MEMORY", 10 * 3 * 8 * 8)
    assert type(feed(samples, recipe())) is MemoryFeed
    assert type(feed(samples, recipe(resize=9))) is FileFeed
    assert type(feed(split(11), recipe())) is FileFeed
    assert type(feed(split(30, channels=1), recipe())) is MemoryFeed
    assert type(feed(files(11), recipe())) is FileFeed


@pytest.fixture
def ramps():
    """Twelve equal images whose columns are told apart."""
    return torch.arange(8, dtype=torch.uint8).view(1, 1, 1, 8).expand(12, 3, 8, 8).clone()


FLIP = [{"name": "RandomHorizontalFlip"}]


@pytest.mark.parametrize("draw", [1, 4, 5, 12, 100])
def test_images_that_share_a_draw(ramps, recipe, draw):
    transform = transforms(recipe(augment=FLIP))
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        found = augment_batch(ramps, transform, draw)
        assert found.dtype == torch.uint8
        flipped = [bool(one[0, 0, 0] == 7) for one in found]
        expected = ramps.clone()
        expected[flipped] = expected[flipped].flip(-1)
        assert torch.equal(found, expected)
        assert all(len(set(flipped[at : at + draw])) == 1 for at in range(0, 12, draw))
        seen.add(tuple(flipped[::draw]))
    assert len(seen) > 1


def test_the_draws_are_the_global_generators(ramps, recipe):
    transform = transforms(recipe(augment=[{"name": "RandomCrop", "size": 8, "padding": 2}]))
    torch.manual_seed(3)
    first = augment_batch(ramps, transform, 2)
    torch.manual_seed(3)
    assert torch.equal(first, augment_batch(ramps, transform, 2))


def test_without_transforms(ramps, recipe):
    assert transforms(recipe()) is None
    assert augment_batch(ramps, None, 4) is ramps


def test_transforms_run_in_order(recipe, ramps):
    chain = [{"name": "Pad", "padding": [0, 0, 1, 0]}, {"name": "RandomHorizontalFlip", "p": 1.0}]
    found = transforms(recipe(augment=chain))(ramps)
    assert found[0, 0, 0].tolist() == [0, 7, 6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ({"name": "RandomCorp"}, r"unknown transform 'RandomCorp'\. Did you mean 'RandomCrop'"),
        ({"name": "functional"}, "unknown transform 'functional'.*Recipe tiny.*transforms.v2"),
        ({"name": "InterpolationMode"}, "unknown transform 'InterpolationMode'"),
        (
            {"name": "RandomCrop", "size": 8, "paddings": 1},
            r"recipe tiny: RandomCrop .*'paddings'.* size, padding.*"
            r"Did you mean 'padding'",
        ),
        ({"name": "RandomCrop"}, "recipe tiny: RandomCrop cannot be built: TypeError"),
        ({"name": "RandomHorizontalFlip", "p": 3}, "RandomHorizontalFlip cannot be built"),
    ],
)
def test_mistakes_are_named(recipe, augment, message):
    with pytest.raises(RequestError, match=message):
        transforms(recipe(augment=[augment]))


def mixed(recipe, seed, **alphas):
    torch.manual_seed(seed)
    images = torch.rand(6, 3, 8, 8)
    targets = torch.arange(6)
    return images, *find_mixing(recipe(**alphas), 7)(images, targets)


def test_no_mixing(recipe):
    assert find_mixing(recipe(), 7) is None


def test_mixup_is_a_weighted_mean_of_two_images(recipe):
    images, found, targets = mixed(recipe, 0, mixup=0.4)
    share = targets[0, 0]
    assert 0 < share < 1
    others = images.roll(1, 0)
    assert torch.allclose(found, share * images + (1 - share) * others)
    one_hot = nn.functional.one_hot(torch.arange(6), 7).float()
    assert torch.allclose(targets, share * one_hot + (1 - share) * one_hot.roll(1, 0))


def test_cutmix_gives_each_pixel_to_one_of_two_images(recipe):
    images, found, targets = mixed(recipe, 1, cutmix=1.0)
    own = (found == images).all(1)
    other = (found == images.roll(1, 0)).all(1)
    assert bool((own | other).all())
    assert own[0].double().mean().item() == pytest.approx(float(targets[0, 0]), abs=1e-6)


def test_one_of_both_is_drawn_for_each_batch(recipe):
    kinds = set()
    for seed in range(12):
        images, found, _ = mixed(recipe, seed, mixup=1.0, cutmix=1.0)
        both = (found == images).all(1) | (found == images.roll(1, 0)).all(1)
        kinds.add("cutmix" if bool(both.all()) else "mixup")
    assert kinds == {"mixup", "cutmix"}
