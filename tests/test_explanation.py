"""What an explanation leaves on disk."""

import base64
import hashlib
import io
import json
import os
import re

import numpy as np
import pytest
from common import build_toy
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.overlay import colour
from guidedcam_tf.overlay import overlay


@pytest.fixture
def explanation(rng, tmp_path):
    picture = rng.integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "my picture.png")
    explainer = gcam.Explainer(build_toy("flatten"), class_names=["a/b: c", "bee", "wasp"])
    return explainer.explain(tmp_path / "my picture.png", [0, "bee"])


def test_save_writes_overlays_maps_and_a_record(explanation, tmp_path):
    out = tmp_path / "new" / "folder"
    files = explanation.save(out)
    digest = explanation.digest()
    assert [file.name for file in files] == [
        f"my picture_guided_0-a-b-c_{digest}.png",
        f"my picture_guided_1-bee_{digest}.png",
        f"my picture_guided_{digest}.npz",
        f"my picture_guided_{digest}.json",
    ]
    assert sorted(out.iterdir()) == sorted(files)
    for file, saliency in zip(files[:2], explanation.maps, strict=True):
        expected = overlay(explanation.picture, saliency)
        np.testing.assert_array_equal(np.asarray(Image.open(file)), expected)
    arrays = np.load(files[2])
    assert set(arrays) == {"maps", "raw", "guidance", "unguided", "activation_sum"}
    np.testing.assert_array_equal(arrays["maps"], explanation.maps)
    np.testing.assert_array_equal(arrays["guidance"], explanation.guidance)
    record = json.loads(files[3].read_text())
    assert record["layer"] == "conv2"
    content = (tmp_path / "my picture.png").read_bytes()
    assert record["picture"] == {
        "path": str(tmp_path / "my picture.png"),
        "sha256": hashlib.sha256(content).hexdigest(),
        "stem": "my picture",
        "height": 20,
        "width": 30,
    }
    for i, target in enumerate(record["targets"]):
        column, row = target["peak_xy"]
        assert explanation.maps[i, row, column] == explanation.maps[i].max()
        assert target["overlay"] == files[i].name
        assert target["probability"] == pytest.approx(float(explanation.probabilities[i]))


def test_an_interrupted_save_leaves_no_half_file(explanation, tmp_path, monkeypatch):
    def interrupted(self, path, *args, **kwargs):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        explanation.save(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(explanation, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"output folder .*file/out cannot be written: Not a dir"):
        explanation.save(tmp_path / "file" / "out")


def test_pictures_with_the_longest_names_that_a_file_can_have_are_kept_apart(explanation, tmp_path):
    explainer = gcam.Explainer(build_toy("flatten"), class_names=["a" * 200, "bee", "wasp"])
    saved = []
    for end in "12":
        picture = tmp_path / ("é" * 125 + end + ".png")
        Image.fromarray(explanation.picture).save(picture)
        saved += explainer.explain(picture, [0]).save(tmp_path / "out")
    assert sorted(saved) == sorted((tmp_path / "out").iterdir()) and len(set(saved)) == 6
    assert all(file.name.startswith("é" * 60 + "_") for file in saved)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(explanation, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ValueError, match="locked cannot be written: Permission denied"):
        explanation.save(tmp_path / "locked")


def test_hot_is_red_in_rgb_order():
    hot, cold = colour(np.array([[1.0, 0.0]]), "jet")[0]
    assert hot[0] > hot[2]
    assert cold[2] > cold[0]


def test_an_unknown_colour_map_is_named(explanation, tmp_path):
    with pytest.raises(ValueError, match="'grey' is unknown; expected inferno, "):
        explanation.save(tmp_path, colour_map="grey")


def test_nothing_that_was_saved_is_lost(tmp_path, rng):
    """Pictures of one name, arrays, layers, methods, options, targets and other colours."""
    explainer = gcam.Explainer(build_toy("flatten"))
    files = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for suffix in ("png", "bmp"):
            files.append(tmp_path / folder / f"1.{suffix}")
            Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).save(files[-1])
    made = [explainer.explain(file, 0) for file in files]
    made += [explainer.explain(np.asarray(Image.open(file)), 0) for file in files]
    made += [
        explainer.explain(files[0], 1),
        explainer.explain(files[0], [0, 1]),
        explainer.explain(files[0], 0, "gradcam"),
        explainer.explain(files[0], 0, "eigencam"),
        explainer.explain(files[0], 0, "eigencam", center=True),
        explainer.at("conv1").explain(files[0], 0),
        gcam.Explainer(explainer.network.model, postprocessing="paper").explain(files[0], 0),
        gcam.Explainer(build_toy("gap")).explain(files[0], 0),
    ]
    for explanation in (*made, *made):
        explanation.save(tmp_path / "out")
    made[0].save(tmp_path / "out", "turbo")
    assert len(list((tmp_path / "out").glob("*.json"))) == len(made) + 1
    for explanation in made:
        arrays = np.load(explanation.save(tmp_path / "out")[-2])
        np.testing.assert_array_equal(arrays["maps"], explanation.maps)


