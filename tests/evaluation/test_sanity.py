"""The sanity check: which methods read which weights, on networks where that is known."""

import random

import keras
import numpy as np
import pytest
from common import build_toy
from typer.testing import CliRunner

from guidedcam_tf.cli import app
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation import sanity
from guidedcam_tf.evaluation.sanity import sanity_check
from guidedcam_tf.evaluation.sanity import ssim
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.methods import get_method


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(1).uniform(-3, 3, (3, 8, 8, 3)).astype(np.float32)


def explainers(**options):
    return (Explainer(build_toy("flatten"), scores="probabilities", **options) for _ in range(2))


def check(pictures, names, mode="cascading", **options):
    first, second = explainers(**options)
    before = [weights.copy() for weights in second.network.model.get_weights()]
    methods = {name: get_method(name) for name in names}
    table = sanity_check(first, second, pictures, methods, mode=mode, stages=4)
    for mine, theirs in zip(second.network.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    return table.set_index(["method", "layer"])


def test_layers_are_randomised_from_the_top(pictures):
    table = check(pictures, ["gradcam"])
    assert [layer for _, layer in table.index] == ["scores", "fc", "conv2", "conv1"]
    assert table["stage"].tolist() == [1, 2, 3, 4]
    assert (table["spearman"][1:] < 0.9).all()


def test_a_layer_alone_changes_what_depends_on_it_only(pictures):
    # EigenCAM reads activations at conv2 alone, so what is above it does not matter.
    table = check(pictures, ["eigencam", "gradcam"], mode="independent")
    for layer in ("scores", "fc"):
        assert table.loc[("eigencam", layer), "spearman"] == pytest.approx(1)
        assert table.loc[("eigencam", layer), "ssim"] == pytest.approx(1)
    assert table.loc[("eigencam", "conv1"), "spearman"] < 0.999


def test_maps_are_those_of_a_network_opened_with_the_random_weights(pictures):
    first, second = explainers()
    seen = {}

    def remember(weights):
        seen.setdefault("calls", []).append(weights)

    model = second.network.model
    top = model.get_layer("scores")
    set_weights = top.set_weights
    top.set_weights = lambda weights: (remember(weights), set_weights(weights))
    table = sanity_check(first, second, pictures, {"gradcam": get_method("gradcam")}, stages=4)
    top.set_weights = set_weights
    fresh = build_toy("flatten")
    fresh.get_layer("scores").set_weights(seen["calls"][0])
    best = first.predict(pictures).argmax(axis=1)
    clean = first.maps(pictures, best, "gradcam")
    changed = Explainer(fresh, scores="probabilities").maps(pictures, best, "gradcam")
    expected = [ssim(a, b) for a, b in zip(clean, changed, strict=True) if np.ptp(a) * np.ptp(b)]
    assert table["ssim"][0] == pytest.approx(np.mean(expected), abs=1e-5)


def test_the_seed_decides_and_the_caller_s_stays(pictures):
    first, second = explainers()
    methods = {"gradcam": get_method("gradcam")}
    random.seed(5)
    one = sanity_check(first, second, pictures, methods)
    assert random.random() == random.Random(5).random()
    assert one.equals(sanity_check(first, second, pictures, methods))
    assert not one.equals(sanity_check(first, second, pictures, methods, seed=1))


def test_guided_backprop_hardly_sees_the_classifier_and_gradcam_does(resnet50, photographs):
    methods = {name: get_method(name) for name in ("gradcam", "guided_backprop")}
    other = Explainer("resnet50")
    table = sanity_check(resnet50, other, photographs[:1], methods, mode="independent", stages=1)
    assert table["layer"].tolist() == ["predictions", "predictions"]
    found = table.set_index("method")["spearman"]
    assert found["guided_backprop"] > 0.8
    assert found["gradcam"] < 0.5


@pytest.mark.parametrize("own", [True, False])
def test_random_weights_are_not_those_that_training_began_with(own):
    """Neither where initialisers have seeds, nor where the model was built with the check's."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = x = keras.Input((8, 8, 3))
    for seed in (1, 2):
        glorot = keras.initializers.GlorotUniform(seed=seed if own else None)
        x = layers.Conv2D(4, 3, activation="relu", kernel_initializer=glorot)(x)
    glorot = keras.initializers.GlorotUniform(seed=3 if own else None)
    outputs = layers.Dense(3, "softmax", kernel_initializer=glorot)(layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    start = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    for stage in list(sanity._randomised(model, "cascading", 3, seed=0)):
        stage.apply()
    for name, (kernel, _) in start.items():
        (drawn, _) = model.get_layer(name).get_weights()
        assert abs(np.corrcoef(kernel.ravel(), drawn.ravel())[0, 1]) < 0.4
        np.testing.assert_allclose(drawn.std(), kernel.std(), rtol=0.2)


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_layers_that_learn_nothing_have_no_row_and_frozen_ones_do(mode, pictures):
    """Other weights of a Normalization change nothing, so its row said that nothing was learned."""
    layers = keras.layers
    normal = layers.Normalization(name="normal")
    normal.adapt(pictures)
    inside = keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(4, 3)], name="inside")
    steps = [normal, layers.Conv2D(4, 3, padding="same", name="conv"), inside, layers.Flatten()]
    model = keras.Sequential([keras.Input((8, 8, 3)), *steps, layers.Dense(3, name="end")])
    inside.trainable = False
    stages = list(sanity._randomised(model, mode, 9, seed=0))
    assert [stage.name for stage in stages] == ["end", "inside", "conv"]


def test_ssim_is_scikit_image_s(rng):
    metrics = pytest.importorskip("skimage.metrics")
    first, second = rng.random((2, 20, 30))
    theirs = metrics.structural_similarity(first, second, data_range=1.0)
    assert ssim(first, second) == pytest.approx(theirs, abs=1e-9)
    assert ssim(first, first) == pytest.approx(1)


def test_one_model_for_both_is_refused(pictures):
    explainer = Explainer(build_toy("flatten"), scores="probabilities")
    with pytest.raises(InputError, match="other must be opened a second time"):
        sanity_check(explainer, explainer, pictures, {})


def test_a_model_that_cannot_be_cloned_is_named(pictures, monkeypatch):
    def fail(model):
        raise TypeError("no config")

    monkeypatch.setattr(keras.models, "clone_model", fail)
    with pytest.raises(InputError, match=r"'toy_flatten' cannot be cloned .*: no config"):
        check(pictures, ["gradcam"])


def test_the_command_prints_a_line_a_method_and_layer(tmp_path, toy_file):
    from PIL import Image

    picture = np.random.default_rng(2).integers(0, 256, (9, 8, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    arguments = ["sanity", str(tmp_path / "a.png"), "--model", str(toy_file), "--stages", "2"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "sanity.csv")])
    assert done.exit_code == 0
    assert "gradcam" in done.output and "conv1" in done.output
    assert len((tmp_path / "sanity.csv").read_text().splitlines()) == 5
