"""The command line: what it prints, where, and its exit codes."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture(tmp_path, rng):
    Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(tmp_path / "a.png")
    return "a.png"


def test_help_does_not_import_tensorflow():
    code = (
        "import sys; sys.argv = ['guidedcam', 'explain', '--help']\n"
        "from guidedcam_tf.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'matplotlib', 'cv2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--target" in done.stdout


def test_python_m_is_the_same_program():
    command = [sys.executable, "-m", "guidedcam_tf", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "explain" in done.stdout


def test_explain_writes_and_prints(run, model, picture, tmp_path):
    code, out, err = run(
        "explain", picture, "--model", model, "--method", "guided, gradcam", "--target", "top2",
        "--out", "results", "--figure",
    )  # fmt: skip
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].split() == ["picture", "target", "probability", "method", "layer", "file"]
    assert len(lines) == 1 + 2 + 2 + 2
    for line in lines[1:]:
        assert (tmp_path / line.split()[-1]).is_file()
    (record,) = (tmp_path / "results").glob("a_gradcam_*.json")
    assert json.loads(record.read_text())["layer"] == "conv2"
    (figure,) = (tmp_path / "results").glob("a_figure_*.pdf")
    assert figure.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("option", ["--method", "--opacity", "--out"])
def test_an_option_of_one_value_that_is_given_again_is_refused(run, picture, option):
    code, out, err = run("explain", picture, option, "1", "--figure", "--figure", option, "2")
    assert (code, out) == (2, "")
    assert err.startswith(f"guidedcam: {option} is given 2 times and takes one value: ")
    if option == "--method":
        assert "several with commas" in err


def test_the_good_pictures_are_done_and_the_bad_ones_listed(run, model, picture, tmp_path):
    (tmp_path / "bad.jpg").write_text("no")
    code, out, err = run("explain", "bad.jpg", picture, "gone.png", "--model", model)
    assert code == 1
    assert len(out.splitlines()) == 2
    assert "2 of 3 pictures failed:" in err
    assert "bad.jpg is not a picture" in err
    assert "gone.png does not exist" in err


def test_a_damaged_picture_costs_only_itself(run, model, picture, tmp_path):
    """Pillow raises IndexError, SyntaxError and the like of a few changed bytes."""
    image = Image.open(tmp_path / picture)
    image.save(tmp_path / "a.qoi")
    (tmp_path / "a.qoi").write_bytes((tmp_path / "a.qoi").read_bytes()[:60])
    image.save(tmp_path / "a.dds")
    changed = bytearray((tmp_path / "a.dds").read_bytes())
    changed[80:88] = b"\x04\0\0\0ZZZZ"
    (tmp_path / "a.dds").write_bytes(changed)
    code, out, err = run("explain", "a.qoi", picture, "a.dds", "--model", model)
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()[1:]] == [picture]
    assert "Traceback" not in err
    for name in ("a.qoi", "a.dds"):
        assert f"  {name} is damaged or cannot be read: " in err


BAD_CALLS = {
    "picture": (["explain", "gone.png", "--model", "toy.keras"], "gone.png does not exist"),
    "folder": (["explain", "empty", "--model", "toy.keras"], "empty holds no picture"),
    "nothing": (["explain", "--model", "toy.keras"], "name at least one picture"),
    "option": (
        ["explain", "a.png", "--model", "toy.keras", "--option", "steps=3"],
        "method 'guided' has no option 'steps'",
    ),
    "target": (
        ["explain", "a.png", "--model", "toy.keras", "--target", "7"],
        "target 7 is out of range: the network has 3 classes",
    ),
    "layer": (
        ["explain", "a.png", "--model", "toy.keras", "--layer", "conv9"],
        "layer 'conv9' is not in 'toy_flatten'",
    ),
    "method": (
        ["explain", "a.png", "--model", "toy.keras", "--method", "gradcamm"],
        "method 'gradcamm' is not known; nearest: gradcam",
    ),
    "out": (
        ["explain", "a.png", "--model", "toy.keras", "--out", "a.png"],
        "output folder a.png cannot be written",
    ),
    "model": (["explain", "a.png", "--model", "vgg61"], "model 'vgg61' is not known"),
    "broken model": (["explain", "a.png", "--model", "broken.keras"], "broken.keras cannot be"),
    "weights": (
        ["explain", "a.png", "--model", "resnet50", "--weights", "broken.keras"],
        "broken.keras does not fit resnet50",
    ),
    "model file": (["explain", "a.png", "--model", "gone.keras"], "model file gone.keras does not"),
    "names file": (
        ["explain", "a.png", "--model", "toy.keras", "--class-names", "gone.txt"],
        "class names file gone.txt does not exist",
    ),
    "fetch": (["weights", "fetch", "vgg61"], "model 'vgg61' is not known"),
    "verify": (["weights", "verify", "vgg61"], "model 'vgg61' is not known"),
    "layers": (["layers", "vgg61"], "model 'vgg61' is not known"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_are_one_line_and_exit_with_2(run, model, picture, tmp_path, name):
    (tmp_path / "broken.keras").write_text("no model")
    (tmp_path / "empty").mkdir()
    arguments, message = BAD_CALLS[name]
    code, out, err = run(*arguments)
    assert code == 2
    assert message in err
    assert out == ""
    assert not list(tmp_path.glob("**/.partial*"))


@pytest.mark.parametrize("arguments", [["explain"], ["explain", "a.png", "--fit", "x"], ["what"]])
def test_wrong_usage_exits_with_2(run, arguments):
    assert run(*arguments)[0] == 2


def test_weights_verify_and_list(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDEDCAM_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    code, out, _ = run("weights", "verify")
    assert (code, "no weights here" in out) == (0, True)
    keras.applications.ResNet50(weights=None).save_weights(tmp_path / "resnet50.weights.h5")
    code, out, _ = run("weights", "verify", "resnet50")
    assert (code, "not Keras's ImageNet weights" in out) == (0, True)
    (tmp_path / "resnet50.weights.h5").write_text("no weights")
    code, out, _ = run("weights", "verify", "resnet50")
    assert (code, "damaged" in out) == (1, True)
    code, out, _ = run("weights", "list")
    assert code == 0
    assert f"{tmp_path / 'resnet50.weights.h5'}" in out
    assert "10 bytes" in out


def test_no_source_for_weights_exits_with_2(run, tmp_path, monkeypatch):
    def closed(**_):
        raise OSError("no route to host")

    monkeypatch.setenv("GUIDEDCAM_WEIGHTS", str(tmp_path / "none"))
    from guidedcam_tf.networks import applications

    known = applications.APPLICATIONS["vgg16"]
    build = known.build
    monkeypatch.setitem(
        applications.APPLICATIONS,
        "vgg16",
        applications.Application(
            "vgg16",
            lambda weights: closed() if weights else build(weights=None, classes=2),
            known.preprocessing,
            known.default_layer,
            known.keras_file,
        ),
    )
    code, _, err = run("weights", "fetch", "vgg16")
    assert code == 2
    assert "no source has ImageNet weights for vgg16. Tried:" in err
    assert "no route to host" in err


def test_listings(run, model):
    code, out, _ = run("methods")
    assert code == 0
    assert "guided" in out.splitlines()
    sise = out.partition("\nsise\n")[2].splitlines()[:3]
    assert sise[-1] == "    explains the last layer of each size"
    code, out, _ = run("layers", model)
    assert code == 0
    (default,) = [line for line in out.splitlines() if line.endswith("default")]
    assert default.split()[0] == "conv2"
    assert "4 x 4 x 5" in default


def test_bench_prints_ratios(run, model):
    code, out, err = run("bench", "--model", model, "--pictures", "2", "--rounds", "3")
    assert code == 0, err
    assert "guided, 2 pictures" in out


def test_bench_of_a_network_of_signals_is_refused_in_words(run, tmp_path):
    x = inputs = keras.Input((16, 2))
    x = keras.layers.Conv1D(4, 3, activation="relu")(x)
    keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x))).save("signals.keras")
    code, _, err = run("bench", "--model", "signals.keras")
    assert code == 2
    assert "guidedcam bench takes networks of pictures [N, H, W, C]" in err


def test_folders_options_and_the_version(run, model, picture, tmp_path):
    (tmp_path / "more" / "below").mkdir(parents=True)
    for name in ("b.png", "below/a.png"):
        Image.new("RGB", (9, 9), "red").save(tmp_path / "more" / name)
    code, out, err = run(
        "explain", picture, "more", "--model", model, "--method", "guided,eigencam",
        "--option", "center=true",
    )  # fmt: skip
    assert code == 0, err
    assert len(out.splitlines()) == 1 + 3 * 2
    records = [json.loads(file.read_text()) for file in (tmp_path / "out").glob("*.json")]
    assert {record["origin"]["options"].get("center") for record in records} == {None, True}
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("guidedcam-tf 0.")


def test_targets_and_files_are_checked_before_tensorflow_loads(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    for arguments, message in (
        (["a.png", "--target", "cat"], "nearest names: tiger cat"),
        (["gone.png"], "gone.png does not exist"),
        (["a.png", "--model", "gone.keras"], "model file gone.keras does not exist"),
    ):
        code = (
            f"import sys; sys.argv = ['guidedcam', 'explain', *{arguments!r}]\n"
            "from guidedcam_tf.cli import main\n"
            "try: main()\n"
            "except SystemExit as left: assert left.code == 2\n"
            "assert not {'tensorflow', 'keras'} & set(sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert message in done.stderr
