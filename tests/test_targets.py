"""Targets that are no classes, and inputs with a value for each picture: by value, and refused."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.targets import read_words
from guidedcam_tf.targets.regions import RegionScores

GENERATOR = np.random.default_rng(5)
PICTURES = GENERATOR.integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
NAMES = ["sky", "road", "car"]


def build_segmenter(activation="softmax", classes=3):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv")(inputs / 64)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="deep")(x)
    x = layers.Conv2D(classes, 1, activation=activation, name="out")(x)
    return keras.Model(inputs, x, name="segmenter")


def build_detector(objectness=True):
    keras.utils.set_random_seed(6)
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(6, 3, strides=4, padding="same", activation="relu", name="conv")(inputs / 64)
    outputs = {
        "boxes": layers.Reshape((-1, 4))(layers.Conv2D(8, 1)(x)),
        "classes": layers.Softmax()(layers.Reshape((-1, 3))(layers.Conv2D(6, 1, name="c")(x))),
    }
    if objectness:
        flat = layers.Reshape((-1,))(layers.Conv2D(2, 1, name="o")(x))
        outputs["objectness"] = layers.Activation("sigmoid")(flat)
    return keras.Model(inputs, outputs, name="detector")


def build_two_inputs():
    keras.utils.set_random_seed(7)
    inputs, table = keras.Input((16, 16, 3), name="image"), keras.Input((2,), name="table")
    x = layers.Conv2D(6, 3, strides=4, activation="relu", name="conv")(inputs / 64)
    scale = layers.Dense(6, activation="relu")(table)
    x = layers.GlobalAveragePooling2D()(x * layers.Reshape((1, 1, 6))(scale))
    return keras.Model([inputs, table], layers.Dense(3, activation="softmax", name="scores")(x))


@pytest.fixture(scope="module")
def segmenter():
    return gcam.Explainer(build_segmenter(), layer="conv", class_names=NAMES)


@pytest.fixture(scope="module")
def detector():
    return gcam.Explainer(build_detector(), layer="conv")


@pytest.fixture(scope="module")
def two_inputs():
    return gcam.Explainer(build_two_inputs(), layer="conv")


def refused(call):
    with pytest.raises(gcam.InputError) as error:
        call()
    return str(error.value)


def hirescam(features, score_of):
    """Feature maps times the gradients of a score, by a plain tape."""
    features = tf.convert_to_tensor(features)
    with tf.GradientTape() as tape:
        tape.watch(features)
        score = score_of(features)
    maps = tf.nn.relu(tf.reduce_sum(features * tape.gradient(score, features), axis=-1))
    assert maps.numpy().any()
    return maps.numpy(), score.numpy()


def segmenter_by_hand(model, pictures, score_of_logits):
    conv, deep, out = (model.get_layer(name) for name in ("conv", "deep", "out"))
    features = conv(tf.cast(pictures, tf.float32) / 64)
    return hirescam(
        features,
        lambda m: score_of_logits(tf.nn.conv2d(deep(m), out.kernel, 1, "SAME") + out.bias),
    )


def test_a_region_is_the_sum_of_a_class_over_a_mask(segmenter):
    masks = GENERATOR.random((3, 8, 8)) < 0.4

    def score(logits):
        return tf.stack(
            [tf.reduce_sum(logits[i, ..., c] * masks[i]) for i, c in enumerate([1, 2, 0])]
        )

    expected, _ = segmenter_by_hand(segmenter.network.model, PICTURES, score)
    target = gcam.targets.region([1, "car", "sky"], masks)
    found = segmenter.maps(PICTURES, target, "hirescam", raw=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    in_parts = segmenter.maps(PICTURES, target, "hirescam", raw=True, batch_size=2)
    np.testing.assert_allclose(in_parts, expected, rtol=1e-4, atol=1e-5)


def test_a_box_is_a_mask_of_what_has_its_middle_inside(segmenter):
    mask = np.zeros((16, 16), bool)
    mask[2:10, 4:13] = True
    by_box, by_mask, by_grid = (
        segmenter.maps(PICTURES, gcam.targets.region(1, where), "hirescam", raw=True)
        for where in ((4, 2, 13, 10), mask, mask[1::2, 1::2])
    )
    np.testing.assert_array_equal(by_box, by_mask)
    np.testing.assert_array_equal(by_box, by_grid)


@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid"])
def test_by_default_it_is_where_the_class_is_predicted(activation):
    model = build_segmenter(activation)
    explainer = gcam.Explainer(model, layer="conv")
    answers = model.predict(PICTURES, verbose=0)
    there = answers[..., 1] > 0.5 if activation == "sigmoid" else answers.argmax(-1) == 1
    expected, values = segmenter_by_hand(
        model, PICTURES, lambda logits: tf.reduce_sum(logits[..., 1] * there, axis=[1, 2])
    )
    found = explainer.maps(PICTURES, gcam.targets.region(1), "hirescam", raw=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    explanation = explainer.explain(PICTURES[1], "class 1", "hirescam")
    np.testing.assert_allclose(explanation.probabilities, values[1:2], rtol=1e-4)
    assert (explanation.names, explanation.targets.tolist()) == (["class 1"], [1])
    assert explanation.quantity == "value"


def test_many_classes_and_regions_share_one_kernel(monkeypatch):
    calls, scores = [], RegionScores.__call__
    monkeypatch.setattr(RegionScores, "__call__", lambda *a: calls.append(1) or scores(*a))
    explainer = gcam.Explainer(build_segmenter(), layer="conv", class_names=NAMES)
    explainer.explain(PICTURES[0], ["class road in 0,0,9,9", "class 2 in 3,3,16,16"], "hirescam")
    traced = len(calls)
    for class_id in range(3):
        explainer.maps(PICTURES, gcam.targets.region(class_id, (class_id, 0, 9, 9)), "hirescam")
    assert len(calls) == traced


@pytest.mark.parametrize(
    "method", ["scorecam", "guided", "integrated_gradcam", "rise", "ablationcam"]
)
def test_a_batch_with_values_is_its_pictures_one_by_one(segmenter, method):
    boxes = np.array([[0, 0, 8, 8], [4, 4, 16, 16], [2, 0, 9, 16]])
    options = {"samples": 8} if method == "rise" else {}
    whole = segmenter.maps(PICTURES, gcam.targets.region([0, 1, 2], boxes), method, **options)
    for place in range(3):
        target = gcam.targets.region(place, tuple(boxes[place]))
        alone = segmenter.maps(PICTURES[place : place + 1], target, method, **options)
        np.testing.assert_allclose(whole[place], alone[0], atol=1e-5)


REGIONS = {
    "mask's size": (
        np.ones((5, 7)),
        "a mask of 5 x 7; expected the picture's 16 x 16, or .* 8 x 8",
    ),
    "outside": ((0, 0, 17, 4), "box 0,0,17,4 must lie in the picture, 16 pixels wide and 16 high"),
    "turned": ((9, 0, 3, 4), "expected x_min, y_min, x_max, y_max in pixels from 0"),
    "small": ((0, 0, 1, 1), "0,0,1,1 of picture 0 holds the middle of no position.*8 x 8 of 2 x 2"),
    "shape": (
        np.ones(7),
        r"must be a mask \[H, W\], a file of one, or a box.*received shape \(7,\)",
    ),
    "number": (np.ones((2, 16, 16)), "mask must be one for all pictures, or one for each of the 3"),
    "file": ("no.png", "no.png does not exist"),
}


@pytest.mark.parametrize("name", REGIONS)
def test_what_is_no_region_is_refused(segmenter, name):
    where, message = REGIONS[name]
    assert re.search(
        message, refused(lambda: segmenter.maps(PICTURES, gcam.targets.region(1, where)))
    )


def test_a_class_that_is_predicted_nowhere_is_refused():
    model = build_segmenter()
    model.get_layer("out").bias.assign([0.0, -1e3, 0.0])
    explainer = gcam.Explainer(model, layer="conv", class_names=NAMES)
    message = refused(lambda: explainer.explain(PICTURES[0], gcam.targets.region("road")))
    assert "class 'road' is predicted nowhere in picture 0, so its region is empty" in message
    assert re.search("predicted are (sky|car).*: give mask_or_box=", message)


def test_a_mask_file_has_one_object(segmenter, tmp_path):
    levels = np.zeros((16, 16), np.uint8)
    levels[2:10, 4:13] = 255
    Image.fromarray(levels).save(tmp_path / "mask.png")
    by_file = segmenter.explain(PICTURES[0], f"class road in {tmp_path}/mask.png", "hirescam")
    by_box = segmenter.explain(PICTURES[0], gcam.targets.region(1, (4, 2, 13, 10)), "hirescam")
    np.testing.assert_array_equal(by_file.maps, by_box.maps)
    assert by_file.names == ["road in mask.png"]
    assert by_file.origin["targets"] == [f"class road in {tmp_path}/mask.png"]
    levels[0, 0] = 7
    Image.fromarray(levels).save(tmp_path / "mask.png")
    message = refused(lambda: segmenter.explain(PICTURES[0], f"class 1 in {tmp_path}/mask.png"))
    assert "must be grey, with 0 and one other value" in message


def detector_by_hand(model, pictures, score_of):
    features = model.get_layer("conv")(tf.cast(pictures, tf.float32) / 64)

    def score(m):
        classes = tf.reshape(model.get_layer("c")(m), [len(pictures), -1, 3])
        return score_of(classes, tf.reshape(model.get_layer("o")(m), [len(pictures), -1]))

    return hirescam(features, score)


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


BOXES = {
    "index": (32, {}, "box 32 is out of range: picture 0 has 32 boxes, 0 to 31"),
    "kind": (1.5, {}, "index of a box must be a number from 0.*received 1.5"),
    "class": ((3, 7), {}, "target 7 is out of range: the network has 3 classes"),
    "number": ([1, 2], {}, "index of a box must be one for all pictures, or one for each of the 3"),
    "overlap": (1, {"nms": 50}, "nms must be an overlap in 0..1; received 50"),
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


def test_functions_get_all_outputs_and_arguments_of_each_picture(detector):
    def best_box(outputs, box):
        assert sorted(outputs) == ["boxes", "classes", "objectness"]
        return tf.gather(outputs["classes"][:, :, 2], box, batch_dims=1)

    target = gcam.targets.function(best_box, box=[5, 0, 31])
    expected, _ = detector_by_hand(
        detector.network.model,
        PICTURES,
        lambda classes, objectness: tf.gather(classes[..., 2], [5, 0, 31], batch_dims=1),
    )
    for batch_size in (2, 3):
        found = detector.maps(PICTURES, target, "hirescam", raw=True, batch_size=batch_size)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    message = refused(lambda: detector.maps(PICTURES[:2], target))
    assert "argument 'box' of a target must have one value for each of the 2 pictures" in message
    message = refused(lambda: gcam.targets.function(best_box, box="3"))
    assert "argument 'box' must have one value for each picture, [N, ...], in numbers" in message


def test_every_picture_has_its_value_of_another_input(two_inputs):
    model, table = two_inputs.network.model, GENERATOR.random((3, 2)).astype(np.float32)
    given = {"image": PICTURES, "table": table}
    np.testing.assert_allclose(
        two_inputs.predict(given, batch_size=2),
        model.predict([PICTURES, table], verbose=0),
        atol=1e-5,
    )
    head, scores = model.layers[-2], model.get_layer("scores")
    scale = tf.nn.relu(next(each for each in model.layers if type(each) is layers.Dense)(table))
    expected, _ = hirescam(
        model.get_layer("conv")(PICTURES / np.float32(64)),
        lambda m: (tf.reduce_mean(m * scale[:, None, None], (1, 2)) @ scores.kernel)[:, 1],
    )
    assert isinstance(head, layers.GlobalAveragePooling2D)
    for batch_size in (2, 3):
        found = two_inputs.maps(given, 1, "hirescam", raw=True, batch_size=batch_size)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    alone = two_inputs.explain({"image": PICTURES[1], "table": table[1:2]}, 1, "scorecam")
    whole = two_inputs.maps(given, 1, "scorecam")
    np.testing.assert_allclose(whole[1], alone.maps[0], atol=1e-5)
    fixed = gcam.Explainer(model, layer="conv", fixed_inputs={"table": table[1]})
    np.testing.assert_allclose(fixed.maps(PICTURES[1:2], 1, "scorecam")[0], whole[1], atol=1e-5)


INPUTS = {
    "none": (
        PICTURES,
        r"further inputs, table: give each picture's, \{'image': ..., 'table': ...\}",
    ),
    "name": ({"image": PICTURES, "age": 3}, "dict of 'image', 'table'; received 'image', 'age'"),
    "number": (
        {"image": PICTURES, "table": np.ones((2, 2))},
        r"input 'table' must have one value for each picture, shape \(3, 2\); received \(2, 2\)",
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_values_that_do_not_fit_are_refused(two_inputs, name):
    given, message = INPUTS[name]
    assert re.search(message, refused(lambda: two_inputs.maps(given)))
    assert re.search(message, refused(lambda: two_inputs.predict(given)))


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
