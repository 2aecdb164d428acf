"""Build the documentation site: ``python docs/build_site.py OUT``, for ``tox -e docs``.

Sphinx wants all of its sources in one folder. This script collects the pages of ``docs/``, the
results, and what the program says of itself: help pages, cards, runtimes, data sets, the schema of
suites. Links to a file that is no page lose their address. Warnings are errors.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from sphinx.cmd.build import main as sphinx_build

import attnbench
from attnbench.cli import app
from attnbench.records.store import find_run, read_run
from attnbench.reports.web_report.report_page import write_page

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
FENCED = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
OTHER_PAGES = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "results/README.md": "results/index.md",
    "results/overview.md": "results/overview.md",
    "results/fashion-accuracy/claims.md": "results/fashion-accuracy-claims.md",
}
REPORTED = ("mobilenet-latency", "module-latency", "digits-accuracy", "fashion-accuracy", "quick")
EMBEDDED = (
    "<p><a href='report.html'>The same runs to sort, filter and choose from</a>:</p>"
    "<iframe src='report.html' title='Report' style='width:100%;height:80vh;border:0'></iframe>"
)
LISTS = ("modules", "backbones", "suites", "runtimes", "datasets")


def main(out: Path) -> int:
    """Collect the sources below ``out`` and build the site there; return sphinx's status."""
    source = out / "source"
    shutil.rmtree(out, ignore_errors=True)
    source.mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "conf.py", source)
    pages = page_names()
    for file, name in pages.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(page_text(ROOT / file, name, pages, source), encoding="utf-8")
    with (source / "results/index.md").open("a", encoding="utf-8") as index:
        runs = [Path(name).stem for name in pages.values() if name.startswith("results/")]
        listed = "\n".join(name for name in sorted(runs) if name != "index")
        index.write(f"\n{EMBEDDED}\n")
        index.write(f"\n```{{toctree}}\n:hidden:\n{listed}\n```\n")
    write_reference(source)
    status = sphinx_build(
        ["-q", "-W", "--keep-going", "-j", "auto", str(source), str(out / "html")]
    )
    runs = [read_run(find_run(str(ROOT / "results" / name))) for name in REPORTED]
    write_page(runs, out / "html" / "results" / "report.html", "attnbench: the committed runs")
    return status


def page_names() -> dict[str, str]:
    """Return the name of each page on the site, by its file in the repository."""
    found = {f"docs/{file.name}": file.name for file in sorted((ROOT / "docs").glob("*.md"))}
    for folder in sorted((ROOT / "results").iterdir()):
        if (folder / "table.md").exists():
            found[f"results/{folder.name}/table.md"] = f"results/{folder.name}.md"
    return found | OTHER_PAGES


def page_text(file: Path, name: str, pages: dict[str, str], source: Path) -> str:
    """Return a page's Markdown with its links as they are on the site; images are copied."""
    depth = "../" * name.count("/")

    def linked(found: re.Match[str]) -> str:
        path, _, anchor = found["target"].partition("#")
        if "://" in path or not path:
            return found[0]
        target = (file.parent / path).resolve().relative_to(ROOT).as_posix()
        if found["image"]:
            (source / "images").mkdir(exist_ok=True)
            copy = target.replace("/", "-")
            shutil.copy(ROOT / target, source / "images" / copy)
            return f"![{found['text']}]({depth}images/{copy})"
        if target not in pages:
            return found["text"]
        return f"[{found['text']}]({depth}{pages[target]}{'#' * bool(anchor)}{anchor})"

    parts = FENCED.split(file.read_text(encoding="utf-8"))  # blocks are every second part
    text = "".join(part if n % 2 else LINK.sub(linked, part) for n, part in enumerate(parts))
    return readable_blocks(text)


def readable_blocks(text: str) -> str:
    """Return Markdown whose blocks need nothing from a network: formulas and charts as text."""
    return text.replace("```math\n", "```latex\n").replace("```mermaid\n", "```text\n")


def write_reference(source: Path) -> None:
    """Write the pages on commands, modules, settings and the Python API."""
    write_list(source / "commands", "Commands", dict(command_pages()))
    write_list(source / "modules", "Modules", dict(module_pages()))
    parts = [f"## {name.capitalize()}\n\n{block(printed('list', name))}" for name in LISTS]
    schema = f"## Suite files\n\n{block(printed('schema'), 'json')}"
    text = "# What there is\n\n" + "\n".join([*parts, schema])
    (source / "settings.md").write_text(text, encoding="utf-8")
    (source / "api.md").write_text("# Python API\n\n" + "\n".join(api_entries()), encoding="utf-8")


def write_list(folder: Path, title: str, pages: dict[str, str]) -> None:
    """Write pages by name, and an index of them."""
    folder.mkdir()
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    names = "\n".join(pages)
    index = f"# {title}\n\n```{{toctree}}\n:maxdepth: 1\n{names}\n```\n"
    (folder / "index.md").write_text(index, encoding="utf-8")


def command_pages() -> Iterator[tuple[str, str]]:
    """Yield name and page of each command: its own help."""
    files = [file for files in app.GROUPS.values() for file in files]
    for name in (file.__name__.rpartition(".")[2] for file in files):
        yield name, f"# attnbench {name}\n\n{block(printed(name, '--help'))}"


def module_pages() -> Iterator[tuple[str, str]]:
    """Yield name and page of each module: its card."""
    for name in attnbench.list_modules():
        page = readable_blocks(printed("show", "module", name, "--format", "md", "--no-check"))
        yield name, re.sub(r"^#(#+) ", r"\1 ", page, flags=re.MULTILINE)


def api_entries() -> Iterator[str]:
    """Yield the directive of each public name."""
    for name in sorted(set(dir(attnbench)) - {"__version__", "latency"}):
        kind = "autoclass" if name[0].isupper() else "autofunction"
        members = ":members:\n" if kind == "autoclass" else ""
        yield f"```{{eval-rst}}\n.. {kind}:: attnbench.{name}\n   {members}```\n"


def printed(*words: str) -> str:
    """Return what a command prints."""
    stream, before = io.StringIO(), sys.argv
    sys.argv = ["attnbench", *words]
    try:
        with contextlib.redirect_stdout(stream):
            app.main()
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.argv = before
    return stream.getvalue()


def block(text: str, language: str = "text") -> str:
    """Return a code block."""
    return f"```{language}\n{text.rstrip()}\n```\n"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
