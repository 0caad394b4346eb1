"""Figures by the command line and the scripts, and the configurations that are shipped."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from guidedcam_tf.cli import main
from guidedcam_tf.figures.config import read_figure_config
from guidedcam_tf.figures.pictures import find_picture

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SHIPPED = sorted(CONFIGS.glob("figure*.yaml"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_configs_are_read_and_have_demo_pictures(file):
    config = read_figure_config(file, ["root=/elsewhere"])
    assert config.name == file.stem and config.root == Path("/elsewhere")
    assert config.pictures and config.demo
    for picture in (*config.demo, *getattr(config, "demo_context", ())):
        assert find_picture(picture.file, Path()).dtype == np.uint8


@pytest.fixture
def guidedcam(monkeypatch, capsys):
    """Run the command line in this process: its exit code, and what it printed."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["guidedcam", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        return left.value.code or 0, captured.out, captured.err

    return call


def test_the_commands_make_a_figure_and_its_report(config, guidedcam, tmp_path):
    config("guidance")
    file, out = tmp_path / "small.yaml", tmp_path / "runs"
    settings = ["--set", "name=other", "--set", "colour_map=jet"]
    code, printed, _ = guidedcam("figure", file, *settings, "--out", out)
    assert code == 0
    assert all(Path(line).exists() for line in printed.split())
    manifest = json.loads((out / "other" / "manifest.json").read_text())
    assert manifest["config"]["colour_map"] == "jet"
    code, printed, _ = guidedcam("report", out / "other", "--out", out / "report.html")
    assert (code, printed.strip()) == (0, str(out / "report.html"))
    assert 'alt="Figure other (guidance) of' in (out / "report.html").read_text("utf-8")


def test_mistakes_end_with_2_and_one_line(config, guidedcam, tmp_path):
    config("guidance")
    code, _, told = guidedcam("figure", tmp_path / "small.yaml", "--set", "root=/nowhere")
    assert code == 2 and "--set root=FOLDER" in told and "Traceback" not in told
    code, _, told = guidedcam("figure", tmp_path / "small.yaml", "--demo")
    assert code == 2 and "figure small has no demo" in told
    code, _, told = guidedcam("figure", tmp_path / "none.yaml")
    assert code == 2 and "cannot be read" in told


@pytest.mark.parametrize("number", range(1, 7))
def test_each_figure_has_a_short_script(number):
    script = CONFIGS.parent / "scripts" / f"reproduce_figure{number}.py"
    assert len(script.read_text().splitlines()) < 50
    assert f"reproduce.figure({number})" in script.read_text()


def test_a_script_takes_the_commands_arguments(monkeypatch, capsys):
    scripts = CONFIGS.parent / "scripts"
    monkeypatch.syspath_prepend(str(scripts))
    given = ["--set", "root=/nowhere", "--set", "model=none"]
    monkeypatch.setattr(sys, "argv", ["reproduce_figure1.py", *given])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(scripts / "reproduce_figure1.py"), run_name="__main__")
    assert left.value.code == 2 and "picture /nowhere/demo/images" in capsys.readouterr().err
