"""Targets in words, units and the negative class, and targets of another network."""

import keras
import numpy as np
from keras import layers
from targets.by_hand import PICTURES
from targets.by_hand import refused

import guidedcam_tf as gcam
from guidedcam_tf.targets import read_words


def test_words_name_the_same_targets():
    region, box = read_words("class 7 in 10,20,110,220"), read_words("detection 3 of traffic light")
    assert (region.class_id, region.where) == (7, (10.0, 20.0, 110.0, 220.0))
    assert (box.index, box.class_id, box.nms) == (3, "traffic light", 0.5)
    assert read_words("class road in a b.png").where == "a b.png"
    for text in ("tabby", "top1", "in mask.png", "boxer", "box", "unit x"):
        assert read_words(text) == text
    for text in ("class 7", "class 7 in 10,20,110,220", "box 3", "box 3 of cat", "detection 0"):
        assert read_words(read_words(text).words).words == text
    assert "must be x_min, y_min, x_max, y_max" in refused(lambda: read_words("class 7 in 1,2,3"))


def test_units_and_the_negative_class():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(inputs / 64))
    binary = gcam.Explainer(
        keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x)), class_names=["cat"]
    )
    for word, class_id in (("negative", 0), ("not cat", 0), ("unit 0", 1)):
        found = binary.explain(PICTURES[0], word, "hirescam")
        assert found.targets.tolist() == [class_id]
        np.testing.assert_array_equal(
            found.maps[0], binary.maps(PICTURES[:1], class_id, "hirescam")[0]
        )
    assert "unit 1 is out of range" in refused(lambda: binary.explain(PICTURES[0], "unit 1"))
    several = gcam.Explainer(keras.Model(inputs, layers.Dense(4)(x)), scores="regression")
    assert several.explain(PICTURES[0], gcam.targets.unit(2)).targets.tolist() == [2]
    assert "has 4 outputs: name one" in refused(lambda: several.explain(PICTURES[0], "negative"))


def test_targets_of_another_network_are_refused(segmenter, detector):
    message = refused(lambda: segmenter.explain(PICTURES[0], "box 3"))
    assert "needs the scores of each box" in message
    assert "'class 7 in mask.png'" in message
    message = refused(lambda: detector.explain(PICTURES[0], "class 1"))
    assert "needs the classes of each position, [N, h, w, C]" in message
    assert "say which with output=" in message
    message = refused(lambda: segmenter.explain(PICTURES[0], ["class 1", "box 3"]))
    assert "must be all of one kind" in message
    assert "received box and region" in message
    assert "output= with the name of one" in refused(lambda: detector.predict(PICTURES))
