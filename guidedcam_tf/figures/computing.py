"""What a figure shows, computed: from its configuration to results that can be drawn."""

from __future__ import annotations

from collections.abc import Callable

from guidedcam_tf.errors import InputError
from guidedcam_tf.figures import curve_figures
from guidedcam_tf.figures import map_figures
from guidedcam_tf.figures.config import AreasConfig
from guidedcam_tf.figures.config import ComparisonConfig
from guidedcam_tf.figures.config import CurvesConfig
from guidedcam_tf.figures.config import FigureConfig
from guidedcam_tf.figures.config import GuidanceConfig
from guidedcam_tf.figures.config import InterpretationConfig
from guidedcam_tf.figures.config import LayersConfig
from guidedcam_tf.figures.explaining import Networks
from guidedcam_tf.figures.result import Result


def compute(config: FigureConfig, networks: Networks, *, demo: bool, full: bool) -> Result:
    """Compute a figure's results and draw them.

    Args:
        config: The figure.
        networks: Its networks.
        demo: Show the photographs that scikit-image ships.
        full: Add the columns that take long.

    Raises:
        InputError: If a picture, class, method or layer is not available, or if no row is left.
    """
    pictures = config.demo if demo else config.pictures
    if not pictures:
        raise InputError(f"figure {config.name} has no {'demo' if demo else 'pictures'}")
    return _COMPUTE[type(config)](config, networks, pictures, demo, full)


_COMPUTE: dict[type[FigureConfig], Callable[..., Result]] = {
    GuidanceConfig: map_figures.guidance,
    ComparisonConfig: map_figures.comparison,
    InterpretationConfig: map_figures.interpretation,
    LayersConfig: map_figures.layers,
    CurvesConfig: curve_figures.curves,
    AreasConfig: curve_figures.areas,
}
