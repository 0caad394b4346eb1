"""The figures of maps, computed: guidance, and the comparisons of methods, networks and layers."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from guidedcam_tf.data.pictures import read
from guidedcam_tf.errors import InputError
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.figures import style
from guidedcam_tf.figures.config import ComparisonConfig
from guidedcam_tf.figures.config import GuidanceConfig
from guidedcam_tf.figures.config import InterpretationConfig
from guidedcam_tf.figures.config import LayersConfig
from guidedcam_tf.figures.explaining import LoadedPicture
from guidedcam_tf.figures.explaining import Networks
from guidedcam_tf.figures.explaining import explain
from guidedcam_tf.figures.explaining import load_pictures
from guidedcam_tf.figures.explaining import network_line
from guidedcam_tf.figures.grid import Grid
from guidedcam_tf.figures.grid import GridRow
from guidedcam_tf.figures.grid import Panel
from guidedcam_tf.figures.grid import draw_grids
from guidedcam_tf.figures.guidance import draw_guidances
from guidedcam_tf.figures.pictures import find_picture
from guidedcam_tf.figures.pictures import picture_names
from guidedcam_tf.figures.result import MapNumbers
from guidedcam_tf.figures.result import Result
from guidedcam_tf.progress import progress


def guidance(config: GuidanceConfig, networks: Networks, pictures: Any, *_: bool) -> Result:
    """Figures 1 and 3: for each target eq. 1, 4, 5 and 6."""
    numbers, explanations = MapNumbers(), []
    for loaded in progress(load_pictures(config, networks, pictures), config.name):
        explanation = loaded.explainer.explain(loaded.picture, loaded.targets, "guided")
        explanation = replace(explanation, model=loaded.model)
        numbers.add(loaded.name, explanation)
        explanations.append(explanation)
    return numbers.result(draw_guidances(explanations, config.colour_map))


def comparison(
    config: ComparisonConfig, networks: Networks, pictures: Any, _: bool, full: bool
) -> Result:
    """Figures 2 and 4: a row a target, a column a method, a grid a network."""
    methods = [*config.methods, *(config.full_methods if full else ())]
    numbers = MapNumbers()
    columns = ("picture", *map(style.method_title, methods))
    rows: dict[str, list[GridRow]] = {}
    for one in progress(load_pictures(config, networks, pictures), config.name):
        explanations = explain(one, methods)
        for explanation in explanations:
            numbers.add(one.name, explanation)
        title = network_line(explanations[0])
        rows.setdefault(title, []).extend(_rows_by_target(explanations))
    grids = [Grid(columns, tuple(found), title) for title, found in rows.items()]
    return numbers.result(
        draw_grids(grids, title="Saliency maps by method", colour_map=config.colour_map)
    )


def draw_explanations(explanations: Sequence[Explanation], colour_map: str = "inferno") -> Figure:
    """Draw a picture's explanations: a row a target, a column a method.

    Args:
        explanations: Of one picture and the same targets. Of the method `"guided"` alone, its
            figure shows how the map comes about, as in figure 1.
        colour_map: One of `guidedcam_tf.overlay.COLOUR_MAPS`.
    """
    first = {2: "signal", 3: "picture", 4: "slices"}[explanations[0].maps.ndim]
    if len(explanations) == 1 and explanations[0].guidance is not None and first == "picture":
        return draw_guidances(explanations, colour_map)
    several = len({each.layer for each in explanations}) > 1
    columns = (first, *(_column(each, several) for each in explanations))
    grid = Grid(columns, tuple(_rows_by_target(explanations, colour_map)))
    return draw_grids([grid], title=network_line(explanations[0]), colour_map=colour_map)


def _column(explanation: Explanation, with_layer: bool) -> str:
    title = style.method_title(explanation.method)
    return f"{title}\n{explanation.layer}" if with_layer else title


def _rows_by_target(
    explanations: Sequence[Explanation], colour_map: str = "inferno"
) -> list[GridRow]:
    """A row a target: the picture, then the map of each explanation."""
    first = explanations[0]
    return [
        GridRow(
            _label(first, at),
            (
                _picture(first, at),
                *(_panel(each, at, colour_map=colour_map) for each in explanations),
            ),
        )
        for at in range(len(first.targets))
    ]


def interpretation(
    config: InterpretationConfig, networks: Networks, pictures: Any, demo: bool, _: bool
) -> Result:
    """Figure 5: a class that is not in the picture, by several networks, and pictures of it."""
    opened = {model: networks.get(model) for model in config.networks}
    explainers = {
        networks.called(model): each for model, each in opened.items() if each is not None
    }
    if not explainers:
        raise InputError(f"figure {config.name} has nothing left to draw: no network has weights")
    numbers = MapNumbers()
    grids = []
    context = config.demo_context if demo else config.context
    names = picture_names(picture.file for picture in (*pictures, *context))
    parts = (
        ("(a) what each method and network points at", pictures, list(explainers.items())),
        ("(b) pictures of the second class", context, list(explainers.items())[-1:]),
    )
    for title, shown, used in parts:
        rows: list[GridRow] = []
        for picture in shown:
            file = find_picture(picture.file, config.root)
            name, content = names[picture.file], read(file)
            ones = [
                LoadedPicture(name, file, content, picture.targets, explainer, model)
                for model, explainer in used
            ]
            by_network = [explain(one, config.methods) for one in ones]
            explanations = [
                found for by_method in zip(*by_network, strict=True) for found in by_method
            ]
            for explanation in explanations:
                numbers.add(name, explanation)
            columns = ("picture", *map(_method_and_network, explanations))
            rows += _rows_of_networks(explanations)
        if rows:
            grids.append(Grid(columns, tuple(rows), title))
    return numbers.result(
        draw_grids(grids, title="Networks and methods interpreted", colour_map=config.colour_map)
    )


def _method_and_network(explanation: Explanation) -> str:
    network = style.network_title(explanation.model)
    return f"{style.method_title(explanation.method)}, {network}"


def _rows_of_networks(explanations: Sequence[Explanation]) -> Iterator[GridRow]:
    """A row a target; each map says of several networks what these do not share with the others."""
    first = explanations[0]
    several = len({explanation.model for explanation in explanations}) > 1
    for at in range(len(first.targets)):
        shared = len({explanation.names[at] for explanation in explanations}) == 1
        panels = [_picture(first, at)]
        for each in explanations:
            caption = _probability(each, at) if shared else _label(each, at)
            panels.append(_panel(each, at, caption if several else ""))
        label = _label(first, at, probability=not several) if shared else ""
        yield GridRow(label, tuple(panels))


def layers(config: LayersConfig, networks: Networks, pictures: Any, *_: bool) -> Result:
    """The comparison of methods, a row a layer."""
    numbers, grids = MapNumbers(), []
    columns = ("picture", *map(style.method_title, config.methods))
    for loaded in progress(load_pictures(config, networks, pictures), config.name):
        found: dict[str, list[Explanation]] = {}
        for layer in config.layers:
            found[layer] = explain(loaded, config.methods, loaded.explainer.at(layer))
            for explanation in found[layer]:
                numbers.add(loaded.name, explanation)
        first = found[config.layers[0]][0]
        for at in range(len(first.targets)):
            rows = tuple(
                GridRow(layer, (_picture(first, row), *(_panel(one, at) for one in explanations)))
                for row, (layer, explanations) in enumerate(found.items())
            )
            title = f"{style.network_title(first.model)}: " + _label(first, at).replace("\n", ", ")
            grids.append(Grid(columns, rows, title))
    return numbers.result(
        draw_grids(
            grids, title="The same comparison at several layers", colour_map=config.colour_map
        )
    )


def _picture(explanation: Explanation, row: int) -> Panel | None:
    """The picture, beside the first of its rows only."""
    return Panel(explanation.shown) if row == 0 else None


def _panel(
    explanation: Explanation, at: int, caption: str = "", colour_map: str = "inferno"
) -> Panel:
    if explanation.empty[at]:
        caption = f"{caption}\nempty map".strip()
    if explanation.maps.ndim != 3:
        return Panel(explanation.overlay(at, colour_map), caption=caption)
    return Panel(explanation.picture, explanation.maps[at], caption=caption)


def _label(explanation: Explanation, at: int, *, probability: bool = True) -> str:
    name = explanation.names[at]
    return f"{name}\n{_probability(explanation, at)}" if probability else name


def _probability(explanation: Explanation, at: int) -> str:
    return style.shown_probability(explanation.probabilities[at], explanation.quantity)
