"""Networks of KerasHub: each family in small, against a plain tape around Keras's own layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hub_families import CLASSIFIERS
from hub_families import OTHERS
from hub_families import SIDE
from hub_families import build

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods import get_method
from guidedcam_tf.networks.attention import read_attention

pytest.importorskip("keras_hub", reason="KerasHub is no requirement")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Layer 'attn'"),
    pytest.mark.usefixtures("compiled"),  # Grouped convolutions have no gradient eagerly.
]

TARGETS = {"EfficientNet": 3, "MobileNet": 3, "Xception": 3}
"""Classes of which the small network's map is not zero; 1 elsewhere."""

LAYERS = {
    "ResNet": ("res_net_backbone/stack1_block0_out", (8, 8)),
    "DenseNet": ("dense_net_backbone/relu", (8, 8)),
    "EfficientNet": ("efficient_net_backbone/top_activation", (16, 16)),
    "MobileNet": ("mobile_net_backbone/block_3_0", (8, 8)),
    "CSPNet": ("csp_net_backbone/stage_1_block_0_dark_block_add", (15, 15)),
    "VGG": ("head/fc2", (2, 2)),
    "Xception": ("xception_backbone/block2_sepconv2_act", (15, 15)),
    "HGNetV2": ("head_last", (8, 8)),
    "MiT": ("mi_t_backbone/output_level_1", (8, 8)),
    "ViT": ("vi_t_backbone/vit_encoder/transformer_block_2/ln_1", (4, 4)),
    "DeiT": ("dei_t_backbone/deit_encoder/transformer_block_2/ln_1", (4, 4)),
    "SwinTransformer": ("swin_transformer_backbone/norm", (8, 8)),
    "DINOv2": ("encoder/layers_1/norm1", (4, 4)),
}
OFTEN = ("ResNet", "ViT")
"""The families that each run of the tests tries; `-m slow` tries all."""


def families(names):
    slow = pytest.mark.slow
    return [pytest.param(name, marks=() if name in OFTEN else slow) for name in names]


@pytest.fixture(scope="module")
def opened():
    """A family's model and explainer, each made once."""
    made = {}

    def open_family(name):
        if name not in made:
            model = build(name)
            made[name] = model, gcam.Explainer(model, scores="logits", **PREPROCESS.get(name, {}))
        return made[name]

    return open_family


PREPROCESS = {"DINOv2": {"preprocess": "signed"}}

ASKED = {
    "RetinaNet": {"output": "cls_logits"},
    "DFine": {"output": "logits", "layer": "d_fine_backbone/hybrid_encoder"},
    "SAM": {
        "input": "images",
        "output": "masks",
        "fixed_inputs": {
            "points": np.array([[20, 20], [0, 0]], np.float32),
            "labels": np.array([1, -1], np.float32),
            "boxes": np.zeros((0, 2, 2), np.float32),
            "masks": np.zeros((0, SIDE, SIDE, 1), np.float32),
        },
    },
}


def pictures(count=2):
    return np.random.default_rng(3).uniform(0, 255, [count, SIDE, SIDE, 3]).astype(np.float32)


def plain(model, step, inputs, target):
    """Activations, gradients and scores of a layer, from a tape around the model's own call."""
    layer, kept = step.layer, []
    original = layer.call

    def call(*args, **kwargs):
        outputs = original(*args, **kwargs)
        first = keras.tree.flatten(outputs)[0]
        tape.watch(first)
        kept.append(first)
        return outputs

    with tf.GradientTape() as tape:
        layer.call = call
        try:
            given = {"images": inputs} if isinstance(model.input, dict) else inputs
            scores = model(given, training=False)
        finally:
            layer.call = original
        chosen = scores[:, target]
    return kept[0], tape.gradient(chosen, kept[0]), scores


def placed(tensor, extent):
    """Tokens on their grid, the last ones; maps as they are."""
    if tensor.shape.rank == 4:
        return tensor.numpy()
    return tensor.numpy()[:, -extent[0] * extent[1] :].reshape(len(tensor), *extent, -1)


