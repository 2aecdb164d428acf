"""``attnbench activations``: feature maps of an image before and after inserted modules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli.options import Plugins
from attnbench.cli.output import load_catalog, log, stdout_to_stderr
from attnbench.errors import RequestError
from attnbench.utils.text import describe

if TYPE_CHECKING:
    from torch import Tensor


EXAMPLES = (
    "attnbench accuracy -b mobilenet_v2 -m se -p after:14 --save weights",
    "attnbench activations -b mobilenet_v2 -m se -p after:14 \\\n"
    "    --weights weights/se.pt --image 3 -o maps.png",
)

Backbone = Annotated[str, typer.Option("-b", "--backbone", metavar="SPEC", help="NAME,key=value.")]
Module = Annotated[str, typer.Option("-m", "--module", metavar="SPEC", help="NAME,key=value.")]
Placement = Annotated[
    str, typer.Option("-p", "--placement", metavar="PLACEMENT", help="after:14 ...")
]
Image = Annotated[
    str,
    typer.Option(
        "--image",
        metavar="FILE|N",
        help="A file, or the number of a test image of the data set.",
    ),
]
Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="FILE", help="A .png, .pdf or .svg file.")
]
Weights = Annotated[
    Path, typer.Option("--weights", metavar="FILE", help="From attnbench accuracy --save.")
]
Dataset = Annotated[
    str, typer.Option("--dataset", metavar="NAME", help="Data set of the training.")
]
Recipe = Annotated[
    str | None, typer.Option("--recipe", metavar="NAME", help="Recipe of the training.")
]


def command(
    backbone: Backbone,
    module: Module,
    placement: Placement,
    image: Image,
    output: Output,
    weights: Weights,
    dataset: Dataset = "digits",
    recipe: Recipe = None,
    plugin: Plugins = None,
) -> None:
    """Draw feature maps around each inserted module."""
    catalog = load_catalog(plugin)
    with stdout_to_stderr():
        from attnbench.measure.accuracy import AccuracyMeter
        from attnbench.measure.cost import CostMeter
        from attnbench.models.pretrained import transfer
        from attnbench.reports.figures.activations import draw_maps
        from attnbench.reports.figures.feature_maps import attention_maps
        from attnbench.reports.figures.figure_files import save
        from attnbench.suites.case import Training
        from attnbench.suites.plan import make_case
        from attnbench.training.recipe import default_recipe, find_recipe

        name = recipe or default_recipe(dataset)
        case = make_case(catalog, backbone=backbone, module=module, placement=placement)
        case = case.for_training(Training(dataset, name), find_recipe(name).size)
        meter = AccuracyMeter(CostMeter(catalog))
        meter.check(case)
        network = meter.network(case)
        kept = transfer(network, weights)
        picture, given = _images(_raw(image, dataset), name)
        sites = attention_maps(network, given)
        title = f"{module} at {placement} in {backbone}"
        saved = save(draw_maps(picture, sites, title), output)
    log(f"{weights}: {kept}")
    log(f"wrote {saved}")


def _images(raw: Tensor, recipe: str) -> tuple[Tensor, Tensor]:
    """Return the image, (3, H, W) in uint8, and the input of the network, (1, 3, S, S)."""
    import torch

    from attnbench.datasets.dataset import LabeledImages
    from attnbench.training.dataloader import feed
    from attnbench.training.recipe import find_recipe

    images = LabeledImages(torch.zeros(1, dtype=torch.int64), ("",), lambda _: raw, raw[None])
    given, _ = next(iter(feed(images, find_recipe(recipe)).test()))
    return raw.expand(3, -1, -1), given


def _raw(image: str, dataset: str) -> Tensor:
    """Return an image, (C, H, W) in uint8, from the test set or from a file."""
    from attnbench.datasets.registry import load

    if not image.isdecimal():
        from attnbench.datasets.image_files import decode

        try:
            return decode(Path(image))
        except Exception as error:  # the decoders of PIL raise various exceptions
            message = f"--image cannot be read: got {image!r}: {describe(error)}"
            raise RequestError(message) from error
    test = load(dataset).test
    if int(image) >= len(test):
        raise RequestError(
            f"--image is out of range: got {image}. {dataset} has test images 0 to {len(test) - 1}."
        )
    return test.image(int(image))
