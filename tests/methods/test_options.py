"""Options of methods: checked, compared, and read from text."""

import numpy as np
import pytest
import tensorflow as tf
from methods.one_pass import FORMULAS
from methods.one_pass import toy_explainer

import guidedcam_tf as gcam
from guidedcam_tf.methods import METHODS
from guidedcam_tf.methods import get_method
from guidedcam_tf.methods import options_from_text
from guidedcam_tf.methods.scorecam import ScoreCAM


@pytest.mark.parametrize("name", METHODS)
def test_the_same_options_make_the_same_method(name):
    assert get_method(name) == get_method(name)
    assert hash(get_method(name)) == hash(get_method(name))
    assert len({get_method(other) for other in METHODS}) == len(METHODS)


def test_other_options_make_another_method():
    assert get_method("cameras", sizes=[8, 12]) == get_method("cameras", sizes=(8, 12))
    assert hash(get_method("cameras", sizes=np.array([8, 12]).tolist()))
    assert get_method("cameras", sizes=[8]) != get_method("cameras", sizes=[12])
    changed = get_method(get_method("scorecam", baseline="blur"), score="logit")
    assert changed == ScoreCAM(baseline="blur", score="logit")


def test_equal_methods_share_a_kernel():
    pipeline = toy_explainer("gap").pipeline
    kernel = pipeline.kernel(get_method("scorecam", block_size=7))
    assert pipeline.kernel(ScoreCAM(block_size=7)) is kernel
    assert pipeline.kernel(ScoreCAM(block_size=8)) is not kernel


def test_a_class_checks_as_the_registry_does():
    with pytest.raises(gcam.InputError, match="scorecam: score must be one of 'prob', 'logit'"):
        ScoreCAM(score="odds")
    with pytest.raises(gcam.InputError, match="'scorecam' has no option 'steps'; it has score, b"):
        ScoreCAM(steps=3)
    with pytest.raises(
        gcam.InputError, match="'gradcam' has no option 'steps'; it has augmented, s"
    ):
        get_method("gradcam", steps=3)


def test_options_from_text():
    texts = ["steps=20", "rule = midpoint", "subtract_baseline=yes", "baseline=mean"]
    method = get_method("integrated_gradcam", **options_from_text(texts))
    assert (method.steps, method.rule, method.subtract_baseline) == (20, "midpoint", True)
    assert get_method("cameras", **options_from_text(["sizes=224,448"])).sizes == (224, 448)
    assert get_method("cameras", **options_from_text(["sizes=[224]"])).sizes == (224,)
    assert get_method("cameras", **options_from_text(["sizes=null"])).sizes is None
    assert get_method("xgradcam", **options_from_text(["eps=1e-3"])).eps == 1e-3


@pytest.mark.parametrize("text", ["steps", "=20", "steps=", "steps=[1", "steps={"])
def test_text_of_another_form(text):
    with pytest.raises(gcam.InputError, match="must be name=value"):
        options_from_text([text])


def test_an_option_twice():
    with pytest.raises(gcam.InputError, match="option 'steps' is given twice"):
        options_from_text(["steps=2", "steps=3"])


@pytest.mark.parametrize("name", FORMULAS)
def test_one_picture_and_target_need_no_loop(compiled, name, toy_images):
    pipeline = toy_explainer("flatten").pipeline
    kernel = pipeline.kernel(get_method(name))
    signature = [tf.TensorSpec([1, 8, 8, 3], tf.float32), tf.TensorSpec([1, 1], tf.int32)]
    one = tf.function(kernel.python_function, input_signature=signature, autograph=False)
    graph = one.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(n for inner in graph.library.function for n in inner.node_def)]
    assert not [n.op for n in nodes if "While" in n.op or "TensorList" in n.op]
    picture, target = tf.constant(toy_images[:1]), tf.constant([[-1]])
    for key, value in kernel(picture, target).items():
        np.testing.assert_allclose(one(picture, target)[key], value, rtol=1e-5, atol=1e-6)
