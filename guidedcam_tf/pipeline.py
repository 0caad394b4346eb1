"""The way from pictures to maps, in tensors: fit, network, method, finish."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from functools import lru_cache
from functools import partial
from typing import Any
from typing import Literal
from typing import get_args
from warnings import warn

import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import MissingOperationError
from guidedcam_tf.errors import shown
from guidedcam_tf.methods import Method
from guidedcam_tf.methods import check_layer
from guidedcam_tf.methods.base import GradientMethod
from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.checking import check_maps
from guidedcam_tf.networks import Network
from guidedcam_tf.networks.failures import refuse_too_small
from guidedcam_tf.networks.failures import said_clearly
from guidedcam_tf.networks.geometry import largest_part
from guidedcam_tf.networks.geometry import lay
from guidedcam_tf.networks.picture_values import WithValues
from guidedcam_tf.networks.picture_values import compiler_with_values
from guidedcam_tf.networks.picture_values import one_by_one
from guidedcam_tf.networks.target_functions import Question
from guidedcam_tf.ops import Postprocessing
from guidedcam_tf.runtimes import Runtime
from guidedcam_tf.runtimes import open_runtime

Fit = Literal["squash", "crop"]

KEPT = 16
"""How many layers, and how many questions in place of classes, have their kernels kept."""


class Pipeline:
    """A network opened at a layer, and everything between a picture and its map.

    Each method is compiled once, whatever the number and the size of pictures and targets.

    Args:
        network: The network.
        layer: The layer that is explained; by default the network's own.
        fit: How a picture gets the network's shape: `"squash"`, or `"crop"` for the largest centred
            part of that shape; outside of it the map is zero.
        postprocessing: What makes the shown map of the raw one.
        runtime: What runs the network's passes; by default TensorFlow, with live weights.

    Raises:
        InputError: If `fit` is neither, or the network has no such layer; from what runs the
            network, if the model has changed since, or its weights where the runtime keeps a copy.

    Example:
        >>> from guidedcam_tf.methods import get_method
        >>> from guidedcam_tf.networks import open_network
        >>> pipeline = Pipeline(open_network("mobilenetv2", weights=None))
        >>> fitted = pipeline.fitted(tf.zeros([1, 300, 400, 3], tf.uint8))
        >>> maps = pipeline.explain(get_method("gradcam"), fitted, tf.constant([[7, 8]]))
        >>> maps["saliency"].shape
        TensorShape([1, 2, 7, 7])
        >>> pipeline.finish(maps["saliency"][0], (300, 400)).shape
        TensorShape([2, 300, 400])
    """

    def __init__(
        self,
        network: Network,
        layer: str | None = None,
        fit: Fit = "squash",
        postprocessing: Postprocessing | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        if fit not in get_args(Fit):
            raise InputError(f"fit must be 'squash' or 'crop'; received {shown(fit)}")
        self.network = network
        self.runtime = runtime or open_runtime()
        self._compile = compiler_with_values(self.runtime.compile, network.graph.specs)
        self.view = replace(network.view(layer), compiler=self._compile)
        self.fit = fit
        self.postprocessing = postprocessing or Postprocessing()
        self.at = lru_cache(KEPT)(self._at)
        self.scored_by = lru_cache(KEPT)(self._scored_by)
        self._kernels: dict[Method, Kernel] = {}
        self._check_copy = self.runtime.watch(network.model)
        self._warned = False

    @property
    def layer(self) -> str:
        """The name of the layer that is explained."""
        return self.view.layer

    def _at(self, layer: str) -> Pipeline:
        """Return the same network with the same choices at another layer."""
        if layer == self.layer:
            return self
        return Pipeline(self.network, layer, self.fit, self.postprocessing, self.runtime)

    def _scored_by(self, question: Question) -> Pipeline:
        """Return the same for a question; `class_ids` then count what it asks for."""
        network = self.network.scored_by(question)
        return Pipeline(network, self.layer, self.fit, self.postprocessing, self.runtime)

    def fitted(self, images: tf.Tensor) -> tf.Tensor:
        """Bring pictures `[N, H, W, C]`, signals or volumes of any dtype to the network's size.

        Returns:
            Float32 in the pictures' own range, bilinear with half-pixel centres.
        """
        images = tf.convert_to_tensor(images)
        starts, sides = self.seen(images.shape[1:-1])
        return self.network.fit(tf.slice(images, [0, *starts, 0], [-1, *sides, -1]))

    def seen(self, size: Sequence[int]) -> tuple[list[int], list[int]]:
        """What of a picture of some height and width the network sees: its top and left, its size.

        Of signals and volumes likewise, one number for each spatial axis.
        """
        if self.fit == "squash" or None in self.network.input_size:
            return [0] * len(size), list(size)
        return largest_part(size, self.network.input_size)

    def _check(self) -> None:
        self.network.structure.check()
        self._check_copy()

    def logits(self, fitted: tf.Tensor) -> tf.Tensor:
        """The plain compiled forward pass: fitted pictures to scores, float32 `[N, classes]`."""
        self._check()
        refuse_too_small(self.network, tuple(fitted.shape[1:-1]))
        return self._logits(fitted)

    @cached_property
    def _logits(self) -> Callable[[tf.Tensor], tf.Tensor]:
        self.network.verify()
        return self._compile(self.network.logits, [self._pictures])

    @cached_property
    def _probabilities(self) -> Callable[[tf.Tensor], tf.Tensor]:
        network = self.network
        network.verify()
        return self._compile(
            lambda inputs: network.probabilities(network.logits_of(inputs)), [self._pictures]
        )

    @property
    def _pictures(self) -> tf.TensorSpec:
        return tf.TensorSpec([None, *self.network.input_size, self.network.channels], tf.float32)

    def probabilities(self, inputs: tf.Tensor, batch_size: int = 32) -> tf.Tensor:
        """Classify what `Network.preprocess` returned, such as masked pictures.

        Args:
            inputs: Float32 `[N, H, W, C]`.
            batch_size: How many go through the network at a time.

        Returns:
            Float32 `[N, classes]`.
        """
        self._check()
        starts = range(0, inputs.shape[0], batch_size)
        return tf.concat(
            [self._probabilities(inputs[start : start + batch_size]) for start in starts], axis=0
        )

    def masked_probabilities(
        self,
        inputs: tf.Tensor,
        places: tf.Tensor,
        masks: tf.Tensor,
        fill: tf.Tensor,
        batch_size: int = 32,
        values: Mapping[str, Any] | None = None,
    ) -> tf.Tensor:
        """Classify parts of pictures: mask * input + (1 - mask) * fill.

        Args:
            inputs: What `Network.preprocess` returned, float32 `[P, H, W, C]`.
            places: Which of them each mask cuts, integers `[M]`.
            masks: Bool, or numbers in `[0, 1]`, `[M, H, W]`.
            fill: What covers the rest, in the preprocessed space: a number, a colour `[C]`, or one
                picture for each of the inputs, `[P, H, W, C]`.
            batch_size: How many masked pictures go through the network at a time.
            values: As in `explain`, of the P pictures.

        Returns:
            Float32 `[M, classes]`.
        """
        self._check()
        inputs, fill = tf.convert_to_tensor(inputs), tf.cast(fill, tf.float32)
        found, given = [], values or {}
        for start in range(0, masks.shape[0], batch_size):
            part = slice(start, start + batch_size)
            weights = tf.cast(masks[part], tf.float32)[..., None]
            cover = tf.gather(fill, places[part]) if fill.shape.rank == 4 else fill
            cut = weights * tf.gather(inputs, places[part]) + (1 - weights) * cover
            with WithValues({name: tf.gather(v, places[part]) for name, v in given.items()}):
                found.append(self._probabilities(cut))
        return tf.concat(found, axis=0)

    def explain(
        self,
        method: Method,
        fitted: tf.Tensor,
        class_ids: tf.Tensor,
        values: Mapping[str, Any] | None = None,
    ) -> Maps:
        """Compute the raw maps of pictures.

        Args:
            method: The method; it is compiled at its first use.
            fitted: What `fitted` returned.
            class_ids: Int32 `[N, T]`, as `targets.resolve` returns them: -k is the k-th best class.
            values: The values of each picture that the network takes, `[N, ...]` each, by the names
                of its `graph.specs`.

        Returns:
            Float32 `[N, T, h, w]` for each of the method's outputs, `"class_ids"` int32 `[N, T]`,
            and `"logits"` float32 `[N, classes]`.

        Raises:
            InputError: If the method cannot explain this layer; if the layer has one position only
                for pictures of that size; if the runtime lacks an operation; or if scores or maps
                are not finite numbers.
        """
        if values and method.many_passes and len(fitted) > 1:
            return one_by_one(partial(self.explain, method), fitted, class_ids, values)
        self._check()
        refuse_too_small(self.network, tuple(fitted.shape[1:-1]))
        self.warn_of_coincidence(method)
        try:
            with WithValues(values or {}), said_clearly(self.network, fitted):
                maps = self.kernel(method)(fitted, class_ids)
        except MissingOperationError as missing:
            raise missing.of(method.name, self.layer, self.network.name) from missing
        check_maps(method, self.view, fitted, maps)
        return maps

    def kernel(self, method: Method) -> Kernel:
        """Return the method compiled for this network and layer; made once."""
        if method not in self._kernels:
            self.network.structure.check()
            check_layer(method, self.view)
            self.network.verify()
            self._kernels[method] = method.compile(self.view)
        return self._kernels[method]

    def warn_of_coincidence(self, method: Method) -> None:
        """Say once that methods of one gradient coincide at this layer."""
        if self._warned or not isinstance(method, GradientMethod) or not self.view.pools_globally:
            return
        self._warned = True
        warn(
            f"{self.network.name} pools globally after {self.layer}, so the gradient there is "
            "constant in space: gradcam, xgradcam and hirescam agree, and guided is gradcam "
            "squared. An earlier layer tells them apart.",
            stacklevel=4,
        )

    def finish(self, raw: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
        """Smooth, normalise and resize raw maps, and lay them where the network looked.

        Args:
            raw: Float32 `[M, h, w]`; of a signal or a volume, `[M, ...spatial]`.
            size: The picture's height and width; of others, the size of each spatial axis.

        Returns:
            Float32 `[M, *size]` in `[0, 1]`.
        """
        starts, sides = self.seen(size)
        maps = self.finish_fitted(raw, sides)
        room = zip(size, starts, sides, strict=True)
        return tf.pad(maps, [[0, 0], *([at, all_ - at - side] for all_, at, side in room)])

    def finish_fitted(self, raw: tf.Tensor, size: Sequence[Any]) -> tf.Tensor:
        """As `finish`, for the size of what `fitted` returned."""
        box = self.view.box(tuple(raw.shape[1:]), size)
        finish = _compiled(self.postprocessing, len(self.network.input_size))
        return lay(lambda part: finish(raw, tf.constant(part)), box, tuple(size))


@lru_cache(KEPT)
def _compiled(
    postprocessing: Postprocessing, axes: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The post-processing of maps of some spatial axes, one for all networks and layers."""
    signature = [tf.TensorSpec([None] * (axes + 1), tf.float32), tf.TensorSpec([axes], tf.int32)]
    return tf.function(postprocessing.__call__, input_signature=signature, autograph=False)
