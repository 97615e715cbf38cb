import errno
import logging
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from research import training
from research.core.errors import UserError
from research.core.files import DiskError
from research.training.checkpoint import Checkpoints
from tests.training.toy import assert_same, build, records, settings, train

SHAPES = {
    "state": {
        "w": jax.ShapeDtypeStruct((3, 2), jnp.float32),
        "replay": jax.ShapeDtypeStruct((4,), jnp.uint8),
    },
    "step": jax.ShapeDtypeStruct((), jnp.int32),
}
LAYOUT = jax.tree.map(lambda _: jax.sharding.SingleDeviceSharding(jax.devices()[0]), SHAPES)


def tree(step):
    return {
        "state": {"w": jnp.full((3, 2), step, jnp.float32), "replay": jnp.ones(4, jnp.uint8)},
        "step": jnp.int32(step),
    }


def write(folder, steps, keep=2, best="", mode="min", metrics=None, **kwargs):
    checkpoints = Checkpoints(folder, keep, best, mode, **kwargs)
    for step in steps:
        checkpoints.save(step, tree(step), {"at": step})
        checkpoints.note(step, (metrics or {}).get(step, {}))
    checkpoints.close()


def read(folder, shapes=SHAPES, layout=LAYOUT, **kwargs):
    checkpoints = Checkpoints(folder, 2, "", "min", **kwargs)
    found = checkpoints.restore(shapes, layout)
    checkpoints.close()
    return found


def kept(folder):
    return sorted(int(path.name) for path in folder.iterdir())


def damage(folder, step, how):
    """Damages a checkpoint as a broken disk or a killed copy would."""
    data = sorted((folder / str(step) / "arrays").rglob("*"), key=lambda p: p.stat().st_size)
    files = [path for path in data if path.is_file()]
    if how == "truncated":
        for path in files:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "emptied":
        for path in files:
            path.write_bytes(b"")
    elif how == "removed":
        shutil.rmtree(folder / str(step) / "arrays")
    elif how == "note":
        (note,) = (folder / str(step) / "extra").glob("*metadata")
        note.write_bytes(note.read_bytes()[:-5])
    elif how == "a digit of the note":
        (note,) = (folder / str(step) / "extra").glob("*metadata")
        note.write_text(note.read_text().replace('at\\": 7', 'at\\": 6'))
    elif how == "a shape in the note":
        (note,) = (folder / str(step) / "extra").glob("*metadata")
        note.write_text(note.read_text().replace("[3, 2]", "[3, 4]"))
    elif how == "another step's":
        shutil.rmtree(folder / str(step))
        shutil.copytree(folder / "3", folder / str(step))
    elif how == "largest":
        largest = files[-1]
        largest.write_bytes(largest.read_bytes()[:-20])


def test_a_saved_tree_comes_back_bit_identical(tmp_path):
    write(tmp_path, [3, 7])
    step, restored, extra = read(tmp_path)
    assert step == 7 and extra == {"at": 7}
    assert_same(tree(7), restored)


def test_nothing_saved_is_no_checkpoint(tmp_path):
    assert read(tmp_path) is None


def test_keeps_the_newest(tmp_path):
    write(tmp_path, range(1, 8), keep=3)
    assert kept(tmp_path) == [5, 6, 7]


@pytest.mark.parametrize(("mode", "best"), [("min", 2), ("max", 5)])
def test_keeps_the_best_beside_the_newest(tmp_path, mode, best):
    errors = {1: 0.5, 2: 0.1, 3: 0.3, 5: 0.9, 6: float("nan"), 8: 0.4, 9: 0.4}
    metrics = {step: {"test/error": error, "other": 0.0} for step, error in errors.items()}
    write(tmp_path, range(1, 10), 2, "test/error", mode, metrics)
    assert kept(tmp_path) == sorted({best, 8, 9})


def test_donating_a_tree_after_save_leaves_the_checkpoint_alone(tmp_path):
    """`save` returns before the file is written; the buffers may be used again at once."""
    overwrite = jax.jit(lambda tree: jax.tree.map(lambda x: x * 0 - 1, tree), donate_argnums=0)
    checkpoints = Checkpoints(tmp_path, 9, "", "min")
    large = {"x": jnp.arange(2**21, dtype=jnp.float32)}
    for step in range(1, 6):
        array = jax.tree.map(lambda x, n=step: x + n, large)
        checkpoints.save(step, array, {})
        jax.block_until_ready(overwrite(array))
    shapes = jax.eval_shape(lambda: large)
    layout = {"x": LAYOUT["step"]}
    checkpoints.manager.wait_until_finished()
    _, restored, _ = checkpoints.restore(shapes, layout)
    checkpoints.close()
    np.testing.assert_array_equal(restored["x"], np.arange(2**21, dtype=np.float32) + 5)


@pytest.mark.parametrize(
    "how",
    [
        *("truncated", "emptied", "removed", "note", "largest"),
        *("a digit of the note", "a shape in the note", "another step's"),
    ],
)
def test_a_damaged_newest_is_named_and_the_one_before_is_used(tmp_path, caplog, how):
    write(tmp_path, [3, 7])
    damage(tmp_path, 7, how)
    step, restored, extra = read(tmp_path)
    assert step == 3 and extra == {"at": 3}
    assert_same(tree(3), restored)
    assert f"checkpoint {tmp_path / '7'} is damaged and is not used" in caplog.text
    assert kept(tmp_path) == [3]  # so that step 7 can be saved again
    write(tmp_path, [7])
    assert read(tmp_path)[0] == 7


