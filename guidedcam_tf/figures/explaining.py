"""The pictures of a figure, the networks of its rows, and what these say of the pictures."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace

import tensorflow as tf

from guidedcam_tf.arrays import as_input
from guidedcam_tf.arrays import check_sees_pictures
from guidedcam_tf.data import Picture
from guidedcam_tf.data.decoding import Decoded
from guidedcam_tf.data.pictures import read
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import WeightsError
from guidedcam_tf.evaluation.measuring.groups import group_methods
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.figures import style
from guidedcam_tf.figures.config import OF_ANY_NETWORK
from guidedcam_tf.figures.config import FigureConfig
from guidedcam_tf.figures.config import PictureConfig
from guidedcam_tf.figures.pictures import find_picture
from guidedcam_tf.figures.pictures import picture_names
from guidedcam_tf.methods import get_method
from guidedcam_tf.networks.view import one_layer
from guidedcam_tf.opening import open_explainer
from guidedcam_tf.targets import resolve


class Networks:
    """The networks of a figure, opened when a row needs them.

    Args:
        config: The figure.

    Attributes:
        left_out: A line for each network whose weights are not available.
    """

    def __init__(self, config: FigureConfig) -> None:
        self._config = config
        self._opened: dict[str, Explainer | None] = {}
        self.left_out: list[str] = []

    def get(self, model: str) -> Explainer | None:
        """Return an explainer, or `None` where the network's ImageNet weights are not available.

        A note says so once, and the work continues. An unknown network raises `InputError`.
        """
        if model not in self._opened:
            self._opened[model] = self._open(model)
        return self._opened[model]

    def _open(self, model: str) -> Explainer | None:
        try:
            if model == self._config.model:
                return self._config.open(layer=one_layer(self._config.layer))
            shared = {key: getattr(self._config, key) for key in OF_ANY_NETWORK}
            return open_explainer({"model": model, **shared})
        except WeightsError:
            title = style.network_title(model)
            line = f"{title}'s weights are not here, so its part of {self._config.name} is left out"
            self.left_out.append(line)
            warnings.warn(f"{line}; `guidedcam weights fetch {model}` says more", stacklevel=2)
            return None

    def called(self, model: str) -> str:
        """What the figure calls a network that is open: its name, or `model` where that is shared.

        Args:
            model: As `get` has it.
        """
        names = {key: each.network.name for key, each in self._opened.items() if each is not None}
        name = names[model]
        return name if list(names.values()).count(name) == 1 else model

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


@dataclass(frozen=True)
class LoadedPicture:
    """A picture with the explainer of its row, and what the figure calls its network."""

    name: str
    picture: Picture
    content: Decoded
    targets: Sequence[int | str]
    explainer: Explainer
    model: str


def load_pictures(
    config: FigureConfig, networks: Networks, pictures: Sequence[PictureConfig]
) -> list[LoadedPicture]:
    """Read the pictures of the networks that can be had.

    Raises:
        InputError: If a picture or class is not available, or if no picture is left.
    """
    found = []
    names = picture_names(picture.file for picture in pictures)
    for picture in pictures:
        file = find_picture(picture.file, config.root)
        content = read(file)
        model = picture.model or config.model
        explainer = networks.get(model)
        if explainer is not None:
            check_sees_pictures(explainer.network, "a figure's configuration")
            resolve(picture.targets, explainer.network)
            name, targets = names[picture.file], picture.targets
            found.append(LoadedPicture(name, file, content, targets, explainer, model))
    if not found:
        raise InputError(f"figure {config.name} has nothing left to draw: no network has weights")
    # A name may be shared with a network that was opened later.
    return [replace(one, model=networks.called(one.model)) for one in found]


def explain(
    loaded: LoadedPicture, methods: Sequence[str], explainer: Explainer | None = None
) -> list[Explanation]:
    """Explain a picture by several methods; those of one pass share one pass and one trace."""
    explainer = explainer or loaded.explainer
    pixels, whole = loaded.content.shown, slice(0, 1)
    resolved = resolve(loaded.targets, explainer.network)
    pipeline, ids = resolved.pipeline(explainer.pipeline), tf.constant(resolved.class_ids)
    network, classes = pipeline.network, pipeline.network.classes
    fitted = pipeline.fitted(as_input(loaded.content, network)[None])
    settled = resolved.settle(explainer.pipeline, fitted, pixels.shape[:2], whole, {})
    found = {}
    for group in group_methods({name: get_method(name) for name in methods}):
        result = pipeline.explain(group.method, fitted, ids, settled.values)
        targets = result["class_ids"][0].numpy().astype(int)
        for name, output in group.outputs.items():
            raw = result[output][0]
            found[name] = Explanation(
                picture=pixels,
                maps=pipeline.finish(raw, pixels.shape[:2]).numpy(),
                raw=raw.numpy(),
                intermediates={},
                targets=targets if settled.numbers is None else settled.numbers[0],
                names=settled.names[0] if settled.names else [classes.names[i] for i in targets],
                wnids=[classes.wnids[index] for index in targets] if classes.wnids else [],
                probabilities=network.probabilities(result["logits"][0]).numpy()[targets],
                model=loaded.model,
                layer=explainer.layer,
                method=name,
                weights=network.weights.source,
                stem=loaded.name,
                quantity=network.quantity,
            )
    return [found[name] for name in methods]


def network_line(explanation: Explanation) -> str:
    """What a figure calls a network and its layer."""
    return f"{style.network_title(explanation.model)}, {explanation.layer}"
