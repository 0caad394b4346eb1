"""Pictures as arrays: what a network takes of them, and what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

import numpy as np

from guidedcam_tf.data import to_grey
from guidedcam_tf.data.decoding import Decoded
from guidedcam_tf.data.pictures import LAYOUTS
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.finite import as_array
from guidedcam_tf.finite import as_values

if TYPE_CHECKING:
    from guidedcam_tf.networks import Network

LUMINANCE = np.array([[0.299], [0.587], [0.114]], np.float32)
"""How bright red, green and blue are (ITU-R 601-2), `[3, 1]`."""

ROUNDING = 0.5
"""How far resampling may leave 0..255."""

ONE_BATCH = "of a tf.data.Dataset give the pictures of one batch, as next(iter(dataset)) has them"


class TakesPictures(Protocol):
    """What has to be known of a network to give it a picture; see `Network`."""

    @property
    def name(self) -> str:
        """The network's name."""

    @property
    def channels(self) -> int | None:
        """How many channels it takes; `None` for any."""

    @property
    def takes_pixels(self) -> bool:
        """Whether its preprocessing expects 0..255."""

    @property
    def scales_pixels(self) -> bool:
        """Whether the model itself scales pictures, from 0..255."""

    @property
    def input_size(self) -> tuple[int | None, ...]:
        """The spatial extents that it takes."""


def as_input(picture: Decoded, network: TakesPictures) -> np.ndarray:
    """Give a picture as many channels as the network takes, `[H, W, C]`.

    Signals `[T, C]` and volumes `[D, H, W, C]` must have as many.

    An array keeps its values. Grey of 16 bits keeps its range for a grey network that does its own
    preprocessing, as Keras's loader gives it; otherwise files are 8-bit RGB.

    Raises:
        InputError: If it has neither as many channels nor one or three to make them of; or if an
            array is not in 0..255 where the network's preprocessing expects that.
    """
    channels, values = network.channels, picture.values
    keeps = picture.is_array or (channels == 1 and not network.takes_pixels)
    if values is None or not keeps:
        values = picture.shown
    else:
        _check_range(values, network)
    has, is_picture = values.shape[-1], len(network.input_size) == 2
    if channels in (None, has):
        return values
    if is_picture and has == 1 and channels == 3:
        return np.repeat(values, 3, axis=-1)
    if is_picture and has == 3 and channels == 1:
        return to_grey(values) if values.dtype == np.uint8 else values @ LUMINANCE
    first = (
        " (channels come last: np.moveaxis(array, 0, -1))" if values.shape[0] == channels else ""
    )
    raise InputError(
        f"{network.name} takes {channels} channels, the picture has {has}; give an array "
        f"[{_layout(network)}]{first}, or an NPY file of one"
    )


def check_sees_pictures(network: Network, what: str) -> None:
    """Raise `InputError` if a network takes signals or volumes.

    Args:
        network: The network.
        what: What needs pictures, for the message.
    """
    if not network.sees_pictures:
        raise InputError(
            f"{what} takes networks of pictures [N, H, W, C]; {network.name!r} takes "
            f"{network.graph.input_shape}: `guidedcam explain`, or Explainer.maps, explains it"
        )


def _layout(network: TakesPictures) -> str:
    return LAYOUTS[len(network.input_size)].replace("C", str(network.channels))


def refuse_in_functions() -> None:
    """Raise `InputError` where TensorFlow traces a function, such as one of `Dataset.map`."""
    import tensorflow as tf

    if tf.inside_function():
        raise InputError(
            "an Explainer is made, and takes and returns arrays, outside of a tf.function and of "
            "Dataset.map; inside, the pipeline of one that was made outside works on tensors"
        )


def check_images(images: np.ndarray, network: Network) -> np.ndarray:
    """Return a batch of pictures as an array, if the network can take it.

    Raises:
        InputError: If its shape, type or range is another than `Explainer.maps` takes.
    """
    refuse_in_functions()
    hint = f": bring pictures to one size, or explain them one by one; {ONE_BATCH}"
    array = as_array(images, "images", hint)
    axes = len(network.input_size)
    if array.dtype == object or array.dtype.kind in "US":
        one = "Explainer.explain takes one picture at a time, also a file"
        raise InputError(
            f"images must be an array [N, {_layout(network)}]; received {shown(images)}: "
            f"{ONE_BATCH if hasattr(images, 'element_spec') else one}"
        )
    if array.ndim != axes + 2 or array.shape[-1] != network.channels or not array.size:
        raise InputError(
            f"images must have shape [N, {_layout(network)}] with N at least 1; "
            f"received {array.shape}"
        )
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise InputError(f"images must be uint8 or float; received {array.dtype}")
    if network.sees_pictures and min(array.shape[1:3]) < 2:
        raise InputError(f"images must be at least 2 x 2 pixels; received {array.shape}")
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        raise InputError("images must be finite; received NaN or infinity")
    _check_range(array, network)
    return array


