"""A cluster: tables as in one process, whatever dies meanwhile."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import yaml
from common import build_toy
from PIL import Image

from guidedcam_tf.cli import main
from guidedcam_tf.configuring import read_config
from guidedcam_tf.data import loading
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.manifest import versions
from guidedcam_tf.evaluation.measuring.scoring import Scorer
from guidedcam_tf.evaluation.rows import read_left_out
from guidedcam_tf.evaluation.rows import read_rows
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.evaluation.status import status
from guidedcam_tf.evaluation.work.executors import get_executor
from guidedcam_tf.evaluation.work.queueing import Queue
from guidedcam_tf.evaluation.work.units import Shards

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("compiled")]
ray = pytest.importorskip("ray", reason="the extra ray is not installed")
THREADS = os.cpu_count() or 1
"""Of a worker, as many as this process has: TensorFlow may sum in another order with others."""

RAY = "guidedcam_tf.evaluation.work.executors.ray"
RESULTS = ("rows.csv", "skipped.csv", "table.csv", "table.md", "table.tex")

POISON = """
import os
import signal
from guidedcam_tf.data import loading
from guidedcam_tf.evaluation.measuring.scoring import Scorer

load_one, rows = loading.load_one, Scorer.rows


def deadly(sample):
    if sample.picture.stem == os.environ.get("POISONED_PICTURE"):
        os.kill(os.getpid(), signal.SIGKILL)
    return load_one(sample)


def failing(self, chunk, group):
    if "gradient" in group.methods:
        raise RuntimeError("no gradient")
    return rows(self, chunk, group)


loading.load_one, Scorer.rows = deadly, failing
"""

KILLED = """
import os
import signal
from guidedcam_tf.cli import main
from guidedcam_tf.evaluation.work.units import Shards

write = Shards.write


def killed(self, unit, result):
    if len(self.done()) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, unit, result)


Shards.write = killed
main()
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
        "methods": ["guided", "gradcam", "gradcam++", "scorecam", "hirescam"],
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
        patch.setenv("POISONED_PICTURE", "05")
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.syspath_prepend(folder)
        try:
            head = {"num_cpus": THREADS, "include_dashboard": False, "include_log_monitor": False}
            cluster = Cluster(initialize_head=True, head_node_args=head)
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
    address, threads = f"executor.address={cluster.address}", f"executor.cpus_per_worker={THREADS}"
    return ["executor.kind=ray", address, threads, *settings]


def shards(out):
    return len(list((out / "toy" / "shards").glob("*.json")))


def at_the_write(patch, count, act):
    """Act once, before the run writes its next shard after so many; the run waits for that."""
    write, acted = Shards.write, []

    def acting(self, unit, result):
        if len(self.done()) == count and not acted:
            acted.append(unit)
            act()
        write(self, unit, result)

    patch.setattr(Shards, "write", acting)
    return acted


def interrupt():
    raise KeyboardInterrupt


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


def test_a_run_of_one_process_ends_on_a_cluster_that_loses_an_answer_a_worker_and_a_node(
    folder, cluster, whole, monkeypatch
):
    out = folder / "mixed"
    with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
        at_the_write(patch, 3, interrupt)
        evaluate(read(folder), out)
    before = {file: file.stat().st_mtime_ns for file in (out / "toy" / "shards").iterdir()}
    assert len(before) == 3
    second = cluster.add_node(num_cpus=THREADS)
    cluster.wait_for_nodes()

    def lose_them():
        while not (workers := worker_of(cluster.head_node)):
            time.sleep(0.05)
        os.kill(workers[0], signal.SIGKILL)
        cluster.remove_node(second, allow_graceful=False)

    acted = at_the_write(monkeypatch, 5, lose_them)
    lost = _loses_an_answer(monkeypatch)
    found = evaluate(read(folder, *on(cluster)), out)
    assert lost
    assert acted
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert status(found).failed == ()
    for name in RESULTS:
        assert (found / name).read_bytes() == (whole / name).read_bytes(), name


