"""Which pairs of an expert's episodes are kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.rl import demonstrations
from research.rl.envs.environments import Vectorized

LENGTH = 23


class Clock:
    """Observations (how long the episode is to be, steps so far); it ends after 5 to 23 steps."""

    num_actions, action_size = 100, 0
    observation_space = jax.ShapeDtypeStruct((2,), jnp.float32)

    def reset(self, key):
        start = jnp.stack([jax.random.randint(key, (), 5, LENGTH + 1), 0]).astype(jnp.float32)
        return start, start

    def step(self, key, env_state, action):
        after = env_state + jnp.array([0.0, 1.0])
        over = after[1] >= after[0]
        fresh, _ = self.reset(key)
        seen = jnp.where(over, fresh, after)
        false = jnp.zeros((), bool)
        return seen, seen, 0.0, over, false, {"final_observation": after, "life_lost": false}


@pytest.mark.parametrize(("every", "most"), [(1, LENGTH), (4, 10)])
def test_every_nth_pair_of_the_first_episode_from_a_random_offset(every, most):
    env = Vectorized(Clock(), 200)
    got = jax.jit(
        lambda key: demonstrations.record(
            env,
            lambda seen, key: seen[:, 1].astype(int) + 7,
            key,
            max_steps=most,
            every_steps=every,
        )
    )(jax.random.key(0))
    empty = demonstrations.blank(env, most, every)
    assert jax.tree.map(jnp.shape, got) == jax.tree.map(jnp.shape, empty)
    assert jax.tree.map(jnp.result_type, got) == jax.tree.map(jnp.result_type, empty)
    offsets = set()
    for seen, action, present in zip(*map(np.asarray, got), strict=True):
        if not present.any():  # an episode of fewer steps than its offset
            continue
        length, offset = seen[0, 0], int(seen[0, 1])
        expected = np.arange(offset, min(length, most), every)
        np.testing.assert_array_equal(seen[present, 1], expected)
        np.testing.assert_array_equal(seen[present, 0], length)  # of no later episode
        np.testing.assert_array_equal(action[present], expected + 7)
        offsets.add(offset)
    assert offsets == set(range(every))
