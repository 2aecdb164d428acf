"""The README's console blocks are what the commands print. Run this file to write them anew."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"```console\n\$ (?P<command>attnbench [^\n]*)\n(?P<output>.*?)```", re.DOTALL)


ONE_BY_ONE = """
import os, sys
from attnbench.cli.app import main

for words in {commands}:
    sys.argv = words
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
    sys.stdout.flush()
    os.write(1, {between})
"""
BETWEEN = "\0"


def printed(commands):
    """What commands print, with trailing blanks and blank lines at the ends taken off.

    One process for all of them: it imports torch once.
    """
    words = [shlex.split(command) for command in commands]
    code = ONE_BY_ONE.format(commands=words, between=BETWEEN.encode())
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=environment
    )
    texts = done.stdout.decode().split(BETWEEN)[:-1]
    return [_trimmed(text) for text in texts]


def _trimmed(text):
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n") + "\n"


def blocks():
    return list(BLOCK.finditer(README.read_text(encoding="utf-8")))


def test_there_are_blocks():
    assert len(blocks()) >= 4


@pytest.fixture(scope="module")
def outputs():
    """Output by command."""
    commands = [block["command"] for block in blocks()]
    return dict(zip(commands, printed(commands), strict=True))


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block["command"])
def test_a_console_block_is_what_the_command_prints(block, outputs):
    assert block["output"] == outputs[block["command"]]


def test_every_command_is_in_the_readme():
    text = README.read_text(encoding="utf-8")
    for command in (
        "list",
        "show",
        "explain",
        "cost",
        "latency",
        "accuracy",
        "activations",
        "export",
        "run",
        "table",
        "merge",
        "overview",
        "history",
        "compare",
        "accept",
        "ci",
        "check",
        "doctor",
        "schema",
        "new",
    ):
        assert f"attnbench {command}" in text, command


def test_every_suite_has_committed_results_named_in_the_readme():
    text = README.read_text(encoding="utf-8")
    from attnbench.registry.plugins import catalog

    for name in catalog().suites.names():
        assert f"results/{name}/table.md" in text
        assert (README.parent / "results" / name / "table.md").is_file()


FRONT_PAGE = re.compile(r"^(attnbench overview .*--into README\.md)$", re.MULTILINE)


def test_the_front_page_is_what_the_committed_results_say():
    (command,) = FRONT_PAGE.findall(README.read_text(encoding="utf-8").replace("\\\n", ""))
    words = [sys.executable, "-m", *shlex.split(command), "--check"]
    done = subprocess.run(words, cwd=README.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def rewrite():
    """Put what the commands print now into the README."""
    texts = iter(printed([block["command"] for block in blocks()]))
    text = BLOCK.sub(
        lambda block: f"```console\n$ {block['command']}\n{next(texts)}```",
        README.read_text(encoding="utf-8"),
    )
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    rewrite()
