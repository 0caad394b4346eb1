"""What the page is made of, without a browser."""

import runpy
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from common import build_toy
from PIL import Image

from guidedcam_tf.errors import InputError
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.overlay import overlay
from guidedcam_tf.progress import progress
from guidedcam_tf.progress import watched_by

pytest.importorskip("gradio", reason="the extra app is not installed")

import gradio as gr

from guidedcam_tf.app import showing
from guidedcam_tf.app.desk import Desk
from guidedcam_tf.app.files import written
from guidedcam_tf.app.page import Page
from guidedcam_tf.app.script import script
from guidedcam_tf.app.sight import Choice
from guidedcam_tf.app.sight import Sight
from guidedcam_tf.app.sight import best_classes
from guidedcam_tf.app.sight import explained
from guidedcam_tf.app.sight import look_at
from guidedcam_tf.app.sight import reduced
from guidedcam_tf.app.sight import whole
from guidedcam_tf.app.working import StoppedError
from guidedcam_tf.app.working import Work
from guidedcam_tf.app.working import curves_of
from guidedcam_tf.app.working import explained_by
from guidedcam_tf.cli.app import second
from guidedcam_tf.metrics import deletion


@pytest.fixture(scope="module")
def explainer():
    return Explainer(build_toy("flatten"), preprocess="unit", class_names=["ant", "bee", "cat"])


@pytest.fixture
def picture(tmp_path, rng):
    file = tmp_path / "picture.png"
    Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(file)
    return file


def test_the_best_classes_are_those_of_predict(explainer, picture):
    scores = explainer.predict(np.asarray(Image.open(picture))[None])[0]
    found = best_classes(explainer, picture, 2)
    order = np.argsort(-scores)[:2]
    names = ("ant", "bee", "cat")
    assert found == tuple(Choice(int(i), f"{names[i]}: {scores[i]:.1%}") for i in order)


def biased(biases, activation=None):
    """A network whose scores are close to the biases of its last layer."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(len(biases), activation=activation),
        ]
    )
    kernel = np.random.default_rng(3).normal(0, 0.1, (4, len(biases)))
    model.layers[-1].set_weights([kernel, np.array(biases, np.float32)])
    return model


def test_a_saturated_sigmoids_best_classes_are_those_of_its_logits(picture):
    """Probabilities of 1 were ranked by their index: the page's best class was another one."""
    explainer = Explainer(biased([20, 30, 25, -1], "sigmoid"), preprocess="unit")
    sight = look_at(explainer, picture, "gradcam")
    assert [choice.index for choice in sight.best] == [1, 2, 0, 3]
    assert sight.target == explainer.explain(picture, "top1").targets[0] == 1


def test_what_is_looked_at_first_is_the_best_class(explainer, picture):
    sight = look_at(explainer, picture, "gradcam")
    assert sight.target == sight.best[0].index
    assert sight.explanation == explainer.explain(picture, "top1", "gradcam")


