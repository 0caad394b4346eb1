"""The figures of curves, computed: deletion and insertion, and the zone metrics over the area."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from guidedcam_tf import metrics
from guidedcam_tf.arrays import as_input
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.measuring.evidence import masked_predictions
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.figures.config import AreasConfig
from guidedcam_tf.figures.config import CurvesConfig
from guidedcam_tf.figures.config import OneNetworkConfig
from guidedcam_tf.figures.config import PictureConfig
from guidedcam_tf.figures.curves import AreaCurves
from guidedcam_tf.figures.curves import PictureCurves
from guidedcam_tf.figures.curves import draw_area_curves
from guidedcam_tf.figures.curves import draw_curves
from guidedcam_tf.figures.explaining import LoadedPicture
from guidedcam_tf.figures.explaining import Networks
from guidedcam_tf.figures.explaining import explain
from guidedcam_tf.figures.explaining import load_pictures
from guidedcam_tf.figures.explaining import network_line
from guidedcam_tf.figures.result import Result
from guidedcam_tf.progress import progress


def curves(config: CurvesConfig, networks: Networks, pictures: Any, *_: bool) -> Result:
    """Figure 6: deletion and insertion curves of each picture's first target."""
    found, lines = [], []
    _check_classes(config, networks, pictures)
    loaded = load_pictures(config, networks, pictures)
    pairs = [(one, method) for one in loaded for method in config.methods]
    steps = iter(progress(pairs, config.name))
    for one in loaded:
        explanations = explain(one, config.methods)
        first = explanations[0]
        target = int(first.targets[0])
        inputs = _inputs(one)
        score = class_score(one.explainer, target)
        traced: dict[str, dict[str, metrics.Curve]] = {"deletion": {}, "insertion": {}}
        for explanation in explanations:
            _one, method = next(steps)
            saliency = network_map(one.explainer, explanation, inputs.shape[:2])
            for name, trace in (("deletion", metrics.deletion), ("insertion", metrics.insertion)):
                curve = trace(
                    inputs, saliency, score, step=config.step, batch_size=config.batch_size
                )
                traced[name][method] = curve
                lines += [
                    {
                        "picture": one.name,
                        "class": target,
                        "class_name": first.names[0],
                        "method": method,
                        "curve": name,
                        "auc": curve.auc,
                        "fraction": fraction,
                        "score": value,
                    }
                    for fraction, value in zip(curve.fractions, curve.scores, strict=True)
                ]
        probability = float(first.probabilities[0])
        shown = one.content.shown
        found.append(
            PictureCurves(shown, first.names[0], probability, **traced, quantity=first.quantity)
        )
    title = f"Insertion and deletion, {network_line(first)}"
    return Result(draw_curves(found, title=title), pd.DataFrame(lines))


def areas(config: AreasConfig, networks: Networks, pictures: Any, *_: bool) -> Result:
    """The zone metrics of each picture's first target, mask by mask of growing area."""
    wanted = [_zone_metric(name) for name in config.metrics]
    _check_classes(config, networks, pictures)
    loaded = load_pictures(config, networks, pictures)
    lines: list[dict[str, Any]] = []
    for one in progress(loaded, config.name):
        pipeline = one.explainer.pipeline
        explanations = explain(one, config.methods)
        first = explanations[0]
        target = int(first.targets[0])
        inputs = _inputs(one)
        clean = class_score(one.explainer, target)(inputs[None])
        for explanation in explanations:
            saliency = network_map(one.explainer, explanation, inputs.shape[:2])
            masks = metrics.area_matched_masks(saliency, config.areas)
            mask = metrics.threshold_mask(saliency, config.threshold)
            kinds = [*((f"{area:g}", area) for area in config.areas), ("threshold", mask.mean())]
            evidence = masked_predictions(
                pipeline,
                inputs[None],
                [0] * len(kinds),
                [target] * len(kinds),
                np.concatenate([masks, mask[None]]),
                clean=clean,
                batch_size=config.batch_size,
            )
            scores = {metric.name: metric.measure(evidence) for metric in wanted}
            for at, (kind, area) in enumerate(kinds):
                lines.append(
                    {
                        "picture": one.name,
                        "class": target,
                        "class_name": first.names[0],
                        "method": explanation.method,
                        "mask": kind,
                        "area": float(area),
                        **{name: float(values[at]) for name, values in scores.items()},
                    }
                )
    table = pd.DataFrame(lines)
    title = f"Zone metrics over the mask's area, {network_line(first)}, "
    title += f"mean of {len(loaded)} pictures"
    return Result(draw_area_curves(area_curves(table, config), title=title), table)


def _check_classes(
    config: OneNetworkConfig, networks: Networks, pictures: Sequence[PictureConfig]
) -> None:
    """Refuse a network whose classes the figure cannot follow, before its targets are read."""
    explainer = networks.get(pictures[0].model or config.model)
    if explainer is None:
        return
    network = explainer.network
    if not network.has_classes:
        raise InputError(
            f"kind {config.kind} follows one class of the whole picture; {network.name!r} has "
            "none, but kind comparison shows the maps of its targets"
        )
    if isinstance(config, AreasConfig) and network.quantity == "value":
        raise InputError(
            f"kind areas measures by probabilities; {network.name!r} gives values (scores: "
            "regression), but kind curves follows those"
        )


def area_curves(table: pd.DataFrame, config: AreasConfig) -> AreaCurves:
    """Average the lines of the area figure over pictures."""
    averaged = table.groupby(["method", "mask"], sort=False)[["area", *config.metrics]].mean()
    means = {key: dict(line) for key, line in averaged.to_dict("index").items()}
    kinds = [f"{area:g}" for area in config.areas]
    return AreaCurves(
        areas=np.array(config.areas),
        values={
            name: {
                method: np.array([means[method, kind][name] for kind in kinds])
                for method in config.methods
            }
            for name in config.metrics
        },
        thresholds={
            name: {
                method: (means[method, "threshold"]["area"], means[method, "threshold"][name])
                for method in config.methods
            }
            for name in config.metrics
        },
        threshold=config.threshold,
        pictures=table["picture"].nunique(),
    )


def _zone_metric(name: str) -> metrics.Metric:
    found = metrics.get_metric(name)
    if found.evidence is not metrics.MaskedPredictions:
        of_masks = [
            each.name
            for each in metrics.METRICS.values()
            if each.evidence is metrics.MaskedPredictions
        ]
        raise InputError(
            f"metric {name!r} does not look at the mask; expected one of {', '.join(of_masks)}"
        )
    return found


def _inputs(loaded: LoadedPicture) -> np.ndarray:
    """A picture as the network takes it, float32 `[H, W, C]`."""
    network, pipeline = loaded.explainer.network, loaded.explainer.pipeline
    fitted = pipeline.fitted(as_input(loaded.content, network)[None])
    result: np.ndarray = network.preprocess(fitted).numpy()[0]
    return result


def network_map(
    explainer: Explainer, explanation: Explanation, size: tuple[int, ...]
) -> np.ndarray:
    """The finished map of an explanation's first target at the network's size."""
    result: np.ndarray = explainer.pipeline.finish_fitted(explanation.raw[:1], size).numpy()[0]
    return result


def class_score(explainer: Explainer, target: int) -> Callable[[np.ndarray], np.ndarray]:
    """What gives the class's probability for preprocessed pictures `[B, H, W, C]`."""
    pipeline = explainer.pipeline
    return lambda inputs: pipeline.probabilities(tf.constant(inputs)).numpy()[:, target]
