"""What pages show of Python and of the command line is real, whichever page it is on."""

import ast
import re
import shlex
import sys

import click
import numpy as np
import pytest
import typer
from common import REPOSITORY
from common import build_toy
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.cli import app

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def blocks(page, *languages):
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", page.read_text("utf-8"), re.S | re.M)
    return [text for language, text in found if language in languages]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_compiles_and_what_it_imports_exists(page):
    for block in blocks(page, "python"):
        indent = re.match(" *", block)[0]
        tree = ast.parse(re.sub(f"^{indent}", "", block, flags=re.M))
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(imports, []), page.name, "exec"), {})
        for name in re.findall(r"\bgcam\.(\w+)", block):
            assert hasattr(gcam, name)


def commands(page):
    """The command lines of a page, without comments and with continued lines joined."""
    for block in blocks(page, "", "bash", "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("guidedcam "):
                yield line.split("  #")[0].split(" # ")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_command_lines_are_understood(page):
    """Parse each, without running it: an option that does not exist is a usage error."""
    for line in commands(page):
        command, arguments = typer.main.get_command(app), shlex.split(line)[1:]
        while isinstance(command, click.Group) and arguments and arguments[0] in command.commands:
            command = command.commands[arguments.pop(0)]
        if not isinstance(command, click.Group) and "..." not in line:
            command.make_context(command.name, [each for each in arguments if each != "|"])


def test_there_are_command_lines():
    assert sum(len(list(commands(page))) for page in PAGES) > 20


def run(page, names, *, changes=(), without=None):
    found = blocks(REPOSITORY / page, "python")
    code = "\n".join(block for block in found if without is None or without not in block)
    for old, new in changes:
        assert old in code
        code = code.replace(old, new)
    exec(compile(code, page, "exec"), names)
    return names


def test_the_readme_s_lines_run(resnet50, tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(rng.integers(0, 256, (60, 90, 3), np.uint8)).save("cat_and_coffee.png")
    toy = build_toy()
    given = {
        "resnet50": resnet50,
        "images": rng.integers(0, 256, (2, 50, 50, 3)).astype("uint8"),
        "class_ids": [1, 2],
        "model": toy,
        "inputs": rng.normal(size=(2, 8, 8, 3)).astype("float32"),
        "names": ["a", "b", "c"],
    }
    changes = [('gcam.Explainer("resnet50")', "resnet50"), ("conv5_block3_out", "conv2")]
    found = run("README.md", given, changes=changes)
    assert found["maps"].shape == (2, 50, 50) and found["raw"].shape == (2, 7, 7)
    assert found["heatmaps"].shape == (2, 8, 8)
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_the_lines_for_users_of_other_toolkits_run(rng):
    quantus = pytest.importorskip("quantus")
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    given = {"model": build_toy(), "x": x, "ids": np.array([0, 1]), "quantus": quantus}
    run("docs/coming_from.md", given, without="xplique")
    assert given["explain"](given["model"], x, given["ids"]).shape[0] == 2


def test_the_lines_for_users_of_xplique_run(rng):
    pytest.importorskip("xplique.metrics")
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    given = {"model": build_toy(), "x": x, "one_hot": np.eye(3, dtype="float32")[:2]}
    given["xplique"] = sys.modules["xplique"]
    run("docs/coming_from.md", given, without="quantus")
    assert len(given["explain"](x, given["one_hot"])) == 2