def _check_range(images: np.ndarray, network: TakesPictures) -> None:
    """Refuse what was scaled already where preprocessing, or say so where the model, does that."""
    if images.dtype == np.uint8 or not (network.takes_pixels or network.scales_pixels):
        return
    low, high = float(images.min()), float(images.max())
    if not network.takes_pixels:
        if high > 255 + ROUNDING or 0 < max(high, -low) <= 1:
            warnings.warn(
                f"model {network.name!r} scales pictures itself, from 0..255; received {low:g} to "
                f"{high:g}: if it was trained on 0..255, give pictures so, before they are scaled",
                stacklevel=4,
            )
        return
    if low < -ROUNDING or high > 255 + ROUNDING:
        raise InputError(
            f"images must be RGB in 0..255 for the network's preprocessing; received {low:g} to "
            f"{high:g}: clip them, or give preprocess='none' if they are preprocessed already"
        )
    if 0 < high <= 1:
        raise InputError(
            "images must be RGB in 0..255 for the network's preprocessing; received "
            f"{low:g} to {high:g}: multiply them by 255, or give preprocess='none' if they are "
            "preprocessed already"
        )


def batches(count: int, batch_size: int) -> Iterator[slice]:
    """Cut a number of pictures into batches. Raises `InputError` for no whole size from 1."""
    if not isinstance(batch_size, Integral) or batch_size < 1:
        raise InputError(
            f"batch_size must be at least 1, a whole number; received {shown(batch_size)}"
        )
    return (slice(start, start + batch_size) for start in range(0, count, batch_size))


def check_batch(given: Any, network: Network) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return a batch of pictures, and what the other inputs get of each, by name.

    Args:
        given: As in `split_values`.
        network: The network.

    Raises:
        InputError: As `split_values`, `check_images` and `check_values`.
    """
    pictures, values = split_values(given, network)
    images = check_images(pictures, network)
    return images, check_values(values, network, len(images))


def split_values(given: Any, network: Network) -> tuple[Any, dict[str, Any]]:
    """Return what takes the place of pictures, and what the other inputs get, by name.

    Args:
        given: Pictures; or, for a network with several inputs, a dict with them, and a value of
            each other input that has no fixed one, by the inputs' names.
        network: The network.

    Raises:
        InputError: If an input is missing, or has another name.
    """
    picture, expected = network.graph.picture_name, [network.graph.picture_name, *network.inputs]
    if not isinstance(given, Mapping):
        if network.inputs:
            raise InputError(
                f"model {network.name!r} has further inputs, {', '.join(network.inputs)}: give "
                "each picture's, {" + ", ".join(f"{name!r}: ..." for name in expected) + "}, or "
                "one for all pictures with fixed_inputs= (--fixed-inputs and an NPZ of them)"
            )
        return given, {}
    if set(given) != set(expected):
        raise InputError(
            f"pictures with values must be a dict of {', '.join(map(repr, expected))}; received "
            f"{', '.join(map(repr, given)) or 'none'}; what fixed_inputs holds is not given again"
        )
    return given[picture], {name: given[name] for name in network.inputs}


def check_values(
    given: Mapping[str, Any], network: Network, pictures: int
) -> dict[str, np.ndarray]:
    """Return the values of the other inputs as arrays.

    Raises:
        InputError: If they are no numbers of the input's dtype, or have another shape than
            `[N, ...]` for N pictures.
    """
    values = {
        name: as_values(given[name], spec.dtype, f"input {name!r}")
        for name, spec in network.inputs.items()
    }
    for name, value in values.items():
        expected = (pictures, *network.inputs[name].shape[1:])
        if value.ndim != len(expected) or any(
            side not in (None, actual) for side, actual in zip(expected, value.shape, strict=True)
        ):
            raise InputError(
                f"input {name!r} must have one value for each picture, shape {expected}; "
                f"received {value.shape}"
            )
    return values