def test_a_large_picture_is_shown_smaller_and_whole_again_in_files(explainer, tmp_path, rng):
    file = tmp_path / "large.png"
    small = rng.integers(0, 256, (6, 16, 3), np.uint8)
    Image.fromarray(np.kron(small, np.ones((128, 128, 1), np.uint8))).save(file)
    full = explainer.explain(file, 1)
    sight = Sight(file, (), explained(explainer, file, 1, "guided"))
    assert sight.explanation.picture.shape == (384, 1024, 3)
    mean = full.maps[0].reshape(384, 2, 1024, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(sight.explanation.maps[0], mean, atol=1e-6)
    assert whole(explainer, sight) == full


def test_an_explanation_that_fits_is_not_touched(explainer, picture):
    explanation = explainer.explain(picture)
    assert reduced(explanation, 30) is explanation


REFUSED = {
    "broken": (b"\xff\xd8nothing", "file.png is not a picture of a kind that can be read"),
    "empty": (b"", "file.png is empty (0 bytes)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_file_is_called_by_its_name_alone(explainer, tmp_path, name):
    content, message = REFUSED[name]
    (tmp_path / "file.png").write_bytes(content)
    with pytest.raises(InputError) as caught:
        look_at(explainer, tmp_path / "file.png", "guided")
    assert str(caught.value) == message


def test_too_many_pixels_are_refused_before_they_are_decoded(explainer, tmp_path):
    file = tmp_path / "huge.png"
    Image.new("1", (10_000, 10_000)).save(file)
    # Without its last bytes it could not be decoded, which would be said instead.
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError) as caught:
        look_at(explainer, file, "guided")
    assert str(caught.value) == (
        "huge.png is 10000 x 10000 pixels, over this page's limit of 50,000,000 pixels; "
        "make it smaller"
    )


def test_the_mask_and_its_words(explainer, picture):
    saliency = np.zeros((1, 20, 30), np.float32)
    saliency[0, 5, 15], saliency[0, :3] = 1.0, 0.5
    explanation = replace(explainer.explain(picture, 1, "gradcam"), maps=saliency)
    mask = showing.mask_of(explanation, 0.5)
    assert mask.sum() == 91
    shown = showing.masked(explanation.picture, mask)
    assert (shown[mask] == explanation.picture[mask]).all()
    grey = explanation.picture[~mask] @ np.array([0.299, 0.587, 0.114])
    assert np.abs(shown[~mask] - 0.3 * grey[:, None]).max() <= 1
    assert showing.mask_of(explanation, 0).all()
    assert (showing.levels(explanation)[:3] == 128).all()
    words = showing.in_words(explanation, 0.5)
    assert f"picture: Grad-CAM, bee {explanation.number(0)}; layer conv2 of toy_flatten." in words
    assert "highest at 50% from the left and 25% from the top" in words
    assert "values from 0.5 takes 15.2% of the picture" in words
    empty = replace(explanation, maps=np.zeros_like(saliency))
    assert "an empty map" in showing.in_words(empty, 0.5)


def test_the_guidance_is_shown_as_in_figure_1(explainer, picture):
    explanation = explainer.explain(picture, 1)
    finish = explainer.pipeline.finish
    panels = showing.guidance_panels(explanation, finish, "viridis")
    assert len(panels) == 5
    assert (panels[0][0] == explanation.picture).all()
    unguided = finish(explanation.intermediates["unguided"], (20, 30)).numpy()[0]
    assert (panels[3][0] == overlay(explanation.picture, unguided, "viridis")).all()
    assert (panels[4][0] == explanation.overlay(0, "viridis")).all()
    gradcam = explainer.explain(picture, 1, "gradcam")
    assert showing.guidance_panels(gradcam, finish, "viridis") == []


def test_curves_are_those_of_the_metric(explainer, picture):
    sight = look_at(explainer, picture, "gradcam")
    curves = curves_of(explainer, sight)
    assert list(curves) == ["deletion", "insertion"]
    pixels = np.asarray(Image.open(picture))[None]
    inputs = explainer.pipeline.fitted(pixels).numpy()[0] / 255
    saliency = explainer.maps(pixels, sight.target, "gradcam", raw=True)
    saliency = explainer.pipeline.finish_fitted(saliency, (8, 8)).numpy()[0]
    expected = deletion(
        inputs.astype(np.float32),
        saliency,
        lambda block: explainer.pipeline.probabilities(block).numpy()[:, sight.target],
        step=3,
    )
    np.testing.assert_allclose(curves["deletion"].scores, expected.scores, atol=1e-6)
    table = showing.curve_table(curves, "probability")
    assert len(table) == 2 * len(expected.scores)
    assert table["share"].max() == 1
    words = showing.curve_words(curves, sight.explanation)
    assert words.startswith("Areas under the curves of picture, Grad-CAM, ")
    assert f"deletion {expected.auc:.3f}" in words and "makes the probability fall" in words


def test_a_regressions_curves_are_of_its_values(picture):
    """They were called probabilities, and drawn from 0 to 1."""
    model = biased([-20, 30, 5])
    explainer = Explainer(model, preprocess="unit", scores="regression")
    sight = look_at(explainer, picture, "gradcam")
    curves = curves_of(explainer, sight)
    table = showing.curve_table(curves, sight.explanation.quantity)
    assert table["value"].iloc[0] == pytest.approx(sight.explanation.probabilities[0], rel=1e-4)
    assert table["value"].min() > 20
    assert "makes the value fall" in showing.curve_words(curves, sight.explanation)
    plots = {}
    for opened in (explainer, Explainer(model, preprocess="unit", scores="logits")):
        blocks = Page(Desk(opened, {})).blocks.blocks.values()
        (plot,) = [each for each in blocks if isinstance(each, gr.LinePlot)]
        plots[plot.y] = plot.y_title, plot.y_lim
    assert plots == {
        "value": ("value of the class", [None, None]),
        "probability": ("probability of the class", [0, 1]),
    }


@pytest.fixture
def other(tmp_path, rng):
    file = tmp_path / "other.png"
    Image.fromarray(rng.integers(0, 256, (10, 25, 3), np.uint8)).save(file)
    return file


@pytest.fixture
def told(monkeypatch):
    """What the page says in words."""
    said = []
    monkeypatch.setattr(gr, "Warning", lambda words, **_: said.append(words))
    return said


LOOK = "inferno", 0.5, 0.5


def chosen_tile(place):
    return gr.SelectData(None, {"index": place, "value": None})


def test_a_list_of_methods_of_another_picture_class_or_layer_is_refused(
    explainer, picture, other, told
):
    """Its map was laid over the picture that came after, and traced and written with that."""
    desk = Desk(explainer, {})
    sight = look_at(explainer, picture, "guided")
    beside = explained_by(explainer, sight, ["gradcam", "layercam"])
    taken = desk.take(chosen_tile(1), sight, beside, "conv2", *LOOK)[0]
    assert taken.file == picture and taken.explanation is beside[1]
    layer, target = "conv1", (sight.target + 1) % 3
    another = [
        (look_at(explainer, other, "guided"), "conv2"),
        (Sight(picture, sight.best, explained(explainer, picture, target, "guided")), "conv2"),
        (sight, layer),
    ]
    for now, layer in another:
        assert desk.take(chosen_tile(1), now, beside, layer, *LOOK) == gr.skip()
    assert told[0] == (
        f"the methods side by side are of picture, {sight.explanation.names[0]}, at layer conv2; "
        f"what is looked at is other, {another[0][0].explanation.names[0]}, at layer conv2: press "
        "Compute to have them of that"
    )
    assert len(told) == 3


MADE = ["curves", "areas", "networks", "table", "files"]


def test_what_was_made_of_another_picture_class_layer_or_method_goes(explainer, picture, told):
    """The panels, curves, table and files of the picture before stayed on the page."""
    desk = Desk(explainer, {}, [picture], explainer, ("one", "other"))
    events = {each.name: each for each in Page(desk).blocks.fns.values()}

    def changed(name, *given):
        outputs = events[name].outputs
        values = getattr(desk, name)(*given, *LOOK)
        found = zip(outputs, values, strict=True)
        found = [(each.elem_id or type(each).__name__, value) for each, value in found]
        return [(name, value) for name, value in found[1:] if name in (*MADE, "State", "beside")]

    nothing = list(zip(MADE, [None, "", [], "", None], strict=True))
    cleared = [*nothing, ("State", None), ("beside", [])]
    kept = [*nothing, ("State", gr.skip()), ("beside", gr.skip())]
    sight = look_at(explainer, picture, "guided")
    target = (sight.target + 1) % 3
    assert changed("look", str(picture), "conv2", "guided") == cleared
    assert changed("look_at_photograph", chosen_tile(0), "conv2", "guided") == cleared
    assert changed("explain_named", sight, str(target), "conv2", "guided") == cleared
    assert changed("explain", sight, target, "conv2", "guided") == cleared
    assert changed("explain", sight, sight.target, "conv1", "guided") == cleared
    assert changed("explain", sight, sight.target, "conv2", "gradcam") == kept
    beside = explained_by(explainer, sight, ["gradcam", "layercam"])
    assert changed("take", chosen_tile(0), sight, beside, "conv2") == nothing
    assert told == []


def test_a_rank_is_no_class_that_can_be_written(explainer, picture, told):
    """The message had said that 'topK' was expected."""
    sight = look_at(explainer, picture, "guided")
    Desk(explainer, {}).explain_named(sight, "top2", "conv2", "guided", *LOOK)
    assert told == [
        "target &#x27;top2&#x27; is not a class of this network; expected an index from 0 to 2, "
        "a class name or a wnid; nearest names: none"
    ]
    with pytest.raises(InputError, match="a class name, a wnid, 'top1' or 'topK'; nearest"):
        explainer.explain(picture, "top")


def test_work_tells_of_each_method_and_stops_when_asked(explainer, picture):
    sight, work, told = look_at(explainer, picture, "guided"), Work(), []

    def tell(description, done, total):
        told.append((description, done, total))
        if len(told) == 4:
            work.stop()

    with work.told(tell):
        found = explained_by(explainer, sight, ["gradcam", "layercam"])
    assert [each.method for each in found] == ["gradcam", "layercam"]
    assert told == [("methods", 0, 2), ("methods", 1, 2)]
    with pytest.raises(StoppedError), work.told(tell):
        explained_by(explainer, sight, ["scorecam", "gradcam"])
    assert told[2:] == [("methods", 0, 2), ("scorecam", 0, 1)]
    with work.told(tell):
        assert len(explained_by(explainer, sight, ["gradcam"])) == 1


def test_a_watcher_is_told_of_one_block_only():
    told = []
    with watched_by(lambda *step: told.append(step)):
        assert list(progress("ab", "letters", initial=3)) == ["a", "b"]
        list(progress(iter("c"), "more"))
    list(progress("d", "unwatched"))
    assert told == [("letters", 3, 2), ("letters", 4, 2), ("more", 0, None)]


@pytest.mark.parametrize("names", [True, False], ids=["names", "plain"])
def test_the_program_makes_the_same_files(picture, tmp_path, monkeypatch, names):
    monkeypatch.chdir(tmp_path)
    build_toy("flatten").save("toy.keras")
    said = {"model": "toy.keras", "preprocess": "unit", "postprocessing": "paper"}
    if names:
        Path("names.txt").write_text("ant\nbee\ncat\n")
        said["class_names"] = Path("names.txt")
    from guidedcam_tf.opening import open_explainer

    explainer = open_explainer(said).at("conv1")
    sight = Sight(picture, (), explained(explainer, picture, 2, "gradcam++"))
    program = script(sight.explanation, said, "viridis", 0.5)
    image, arrays, code = written(whole(explainer, sight), program, "viridis", 0.5)
    assert sorted(file.name for file in image.parent.iterdir()) == sorted(
        [image.name, arrays.name, "explain.py"]
    )
    runpy.run_path(str(code))
    again = sorted(Path("out").glob("*.png")), sorted(Path("out").glob("*.npz"))
    assert [file.read_bytes() for file in again[0]] == [image.read_bytes()]
    with np.load(again[1][0]) as made, np.load(arrays) as given:
        assert (made["maps"] == given["maps"]).all()


def test_class_tables_are_padded_and_escaped():
    best = [[Choice(0, "a|b: 1%")], [Choice(1, "c: 2%"), Choice(2, "d: 3%")]]
    assert showing.class_table(("x", "y_z"), best).splitlines() == [
        "| x | y\\_z |",
        "| --- | --- |",
        "| a\\|b: 1% | c: 2% |",
        "|  | d: 3% |",
    ]


def test_a_second_network_takes_the_options_that_go_with_it(toy_file):
    first = {"model": "a.keras", "preprocess": "unit", "layer": "conv1", "fit": "crop"}
    assert second(first, "b.weights.h5") == {**first, "weights": "b.weights.h5"}
    assert second(first, "vgg16") == {"model": "vgg16", "fit": "crop"}
    model = str(toy_file)
    assert second(first, model) == {"model": model, "preprocess": "unit", "fit": "crop"}
