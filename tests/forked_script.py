"""Run a script, or a module after ``-m``, whose workers and ``attnbench`` commands are forked.

A fork server starts this file: torch is imported already, and the processes below need not import it
again, either. ``multiprocessing`` forks, too.
"""

import atexit
import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__)
sys.path.insert(0, str(HERE.parent))

from forked_workers import ForkServer  # noqa: E402

sys.path.pop(0)


def attnbench_by(server):
    """Return a ``subprocess.run`` that forks for ``python -m attnbench``."""
    run = subprocess.run

    def forked(command, **options):
        if [*command[:3]] != [sys.executable, "-m", "attnbench"]:
            return run(command, **options)
        with contextlib.chdir(options["cwd"]):
            return server.run([sys.executable, "-P", str(HERE), *command[1:]], os.environ)

    return forked


def main():
    server = ForkServer(fork=True)  # before anything of attnbench is imported
    atexit.register(server.stop)
    subprocess.run = attnbench_by(server)
    context = multiprocessing.get_context
    multiprocessing.get_context = lambda method=None: context(method and "fork")
    del sys.argv[0]
    if sys.argv[0] == "-m":
        del sys.argv[0]
        sys.path.insert(0, str(Path.cwd()))
        server.stand_in(pytest.MonkeyPatch())
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(sys.argv[0]).parent))
        server.stand_in(pytest.MonkeyPatch())
        runpy.run_path(sys.argv[0], run_name="__main__")


main()
