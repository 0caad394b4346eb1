"""Samples are read ahead, in order, in bounded memory; no fault ends the reading."""

import threading
import time

import numpy as np
import pytest
from data.trees import picture
from PIL import Image

from guidedcam_tf.data import Annotation
from guidedcam_tf.data import Frame
from guidedcam_tf.data import Label
from guidedcam_tf.data import Loaded
from guidedcam_tf.data import Sample
from guidedcam_tf.data import Skipped
from guidedcam_tf.data import load
from guidedcam_tf.data import load_one
from guidedcam_tf.data import open_folder
from guidedcam_tf.data.skipped import SampleError


@pytest.fixture
def file(tmp_path):
    return picture(tmp_path / "a.png")


def samples(file, count, annotate=lambda shape: Annotation()):
    return [Sample(str(number), file, annotate) for number in range(count)]


def loading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("guidedcam-load")]


def test_one_sample(file):
    label = Label("cat", (281,))
    seen = []

    def annotate(frame):
        seen.append(frame)
        return Annotation((label,), np.zeros(frame.shape, bool))

    loaded = load_one(Sample("a", file, annotate))
    assert isinstance(loaded, Loaded)
    assert seen == [Frame((6, 9))]
    assert loaded.labels == (label,)
    assert loaded.void.shape == loaded.picture.shape[:2] == (6, 9)
    assert loaded.picture.dtype == np.uint8
    np.testing.assert_array_equal(loaded.picture, np.asarray(Image.open(file)))


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("ahead", [1, 3, 100])
def test_order_whatever_the_pace(file, workers, ahead):
    pace = np.random.default_rng(3)

    def annotate(shape):
        time.sleep(float(pace.uniform(0, 0.005)))
        return Annotation()

    read = load(samples(file, 30, annotate), workers=workers, ahead=ahead)
    assert [entry.id for entry in read] == [str(number) for number in range(30)]


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_no_more_are_read_than_asked_for(file, ahead):
    begun = []

    def annotate(shape):
        begun.append(1)
        return Annotation()

    used = 0
    for _ in load(samples(file, 40, annotate), workers=4, ahead=ahead):
        used += 1
        time.sleep(0.002)
        assert len(begun) <= used + ahead - 1
    assert used == len(begun) == 40


def test_they_are_read_in_parallel(file):
    meeting = threading.Barrier(3, timeout=20)

    def annotate(shape):
        meeting.wait()
        return Annotation()

    read = list(load(samples(file, 3, annotate), workers=3))
    assert [type(entry) for entry in read] == [Loaded] * 3


def test_the_list_itself_is_read_no_further(file):
    taken = []

    def endless():
        for number in range(10**9):
            taken.append(number)
            yield Sample(str(number), file, lambda shape: Annotation())

    read = load(endless(), ahead=4)
    assert next(read).id == "0"
    assert len(taken) == 4
    read.close()
    assert not loading_threads()


def test_no_thread_is_left(file):
    assert len(list(load(samples(file, 5)))) == 5
    assert not loading_threads()
    for _ in load(samples(file, 50)):
        break
    assert not loading_threads()
    with pytest.raises(RuntimeError, match="of the reader's"):
        for _ in load(samples(file, 50)):
            raise RuntimeError("of the reader's")
    assert list(load([])) == []


def test_faults_take_their_place(tmp_path):
    def raises(error):
        def annotate(shape):
            raise error

        return annotate

    good = picture(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("hello")
    fine = lambda shape: Annotation()  # noqa: E731
    read = list(
        load(
            [
                Sample("0", good, fine),
                Sample("1", tmp_path / "bad.png", fine),
                Sample("2", tmp_path / "lost.png", fine),
                Sample("3", good, raises(SampleError("missing mask", "m.png does not exist"))),
                Sample("4", good, raises(ZeroDivisionError("of a decoder's"))),
                Sample("5", tmp_path, fine),
                Sample("6", good, fine),
            ]
        )
    )
    assert [entry.id for entry in read] == list("0123456")
    assert [type(read[place]) for place in (0, 6)] == [Loaded, Loaded]
    skipped = read[1:6]
    assert all(isinstance(entry, Skipped) for entry in skipped)
    assert [entry.reason for entry in skipped] == [
        "unreadable picture",
        "missing picture",
        "missing mask",
        "bad annotation",
        "unreadable picture",
    ]
    assert "bad.png is not a picture" in skipped[0].message
    assert "lost.png does not exist" in skipped[1].message
    assert skipped[3].message.endswith("good.png: ZeroDivisionError: of a decoder's")


def test_a_decoder_that_fails_oddly_is_named(file, monkeypatch):
    def explode(path):
        raise MemoryError("too large")

    monkeypatch.setattr("guidedcam_tf.data.loading.read", explode)
    skipped = load_one(Sample("a", file, lambda shape: Annotation()))
    assert (skipped.reason, skipped.message) == (
        "unreadable picture",
        f"{file}: MemoryError: too large",
    )


@pytest.mark.parametrize("name", ["workers", "ahead"])
def test_bad_numbers_are_refused_at_once(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1; received 0"):
        load([], **{name: 0})


def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path):
    import tracemalloc

    path = tmp_path / "large.png"
    Image.new("RGB", (1000, 1000)).save(path)  # 3 MB
    tracemalloc.start()
    try:
        for _ in load(samples(path, 30), workers=2, ahead=4):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Four pictures, and as much again for their conversion.
    assert peak < 8 * 3e6


def test_the_real_pictures(data_folder):
    data_set = open_folder(data_folder / "demo")
    read = list(load(data_set.samples))
    assert len(read) == 27
    assert all(isinstance(entry, Loaded) for entry in read)
