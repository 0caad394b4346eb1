"""Model and weights files with flipped bytes: they are read, or refused in words."""

import random

import keras
import pytest

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks import hdf5
from guidedcam_tf.networks.model_files import load_model
from guidedcam_tf.networks.weights import load_file

layers = keras.layers

MUTATIONS = 150
SLOW_MUTATIONS = 15
"""Of whole models in HDF5, each of which is first read in a process of its own."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["net.keras", "net.weights.h5", "net.h5"])
def test_a_damaged_file_is_read_or_refused(name, tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "LONGEST", 10)
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Conv2D(2, 3)(inputs))))
    file, draw = tmp_path / name, random.Random(3)
    is_weights = "weights" in name
    model.save_weights(file) if is_weights else model.save(file)
    mutations = MUTATIONS if file.suffixes != [".h5"] else SLOW_MUTATIONS
    whole, refused = file.read_bytes(), 0
    for _ in range(mutations):
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
    assert refused > mutations // 10


def test_a_folder_is_said_to_be_one(tmp_path):
    folder = tmp_path / "net.keras"
    folder.mkdir()
    with pytest.raises(InputError, match=r"net\.keras is a folder; expected a file that"):
        load_model(folder)


def test_reading_that_does_not_end_or_crashes_is_said(tmp_path, monkeypatch):
    file = tmp_path / "net.h5"
    file.write_bytes(b"")
    monkeypatch.setattr(hdf5, "_READ", "while True: pass")
    monkeypatch.setattr(hdf5, "LONGEST", 1)
    with pytest.raises(InputError, match=r"net\.h5 is damaged: reading it did not end"):
        load_model(file)
    monkeypatch.setattr(hdf5, "_READ", "import os; os.abort()")
    with pytest.raises(InputError, match=r"net\.h5 is damaged: reading it crashes"):
        load_model(file)
