"""CPU time of the commands that must feel instant, beside a bare ``import torch``.

python benchmarks/startup.py [--rounds 10]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

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
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, words in COMMANDS.items():
            taken[name].append(cpu_seconds(words))
    for name, seconds in taken.items():
        print(f"{name:<26} {statistics.median(seconds):.3f} s of CPU")


def cpu_seconds(words: tuple[str, ...]) -> float:
    """Run Python with these words and return its user and system time."""
    before = os.times()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    user = after.children_user - before.children_user
    return user + after.children_system - before.children_system


if __name__ == "__main__":
    main()
