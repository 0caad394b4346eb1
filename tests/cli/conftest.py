"""The command line in this process, and a small model for it."""

import sys

import pytest
from common import build_toy

from guidedcam_tf.cli import main


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    """Run the command line in this process and in `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["guidedcam", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return left.value.code or 0, captured.out, captured.err

    return call


@pytest.fixture
def model(tmp_path):
    build_toy("flatten").save(tmp_path / "toy.keras")
    return "toy.keras"
