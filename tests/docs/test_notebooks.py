"""The notebooks of docs/notebooks run, and show what is kept in them."""

import json
import re
import shutil
import sys

import nbformat
import pytest
from common import DATA
from common import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
from run_notebooks import FOLDER
from run_notebooks import run

MOST_BYTES = 200_000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the notebooks beside the results that one of them reads."""
    monkeypatch.setenv("VOC2012", str(DATA / "voc2012"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    shutil.copytree(REPOSITORY / "docs" / "results", tmp_path / "results")
    return shutil.copytree(FOLDER, tmp_path / "notebooks")


def kinds(book):
    """What each cell shows: the kinds of its outputs."""
    return [
        [sorted(output.get("data", {output.get("name"): 0})) for output in cell.outputs]
        for cell in book.cells
        if cell.cell_type == "code"
    ]


def printed(book):
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    return "".join(each.get("text", "") for cell in cells for each in cell.outputs)


@pytest.mark.parametrize("name", ["explain_resnet50", "own_network", "table1_columns"])
def test_a_notebook_shows_what_is_kept_in_it(name, folder, request):
    if name != "own_network":
        request.getfixturevalue("resnet50")
    if name == "table1_columns":
        request.getfixturevalue("data_folder")
    kept = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    again = run(folder / f"{name}.ipynb", folder)
    assert kinds(again) == kinds(kept)
    assert re.sub(r"[\d.]+", "N", printed(again)) == re.sub(r"[\d.]+", "N", printed(kept))
    shown = json.dumps(again)
    if name == "own_network":
        hit, chance = map(int, re.search(r"object: (\d+)%.*chance (\d+)%", printed(again)).groups())
        assert hit > 5 * chance
    if name == "table1_columns":
        assert "0.848" in shown and "0.336" in shown and "p_holm" in shown


def test_what_is_kept_is_small_and_names_no_place():
    files = sorted(FOLDER.glob("*.ipynb"))
    assert len(files) == 3
    for file in files:
        text = file.read_text("utf-8")
        assert len(text) < MOST_BYTES
        assert str(REPOSITORY) not in text
        assert not re.search(r"/(home|mnt|root|Users|work)/", text)
