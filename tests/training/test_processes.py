"""One device, eight devices, and several processes give the same numbers; kills lose nothing."""

import random
import re
import time

import numpy as np
import pytest

from research.training import peer_failure
from tests.training.toy import Job, assert_close, assert_same, build, records, settings, train

CONFIG = {"checkpoint_every_steps": 7, "eval_every_steps": 20}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run on one device of one process."""
    folder = tmp_path_factory.mktemp("alone")
    config = settings(**CONFIG)
    return train(build(config), config, folder), records(folder)


def assert_records_close(first, second):
    assert [line.keys() for line in first] == [line.keys() for line in second]
    for one, other in zip(first, second, strict=True):
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-4, err_msg=name)


def test_eight_devices_are_one(alone, tmp_path):
    meshes = {
        "data": ({}, {}),
        "fsdp": ({"mesh__data": 2, "mesh__fsdp": 4}, {"rules": "fsdp"}),
        "all": ({"mesh__data": 2, "mesh__fsdp": 2, "mesh__model": 2}, {"rules": "tensor"}),
        "accumulated": ({"steps_per_call": 5}, {"noise": 0.0, "accumulate": 2}),
    }
    runs = {name: ({**CONFIG, **config}, options) for name, (config, options) in meshes.items()}
    job = Job(tmp_path, runs, devices=8)
    job.finish(job.start())
    for name in ("data", "fsdp", "all"):
        assert_close(alone[0], job.final(name))
        assert_records_close(alone[1], records(tmp_path / name))
    config = settings(**CONFIG)
    quiet = train(build(config, noise=0.0), config, tmp_path / "quiet")
    assert_close(quiet, job.final("accumulated"))


def test_two_processes_are_one_and_stop_together(alone, tmp_path):
    """SIGTERM to one of two stops both at the same step; started again, both end as one would."""
    runs = {
        "run": ({**CONFIG, "mesh__fsdp": 2}, {"rules": "fsdp", "seconds": 0.02}),
    }
    job = Job(tmp_path, runs, processes=2, devices=2)
    outputs = job.finish(job.start({}, {"signals": {"11": "SIGTERM"}}))
    steps = [re.findall(r"stopped at step (\d+)", output) for output in outputs]
    assert steps[0] == steps[1] and 10 < int(steps[0][0]) < 40, outputs
    job.finish(job.start())
    assert_close(alone[0], job.final("run"))
    assert_records_close(alone[1], records(tmp_path / "run"))


@pytest.mark.slow
def test_four_processes_are_one(alone, tmp_path):
    runs = {
        "data": (CONFIG, {}),
        "all": (
            {**CONFIG, "mesh__data": 2, "mesh__fsdp": 2, "mesh__model": 2},
            {"rules": "tensor"},
        ),
        "shared": ({**CONFIG, "mesh__data": 2, "mesh__model": 4}, {"rules": "tensor"}),
    }
    job = Job(tmp_path, {name: runs[name] for name in ("data", "all")}, processes=4, devices=2)
    job.finish(job.start())
    for name in ("data", "all"):
        assert_close(alone[0], job.final(name))
        assert_records_close(alone[1], records(tmp_path / name))
    refused = Job(tmp_path, {"shared": runs["shared"]}, processes=4, devices=2)
    started = refused.start()
    for process in started:
        output, _ = process.communicate(timeout=120)
        assert "cannot each have a part of the batch" in output and process.returncode != 0


def kill_during(job, moments):
    """Starts a job again and again, killing it `moments` seconds after its first new line."""
    path = job.folder / "run" / "metrics.jsonl"
    for moment in moments:
        before = path.stat().st_size if path.exists() else 0
        (process,) = job.start()
        while process.poll() is None and (not path.exists() or path.stat().st_size <= before):
            time.sleep(0.005)
        time.sleep(moment)
        process.kill()
        process.communicate()


def test_killed_at_random_moments_is_bit_identical(alone, tmp_path):
    options = {"seconds": 0.02}
    job = Job(tmp_path, {"run": ({**CONFIG, "checkpoint_every_steps": 3}, options)})
    moments = [random.uniform(0.0, 0.4) for _ in range(2)]
    kill_during(job, moments)
    assert not (tmp_path / "run" / "final-0.npz").exists(), moments
    (output,) = job.finish(job.start())
    assert_same(alone[0], job.final("run"))
    assert alone[1] == records(tmp_path / "run"), moments


@pytest.mark.slow
def test_killed_many_times(alone, tmp_path):
    options = {"seconds": 0.05}
    job = Job(tmp_path, {"run": ({**CONFIG, "checkpoint_every_steps": 1}, options)})
    kill_during(job, [random.uniform(0.0, 0.1) for _ in range(8)])
    job.finish(job.start())
    assert_same(alone[0], job.final("run"))
    assert alone[1] == records(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["the first", "another"])
def test_one_of_four_is_killed(alone, killed, tmp_path):
    """The others end within a minute and say why in a line; all started again end as one would."""
    run = {"run": ({**CONFIG, "mesh__fsdp": 2}, {"rules": "fsdp", "seconds": 0.1})}
    job = Job(tmp_path, run, processes=4)
    started = job.start()
    while not records(tmp_path / "run"):
        time.sleep(0.01)
    time.sleep(random.uniform(0.0, 2.0))
    started[0 if killed == "the first" else random.randint(1, 3)].kill()
    outputs = [process.communicate(timeout=60)[0] for process in started]
    codes = sorted(process.returncode for process in started)
    assert codes == [-9, peer_failure.LOST, peer_failure.LOST, peer_failure.LOST], outputs
    assert sum("another process of this run has ended" in output for output in outputs) == 3
    assert not any("Traceback" in output for output in outputs)
    job.finish(job.start())
    assert_close(alone[0], job.final("run"))
    assert_records_close(alone[1], records(tmp_path / "run"))


@pytest.mark.parametrize(("before", "after"), [(8, 4), (1, 8)])
def test_goes_on_with_another_number_of_devices(alone, before, after, tmp_path):
    """Stopped on some devices, continued on others: the same batches, the same numbers."""
    first = Job(tmp_path, {"run": (CONFIG, {"signals": {"17": "SIGTERM"}})}, devices=before)
    (output,) = first.finish(first.start())
    assert "stopped at step" in output
    second = Job(tmp_path, {"run": ({**CONFIG, "mesh__fsdp": 4}, {"rules": "fsdp"})}, devices=after)
    (output,) = second.finish(second.start())
    assert "run 5/40" not in output  # it did not begin anew
    assert_close(alone[0], second.final("run"))
    assert_records_close(alone[1], records(tmp_path / "run"))


@pytest.mark.slow
def test_goes_on_with_another_number_of_processes(alone, tmp_path):
    first = Job(tmp_path, {"run": (CONFIG, {"seconds": 0.02})}, processes=2, devices=2)
    first.finish(first.start({}, {"signals": {"11": "SIGTERM"}}))
    second = Job(tmp_path, {"run": (CONFIG, {})}, processes=1, devices=8)
    (output,) = second.finish(second.start())
    assert "run 5/40" not in output  # it did not begin anew
    assert_close(alone[0], second.final("run"))
    assert_records_close(alone[1], records(tmp_path / "run"))
