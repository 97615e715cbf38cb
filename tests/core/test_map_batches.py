"""A function over rows in parts, wherever they are made, is a plain loop.

Run as a script, this file maps rows over the devices of one process of several.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT)]

from jax.sharding import NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

from research.core.map_batches import map_batches  # noqa: E402
from research.training import hosts, sharding  # noqa: E402
from tests.training.toy import free_port, settings  # noqa: E402

FEATURES = 6


class Rows:
    """Row i is a function of i; notes which were read."""

    def __init__(self, count):
        self.count = count
        self.read = []

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        if not 0 <= i < self.count:
            raise IndexError(i)
        self.read.append(i)
        x = np.random.default_rng(i).normal(size=FEATURES).astype(np.float32)
        return {"x": x, "views": (x[None] + 1, x[None] + np.ones((2, 1), np.float32)), "label": i}


WEIGHTS = np.random.default_rng(99).normal(size=(FEATURES, 8)).astype(np.float32)


def outputs_of(variables, batch):
    """Leaves of several shapes; row i of row i alone."""
    first, second = batch["views"]
    logits = jnp.tanh(batch["x"] @ variables["w"]) + first.sum((1, 2))[:, None]
    return {"logits": logits, "views": second, "label": batch["label"]}


def plain_loop(count):
    """One row after the other."""
    found = []
    for i in range(count):
        row = jax.tree.map(lambda x: np.asarray(x)[None], Rows(count)[i])
        found.append(outputs_of({"w": WEIGHTS}, row))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *found)


def assert_outputs(got, expected):
    assert got.keys() == expected.keys()
    for name in expected:
        assert isinstance(got[name], np.ndarray)
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("count", [1, 5, 8, 11])
def test_every_row_once_in_order_in_batches_of_one_size(count):
    rows, sizes = Rows(count), []

    def function(variables, batch):
        sizes.append(batch["label"].shape)  # as often as it is traced
        return outputs_of(variables, batch)

    got = map_batches(jax.jit(function), {"w": WEIGHTS}, rows, batch_size=4)
    assert_outputs(got, plain_loop(count))
    np.testing.assert_array_equal(got["label"], np.arange(count))
    assert sizes == [(4,)]
    assert set(rows.read) == set(range(count))
    # Filled up with copies of the last row, and none of the others is read twice.
    assert sorted(rows.read)[:count] == list(range(count))
    assert len(rows.read) == -(-count // 4) * 4


def test_no_rows_are_an_error():
    with pytest.raises(ValueError, match="no rows"):
        map_batches(jax.jit(outputs_of), {"w": WEIGHTS}, Rows(0), 4)


def map_on_the_mesh(folder, fsdp, model, count, batch_size):
    """What one process of several does; writes what it gets, and which rows it has read."""
    hosts.initialize()
    mesh = sharding.make_mesh(settings(mesh__fsdp=fsdp, mesh__model=model).mesh)
    where = NamedSharding(mesh, P(None, "model"))
    weights = jax.make_array_from_callback(WEIGHTS.shape, where, lambda index: WEIGHTS[index])
    rows, shapes = Rows(count), []

    def function(variables, batch):
        shapes.append(batch["x"].shape)
        return outputs_of(variables, batch)

    got = map_batches(jax.jit(function), {"w": weights}, rows, batch_size)
    index = jax.process_index()
    np.savez(Path(folder) / f"{index}.npz", **got, read=rows.read, shape=shapes[0])


@pytest.mark.parametrize(
    ("processes", "devices", "fsdp", "model", "batch_size", "global_batch"),
    [
        (1, 4, 2, 1, 6, 8),  # raised to a multiple of the devices
        (1, 4, 1, 2, 6, 6),  # two devices share each row, weights are split
        (2, 2, 2, 1, 4, 4),
        (2, 2, 1, 2, 4, 4),
    ],
)
def test_processes_and_devices_give_the_plain_loop(
    processes, devices, fsdp, model, batch_size, global_batch, tmp_path
):
    count = 21
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices)}
    if processes > 1:
        env["JAX_NUM_PROCESSES"] = str(processes)
        env["JAX_COORDINATOR_ADDRESS"] = f"127.0.0.1:{free_port()}"
    arguments = json.dumps([str(tmp_path), fsdp, model, count, batch_size])
    started = [
        subprocess.Popen(
            [sys.executable, __file__, arguments],
            env=env | ({"JAX_PROCESS_ID": str(i)} if processes > 1 else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(processes)
    ]
    try:
        for process in started:
            output, _ = process.communicate(timeout=120)
            assert process.returncode == 0, output
    finally:
        for process in started:
            process.kill()

    expected, read = plain_loop(count), []
    for i in range(processes):
        got = dict(np.load(tmp_path / f"{i}.npz"))
        read.append(got.pop("read").tolist())
        assert tuple(got.pop("shape")) == (global_batch, FEATURES)
        assert_outputs(got, expected)
    # Each process reads its own share, of batches that are filled up with the last row.
    batches = -(-count // global_batch)
    assert [len(own) for own in read] == [batches * global_batch // processes] * processes
    everything = sorted(i for own in read for i in own)
    assert everything == sorted([*range(count), *[count - 1] * (batches * global_batch - count)])


if __name__ == "__main__":
    map_on_the_mesh(*json.loads(sys.argv[1]))
