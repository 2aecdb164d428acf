"""CPU time and peak memory of commands that read a run, by its number of latency cases.

The runs are made from the committed records: rows repeated under other names, with other times.

python benchmarks/reading.py [--cases 1000 2000 5000 10000] [--run results/module-latency] [--smoke]
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count as numbers
from pathlib import Path
from typing import Any

from command_line import Parser, count, run

from attnbench.errors import RequestError
from attnbench.records.store import FILE, Run, find_run, read_run, replace_run
from attnbench.suites.case import case_from_json

COMMANDS = {
    "table": ("table",),
    "overview": ("overview",),
    "table csv": ("table", "--format", "csv"),
}
# of a process that is small itself: a child's peak includes that of the process that started it
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
COMMITTED = Path(__file__).parent.parent / "results" / "module-latency"


def main() -> None:
    """Print CPU seconds and peak memory of each command and number of cases."""
    parser = Parser(__doc__, cases=[24, 48], commands=["table"])
    parser.add_argument("--cases", type=count, nargs="+", default=[1000, 2000, 5000, 10_000])
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--run", default=str(COMMITTED))
    options = parser.read()
    source = read_run(find_run(options.run))
    sizes = sorted(set(options.cases))
    with tempfile.TemporaryDirectory() as folder:
        made = {size: write_run(source, size, Path(folder) / str(size)) for size in sizes}
        for name in options.commands:
            print(name)
            taken = {size: measured(COMMANDS[name], made[size]) for size in sizes}
            for size, (seconds, mebibytes) in taken.items():
                print(f"  {size:,} cases  {seconds:.2f} s of CPU, {mebibytes:.0f} MiB at most")
            if len(sizes) > 1:
                print(f"  time grows with cases to the power of  {growth(taken):.2f}")


def write_run(source: Run, size: int, folder: Path) -> Path:
    """Write a run with ``size`` latency cases, shared equally among the tables of the source."""
    quota = math.ceil(size / len(source.header.tables))
    records: dict[str, dict[str, Any]] = {}
    tables = []
    for rows in source.header.tables:
        chosen, left = [], quota
        for row, copy in repeated(rows, source):
            if left <= 0:
                break
            chosen.append(renamed(row, copy))
            made = [repeated_record(source, case, copy) for case in row["cases"] + row["latency"]]
            records |= {record["case"]: record for record in made}
            left -= len(row["latency"])
        tables.append(chosen)
    header = {**source.header.model_dump(mode="json"), "tables": tables}
    folder.mkdir()
    (folder / FILE).touch()
    lines = (json.dumps(line).encode() + b"\n" for line in (header, *records.values()))
    replace_run(folder / FILE, lines)
    return folder


def repeated(rows: list[dict[str, Any]], source: Run) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the measured rows of a table again and again, with the number of the repetition."""
    measured = [row for row in rows if all_ok(row, source)]
    if not measured:
        raise RequestError("run has a table without latencies: choose another with --run")
    for copy in numbers():
        for row in measured:
            yield row, copy


def all_ok(row: dict[str, Any], source: Run) -> bool:
    """Return whether a row has latencies, all of them measured."""
    names = [case_from_json(case).name for case in row.get("latency", ())]
    return bool(names) and all(
        name in source.records and source.records[name].status == "ok" for name in names
    )


def renamed(row: dict[str, Any], copy: int) -> dict[str, Any]:
    """Return a repeated row, at a size of its own."""
    parts = {key: [resized(case, copy) for case in row[key]] for key in ("cases", "latency")}
    return {**row, **parts}


def resized(case: dict[str, Any], copy: int) -> dict[str, Any]:
    """Return a case at a size that no other repetition has."""
    return {**case, "size": [case["size"][0], case["size"][1] + 1000 * copy]}


def repeated_record(source: Run, case: dict[str, Any], copy: int) -> dict[str, Any]:
    """Return the record of a repeated case, slower by some percent."""
    record = source.records[case_from_json(case).name].model_dump(mode="json")
    conditions = resized(case, copy)
    samples = [slowed(process, 1 + 0.01 * copy) for process in record["samples"]]
    name = case_from_json(conditions).name
    return {**record, "case": name, "conditions": conditions, "samples": samples}


def slowed(process: dict[str, Any], factor: float) -> dict[str, Any]:
    """Return the samples of a process, their seconds multiplied."""
    seconds = {
        arm: [float(f"{value * factor:.5g}") for value in row]
        for arm, row in process["seconds"].items()
    }
    return {**process, "seconds": seconds}


def measured(words: tuple[str, ...], folder: Path) -> tuple[float, float]:
    """Return the CPU seconds and the peak MiB of a command on a run."""
    command = [sys.executable, "-m", "attnbench", words[0], str(folder), *words[1:]]
    launched = [sys.executable, "-c", LAUNCHER, *command]
    done = subprocess.run(
        launched, check=True, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    seconds, kibibytes = map(float, done.stdout.split())
    return seconds, kibibytes / 1024


def growth(taken: dict[int, tuple[float, float]]) -> float:
    """Return the exponent of the growth of time from the second-largest number to the largest."""
    small, large = sorted(taken)[-2:]
    return math.log(taken[large][0] / taken[small][0]) / math.log(large / small)


if __name__ == "__main__":
    run(main)
