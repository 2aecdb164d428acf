"""CPU time of the commands that must feel instant, beside a bare ``import torch``.

python benchmarks/startup.py [--rounds 10] [--smoke]
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

from command_line import Parser, count, run

COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "import attnbench": ("-c", "import attnbench"),
    "attnbench list modules": ("-m", "attnbench", "list", "modules"),
    "attnbench list backbones": ("-m", "attnbench", "list", "backbones"),
    "attnbench --help": ("-m", "attnbench", "--help"),
    "import torch": ("-c", "import torch"),
}


def main() -> None:
    """Print the median CPU seconds of each command."""
    parser = Parser(__doc__, rounds=1)
    parser.add_argument("--rounds", type=count, default=10)
    rounds = parser.read().rounds
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, words in COMMANDS.items():
            taken[name].append(cpu_seconds(words))
    for name, seconds in taken.items():
        print(f"{name:<26} {statistics.median(seconds):.3f} s of CPU")


def cpu_seconds(words: tuple[str, ...]) -> float:
    """Run Python with these words and return its user and system time."""
    before = used()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return used() - before


def used() -> float:
    """Return the user and system time of all processes that have ended."""
    taken = resource.getrusage(resource.RUSAGE_CHILDREN)  # os.times() knows hundredths only
    return taken.ru_utime + taken.ru_stime


if __name__ == "__main__":
    run(main)
