"""A cluster of two nodes: tables as in one process, whatever dies meanwhile."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import yaml
from common import build_toy
from PIL import Image

from guidedcam_tf.configuring import read_config
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.executors import get_executor
from guidedcam_tf.evaluation.rows import read_left_out
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.evaluation.status import status

pytestmark = pytest.mark.ray
ray = pytest.importorskip("ray", reason="the extra ray is not installed")
RESULTS = ("rows.csv", "skipped.csv", "table.csv", "table.md", "table.tex")

POISON = """
import os
import signal
from guidedcam_tf.data import loading

load_one = loading.load_one


def deadly(sample):
    if sample.picture.stem == os.environ.get("POISONED_PICTURE"):
        os.kill(os.getpid(), signal.SIGKILL)
    return load_one(sample)


loading.load_one = deadly
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    build_toy("flatten").save(folder / "toy.keras")
    (folder / "pictures").mkdir()
    generator = np.random.default_rng(0)
    for i in range(40):
        picture = generator.integers(0, 256, (20 + i % 3, 30, 3), np.uint8)
        Image.fromarray(picture).save(folder / "pictures" / f"{i:02}.png")
    (folder / "poison_pictures.py").write_text(POISON)
    config = {
        "name": "toy",
        "data": {"kind": "folder", "root": str(folder / "pictures")},
        "model": str(folder / "toy.keras"),
        "methods": ["guided", "gradcam", "gradcam++", "scorecam", "cameras"],
        "metrics": ["saliency_drop", "context_drop", "saliency_gain", "insertion", "deletion"],
        "chunk": 4,
        "protocol": {"areas": [0.1, 0.5]},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="module")
def cluster(folder):
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([*sys.path, str(folder)]))
        patch.setenv("POISONED_PICTURE", "21")
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        patch.syspath_prepend(folder)
        try:
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
            cluster.add_node(num_cpus=1)
            cluster.wait_for_nodes()
        except Exception as error:
            pytest.skip(f"Ray does not start in time on this machine: {error}")
        yield cluster
        cluster.shutdown()


def read(folder, *settings):
    return read_config(folder / "config.yaml", EvaluationConfig, settings)


@pytest.fixture(scope="module")
def whole(folder):
    """The run in one process."""
    return evaluate(read(folder), folder / "whole")


def on(cluster, *settings):
    return ["executor.kind=ray", f"executor.address={cluster.address}", *settings]


def shards(out):
    return len(list((out / "toy" / "shards").glob("*.json")))


def when(out, count, act):
    """Act in another thread as soon as a run has so many shards."""

    def wait():
        while shards(out) < count:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def worker_of(node):
    """The processes that compute on a node."""
    raylet = next(p for p in node.live_processes() if p[0] == "raylet")[1].pid
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(raylet)],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split(None, 1) for line in listed.stdout.splitlines()]
    return [int(pid) for pid, name in lines if "Computer" in name]


def test_a_run_of_one_process_ends_on_a_cluster_that_loses_a_worker_and_a_node(
    folder, cluster, whole
):
    out = folder / "mixed"
    with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
        patch.setattr("guidedcam_tf.evaluation.run.progress", _stops_after(3))
        evaluate(read(folder), out)
    before = {file: file.stat().st_mtime_ns for file in (out / "toy" / "shards").iterdir()}
    assert len(before) == 3
    lost = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()

    def act():
        (killed,) = worker_of(cluster.head_node)
        os.kill(killed, signal.SIGKILL)
        cluster.remove_node(lost, allow_graceful=False)

    thread = when(out, 8, act)
    found = evaluate(read(folder, *on(cluster)), out)
    thread.join()
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert status(found).failed == ()
    for name in RESULTS:
        assert (found / name).read_bytes() == (whole / name).read_bytes(), name


def _stops_after(count):
    def progress(items, *_, **__):
        for number, item in enumerate(items):
            if number == count:
                raise KeyboardInterrupt
            yield item

    return progress


def test_a_picture_that_kills_the_process_costs_only_itself(folder, cluster):
    config = read(
        folder,
        *on(cluster, "custom_objects=poison_pictures", "methods=[guided]"),
    )
    with pytest.warns(UserWarning, match="custom objects"):
        found = evaluate(config, folder / "poisoned", limit=24)
    assert status(found).lines() == ["6 of 6 units done, 0 missing, 0 failed"]
    (left_out,) = read_left_out(found).itertuples()
    assert left_out.image == "21.png"
    assert "ends the process" in left_out.message


def test_a_missing_extra_and_a_missing_cluster_are_said_in_one_line(folder, monkeypatch):
    with pytest.raises(InputError, match=r"^Ray cluster 127\.0\.0\.1:1 does not answer: "):
        evaluate(read(folder, "executor.kind=ray", "executor.address='127.0.0.1:1'"), folder / "no")
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "guidedcam_tf.evaluation.executors.ray")
    with pytest.raises(InputError, match=r"'ray' needs the package 'ray'; pip install 'guidedcam"):
        get_executor("ray")
    with pytest.raises(InputError, match=r"key executor.kind: .*expected one of local, ray"):
        read(folder, "executor.kind=rey")
    with pytest.raises(InputError, match=r"key executor: .*workers is for a cluster; give kind"):
        read(folder, "executor.workers=3")
