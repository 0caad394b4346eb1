"""From a method's raw map to the map that is shown: smooth, normalise, resize."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.ops.normalizing import min_max
from guidedcam_tf.ops.resizing import Interpolation
from guidedcam_tf.ops.resizing import resize_maps
from guidedcam_tf.ops.smoothing import gaussian_smooth


@dataclass(frozen=True)
class Postprocessing:
    """The steps between a raw map and the picture's pixels, in their order.

    The paper says only "typical smoothing and normalization ... before post aggregation
    up-sampling" (section 3.2), so kernel and interpolation are choices.

    Attributes:
        smoothing_sigma: Standard deviation of the Gaussian in cells of the raw map; 0 for none.
        smoothing_size: Odd width of the Gaussian's window, in cells of the raw map.
        interpolation: `"bilinear"` or `"bicubic"`, with half-pixel centres.
    """

    smoothing_sigma: float = 0.0
    smoothing_size: int = 3
    interpolation: Interpolation = "bilinear"

    def __call__(self, raw: tf.Tensor, size: Sequence[int] | tf.Tensor) -> tf.Tensor:
        """Turn raw maps, float32 `[N, ...spatial]`, into float32 `[N, *size]` in `[0, 1]`."""
        if self.smoothing_sigma > 0:
            raw = gaussian_smooth(raw, size=self.smoothing_size, sigma=self.smoothing_sigma)
        stretched = min_max(raw, len(raw.shape) - 1)
        return tf.clip_by_value(resize_maps(stretched, size, self.interpolation), 0.0, 1.0)


PRESETS = {
    "default": Postprocessing(),
    "paper": Postprocessing(smoothing_sigma=0.8, smoothing_size=3),
    "smooth": Postprocessing(interpolation="bicubic"),
}
"""`"default"` does not smooth; `"paper"` smooths with a 3 x 3 Gaussian of sigma 0.8; `"smooth"`
enlarges bicubically, for pictures: the crosses that bilinear enlarging draws are not there."""


def postprocessing_of(choice: str | Postprocessing) -> Postprocessing:
    """Return a postprocessing, given or by its name in `PRESETS`.

    Raises:
        InputError: If there is no such name.
    """
    if isinstance(choice, Postprocessing):
        return choice
    if choice not in PRESETS:
        raise InputError(
            f"postprocessing {shown(choice)} is not known; expected {', '.join(PRESETS)}"
        )
    return PRESETS[choice]