def _loses_an_answer(monkeypatch):
    """Raise what Ray does of a worker that its memory monitor ended, which is never full here."""
    get, lost = ray.get, []

    def lose(reference):
        answer = get(reference)
        if answer and not lost:
            lost.append(answer)
            raise ray.exceptions.OutOfMemoryError("the node runs low on memory")
        return answer

    monkeypatch.setattr(ray, "get", lose)
    return lost


@pytest.mark.slow
def test_a_picture_that_kills_the_process_and_a_unit_that_fails_cost_only_themselves(
    folder, cluster, monkeypatch
):
    monkeypatch.setattr(f"{RAY}.Queue", partial(Queue, deaths=1))
    # The module changes them in this process, too.
    monkeypatch.setattr(loading, "load_one", loading.load_one)
    monkeypatch.setattr(Scorer, "rows", Scorer.rows)
    methods = "methods=[guided, gradient]"
    config = read(folder, *on(cluster, "custom_objects=poison_pictures", methods))
    with pytest.warns(UserWarning, match="custom objects"):
        found = evaluate(config, folder / "poisoned", limit=6)
    lines = status(found).lines()
    assert lines[0] == "2 of 4 units done, 0 missing, 2 failed"
    assert lines[1] == "unit 000000-01 (gradient) failed: RuntimeError: no gradient"
    (left_out,) = read_left_out(found).itertuples()
    assert (left_out.image, left_out.methods) == ("05.png", "guided")
    assert "ends the process" in left_out.message
    assert len(set(read_rows(found)["image"])) == 5


@pytest.mark.slow
def test_drivers_that_are_killed_and_stopped_leave_a_run_that_one_process_ends(
    folder, cluster, whole, monkeypatch, capsys
):
    out = folder / "stopped"
    arguments = ["evaluate", str(folder / "config.yaml"), "--out", str(out), "--executor", "ray"]
    arguments += ["--address", cluster.address, "--workers", "1", "--cpus-per-worker", str(THREADS)]
    driver = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert driver.returncode == -signal.SIGKILL
    files = (out / "toy" / "shards").glob("*.json")
    before = {file: file.stat().st_mtime_ns for file in files}
    assert len(before) == 3
    monkeypatch.setattr(sys, "argv", ["guidedcam", *arguments])
    at_the_write(monkeypatch, 5, interrupt)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 130
    assert "stopped: 5 of 20 units done, 15 missing" in capsys.readouterr().err
    found = evaluate(read(folder), out)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    for name in RESULTS:
        assert (found / name).read_bytes() == (whole / name).read_bytes(), name


def test_nodes_of_other_versions_are_refused_before_any_work(folder, cluster, monkeypatch):
    other = {**versions(), "tensorflow": "1.15"}
    monkeypatch.setattr(f"{RAY}.versions", lambda: other)
    with pytest.raises(InputError, match=r"^\S+ has tensorflow \S+ and the driver 1.15; install"):
        evaluate(read(folder, *on(cluster, "executor.workers=1")), folder / "versions")
    assert shards(folder / "versions") == 0


def test_a_missing_extra_and_a_missing_cluster_are_said_in_one_line(folder, monkeypatch):
    with pytest.raises(InputError, match=r"^Ray cluster 127\.0\.0\.1:1 does not answer: "):
        evaluate(read(folder, "executor.kind=ray", "executor.address='127.0.0.1:1'"), folder / "no")
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, RAY)
    with pytest.raises(InputError, match=r"'ray' needs the package 'ray'; pip install 'guidedcam"):
        get_executor("ray")
    with pytest.raises(InputError, match=r"key executor.kind: .*expected one of local, ray"):
        read(folder, "executor.kind=rey")
    with pytest.raises(InputError, match=r"key executor: .*workers is for a cluster; give kind"):
        read(folder, "executor.workers=3")


def test_without_an_address_it_starts_its_own_beside_another(cluster):
    from guidedcam_tf.evaluation.work.executors.ray import _connected

    with _connected(cluster.address):
        assert ray.get_runtime_context().gcs_address == cluster.address
    with _connected(None):
        assert ray.get_runtime_context().gcs_address != cluster.address
