"""Boxes of a detector as targets: by value, and refused."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from targets.by_hand import GENERATOR
from targets.by_hand import PICTURES
from targets.by_hand import build_detector
from targets.by_hand import detector_by_hand
from targets.by_hand import hirescam
from targets.by_hand import refused

import guidedcam_tf as gcam


def test_a_box_is_the_logit_of_class_times_objectness(detector):
    def score(classes, objectness):
        each = tf.range(3), tf.constant([5, 0, 31])
        p = tf.gather_nd(tf.nn.softmax(classes)[..., 2], tf.stack(each, 1))
        p *= tf.gather_nd(tf.sigmoid(objectness), tf.stack(each, 1))
        return tf.math.log(p / (1 - p))

    expected, values = detector_by_hand(detector.network.model, PICTURES, score)
    target = gcam.targets.box([5, 0, 31], 2)
    for batch_size in (2, 3):
        found = detector.maps(PICTURES, target, "hirescam", raw=True, batch_size=batch_size)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    explanation = detector.explain(PICTURES[0], ["box 5 of 2", "box 7"], "hirescam")
    np.testing.assert_allclose(explanation.probabilities[0], values[0], rtol=1e-4)
    assert explanation.names[0] == "box 5: class 2"
    assert explanation.targets.tolist() == [5, 7]


def test_without_objectness_a_box_is_its_class_s_logit():
    model = build_detector(objectness=False)
    alone = gcam.Explainer(model, layer="conv", output="classes")
    both = gcam.Explainer(model, layer="conv")
    target = gcam.targets.box(3, 1)
    features = model.get_layer("conv")(PICTURES / np.float32(64))
    expected, _ = hirescam(
        features, lambda m: tf.reshape(model.get_layer("c")(m), [3, -1, 3])[:, 3, 1]
    )
    for explainer in (alone, both):
        found = explainer.maps(PICTURES, target, "hirescam", raw=True)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_after_suppression_boxes_are_counted_from_the_best(detector):
    outputs = detector.network.model.predict(PICTURES[:1], verbose=0)
    ranks = outputs["classes"][0].max(-1) * outputs["objectness"][0]
    best = np.argsort(-ranks)
    corners = np.tile([[0.0, 0.0, 1.0, 1.0]], (1, 32, 1))
    corners[0, best[2:]] += 5  # The two best are one; the others another.

    target = gcam.targets.box(1, nms=0.5, decode=lambda outputs, pictures: corners)
    explanation = detector.explain(PICTURES[0], target, "hirescam")
    third = detector.explain(PICTURES[0], gcam.targets.box(int(best[2])), "hirescam")
    np.testing.assert_array_equal(explanation.maps, third.maps)
    assert explanation.names[0].startswith("detection 1: class ")
    message = refused(
        lambda: detector.explain(
            PICTURES[0], gcam.targets.box(2, nms=0.5, decode=lambda o, p: corners)
        )
    )
    assert "detection 2 is out of range: picture 0 has 2 boxes left at nms=0.5, 0 to 1" in message


@pytest.mark.parametrize("output", [None, "classes"])
@pytest.mark.parametrize("class_id", [None, 0, 1, 2])
def test_boxes_of_a_softmax_are_ranked_by_probabilities(class_id, output):
    """By a class's logit another box came first, as a box's logits are all large or all small."""
    model = build_detector(objectness=False)
    kernel = model.get_layer("c").kernel
    kernel.assign(kernel + 20 * np.random.default_rng(4).normal(size=(6, 2)).repeat(3, axis=-1))
    probabilities = model.predict(PICTURES[:1], verbose=0)["classes"][0]
    logits = keras.Model(model.input, model.get_layer("c").output)(PICTURES[:1])
    logits = np.reshape(logits, (32, 3))
    ranks, by_logit = (
        each.max(-1) if class_id is None else each[:, class_id] for each in (probabilities, logits)
    )
    assert ranks.argmax() != by_logit.argmax()
    cells = np.arange(32)[:, None] * np.float32(4) + [1, 1, 3, 3]
    explainer = gcam.Explainer(model, layer="conv", output=output)
    target = gcam.targets.box(0, class_id, nms=0.5, decode=lambda o, p: cells[None])
    best = gcam.targets.box(int(ranks.argmax()), class_id)
    maps = (explainer.maps(PICTURES[:1], [each], "hirescam", raw=True) for each in (target, best))
    np.testing.assert_array_equal(*maps)


BOXES = {
    "index": (32, {}, "box 32 is out of range: picture 0 has 32 boxes, 0 to 31"),
    "kind": (1.5, {}, "index of a box must be a number from 0.*received 1.5"),
    "class": ((3, 7), {}, "target 7 is out of range: the network has 3 classes"),
    "number": ([1, 2], {}, "index of a box must be one for all pictures, or one for each of the 3"),
    "overlap": (1, {"nms": 50}, "nms must be an overlap in 0..1; received 50"),
    "overlap in words": (1, {"nms": "0.5"}, "nms must be an overlap in 0..1; received '0.5'"),
    "decoded": (1, {"nms": 0.5, "decode": lambda o, p: None}, r"decode= must return .*received"),
    "corners": (1, {"nms": 0.5}, "boxes must be two corners each.*of boxes are not.*give decode="),
    "output": (1, {"scores": "cls"}, "no output 'cls'; expected one of boxes, classes, objectness"),
    "plain": (
        1,
        {"objectness": "classes"},
        r"not plain which output of 'detector' holds the classes.*objectness .None, 32.*scores=",
    ),
}


@pytest.mark.parametrize("name", BOXES)
def test_what_is_no_box_is_refused(detector, name):
    index, options, message = BOXES[name]
    arguments = index if isinstance(index, tuple) else (index,)
    found = refused(lambda: detector.maps(PICTURES, gcam.targets.box(*arguments, **options)))
    assert re.search(message, found), found


def test_a_retinanet_of_keras_hub():
    keras_hub = pytest.importorskip("keras_hub")
    keras.utils.set_random_seed(0)
    encoder = keras_hub.models.ResNetBackbone(
        image_shape=(64, 64, 3),
        block_type="basic_block",
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 8, 8],
        stackwise_num_blocks=[1, 1, 1],
        stackwise_num_strides=[1, 2, 2],
    )
    backbone = keras_hub.models.RetinaNetBackbone(encoder, min_level=3, max_level=4, use_p5=False)
    model = keras_hub.models.RetinaNetObjectDetector(
        backbone, num_classes=3, bounding_box_format="xyxy", pre_logits_num_conv_layers=1
    )
    for weight in [*model.box_head.weights, *model.classification_head.weights]:
        weight.assign(weight * 0.05)
    model.prediction_decoder.confidence_threshold = 0.0
    picture = GENERATOR.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    explainer = gcam.Explainer(model)
    assert explainer.layer.endswith("stack1_block0_out")  # Later layers see some of the boxes.

    inputs = tf.Variable(picture[None], dtype=tf.float32)
    with tf.GradientTape() as tape:
        score = model(inputs, training=False)["cls_logits"][:, 100, 1]
    expected = np.abs(tape.gradient(score, inputs)).max(axis=-1)
    target = gcam.targets.box(100, 1)
    found = explainer.maps(picture[None], target, "gradient", raw=True)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * expected.max())

    detections = model.predict(picture[None].astype(np.float32), verbose=0)
    words = [f"detection {place}" for place in range(3)]
    explanation = explainer.explain(picture, words, "hirescam")
    labels = [f"detection {i}: class {detections['labels'][0][i]}" for i in range(3)]
    assert explanation.names == labels
    confidence = 1 / (1 + np.exp(-explanation.probabilities))
    np.testing.assert_allclose(confidence, detections["confidence"][0][:3], rtol=1e-4)
    assert not explanation.empty.any()
