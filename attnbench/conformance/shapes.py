"""Shape checks: maps of all sizes and widths keep shape and dtype, and the output is finite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnbench.conformance.findings import Failures, Finding, failure, join_names, note, success
from attnbench.conformance.module_under_test import Size, Subject, join_shape, relative_error, run
from attnbench.counting.model_copies import shape_copy
from attnbench.errors import AttnbenchError
from attnbench.utils.text import describe

_SMALL = ((7, 7), (14, 14), (13, 13), (7, 12), (12, 7), (3, 3), (2, 2), (1, 1), (1, 9), (9, 1))
_LARGE = ((56, 56), (112, 2), (2, 112))
"""Large sizes, which run in eval only."""
_HUGE = ((112, 112),)
_HEAVY = 10**9
"""Bytes moved above which a huge map runs on the meta device: N x N scores take 600 MB."""
_SIZES = (*_SMALL, *_LARGE, *_HUGE)
_EXACT = {torch.float64: 1e-9, torch.float32: 1e-4}


_REMEDIES = {
    "raises": "Make it work there, or declare a Constraint on feature_size that keeps it out.",
    "type": "Return one tensor, the map.",
    "shape": "Pad, crop or interpolate back to x.shape, or declare a Constraint on feature_size.",
    "dtype": "Return the dtype of the input: cast back what was computed in another one.",
    "finite": "Guard divisions by zero (N - 1, a variance of one value), or declare a Constraint.",
    "values": "Read values through indexing, not through strides or storage; use reshape.",
}


def maps(subject: Subject) -> Iterator[Finding]:
    """Run maps of all sizes that the card allows, batches, and non-contiguous maps."""
    seen, forbidden = Failures(), []
    instances = _Instances(subject)
    for size in _SIZES:
        if subject.refusal(subject.channels, size) is not None:
            forbidden.append(join_shape(size))
            continue
        for training in (False, True):
            if not training or size in _SMALL:
                _show(instances, size, training, seen)
    for batch in (1, 2, 3):
        _judge(seen, instances, subject.maps(batch), f"a batch of {batch}")
    _show_strided(subject, seen)
    yield from seen.findings(_REMEDIES.__getitem__)
    if seen.kinds:
        return
    takes_size = subject.attention.signature.takes_feature_size
    yield success(
        "rebuilt for each size: it takes feature_size" if takes_size else "",
        forbidden=forbidden,
        sizes=[join_shape(size) for size in _SIZES],
        feature_size=takes_size,
    )


@dataclass
class _Instances:
    """Instances of the module: one in eval for all sizes, unless it is built for a size."""

    subject: Subject
    shared: nn.Module | None = None

    def take(self, size: Size, *, training: bool) -> nn.Module:
        """Return an instance that may run on maps of a size."""
        if training or self.subject.attention.signature.takes_feature_size:
            return self.subject.build(size=size).train(training)
        self.shared = self.shared or self.subject.build(size=size).eval()
        return self.shared


def _show(instances: _Instances, size: Size, training: bool, seen: Failures) -> None:
    subject = instances.subject
    place = f"{join_shape(size)} in {'training' if training else 'eval'}"
    # two images, so that a batch norm has more than one value per channel even on 1x1
    x = subject.maps(1 if size in _HUGE else 2, size=size)
    if size in _HUGE and _is_heavy(subject, x) and _keeps_shape(subject, x):
        return
    _judge(seen, instances, x, place, training=training)


def _is_heavy(subject: Subject, x: Tensor) -> bool:
    with suppress(Exception):
        run = subject.attention.first_run(subject.channels, _size(x))
        return run.trace is not None and run.trace.totals.bytes > _HEAVY
    return False


def _keeps_shape(subject: Subject, x: Tensor) -> bool:
    """Return whether it keeps the shape on the meta device; else the real run reports why."""
    with suppress(Exception):
        module = shape_copy(subject.build(size=_size(x), moved=False))
        return run(module, x.to("meta")).shape == x.shape
    return False


def _size(x: Tensor) -> Size:
    return x.shape[2], x.shape[3]


def _judge(
    seen: Failures, instances: _Instances, x: Tensor, place: str, *, training: bool = False
) -> None:
    try:
        y: object = run(instances.take(_size(x), training=training), x)
    except Exception as error:
        # the constructor's own error, not the wrapper
        cause = error.__cause__ if isinstance(error, AttnbenchError) else None
        seen.add("raises", f"raises {describe(cause or error)}", place)
        return
    if not isinstance(y, Tensor):
        seen.add("type", f"returns a {type(y).__name__}", place)
    elif y.shape != x.shape:
        shapes = f"{tuple(x.shape)} becomes {tuple(y.shape)}"
        seen.add("shape", f"the map's shape changes, {shapes},", place)
    elif y.dtype != x.dtype:
        seen.add("dtype", f"{x.dtype} becomes {y.dtype}", place)
    elif not y.isfinite().all():
        share = 1 - float(y.isfinite().double().mean())
        seen.add("finite", f"{share:.0%} of the output is NaN or infinite", place)


def _show_strided(subject: Subject, seen: Failures) -> None:
    module = subject.build().to(subject.exact).eval()
    for name, x in _strided(subject.maps(dtype=subject.exact)):
        try:
            error = relative_error(run(module, x), run(module, x.contiguous()))
        except Exception as raised:
            seen.add("raises", f"raises {describe(raised)}", f"a map that is {name}")
            continue
        if error > _EXACT[subject.exact]:
            text = f"the output is another by {error:.1e} than for its contiguous copy"
            seen.add("values", text, f"a map that is {name}")


def _strided(x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield non-contiguous views that equal ``x``, with names."""
    b, c, h, w = x.shape
    wide = x.new_zeros(b, c, 2 * h, 2 * w)
    wide[:, :, ::2, ::2] = x
    yield "every other row and column of a larger one", wide[:, :, ::2, ::2]
    thick = x.new_zeros(b, 2 * c, h, w)
    thick[:, c:] = x
    yield "half of the channels of another", thick[:, c:]
    yield "transposed", x.transpose(2, 3).contiguous().transpose(2, 3)


