"""The README and docs/: console blocks are what the commands print, links lead somewhere.

Run this file to write the blocks anew.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
WALK = ROOT / "docs" / "ten_minutes.md"
"""Its commands stand in the folder of the example: test_docs.py."""
PAGES = [README, *sorted(page for page in (ROOT / "docs").rglob("*.md") if page != WALK)]
LINKED = [*PAGES, WALK, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "results").glob("*.md"))]
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
        [sys.executable, "-c", code], capture_output=True, check=True, env=environment, cwd=ROOT
    )
    texts = done.stdout.decode().split(BETWEEN)[:-1]
    return [_trimmed(text) for text in texts]


def _trimmed(text):
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n") + "\n"


def blocks():
    return [block for page in PAGES for block in BLOCK.finditer(page.read_text(encoding="utf-8"))]


def test_there_are_blocks():
    assert len(blocks()) >= 6


@pytest.fixture(scope="module")
def outputs():
    """Output by command."""
    commands = list(dict.fromkeys(block["command"] for block in blocks()))
    return dict(zip(commands, printed(commands), strict=True))


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block["command"])
def test_a_console_block_is_what_the_command_prints(block, outputs):
    assert block["output"] == outputs[block["command"]]


def test_the_readme_is_read_in_one_sitting():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    assert len(text.split()) <= 1800


LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
FENCED = re.compile(r"```.*?```", re.DOTALL)


def anchors(page):
    """The anchors that GitHub gives a page's headings."""
    heads = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_link_leads_to_a_file_and_a_heading(page):
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        name, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = (page.parent / name) if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_every_page_is_in_a_part_of_the_site():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
    pages = {page.stem for page in [*PAGES[1:], WALK]} - {"index"}
    assert pages <= set(index)


def test_every_page_is_linked_from_the_readme():
    text = README.read_text(encoding="utf-8")
    for page in [*PAGES[1:], WALK]:
        if page.name == "index.md":  # of the site
            continue
        assert page.relative_to(ROOT).as_posix() in text, page.name


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
        "report",
        "choose",
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


RESULTS = ROOT / "results"
ROW = re.compile(r"^\| \[(?P<run>[\w-]+)\]\((?P=run)/table\.md\) \|.*\| (?P<minutes>\d+) \|$", re.M)


def test_every_run_is_in_the_table_of_results_with_its_minutes():
    from attnbench.registry.plugins import catalog

    found = dict(ROW.findall((RESULTS / "README.md").read_text(encoding="utf-8")))
    folders = {folder.name for folder in RESULTS.iterdir() if folder.is_dir()}
    assert set(found) == folders >= set(catalog().suites.names())
    for name, minutes in found.items():
        assert int(minutes) == round(recorded_seconds(RESULTS / name) / 60), name


def recorded_seconds(folder):
    """The sum of the records' seconds; those of a latency are its session's, in all of its records."""
    lines = map(json.loads, (folder / "records.jsonl").read_text(encoding="utf-8").splitlines())
    records = {line["case"]: line for line in lines if line.get("case")}
    own = [r["seconds"] or 0 for r in records.values() if r["kind"] != "latency"]
    sessions = {r["seconds"] for r in records.values() if r["kind"] == "latency"}
    return sum(own) + sum(sessions)


FRONT = re.compile(r"^(attnbench overview .*--into (?:README|results/overview)\.md)$", re.MULTILINE)
GENERATED = [README, RESULTS / "overview.md"]


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_an_overview_is_what_the_committed_results_say(page):
    (command,) = FRONT.findall(page.read_text(encoding="utf-8").replace("\\\n", ""))
    words = [sys.executable, "-m", *shlex.split(command), "--check"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def rewrite():
    """Put what the commands print now into the pages."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        texts = iter(printed([block["command"] for block in BLOCK.finditer(text)]))
        new = BLOCK.sub(
            lambda block, texts=texts: f"```console\n$ {block['command']}\n{next(texts)}```", text
        )
        page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    rewrite()
