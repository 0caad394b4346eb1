"""What a figure shows, computed: from its configuration to results that can be drawn."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from matplotlib.figure import Figure

from guidedcam_tf import metrics
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import WeightsError
from guidedcam_tf.evaluation.protocol import group_methods
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.figures import style
from guidedcam_tf.figures.config import AreasConfig
from guidedcam_tf.figures.config import ComparisonConfig
from guidedcam_tf.figures.config import CurvesConfig
from guidedcam_tf.figures.config import FigureConfig
from guidedcam_tf.figures.config import GuidanceConfig
from guidedcam_tf.figures.config import InterpretationConfig
from guidedcam_tf.figures.config import LayersConfig
from guidedcam_tf.figures.config import PictureConfig
from guidedcam_tf.figures.curves import AreaCurves
from guidedcam_tf.figures.curves import PictureCurves
from guidedcam_tf.figures.curves import draw_area_curves
from guidedcam_tf.figures.curves import draw_curves
from guidedcam_tf.figures.grid import Grid
from guidedcam_tf.figures.grid import Panel
from guidedcam_tf.figures.grid import Row
from guidedcam_tf.figures.grid import draw_grids
from guidedcam_tf.figures.guidance import draw_guidances
from guidedcam_tf.figures.pictures import open_picture
from guidedcam_tf.figures.pictures import picture_name
from guidedcam_tf.methods import get_method
from guidedcam_tf.progress import progress

ZONES = ("saliency_drop", "context_drop", "saliency_increase", "context_increase")


@dataclass
class Result:
    """A figure and the numbers behind it."""

    figure: Figure
    table: pd.DataFrame
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


class Networks:
    """The networks of a figure, opened when a row needs them.

    Args:
        config: The figure.

    Attributes:
        left_out: A line for each network whose weights are not to be had.
    """

    def __init__(self, config: FigureConfig) -> None:
        self._config = config
        self._opened: dict[str, Explainer | None] = {}
        self._at_layer: dict[tuple[str, str | None], Explainer] = {}
        self.left_out: list[str] = []

    def get(self, model: str, layer: str | None = None) -> Explainer | None:
        """Return an explainer, or `None` where the network's ImageNet weights are not to be had.

        That is said once, and goes on. A network that is not known raises `InputError`.
        """
        if model not in self._opened:
            self._opened[model] = self._open(model)
        opened = self._opened[model]
        if opened is None or layer in (None, opened.layer):
            return opened
        if (model, layer) not in self._at_layer:
            network = opened.network
            self._at_layer[model, layer] = Explainer(
                network.model,
                layer=layer,
                preprocess=network.preprocess,
                class_names=network.classes.names,
                postprocessing=self._config.postprocessing,
            )
        return self._at_layer[model, layer]

    def _open(self, model: str) -> Explainer | None:
        try:
            return Explainer(model, postprocessing=self._config.postprocessing)
        except WeightsError:
            title = style.network_title(model)
            line = f"{title}'s weights are not here, so its part of {self._config.name} is left out"
            self.left_out.append(line)
            warnings.warn(f"{line}; `guidedcam weights fetch {model}` says more", stacklevel=2)
            return None

    def weights(self) -> dict[str, dict[str, str | None]]:
        """Where each network's weights came from."""
        return {
            model: {
                "source": opened.network.weights.source,
                "sha256": opened.network.weights.sha256,
            }
            for model, opened in self._opened.items()
            if opened is not None
        }


def compute(config: FigureConfig, networks: Networks, *, demo: bool, full: bool) -> Result:
    """Compute a figure's results and draw them.

    Args:
        config: The figure.
        networks: Its networks.
        demo: Show the photographs that scikit-image ships.
        full: Add the columns that take long.

    Raises:
        InputError: If a picture, class, method or layer is not to be had, or if no row is left.
    """
    pictures = config.demo if demo else config.pictures
    if not pictures:
        raise InputError(f"figure {config.name} has no {'demo' if demo else 'pictures'}")
    return _COMPUTE[type(config)](config, networks, pictures, demo, full)


@dataclass(frozen=True)
class _Loaded:
    """A picture with the explainer of its row."""

    name: str
    pixels: np.ndarray
    targets: Sequence[int | str]
    explainer: Explainer


def _load(
    config: FigureConfig, networks: Networks, pictures: Sequence[PictureConfig]
) -> list[_Loaded]:
    found = []
    for picture in pictures:
        pixels = open_picture(picture.file, config.root)
        model = picture.model or config.model
        explainer = networks.get(model, config.layer if model == config.model else None)
        if explainer is not None:
            explainer.check_targets(picture.targets)
            found.append(_Loaded(picture_name(picture.file), pixels, picture.targets, explainer))
    if not found:
        raise InputError(f"figure {config.name} has nothing left to draw: no network has weights")
    return found


