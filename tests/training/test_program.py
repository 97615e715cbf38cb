import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.training import sharding
from research.training.feed import Feed
from research.training.program import Program, eval_key
from tests.training.toy import Functions, Numbers, assert_same, build, settings


def program(experiment, steps_per_call=1):
    return Program(experiment, sharding.make_mesh(settings().mesh), steps_per_call)


def test_calls_of_any_length_are_single_steps():
    experiment = build(settings())
    step, traced = experiment.step, []

    def counted(*arguments):
        traced.append(1)
        return step(*arguments)

    experiment.step = counted
    one, many = program(experiment), program(experiment, 8)

    def run(program, lengths):
        feed = Feed(Numbers(), program.batch_sharding, program.steps_per_call)
        carry, losses = program.init(0), []
        for n in lengths:
            carry, metrics = program.advance(carry, feed.take(n, None), n)
            losses += list(np.asarray(metrics["loss"])[:n])
        return carry, losses

    single, losses = run(one, [1] * 20)
    once = 0
    for lengths in ([8, 8, 4], [1, 8, 3, 8], [5, 5, 5, 5]):
        grouped, same = run(many, lengths)
        assert_same(single, grouped)
        assert losses == same
        once = once or len(traced)
    assert len(traced) == once  # one program, whatever the length


def test_state_is_donated():
    """No step copies the state: the new one lies where the old one was."""
    p = program(
        Functions(
            lambda key: {"replay": jnp.zeros((1 << 16,), jnp.uint8)},
            lambda s, b, key: ({"replay": s["replay"].at[3].add(1)}, {}),
            10,
        )
    )
    carry = p.init(0)
    before = carry.state["replay"]
    place = before.unsafe_buffer_pointer()
    after, _ = p.advance(carry, None, 1)
    assert before.is_deleted()
    assert after.state["replay"].unsafe_buffer_pointer() == place


def test_implicit_transfers_are_errors():
    """A batch left on the host, or a closed-over NumPy array passed at every call, is refused."""
    experiment = build(settings())
    p = program(experiment)
    carry = p.init(0)
    rows = experiment.source(None)
    with pytest.raises(Exception, match="[Dd]isallowed host-to-device transfer"):
        p.advance(carry, rows, 1)


def test_nothing_is_built_where_it_does_not_belong():
    """Every array of the first state is a result of one compiled program with the final layout."""
    p = program(build(settings()))
    carry = p.init(0)
    jax.tree.map(
        lambda x, where: np.testing.assert_equal(x.sharding, where), carry, p.carry_sharding
    )
    shapes = jax.tree.map(lambda x: (x.shape, x.dtype), carry)
    assert shapes == jax.tree.map(lambda s: (s.shape, s.dtype), p.shapes)


def test_seeds_share_one_program():
    p = program(build(settings()))
    first, second = p.init(0), p.init(1)
    assert p._jit_init._cache_size() == 1
    assert not np.array_equal(
        first.state["net"].params["Dense_0"]["kernel"],
        second.state["net"].params["Dense_0"]["kernel"],
    )


def test_streams_of_keys_never_meet():
    """Keys of initialisation, of steps and of evaluations are all different."""

    def step(state, batch, key):
        return state, {f"key{i}": jax.random.key_data(key)[i] for i in range(2)}

    p = program(Functions(lambda key: {"key": jax.random.key_data(key)}, step, 9))
    seen = set()
    for seed in (0, 1):
        carry = p.init(seed)
        seen.add(tuple(np.asarray(carry.state["key"])))
        for t in range(4):
            key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 1), t)
            carry, metrics = p.advance(carry, None, 1)
            shown = tuple(float(metrics[f"key{i}"][0]) for i in range(2))
            assert shown == tuple(np.asarray(jax.random.key_data(key)).astype(np.float32))
            seen.add(tuple(np.asarray(jax.random.key_data(key))))
            seen.add(tuple(np.asarray(jax.random.key_data(eval_key(seed, t)))))
    assert len(seen) == 2 * (1 + 4 + 4)


def test_traced_from_shapes_alone():
    experiment = build(settings())
    traced = program(experiment).trace()
    assert experiment.source.read == []
    compiled = traced.lower().compile()
    assert compiled.memory_analysis().alias_size_in_bytes > 0  # donated
