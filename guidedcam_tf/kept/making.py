"""Making the files: a method from the picture to the finished map as one function."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from guidedcam_tf.configuring import validate
from guidedcam_tf.errors import InputError
from guidedcam_tf.kept.requests import Request
from guidedcam_tf.kept.requests import are_classes
from guidedcam_tf.kept.requests import digests
from guidedcam_tf.kept.requests import files_of
from guidedcam_tf.kept.requests import requests_of
from guidedcam_tf.opening import NetworkConfig
from guidedcam_tf.origin import setting_of

if TYPE_CHECKING:
    import tensorflow as tf

    from guidedcam_tf.explainer import Explainer
    from guidedcam_tf.explanation import Explanation
    from guidedcam_tf.methods import Method


def keep(
    said: Mapping[str, Any], methods: str, options: Sequence[str], targets: Sequence[str]
) -> tuple[str, list[Callable[[Path], Explanation]]]:
    """Open a network, and keep what can be kept of a call of the command line.

    Args:
        said: As in `find_kept`.
        methods: As there.
        options: As there.
        targets: As there, and all that `targets.resolve` takes.

    Returns:
        One line that says why it is that layer, empty for one that was asked for; and for each
        method what explains a picture.

    Raises:
        InputError: If the network cannot be opened as said, or a method, option or target is
            unknown.
    """
    from guidedcam_tf.methods import methods_from_text
    from guidedcam_tf.targets import resolve

    chosen, requests = methods_from_text(methods, options), requests_of(said, methods, options)
    files = _digests(requests[0])
    with _taken_down() as notes:
        explainer = validate(said, NetworkConfig, "options").open()
    network = explainer.network
    by_default = (
        "layer" not in said and explainer.layer and explainer.layer == network.default_layer
    )
    resolved = resolve(list(targets), network)
    resolved.pipeline(explainer.pipeline)
    explaining: list[Callable[[Path], Explanation]] = []
    for request, method in zip(requests, chosen, strict=True):
        kept = None
        if files and are_classes(targets) and not resolved.asked:
            _write(request, explainer, method, notes, files)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                kept = request.read()
        explaining.append(
            partial(kept.explain, targets=targets)
            if kept
            else partial(explainer.explain, targets=targets, method=method)
        )
    return network.default_layer_reason if by_default else "", explaining


def _write(
    request: Request,
    explainer: Explainer,
    method: Method,
    notes: Sequence[str],
    files: Mapping[str, str | None],
) -> None:
    """Make a request's file, if the method is one function of a picture that OpenVINO can run.

    Nothing is kept if a file is another one by now: the network may be of either.
    """
    try:
        content = _compiled(explainer, method)
    except InputError:  # It is raised again where the method is asked for maps.
        return
    if content is None or _digests(request) != files:
        return
    with _taken_down() as further:
        explainer.warn_of_doubt()
        explainer.pipeline.warn_of_coincidence(method)
    setting = setting_of(explainer.pipeline, method, explainer.said)
    default = not request.config.layer and explainer.layer
    reason = explainer.network.default_layer_reason if default else ""
    request.write(content, setting, reason, [*notes, *further], files)


def _digests(request: Request) -> dict[str, str | None]:
    """Of the files that the answers depend on; empty where none are kept."""
    from guidedcam_tf.networks.applications import find_application
    from guidedcam_tf.networks.weights import candidate_files

    if not request.can_be_kept:
        return {}
    config, files = request.config, files_of(request.config)
    if not Path(config.model).is_file() and config.weights == "imagenet":
        try:
            files += candidate_files(find_application(config.model))
        except InputError:  # Opening it says so in better words.
            return {}
    return digests(files)


def _compiled(explainer: Explainer, method: Method) -> bytes | None:
    """One method from the picture to the finished map, compiled; `None` where that cannot be."""
    import tensorflow as tf

    from guidedcam_tf.networks.preprocessing import seeded_pictures

    pipeline, network = explainer.pipeline, explainer.network
    rows, columns = network.input_size if len(network.input_size) == 2 else (None, None)
    if rows is None or columns is None or method.many_passes or network.graph.specs:
        return None
    kernel = pipeline.kernel(method).python_function  # type: ignore[attr-defined]

    def explain(picture: tf.Tensor, class_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        maps = kernel(tf.image.resize(picture, network.input_size), class_ids)
        size = tf.shape(picture)[1:3]
        return {
            **{name: maps[name][0] for name in (*method.outputs, "class_ids")},
            "logits": maps["logits"],
            "maps": pipeline.postprocessing(maps["saliency"][0], size),
            "probabilities": network.probabilities(maps["logits"])[0],
        }

    signature = [
        tf.TensorSpec([1, None, None, network.channels], tf.float32),
        tf.TensorSpec([1, None], tf.int32),
    ]
    run = pipeline.runtime.compile(explain, signature)
    shape = network.some_shape(1)[1:]
    noise = seeded_pictures(shape, one_in_unit_range=not network.takes_pixels)[1:]
    found = run(noise, np.array([[0, -1]], np.int32))
    extent = found["saliency"].shape[1:]
    whole = pipeline.view.box(tuple(extent), (rows, columns)) is None
    finite = all(np.isfinite(array.numpy()).all() for array in found.values())
    if not (whole and finite) or tuple(extent) == (1, 1):
        return None
    content: bytes = run.exported()  # type: ignore[attr-defined]
    return content


@contextmanager
def _taken_down() -> Iterator[list[str]]:
    """Give a list that the notes to the user in the block are added to; they are shown too."""
    notes: list[str] = []
    show = warnings.showwarning

    def take_down(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if issubclass(category, UserWarning):
            notes.append(str(message))
        show(message, category, *rest)

    with warnings.catch_warnings():
        warnings.showwarning = take_down  # type: ignore[assignment]
        yield notes
