import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, NamedSharding
from jax.sharding import PartitionSpec as P

from research import training
from research.core.errors import UserError
from research.core.partition import BATCH_SPEC
from research.core.tree import count_parameters, named_leaves
from research.training import sharding
from tests.training.toy import TENSOR, Numbers, build, settings


def mesh_config(data=-1, fsdp=1, model=1):
    return settings(mesh__data=data, mesh__fsdp=fsdp, mesh__model=model).mesh


def abstract(data, fsdp=1, model=1):
    return AbstractMesh((data, fsdp, model), sharding.AXES)


@pytest.fixture
def eight(monkeypatch):
    """Eight devices that only `make_mesh` sees."""
    monkeypatch.setattr(jax, "make_mesh", lambda sizes, *_, **__: tuple(sizes))
    return [types.SimpleNamespace(id=i) for i in range(8)]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({}, (8, 1, 1)),
        ({"fsdp": 2}, (4, 2, 1)),
        ({"data": 1, "fsdp": -1, "model": 4}, (1, 2, 4)),
        ({"data": 2, "fsdp": 2, "model": 2}, (2, 2, 2)),
    ],
)
def test_one_axis_takes_what_is_left(eight, sizes, expected):
    assert sharding.make_mesh(mesh_config(**sizes), eight) == expected


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"data": 3}, "data=3 x fsdp=1 x model=1 does not match the 8 devices"),
        ({"fsdp": 3}, "does not match the 8 devices"),
        ({"data": 4}, "does not match the 8 devices"),
        ({"data": 16}, "does not match the 8 devices"),
        ({"data": -1, "fsdp": -1}, "every axis is a positive number, or -1 for one axis"),
        ({"data": 0}, "every axis is a positive number"),
        ({"model": -2}, "every axis is a positive number"),
    ],
)
def test_meshes_that_do_not_match(eight, sizes, said):
    with pytest.raises(UserError, match=said) as error:
        sharding.make_mesh(mesh_config(**sizes), eight)
    assert "\n" not in str(error.value)


def test_paths_are_named_by_keys_fields_and_indices():
    config = settings()
    names = named_leaves(jax.eval_shape(build(config).init, jax.random.key(0)))
    assert "net/params/Dense_0/kernel" in names
    assert "net/opt_state/0/mu/Dense_1/bias" in names
    assert "seen" in names


SHAPES = {
    "a": {"kernel": jax.ShapeDtypeStruct((8, 6), jnp.float32)},
    "b": {"kernel": jax.ShapeDtypeStruct((4, 2), jnp.float32)},
}


def specs(rules, mesh):
    layout = sharding.state_sharding(SHAPES, rules, mesh)
    return {name: where.spec for name, where in named_leaves(layout).items()}


def test_the_first_rule_that_is_found_wins():
    rules = (("^a/", P("fsdp")), ("kernel", P(None, "model")), ("a/kernel", P("model")))
    assert specs(rules, abstract(1, 2, 2)) == {"a/kernel": P("fsdp"), "b/kernel": P(None, "model")}
    assert specs((), abstract(1, 2, 2)) == {"a/kernel": P(), "b/kernel": P()}


def test_optimizer_states_follow_their_parameters():
    config = settings()
    shapes = jax.eval_shape(build(config).init, jax.random.key(0))
    layout = named_leaves(sharding.state_sharding(shapes, TENSOR, abstract(1, 2, 2)))
    kernels = {name: where.spec for name, where in layout.items() if "Dense_0/kernel" in name}
    assert len(kernels) == 3 and set(kernels.values()) == {P("fsdp", "model")}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ((("a/kernel", P(None, "model")),), r"a/kernel \[8, 6\].* 6 cannot be split 4 ways"),
        ((("b/kernel", P(("fsdp", "model"))),), r"b/kernel \[4, 2\].* 4 cannot be split 8 ways"),
        ((("b", P("fsdp", None, "model")),), "splits 3 dimensions of b/kernel"),
    ],
)
def test_rules_that_do_not_divide(rules, said):
    with pytest.raises(UserError, match=said):
        specs(rules, abstract(1, 2, 4))


