"""The queue of units: order, retries, and the search for a picture that ends a process."""

import pytest

from guidedcam_tf.evaluation.work.queueing import Died
from guidedcam_tf.evaluation.work.queueing import Queue
from guidedcam_tf.evaluation.work.units import Failure
from guidedcam_tf.evaluation.work.units import Shard
from guidedcam_tf.evaluation.work.units import plan_units

SHORT, LONG = Shard(seconds={"a": 0.15}), Shard(seconds={"a": 9.0})


def make_queue(pictures=6, chunk=2, groups=(("a",), ("b",))):
    return Queue(plan_units(pictures, chunk, groups), chunk, pictures)


def run(queue, compute, workers=2):
    """What comes of each unit, by its name, and the tasks in the order in which they were given."""
    results, given, held = {}, [], dict.fromkeys(range(workers))
    while queue:
        running = []
        for worker in held:
            if queue.waiting:
                running += queue.take(held[worker], {c for c in held.values() if c is not None})
                held[worker] = running[-1].unit.chunk
        for task in running:
            given.append(task)
            for unit, result in queue.settle(task, compute(task)):
                assert unit.name not in results
                results[unit.name] = result
    return results, given


def test_each_unit_is_computed_once_and_a_worker_keeps_its_chunk():
    results, given = run(make_queue(), lambda task: LONG)
    assert sorted(results) == [f"00000{chunk}-0{group}" for chunk in range(3) for group in range(2)]
    assert len(given) == 6
    assert [task.unit.chunk for task in given] == [0, 1, 0, 1, 2, 2]


def test_an_error_is_tried_three_times_and_then_reported():
    def compute(task):
        return Failure("ValueError: no way") if task.unit.name == "000001-01" else LONG

    results, given = run(make_queue(), compute)
    assert results.pop("000001-01") == Failure("ValueError: no way")
    assert set(map(type, results.values())) == {Shard}
    assert [task.unit.name for task in given].count("000001-01") == 3


def test_a_process_that_dies_once_costs_nothing():
    died = []

    def compute(task):
        if task.unit.name == "000000-00" and not died:
            died.append(task)
            return Died("lost")
        return LONG

    results, given = run(make_queue(), compute)
    assert set(map(type, results.values())) == {Shard}
    assert len(given) == 7


@pytest.mark.parametrize("deadly", [{2}, {3}, {2, 3}, {5}])
def test_pictures_that_end_the_process_are_found_and_left_out(deadly):
    def compute(task):
        places = {2 * task.unit.chunk, 2 * task.unit.chunk + 1} & set(range(6))
        read = places - {2 * task.unit.chunk + place for place in task.without}
        return Died("killed") if read & deadly else LONG

    results, given = run(make_queue(), compute)
    assert set(map(type, results.values())) == {Shard}
    last = {task.unit.name: task.without for task in given}
    for chunk in range(3):
        expected = {picture - 2 * chunk for picture in deadly if picture // 2 == chunk}
        assert {last[f"00000{chunk}-0{group}"] == frozenset(expected) for group in range(2)} == {
            True
        }


def test_a_unit_that_always_dies_is_reported():
    results, _ = run(make_queue(2), lambda task: Died("out of memory"))
    assert set(results.values()) == {Failure("its process ended: out of memory")}


def test_where_no_node_can_be_lost_each_death_is_blamed():
    died = []

    def compute(task):
        if 1 not in task.without and task.unit.chunk == 1:
            died.append(task)
            return Died("killed")
        return LONG

    queue = Queue(plan_units(6, 2, [["a"], ["b"]]), 2, 6, deaths=1)
    results, _ = run(queue, compute, workers=1)
    assert set(map(type, results.values())) == {Shard}
    assert [task.probe for task in died] == [None, 1]
    assert queue.retried == 1


def test_short_tasks_come_together_but_for_those_that_failed():
    lost = ["2", "3", "4"]

    def compute(task):
        died = str(task.unit.chunk) in lost and task.tried == 0
        return Died("lost") if died else SHORT

    queue, given = make_queue(20, 2, [("a",)]), []
    while queue:
        tasks = queue.take(None, set())
        given.append("".join(str(task.unit.chunk) for task in tasks))
        for task in tasks:
            list(queue.settle(task, compute(task)))
    assert given == ["0", "123", "456", "789", "2", "3", "4"]


def test_long_tasks_come_alone():
    queue = make_queue(20, 2, [("a",), ("b",)])
    for _ in range(20):
        (task,) = queue.take(None, set())
        list(queue.settle(task, SHORT if task.unit.group == 0 else LONG))
    assert not queue
