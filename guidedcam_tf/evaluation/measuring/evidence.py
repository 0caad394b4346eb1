"""What metrics measure from, made of a network, a method and a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from guidedcam_tf.data.samples import Label
from guidedcam_tf.evaluation.config import Protocol
from guidedcam_tf.evaluation.measuring.maps import MapMaker
from guidedcam_tf.evaluation.measuring.maps import Values
from guidedcam_tf.evaluation.measuring.pairs import Chunk
from guidedcam_tf.evaluation.measuring.pairs import Pair
from guidedcam_tf.methods import Method
from guidedcam_tf.metrics import MaskedPredictions
from guidedcam_tf.metrics import MaskRule
from guidedcam_tf.metrics import ObjectMap
from guidedcam_tf.metrics import PictureMap
from guidedcam_tf.metrics import box_mask
from guidedcam_tf.networks import Network
from guidedcam_tf.networks.picture_values import WithValues
from guidedcam_tf.pipeline import Pipeline


def masked_predictions(
    pipeline: Pipeline,
    inputs: tf.Tensor,
    places: Sequence[int],
    class_ids: Sequence[int],
    masks: np.ndarray,
    *,
    clean: np.ndarray,
    fill: np.ndarray | float = 0.0,
    batch_size: int = 32,
    values: Values | None = None,
) -> MaskedPredictions:
    """Predict a class on the two parts of pictures that masks cut.

    Methods that agree cut a picture alike; such parts go through the network once. A part that is
    the whole picture has its probability: what the network says of it in another batch may differ
    in the last digit, which would count as an increase.

    Args:
        pipeline: The network.
        inputs: Preprocessed pictures, float32 `[P, H, W, C]`.
        places: Which of them each mask cuts, M numbers.
        class_ids: The class for each mask, M numbers.
        masks: Bool, or numbers in `[0, 1]`, `[M, H, W]`.
        clean: The class's probability on the whole picture, `[M]`.
        fill: What covers the rest, in the preprocessed space.
        batch_size: How many parts go through the network together.
        values: What further inputs get with the P pictures.
    """
    kept, like = _distinct(places, masks)
    cut, masks = np.asarray(places)[kept], masks[kept]
    saliency, context = (
        pipeline.masked_probabilities(inputs, cut, part, fill, batch_size, values).numpy()
        for part in (masks, ~masks if masks.dtype == bool else 1 - masks)
    )
    saliency, context = saliency[like, class_ids], context[like, class_ids]
    saliency = np.where((masks == 1).all(axis=(1, 2))[like], clean, saliency)
    context = np.where((masks == 0).all(axis=(1, 2))[like], clean, context)
    return MaskedPredictions(clean, saliency, context)


def _distinct(places: Sequence[int], masks: np.ndarray) -> tuple[list[int], list[int]]:
    """Which masks cut a picture as none before does, and where among them each mask's like is."""
    kept: dict[tuple[int, bytes], int] = {}
    keys = [(place, mask.tobytes()) for place, mask in zip(places, masks, strict=True)]
    like = [kept.setdefault(key, len(kept)) for key in keys]
    return [like.index(number) for number in range(len(kept))], like


def object_map(
    saliency: np.ndarray, label: Label, void: np.ndarray | None, protocol: Protocol, rule: MaskRule
) -> ObjectMap:
    """Put an object beside a map `[H, W]` at the picture's own size."""
    if protocol.pointing_truth == "masks" or label.boxes is None:
        truth = label.mask
    else:
        size = (saliency.shape[0], saliency.shape[1])
        truth = box_mask(np.array(label.boxes, float), size, label.difficult or None)
    return ObjectMap(saliency, truth, label.mask, void, rule, protocol.tolerance)


def picture_map(
    maker: MapMaker,
    method: Method,
    chunk: Chunk,
    pair: Pair,
    saliency: np.ndarray,
    cover: np.ndarray,
) -> PictureMap:
    """Put a picture, its network and its method beside a map `[H, W]` at the network's size."""
    place, target, pipeline = pair.place, pair.class_id, chunk.pipeline
    values = chunk.values_of([place])

    def probabilities(inputs: np.ndarray) -> np.ndarray:
        with WithValues(values):
            found: np.ndarray = pipeline.probabilities(tf.constant(inputs)).numpy()[:, target]
        return found

    def maps(pictures: np.ndarray) -> np.ndarray:
        return maker.of_pictures(method, pictures, target, values)

    return PictureMap(
        saliency,
        chunk.images[place].numpy(),
        chunk.inputs[place].numpy(),
        float(chunk.probabilities[place, target]),
        probabilities,
        maps,
        cover,
        pipeline.network.preprocess(tf.constant(cover, tf.float32)[None, None, None]).numpy()[
            0, 0, 0
        ],
    )


def black(network: Network) -> np.ndarray:
    """What preprocessing makes of black, `[C]`."""
    found: np.ndarray = network.preprocess(tf.zeros([1, 1, 1, network.channels or 3])).numpy()
    result: np.ndarray = found[0, 0, 0]
    return result


def zero_is_black(network: Network) -> bool:
    """Whether preprocessing takes black to 0, so that 0 is no mean colour."""
    return bool(np.allclose(black(network), 0.0))


def mean_colour(network: Network) -> np.ndarray:
    """The colour, in 0..255, that preprocessing takes to 0: what a mean fill looks like.

    It is found from what preprocessing makes of black and of each pure colour, which holds for all
    preprocessing that is linear. Where there is no such colour, it is the nearest there is.
    """
    channels = network.channels or 3
    colours = np.concatenate([np.zeros((1, channels)), 255 * np.eye(channels)])
    seen = network.preprocess(tf.constant(colours[:, None, None], tf.float32)).numpy()[:, 0, 0]
    slopes = (seen[1:] - seen[0]) / 255
    found, *_ = np.linalg.lstsq(slopes.T, -seen[0], rcond=None)
    result: np.ndarray = np.clip(found, 0, 255).astype(np.float32)
    return result