def test_a_single_changed_bit_is_noticed(tmp_path, caplog):
    """Wherever it is: the files of arrays have no checksum of their own."""
    w = np.random.default_rng(0).normal(size=(300, 200)).astype(np.float32)
    shapes, layout = {"w": jax.ShapeDtypeStruct(w.shape, w.dtype)}, {"w": LAYOUT["step"]}
    checkpoints = Checkpoints(tmp_path / "good", 2, "", "min")
    for step in (1, 2):
        checkpoints.save(step, {"w": jnp.asarray(w)}, {})
    checkpoints.close()
    random = np.random.default_rng()
    for i in range(8):
        folder = tmp_path / str(i)
        shutil.copytree(tmp_path / "good", folder)
        data = max((folder / "2").rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
        content = bytearray(data.read_bytes())
        at, bit = random.integers(len(content)), random.integers(8)
        content[at] ^= 1 << bit
        data.write_bytes(content)
        caplog.clear()
        step, restored, _ = read(folder, shapes, layout)
        np.testing.assert_array_equal(restored["w"], w, err_msg=f"bit {bit} of byte {at}")
        assert step == 1 and "2 is damaged and is not used" in caplog.text, (at, bit)


def failing(*failures):
    """A read that fails the first times, and is then what it was."""
    read, left = ocp.StandardCheckpointHandler.restore, list(failures)

    def restore(self, *args, **kwargs):
        if left:
            raise left.pop(0)
        return read(self, *args, **kwargs)

    return restore


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.EIO, os.strerror(errno.EIO)),
        OSError(errno.ESTALE, os.strerror(errno.ESTALE)),
        ValueError("PERMISSION_DENIED: Error opening local file [OS error 13: Permission denied]"),
        MemoryError("cannot allocate"),
    ],
)
def test_a_disk_that_fails_is_no_damage(tmp_path, failure, monkeypatch):
    write(tmp_path, [3, 7])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr(ocp.StandardCheckpointHandler, "restore", failing(failure))
    with pytest.raises(DiskError, match=f"checkpoint {tmp_path / '7'} cannot be read"):
        read(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert read(tmp_path)[0] == 7


def test_a_checkpoint_of_an_earlier_version_is_refused(tmp_path):
    write(tmp_path, [3])
    (note,) = (tmp_path / "3" / "extra").glob("*metadata")
    note.write_text('{"source": null, "sums": {}, "arrays": {}, "digest": {}}')
    with pytest.raises(UserError, match="written by an earlier version"):
        read(tmp_path)


def test_all_damaged_is_an_error(tmp_path):
    write(tmp_path, [3, 7])
    damage(tmp_path, 3, "truncated")
    damage(tmp_path, 7, "truncated")
    with pytest.raises(UserError, match=f"every checkpoint in {tmp_path} is damaged"):
        read(tmp_path)
    assert kept(tmp_path) == [3, 7]  # nothing is removed that someone may want to look at


def test_a_checkpoint_that_was_never_finished_is_not_one(tmp_path, caplog):
    write(tmp_path, [3, 7])
    finished = tmp_path / "7"
    finished.rename(tmp_path / "7.orbax-checkpoint-tmp-1")
    caplog.set_level(logging.WARNING, "landmarks")
    assert read(tmp_path)[0] == 3
    assert "damaged" not in caplog.text


def test_another_configuration_is_refused_with_the_differing_paths(tmp_path):
    write(tmp_path, [3, 7])
    other = {
        "state": {
            "w": jax.ShapeDtypeStruct((3, 4), jnp.float32),
            "target": jax.ShapeDtypeStruct((2,), jnp.float32),
            "replay": SHAPES["state"]["replay"],
        },
        "step": SHAPES["step"],
    }
    layout = jax.tree.map(lambda _: LAYOUT["step"], other)
    with pytest.raises(UserError) as error:
        read(tmp_path, other, layout)
    assert "2 arrays differ" in str(error.value)
    assert "state/w: saved float32[3, 2], this run float32[3, 4]" in str(error.value)
    assert "state/target: saved none, this run float32[2]" in str(error.value)
    assert kept(tmp_path) == [3, 7]


def test_a_different_type_is_another_configuration(tmp_path):
    write(tmp_path, [1])
    other = {**SHAPES, "step": jax.ShapeDtypeStruct((), jnp.uint32)}
    with pytest.raises(UserError, match="step: saved int32.*this run uint32"):
        read(tmp_path, other)


def test_restores_onto_the_given_layout(tmp_path):
    write(tmp_path, [1])
    mesh = training.sharding.make_mesh(settings().mesh)
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    _, restored, _ = read(tmp_path, layout=jax.tree.map(lambda _: split, SHAPES))
    assert {leaf.sharding for leaf in jax.tree.leaves(restored)} == {split}


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(tmp_path, caplog):
    config = settings(checkpoint_every_steps=10)
    whole = train(build(config), config, tmp_path)
    lines = records(tmp_path)
    damage(tmp_path / "checkpoints", 40, "truncated")
    again = train(build(config), config, tmp_path)
    assert "is damaged" in caplog.text
    assert_same(whole, again)
    assert records(tmp_path) == lines


def test_a_run_of_another_width_is_refused(tmp_path):
    config = settings()
    train(build(config), config, tmp_path)
    lines = records(tmp_path)
    with pytest.raises(UserError, match="net/params/Dense_0/kernel|net/opt_state") as error:
        train(build(config, width=9), config, tmp_path)
    assert "another configuration" in str(error.value)
    assert records(tmp_path) == lines
    longer = build(config, num_steps=50)
    train(longer, config, tmp_path)  # a longer run of the same state may go on
    assert records(tmp_path)[: len(lines)] == lines
