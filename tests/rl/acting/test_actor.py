"""One step of the environments: what learning sees of it, in rollouts and segments alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.rl.acting.actor import Actors, act
from research.rl.acting.distributions import Categorical
from research.rl.acting.recurrent_rollouts import RecurrentEnvironment, collect_recurrent
from research.rl.acting.rollouts import Collector
from research.rl.envs.environments import StackFrames, Vectorized
from research.rl.replay.segments import collect_segment
from research.rl.retrace import v_trace

N, T, GAMMA = 2, 12, 0.9
LIFE, EPISODE = 3, 6  # steps


class Lives:
    """Two lives of three steps each; every step is worth 2."""

    num_actions, action_size = 2, 0
    observation_space = jax.ShapeDtypeStruct((1,), jnp.float32)

    def reset(self, key):
        return jnp.zeros(1), jnp.int32(0)

    def step(self, key, env_state, action):
        time = env_state + 1
        terminated = time == EPISODE
        after = jnp.full((1,), time, jnp.float32)
        info = {"final_observation": after, "life_lost": (time % LIFE == 0) & ~terminated}
        time = jnp.where(terminated, 0, time)
        observation = jnp.where(terminated, 0.0, after)
        return observation, time, jnp.float32(2.0), terminated, jnp.zeros((), bool), info


def policy(observation):
    return Categorical(jnp.zeros((len(observation), 2)))


def of_rollouts(env, **settings):
    collector = Collector(env, T, GAMMA, 1.0, **settings)
    actors = collector.init(jax.random.key(0))
    run = jax.jit(lambda a, k: collector.run(a, lambda x: (policy(x), jnp.zeros(len(x))), k))
    return run(actors, jax.random.key(1))[1]


def of_segments(env, **settings):
    actors = Actors.start(env, jax.random.key(0))
    run = jax.jit(lambda a, k: collect_segment(env, a, policy, k, T, **settings))
    return run(actors, jax.random.key(1))[1]


def of_single_steps(env, **settings):
    actors = Actors.start(env, jax.random.key(0))

    def body(actors, key):
        return act(env, actors, lambda x, key: (policy(x).sample(key), None), key, **settings)

    return jax.lax.scan(body, actors, jax.random.split(jax.random.key(1), T))[1]


MAKERS = (of_rollouts, of_segments, of_single_steps)


@pytest.mark.parametrize("collect", MAKERS)
@pytest.mark.parametrize("ends", [True, False])
def test_a_lost_life_is_an_end_for_learning_wherever_steps_are_collected(collect, ends):
    env = StackFrames(Vectorized(Lives(), N), 1)
    steps = collect(env, life_loss_ends=ends, reward_clip=1.0)
    period = LIFE if ends else EPISODE
    over = (np.arange(1, T + 1) % period == 0)[:, None] & np.ones(N, bool)
    np.testing.assert_array_equal(steps.done, over)
    np.testing.assert_array_equal(steps.terminated, over)
    assert (np.asarray(steps.reward) == 1).all()


@pytest.mark.parametrize("collect", [of_segments, of_single_steps])
def test_the_game_and_its_return_go_on_over_all_lives(collect):
    env = StackFrames(Vectorized(Lives(), N), 1)
    steps = collect(env, life_loss_ends=True, reward_clip=1.0)
    over = np.arange(1, T + 1) % EPISODE == 0
    np.testing.assert_array_equal(steps.reset[:, 0], over)
    if collect is of_single_steps:
        expected = np.where(over, 2.0 * EPISODE, np.nan)  # in the game's own rewards
        np.testing.assert_array_equal(steps.episode_return[:, 0], expected)


def test_a_memory_outlives_a_life_and_no_episode():
    env = RecurrentEnvironment(StackFrames(Vectorized(Lives(), N), 1), 2)
    actors = Actors.start(env, jax.random.key(0))
    _, steps, returns = collect_recurrent(
        env,
        actors,
        lambda seen, key: (jnp.zeros(N, jnp.int32), seen.carry),
        lambda *_: None,
        jax.random.key(1),
        T,
        life_loss_ends=True,
    )
    np.testing.assert_array_equal(steps.terminated[:, 0], np.arange(1, T + 1) % LIFE == 0)
    np.testing.assert_array_equal(steps.inputs.first[:, 0], np.arange(T) % EPISODE == 0)
    np.testing.assert_array_equal(np.isfinite(returns[:, 0]), np.arange(1, T + 1) % EPISODE == 0)


def test_corrections_of_one_life_do_not_reach_the_one_before():
    """V-trace of a segment equals that of lives which are episodes of their own."""
    env = StackFrames(Vectorized(Lives(), N), 1)
    segment = of_segments(env, life_loss_ends=True)
    value = jax.random.normal(jax.random.key(2), (T, N))
    next_value = jax.random.normal(jax.random.key(3), (T, N))
    ratio = jnp.ones((T, N))

    def targets(steps):
        rows = (segment.reward, value, next_value, ratio, segment.terminated, segment.done)
        return v_trace(*(x[steps] for x in rows), GAMMA).target

    whole = targets(slice(None))
    for start in range(0, T, LIFE):
        life = slice(start, start + LIFE)
        np.testing.assert_allclose(whole[life], targets(life), rtol=1e-6)


def test_the_scale_of_rewards_sums_over_a_life_as_in_baselines():
    """Baselines' `VecNormalize` sees the `done` of `EpisodicLifeEnv`."""
    env = StackFrames(Vectorized(Lives(), N), 1)
    collector = Collector(
        env, 5, GAMMA, 1.0, life_loss_ends=True, reward_clip=1.0, normalize_rewards=True
    )
    actors, *_ = collector.collect(
        collector.init(jax.random.key(0)),
        lambda x: (policy(x), jnp.zeros(len(x))),
        jax.random.key(1),
    )
    np.testing.assert_allclose(actors.reward_scale.total, 1 + GAMMA)  # the second life's two steps
