"""A model that is changed after its explainer was made."""

import keras
import numpy as np
import pytest

import guidedcam_tf as gcam

layers, ops = keras.layers, keras.ops
SIDE = 12


@keras.saving.register_keras_serializable("test_changed_models")
class Scaled(layers.Layer):
    """Counts its calls, and keeps what it saw last, as many a tutorial's attention does."""

    def __init__(self, **options):
        super().__init__(**options)
        self.calls, self.last = 0, None

    def call(self, x):
        self.calls, self.last = self.calls + 1, x
        return x * 1.5


def build(seed=0):
    keras.utils.set_random_seed(seed)
    normal = layers.Normalization(mean=[90.0] * 3, variance=[900.0] * 3, name="normal")
    inside = keras.Sequential([keras.Input((SIDE, SIDE, 4)), layers.Conv2D(4, 3, name="deep")])
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            normal,
            layers.Conv2D(4, 3, padding="same", name="conv"),
            layers.BatchNormalization(name="norm"),
            Scaled(name="scaled"),
            layers.LeakyReLU(0.3, name="leaky"),
            inside,
            layers.Dropout(0.5, name="dropout"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", kernel_initializer="random_normal", name="end"),
        ]
    )


def pictures(count=2):
    return np.random.default_rng(2).uniform(0, 255, [count, SIDE, SIDE, 3]).astype(np.float32)


def new_end(model):
    model.pop()
    model.add(layers.Dense(3, activation="softmax", kernel_initializer="random_normal"))


def with_lora(model):
    model.get_layer("end").enable_lora(2)
    part = model.get_layer("end").lora_kernel_b
    part.assign(np.random.default_rng(0).normal(size=part.shape))


def adapted(model):
    model.get_layer("normal").mean = ops.convert_to_tensor(np.full((1, 1, 1, 3), 40.0, "float32"))


def in_the_nested_model(model):
    model.layers[5].pop()
    model.layers[5].add(layers.Conv2D(4, 3, dilation_rate=1, name="deeper"))


def setting(layer, name, value):
    return lambda model: setattr(model.get_layer(layer), name, value)


CHANGES = {
    "activation of layer 'conv'": setting("conv", "activation", keras.activations.tanh),
    "activation of layer 'end'": setting("end", "activation", keras.activations.sigmoid),
    "negative_slope of layer 'leaky'": setting("leaky", "negative_slope", -1.0),
    "call of layer 'leaky'": setting("leaky", "call", lambda x: -2.0 * x),
    "epsilon of layer 'norm'": setting("norm", "epsilon", 50.0),
    "dilation_rate of layer 'conv'": setting("conv", "dilation_rate", (2, 2)),
    "layer 'dense": new_end,
    "a variable of layer 'end'": with_lora,
    "mean of layer 'normal'": adapted,
    "layer 'deeper'": in_the_nested_model,
    "of layer 'end'": lambda model: model.get_layer("end").quantize("int8"),
}


@pytest.mark.parametrize("told", CHANGES)
def test_what_is_exchanged_is_refused_by_an_explainer_and_seen_by_guided_cam(told):
    model, images = build(), pictures()
    explainer = gcam.Explainer(model, layer="leaky", preprocess="none")
    before = explainer.predict(images)
    gcam.guided_cam(model, images, 1, layer="leaky")
    CHANGES[told](model)
    for ask in (
        lambda: explainer.maps(images, 1),
        lambda: explainer.maps(images, 1, "gradcam"),
        lambda: explainer.predict(images),
        lambda: explainer.at("conv").maps(images, 1),
    ):
        with pytest.raises(gcam.InputError, match=f"has changed since .*{told}.*a new Explainer"):
            ask()
    fresh = gcam.Explainer(model, layer="leaky", preprocess="none")
    np.testing.assert_allclose(
        fresh.predict(images), model.predict(images, verbose=0), rtol=1e-4, atol=1e-5
    )
    assert np.abs(fresh.predict(images) - before).max() > 1e-4
    found = gcam.guided_cam(model, images, 1, layer="leaky")
    np.testing.assert_array_equal(found, fresh.maps(images, 1))


