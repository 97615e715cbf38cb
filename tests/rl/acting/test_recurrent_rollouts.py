"""What an agent with a memory is fed with, and what is noted of its play."""

import jax
import jax.numpy as jnp
import numpy as np

from research.papers.unreal.return_curve import ReturnCurve
from research.rl.acting import recurrent_rollouts
from research.rl.acting.actor import Actors
from research.rl.acting.recurrent_rollouts import RecurrentEnvironment
from research.rl.envs import probe_envs
from research.rl.envs.environments import StackFrames

N, T, U = 3, 9, 2


def played(name="probe_truncation", clip=0.5):
    """An agent that does 0 and 1 by turns and counts its steps in its memory."""
    env = RecurrentEnvironment(StackFrames(probe_envs.make(name, N), 1), U, clip)
    actors = Actors.start(env, jax.random.key(0))

    def act(seen, key):
        cell = jnp.where(seen.first[:, None], 0.0, seen.carry[0])
        return cell[:, 0].astype(jnp.int32) % 2, (cell + 1, seen.carry[1])

    def change(before, after):
        return (after.astype(int) - before).mean(axis=(1, 2, 3))

    return actors, *jax.jit(
        lambda a: recurrent_rollouts.collect_recurrent(env, a, act, change, jax.random.key(1), T)
    )(actors)


def test_fed_with_the_last_step_and_with_nothing_where_an_episode_begins():
    _, actors, steps, returned = played()
    seen = recurrent_rollouts.append_next(steps, actors.observation)
    ended = np.asarray(steps.terminated | steps.truncated)
    assert ended.any() and not ended.all() and seen.first[0].all()
    np.testing.assert_array_equal(seen.first[1:], ended)
    np.testing.assert_array_equal(seen.last_action[1:], np.where(ended, -1, steps.action))
    np.testing.assert_array_equal(seen.last_reward[1:], np.where(ended, 0, steps.reward))
    assert (seen.last_action[0] == -1).all() and (seen.last_reward[0] == 0).all()
    assert float(steps.reward.max()) == 0.5  # clipped, of 1
    # Episodes of four steps, whose last three are worth 1 each.
    assert returned[3].tolist() == [3] * N and jnp.isnan(returned[:3]).all()
    np.testing.assert_array_equal(~jnp.isnan(returned), ended)
    assert steps.inputs.carry[0][:, 0, 0].tolist() == [
        0,
        1,
        2,
        3,
        4,
        1,
        2,
        3,
        4,
    ]  # as it was before


def test_changes_are_of_one_episode():
    """From an episode's first picture to the others', and never back again to the next one's."""
    *_, steps, _ = played()
    assert set(np.asarray(steps.change).ravel().tolist()) == {0.0, 255.0}
    np.testing.assert_array_equal(steps.change == 255, steps.inputs.first)


def test_curve():
    curve = ReturnCurve.empty(4)
    nan = float("nan")
    for step, returned in ((0, [nan, nan]), (3, [1.0, 3.0]), (5, [nan, 5.0]), (7, [nan, nan])):
        curve = curve.add(jnp.array(returned), jnp.int32(step), 8)
    assert curve.means().tolist() == [0, 2, 5, 5]