def test_a_network_that_goes_on_learning_replaces_nothing(tmp_path, rng):
    model, picture = build_toy("flatten"), rng.integers(0, 256, (9, 9, 3), np.uint8)
    explainer = gcam.Explainer(model)
    for step in range(3):
        model.get_layer("scores").kernel.assign_add(0.1 * step * np.ones((6, 3)))
        model.get_layer("conv2").bias.assign_add([0.1 * step] * 5)
        explainer.explain(picture, 0).save(tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 3


def test_explanations_compare_hash_and_have_a_short_repr(rng):
    explainer, picture = gcam.Explainer(build_toy("flatten")), rng.integers(0, 256, (9, 9, 3))
    one, same = (explainer.explain(picture.astype(np.uint8), 0) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert one != explainer.explain(picture.astype(np.uint8), 1)
    assert one != "a map"
    assert repr(one).startswith(
        "<Explanation of 'picture' by guided at conv2 of toy_flatten: class 0"
    )


@pytest.mark.parametrize("value", [np.nan, 1e38])
@pytest.mark.parametrize("method", ["guided", "scorecam", "eigencam"])
def test_scores_that_are_no_numbers_are_refused(value, method, rng):
    model = build_toy("flatten")
    head = model.get_layer("scores")
    head.set_weights([np.full_like(each, value) for each in head.get_weights()])
    explainer = gcam.Explainer(model, scores="logits")
    with pytest.raises(gcam.InputError, match=r"NaN or infinite for 2 of 2 pictures.*weights"):
        explainer.maps(255 * rng.random((2, 8, 8, 3)), 0, method)


@pytest.mark.parametrize("target", [2, -3, 281, "bee", None, 0.5, 1.0, True])
def test_an_overlay_that_is_not_there_names_those_that_are(explanation, target):
    with pytest.raises(gcam.InputError, match=r"^target is a place of 0 a/b: c, 1 bee; received"):
        explanation.overlay(target)
    np.testing.assert_array_equal(explanation.overlay(-1), explanation.overlay(np.int64(1)))


def test_a_notebook_shows_the_picture_and_its_overlays(explanation):
    shown = explanation._repr_html_()
    sources = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', shown)
    pictures = [explanation.picture, explanation.overlay(0), explanation.overlay(1)]
    assert len(sources) == 3
    for place, source in enumerate(sources):
        found = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))), float)
        lost = [np.abs(found - each).mean() for each in pictures]
        assert lost[place] == min(lost) < 15  # what JPEG loses of noise
    assert "a/b: c: " in shown
    assert "guided at conv2 of toy_flatten" in shown


def test_opacity_has_files_of_its_own(explanation, tmp_path):
    faint = explanation.save(tmp_path, opacity=0)
    np.testing.assert_array_equal(np.asarray(Image.open(faint[0])), explanation.picture)
    assert faint[0] != explanation.save(tmp_path)[0]
    with pytest.raises(gcam.InputError, match="opacity must be between 0 and 1; received 2"):
        explanation.overlay(opacity=2)


def test_plot_is_a_figure_with_the_picture_and_the_overlays(explanation, tmp_path):
    figure = explanation.plot("viridis", columns=2)
    axes = [each for each in figure.axes if each.images]
    assert [each.get_title() for each in axes][1] == f"a/b: c: {explanation.number(0)}"
    np.testing.assert_array_equal(axes[0].images[0].get_array(), explanation.picture)
    shown = explanation.overlay(1, "viridis")
    np.testing.assert_array_equal(axes[2].images[0].get_array(), shown)
    assert axes[2].get_subplotspec().rowspan.start == 1
    assert Image.open(io.BytesIO(figure._repr_jpeg_())).size[0] == 540
    figure.savefig(tmp_path / "plot.pdf")
    for wrong in (0, 2.5, "3", None):
        with pytest.raises(gcam.InputError, match="columns must be a number of at least 1; rec"):
            explanation.plot(columns=wrong)
