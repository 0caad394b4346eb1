"""Samples are drawn and pinned the same way everywhere."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidedcam_tf.data import Annotation
from guidedcam_tf.data import DataSet
from guidedcam_tf.data import Sample
from guidedcam_tf.data import Skipped
from guidedcam_tf.data import draw
from guidedcam_tf.data import list_sha256
from guidedcam_tf.data import read_list
from guidedcam_tf.data import select
from guidedcam_tf.data import write_list


def data_set(ids, skipped=()):
    samples = tuple(Sample(name, Path(name), lambda shape: Annotation()) for name in ids)
    return DataSet("folder", Path("root"), samples, tuple(skipped))


TEN = data_set([f"p{number}" for number in range(10)])


def test_a_draw_is_pinned():
    # printf 7:p2 | sha256sum is the smallest, 02b2cd...; then come p7, 2593b0, and p9, 656a34.
    assert draw(TEN, 3, seed=7).ids == ("p2", "p7", "p9")


@given(st.integers(0, 12), st.integers(0, 12), st.integers(), st.randoms())
def test_draws_are_nested_and_blind_to_order(few, many, seed, random):
    few, many = sorted((few, many))
    small, large = draw(TEN, few, seed), draw(TEN, many, seed)
    assert len(small) == min(few, 10)
    assert set(small.ids) <= set(large.ids)
    assert list(large.ids) == [name for name in TEN.ids if name in large.ids]
    shuffled = list(TEN.ids)
    random.shuffle(shuffled)
    assert set(draw(data_set(shuffled), few, seed).ids) == set(small.ids)


def test_seeds_differ():
    assert len({draw(TEN, 5, seed).ids for seed in range(20)}) > 10


def test_a_draw_is_fair():
    counts = dict.fromkeys(TEN.ids, 0)
    for seed in range(1000):
        for name in draw(TEN, 3, seed).ids:
            counts[name] += 1
    # 300 expected, standard deviation sqrt(1000 * 0.3 * 0.7) = 14.5.
    assert all(240 < count < 360 for count in counts.values())


def test_a_negative_count_is_refused():
    with pytest.raises(ValueError, match="count must be at least 0; received -1"):
        draw(TEN, -1, 0)


def test_lists_round_trip(tmp_path):
    ids = ["n01440764/x y.JPEG", "b", "ä"]
    digest = write_list(ids, tmp_path / "list.txt")
    data = (tmp_path / "list.txt").read_bytes()
    assert data == "n01440764/x y.JPEG\nb\nä\n".encode()
    assert digest == list_sha256(ids) == hashlib.sha256(data).hexdigest()
    assert read_list(tmp_path / "list.txt") == tuple(ids)


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="no sha256sum on this machine")
def test_sha256sum_reads_the_hash(tmp_path):
    write_list(["a", "b"], tmp_path / "list.txt")
    subprocess.run(["sha256sum", "-c", "list.txt.sha256"], cwd=tmp_path, check=True)


def test_a_changed_list_is_refused(tmp_path):
    write_list(["a", "b"], tmp_path / "list.txt")
    (tmp_path / "list.txt").write_text("a\n")
    with pytest.raises(ValueError, match=r"is not the one that list.txt.sha256 is about"):
        read_list(tmp_path / "list.txt")


def test_a_list_of_another_s_is_read(tmp_path):
    (tmp_path / "val.txt").write_bytes(b"2007_000033\r\n\r\n 2007_000042\n")
    assert read_list(tmp_path / "val.txt") == ("2007_000033", "2007_000042")


def test_bad_lists_are_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        read_list(tmp_path / "none.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="cannot be read"):
        read_list(tmp_path / "b.txt")


def test_select_keeps_the_list_s_order():
    chosen = select(TEN, ["p7", "p2", "p7"])
    assert chosen.ids == ("p7", "p2")
    assert chosen.skipped == ()


def test_what_the_data_set_does_not_have_is_named_once():
    lost = Skipped("lost", "missing picture", "lost.jpg does not exist")
    chosen = select(data_set(["a"], [lost]), ["a", "lost", "strange"], name="val.txt")
    assert chosen.ids == ("a",)
    assert [(entry.id, entry.reason) for entry in chosen.skipped] == [
        ("lost", "missing picture"),
        ("strange", "not in the data set"),
    ]
    assert "no sample 'strange' of val.txt" in chosen.skipped[1].message


def test_an_empty_list_is_named():
    (entry,) = select(TEN, [], name="val.txt").skipped
    assert (entry.id, entry.reason) == ("val.txt", "empty list")
