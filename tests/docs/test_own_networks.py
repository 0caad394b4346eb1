"""The how-to of docs/own_networks.md does what it says."""

import re

import pytest
from common import REPOSITORY
from common import has_resnet50

MANY, FEW = "np.arange(64)", "np.arange(32)"
"""What the test takes less of than the page, to train for half as long."""


@pytest.mark.skipif(not has_resnet50(), reason="no ResNet50 weights here")
def test_the_how_to_runs(tmp_path, monkeypatch):
    text = (REPOSITORY / "docs" / "own_networks.md").read_text("utf-8")
    assert MANY in text
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "how_to"}
    code = "\n".join(re.findall(r"```python\n(.*?)```", text.replace(MANY, FEW), re.S))
    exec(compile(code, "own_networks.md", "exec"), names)
    shown = sorted(file.name for file in (tmp_path / "saliency").iterdir())
    assert shown == [f"epoch_000{epoch}.png" for epoch in (1, 2, 4, 8)]
    assert list((tmp_path / "logs").iterdir())
    assert names["explainer"].layer == "features"
    chance = names["masks"].mean()
    assert names["hits"].mean() > 3 * chance
    assert names["contrast"].shape == (4, 96, 96)
    assert names["contrast"].any()
