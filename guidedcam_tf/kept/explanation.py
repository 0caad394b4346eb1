"""One method for one network and layer, run by OpenVINO. TensorFlow is not needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from guidedcam_tf.arrays import as_input
from guidedcam_tf.data import Picture
from guidedcam_tf.data.pictures import read
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.finite import check_finite
from guidedcam_tf.origin import Setting
from guidedcam_tf.runtimes.openvino_model import OpenVINOModel


class KeptExplanation:
    """One method for one network and layer, ready to explain pictures.

    Args:
        setting: What is explained, and how.
        run: What computes from a picture, float32 `[1, H, W, C]`, and targets, int32 `[1, T]`, the
            arrays of `Setting.explanation` and `"logits"`, in the order of their names.

    Attributes:
        layer_reason: One line that says why it is that layer; empty for one that was asked for.
    """

    def __init__(self, setting: Setting, run: OpenVINOModel, layer_reason: str) -> None:
        self.setting, self.layer_reason = setting, layer_reason
        self._run, self._names = run, arrays_of(setting.outputs)

    def explain(self, picture: Picture, targets: Sequence[str]) -> Explanation:
        """Explain one picture, as `Explainer.explain` does.

        Args:
            picture: As there.
            targets: Classes as `ClassNames.ids` takes them.

        Raises:
            InputError: If the picture cannot be read, a target is unknown, or a number is not
                finite.
        """
        setting = self.setting
        listed = [each for target in targets for each in setting.classes.ids(target)]
        class_ids = np.array([listed], np.int32)
        content = read(picture)
        pixels = as_input(content, setting)[None].astype(np.float32)
        arrays = dict(zip(self._names, self._run([pixels, class_ids]), strict=True))
        maps = {name: arrays[name] for name in setting.outputs}
        origin = setting.origin
        check_finite(arrays["logits"], maps, setting.name, origin["layer"], origin["method"])
        return setting.explanation(picture, content, arrays)


def arrays_of(outputs: Sequence[str]) -> list[str]:
    """The names of what is computed for a method with these maps, in order."""
    return sorted([*outputs, "class_ids", "logits", "maps", "probabilities"])
