"""Where a process crashed, from the dump that it wrote."""

import subprocess
import sys

import pytest

from attnbench.utils.crash_dump import SWITCH, place_of, without_dump

CRASH = """
import json, signal, sys, threading

def crash():
    print("a last word", file=sys.stderr, flush=True)
    signal.raise_signal(signal.{name}){body}
"""
BODIES = {
    "main": "\ncrash()",
    "library": "\njson.dumps(object(), default=lambda value: crash())",
    "thread": "\nthread = threading.Thread(target=crash)\nthread.start()\nthread.join()",
}


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
@pytest.mark.parametrize("body", BODIES)
def test_the_place_is_the_innermost_line_outside_of_libraries(tmp_path, name, body):
    (tmp_path / "plugin.py").write_text(CRASH.format(name=name, body=BODIES[body]))
    done = subprocess.run(
        [sys.executable, "plugin.py"], cwd=tmp_path, env=SWITCH, capture_output=True, text=True
    )
    file = tmp_path / "plugin.py"
    output = done.stderr.replace('"plugin.py"', f'"{file}"').replace("/./", "/")
    assert place_of(output) == f"at {file}:6"
    assert without_dump(output) == "a last word\n"


@pytest.mark.parametrize(
    "output", ["", "an error\n", 'Fatal Python error: x\n  File "<string>", line 3\n']
)
def test_output_without_a_place(output):
    assert place_of(output) == ""


def test_output_without_a_dump_is_kept():
    assert without_dump("RuntimeError: x\n") == "RuntimeError: x\n"
