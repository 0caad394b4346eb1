"""The shape of the house: imports point downwards, files and functions stay short."""

import ast
from pathlib import Path

import pytest

import guidedcam_tf

HOUSE = Path(guidedcam_tf.__file__).parent
ROOMS = (
    ("__main__", "__init__"),
    ("cli",),
    ("app",),
    ("report",),
    ("figures",),
    ("bench",),
    ("serving",),
    ("evaluation",),
    ("callback", "again", "fusing", "kept", "shortcut", "bridges"),
    ("opening",),
    ("explainer",),
    ("explanation", "origin", "arrays"),
    ("targets",),
    ("pipeline",),
    ("methods",),
    ("runtimes",),
    ("metrics",),
    ("data",),
    ("networks",),
    ("ops",),
    ("drawing", "overlay", "configuring", "finite", "plotting"),
    ("colour_maps", "errors", "files", "progress", "silence", "storage"),
)
"""From the top of the house to the bottom; the last ones know nothing of the others."""

PLACE = {room: place for place, rooms in enumerate(ROOMS) for room in rooms}
FILES = sorted(HOUSE.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 300, 50


def room_of(file):
    return file.relative_to(HOUSE).with_suffix("").parts[0]


def imported_rooms(tree):
    """The rooms that a file imports from, without what only type checkers read."""
    checked = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    ]
    skipped = {id(inner) for node in checked for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("guidedcam_tf"):
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("guidedcam_tf.")
            )


def own_lines(function):
    """A function's lines without its signature, its docstring and the functions inside it."""
    documented = ast.get_docstring(function) is not None
    before = function.body[0].end_lineno if documented else function.body[0].lineno - 1
    inner = [node for node in function.body if isinstance(node, ast.FunctionDef)]
    return function.end_lineno - before - sum(n.end_lineno - n.lineno + 1 for n in inner)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(HOUSE).as_posix())
def test_a_file_keeps_to_the_plan(file):
    text = file.read_text("utf-8")
    tree = ast.parse(text)
    room = room_of(file)
    assert room in PLACE, f"{room} has no place in the house"
    upwards = {each for each in imported_rooms(tree) if PLACE[each] < PLACE[room]}
    assert not upwards, f"{room} imports from {upwards}, which lie above it"
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            length = own_lines(node)
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"
