"""The walker as an environment: what it sees, what ends an episode, how far it gets."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.papers.locomotion_ppo.planar_track import SEEN, PlanarTrack
from research.papers.locomotion_ppo.terrain import START, make_tracks
from research.papers.locomotion_ppo.tracks import play_tracks
from research.rl.envs.environments import Vectorized

FLAT = make_tracks(0, 4, (), (0, 0), 20.0)
VARIED = make_tracks(0, 4, ("hurdles", "gaps"), (0, 1), 20.0)


@pytest.fixture(scope="module")
def advance():
    env = PlanarTrack(VARIED, 100)
    return env, jax.jit(env.advance)


def limp(observation, key):
    return jnp.zeros((len(observation), 6))


def at(env, x, z=1.2, **changes):
    """The state of a walker that stands at x."""
    _, env_state = env.begin(jax.random.key(0), jnp.int32(1))
    pose = env_state.pose
    pose = pose._replace(root=pose.root.at[:2].set(jnp.array([x, z])))
    return env_state.replace(pose=pose, **changes)


def test_exteroception_is_the_ground_around_and_ahead(advance):
    env, _ = advance
    for x in (START, 7.3, 15.1):
        seen = env.observe(at(env, x))
        assert seen.shape == env.observation_space.shape == (env.proprioception + 25,)
        expected = np.interp(x + SEEN, 0.1 * np.arange(201), VARIED.heights[1, 0])
        expected = np.maximum(expected, -0.5) - 1.2  # deeper it cannot tell
        np.testing.assert_allclose(seen[env.proprioception :], expected, atol=1e-3)
        # The body itself does not know where it is, and the blind see nothing else.
        np.testing.assert_array_equal(
            seen[: env.proprioception], env.observe(at(env, START))[: env.proprioception]
        )
        blind = dataclasses.replace(env, blind=True)
        np.testing.assert_array_equal(blind.observe(at(env, x)), seen[: env.proprioception])
        assert blind.exteroception == 0


def test_what_ends_an_episode(advance):
    env, step = advance
    still = jnp.zeros(6)
    hole = 0.1 * np.flatnonzero(VARIED.heights[1, 0] < -1)[1]

    def ended(env_state):
        *_, terminated, truncated = step(env_state, still)
        return bool(terminated), bool(truncated)

    assert ended(at(env, START)) == (False, False)
    squat = at(env, START, z=0.6)
    joints = jnp.array([1.8, -2.5, 0.7])[:, None] * jnp.ones(2)
    assert ended(squat.replace(pose=squat.pose._replace(joints=joints))) == (True, False)
    assert ended(at(env, hole, z=0.5)) == (True, False)  # a foot in a gap
    assert ended(at(env, hole, z=1.4)) == (False, False)  # above it
    assert ended(at(env, START, time=jnp.int32(99))) == (False, True)
    assert ended(at(env, 19.05)) == (False, True)
    lying = at(env, START, z=2.0)
    lying = lying.replace(pose=lying.pose._replace(root=lying.pose.root.at[2].set(-1.3)))
    assert ended(lying) == (True, False)


def test_reward_is_the_way_forward_less_costs(advance):
    env, step = advance
    action = jnp.array([0.5, -0.5, 1.0, 3.0, 0.0, 0.0])  # clipped at 1
    before = at(env, START)
    _, after, reward, *_ = step(before, action)
    forward = after.pose.root[0] - before.pose.root[0]
    costs = 0.02 * (0.25 + 0.25 + 1 + 1) - 0.1 * np.cos(after.pose.root[2])
    np.testing.assert_allclose(reward, forward - 0.025 * costs, atol=1e-5)
    np.testing.assert_array_equal(step(before, jnp.clip(action, -1, 1))[2], reward)


def test_copies_are_reset_one_by_one_and_keep_their_last_observation():
    env = Vectorized(PlanarTrack(VARIED, 12), 8)
    step = jax.jit(env.step)
    observation, env_state = jax.jit(env.reset)(jax.random.key(0))
    assert len(np.unique(env_state.track)) > 1
    ends = 0
    for t in range(30):
        action = jax.random.normal(jax.random.key(t), (8, 6))
        observation, env_state, reward, terminated, truncated, info = step(
            jax.random.key(t), env_state, action
        )
        done = np.asarray(terminated | truncated)
        ends += done.sum()
        assert not (terminated & truncated).any()
        np.testing.assert_array_equal(env_state.time == 0, done)
        final = np.asarray(info["final_observation"])
        assert (final[~done] == np.asarray(observation)[~done]).all()
        assert (final[done] != np.asarray(observation)[done]).any(axis=1).all()
        np.testing.assert_array_equal(np.asarray(env_state.pose.root[:, 0])[done], START)
    assert ends >= 16


def test_distance_ends_with_the_fall():
    env = PlanarTrack(FLAT, 60)
    distance, states = jax.jit(lambda key: play_tracks(env, limp, key))(jax.random.key(0))
    x = np.asarray(states.pose.root[..., 0])
    assert x.shape == (61, 4)
    np.testing.assert_allclose(distance, x[-1] - START, atol=1e-5)
    time = np.asarray(states.time[-1])
    assert (time < 60).all()  # limp bodies fall
    for i, last in enumerate(time):
        assert (x[last:, i] == x[last, i]).all() and x[last - 1, i] != x[last, i]
