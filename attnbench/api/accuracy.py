"""Accuracy of modules in a backbone, as ``attnbench accuracy`` measures it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from attnbench.api.suite_run import SuiteRun
from attnbench.api.suites import load_plugins, measure_job, out_folder
from attnbench.errors import RequestError
from attnbench.registry.plugins import catalog
from attnbench.runner.job import Job, prepare
from attnbench.runner.select_cases import Choice
from attnbench.runner.worker_main import check_executor
from attnbench.runner.worker_tasks import Measurers
from attnbench.suites.request import GridRequest, accuracy_section, race_settings, request_suite

NAME = "accuracy"


def measure_accuracy(
    backbone: str,
    module: str | Callable[..., nn.Module] | Sequence[str | Callable[..., nn.Module]] = (),
    placement: str | Sequence[str] = (),
    *,
    dataset: str = "digits",
    seeds: int | None = None,
    until: str | None = None,
    margin: float | None = None,
    recipe: str | Path | None = None,
    epochs: int | None = None,
    weights: str | Path | None = None,
    wider: bool = False,
    int8: bool = False,
    threads: int = 1,
    out: str | Path | None = None,
    fresh: bool = False,
    plugins: Sequence[str | Path] = (),
    executor: str = "local",
    report: Callable[[str], object] | None = None,
) -> SuiteRun:
    """Train modules beside the plain backbone, paired by seed, as ``attnbench accuracy`` does.

    Trainings run in processes that build each network by its spec: a class or function must stand
    at the top level of a file, and a model object cannot be trained.

    Args:
        backbone: spec of the backbone, ``"mobilenet_v2,width=0.35"``.
        module: spec, class or function ``channels -> nn.Module`` of a file, or several of them.
        placement: where the module goes, ``"after:14"``, or several placements; they cross.
        dataset: name of a data set, or ``"folder:PATH"``.
        seeds: number of trainings of each network, by default 3; of a race the most, 40.
        until: ``"decided"``: add seeds until each arm has a verdict.
        margin: difference in points that is called *the same*, by default 0.5.
        recipe: name or .toml file; the data set's own by default.
        epochs: number of epochs, instead of the recipe's.
        weights: file of weights of the plain backbone to start from.
        wider: also train plain backbones of the same multiply-adds.
        int8: also measure the accuracy after quantization.
        threads: number of threads of each training.
        out: folder of runs, by default the project's; trainings in it are not repeated.
        fresh: train everything again.
        plugins: plugin files that are not installed, in addition to the project's.
        executor: ``"local"``, or ``"ray"`` for a Ray cluster.
        report: called with a line about each step, such as ``print``.

    Raises:
        RequestError: an argument is wrong, or a module cannot be imported by another process.
    """
    check_executor(executor)
    request = _request(backbone, _listed(module), _listed(placement), wider)
    settings = {"dataset": dataset, "recipe": recipe, "epochs": epochs}
    settings |= race_settings(seeds, until, margin)
    settings |= {"weights": weights, "int8": int8, "threads": threads}
    files = load_plugins(plugins)
    job = _job(request, settings, out_folder(out) / NAME, fresh)
    return SuiteRun(measure_job(job, files, report, executor))


def _job(request: GridRequest, settings: Mapping[str, Any], folder: Path, fresh: bool) -> Job:
    texts = {
        key: str(value) if isinstance(value, Path) else value for key, value in settings.items()
    }
    suite = request_suite(NAME, request, catalog(), accuracy_section(texts))
    choice, measurers = Choice(fresh=fresh), Measurers(catalog())
    job = prepare(suite, catalog(), folder, choice, measurers, request=NAME)
    if job.skipped:
        raise RequestError("; ".join(dict.fromkeys(job.skipped.values())))
    return job


def _request(
    backbone: object, modules: Sequence[object], placements: Sequence[object], wider: bool
) -> GridRequest:
    if not isinstance(backbone, str):
        raise RequestError(
            f"backbone must be a spec: got a {type(backbone).__name__}. Trainings run in other "
            "processes, which build it by its name."
        )
    if bool(modules) != bool(placements):
        got = f"module {modules[0]}" if modules else f"placement {placements[0]}"
        raise RequestError(f"a module needs a placement, and the reverse: got {got} alone.")
    return GridRequest([backbone], [*map(_spec, modules)], [*map(str, placements)], wider=wider)


def _listed(given: object) -> list[object]:
    """Return one argument, or a sequence of them, as a list."""
    is_several = isinstance(given, Sequence) and not isinstance(given, str)
    return list(given) if is_several else [given]  # type: ignore[call-overload]


def _spec(module: object) -> str:
    """Return the spec of a module, ``FILE.py:Class`` for a class or function of a file."""
    if isinstance(module, str):
        return module
    if not callable(module) or isinstance(module, nn.Module):
        raise RequestError(
            f"module must be a spec, a class or a function: got a {type(module).__name__}."
        )
    name = str(getattr(module, "__qualname__", ""))
    try:
        file = inspect.getsourcefile(module)
    except TypeError:
        file = None
    if not name.isidentifier() or file is None or not Path(file).is_file():
        raise RequestError(
            f"{name or module} cannot be imported by the processes that train: it stands in no "
            "file at the top level. Write it into a .py file and import it from there."
        )
    return f"{file}:{name}"
