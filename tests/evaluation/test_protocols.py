"""Which protocol is nearest to the paper, by hand and on a toy network."""

import math

import numpy as np
import pandas as pd
import pytest

from guidedcam_tf.configuring import read_config
from guidedcam_tf.data import read_list
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation import protocols
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.methods.baselines import baseline_inputs


def grid(ranks=None, **ours):
    """Lines of two methods and two metrics; `ours` by mask: guided's two, gradcam's two."""
    lines = []
    for mask, values in ours.items():
        for at, (method, metric) in enumerate(
            (m, k) for m in ("guided", "gradcam") for k in ("saliency_drop", "context_drop")
        ):
            rank = ranks[mask][at] if ranks else math.nan
            lines.append(("mean", mask, metric, method, values[at], 0.5, rank))
    return pd.DataFrame(lines, columns=[*protocols.COLUMNS])


def test_the_nearest_protocol_has_the_least_sum_of_differences():
    found = protocols.nearest(grid(soft=(0.4, 0.7, 0.5, 0.6), otsu=(0.5, 0.6, 0.1, 0.5)))
    found = found.set_index("method")
    assert found.loc["guided", "mask"] == "otsu"
    assert math.isclose(found.loc["guided", "distance"], 0.1)
    assert found.loc["gradcam", "mask"] == "soft"
    assert found.loc["all of them", "mask"] == "soft"
    assert math.isclose(found.loc["all of them", "distance"], 0.4)


def test_a_protocol_that_not_all_methods_have_is_not_nearest_to_all():
    lines = grid(soft=(0.4, 0.7, 0.9, 0.9), otsu=(0.5, 0.5, 0.5, 0.5))
    lines = lines[~((lines["mask"] == "otsu") & (lines["method"] == "gradcam"))]
    assert protocols.nearest(lines).set_index("method").loc["all of them", "mask"] == "soft"


def test_a_tie_is_no_win():
    ranks = {"otsu": (1, 1, 2, 1), "soft": (1, 1, 2, 2)}
    won = protocols.wins(grid(ranks, otsu=(0.4, 0.5, 0.5, 0.5), soft=(0.4, 0.7, 0.5, 0.6)))
    assert won["mask"].tolist() == ["soft", "otsu"]
    assert won["won"].tolist() == [2, 1]
    assert won["metrics"].tolist() == [2, 2]


def test_a_method_of_a_part_of_the_pictures_is_no_rival_and_without_rivals_is_no_win():
    lines = grid({"soft": (1, 1, 2, 2)}, soft=(0.4, 0.7, 0.5, 0.6))
    better = lines[lines["method"] == "gradcam"].assign(method="scorecam", ours=[0.1, 0.9])
    better["rank_ours"] = math.nan
    assert protocols.wins(pd.concat([lines, better]))["won"].tolist() == [2]
    alone = pd.concat([lines[lines["method"] == "guided"], better])
    assert protocols.wins(alone)["won"].tolist() == [0]


def test_the_grid_s_tables_are_those_of_single_runs(paper_table, tmp_path, toy_images):
    read = read_config(paper_table, EvaluationConfig)
    folder = protocols.search(read, tmp_path / "runs", masks=["0.3", "soft"], fills=["blur"])
    found = pd.read_csv(folder / "protocols.csv", dtype={"mask": str})
    assert found["mask"].tolist() == ["0.3", "0.3", "soft", "soft"]
    assert found["metric"].unique().tolist() == ["saliency_drop"]

    images, network = toy_images.astype("uint8"), read.open()
    fitted = network.pipeline.fitted(images)
    maps = network.maps(images, method="guided").reshape(fitted.shape[:3])
    inputs = network.network.preprocess(fitted)
    cover = baseline_inputs(network.network, fitted, "blur").numpy()
    seen = maps[..., None] * inputs + (1 - maps[..., None]) * cover
    before, after = (network.pipeline.probabilities(x).numpy() for x in (inputs, seen))
    top = before.argmax(axis=1)[:, None]
    before, after = (np.take_along_axis(x, top, 1)[:, 0] for x in (before, after))
    expected = (np.maximum(0, before - after) / before).mean()
    guided = found[(found["mask"] == "soft") & (found["method"] == "guided")]["ours"].item()
    assert math.isclose(guided, expected, abs_tol=2e-6)
    assert "strictly the best" in (folder / "protocols.md").read_text("utf-8")
    assert read_list(folder / "pictures.txt") == ("0.png", "1.png", "2.png")


def test_ranks_are_those_of_the_runs_and_methods_of_a_part_are_named(paper_table, tmp_path):
    methods = "methods=[guided, hirescam, {name: gradcam, pictures: 1}]"
    read = read_config(paper_table, EvaluationConfig, [methods])
    folder = protocols.search(read, tmp_path / "runs", masks=["soft"], fills=["mean"])
    found = pd.read_csv(folder / "protocols.csv").set_index("method")["rank_ours"]
    single = pd.read_csv(folder / "mean, soft" / "table.csv").set_index("method")["rank_ours"]
    assert found.isna().to_dict() == {"guided": False, "hirescam": False, "gradcam": True}
    assert found.dropna().to_dict() == single.dropna().to_dict()
    said = (folder / "protocols.md").read_text("utf-8")
    assert "\n\ngradcam is measured on 1 of the pictures, drawn with seed 0, so it is not" in said


def test_unknown_masks_and_fills_are_refused(paper_table, tmp_path):
    read = read_config(paper_table, EvaluationConfig)
    for given in ({"masks": ["0.35"]}, {"fills": ["white"]}):
        ((kind, (name,)),) = given.items()
        with pytest.raises(InputError, match=rf"{kind} {name} not known; expected some of .*,"):
            protocols.search(read, tmp_path / "runs", **given)
    with pytest.raises(InputError, match=r"^masks are none; expected some of 0.05, "):
        protocols.search(read, tmp_path / "runs", masks=[])
    with pytest.raises(InputError, match=r"^soft is named twice"):
        protocols.search(read, tmp_path / "runs", masks=["soft", "soft"])
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("paper=null", "give paper: "),
        ("metrics=[pointing_game]", "metrics of masked predictions; give paper: "),
        ("methods=[gradcam]", "add it to these, now gradcam"),
        ("methods=[gradcam, {name: guided, pictures: 1}]", "add it to these, now gradcam$"),
    ],
)
def test_a_search_that_would_end_without_a_table_is_refused(
    paper_table, tmp_path, setting, message
):
    with pytest.raises(InputError, match=message):
        protocols.search(read_config(paper_table, EvaluationConfig, [setting]), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_less_than_a_picture_is_refused(paper_table, tmp_path, limit):
    config = read_config(paper_table, EvaluationConfig)
    with pytest.raises(InputError, match=f"limit must be at least 1; received {limit}"):
        evaluate(config, tmp_path / "runs", limit=limit)
