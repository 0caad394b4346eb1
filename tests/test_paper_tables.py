"""The paper's tables as typed: what they say, and where the paper disagrees with itself."""

import pytest
import yaml
from common import REPOSITORY

from guidedcam_tf.methods import METHODS
from guidedcam_tf.metrics import METRICS

PAPER = yaml.safe_load((REPOSITORY / "configs" / "paper_tables.yaml").read_text("utf-8"))
TABLES = PAPER["tables"]
COLUMNS = list(PAPER["methods"])
ROWS = [(table, metric) for table in TABLES for metric in TABLES[table]["rows"]]


def values(table, metric):
    """A row's values by method."""
    return dict(zip(COLUMNS, TABLES[table]["rows"][metric]["values"], strict=True))


def ranks(table, metric):
    """Each method's place in a row, 1 for the best; equal values share the better place."""
    row = values(table, metric)
    sign = -1 if TABLES[table]["rows"][metric]["arrow"] == "up" else 1
    return {name: 1 + sum(sign * v < sign * row[name] for v in row.values()) for name in row}


def at_rank(table, metric, rank):
    return [name for name, place in ranks(table, metric).items() if place == rank]


def test_every_column_and_row_is_known():
    assert set(COLUMNS) <= set(METHODS)
    assert {metric for _, metric in ROWS} <= set(METRICS)
    assert [(t["data_set"], len(t["rows"])) for t in TABLES.values()] == [
        ("voc2012", 7),
        ("coco2014", 4),
        ("imagenet", 4),
    ]


@pytest.mark.parametrize(("table", "metric"), ROWS)
def test_values_are_fractions(table, metric):
    assert all(0 < value < 1 for value in values(table, metric).values())


def test_the_arrows_are_the_metrics_own():
    for table, metric in ROWS:
        higher = TABLES[table]["rows"][metric]["arrow"] == "up"
        assert METRICS[metric].higher_is_better == higher


def test_best_and_second_best():
    found = {key: (at_rank(*key, 1), at_rank(*key, 2)) for key in ROWS}
    assert found == {
        ("table1", "saliency_increase"): (["guided"], ["gradcam++"]),
        ("table1", "context_drop"): (["guided"], ["xgradcam"]),
        ("table1", "pointing_game"): (["guided"], ["relevance_cam"]),
        ("table1", "dice"): (["guided"], ["relevance_cam"]),
        ("table1", "iou"): (["guided"], ["relevance_cam"]),
        ("table1", "saliency_drop"): (["guided"], ["gradcam++"]),
        ("table1", "context_increase"): (["scorecam"], ["gradcam"]),
        ("table2", "context_drop"): (["gradcam++"], ["cameras"]),
        ("table2", "saliency_increase"): (["guided"], ["cameras"]),
        ("table2", "saliency_drop"): (["guided"], ["gradcam++"]),
        ("table2", "context_increase"): (["guided"], ["gradcam++"]),
        ("table3", "context_drop"): (["guided"], ["cameras"]),
        ("table3", "saliency_increase"): (["guided"], ["scorecam"]),
        ("table3", "saliency_drop"): (["guided"], ["gradcam++"]),
        ("table3", "context_increase"): (["guided"], ["gradcam++"]),
    }


def test_the_wrong_second_best_marks():
    wrong, missing = [], []
    for table, metric in ROWS:
        place = ranks(table, metric)
        underlined = TABLES[table]["rows"][metric]["underlined"]
        wrong += [(table, metric, name, place[name]) for name in underlined if place[name] != 2]
        missing += [
            (table, metric, name) for name in at_rank(table, metric, 2) if name not in underlined
        ]
    assert wrong == [
        ("table1", "pointing_game", "xgradcam", 7),
        ("table1", "dice", "xgradcam", 8),
        ("table1", "iou", "xgradcam", 7),
        ("table1", "context_increase", "xgradcam", 4),
        ("table1", "context_increase", "guided", 3),
    ]
    assert missing == [("table1", "context_increase", "gradcam")]


def test_how_often_the_proposed_method_is_best():
    for name, table in TABLES.items():
        best = [metric for metric in table["rows"] if at_rank(name, metric, 1) == ["guided"]]
        assert len(best) == table["claimed_best"]


def test_the_abstract_misses_one_rival():
    assert len(COLUMNS) - 1 == 9
    assert PAPER["claimed_rivals"] == 8


def test_the_gap_to_the_best_is_a_tenth_of_what_the_text_says():
    row = values("table1", "context_increase")
    assert row["guided"] - row["scorecam"] == pytest.approx(0.0032)
    assert TABLES["table1"]["claimed_gap"] == 0.03


def test_where_the_captions_contradict_the_arrows():
    contradictions = [
        (name, metric)
        for name, table in TABLES.items()
        for arrow, metrics in table.get("captioned", {}).items()
        for metric in metrics
        if table["rows"][metric]["arrow"] != arrow
    ]
    assert contradictions == [
        ("table1", "saliency_drop"),
        ("table1", "context_increase"),
        ("table1", "saliency_increase"),
        ("table1", "context_drop"),
    ]


def test_equal_values():
    equal = [
        (table, metric, one, other)
        for table, metric in ROWS
        for i, one in enumerate(COLUMNS)
        for other in COLUMNS[i + 1 :]
        if values(table, metric)[one] == values(table, metric)[other]
    ]
    assert equal == [
        ("table1", "saliency_increase", "gradcam", "xgradcam"),
        ("table1", "saliency_increase", "fullgrad", "smooth_fullgrad"),
        ("table2", "context_increase", "fullgrad", "relevance_cam"),
        ("table3", "context_increase", "smooth_fullgrad", "integrated_gradcam"),
    ]


def test_no_masks_have_these_dice_and_iou():
    # For one mask IoU = D / (2 - D), which is convex in D, so over many masks the mean IoU is at
    # least that of the mean Dice, whatever the masks. Grad-CAM: 0.2822 / 1.7178 = 0.1643 > 0.0823.
    dice, iou = values("table1", "dice"), values("table1", "iou")
    share = {name: iou[name] / (dice[name] / (2 - dice[name])) for name in COLUMNS}
    assert {name: round(value, 2) for name, value in share.items()} == {
        "gradcam": 0.50,
        "gradcam++": 0.54,
        "xgradcam": 0.52,
        "cameras": 0.50,
        "fullgrad": 0.47,
        "smooth_fullgrad": 0.48,
        "integrated_gradcam": 0.62,
        "scorecam": 0.47,
        "relevance_cam": 0.47,
        "guided": 0.48,
    }