@dataclass
class _Numbers:
    """The lines and arrays that lie beside a figure of maps."""

    lines: list[dict[str, object]] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, picture: str, explanation: Explanation) -> None:
        key = f"{picture}__{explanation.model}__{explanation.layer}__{explanation.method}"
        self.arrays[f"{key}__raw"] = explanation.raw
        for name, array in explanation.intermediates.items():
            self.arrays[f"{key}__{name}"] = array
        for at, target in enumerate(explanation.targets):
            saliency = explanation.maps[at]
            row, column = np.unravel_index(saliency.argmax(), saliency.shape)
            self.lines.append(
                {
                    "picture": picture,
                    "model": explanation.model,
                    "layer": explanation.layer,
                    "method": explanation.method,
                    "class": int(target),
                    "class_name": explanation.names[at],
                    "probability": float(explanation.probabilities[at]),
                    "peak_x": int(column),
                    "peak_y": int(row),
                    "mean": float(saliency.mean(dtype=np.float64)),
                    "empty": bool(explanation.empty[at]),
                }
            )

    def result(self, figure: Figure) -> Result:
        return Result(figure, pd.DataFrame(self.lines), self.arrays)


def _explain(
    loaded: _Loaded, methods: Sequence[str], explainer: Explainer | None = None
) -> list[Explanation]:
    """Explain a picture by several methods; those of one pass share one pass and one trace."""
    explainer = explainer or loaded.explainer
    pixels, classes = loaded.pixels, explainer.network.classes
    ids = tf.constant([explainer.check_targets(loaded.targets)], tf.int32)
    found = {}
    for group in group_methods({name: get_method(name) for name in methods}):
        result = explainer.kernel(group.method)(explainer.fitted(pixels[None]), ids)
        targets = result["class_ids"][0].numpy().astype(int)
        for name, output in group.outputs.items():
            raw = result[output][0].numpy()
            found[name] = Explanation(
                picture=pixels,
                maps=explainer.finish(raw, pixels.shape[:2]),
                raw=raw,
                intermediates={},
                targets=targets,
                names=[classes.names[index] for index in targets],
                wnids=[classes.wnids[index] for index in targets] if classes.wnids else [],
                probabilities=explainer.network.probabilities(result["logits"][0]).numpy()[targets],
                model=explainer.network.name,
                layer=explainer.layer,
                method=name,
                weights=explainer.network.weights.source,
                stem=loaded.name,
            )
    return [found[name] for name in methods]


def _guidance(config: GuidanceConfig, networks: Networks, pictures: Any, *_: bool) -> Result:
    numbers, explanations = _Numbers(), []
    for loaded in progress(_load(config, networks, pictures), config.name):
        explanation = loaded.explainer.explain(loaded.pixels, loaded.targets, "guided")
        numbers.add(loaded.name, explanation)
        explanations.append(explanation)
    return numbers.result(draw_guidances(explanations, config.colour_map))


def _comparison(
    config: ComparisonConfig, networks: Networks, pictures: Any, _: bool, full: bool
) -> Result:
    methods = [*config.methods, *(config.full_methods if full else ())]
    numbers = _Numbers()
    columns = ("picture", *map(style.method_title, methods))
    rows: dict[str, list[Row]] = {}
    for one in progress(_load(config, networks, pictures), config.name):
        explanations = _explain(one, methods)
        for explanation in explanations:
            numbers.add(one.name, explanation)
        title = _network_line(explanations[0])
        rows.setdefault(title, []).extend(_rows_by_target(explanations))
    grids = [Grid(columns, tuple(found), title) for title, found in rows.items()]
    return numbers.result(draw_grids(grids, title=_TITLES["comparison"], **_colours(config)))


def _rows_by_target(explanations: Sequence[Explanation]) -> list[Row]:
    """A row a target: the picture, then the map of each explanation."""
    first = explanations[0]
    return [
        Row(
            _label(first, at),
            (Panel(first.picture), *(_panel(explanation, at) for explanation in explanations)),
        )
        for at in range(len(first.targets))
    ]


