"""Tables from rows: means, ranks, marks and correlations, computed by hand."""

import math

import pandas as pd
import pytest

from guidedcam_tf.evaluation.tables.summary import by_class
from guidedcam_tf.evaluation.tables.summary import correlations
from guidedcam_tf.evaluation.tables.summary import summarise
from guidedcam_tf.evaluation.tables.writing import write_tables

VALUES = {"guided": [0.5, 1.0, 0.0], "gradcam": [0.25, 0.25, 0.25], "layercam": [0.5, 0.5, 0.5]}
PAPER = {"saliency_drop": {"guided": 0.3, "gradcam": 0.2, "layercam": 0.1}}


def rows(metric="saliency_drop", area="", values=VALUES, note=""):
    return pd.DataFrame(
        [
            {
                "image": f"p{i}",
                "class_name": "cat" if i else "dog",
                "target": 1,
                "method": method,
                "metric": metric,
                "area": area,
                "value": value,
                "note": note,
            }
            for method, listed in values.items()
            for i, value in enumerate(listed)
        ]
    )


def test_means_and_ranks():
    table = summarise(rows(), methods=list(VALUES), paper=PAPER).set_index("method")
    assert table["ours"].to_dict() == {"guided": 0.5, "gradcam": 0.25, "layercam": 0.5}
    # The metric is better when lower: gradcam is first, and the two others share the second rank.
    assert table["rank_ours"].to_dict() == {"guided": 2, "gradcam": 1, "layercam": 2}
    assert table["rank_paper"].to_dict() == {"guided": 3, "gradcam": 2, "layercam": 1}
    assert table.loc["guided", "difference"] == pytest.approx(0.2)
    # dog: 0.5; cat: (1 + 0) / 2; so the classes' mean is 0.5.
    assert table.loc["guided", "class_mean"] == 0.5
    assert table.loc["gradcam", ["ci_low", "ci_high"]].tolist() == [0.25, 0.25]
    assert 0 <= table.loc["guided", "ci_low"] < 0.5 < table.loc["guided", "ci_high"] <= 1


def test_a_method_of_a_part_of_the_pictures_is_not_ranked():
    table = summarise(rows(), methods=list(VALUES), unranked=["gradcam"], paper=PAPER)
    ranks = table.set_index("method")["rank_ours"]
    assert math.isnan(ranks["gradcam"])
    assert ranks[["guided", "layercam"]].tolist() == [1, 1]
    assert correlations(table) == {}


def test_undefined_pairs_are_left_out_and_counted():
    values = {"guided": [0.5, math.nan, 1.0], "gradcam": [math.nan] * 3}
    table = summarise(rows(values=values), methods=list(values)).set_index("method")
    assert table.loc["guided", ["ours", "pairs", "pictures", "undefined"]].tolist() == [
        0.75,
        2,
        2,
        1,
    ]
    assert math.isnan(table.loc["gradcam", "ours"])
    assert table.loc["gradcam", "undefined"] == 3


def test_empty_maps_are_counted():
    table = summarise(rows(note="empty map"), methods=list(VALUES))
    assert table["empty"].tolist() == [3, 3, 3]


def test_correlation_with_the_paper_s_ranking():
    # Ours rise 0.1, 0.2, 0.3 as the paper's fall 0.3, 0.2, 0.1.
    values = {"guided": [0.1], "gradcam": [0.2], "layercam": [0.3]}
    assert correlations(summarise(rows(values=values), methods=list(values), paper=PAPER)) == {
        "saliency_drop": pytest.approx(-1)
    }
    assert correlations(summarise(rows(), methods=list(VALUES))) == {}


def test_written_tables_mark_best_second_and_ties(tmp_path):
    both = pd.concat([rows(), rows("saliency_increase", "0.1")])
    table = summarise(both, methods=list(VALUES), paper=PAPER)
    write_tables(table, tmp_path, title="Try", notes=["A note."])
    markdown = (tmp_path / "table.md").read_text()
    assert "Drop for saliency zone ↓" in markdown
    assert "**0.2500**<br>*0.2000*" in markdown
    assert "| 0.5000 =<br>*0.3000*" in markdown
    assert "Increase for saliency zone, 10% of the area ↑" in markdown
    # guided and layercam share the first rank there, and gradcam is third.
    (line,) = [line for line in markdown.splitlines() if "10% of the area" in line]
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ["0.5000 =", "0.2500", "0.5000 ="]
    assert "- A note." in markdown
    latex = (tmp_path / "table.tex").read_text()
    assert r"\textbf{0.2500}" in latex
    assert r"$\uparrow$" in latex
    assert "0.5000 $=$" in latex
    assert pd.read_csv(tmp_path / "table.csv")["ours"].tolist() == table["ours"].tolist()


def test_areas_that_are_alike_have_rows_of_their_own(tmp_path):
    """As whole per cents 0.12 and 0.125 had one row, which named the wrong best method."""
    areas = ["0.005", "0.12", "0.125"]
    table = summarise(pd.concat([rows(area=each) for each in areas]), methods=list(VALUES))
    write_tables(table, tmp_path, title="", notes=[])
    markdown = (tmp_path / "table.md").read_text()
    for named in ("0.5%", "12%", "12.5%"):
        assert f"Drop for saliency zone, {named} of the area ↓" in markdown


def test_signs_of_latex_are_escaped(tmp_path):
    table = summarise(rows(), methods=list(VALUES)).replace({"method": {"guided": "a_b (c={d})"}})
    write_tables(table, tmp_path, title=r"run_1: 50% & #2 of C:\m~1, x^2, ${y}", notes=[])
    latex = (tmp_path / "table.tex").read_text()
    assert r"a\_b (c=\{d\})" in latex
    assert (
        r"\caption{run\_1: 50\% \& \#2 of C:\textbackslash{}m\textasciitilde{}1, "
        r"x\textasciicircum{}2, \$\{y\}}"
    ) in latex


def test_the_second_is_underlined(tmp_path):
    values = {"guided": [0.1], "gradcam": [0.2], "layercam": [0.3]}
    write_tables(summarise(rows(values=values), methods=list(values)), tmp_path, title="", notes=[])
    assert "| **0.1000** | <u>0.2000</u> | 0.3000" in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize(("pictures", "few"), [(9, True), (10, False)])
def test_a_correlation_over_little_says_so(tmp_path, pictures, few):
    names = ["guided", "gradcam", "layercam", "xgradcam", "cameras"]
    values = {name: [0.1 * at + 0.1] * pictures for at, name in enumerate(names)}
    paper = {"saliency_drop": {name: 0.1 * at for at, name in enumerate(names)}}
    table = summarise(rows(values=values), methods=names, paper=paper)
    write_tables(table, tmp_path, title="", notes=[])
    warned = (
        f"It is of 5 methods on {pictures} pictures only" in (tmp_path / "table.md").read_text()
    )
    assert warned == few
    four = summarise(rows(values=values), methods=names, unranked=["cameras"], paper=paper)
    write_tables(four, tmp_path, title="", notes=[])
    assert "It is of 4 methods on" in (tmp_path / "table.md").read_text()


def test_classes_have_their_own_means():
    lines = by_class(rows(), summarise(rows(), methods=list(VALUES)))
    found = lines.set_index(["method", "class_name"])
    assert found.loc[("guided", "dog"), ["mean", "pairs"]].tolist() == [0.5, 1]
    assert found.loc[("guided", "cat"), ["mean", "pairs"]].tolist() == [0.5, 2]
    assert list(lines["method"].unique()) == list(VALUES)
