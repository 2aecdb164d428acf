"""Time per call of every module: as written, fused, compiled, timm's, and the bandwidth limit.

python benchmarks/modules.py [--module ulsam,groups=16 ...] [--shape 1x512x14x14 ...]
                             [--compile [BACKEND]] [--overhead] [--plain] [--budget 2]
                             [--json FILE] [--smoke]

All arms of a block are interleaved in one process, on one thread. The limit is one read and one
write of the feature map. ULSAM is compared with the released structure in plain layers, a loop
over its subspaces; every other module as it is written with its fused form.

--plain: is a module slower than the same module written plainly (plain_forms/)? One table of all
modules and shapes, plain, ours and fused interleaved, once their outputs are equal.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from command_line import NOWHERE, Parser, count, file, run, seconds
from plain_forms import FORMS, plain_form
from timm.layers.cbam import CbamModule
from timm.layers.non_local_attn import NonLocalAttn
from timm.layers.squeeze_excite import SEModule
from torch import Tensor, nn

import attnbench
from attnbench.conformance.module_under_test import relative_error
from attnbench.errors import RequestError
from attnbench.latency import Compared, Comparison, compare
from attnbench.models.fuse import fuse, has_fused_form
from attnbench.registry.attention import find_attention
from attnbench.registry.plugins import catalog
from attnbench.registry.specs import parse_spec
from attnbench.runtimes.sample_inputs import randomize_weights

MODULES = ["ulsam", "ulsam,groups=16"]
SHAPES = ["1x512x14x14", "1x96x14x14", "1x160x7x7", "1x24x56x56"]
LIMIT = "read and write once"
TOLERANCE = 1e-4  # of the largest value: what arms may differ by
PLACEMENT = "after:13,14,16,17"
PARTS = ("alone", "overhead", "plain")
SMOKE = {
    "module": ["ulsam", "ulsam,groups=5", "se", "cbam", "non_local", "identity"],
    "shape": ["1x32x7x7"],  # where five groups do not fit
    "compile": "eager",
    "parts": list(PARTS),
    "budget": 0.01,
    "size": 32,
    "json": NOWHERE,
}

TIMM: dict[str, Callable[[int], nn.Module]] = {
    "se": lambda channels: SEModule(channels, rd_ratio=1 / 16, rd_divisor=1),
    "cbam": lambda channels: CbamModule(channels, rd_ratio=1 / 16, rd_divisor=1),
    "non_local": lambda channels: NonLocalAttn(  # type: ignore[no-untyped-call]
        channels, rd_ratio=1 / 2, rd_divisor=1
    ),
}
"""timm's counterparts, with the hidden widths of ours."""


