"""The kinds of models that people bring: each is explained as the same network built flat."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from models.kinds import ARGUMENTS
from models.kinds import KINDS
from models.kinds import base_in_sequential
from models.kinds import chain
from models.kinds import flat
from models.kinds import give_weights
from models.kinds import head
from models.kinds import state
from models.kinds import trunk
from models.kinds import two_inputs

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method
from guidedcam_tf.networks import Network

pytestmark = pytest.mark.usefixtures("compiled")

layers = keras.layers


@pytest.fixture(scope="module")
def expected(reference, pictures):
    """The flat model's maps."""
    return gcam.Explainer(reference).maps(pictures, [0, 1, 2], raw=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_explained_as_the_flat_one(kind, reference, expected, pictures):
    model = KINDS[kind]()
    give_weights(model, reference)
    before = state(model)
    explainer = gcam.Explainer(model, **ARGUMENTS.get(kind, {}))
    assert explainer.layer.split("/")[-1] == "relu2"
    assert expected.any()
    first = explainer.maps(pictures, [0, 1, 2], raw=True)
    np.testing.assert_allclose(first, expected, atol=1e-5)
    explainer.maps(pictures[:2], [2, 0])
    np.testing.assert_allclose(
        explainer.predict(pictures), reference.predict(pictures, verbose=0), atol=1e-6
    )
    assert explainer.pipeline.kernel(get_method("guided")).experimental_get_tracing_count() == 1
    assert state(model) == before


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_file_is_explained_as_the_model(tmp_path, suffix, reference, expected, pictures):
    model = base_in_sequential()
    give_weights(model, reference)
    model.save(tmp_path / f"model{suffix}")
    explainer = gcam.Explainer(str(tmp_path / f"model{suffix}"))
    assert explainer.layer == "base/relu2"
    found = explainer.maps(pictures, [0, 1, 2], raw=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_other_inputs_are_fixed(pictures):
    model = two_inputs()
    fixed = {"right": pictures[0], "number": np.array([[0.5, -1.0]])}
    before = state(model)
    explainer = gcam.Explainer(model, input="left", fixed_inputs=fixed)
    assert explainer.layer == "base/relu2"
    expected = model([pictures, np.repeat(pictures[:1], 3, 0), np.repeat([[0.5, -1.0]], 3, 0)])
    probabilities = explainer.predict(pictures)
    np.testing.assert_allclose(probabilities, tf.nn.softmax(expected), atol=1e-5)
    # The same network for one input, by hand: the right picture's features are constants.
    features = keras.Model(model.input[0], model.get_layer("base")(model.input[0]))
    kernel, bias = model.get_layer("scores").get_weights()
    right = features(pictures[:1]).numpy().reshape(-1)
    inputs = keras.Input((8, 8, 3))
    outputs = layers.Dense(3, name="scores")(layers.Flatten()(model.get_layer("base")(inputs)))
    by_hand = keras.Model(inputs, outputs)
    rest = np.concatenate([right, [0.5, -1.0]])
    by_hand.get_layer("scores").set_weights([kernel[:80], bias + rest @ kernel[80:]])
    for method in ("guided", "ablationcam"):
        np.testing.assert_allclose(
            explainer.maps(pictures, [0, 1, 2], method, raw=True),
            gcam.Explainer(by_hand).maps(pictures, [0, 1, 2], method, raw=True),
            atol=1e-5,
        )
    assert state(model)["weights"] == before["weights"]


def test_sigmoid_heads_have_sigmoid_probabilities(reference, pictures):
    for units in (3, 1):
        model = flat(*head(units, "sigmoid"))
        explainer = gcam.Explainer(model)
        expected = model.predict(pictures, verbose=0)
        np.testing.assert_allclose(explainer.predict(pictures), expected, atol=1e-6)
        logits = explainer.pipeline.logits(tf.constant(pictures))
        np.testing.assert_allclose(tf.sigmoid(logits)[:, -units:], expected, atol=1e-6)
        picture = np.full((8, 8, 3), 2, np.uint8)
        (best,) = explainer.explain(picture, "top1").probabilities
        expected = model.predict(picture[None].astype(np.float32), verbose=0)[0]
        assert best == pytest.approx(max(*expected, *(1 - expected[: units == 1])), abs=1e-6)


def test_one_unit_is_what_the_user_says(pictures):
    model = flat(*head(1, None))
    raw = model.predict(pictures, verbose=0)
    with pytest.warns(UserWarning, match="one number, which is taken for a value"):
        np.testing.assert_allclose(gcam.Explainer(model).predict(pictures), raw, atol=1e-5)
    for said, expected in (
        ("regression", raw),
        ("logits", 1 / (1 + np.exp(-raw))),
        ("sigmoid", 1 / (1 + np.exp(-raw))),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            explainer = gcam.Explainer(model, scores=said)
        np.testing.assert_allclose(explainer.predict(pictures), expected, atol=1e-5)
        assert len(explainer.network.classes.names) == (1 if said == "regression" else 2)


def test_many_classes(pictures):
    model = flat(layers.Flatten(), layers.Dense(20_000, name="scores"))
    explainer = gcam.Explainer(model)
    explanation = explainer.explain(pictures[0] * 20 + 128, ["top2", 19_999])
    assert explanation.targets[2] == 19_999
    assert np.isfinite(explanation.maps).all()
    last = flat(layers.Flatten(), layers.Dense(1, name="scores"))
    last.set_weights([*model.get_weights()[:-2], *(w[..., -1:] for w in model.get_weights()[-2:])])
    expected = gcam.Explainer(last).maps(pictures, [0, 0, 0], raw=True)
    assert expected.any()
    found = explainer.maps(pictures, [19_999] * 3, raw=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-8)


def test_the_default_layer_says_why(reference):
    reason = Network(base_in_sequential()).default_layer_reason
    assert reason == (
        "'base/relu2' (ReLU, 4 x 4) is the last feature map with spatial extent, before "
        "'flatten'; 4 other layers can be named"
    )


def test_an_application_without_preprocessing_is_hinted_at(pictures):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, chain([*trunk(), *head()], inputs), name="mobilenetv2_1.00_224")
    with pytest.warns(UserWarning, match="'mobilenetv2_1.00_224' gets pictures as they are"):
        gcam.Explainer(model)
    for call in (
        lambda: gcam.Explainer(model, preprocess="none"),
        lambda: gcam.guided_cam(model, pictures),
        lambda: gcam.Explainer(flat()),
    ):
        with pytest.warns() as caught:
            import warnings

            warnings.warn("one", stacklevel=1)
            call()
        assert not [w for w in caught if "as they are" in str(w.message)]