@pytest.mark.parametrize(
    ("rows", "mesh", "parts", "fits"),
    [
        (16, abstract(4), 4, True),
        (16, abstract(4, 2, 3), 2, True),
        (16, abstract(4, 2, 1), 4, False),
        (12, abstract(8), 1, False),
        (3, abstract(1), 2, False),
    ],
)
def test_batches_divide_over_devices_and_micro_batches(rows, mesh, parts, fits):
    source = Numbers(rows=(rows,))
    if fits:
        sharding.check_batch(source, mesh, parts)
        return
    with pytest.raises(UserError, match=rf"batch of {rows} \(x\) does not divide by"):
        sharding.check_batch(source, mesh, parts)


def test_every_size_of_batch_is_checked():
    """Against laying every one out, and taking it apart; the largest alone would say yes."""
    rng, told = np.random.default_rng(0), set()
    for _ in range(300):
        mesh, parts = abstract(*rng.integers(1, 4, 3)), int(rng.integers(1, 4))
        source = Numbers(rows=tuple(int(n) for n in 6 * rng.integers(1, 13, rng.integers(1, 4))))
        source.sized_by = "rows.multiple"
        where, fits = NamedSharding(mesh, BATCH_SPEC), []
        for rows in source.rows:
            try:
                own = where.shard_shape((rows, 3))[0]
                fits.append(np.zeros(own).reshape(own // parts, parts).size == own)
            except ValueError:
                fits.append(False)
        told.add((all(fits), fits[int(np.argmax(source.rows))]))
        if all(fits):
            sharding.check_batch(source, mesh, parts)
            continue
        ways = parts * mesh.shape["data"] * mesh.shape["fsdp"]
        with pytest.raises(UserError, match=f"make rows.multiple a multiple of {ways},"):
            sharding.check_batch(source, mesh, parts)
    assert told == {(True, True), (False, True), (False, False)}


def test_parameters_are_counted_by_learner_without_optimizer_and_average():
    config = settings()
    state = jax.eval_shape(build(config, ema_decay=0.9).init, jax.random.key(0))
    count = 4 * 8 + 8 + 8 + 1
    assert count_parameters(state) == {"net": count}
    pair = {"generator": state["net"], "discriminator": state["net"], "pool": jnp.zeros(9)}
    assert count_parameters(pair) == {"generator": count, "discriminator": count}
    assert count_parameters(state["net"]) == {"": count}


def test_a_split_state_holds_what_a_whole_one_does():
    config = settings()
    mesh = sharding.make_mesh(config.mesh)
    experiment = build(config, rules=TENSOR)
    p = training.program.Program(experiment, mesh)
    whole = jax.jit(p._init)(np.uint32(0))
    jax.tree.map(np.testing.assert_array_equal, p.init(0), whole)


def test_what_the_mesh_does_not_divide_stays_whole_where_it_may():
    """`soft_rules` are taken as far as they divide, `rules` are errors where they do not."""
    shapes = {
        name: jax.ShapeDtypeStruct(shape, jnp.float32)
        for name, shape in {"env": (16, 3), "few": (3,), "time": ()}.items()
    }
    mesh, splits = abstract(8), [(".", P("data"))]
    found = sharding.state_sharding(shapes, (), mesh, splits)
    assert {name: x.spec for name, x in found.items()} == {
        "env": P("data"),
        "few": P(),
        "time": P(),
    }
    with pytest.raises(UserError, match="cannot be split 8 ways"):
        sharding.state_sharding({"few": shapes["few"]}, splits, mesh)
    first = sharding.state_sharding(shapes, [("env", P())], mesh, splits)
    assert first["env"].spec == P()
