"""Classifiers of KerasHub by the name of a preset."""

from __future__ import annotations

from typing import Any

import keras

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import reason_of

PREFIX = "hub:"
"""What a preset's name begins with where a model is named."""


def load_preset(name: str, *, weights: bool = True) -> keras.Model:
    """Load an image classifier with its preprocessor.

    Args:
        name: `"hub:"` and what KerasHub's `from_preset` takes: the name of a preset, or a folder
            that `save_to_preset` made.
        weights: Load the preset's weights; else they are random.

    Raises:
        InputError: If KerasHub is not installed, or the preset cannot be had.
    """
    preset = name.removeprefix(PREFIX)
    try:
        import keras_hub
    except ImportError as error:
        raise InputError(
            f"model {name} needs KerasHub, which is not to be imported here ({error}): "
            "pip install keras-hub"
        ) from error
    try:
        loaded: Any = keras_hub.models.ImageClassifier.from_preset(preset, load_weights=weights)
    except Exception as error:  # KerasHub, Kaggle and the network each raise kinds of their own.
        raise InputError(
            f"model {name}: KerasHub cannot load the image classifier {preset!r}: "
            f"{reason_of(error)}. A preset by name is fetched from the internet; a folder that "
            f"save_to_preset made works without: {PREFIX}FOLDER"
        ) from error
    return loaded