# fmt: off
MOBILENET_WIDTHS = (
    8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 112, 120, 128, 136, 144, 160, 184, 192, 200,
    224, 240, 256, 288, 320, 336, 384, 432, 448, 480, 512, 528, 576, 672, 720, 768, 816, 960,
    1024, 1280, 1344, 1792,
)
# fmt: on
"""Channel numbers in MobileNetV1 (width 1, 0.75, 0.5, 0.25), V2 (1, 0.75, 0.5, 0.35, 1.4) and V3
(small, large), after and within blocks. A test computes them from the networks."""
_REFUSALS = (ValueError, AssertionError)
"""Exceptions by which a constructor rejects a width; any other exception is a defect."""
_HOW = "Constraint('channels must be a multiple of 16', lambda channels, **_: channels % 16 == 0)"


def widths(subject: Subject) -> Iterator[Finding]:
    """Build the module and run it in eval on a small map at every width that its card allows."""
    total = len(MOBILENET_WIDTHS)
    forbidden: list[int] = []
    refused: dict[int, str] = {}
    failed: dict[int, str] = {}
    for channels in MOBILENET_WIDTHS:
        if subject.refusal(channels, subject.size) is not None:
            forbidden.append(channels)
        elif (problem := _problem(subject, channels)) is not None:
            text, is_refusal = problem
            (refused if is_refusal else failed)[channels] = text
    bad = {*forbidden, *refused, *failed}
    works = [channels for channels in MOBILENET_WIDTHS if channels not in bad]
    at = f"it works at {_ranges(works)}"
    if refused:
        found = note if subject.card is None else failure
        yield found(
            f"{len(refused)} of {total} widths are refused and no constraint of a card says so: "
            f"{join_names(refused)}; {next(iter(refused.values()))}; {at}",
            f"Declare it on the card, for instance {_HOW}.",
            refused=list(refused),
            works=works,
        )
    if failed:
        yield failure(
            f"{len(failed)} of {total} widths do not work: {join_names(failed)}; "
            f"{next(iter(failed.values()))}; {at}",
            f"Make them work (a squeeze of at least 1 channel), or declare {_HOW}.",
            failed=list(failed),
            works=works,
        )
    if failed or (refused and subject.card):
        return
    declared = f"{len(forbidden)} of {total} forbidden by its card: {join_names(forbidden)}"
    yield success(declared if forbidden else "", forbidden=forbidden, tried=total - len(forbidden))


def _ranges(works: Sequence[int]) -> str:
    """Return widths as ``8, 24 to 1792``: a range has no width between that does not work."""
    runs: list[list[int]] = []
    for channels in works:
        place = MOBILENET_WIDTHS.index(channels)
        if runs and MOBILENET_WIDTHS[place - 1] == runs[-1][-1]:
            runs[-1].append(channels)
        else:
            runs.append([channels])
    texts = [f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return ", ".join(texts) or "none of them"


def _problem(subject: Subject, channels: int) -> tuple[str, bool] | None:
    """Return why a width fails, and whether the constructor rejects it, instead of a defect."""
    try:
        module = subject.build(channels, moved=False).eval()
    except AttnbenchError as error:
        cause = error.__cause__ or error
        return f"the constructor raises {describe(cause)}", isinstance(cause, _REFUSALS)
    x = subject.maps(2, channels)
    try:
        y = run(module, x)
    except Exception as error:
        return f"forward raises {describe(error)}", False
    return None if y.shape == x.shape else (f"{tuple(x.shape)} becomes {tuple(y.shape)}", False)
