"""An explanation for phones: a LiteRT (TensorFlow Lite) file of builtin operations only.

One picture and one target go in, the map and the probabilities come out. What was written is run
by LiteRT's own interpreter and compared with the explainer before the file is put in place.
"""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import Any
from typing import Literal

import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import MissingOperationError
from guidedcam_tf.errors import shown
from guidedcam_tf.errors import without_wrapping
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.files import output_folder
from guidedcam_tf.files import writing
from guidedcam_tf.methods import Method
from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.networks.geometry import lay
from guidedcam_tf.networks.geometry import some_size
from guidedcam_tf.networks.preprocessing import seeded_pictures
from guidedcam_tf.runtimes.freezing import frozen
from guidedcam_tf.serving.saved_model import check_explainer
from guidedcam_tf.serving.saved_model import exportable
from guidedcam_tf.silence import native_silence

SAME = {"float32": 1e-3, "float16": 0.1}
"""How far the interpreter's map may be from the explainer's, of 1."""

OPERATIONS = r"^(?:TF Select|Custom) ops: (.*)$"
"""Where the converter says which operations are not LiteRT's own."""

OUTPUTS = ("probabilities", "saliency", "target")


def export_litert(
    explainer: Explainer,
    file: str | os.PathLike[str],
    method: str | Method = "guided",
    *,
    precision: Literal["float32", "float16"] = "float32",
    **options: Any,
) -> Path:
    """Write an explainer with one method as a `.tflite` file.

    Its inputs are `images`, float32 `[1, H, W, C]` in the pictures' own range at the network's
    size, and `class_ids`, int32 `[1]`, where -1 is the best class. Its outputs, in the order of
    their names, are the probabilities, float32 `[1, classes]`, the saliency map, float32
    `[1, H, W]` in `[0, 1]`, and the target, int32 `[1]`.

    Args:
        explainer: What is exported. Its network has one input size.
        file: The file, which is written whole or not at all.
        method: A name from `list_methods()`, or a method, of one pass.
        precision: What the weights are kept in.
        **options: The method's options.

    Returns:
        The file.

    Raises:
        InputError: If an argument has another form, an operation is not one of LiteRT's own, or
            the interpreter does not answer as the explainer does.
    """
    chosen, path = exportable(method, **options), Path(file)
    if precision not in SAME:
        raise InputError(f"precision must be one of {', '.join(SAME)}; received {shown(precision)}")
    check_explainer(explainer)
    content = _converted(explainer, chosen, precision)
    _check(content, explainer, chosen, precision)
    output_folder(path.parent)
    with writing(path) as temporary:
        temporary.write_bytes(content)
    return path


def _converted(explainer: Explainer, method: Method, precision: str) -> bytes:
    network, pipeline = explainer.network, explainer.pipeline
    kernel: Kernel = pipeline.kernel(method).python_function  # type: ignore[attr-defined]
    size = some_size(network)
    shape = [1, *size, network.channels]

    @tf.function(
        input_signature=[
            tf.TensorSpec(shape, tf.float32, "images"),
            tf.TensorSpec([1], tf.int32, "class_ids"),
        ],
        autograph=False,
    )
    def explain(images: tf.Tensor, class_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        maps = kernel(images, class_ids[:, None])
        raw = maps["saliency"][:, 0]
        box = pipeline.view.box(tuple(raw.shape[1:]), size)
        return {
            "saliency": lay(partial(pipeline.postprocessing, raw), box, size),
            "probabilities": network.probabilities(maps["logits"]),
            "target": maps["class_ids"][:, 0],
        }

    with without_wrapping():
        concrete = explain.get_concrete_function()
    try:
        constant = frozen(concrete, "LiteRT", lower_control_flow=True)
        return _as_litert(constant, precision)
    except MissingOperationError as missing:
        raise InputError(
            f"method {method.name!r} at layer {explainer.layer!r} of {network.name!r} cannot be "
            f"written for LiteRT: {missing}; give another method, layer or postprocessing"
        ) from missing


def _as_litert(constant: Any, precision: str) -> bytes:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([constant])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    try:
        with native_silence():  # It prints the program in which an operation is missing.
            return converter.convert()
    except Exception as error:  # The converter raises kinds of its own.
        operations = re.findall(OPERATIONS, str(error), re.MULTILINE)
        reason = ", ".join(operations) or str(error).strip().splitlines()[0]
        raise MissingOperationError("LiteRT", reason) from error


def _check(content: bytes, explainer: Explainer, method: Method, precision: str) -> None:
    network = explainer.network
    shape = [side or 1 for side in (*network.input_size, network.channels)]
    picture = seeded_pictures(shape, one_in_unit_range=False)[:1]
    for target in (-1, 0):
        found = run_litert(content, picture, target)
        expected = explainer.maps(picture, [int(found["target"][0])], method)
        difference = float(np.abs(found["saliency"] - expected).max())
        if not difference <= SAME[precision]:
            raise InputError(
                f"LiteRT's map differs from the explainer's by {difference:.2g} of 1; expected at "
                f"most {SAME[precision]:g} in {precision}"
            )


def run_litert(content: bytes, picture: np.ndarray, target: int) -> dict[str, np.ndarray]:
    """Run a file's content on a picture `[1, H, W, C]`; returns the outputs by name."""
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    given = {"images": picture.astype(np.float32), "class_ids": np.array([target], np.int32)}
    for port in interpreter.get_input_details():
        interpreter.set_tensor(port["index"], given[port["name"]])
    interpreter.invoke()
    ports = sorted(interpreter.get_output_details(), key=lambda port: port["name"])
    arrays = (interpreter.get_tensor(port["index"]) for port in ports)
    return dict(zip(OUTPUTS, arrays, strict=True))