@dataclass(frozen=True)
class Block:
    """One comparison: a title, the arm that the others are measured by, and what was found."""

    title: str
    baseline: str
    found: Comparison

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield one row an arm; a speed-up is the baseline's time over the arm's."""
        for arm, one in self.found.items():
            yield {
                "block": self.title,
                "arm": arm,
                "median_ms": one.median_ms,
                "ratio": one.ratio,
                "ratio_low": one.ratio_low,
                "ratio_high": one.ratio_high,
                "speed_up": 1 / one.ratio,
                "verdict": one.verdict,
                "trust": one.trust,
                "pairs": one.pairs,
            }


def main() -> None:
    """Print one table a block, or one of all, and write all rows to a file if asked to."""
    options = arguments()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    with torch.inference_mode():
        rows = [row for block in blocks(options) for row in show(block)]
        if "plain" in options.parts:
            rows += show_plain(options)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(__doc__, **SMOKE)
    parser.add_argument("--module", nargs="+", help="specs; by default all registered")
    parser.add_argument("--shape", nargs="+", type=shape, default=SHAPES, help="BxCxHxW")
    parser.add_argument(
        "--compile",
        nargs="?",
        const="inductor",
        metavar="BACKEND",
        help="torch.compile on the fused form, by default with inductor",
    )
    for part, text in (
        ("overhead", "only ULSAM in MobileNetV2"),
        ("plain", "only against the plain forms"),
    ):
        parser.add_argument(f"--{part}", dest="parts", action="append_const", const=part, help=text)
    parser.add_argument("--budget", type=seconds, default=2.0, help="seconds of sampling a block")
    parser.add_argument("--size", type=count, default=224, help="side of MobileNetV2's image")
    parser.add_argument("--json", type=file)
    options = parser.read()
    options.parts = options.parts or ["alone", "overhead"]
    if options.module is None:
        options.module = MODULES + [name for name in attnbench.list_modules() if name != "ulsam"]
    for spec in options.module:
        find_attention(spec, catalog())
    return options


def shape(text: str) -> str:
    """Read the shape of a feature map."""
    sides = text.split("x")
    if len(sides) != 4 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise argparse.ArgumentTypeError(f"write BxCxHxW: {text}")
    return text


def blocks(options: argparse.Namespace) -> Iterator[Block]:
    """Measure one block after the other."""
    if "alone" in options.parts:
        for shape in options.shape:
            for spec in options.module:
                if fits(spec, shape):
                    yield alone(spec, shape, options)
    if "overhead" in options.parts:
        for groups in (4, 16):
            yield overhead(groups, options.size, options.budget)


def fits(spec: str, shape: str) -> bool:
    """Whether it can be built on that map; says of others why not."""
    _, channels, height, width = (int(side) for side in shape.split("x"))
    try:
        attnbench.create_module(spec, channels, feature_size=(height, width))
    except RequestError as error:
        print(f"left out: {error}", file=sys.stderr)
        return False
    return True


def alone(spec: str, shape: str, options: argparse.Namespace) -> Block:
    """Compare the forms of one module on one feature map."""
    x = torch.randn([int(side) for side in shape.split("x")])
    forms, baseline = forms_of(spec, x.shape[1], tuple(x.shape[2:]), backend=options.compile)
    arms: dict[str, Callable[[], object]] = {name: _call(form, x) for name, form in forms.items()}
    y = torch.empty_like(x)
    arms[LIMIT] = lambda: y.copy_(x)
    found = compare(arms, baseline=baseline, budget_s=options.budget, threads=1)
    return Block(f"{spec} on {shape}", baseline, found)


def forms_of(
    spec: str, channels: int, size: tuple[int, ...], *, backend: str | None
) -> tuple[dict[str, nn.Module], str]:
    """Return the forms of a module by name, and which one the others are compared with."""
    plain = attnbench.create_module(spec, channels, feature_size=(size[0], size[1])).eval()
    forms, baseline, name = {"plain": plain}, "plain", parse_spec(spec, "module").name
    if name == "ulsam":
        forms["released loop"] = plain_form(name, plain)
        baseline = "released loop"
    if name in TIMM:
        forms["timm"] = TIMM[name](channels).eval()
    if has_fused_form(plain):
        forms["fused"] = fuse(plain)
        if backend:
            torch.compiler.reset()
            compiled: Any = torch.compile(fuse(plain), fullgraph=True, backend=backend)
            forms["fused, compiled"] = compiled
    return forms, baseline


def overhead(groups: int, size: int, budget_s: float) -> Block:
    """Compare MobileNetV2 without and with ULSAM after four late layers."""
    backbone = attnbench.create_backbone("mobilenet_v2").eval()
    placed = attnbench.insert(backbone, PLACEMENT, "ulsam", groups=groups)
    x = torch.randn(1, 3, size, size)
    arms = {"mobilenet_v2": backbone, "with ulsam": placed, "with fused ulsam": fuse(placed)}
    calls = {name: _call(model, x) for name, model in arms.items()}
    again = _call(attnbench.insert(backbone, "after:18", "identity"), x)
    found = compare(calls, baseline="mobilenet_v2", budget_s=5 * budget_s, threads=1, again=again)
    return Block(f"mobilenet_v2, ulsam,groups={groups} {PLACEMENT}", "mobilenet_v2", found)


def _call(model: nn.Module, x: Tensor) -> Callable[[], object]:
    model(x)  # compiles, where it is to be compiled
    return lambda: model(x)


def show(block: Block) -> list[dict[str, Any]]:
    """Print a block and return its rows."""
    rows = list(block.rows())
    print(f"\n{block.title}, beside {block.baseline} ({rows[0]['pairs']} rounds)")
    for row in rows:
        interval = f"{row['ratio_low']:.3g}-{row['ratio_high']:.3g}"
        print(
            f"  {row['arm']:<20} {1000 * row['median_ms']:>9.1f} us   "
            f"x {row['ratio']:<7.3g} ({interval})   {row['speed_up']:.3g} times as fast"
        )
    if block.found.trust != "ok":
        print(f"  {block.found.trust}")
    return rows


def show_plain(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Print how all modules' times compare with their plain forms', and return the rows."""
    head = ("module", "shape", "plain ms", "ours/plain", "95% interval", "verdict", "fused/plain")
    print(LINE.format(*head))
    rows: list[dict[str, Any]] = []
    verdicts: dict[str, list[str]] = {"slower": [], "inconclusive": []}
    # there is nothing to write of the control
    specs = [spec for spec in options.module if parse_spec(spec, "module").name != "identity"]
    pairs = [(spec, shape) for spec in specs for shape in options.shape]
    for spec, shape in pairs:
        if not fits(spec, shape):
            continue
        title, found = f"{spec} on {shape}", beside_plain(spec, shape, options.budget)
        print(plain_line(spec, shape, found), flush=True)
        rows += Block(title, "plain", found).rows()
        verdicts.setdefault(found["ours"].verdict, []).append(title)
    for verdict in ("slower", "inconclusive"):
        print(f"{verdict}: {', '.join(verdicts[verdict]) or 'none'}")
    return rows


