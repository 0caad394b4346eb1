"""Runs that end before they are done, or that two processes want, end with the same tables."""

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from evaluation.small_runs import TABLES
from evaluation.small_runs import read

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.evaluation.status import status
from guidedcam_tf.evaluation.work import lock
from guidedcam_tf.evaluation.work.lock import held
from guidedcam_tf.evaluation.work.lock import holder

pytestmark = pytest.mark.usefixtures("compiled")


def test_a_run_that_is_killed_ends_with_the_same_tables(whole, config_file):
    out = config_file.parent / "killed"
    command = [
        sys.executable,
        "-m",
        "guidedcam_tf",
        "evaluate",
        str(config_file),
        "--out",
        str(out),
    ]
    shards = out / "toy" / "shards"
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while run.poll() is None and len(list(shards.glob("*.json"))) < 5:
        time.sleep(0.01)
    time.sleep(0.1 * random.Random(3).random())
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = {file: file.stat().st_mtime_ns for file in shards.glob("*.json")}
    assert len(before) >= 5
    folder = evaluate(read(config_file), out)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    for table in ("rows.csv", "skipped.csv", *TABLES):
        assert (folder / table).read_bytes() == (whole / table).read_bytes()


def test_a_finished_run_is_not_computed_again(whole, config_file):
    before = {file: file.stat().st_mtime_ns for file in (whole / "shards").iterdir()}
    rows = (whole / "rows.csv").read_bytes()
    evaluate(read(config_file), whole.parent)
    assert {file: file.stat().st_mtime_ns for file in (whole / "shards").iterdir()} == before
    assert (whole / "rows.csv").read_bytes() == rows


def test_a_damaged_shard_is_computed_again(whole, config_file, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "toy")
    shards = sorted((folder / "shards").glob("*.json"))
    text = shards[3].read_text("utf-8")
    damaged = ("", text[:-9], text + text, text.replace('"seconds"', '"second"'), "[]")
    for file, content in zip(shards, damaged, strict=False):
        file.write_text(content, "utf-8")
    assert len(status(folder).missing) == len(damaged)
    evaluate(read(config_file), tmp_path)
    assert not status(folder).missing
    for table in ("rows.csv", "skipped.csv", *TABLES):
        assert (folder / table).read_bytes() == (whole / table).read_bytes()


def test_a_second_driver_is_refused_by_name_and_a_dead_one_does_not_block(config_file, tmp_path):
    code = (
        "import sys, time, pathlib; from guidedcam_tf.evaluation.work.lock import held\n"
        "with held(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    folder = tmp_path / "toy"
    folder.mkdir()
    other = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(ValueError, match=rf"toy is worked on by process {other.pid} on \S+ since"):
        evaluate(read(config_file), tmp_path)
    other.kill()
    other.wait()
    with held(folder):
        assert holder(folder).startswith(f"process {os.getpid()} on ")
    assert holder(folder) is None


def test_a_look_at_a_folder_is_waited_for_and_no_second_driver_enters(tmp_path, monkeypatch):
    """`holder` locks a folder for a moment; a driver that starts then must not go on without."""
    look = (tmp_path / "lock").open("w")
    fcntl.flock(look, fcntl.LOCK_SH)
    ending = threading.Timer(0.3, look.close)
    ending.start()
    with held(tmp_path):
        assert look.closed
        assert holder(tmp_path).startswith(f"process {os.getpid()} on ")
    ending.join()

    monkeypatch.setattr(lock, "LOOK_SECONDS", 0.1)
    with (tmp_path / "lock").open() as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        message = "only looks at it.*not ended in 0.1 seconds; stop"
        with pytest.raises(InputError, match=message), held(tmp_path):
            pytest.fail("it went on without the lock")
