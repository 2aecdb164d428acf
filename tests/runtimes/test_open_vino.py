import subprocess
import sys

SIGNALLED = """
import faulthandler, gc, signal, sys
from pathlib import Path

import torch
from attnbench.runtimes.runtime import RuntimeSettings
from attnbench.runtimes.registry import runtime

faulthandler.enable()  # has a signal stack of its own, as under pytest
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
example = torch.rand(1, 3, 8, 8)
folder = Path(sys.argv[1])
built = [
    runtime("openvino").build(torch.nn.Conv2d(3, many, 3).eval(), example, RuntimeSettings(), folder)
    for many in (4, 5)
]
while built:
    del built[0]  # the first to come is the first to go
    gc.collect()
signal.raise_signal(signal.SIGUSR1)
"""


def test_a_signal_is_handled_after_several_networks_have_come_and_gone(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, str(tmp_path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