def trained(model):
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(pictures(), np.array([0, 2]), verbose=0)


def loaded(model, file):
    build(seed=1).save_weights(file)
    model.load_weights(file)


@pytest.mark.parametrize("use", ["training", "loading", "freezing", "calling"])
def test_new_weights_are_followed(use, tmp_path):
    model, images = build(), pictures()
    explainer = gcam.Explainer(model, preprocess="none")
    explainer.maps(images, 1)
    kept = gcam.guided_cam(model, images, 1)
    {
        "training": lambda: trained(model),
        "loading": lambda: loaded(model, tmp_path / "other.weights.h5"),
        "freezing": lambda: setattr(model, "trainable", False),
        "calling": lambda: (model(images), model.predict(images, verbose=0)),
    }[use]()
    np.testing.assert_allclose(
        explainer.predict(images), model.predict(images, verbose=0), rtol=1e-4, atol=1e-5
    )
    assert np.array_equal(kept, gcam.guided_cam(model, images, 1)) == (use in "freezing calling")
    expected = gcam.Explainer(model, preprocess="none").maps(images, 1)
    np.testing.assert_array_equal(explainer.maps(images, 1), expected)


def test_what_only_training_reads_is_no_change():
    model, images = build(), pictures()
    explainer = gcam.Explainer(model, preprocess="none")
    before = explainer.maps(images, 1)
    model.get_layer("dropout").rate = 0.1
    model.get_layer("norm").momentum = 0.5
    np.testing.assert_array_equal(explainer.maps(images, 1), before)


def test_what_is_put_back_is_no_change():
    model, images = build(), pictures()
    explainer = gcam.Explainer(model, preprocess="none")
    before = explainer.maps(images, 1)
    model.get_layer("norm").epsilon *= 3
    with pytest.raises(gcam.InputError, match="epsilon of layer 'norm'"):
        explainer.maps(images, 1)
    model.get_layer("norm").epsilon /= 3
    np.testing.assert_array_equal(explainer.maps(images, 1), before)


def test_an_export_is_refused_too(tmp_path):
    model = build()
    explainer = gcam.Explainer(model, preprocess="none")
    model.get_layer("leaky").negative_slope = 0.0
    with pytest.raises(gcam.InputError, match="negative_slope of layer 'leaky'"):
        gcam.export(explainer, tmp_path / "1")


def test_a_callback_opens_a_model_anew_that_a_schedule_changes(tmp_path):
    model, images = build(), pictures()

    class Schedule(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            model.get_layer("leaky").negative_slope = -0.5 * epoch

    saliency = gcam.SaliencyCallback(images, [0, 1], folder=tmp_path)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(images, np.array([0, 2]), epochs=2, verbose=0, callbacks=[Schedule(), saliency])
    assert len(list(tmp_path.glob("*.png"))) == 2
    found = saliency._overlays()
    expected = gcam.SaliencyCallback(images, [0, 1], folder=tmp_path)
    expected.set_model(model)
    np.testing.assert_array_equal(found, expected._overlays())


@pytest.mark.parametrize("nested", [False, True])
def test_preprocessing_that_was_adapted_again_is_refused(nested):
    images = pictures(8)
    inner = layers.Normalization(name="statistics")
    inner.adapt(images)
    prepare = keras.Sequential([keras.Input((SIDE, SIDE, 3)), inner]) if nested else inner
    explainer = gcam.Explainer(build(), layer="leaky", preprocess=prepare)
    explainer.predict(images)
    inner.adapt(images * 0.3 + 40)
    with pytest.raises(gcam.InputError, match=r"has changed since .*mean of layer 'statistics'"):
        explainer.predict(images)
    fresh = gcam.Explainer(build(), layer="leaky", preprocess=prepare)
    expected = build().predict(np.asarray(prepare(images)), verbose=0)
    np.testing.assert_allclose(fresh.predict(images), expected, rtol=1e-4, atol=1e-5)
