"""The notebooks of docs/notebooks run, and show what is kept in them."""

import json
import re
import shutil
import sys

import nbformat
import pytest
from common import DATA
from common import REPOSITORY
from common import has_resnet50

sys.path.insert(0, str(REPOSITORY / "scripts"))
from run_notebooks import FOLDER
from run_notebooks import run

MOST_BYTES = 200_000
MANY, FEW = "PICTURES = 16", "PICTURES = 2"
"""What the test takes less of than the notebook of table 1."""
NAMES = ["own_network", "table1_columns", pytest.param("explain_resnet50", marks=pytest.mark.slow)]


def kept(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


@pytest.fixture(scope="module")
def again(tmp_path_factory, request):
    """The notebooks to run that can run here, by one kernel that forgets all in between."""
    here = tmp_path_factory.mktemp("docs")
    shutil.copytree(REPOSITORY / "docs" / "results", here / "results")
    (here / "notebooks").mkdir()
    can_run = {
        "own_network": True,
        "explain_resnet50": has_resnet50(),
        "table1_columns": has_resnet50() and DATA.is_dir(),
    }
    asked = {item.name for item in request.session.items}
    test = "test_a_notebook_shows_what_is_kept_in_it"
    names = [name for name in can_run if can_run[name] and f"{test}[{name}]" in asked]
    books = {name: kept(name) for name in names}
    one = nbformat.v4.new_notebook(metadata=kept("own_network").metadata)
    for book in books.values():
        one.cells += [*book.cells, nbformat.v4.new_code_cell("%reset -f")]
    text = nbformat.writes(one)
    assert (MANY in text) == ("table1_columns" in names)
    file = here / "notebooks" / "all.ipynb"
    file.write_text(text.replace(MANY, FEW), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOC2012", str(DATA / "voc2012"))
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        cells = run(file, file.parent).cells
    for book in books.values():
        book.cells, cells = cells[: len(book.cells)], cells[len(book.cells) + 1 :]
    return books


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


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_shows_what_is_kept_in_it(name, again):
    if name not in again:
        pytest.skip("no ResNet50 weights, or no labelled pictures, here")
    book = again[name]
    assert kinds(book) == kinds(kept(name))
    assert re.sub(r"[\d.]+", "N", printed(book)) == re.sub(r"[\d.]+", "N", printed(kept(name)))
    shown = json.dumps(book)
    if name == "own_network":
        hit, chance = map(int, re.search(r"object: (\d+)%.*chance (\d+)%", printed(book)).groups())
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
