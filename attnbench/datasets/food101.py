"""Food-101 (Bossard, Guillaumin and Van Gool, ECCV 2014): 101 dishes, 1,000 photographs each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attnbench.datasets.split_lists import FileListDataset, read_lines


@dataclass(frozen=True)
class Food101(FileListDataset):
    """The published split, read from the unpacked archive."""

    name = "food101"
    title = "Food-101 (Bossard et al., ECCV'14), photographs of dishes"
    page = "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/"
    terms = "photographs of foodspotting.com users; beyond scientific fair use ask the owners"
    classes = 101
    counts = (75_750, 25_250)
    archives = "food-101.tar.gz"
    places = ("food-101", "food101")
    needed = ("meta/train.txt", "meta/test.txt", "images")

    def lists(self, folder: Path) -> tuple[list[str], list[str]]:
        """Return the lists in ``meta``, with lines ``CLASS/NUMBER``, as file names."""
        train, test = (read_lines(folder / "meta" / f"{split}.txt") for split in ("train", "test"))
        return [f"{line}.jpg" for line in train], [f"{line}.jpg" for line in test]
