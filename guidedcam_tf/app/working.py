"""Long work for one person: told of on the page, and stopped when asked."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from guidedcam_tf import metrics
from guidedcam_tf.app.sight import Sight
from guidedcam_tf.app.sight import by_its_name
from guidedcam_tf.app.sight import explained
from guidedcam_tf.arrays import as_input
from guidedcam_tf.data.pictures import read
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.figures.curve_figures import class_score
from guidedcam_tf.figures.curve_figures import network_map
from guidedcam_tf.progress import progress
from guidedcam_tf.progress import watched_by

Tell = Callable[[str, int, int | None], object]
"""Told of a work's description, how much of it is done, and of how much."""


CURVES = {"deletion": metrics.deletion, "insertion": metrics.insertion}

BATCH = 16


class StoppedError(Exception):
    """Raised inside of work that its owner stopped."""


@dataclass
class Work:
    """The long work of one person.

    Attributes:
        stopped: Whether it is to stop at its next step.
    """

    stopped: bool = False

    def stop(self) -> None:
        """Stop at the next step."""
        self.stopped = True

    @contextmanager
    def told(self, tell: Tell) -> Iterator[None]:
        """Tell of the progress of what the block does; `StoppedError` leaves it."""
        self.stopped = False

        def watch(description: str, done: int, total: int | None) -> None:
            if self.stopped:
                raise StoppedError
            tell(description, done, total)

        with watched_by(watch):
            yield


def explained_by(explainer: Explainer, sight: Sight, methods: Sequence[str]) -> list[Explanation]:
    """Explain what is looked at by several methods."""
    return [
        explained(explainer, sight.file, sight.target, method)
        for method in progress(methods, "methods")
    ]


def curves_of(explainer: Explainer, sight: Sight) -> dict[str, metrics.Curve]:
    """The deletion and insertion curves of the map that is looked at, in RISE's 28 steps.

    Deleted pixels become 0 in the preprocessed space; insertion begins with the blurred picture.
    """
    network, explanation = explainer.network, sight.explanation
    with by_its_name(sight.file):
        fitted = explainer.pipeline.fitted(as_input(read(sight.file), network)[None])
    inputs = network.preprocess(fitted).numpy()[0]
    saliency = network_map(explainer, explanation, inputs.shape[:2])
    step = ceil(saliency.size / metrics.curves.STEPS)
    score = class_score(explainer, sight.target)
    return {
        name: CURVES[name](inputs, saliency, score, step=step, batch_size=BATCH)
        for name in progress(list(CURVES), "curves")
    }
