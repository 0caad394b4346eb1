"""Model and weights files with flipped bytes: they are read, or refused in words."""

import random

import keras
import pytest

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.model_files import load_model
from guidedcam_tf.networks.weights import load_file

layers = keras.layers

MUTATIONS = 150


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["net.keras", "net.weights.h5"])
def test_a_damaged_file_is_read_or_refused(name, tmp_path):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Conv2D(2, 3)(inputs))))
    file, draw = tmp_path / name, random.Random(3)
    is_weights = "weights" in name
    model.save_weights(file) if is_weights else model.save(file)
    whole, refused = file.read_bytes(), 0
    for _ in range(MUTATIONS):
        damaged = bytearray(whole)
        for _ in range(draw.choice([1, 1, 3, 10])):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        file.write_bytes(
            damaged[: draw.choice([len(damaged)] * 9 + [draw.randrange(len(damaged))])]
        )
        try:
            load_file(model, file) if is_weights else load_model(file)
        except InputError as error:
            refused += 1
            assert str(file) in str(error)
    assert refused > MUTATIONS // 10
