"""Execute a notebook in its folder, as ``tox -e examples`` does; with ``--write``, keep its outputs."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def main():
    path = Path(sys.argv[1])
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=300, record_timing=False, resources=place).execute()
    if "--write" in sys.argv[2:]:
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
