"""URLs of object storage in place of paths, on fsspec's store in memory."""

import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml
from common import build_toy
from PIL import Image

from guidedcam_tf.configuring import read_config
from guidedcam_tf.data.kinds import KINDS
from guidedcam_tf.data.loading import load
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.results import open_run
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.evaluation.status import status
from guidedcam_tf.evaluation.work import lease
from guidedcam_tf.evaluation.work.lock import held
from guidedcam_tf.evaluation.work.lock import holder
from guidedcam_tf.evaluation.work.units import Shards
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.figures.ranks import write_ranks
from guidedcam_tf.files import output_folder
from guidedcam_tf.files import writing
from guidedcam_tf.networks.classes import imagenet_classes
from guidedcam_tf.storage import as_path
from guidedcam_tf.storage import is_remote
from guidedcam_tf.storage import local_copy

fsspec = pytest.importorskip("fsspec", reason="the extra storage is not installed")
pytest.importorskip("upath", reason="the extra storage is not installed")
RESULTS = ("rows.csv", "skipped.csv", "table.csv", "table.md", "table.tex", "pictures.txt")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path / "cache" / "guidedcam_tf" / "copies"
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]


def upload(folder, url):
    for file in folder.rglob("*"):
        if file.is_file() and "runs" not in file.parts:
            name = f"{url}/{file.relative_to(folder).as_posix()}"
            as_path(name).fs.pipe_file(name, file.read_bytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("storage")
    generator = np.random.default_rng(0)
    (folder / "pictures" / "more").mkdir(parents=True)
    for name in ("a.png", "b.png", "more/c.png", "more/.hidden.png"):
        picture = generator.integers(0, 256, (20, 30, 3), np.uint8)
        Image.fromarray(picture).save(folder / "pictures" / name)
    (folder / "pictures" / "more" / "bad.png").write_text("no picture")
    build_toy("flatten").save(folder / "toy.keras")
    (folder / "guidedcam.yaml").write_text("class_names: names.txt\n")
    (folder / "names.txt").write_text("x\ny\nz\n")
    config = {
        "name": "toy",
        "data": {"kind": "folder", "root": str(folder / "pictures")},
        "model": str(folder / "toy.keras"),
        "methods": ["guided", "scorecam"],
        "metrics": ["saliency_drop", "insertion"],
        "chunk": 2,
        "bootstrap": 10,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="module")
def whole(folder):
    return evaluate(read_config(folder / "config.yaml", EvaluationConfig), folder / "runs")


def of_store(folder):
    upload(folder, "memory://bucket")
    settings = ("data.root=memory://bucket/pictures", "model=memory://bucket/toy.keras")
    return read_config(folder / "config.yaml", EvaluationConfig, settings)


def test_a_run_with_all_in_a_store_gives_the_files_of_a_local_one(folder, whole, cache):
    found = evaluate(of_store(folder), as_path("memory://bucket/runs"))
    assert str(found) == "memory://bucket/runs/toy"
    for name in RESULTS:
        local = (whole / name).read_bytes().replace(str(folder).encode(), b"memory://bucket")
        ours = (found / name).read_bytes()
        title = str(folder / "toy.keras").encode()
        assert ours == local.replace(title, b"memory://bucket/toy.keras"), name
    assert status(found).lines() == ["4 of 4 units done, 0 missing, 0 failed"]
    assert len(list(cache.rglob("toy.keras"))) == 1
    assert list(open_run(str(found)).grid().columns)
    assert write_ranks(found) is None  # Two methods are not ranked.
    store = found.fs
    assert not [name for name in store.find("/bucket/runs") if ".partial" in name]
    assert not store.exists("/bucket/runs/toy/lock")


def test_an_interrupted_run_in_a_store_is_continued(folder, whole, monkeypatch):
    written, write = [], Shards.write

    def stop(self, unit, result):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(unit.name)
        write(self, unit, result)

    config, out = of_store(folder), as_path("memory://bucket/runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shards, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            evaluate(config, out)
    assert status(out / "toy").lines() == ["2 of 4 units done, 2 missing, 0 failed"]
    monkeypatch.setattr(Shards, "write", lambda *each: (written.append(each[1].name), write(*each)))
    found = evaluate(config, out)
    assert len(written) == len(set(written)) == 4
    assert (found / "rows.csv").read_bytes() == (whole / "rows.csv").read_bytes()


def test_a_lease_names_its_holder_is_renewed_and_ends_with_a_dead_one(monkeypatch):
    folder = as_path("memory://bucket/runs/toy")
    assert holder(folder) is None
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.02)
    with held(folder):
        assert holder(folder).startswith("process ")
        with pytest.raises(InputError, match="runs/toy is worked on by process"), held(folder):
            pass
        (folder / "lock").unlink()
        waited = threading.Event()
        while holder(folder) is None:
            assert not waited.wait(0.02)
    assert holder(folder) is None
    elsewhere = "process 7 on another-machine since 2026-01-01"
    for age, expected in ((5, elsewhere), (lease.DEAD_SECONDS + 5, None)):
        (folder / "lock").write_text(f"{elsewhere}\n{time.time() - age:.0f}\n")
        assert holder(folder) == expected
    other = subprocess.Popen(["true"])
    other.wait()
    gone = lease.this_process().replace(str(os.getpid()), str(other.pid), 1)
    (folder / "lock").write_text(f"{gone}\n{time.time():.0f}\n")
    assert holder(folder) is None


def make_tree(folder):
    """The same pictures as each kind of data set wants them."""
    generator = np.random.default_rng(1)
    wnids = imagenet_classes().wnids[:2]
    for name in [*(f"imagenet/{wnid}/{i}.png" for wnid in wnids for i in (1, 2)), "labels/a.png"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (9, 8, 3), np.uint8)).save(folder / name)
    Image.fromarray(np.eye(9, 8, dtype=np.uint8)).save(folder / "labels" / "mask.png")
    header = "picture,class,x_min,y_min,x_max,y_max,mask"
    (folder / "labels" / "labels.csv").write_text(f"{header}\na.png,tabby,1,1,4,5,mask.png\n")


