"""The lines of docs/troubleshooting.md do what their comments say."""

import re

import pytest
from common import REPOSITORY

TEXT = (REPOSITORY / "docs" / "troubleshooting.md").read_text("utf-8")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_line_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "troubleshooting"}
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    assert len(blocks) == TEXT.count("```python") > 10
    exec(compile("\n".join(blocks), "troubleshooting.md", "exec"), names)
    printed = capsys.readouterr().out
    for expected in re.findall(r"^print\(.*\)  # (.+)$", TEXT, re.M):
        assert f"{expected}\n" in printed
    assert "'scores'" in printed
    assert names["contrast"].maps.shape == (1, 32, 32)
    assert names["explanation"].names[-1] == "wasp"
    assert 0 <= names["finished"].min() < 0.5 < names["finished"].max() <= 1
    assert (tmp_path / "models" / "mine" / "1" / "saved_model.pb").is_file()


def test_the_pages_it_leads_to_exist():
    for page in re.findall(r"\]\(([\w/]+\.md)\)", TEXT):
        assert (REPOSITORY / "docs" / page).is_file()
    assert "docs/troubleshooting.md" in (REPOSITORY / "README.md").read_text("utf-8")
