"""Maps lie over pictures as they came, whatever crops or mirrors these on the way to the layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods import METHODS

layers, ops = keras.layers, keras.ops

HEIGHT, WIDTH, SIZE = 32, 28, 16
WINDOW = (slice(4, 20), slice(8, 24))

COVERS_PICTURES = ("occlusion", "rise", "prediction_difference")
WITH_RULES = ("lrp", "deeplift")
NOISY = ("smoothgrad", "smoothgradcam++", "smooth_fullgrad")
OF_NETWORKS = [
    name
    for name, method in METHODS.items()
    if not method.reads_attention and name not in ("cameras", "cam")
]
EXACT = [name for name in OF_NETWORKS if name not in (*COVERS_PICTURES, *NOISY, "fullgrad")]
FEWER = {
    "integrated_gradcam": {"steps": 5},
    "integrated_gradients": {"steps": 5},
    "occlusion": {"size": 5},
    "prediction_difference": {"size": 5, "samples": 2},
    "rise": {"samples": 20},
    "smooth_fullgrad": {"samples": 2},
    "smoothgrad": {"samples": 2},
    "smoothgradcam++": {"samples": 2},
}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def toy():
    return build_toy("flatten", size=SIZE, activation=None)


@pytest.fixture
def pictures(rng):
    return rng.uniform(0, 2, (2, HEIGHT, WIDTH, 3)).astype(np.float32)


def behind(toy, move, shape=(HEIGHT, WIDTH)):
    """The toy behind what moves pixels, explained at the toy's last feature map."""
    inputs = keras.Input((*shape, 3))
    model = keras.Model(inputs, toy(move(inputs)))
    return gcam.Explainer(model, preprocess="none", layer=f"{toy.name}/conv2")


def maps_of(explainer, pictures, name, *, raw=True):
    maps = explainer.maps(pictures, [[0, 1, 2]] * 2, name, raw=raw, **FEWER.get(name, {}))
    return maps.reshape(-1, *maps.shape[2:])


cropping = layers.Cropping2D(((4, 12), (8, 4)))


def crop(x):
    return x[:, 4:20, 8:24]


def mirror(x):
    return ops.flip(x, 2)


def is_of_picture(name):
    method = METHODS[name]()
    return method.of_picture or not method.needs_layer


@pytest.mark.parametrize("name", EXACT)
def test_behind_a_crop_a_map_is_that_of_the_crop_alone(toy, pictures, name):
    whole, alone = behind(toy, cropping), gcam.Explainer(toy, preprocess="none", layer="conv2")
    found, expected = maps_of(whole, pictures, name), maps_of(alone, crop(pictures), name)
    assert expected.any()
    if is_of_picture(name):
        assert found.shape == (6, HEIGHT, WIDTH)
        outside = np.ones((HEIGHT, WIDTH), bool)
        outside[WINDOW] = False
        assert not found[:, outside].any()
        found = crop(found)
    else:
        shown = maps_of(whole, pictures, name, raw=False)
        np.testing.assert_allclose(
            crop(shown), maps_of(alone, crop(pictures), name, raw=False), atol=1e-4
        )
    if name not in ("sise", "ada_sise"):  # Their thresholds count the pixels of the whole picture.
        # The rule of the crop takes its own epsilon of lrp's relevance.
        close = 1e-2 if name == "lrp" else 1e-4
        np.testing.assert_allclose(found, expected, atol=close * np.abs(expected).max())