LINE = "{:<24} {:<12} {:>9} {:>10} {:>14}  {:<20} {:>11}"


def beside_plain(spec: str, shape: str, budget_s: float) -> Comparison:
    """Time a module and its fused form beside the plain one, once their outputs are equal.

    Raises:
        SystemExit: they are not, or nobody has written the module plainly.
    """
    name = parse_spec(spec, "module").name
    if name not in FORMS:
        raise SystemExit(f"{name} has no plain form in benchmarks/plain_forms/")
    x = torch.randn([int(side) for side in shape.split("x")])
    size = (x.shape[2], x.shape[3])
    ours = randomize_weights(attnbench.create_module(spec, x.shape[1], feature_size=size)).eval()
    arms = {"plain": plain_form(name, ours), "ours": ours}
    if has_fused_form(ours):
        arms["fused"] = fuse(ours)
    wanted = arms["plain"](x)
    for arm, form in arms.items():
        if (error := relative_error(form(x), wanted)) > TOLERANCE:
            raise SystemExit(
                f"{spec} on {shape}: {arm} is off the plain form by {error:.1g} of the largest "
                "value; plain forms know no options but the defaults and sizes"
            )
    calls = {arm: _call(form, x) for arm, form in arms.items()}
    return compare(calls, baseline="plain", budget_s=budget_s, threads=1)


def plain_line(spec: str, shape: str, found: Comparison) -> str:
    """Return a line of the table."""
    ours = found["ours"]
    return LINE.format(
        spec,
        shape,
        f"{found['plain'].median_ms:.4g}",
        f"{ours.ratio:.3g}",
        f"{ours.ratio_low:.3g}-{ours.ratio_high:.3g}",
        judged(ours),
        f"{found['fused'].ratio:.3g}" if "fused" in found else "",
    ).rstrip()


def judged(one: Compared) -> str:
    """Return what can be said of an arm."""
    if one.trust != "ok":
        return "baseline unsteady"
    return one.verdict if one.within is None else f"same within {one.within:.1%}"


if __name__ == "__main__":
    run(main)
