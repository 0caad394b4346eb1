"""A second call with OpenVINO answers from what the first kept, and needs no TensorFlow."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from common import build_toy
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.kept import find_kept
from guidedcam_tf.kept import keep
from guidedcam_tf.kept import making
from guidedcam_tf.kept import requests
from guidedcam_tf.methods import methods_from_text
from guidedcam_tf.opening import open_explainer

CALL = """
import sys
from guidedcam_tf.cli import main
try:
    main()
finally:
    print("TensorFlow" if "tensorflow" in sys.modules else "alone")
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache" / "guidedcam_tf" / "explanations"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def said(toy_file):
    return {"model": str(toy_file), "preprocess": "unit", "runtime": "openvino"}


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 256, (23, 31, 3)).astype(np.uint8)
    file = tmp_path / "noise.png"
    Image.fromarray(pixels).save(file)
    return file


TOP = ["top1"]


def find(said, method="guided", options=()):
    """What was kept for a call of one method, if anything."""
    found = find_kept(said, method, options, TOP)
    return found and found[0]


def call(picture, said, out, *more):
    given = [f"--{name.replace('_', '-')}={value}" for name, value in said.items()]
    command = [sys.executable, "-c", CALL, "explain", str(picture), *given, f"--out={out}", *more]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_second_call_needs_no_tensorflow(picture, said, tmp_path):
    """Its files and what it says are those of the first; a third needs another method."""
    more = ("--target=top2", "--method=guided,hirescam", "--postprocessing=paper")
    first, second = (call(picture, said, tmp_path / each, *more) for each in ("one", "two"))
    assert first.stdout.endswith("TensorFlow\n")
    assert second.stdout.endswith("alone\n")
    assert second.stderr == first.stderr
    assert "layer " in first.stderr
    found = contents(tmp_path / "one")
    assert len(found) == 8
    assert contents(tmp_path / "two") == found


def test_it_explains_as_the_explainer_does(picture, said):
    said = {**said, "postprocessing": "paper"}
    explainer = open_explainer(said)
    keep(said, "guided", [], TOP)
    for targets in (["top3"], ["2", "class 0", "top1"], ["1", "1", "top2"]):
        expected, found = explainer.explain(picture, targets), find(said).explain(picture, targets)
        assert found.origin == expected.origin
        assert (found.names, found.layer) == (expected.names, expected.layer)
        np.testing.assert_array_equal(found.targets, expected.targets)
        np.testing.assert_allclose(found.maps, expected.maps, atol=1e-4)
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
        for name, guidance in expected.intermediates.items():
            np.testing.assert_allclose(found.intermediates[name], guidance, rtol=1e-3, atol=1e-5)
    with pytest.raises(gcam.InputError, match="target 'tabby'"):
        find(said).explain(picture, ["tabby"])
    assert find_kept(said, "guided", [], ["tabby"]) is None


@pytest.mark.parametrize(("method", "options"), [("eigencam", []), ("guided", ["smooth=true"])])
def test_a_principal_component_of_one_picture(picture, said, method, options):
    """OpenVINO 2026.4 crashes at gathering a row of a batch that is always one."""
    (chosen,) = methods_from_text(method, options)
    expected = open_explainer(said).explain(picture, TOP, method=chosen)
    keep(said, method, options, TOP)
    found = find(said, method, options).explain(picture, TOP)
    np.testing.assert_allclose(found.raw, expected.raw, atol=1e-4 * np.abs(expected.raw).max())


def test_other_questions_are_not_answered(said, toy_file):
    assert find(said) is None
    keep(said, "guided", [], TOP)
    assert find(said)
    for other in (
        {**said, "layer": "conv2"},
        {**said, "preprocess": "tf"},
        {**said, "runtime": "tensorflow"},
        {**said, "postprocessing": "smooth"},
    ):
        assert find(other) is None
    assert find(said, "hirescam") is None
    assert find(said, "guided,hirescam") is None
    assert find(said, "guided", ["relu=true"]) is None


def test_other_weights_are_seen(picture, tmp_path):
    file, toy = tmp_path / "model.keras", build_toy()
    said = {"model": str(file), "preprocess": "unit", "runtime": "openvino"}
    toy.save(file)
    keep(said, "guided", [], TOP)
    before = find(said).explain(picture, TOP).raw
    toy.set_weights([weight[..., ::-1] for weight in toy.get_weights()])
    toy.save(file)
    assert find(said) is None
    after = keep(said, "guided", [], TOP)[1][0](picture).raw
    assert np.abs(after - before).max() > 0.1 * after.max()
    np.testing.assert_array_equal(find(said).explain(picture, TOP).raw, after)


def test_other_versions_are_not_used(said, monkeypatch):
    keep(said, "guided", [], TOP)
    with monkeypatch.context() as patched:
        patched.setattr(requests, "version", lambda name: "0.0.1")
        assert find(said) is None
    with monkeypatch.context() as patched:
        patched.setattr(requests, "_digest_of_package", lambda: "another")
        assert find(said) is None
    assert find(said)