@pytest.mark.parametrize("name", [*EXACT, "fullgrad"])
def test_behind_a_mirror_a_map_is_that_of_the_mirrored_picture_turned_back(toy, pictures, name):
    pictures = pictures[:, :SIZE, :SIZE]
    whole = behind(toy, mirror, (SIZE, SIZE))
    alone = gcam.Explainer(toy, preprocess="none", layer="conv2")
    if name in WITH_RULES:
        with pytest.raises(InputError, match="has no rule for layer 'flip"):
            maps_of(whole, pictures, name)
        return
    mirrored = pictures[:, :, ::-1]
    expected = maps_of(alone, mirrored, name, raw=False)[:, :, ::-1]
    found = maps_of(whole, pictures, name, raw=False)
    assert expected.any()
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["sise", "ada_sise"])
@pytest.mark.parametrize("place", ["inside", "outside"])
def test_what_prepares_pictures_is_no_layer_of_sise(pictures, name, place):
    """Also where no layer of the network has the pictures' extent."""
    inputs = x = keras.Input((HEIGHT, WIDTH, 3))
    for _ in range(2):
        x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    network = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    alone = gcam.Explainer(network, preprocess="none", scores="logits")
    if place == "outside":
        whole = gcam.Explainer(network, preprocess=mirror, scores="logits")
    else:
        inputs = keras.Input((HEIGHT, WIDTH, 3))
        model = keras.Model(inputs, network(mirror(inputs)))
        whole = gcam.Explainer(model, preprocess="none", scores="logits")
    expected = maps_of(alone, pictures[:, :, ::-1], name)[:, :, ::-1]
    assert expected.any()
    np.testing.assert_allclose(maps_of(whole, pictures, name), expected, atol=1e-4)
    assert "preprocess" not in whole.network.layers


def test_fullgrad_is_zero_where_the_network_does_not_look(toy, pictures):
    found = maps_of(behind(toy, cropping), pictures, "fullgrad")
    assert crop(found).any()
    found[(slice(None), *WINDOW)] = 0
    assert not found.any()


def enlarged_crop(x):
    return tf.image.resize(x[:, 3:11, 5:13], (SIZE, SIZE))


@pytest.mark.parametrize("move", [enlarged_crop, mirror])
@pytest.mark.parametrize("name", OF_NETWORKS)
def test_moving_outside_of_the_model_is_as_inside(toy, pictures, name, move):
    pictures = pictures[:, :SIZE, :SIZE]
    inside = behind(toy, layers.Lambda(move), (SIZE, SIZE))
    outside = gcam.Explainer(toy, preprocess=move, layer="conv2")
    np.testing.assert_allclose(outside.predict(pictures), inside.predict(pictures), atol=1e-5)
    if name in WITH_RULES:
        for explainer in (inside, outside):
            with pytest.raises(InputError, match="has no rule"):
                maps_of(explainer, pictures, name)
        return
    found, expected = (maps_of(each, pictures, name, raw=False) for each in (outside, inside))
    assert expected.any()
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("prepared", ["inside", "outside"])
def test_a_layer_of_the_pictures_extent_over_another_part_is_refused(toy, pictures, prepared):
    """Its map could not be told from one of the whole picture."""
    pictures = pictures[:, :SIZE, :SIZE]
    if prepared == "inside":
        explainer = behind(toy, mirror, (SIZE, SIZE)).at(f"{toy.name}/conv1")
    else:
        explainer = gcam.Explainer(toy, preprocess=mirror, layer="conv1")
    for name in ("gradcam", "scorecam", "eigencam"):
        with pytest.raises(InputError, match="has the picture's own height and width and covers"):
            maps_of(explainer, pictures, name)
    assert maps_of(explainer, pictures, "gradient").any()
    assert maps_of(explainer, pictures, "guided_gradcam").any()


@pytest.mark.parametrize("name", ["cameras", "gradcam"])
def test_what_looks_at_other_pictures_is_refused_behind_a_crop(toy, pictures, name):
    explainer = behind(toy, cropping)
    options = {"sizes": (32, 40)} if name == "cameras" else {"augmented": True}
    words = "looks at pictures of several sizes" if name == "cameras" else "of a mirrored one"
    with pytest.raises(InputError, match=words):
        explainer.maps(pictures, [1, 2], name, **options)


def test_a_crop_of_pictures_of_any_size_has_no_masks_of_theirs():
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, name="conv", activation="relu")(layers.Cropping2D(6)(inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    explainer = gcam.Explainer(model, preprocess="none", layer="conv", scores="logits")
    pictures = np.random.default_rng(0).uniform(size=(1, 40, 50, 3)).astype(np.float32)
    assert explainer.maps(pictures, method="gradcam").shape == (1, 40, 50)
    for name in ("scorecam", "guided_gradcam"):
        with pytest.raises(InputError, match="covers of a picture depends on the picture's size"):
            explainer.maps(pictures, method=name)
