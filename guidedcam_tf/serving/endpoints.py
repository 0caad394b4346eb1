"""The functions that an export holds: a request's tensors in, named outputs out.

They are made of what the `Explainer` itself runs: `Network.fit`, the method's kernel and the
post-processing, traced into one graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import tensorflow as tf

from guidedcam_tf.explainer import Explainer
from guidedcam_tf.methods import Method
from guidedcam_tf.serving.decoding import decode
from guidedcam_tf.serving.merging import merged
from guidedcam_tf.serving.overlays import overlay_pngs
from guidedcam_tf.serving.requests import check_images
from guidedcam_tf.serving.requests import check_targets

TOP = 5
PLURALS = {"probability": "probabilities", "value": "values"}
"""What a network's targets have, one and all."""

Outputs = dict[str, tf.Tensor]
Signatures = dict[str, tf.types.experimental.ConcreteFunction]


@dataclass(frozen=True)
class Endpoints:
    """What a server can be asked, for one explainer and one method.

    Attributes:
        explainer: It fits, computes and post-processes.
        method: The method.
        colour_map: The overlays' colours.
        max_pixels: Larger pictures are refused.
        merge: How many encoded pictures of concurrent requests go through the network together.
    """

    explainer: Explainer
    method: Method
    colour_map: str
    max_pixels: int
    merge: int

    def signatures(self) -> Signatures:
        """Trace every endpoint; each takes any number of pictures.

        `serving_default` is `explain`. The signatures of encoded pictures exist for networks of
        colour and of grey pictures only.
        """
        channels = self.explainer.network.channels
        floats = tf.TensorSpec([None, None, None, channels], tf.float32, "images")
        bytes_ = tf.TensorSpec([None], tf.string, "image_bytes")
        targets = tf.TensorSpec([None], tf.int32, "class_ids")
        uint8 = tf.TensorSpec(floats.shape, tf.uint8, "images")
        explain = _traced(self.explain, floats, targets)
        traced = {
            "serving_default": explain,
            "explain": explain,
            "explain_uint8": _traced(self.explain, uint8, targets),
            "predict": _traced(self.predict, floats),
        }
        if channels in (1, 3):
            explain_bytes = _traced(self.explain_bytes, bytes_, targets)
            traced["explain_bytes"] = explain_bytes
            traced["overlay_bytes"] = _traced(
                lambda image_bytes, class_ids: self.without_maps(
                    explain_bytes(image_bytes=image_bytes, class_ids=class_ids)
                ),
                bytes_,
                targets,
            )
        return traced

    def explain(self, images: tf.Tensor, class_ids: tf.Tensor) -> Outputs:
        """Explain pictures, RGB in 0..255 `[N, H, W, C]`, for a class each, int32 `[N]`."""
        images = check_images(images, self.max_pixels, self.explainer.network.takes_pixels)
        class_ids = check_targets(class_ids, images, self._classes)
        return self._explained(self.explainer.network.fit(images), class_ids)

    def explain_bytes(self, image_bytes: tf.Tensor, class_ids: tf.Tensor) -> Outputs:
        """Explain JPEG or PNG pictures, strings `[N]`: the maps, and the overlays as PNG."""
        fitted = self._decoded(image_bytes)
        class_ids = check_targets(class_ids, fitted, self._classes)
        outputs = self._explained_together(fitted, class_ids)
        pngs = overlay_pngs(fitted, outputs["saliency"], self.colour_map)
        return {**outputs, "overlay_png_bytes": pngs}

    def without_maps(self, outputs: Outputs) -> Outputs:
        """What `overlay_bytes` gives, without the maps as numbers: an answer of about 70 kB."""
        return {name: value for name, value in outputs.items() if name not in self.method.outputs}

    def predict(self, images: tf.Tensor) -> Outputs:
        """Classify pictures, RGB in 0..255 `[N, H, W, C]`."""
        network = self.explainer.network
        fitted = network.fit(check_images(images, self.max_pixels, network.takes_pixels))
        logits = network.logits(fitted)
        probabilities = network.probabilities(logits)
        plural = PLURALS[network.quantity]
        return {plural: probabilities, **self._top(logits, probabilities)}

    @property
    def _classes(self) -> int:
        return len(self.explainer.network.classes.names)

    def _explained(self, fitted: tf.Tensor, class_ids: tf.Tensor) -> Outputs:
        """Explain pictures of the network's size, each for one class, or -1 for its best."""
        size = self.explainer.network.input_size
        result = self.explainer.pipeline.kernel(self.method)(fitted, class_ids[:, None])
        target = result["class_ids"][:, 0]
        probabilities = self.explainer.network.probabilities(result["logits"])
        outputs = {
            "saliency": self.explainer.pipeline.finish_fitted(result["saliency"][:, 0], size),
            "target": target,
            self.explainer.network.quantity: tf.gather(probabilities, target, batch_dims=1),
            **self._top(result["logits"], probabilities),
        }
        if "guidance" in self.method.outputs:
            outputs["guidance"] = result["guidance"][:, 0]
        return outputs

    def _top(self, logits: tf.Tensor, probabilities: tf.Tensor) -> Outputs:
        """The best classes by their logits, as many probabilities may round to 0 or to 1."""
        indices = tf.math.top_k(logits, min(TOP, self._classes)).indices
        names = tf.constant(self.explainer.network.classes.names)
        return {
            "top5_indices": indices,
            "top5_names": tf.gather(names, indices),
            f"top5_{PLURALS[self.explainer.network.quantity]}": tf.gather(
                probabilities, indices, batch_dims=1
            ),
        }

    def _decoded(self, image_bytes: tf.Tensor) -> tf.Tensor:
        network = self.explainer.network

        def finish(picture: tf.Tensor) -> tf.Tensor:
            if network.channels == 1:
                picture = _to_grey(picture)
            return network.fit(picture[None])[0]

        finished = tf.TensorSpec([*network.input_size, network.channels], tf.float32)
        deep_grey = network.channels != 1 or network.takes_pixels
        return decode(image_bytes, finish, finished, self.max_pixels, deep_grey)

    @cached_property
    def _explained_together(self) -> Callable[[tf.Tensor, tf.Tensor], Outputs]:
        """`_explained`, for the pictures of several requests at a time."""
        if self.merge == 0:
            return self._explained
        network = self.explainer.network
        fitted = tf.TensorSpec([None, *network.input_size, network.channels], tf.float32)
        targets = tf.TensorSpec([None], tf.int32)
        return merged(self._explained, [fitted, targets], self.merge)


def _traced(
    endpoint: Callable[..., Outputs], *signature: tf.TensorSpec
) -> tf.types.experimental.ConcreteFunction:
    return tf.function(endpoint, input_signature=signature, autograph=False).get_concrete_function()


def _to_grey(picture: tf.Tensor) -> tf.Tensor:
    """Uint8 RGB `[H, W, 3]` to its luminance, uint8 `[H, W, 1]`, as `data.to_grey` rounds it."""
    weights = tf.constant([19595, 38470, 7471])
    luminance = tf.reduce_sum(tf.cast(picture, tf.int32) * weights, axis=-1, keepdims=True)
    return tf.cast((luminance + (1 << 15)) // (1 << 16), tf.uint8)
