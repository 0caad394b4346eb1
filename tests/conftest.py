"""What tests share as fixtures: small networks, the real ResNet50, and real photographs.

Pictures with labels are looked for in `GUIDEDCAM_TEST_DATA`, by default a folder `shared/data`
beside the repository. Tests that need them or the ResNet50 weights skip where they are missing.
"""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import DATA
from common import build_toy
from common import eager
from common import has_resnet50

import guidedcam_tf as gcam


def pytest_collection_finish():
    """Spare the garbage collector what was imported, which stays: a quarter of the tests' time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_unconfigure():
    """Spare it all that is left."""
    gc.freeze()


@pytest.fixture(scope="session")
def data_folder():
    """The folder of labelled pictures."""
    if not DATA.is_dir():
        pytest.skip(f"no labelled pictures in {DATA} (GUIDEDCAM_TEST_DATA names another folder)")
    return DATA


@pytest.fixture(scope="session")
def resnet50():
    """An explainer of ResNet50 with its real ImageNet weights, at the default layer."""
    if not has_resnet50():
        pytest.skip("no ResNet50 weights here; `guidedcam weights fetch resnet50` brings them")
    return gcam.Explainer("resnet50")


@pytest.fixture(scope="session")
def resnet50_at(resnet50):
    """The same network explained at another layer: call it with the layer's name."""
    return lambda layer, **options: gcam.Explainer(
        resnet50.network.model, layer=layer, preprocess="caffe", **options
    )


@pytest.fixture(scope="session")
def vgg16_model():
    """VGG16 with seeded random weights."""
    keras.utils.set_random_seed(16)
    return keras.applications.VGG16(weights=None)


@pytest.fixture(scope="session")
def photographs():
    """A cat and a cup of coffee, uint8 `[2, 224, 224, 3]`."""
    import skimage.data
    from PIL import Image

    pictures = (skimage.data.chelsea(), skimage.data.coffee())
    return np.stack([np.asarray(Image.fromarray(p).resize((224, 224))) for p in pictures])


@pytest.fixture
def rng():
    """A seeded source of random numbers."""
    return np.random.default_rng(7)


@pytest.fixture(params=["gap", "flatten"])
def toy(request):
    """A small network, once with global average pooling and once with a flattened head."""
    return build_toy(request.param)


@pytest.fixture
def toy_images(rng):
    """Pictures for the toy networks, float32 `[3, 8, 8, 3]`, about zero."""
    return rng.normal(size=(3, 8, 8, 3)).astype(np.float32)


COMPILED = {"app", "cli", "docs", "runtimes", "serving"}
"""The folders whose tests run functions as users run them, compiled."""


@pytest.fixture(autouse=True)
def not_compiled(request):
    """Functions run as they are written, unless a test asks for `compiled` or is in `COMPILED`.

    `tests/runtimes` holds what every method is compiled to against this.
    """
    if "compiled" in request.fixturenames or request.path.parent.name in COMPILED:
        yield
    else:
        with eager():
            yield


@pytest.fixture
def compiled():
    """Functions run as users run them, compiled."""


@pytest.fixture
def answers_here(monkeypatch):
    """Have exports answer their check in this process, not in one of its own."""
    from guidedcam_tf.serving import check

    def answers(version, requests):
        signatures = tf.saved_model.load(str(version)).signatures
        return [
            {
                name: tensor.numpy()
                for name, tensor in signatures[signature](
                    **{name: tf.constant(value) for name, value in inputs.items()}
                ).items()
            }
            for signature, inputs in requests
        ]

    monkeypatch.setattr(check, "answers_of", answers)


@pytest.fixture(scope="session")
def toy_file(tmp_path_factory):
    """A toy network as a file."""
    file = tmp_path_factory.mktemp("model") / "toy.keras"
    build_toy("flatten").save(file)
    return file