@pytest.mark.parametrize("family", families(LAYERS))
def test_maps_equal_a_plain_tape(opened, family):
    model, explainer = opened(family)
    (layer, extent), target = LAYERS[family], TARGETS.get(family, 1)
    assert explainer.layer == layer
    before = [variable.numpy().copy() for variable in model.weights]
    inputs = explainer.network.preprocess(tf.constant(pictures()))
    tokens, gradients, scores = plain(model, explainer.network.layers[layer], inputs, target)
    activations, gradients = placed(tokens, extent), placed(gradients, extent)
    terms = np.abs(gradients * activations).sum(-1).max()
    guidance = np.maximum((gradients * activations).sum(-1), 0)
    cam = np.maximum((gradients.mean((1, 2), keepdims=True) * activations).sum(-1), 0)
    found = explainer.pipeline.explain(
        get_method("guided"), tf.constant(pictures()), tf.constant([[target], [target]])
    )
    assert found["saliency"].numpy().max() > 0
    np.testing.assert_allclose(found["guidance"][:, 0], guidance, rtol=1e-4, atol=1e-5 * terms)
    np.testing.assert_allclose(found["unguided"][:, 0], cam, rtol=1e-4, atol=1e-5 * terms)
    np.testing.assert_allclose(
        found["saliency"][:, 0], guidance * cam, rtol=1e-4, atol=1e-5 * terms**2
    )
    np.testing.assert_allclose(found["logits"], scores, rtol=1e-5, atol=1e-5)
    for variable, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable, old)


@pytest.mark.parametrize("family", families(CLASSIFIERS))
def test_predictions_are_the_models_own_with_its_preprocessor(opened, family):
    model, explainer = opened(family)
    expected = tf.nn.softmax(model.predict(pictures(), verbose=0))
    np.testing.assert_allclose(explainer.predict(pictures()), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", LAYERS)
def test_methods_by_themselves(opened, family):
    model, explainer = opened(family)
    (layer, extent), target = LAYERS[family], TARGETS.get(family, 1)
    one = pictures(1)
    inputs = explainer.network.preprocess(tf.constant(one))
    tokens, gradients, _ = plain(model, explainer.network.layers[layer], inputs, target)
    activations, gradients = placed(tokens, extent), placed(gradients, extent)
    terms = np.abs(gradients * activations).sum(-1).max()
    weights = gradients.mean((1, 2), keepdims=True)
    for method, total in {"hirescam": gradients, "gradcam": weights}.items():
        found = explainer.maps(one, target, method, raw=True)
        expected = np.maximum((total * activations).sum(-1), 0)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * terms)
    channels = np.moveaxis(activations[0], -1, 0)[..., None]
    masks = tf.image.resize(channels, [SIDE, SIDE])
    lowest = tf.reduce_min(masks, axis=[1, 2], keepdims=True)
    width = tf.reduce_max(masks, axis=[1, 2], keepdims=True) - lowest
    masks = tf.math.divide_no_nan(masks - lowest, width)
    given = inputs * masks
    scores = model({"images": given} if isinstance(model.input, dict) else given, training=False)
    scores = tf.where(width[:, 0, 0, 0] > 0, tf.nn.softmax(scores)[:, target], 0.0)
    expected = np.maximum((scores.numpy()[:, None, None] * channels[..., 0]).sum(0), 0)
    found = explainer.maps(one, target, "scorecam", raw=True)[0]
    np.testing.assert_allclose(
        found, expected, rtol=1e-4, atol=1e-5 * np.abs(channels).sum(0).max()
    )


@pytest.mark.parametrize("family", families(["ViT", "DeiT", "DINOv2"]))
def test_the_attention_of_all_blocks_is_read(opened, family, monkeypatch):
    model, explainer = opened(family)
    seen, original = [], keras.layers.MultiHeadAttention.call

    def call(layer, query, value, *args, **options):
        seen.append(original(layer, query, value, return_attention_scores=True)[1].numpy())
        return original(layer, query, value, *args, **options)

    inputs = explainer.network.preprocess(tf.constant(pictures()))
    with monkeypatch.context() as patched:
        patched.setattr(keras.layers.MultiHeadAttention, "call", call)
        model({"images": inputs} if isinstance(model.input, dict) else inputs, training=False)
    assert len(seen) == 2
    unit = np.eye(seen[0].shape[-1])
    first, last = ((each.mean(1) + unit) / 2 for each in seen)
    row = (last @ first)[:, 0, -16:].reshape(2, 4, 4)
    found = explainer.maps(pictures(), 1, "attention_rollout", raw=True)
    np.testing.assert_allclose(found, row, rtol=1e-4)
    ends = read_attention(explainer.network, "legrad").ends
    names = [explainer.network.graph.source(end).name for end in ends]
    assert len({name.rstrip("0123456789") for name in names}) == 1 and len(set(names)) == 2
    assert explainer.maps(pictures(), 1, "legrad", raw=True).max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("family", [*CLASSIFIERS, *OTHERS])
