"""What a figure comes with: the drawing, and the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from guidedcam_tf.explanation import Explanation

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Result:
    """A figure and the numbers behind it."""

    figure: Figure
    table: pd.DataFrame
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class MapNumbers:
    """The lines and arrays that lie beside a figure of maps."""

    lines: list[dict[str, object]] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, picture: str, explanation: Explanation) -> None:
        """Note a line for each target, and the raw arrays, in the order of the lines."""
        key = f"{picture}__{explanation.model}__{explanation.layer}__{explanation.method}"
        for name, array in {"raw": explanation.raw, **explanation.intermediates}.items():
            before = self.arrays.get(f"{key}__{name}", array[:0])
            self.arrays[f"{key}__{name}"] = np.concatenate([before, array])
        for at, target in enumerate(explanation.targets):
            saliency = explanation.maps[at]
            row, column = np.unravel_index(saliency.argmax(), saliency.shape)
            self.lines.append(
                {
                    "picture": picture,
                    "model": explanation.model,
                    "layer": explanation.layer,
                    "method": explanation.method,
                    "class": int(target),
                    "class_name": explanation.names[at],
                    explanation.quantity: float(explanation.probabilities[at]),
                    "peak_x": int(column),
                    "peak_y": int(row),
                    "mean": float(saliency.mean(dtype=np.float64)),
                    "empty": bool(explanation.empty[at]),
                }
            )

    def result(self, figure: Figure) -> Result:
        """Put what was noted beside the drawing."""
        import pandas as pd

        return Result(figure, pd.DataFrame(self.lines), self.arrays)
