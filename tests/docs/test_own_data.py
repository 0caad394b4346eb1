"""The five commands of docs/own_data.md lead to maps, a table, a report and an export."""

import re
import shlex
import sys

import numpy as np
import pandas as pd
import pytest
from common import REPOSITORY

from guidedcam_tf.cli import main
from guidedcam_tf.opening import open_explainer


def test_the_five_commands_run(tmp_path, monkeypatch, capsys):
    text = (REPOSITORY / "docs" / "own_data.md").read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "how_to"}
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
    exec(compile(code, "own_data.md", "exec"), names)
    commands = re.search(r"```bash\n(.*?)```", text, re.S)[1].splitlines()
    assert len(commands) == 5
    for command in commands:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as left:
            main()
        assert not left.value.code, capsys.readouterr().err
    assert len(list((tmp_path / "out").glob("*.json"))) == 60 * 2
    table = pd.read_csv(tmp_path / "runs" / "mine" / "table.csv")
    assert set(table["method"]) >= {"guided", "gradcam", "layercam"}
    overall = table[table["area"].isna()]
    areas = overall.set_index(["method", "metric"])["ours"].unstack("metric")["deletion"]
    assert areas["layercam"] != areas["gradcam"]
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert (tmp_path / "served" / "mine" / "1" / "saved_model.pb").is_file()
    pictures, model = np.stack(names["pictures"]), names["model"]
    np.testing.assert_allclose(
        open_explainer({"model": "mine/model.keras"}).predict(pictures),
        model.predict(pictures / 255.0, verbose=0),
        atol=1e-6,
    )
    assert (model.predict(pictures / 255.0, verbose=0).argmax(1) == names["labels"]).mean() > 0.9
