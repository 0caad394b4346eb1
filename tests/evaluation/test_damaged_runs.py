"""A run whose files are damaged is said to be so, by the file's name, and no traceback comes."""

import pytest
from typer.testing import CliRunner

from guidedcam_tf.cli import app
from guidedcam_tf.errors import InputError

DAMAGES = {
    "config.yaml": (b"", b"name: [toy", b"5", b"\xff\xfe"),
    "manifest.json": (b"", b'{"model": "toy"', b"[]"),
    "table.csv": (b"", b"a,b\n1,2\n", b'metric,method\n"x'),
    "classes.csv": (b"", b"a,b\n1,2\n"),
    "rows.csv": (b"", b"a,b\n1,2\n"),
    "units.csv": (b"chunk,group,methods\n0,x,guided\n", b"chunk,group,methods\n0\n", b"\xff\xfe"),
}
CHANGE = ("--set", "metrics=[saliency_drop]")
COMMANDS = {
    "config.yaml": ("report", "evaluate", "forecast"),
    "units.csv": ("status",),
}


def done(command):
    """Run a command that must end well."""
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, (command, found.output, found.exception)


@pytest.fixture
def run(paper_table, tmp_path):
    done(["evaluate", str(paper_table), *CHANGE, "--out", str(tmp_path / "runs")])
    return tmp_path / "runs" / "toy"


def test_the_file_is_named_with_the_way_out(run, paper_table, tmp_path):
    commands = {
        "evaluate": ["evaluate", str(paper_table), *CHANGE, "--out", str(run.parent)],
        "forecast": ["status", str(run), "--forecast", "9"],
        "report": ["report", str(run), "--out", str(tmp_path / "report.html"), "--cases", "0"],
        "status": ["status", str(run)],
    }
    for name, damages in DAMAGES.items():
        whole = (run / name).read_bytes()
        for damage in damages:
            (run / name).write_bytes(damage)
            for command in COMMANDS.get(name, ("report",)):
                error = CliRunner().invoke(app, commands[command]).exception
                assert isinstance(error, InputError), (name, damage, command, error)
                assert f"{name} cannot be read: " in str(error)
                assert str(error).endswith(("writes it again", "or --out"))
        (run / name).write_bytes(whole)
    done(commands["report"])


def test_tables_that_are_damaged_or_gone_are_written_again(run, paper_table):
    whole = {name: (run / name).read_bytes() for name in ("table.csv", "rows.csv", "units.csv")}
    (run / "table.csv").unlink()
    (run / "rows.csv").write_bytes(b"")
    (run / "units.csv").write_bytes(b"\xff")
    done(["evaluate", str(paper_table), *CHANGE, "--out", str(run.parent)])
    assert {name: (run / name).read_bytes() for name in whole} == whole


def test_a_report_is_no_folder(run, tmp_path):
    error = CliRunner().invoke(app, ["report", str(run), "--out", str(tmp_path)]).exception
    assert isinstance(error, InputError)
    assert (
        str(error) == f"--out {tmp_path} is a folder; expected the HTML file, such as report.html"
    )