def _interpretation(
    config: InterpretationConfig, networks: Networks, pictures: Any, demo: bool, _: bool
) -> Result:
    explainers = [found for model in config.models if (found := networks.get(model)) is not None]
    if not explainers:
        raise InputError(f"figure {config.name} has nothing left to draw: no network has weights")
    numbers = _Numbers()
    grids = []
    context = config.demo_context if demo else config.context
    parts = (
        ("(a) what each method and network points at", pictures, explainers),
        ("(b) pictures of the second class", context, explainers[-1:]),
    )
    for title, shown, used in parts:
        rows: list[Row] = []
        for picture in shown:
            pixels = open_picture(picture.file, config.root)
            one = _Loaded(picture_name(picture.file), pixels, picture.targets, used[0])
            by_network = [_explain(one, config.methods, explainer) for explainer in used]
            explanations = [
                found for by_method in zip(*by_network, strict=True) for found in by_method
            ]
            for explanation in explanations:
                numbers.add(one.name, explanation)
            columns = ("picture", *map(_method_and_network, explanations))
            rows += [
                Row(_label(explanations[0], at, probability=len(used) == 1), panels)
                for at, panels in enumerate(_captioned(explanations))
            ]
        if rows:
            grids.append(Grid(columns, tuple(rows), title))
    return numbers.result(draw_grids(grids, title=_TITLES["interpretation"], **_colours(config)))


def _method_and_network(explanation: Explanation) -> str:
    network = style.network_title(explanation.model)
    return f"{style.method_title(explanation.method)}, {network}"


def _captioned(explanations: Sequence[Explanation]) -> Iterator[tuple[Panel, ...]]:
    """The panels of each target; where networks differ, each map says its own probability."""
    several = len({explanation.model for explanation in explanations}) > 1
    for at in range(len(explanations[0].targets)):
        panels = [Panel(explanations[0].picture)]
        for explanation in explanations:
            probability = style.shown_probability(float(explanation.probabilities[at]))
            panels.append(_panel(explanation, at, probability if several else ""))
        yield tuple(panels)


def _layers(config: LayersConfig, networks: Networks, pictures: Any, *_: bool) -> Result:
    numbers, grids = _Numbers(), []
    columns = ("picture", *map(style.method_title, config.methods))
    for loaded in progress(_load(config, networks, pictures), config.name):
        found: dict[str, list[Explanation]] = {}
        for layer in config.layers:
            explainer = networks.get(config.model, layer)
            assert explainer is not None, "`_load` keeps pictures of opened networks"
            found[layer] = _explain(loaded, config.methods, explainer)
            for explanation in found[layer]:
                numbers.add(loaded.name, explanation)
        first = found[config.layers[0]][0]
        for at in range(len(first.targets)):
            rows = tuple(
                Row(layer, (Panel(first.picture), *(_panel(one, at) for one in explanations)))
                for layer, explanations in found.items()
            )
            title = f"{style.network_title(first.model)}: " + _label(first, at).replace("\n", ", ")
            grids.append(Grid(columns, rows, title))
    return numbers.result(draw_grids(grids, title=_TITLES["layers"], **_colours(config)))


def _curves(config: CurvesConfig, networks: Networks, pictures: Any, *_: bool) -> Result:
    found, lines = [], []
    loaded = _load(config, networks, pictures)
    pairs = [(one, method) for one in loaded for method in config.methods]
    steps = iter(progress(pairs, config.name))
    for one in loaded:
        explanations = _explain(one, config.methods)
        first = explanations[0]
        target = int(first.targets[0])
        inputs = _inputs(one.explainer, one.pixels)
        score = _class_score(one.explainer, target)
        curves: dict[str, dict[str, metrics.Curve]] = {"deletion": {}, "insertion": {}}
        for explanation in explanations:
            _one, method = next(steps)
            saliency = _map(one.explainer, explanation, inputs.shape[:2])
            for name, trace in (("deletion", metrics.deletion), ("insertion", metrics.insertion)):
                curve = trace(
                    inputs, saliency, score, step=config.step, batch_size=config.batch_size
                )
                curves[name][method] = curve
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
        found.append(PictureCurves(one.pixels, first.names[0], probability, **curves))
    title = f"Insertion and deletion, {_network_line(first)}"
    return Result(draw_curves(found, title=title), pd.DataFrame(lines))