def test_a_saved_file_is_listed_and_explained(family, tmp_path, capsys):
    from guidedcam_tf.cli import app

    file, picture = tmp_path / "model.keras", tmp_path / "picture.png"
    build(family).save(file)
    keras.utils.save_img(picture, pictures(1)[0])
    asked = dict(ASKED.get(family, {}))
    if fixed := asked.pop("fixed_inputs", None):
        np.savez(tmp_path / "fixed.npz", **fixed)
        asked["fixed-inputs"] = str(tmp_path / "fixed.npz")
    asked.pop("layer", None)
    options = [text for key, value in asked.items() for text in (f"--{key}", value)]
    app(["layers", str(file), *options], standalone_mode=False)
    assert "default: " in capsys.readouterr().out
    if family in CLASSIFIERS:
        asked = ["--target", "1", "--method", "gradcam", "--out", str(tmp_path)]
        app(["explain", str(picture), "--model", str(file), *asked], standalone_mode=False)
        assert list(tmp_path.glob("*.npz"))


@pytest.mark.parametrize("family", families(family for family in OTHERS if family != "DINOv2"))
def test_segmenters_and_detectors_are_explained_by_a_function(family):
    model, asked = build(family), ASKED.get(family, {})
    explainer = gcam.Explainer(model, preprocess="signed", **asked)

    def score(outputs):
        if family == "SAM":
            return tf.reduce_sum(outputs[:, 1], axis=[1, 2])
        return tf.reduce_sum(outputs[..., 1], axis=list(range(1, len(outputs.shape) - 1)))

    found = explainer.maps(pictures(1), score, "hirescam", raw=True)
    step = explainer.network.layers[explainer.layer]
    inputs = explainer.network.preprocess(tf.constant(pictures(1)))
    if "fixed_inputs" in asked:
        fixed = {name: tf.constant(value[None]) for name, value in asked["fixed_inputs"].items()}
        inputs = {asked["input"]: inputs, **fixed}
    kept, original = [], step.layer.call

    def call(*args, **kwargs):
        outputs = original(*args, **kwargs)
        kept.append(keras.tree.flatten(outputs)[0])
        tape.watch(kept[-1])
        return outputs

    with tf.GradientTape() as tape:
        step.layer.call = call
        try:
            outputs = model(inputs, training=False)
        finally:
            step.layer.call = original
        total = score(outputs[asked["output"]] if asked else outputs)
    gradients = tape.gradient(total, kept[-1])
    expected = np.maximum((gradients * kept[-1]).numpy().sum(-1), 0)
    assert found.max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * expected.max())


def test_a_folder_of_a_preset_is_a_model(opened, tmp_path):
    model, explainer = opened("ResNet")
    model.save_to_preset(str(tmp_path / "resnet"))
    again = gcam.Explainer(f"hub:{tmp_path / 'resnet'}", scores="logits")
    np.testing.assert_allclose(
        again.predict(pictures()), explainer.predict(pictures()), rtol=1e-5, atol=1e-6
    )
    assert again.layer == explainer.layer
    assert again.said["model"] == f"hub:{tmp_path / 'resnet'}"


def test_a_preset_that_cannot_be_had_is_refused(tmp_path):
    with pytest.raises(InputError) as refused:
        gcam.Explainer(f"hub:{tmp_path / 'none'}")
    assert "KerasHub cannot load the image classifier" in str(refused.value)
    assert "hub:FOLDER" in str(refused.value)
