"""`guidedcam export`, its check, and `guidedcam bench --runtimes`."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from common import build_toy
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.bench import cold_start
from guidedcam_tf.runtimes.openvino_model import usable_precisions
from guidedcam_tf.serving.litert import run_litert


def test_help_does_not_import_tensorflow():
    code = (
        "import sys; sys.argv = ['guidedcam', 'export', '--help']\n"
        "from guidedcam_tf.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'openvino', 'grpc', 'cv2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--check" in done.stdout


def test_export_and_check(run, model, tmp_path, rng, answers_here):
    call = ["export", "models/toy", "--model", model, "--preprocess", "torch"]
    code, out, err = run(*call, "--method", "gradcam++", "--postprocessing", "paper")
    assert code == 0, err
    assert out == "models/toy/1: toy_flatten, gradcam++ at conv2\n"
    pictures = []
    for name in ("a.png", "b.jpg"):
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), "uint8")).save(tmp_path / name)
        pictures += ["--picture", name]
    code, out, err = run(*call, "--check", *pictures)
    assert code == 0, err
    lines = [line.split() for line in out.splitlines()[1:]]
    assert ["TensorFlow", "explain_bytes", "saliency"] in [line[:3] for line in lines]
    for precision in usable_precisions().values():
        assert ["OpenVINO", precision, "explain", "saliency"] in [line[:4] for line in lines]
    assert "WRONG" not in out
    code, out, _ = run("export", "models/toy", "--model", model, "--check")
    assert code == 1
    assert "WRONG" in out


BAD_CALLS = {
    "method": (["x/1", "--method", "scorecam"], "it needs a forward pass for each channel"),
    "exists": (["taken/1"], "taken/1 exists already"),
    "version": (["x/0"], "a version is a whole number from 1"),
    "nothing to check": (["none", "--check"], "none holds no export"),
    "layer": (["x/1", "--layer", "conv9"], "layer 'conv9' is not in"),
    "parent": (["toy.keras/1"], "toy.keras cannot be written"),
    "zeros": (["x/007"], "a version is a whole number from 1 to 9223372036854775807"),
    "two methods": (
        ["x/1", "--method", "guided,gradcam"],
        "--method guided,gradcam: an export has one method",
    ),
    "picture": (["x/1", "--picture", "a.png"], "--picture would do nothing without --check"),
    "of the check": (
        ["x", "--check", "--layer", "conv2", "--method", "gradcam"],
        "--method, --layer would do nothing with --check",
    ),
    "of servers": (
        ["x.tflite", "--to", "litert", "--merge", "3", "--colour-map", "jet"],
        "--colour-map, --merge would do nothing with --to litert; leave that out",
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_are_one_line_and_exit_with_2(run, model, tmp_path, name):
    (tmp_path / "taken" / "1").mkdir(parents=True)
    arguments, message = BAD_CALLS[name]
    code, out, err = run("export", *arguments, "--model", model, "--preprocess", "unit")
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    shutil.rmtree(tmp_path / "taken")
    assert [child.name for child in tmp_path.iterdir()] == ["toy.keras"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--memory", "--peers"], "--peers, --memory measure different things; give one"),
        (["--memory", "--rounds", "3"], "--rounds would do nothing with --memory"),
        (["--cold-start", "--pictures", "3"], "--pictures would do nothing with --cold-start"),
    ],
)
def test_bench_measures_one_thing_at_a_time(run, options, message):
    code, out, err = run("bench", *options)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "guidedcam.json is damaged"), ("{}", "it has no 'model'"), ("3", "is damaged")],
)
def test_a_damaged_manifest_is_one_line(run, model, tmp_path, content, message):
    extra = tmp_path / "toy" / "1" / "assets.extra"
    extra.mkdir(parents=True)
    (extra / "guidedcam.json").write_text(content)
    code, out, err = run("export", "toy", "--check", "--model", model)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message in err


def test_bench_shows_the_runtimes_beside_the_forward_pass(run, model):
    code, out, err = run(
        "bench", "--runtimes", "--model", model, "--pictures", "2", "--rounds", "3"
    )
    assert code == 0, err
    rows = [line.split("  ")[0] for line in out.splitlines()]
    assert rows == [
        "what",
        "forward pass, TensorFlow",
        "Explainer.maps, TensorFlow",
        "export, TensorFlow",
        *(f"export, OpenVINO {hint}" for hint in usable_precisions().values()),
        *(
            f"{what}, OpenVINO {precision}"
            for precision in usable_precisions()
            for what in ("forward pass", "Explainer.maps")
        ),
    ]
    assert out.splitlines()[1].split()[3] == "1.000"


@pytest.mark.parametrize("half", [False, True])
def test_export_for_phones(run, tmp_path, half):
    build_toy("gap").save(tmp_path / "gap.keras")
    call = ["export", "gap.tflite", "--model", "gap.keras", "--preprocess", "unit"]
    code, out, err = run(*call, "--to", "litert", *(["--float16"] if half else []))
    assert code == 0, err
    assert out == f"gap.tflite: toy_gap, guided at conv2, float{16 if half else 32}\n"
    picture = np.random.default_rng(1).integers(0, 256, (1, 8, 8, 3)).astype(np.float32)
    found = run_litert((tmp_path / "gap.tflite").read_bytes(), picture, 1)
    expected = gcam.Explainer(tmp_path / "gap.keras", preprocess="unit").maps(picture, [1])
    np.testing.assert_allclose(found["saliency"], expected, atol=0.1 if half else 1e-4)


@pytest.mark.parametrize(
    "wrong",
    [["x/1", "--to", "litert"], ["x.tflite"], ["x/1", "--float16"]],
)
def test_what_does_not_go_together(run, model, tmp_path, wrong):
    code, _, err = run("export", *wrong, "--model", model)
    assert code == 2
    assert "--to litert goes with a file ending in .tflite, and --float16 with it" in err


def test_bench_shows_whole_processes(run, monkeypatch):
    """The second call finds what the first kept: the same folder, which a round begins empty."""
    called = []

    def timed(arguments, environment):
        called.append((arguments, environment["XDG_CACHE_HOME"]))
        return float(len(called)), 0.5

    monkeypatch.setattr(cold_start, "_timed", timed)
    code, out, err = run("bench", "--cold-start", "--rounds", "3", "--layer", "conv2")
    assert code == 0, err
    assert [line.split("  ")[0] for line in out.splitlines()[1:]] == [
        "TensorFlow",
        "OpenVINO, first call",
        "OpenVINO, second call",
    ]
    assert [line.split()[-2] for line in out.splitlines()[1:]] == ["4.00", "5.00", "6.00"]
    for first, second in zip(called[1::3], called[2::3], strict=True):
        assert first == second
        assert {"--runtime=openvino", "--layer=conv2"} < set(first[0])
    assert len({folder for _, folder in called}) == 3


def test_a_precision_is_recorded_as_it_was_computed(run, model, tmp_path, rng, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Image.fromarray(rng.integers(0, 256, (20, 30, 3), "uint8")).save(tmp_path / "a.png")
    call = ["explain", "a.png", "--model", model, "--preprocess", "unit"]
    code, _, err = run(*call, "--precision", "bfloat16")
    assert code == 2 and "'bfloat16' needs runtime='openvino'" in err
    for place in ("first", "kept"):
        code, _, err = run(
            *call, "--runtime", "openvino", "--precision", "bfloat16", "--out", place
        )
        assert code == 0, err
        (record,) = (tmp_path / place).glob("*.json")
        found = json.loads(record.read_text("utf-8"))["origin"]
        assert found["runtime"] == "openvino"
        assert found["precision"] == [*usable_precisions()][-1]
        assert ("does not compute in bfloat16" in err) == (found["precision"] == "float32")
