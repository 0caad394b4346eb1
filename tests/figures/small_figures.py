"""Configurations of small figures, and small networks for them."""

import keras

METHODS = ["guided", "gradcam", "layercam", "fullgrad"]

EXTRA = {
    "guidance": {},
    "comparison": {"methods": METHODS, "full_methods": ["scorecam"]},
    "interpretation": {"methods": METHODS[:2], "context": [{"file": "b.png", "targets": [1]}]},
    "curves": {"methods": METHODS[:3], "step": 16},
    "layers": {"methods": METHODS[:3], "layers": ["conv2", "conv1"]},
    "areas": {"methods": METHODS[:2], "areas": [0.1, 0.5, 0.9]},
}


def network_file(folder, name, last, seed=0):
    """A small network whose convolution is called conv2, in a file."""
    keras.utils.set_random_seed(seed)
    conv = keras.layers.Conv2D(6, 3, activation="relu", name="conv2")
    model = keras.Sequential([keras.Input((16, 16, 3)), conv, *last], name=name)
    model.save(folder / f"{name}{seed}.keras")
    return folder / f"{name}{seed}.keras"
