"""Run the notebooks of docs/notebooks again and keep what they show.

The first one needs the extra demo, the last one the folder of VOC 2012 in the variable VOC2012.
"""

import argparse
import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "notebooks"


def run(file: Path, folder: Path) -> nbformat.NotebookNode:
    """Execute a notebook in a folder, and drop what differs from run to run."""
    book = nbformat.read(file, as_version=4)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    NotebookClient(book, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in book.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
    return book


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(FOLDER.glob("*.ipynb")))
    for file in parser.parse_args().notebooks:
        nbformat.write(run(file, file.parent), file)


if __name__ == "__main__":
    main()
