"""The numbers of docs/REPRODUCTION.md and README.md are those of the committed tables."""

import importlib
import re
from itertools import chain

import pandas as pd
import pytest
import yaml
from common import REPOSITORY

RESULTS = REPOSITORY / "docs" / "results"
REPORT = REPOSITORY / "docs" / "REPRODUCTION.md"


@pytest.fixture
def numbers(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    return importlib.import_module("reproduction_numbers")


def test_the_tables_are_made_of_the_committed_ones(numbers):
    for page in numbers.PAGES:
        text = page.read_text("utf-8")
        assert numbers.MARKED.search(text), page
        assert text == numbers.filled(text), "run python scripts/reproduction_numbers.py"


def test_a_changed_number_is_seen(numbers):
    text = REPORT.read_text("utf-8")
    assert "0.848<br>*0.595*" in text
    assert numbers.filled(text.replace("0.848<br>*0.595*", "0.849<br>*0.595*")) == text


def known():
    """Every number of the committed tables and of the paper's."""
    for file in RESULTS.glob("*/*.csv"):
        table = pd.read_csv(file).select_dtypes("number")
        yield from chain.from_iterable(table.to_numpy().tolist())
    tables = yaml.safe_load((REPOSITORY / "configs" / "paper_tables.yaml").read_text("utf-8"))
    for table in tables["tables"].values():
        yield from chain.from_iterable(row["values"] for row in table["rows"].values())


DERIVED = {
    "0.0032": "0.0183 - 0.0151, the paper's own values",
    "0.2756": "0.4321 / (2 - 0.4321), what the paper's Dice asks of its IoU",
    "0.259": "0.5945 - 0.3355, the paper's own values",
    "0.017": "the largest difference to Grad-CAM at equal areas, see below",
    "0.009": "likewise on VOC",
    "0.030": "likewise on COCO",
    "0.047": "half the widest interval at equal areas, see below",
    "0.042": "likewise on VOC",
    "0.082": "likewise on COCO",
}


def test_every_number_of_the_text_is_in_a_table(numbers):
    """Those with three decimals or more; parameters have fewer."""
    text = numbers.MARKED.sub("", REPORT.read_text("utf-8"))
    found = {"3": set(), "4": set()}
    for value in known():
        for digits, values in found.items():
            values.add(f"{abs(value):.{digits}f}")
    for number in re.findall(r"(?<![\w.])\d\.\d{3,4}(?!\d)", text):
        assert number in DERIVED or number in found[str(len(number) - 2)], number


@pytest.mark.parametrize(
    ("table", "apart", "half"),
    [("table3", "0.017", "0.047"), ("table1", "0.009", "0.042"), ("table2", "0.030", "0.082")],
)
def test_what_is_said_of_equal_areas(numbers, table, apart, half):
    lines = numbers.read(numbers.TABLES[table][1])
    lines = lines[(lines["area"] != "") & lines["metric"].str.endswith("drop")]
    wide = lines.pivot(index=["metric", "area"], columns="method", values="ours")
    assert wide["gradcam"].round(3).equals(wide["xgradcam"].round(3))
    assert f"{(wide['guided'] - wide['gradcam']).abs().max():.3f}" == apart
    mine = lines[lines["method"].isin(["gradcam", "xgradcam", "guided"])]
    assert f"{((mine['ci_high'] - mine['ci_low']) / 2).max():.3f}" == half
    theirs = lines[lines["method"] == "gradcam"].set_index(["metric", "area"]).reindex(wide.index)
    assert wide["guided"].between(theirs["ci_low"], theirs["ci_high"]).all()