def _areas(config: AreasConfig, networks: Networks, pictures: Any, *_: bool) -> Result:
    loaded = _load(config, networks, pictures)
    lines: list[dict[str, Any]] = []
    for one in progress(loaded, config.name):
        explanations = _explain(one, config.methods)
        first = explanations[0]
        target = int(first.targets[0])
        inputs = _inputs(one.explainer, one.pixels)
        score = _class_score(one.explainer, target)
        clean = score(inputs[None])
        for explanation in explanations:
            method = explanation.method
            saliency = _map(one.explainer, explanation, inputs.shape[:2])
            masks = metrics.area_matched_masks(saliency, config.areas)
            mask = metrics.threshold_mask(saliency, config.threshold)
            kinds = [*((f"{area:g}", area) for area in config.areas), ("threshold", mask.mean())]
            masks = np.concatenate([masks, mask[None]])
            parts = [
                np.concatenate(
                    [
                        score(cut(inputs[None], masks[start : start + config.batch_size]))
                        for start in range(0, len(masks), config.batch_size)
                    ]
                )
                for cut in (metrics.saliency_inputs, metrics.context_inputs)
            ]
            scores = metrics.zone_scores(clean, *parts)
            for at, (kind, area) in enumerate(kinds):
                lines.append(
                    {
                        "picture": one.name,
                        "class": target,
                        "class_name": first.names[0],
                        "method": method,
                        "mask": kind,
                        "area": float(area),
                        **{name: float(scores[name][at]) for name in ZONES},
                    }
                )
    table = pd.DataFrame(lines)
    title = f"Zone metrics over the mask's area, {_network_line(first)}, "
    title += f"mean of {len(loaded)} pictures"
    return Result(draw_area_curves(area_curves(table, config), title=title), table)


def area_curves(table: pd.DataFrame, config: AreasConfig) -> AreaCurves:
    """Average the lines of the area figure over pictures."""
    averaged = table.groupby(["method", "mask"], sort=False)[["area", *ZONES]].mean()
    means = {key: dict(line) for key, line in averaged.to_dict("index").items()}
    kinds = [f"{area:g}" for area in config.areas]
    return AreaCurves(
        areas=np.array(config.areas),
        values={
            name: {
                method: np.array([means[method, kind][name] for kind in kinds])
                for method in config.methods
            }
            for name in ZONES
        },
        thresholds={
            name: {
                method: (means[method, "threshold"]["area"], means[method, "threshold"][name])
                for method in config.methods
            }
            for name in ZONES
        },
        threshold=config.threshold,
        pictures=table["picture"].nunique(),
    )


def _inputs(explainer: Explainer, pixels: np.ndarray) -> np.ndarray:
    """A picture as the network takes it, float32 `[H, W, C]`."""
    return explainer.network.preprocess(explainer.fitted(pixels[None])).numpy()[0]


def _map(explainer: Explainer, explanation: Explanation, size: tuple[int, ...]) -> np.ndarray:
    """The finished map of an explanation's first target at the network's size."""
    raw = tf.constant(explanation.raw[:1])
    return explainer.postprocess(raw, tf.constant(list(size))).numpy()[0]


def _class_score(explainer: Explainer, target: int) -> Callable[[np.ndarray], np.ndarray]:
    """What gives the class's probability for preprocessed pictures `[B, H, W, C]`."""
    run = _probabilities(explainer)
    return lambda inputs: run(tf.constant(inputs, tf.float32)).numpy()[:, target]


@lru_cache(maxsize=2)
def _probabilities(explainer: Explainer) -> Callable[[tf.Tensor], tf.Tensor]:
    network = explainer.network
    shape = [None, *network.input_size, network.channels]
    return tf.function(
        lambda inputs: tf.nn.softmax(network.logits_of(inputs)),
        input_signature=[tf.TensorSpec(shape, tf.float32)],
    )


def _panel(explanation: Explanation, at: int, caption: str = "") -> Panel:
    if explanation.empty[at]:
        caption = f"{caption}\nempty map".strip()
    return Panel(explanation.picture, explanation.maps[at], caption=caption)


def _label(explanation: Explanation, at: int, *, probability: bool = True) -> str:
    if not probability:
        return explanation.names[at]
    shown = style.shown_probability(float(explanation.probabilities[at]))
    return f"{explanation.names[at]}\n{shown}"


def _network_line(explanation: Explanation) -> str:
    return f"{style.network_title(explanation.model)}, {explanation.layer}"


def _colours(config: FigureConfig) -> dict[str, Any]:
    return {"colour_map": config.colour_map}


_TITLES = {
    "comparison": "Saliency maps by method",
    "interpretation": "Networks and methods interpreted",
    "layers": "The same comparison at several layers",
}

_COMPUTE: dict[type[FigureConfig], Callable[..., Result]] = {
    GuidanceConfig: _guidance,
    ComparisonConfig: _comparison,
    InterpretationConfig: _interpretation,
    CurvesConfig: _curves,
    LayersConfig: _layers,
    AreasConfig: _areas,
}
