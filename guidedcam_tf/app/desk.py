"""What the page's controls do: from their values to what is shown in their place."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from guidedcam_tf.app import showing
from guidedcam_tf.app.files import written
from guidedcam_tf.app.script import script
from guidedcam_tf.app.sight import Choice
from guidedcam_tf.app.sight import Sight
from guidedcam_tf.app.sight import best_classes
from guidedcam_tf.app.sight import explained
from guidedcam_tf.app.sight import look_at
from guidedcam_tf.app.sight import whole
from guidedcam_tf.app.working import StoppedError
from guidedcam_tf.app.working import Work
from guidedcam_tf.app.working import curves_of
from guidedcam_tf.app.working import explained_by
from guidedcam_tf.errors import InputError
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.explanation import Explanation

NOTHING_BESIDE: list[Any] = [None, []]
"""In the place of several methods' maps of another picture, class or layer."""


def answered(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Say on the page why something cannot be done; what is shown there stays."""

    @wraps(handler)
    def call(*given: Any) -> Any:
        try:
            return handler(*given)
        except InputError as error:
            gr.Warning(escape(str(error)), duration=None, title="This cannot be done")
        except StoppedError:
            gr.Info("Stopped; what is shown has not changed.")
        return gr.skip()

    return call


@dataclass(frozen=True)
class Desk:
    """What serves all visitors of a page; what one of them looks at is a `Sight` of their own.

    Attributes:
        explainer: The network.
        said: What it was opened with, by the names of `opening.NetworkConfig`'s keys.
        photographs: Pictures that the page offers.
        other: A network to compare with.
        titles: What the two networks are called.
    """

    explainer: Explainer
    said: Mapping[str, Any]
    photographs: Sequence[Path] = ()
    other: Explainer | None = None
    titles: tuple[str, str] = ("", "")

    @answered
    def look(self, file: str, layer: str, method: str, *look: Any) -> list[Any]:
        """A picture came: its best classes, and the map of the first."""
        return self._seen(look_at(self.explainer.at(layer), Path(file), method), *look)

    @answered
    def look_at_photograph(self, event: gr.SelectData, layer: str, method: str, *look: Any) -> Any:
        """One of the page's own pictures was chosen."""
        return self.look(str(self.photographs[event.index]), layer, method, *look)

    @answered
    def explain(self, sight: Sight, target: int, layer: str, method: str, *look: Any) -> list[Any]:
        """Another class, layer or method was chosen."""
        file = chosen(sight).file
        explanation = explained(self.explainer.at(layer), file, target, method)
        stays = question(explanation) == question(sight.explanation)
        beside = [gr.skip(), gr.skip()] if stays else NOTHING_BESIDE
        sight = replace(sight, explanation=explanation)
        return [sight, *self.views(sight, *look), *self._nothing_made(), *beside]

    @answered
    def explain_named(
        self, sight: Sight, name: str, layer: str, method: str, *look: Any
    ) -> list[Any]:
        """A class was written: it joins the list."""
        network, file = self.explainer.network, chosen(sight).file
        target = network.classes.find(name)
        explanation = explained(self.explainer.at(layer), file, target, method)
        best = sight.best
        if target not in [each.index for each in best]:
            label = f"{explanation.names[0]}: {explanation.number(0)}"
            best = (Choice(target, label), *best)
        return self._seen(Sight(file, best, explanation), *look)

    def _seen(self, sight: Sight, *look: Any) -> list[Any]:
        classes = [(each.label, each.index) for each in sight.best]
        radio = gr.Radio(choices=classes, value=sight.target)
        views = self.views(sight, *look)
        return [sight, radio, *views, *self._nothing_made(), *NOTHING_BESIDE]

    def _nothing_made(self) -> list[Any]:
        """In the place of what was made of another map: curves, networks, files."""
        return [None, "", *([[], ""] if self.other else []), None]

    def views(self, sight: Sight | None, *look: Any) -> list[Any]:
        """Overlay, mask, map, words, guidance, program."""
        if sight is None:
            return [None, None, None, "", [], ""]
        colour_map, opacity, threshold = look
        explanation = sight.explanation
        words = showing.in_words(explanation, threshold)
        mask = showing.mask_of(explanation, threshold)
        return [
            gr.Image(value=explanation.overlay(0, colour_map, opacity), alt_text=words),
            gr.Image(
                value=showing.masked(explanation.picture, mask),
                alt_text=f"The picture inside of the mask, {mask.mean():.1%} of it",
            ),
            gr.Image(
                value=showing.levels(explanation),
                alt_text=f"The map alone in grey: {showing.what(explanation)}",
            ),
            words,
            showing.guidance_panels(explanation, self.explainer.pipeline.finish, colour_map),
            script(explanation, self.said, colour_map, opacity),
        ]

    @answered
    def compare_methods(
        self,
        work: Work,
        sight: Sight,
        layer: str,
        methods: Sequence[str],
        colour_map: str,
        opacity: float,
        tell: Any = gr.Progress(),  # noqa: B008 - how Gradio finds it
    ) -> tuple[Any, ...]:
        """Several methods were asked for."""
        with work.told(told_by(tell)):
            found = explained_by(self.explainer.at(layer), chosen(sight), methods)
        return found, showing.side_by_side(found, colour_map, opacity)

    @answered
    def take(
        self,
        event: gr.SelectData,
        sight: Sight,
        beside: Sequence[Explanation],
        layer: str,
        *look: Any,
    ) -> list[Any]:
        """One of several methods' maps was chosen to be looked at."""
        explanation, now = beside[event.index], chosen(sight).explanation
        if question(explanation) != (*question(now)[:2], layer):
            raise InputError(
                f"the methods side by side are of {in_short(explanation, explanation.layer)}; what "
                f"is looked at is {in_short(now, layer)}: press Compute to have them of that"
            )
        sight = replace(sight, explanation=explanation)
        return [sight, *self.views(sight, *look), *self._nothing_made()]

    @answered
    def trace(
        self,
        work: Work,
        sight: Sight,
        tell: Any = gr.Progress(),  # noqa: B008 - how Gradio finds it
    ) -> tuple[Any, ...]:
        """The curves of what is shown were asked for."""
        with work.told(told_by(tell)):
            curves = curves_of(self.explainer.at(chosen(sight).explanation.layer), sight)
        explanation = sight.explanation
        table = showing.curve_table(curves, explanation.quantity)
        return table, showing.curve_words(curves, explanation)

    @answered
    def compare_networks(self, sight: Sight, colour_map: str, opacity: float) -> tuple[Any, ...]:
        """The other network's map and classes were asked for."""
        explanation, other = chosen(sight).explanation, self.other
        assert other is not None
        same = other.network.classes == self.explainer.network.classes
        best = best_classes(other, sight.file)
        if explanation.layer in other.network.layers:
            other = other.at(explanation.layer)
        target = sight.target if same else best[0].index
        beside = explained(other, sight.file, target, explanation.method)
        panels = showing.side_by_side([explanation, beside], colour_map, opacity)
        titled = [(p, f"{title}: {w}") for title, (p, w) in zip(self.titles, panels, strict=True)]
        return titled, showing.class_table(self.titles, (sight.best, best))

    @answered
    def files(self, sight: Sight, colour_map: str, opacity: float) -> list[str]:
        """Files of what is shown were asked for, at the picture's own size."""
        explanation = whole(self.explainer.at(chosen(sight).explanation.layer), sight)
        program = script(explanation, self.said, colour_map, opacity)
        return [str(file) for file in written(explanation, program, colour_map, opacity)]


def question(explanation: Explanation) -> tuple[Any, ...]:
    """What several methods answer side by side: a picture, a class and a layer."""
    return explanation.origin["picture"], int(explanation.targets[0]), explanation.layer


def in_short(explanation: Explanation, layer: str) -> str:
    """The picture and class of an explanation, and a layer, in words."""
    return f"{explanation.stem}, {explanation.names[0]}, at layer {layer}"


def chosen(sight: Sight | None) -> Sight:
    """What is looked at. Raises `InputError` if it is nothing yet."""
    if sight is None:
        raise InputError("choose a picture first")
    return sight


def told_by(tell: Any) -> Callable[[str, int, int | None], object]:
    """Progress as Gradio shows it."""
    return lambda description, done, total: tell((done, total), desc=description)