def test_a_damaged_file_is_made_again(said, cache):
    keep(said, "guided", [], TOP)
    (file,) = cache.iterdir()
    content = file.read_bytes()
    _, header, rest = content.split(b"\n", 2)
    flipped = bytearray(content)
    flipped[-len(rest) // 2] ^= 1
    other = [content[:-1], b"", content[: -len(rest)] + bytes(len(rest)), bytes(flipped)]
    heads = (b"{}\n", b"[]\n", b"3\n", b"{\n", header.replace(b'"notes"', b'"words"') + b"\n")
    summed = [requests._checksum(head, rest) + head + rest for head in heads]
    for damaged in (*other, header + b"\n" + rest, *summed):
        file.write_bytes(damaged)
        assert find(said) is None
    keep(said, "guided", [], TOP)
    assert find(said)


def test_a_wrong_byte_in_the_header_is_damage(said, cache, tmp_path):
    (tmp_path / "names.txt").write_text("ant\nbee\ncow")
    said = {**said, "class_names": str(tmp_path / "names.txt")}
    keep(said, "guided", [], TOP)
    (file,) = cache.iterdir()
    content = file.read_bytes()
    start, end = content.index(b"{"), content.index(b"\n", content.index(b"{"))
    assert find(said).setting.classes.names == ("ant", "bee", "cow")
    words = ((b'"ant"', b'"ape"'), (b'"notes"', b'"words"'), (b'"files": {', b'"files": [], "": {'))
    damaged = [content.replace(*pair, 1) for pair in words]
    for place in [*range(start), *range(start, end, 7)]:
        damaged.append(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    for each in damaged:
        assert each != content
        file.write_bytes(each)
        assert find(said) is None


def test_the_same_words_in_another_folder_are_about_other_files(picture, tmp_path, monkeypatch):
    toy, said = build_toy(), {"weights": "w.weights.h5", "class_names": "names.txt"}
    said |= {"model": str(tmp_path / "m.keras"), "preprocess": "unit", "runtime": "openvino"}
    toy.save(tmp_path / "m.keras")
    expected = {}
    for folder, names in (("a", "ant\nbee\ncow"), ("b", "bee\ncow\nant")):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        toy.set_weights([weight[..., ::-1] for weight in toy.get_weights()])
        toy.save_weights("w.weights.h5")
        (tmp_path / folder / "names.txt").write_text(names)
        assert find(said) is None
        expected[folder] = keep(said, "guided", [], TOP)[1][0](picture)
    assert not np.array_equal(expected["a"].raw, expected["b"].raw)
    for folder, explanation in expected.items():
        monkeypatch.chdir(tmp_path / folder)
        found = find(said).explain(picture, TOP)
        assert found.names == explanation.names
        np.testing.assert_array_equal(found.raw, explanation.raw)


def test_weights_replaced_while_a_file_is_made_keep_nothing(tmp_path, cache, monkeypatch):
    toy, file = build_toy(), tmp_path / "model.keras"
    toy.save(file)
    compiled = making._compiled

    def slow(*given):
        toy.set_weights([weight[..., ::-1] for weight in toy.get_weights()])
        toy.save(file)
        return compiled(*given)

    monkeypatch.setattr(making, "_compiled", slow)
    said = {"model": str(file), "preprocess": "unit", "runtime": "openvino"}
    keep(said, "guided", [], TOP)
    assert not list(cache.glob("*"))


def test_a_class_by_another_name_is_answered_as_without_keeping(picture, said):
    keep(said, "guided", [], TOP)
    expected = open_explainer(said).explain(picture, ["unit 1"])
    (explain,) = keep(said, "guided", [], ["unit 1"])[1]
    np.testing.assert_allclose(explain(picture).raw, expected.raw, rtol=1e-4)


def test_a_folder_that_cannot_be_written_to_is_read(picture, said, cache, monkeypatch):
    keep(said, "guided", [], TOP)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    for module, name in ((os, "utime"), (Path, "unlink")):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr(requests, "KEPT", 0)
    assert find(said)
    requests._tidy(cache)
    assert find(said)


def test_methods_of_many_passes_are_not_kept(said, cache):
    keep(said, "scorecam", [], TOP)
    assert not list(cache.glob("*"))


def test_only_the_latest_are_kept(said, cache, monkeypatch):
    monkeypatch.setattr(requests, "KEPT", 1)
    keep(said, "guided", [], TOP)
    cache.joinpath(".partial-of-the-dead").mkdir()
    os.utime(cache / ".partial-of-the-dead", (0, 0))
    keep(said, "hirescam", [], TOP)
    assert find(said, "hirescam")
    assert find(said) is None
    assert [file.suffix for file in cache.iterdir()] == [".openvino"]


WRITE = """
import sys, time
from pathlib import Path
from guidedcam_tf.files import writing
with writing(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(sys.argv[2].encode() * 1000)
    print("writing", flush=True)
    sys.stdin.readline()
"""
"""Writes a file, and has it finished once it is told to."""


@pytest.fixture
def writer(cache):
    cache.mkdir(parents=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def start(content):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE, str(cache / "one.openvino"), content],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        assert process.stdout.readline() == b"writing\n"
        return process

    return start


def test_a_killed_process_leaves_nothing_half_written(cache, writer):
    with writer("a") as process:
        process.send_signal(signal.SIGKILL)
    assert not list(cache.glob("*.openvino"))


def test_two_processes_at_once(cache, writer):
    """Each has a place of its own to write to, so the file is whole, and that of the later one."""
    with writer("a") as first, writer("b") as second:
        for process, content in ((second, b"b"), (first, b"a")):
            process.communicate(b"\n")
            assert process.returncode == 0
            assert (cache / "one.openvino").read_bytes() == content * 1000
    assert [file.name for file in cache.iterdir()] == ["one.openvino"]


def test_notes_are_given_again(said, tmp_path):
    build_toy("gap").save(tmp_path / "gap.keras")
    said = {**said, "model": str(tmp_path / "gap.keras")}
    with pytest.warns(UserWarning, match="pools globally") as first:
        keep(said, "gradcam", [], TOP)
    with pytest.warns(UserWarning, match="pools globally") as second:
        assert find(said, "gradcam")
    assert {str(each.message) for each in second} == {str(each.message) for each in first}