@pytest.mark.parametrize(
    ("kind", "below"),
    [
        ("folder", "imagenet"),
        ("imagenet", "imagenet"),
        ("class_folders", "imagenet"),
        ("labels", "labels"),
        ("voc2012", "voc2012"),
        ("coco2014", "coco"),
    ],
)
def test_each_kind_of_data_set_is_read_from_a_store(kind, below, tmp_path, request):
    if kind in ("voc2012", "coco2014"):
        source = request.getfixturevalue("data_folder") / below
    else:
        make_tree(tmp_path)
        source = tmp_path / below
    upload(source, "memory://data/root")
    (made,) = (each for each in KINDS if each.model_fields["kind"].default == kind)
    places = {"annotations": "instances.json", "pictures": "images"} if below == "coco" else {}
    local, remote = (
        made(kind=kind, root=root, **places).open(0, imagenet_classes())
        for root in (source, "memory://data/root")
    )
    assert remote.ids == local.ids and local.ids
    pairs = list(zip(load(local.samples[:3]), load(remote.samples[:3]), strict=True))
    for ours, theirs in pairs:
        np.testing.assert_array_equal(theirs.picture, ours.picture)
        for one, other in zip(ours.labels, theirs.labels, strict=True):
            assert (one.name, one.class_ids, one.boxes) == (
                other.name,
                other.class_ids,
                other.boxes,
            )
            np.testing.assert_array_equal(one.mask, other.mask)


def test_a_copy_is_made_again_when_the_object_changes(folder):
    upload(folder, "memory://bucket")
    url = "memory://bucket/toy.keras"
    first = local_copy(as_path(url))
    assert local_copy(as_path(url)) == first
    assert first.read_bytes() == (folder / "toy.keras").read_bytes()
    as_path(url).fs.pipe_file("/bucket/toy.keras", b"other bytes")
    assert local_copy(as_path(url)).read_bytes() == b"other bytes"
    with pytest.raises(InputError, match=r"memory://bucket/none.h5 cannot be read: No such file"):
        local_copy(as_path("memory://bucket/none.h5"))
    with pytest.raises(InputError, match=r"model file .*toy.keras cannot be read"):
        Explainer(url)


def test_weights_and_what_lies_beside_a_model_come_from_a_store(folder):
    upload(folder, "memory://bucket")
    toy = build_toy("flatten")
    toy.save_weights(folder / "toy.weights.h5")
    upload(folder, "memory://bucket")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = Explainer("memory://bucket/toy.keras", weights="memory://bucket/toy.weights.h5")
    for ours, theirs in zip(explainer.network.model.weights, toy.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert of_store(folder).resolved().class_names == as_path("memory://bucket/names.txt")


@pytest.mark.filterwarnings("ignore:UPath .gcamfolders.")
def test_a_store_with_folders_gets_whole_files_by_renaming(monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem

    class Folders(MemoryFileSystem):
        protocol = "gcamfolders"
        store, pseudo_dirs = {}, [""]

        def put_file(self, lpath, rpath, **_):
            self.pipe_file(rpath, Path(lpath).read_bytes()[: 1 if broken else None])
            if broken:
                raise OSError("connection lost")

    fsspec.register_implementation("gcamfolders", Folders, clobber=True)
    broken = False
    file = output_folder("gcamfolders://machine/folder") / "a.txt"
    with writing(file) as temporary:
        temporary.write_text("first")
    broken = True
    with pytest.raises(OSError, match="connection lost"), writing(file) as temporary:
        temporary.write_text("second")
    assert file.read_text() == "first"
    assert [Path(name).name for name in Folders.store] == ["a.txt"]


def test_paths_stay_paths_and_urls_that_cannot_be_read_are_refused_in_a_line(monkeypatch, folder):
    for path in ("a/b", "C:/x", Path("a"), "file:///a/b"):
        assert isinstance(as_path(path), Path) and not is_remote(as_path(path))
    assert as_path("file:///a/b") == Path("/a/b")
    with pytest.raises(InputError, match=r"^nothing://a cannot be opened: .*nothing"):
        as_path("nothing://a")
    with pytest.raises(InputError, match=r"key data.root: .*nothing://a cannot be opened"):
        read_config(folder / "config.yaml", EvaluationConfig, ["data.root=nothing://a"])
    config = read_config(folder / "config.yaml", EvaluationConfig, ["data.root=memory://no/where"])
    with pytest.raises(InputError, match="memory://no/where holds no picture"):
        config.data.open(0)
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(InputError, match=r"s3://a/b needs the package 'universal_pathlib'; pip"):
        as_path("s3://a/b")
