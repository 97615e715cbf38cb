"""Goal tasks: bit flipping, reaching and pushing keep to their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.papers.her import point_mass
from research.papers.her.bit_flipping import BitFlipping
from research.papers.her.point_mass import Push, Reach
from research.rl.envs import goals
from research.rl.envs.environments import Vectorized

TASKS = {"bits": BitFlipping(6), "reach": Reach(), "push": Push()}
N = 8


def played(task, num_envs=N, seed=0):
    """Episodes of a random policy."""

    def act(observation, key):
        if task.num_actions:
            return jax.random.randint(key, (num_envs,), 0, task.num_actions)
        return jax.random.uniform(key, (num_envs, task.action_size), minval=-1.5, maxval=1.5)

    env = Vectorized(task, num_envs)
    episode = jax.jit(lambda key: goals.play(env, task.horizon, act, key))(jax.random.key(seed))
    return jax.tree.map(np.asarray, episode)


@pytest.mark.parametrize("name", TASKS)
def test_protocol(name):
    task = TASKS[name]
    env = Vectorized(task, N)
    assert (env.num_actions == 0) != (env.action_size == 0)
    observation, state = env.reset(jax.random.key(0))
    step = jax.jit(env.step)
    zeros = jnp.zeros((N, task.action_size)) if task.action_size else jnp.zeros(N, jnp.int32)
    for t in range(1, 2 * task.horizon + 1):
        assert observation.shape == (N, *task.observation_space.shape)
        before, goal = observation, observation[:, -task.goal_size :]
        observation, state, reward, terminated, truncated, info = step(
            jax.random.key(t), state, zeros
        )
        assert not terminated.any()
        assert (truncated == (t % task.horizon == 0)).all()
        final = info["final_observation"]
        np.testing.assert_array_equal(final[:, -task.goal_size :], goal)
        np.testing.assert_array_equal(reward, task.reward(task.achieved_goal(final), goal))
        if truncated.any():  # another episode
            assert (observation[:, -task.goal_size :] != before[:, -task.goal_size :]).any()
        else:
            np.testing.assert_array_equal(observation, final)


@pytest.mark.parametrize("name", TASKS)
def test_play_is_one_whole_episode(name):
    task = TASKS[name]
    episode = played(task)
    assert episode.observation.shape[:2] == (N, task.horizon + 1)
    goal = episode.observation[..., -task.goal_size :]
    assert (goal == goal[:, :1]).all() and (goal[0] != goal[1]).any()
    achieved = task.achieved_goal(episode.observation[:, 1:])
    np.testing.assert_array_equal(episode.reward, task.reward(achieved, goal[:, 1:]))


def test_success_is_counted_over_episodes():
    reward = np.full((4, 3), -1.0)
    reward[0, 1] = reward[1, 2] = reward[2, :] = 0
    counted = goals.success(goals.Episode(None, None, jnp.asarray(reward)))
    assert counted["success"] == 0.75 and counted["success_at_end"] == 0.5


def test_an_action_flips_its_bit_alone():
    episode = played(TASKS["bits"])
    bits = episode.observation[..., :6]
    for i in range(N):
        for t in range(6):
            expected = bits[i, t].copy()
            expected[episode.action[i, t]] = 1 - expected[episode.action[i, t]]
            np.testing.assert_array_equal(bits[i, t + 1], expected)
    assert set(np.unique(episode.observation)) == {0.0, 1.0}
    # First states and goals are uniform: every bit of them within 5 standard deviations.
    first = played(TASKS["bits"], 2000).observation[:, 0]
    assert (abs(first.mean(axis=0) - 0.5) < 5 * 0.5 / 2000**0.5).all()


def test_flipping_every_wrong_bit_meets_the_goal_and_goes_on():
    env = Vectorized(TASKS["bits"], N)

    def act(observation, key):
        return (observation[:, :6] != observation[:, 6:]).argmax(axis=1)

    episode = goals.play(env, 6, act, jax.random.key(1))
    wrong = np.asarray((episode.observation[:, 0, :6] != episode.observation[:, 0, 6:]).sum(axis=1))
    for i, count in enumerate(wrong):
        assert (episode.reward[i, : max(count - 1, 0)] == -1).all()
        if 0 < count:
            assert episode.reward[i, count - 1] == 0
    assert goals.success(episode)["success"] == 1


def test_gripper_and_puck_move_as_documented():
    episode = played(TASKS["push"], 64)
    gripper, puck, relative, _ = np.split(episode.observation, 4, axis=-1)
    np.testing.assert_allclose(relative, puck - gripper, atol=1e-6)
    moved = np.diff(gripper, axis=1)
    free = np.clip(episode.action, -1, 1) * point_mass.REACH
    inside = (abs(gripper[:, :-1] + free) < point_mass.TABLE).all(axis=-1)
    np.testing.assert_allclose(moved[inside], free[inside], atol=1e-6)
    assert (abs(gripper) <= point_mass.TABLE).all() and (abs(puck) <= point_mass.TABLE).all()
    # The puck is never inside of the gripper but where the table's edge holds it,
    distance = np.linalg.norm(puck - gripper, axis=-1)
    at_edge = (abs(puck) >= point_mass.TABLE - 1e-6).any(axis=-1)
    assert (distance[~at_edge] >= point_mass.CONTACT - 1e-5).all()
    # and moves when it was touched, and only then.
    pushed = (np.diff(puck, axis=1) != 0).any(axis=-1)
    far = distance[:, :-1] > point_mass.CONTACT + 2**0.5 * point_mass.REACH
    assert not pushed[far].any() and pushed.any()


def test_a_straight_push_moves_the_puck_straight():
    observation = jnp.array([-0.1, 0, 0, 0, 0.1, 0, 0.2, 0.2])
    _, state = goals.begin(observation)
    for t in range(4):
        _, state, *_ = Push().step(jax.random.key(t), state, jnp.array([1.0, 0.0]))
    np.testing.assert_allclose(state.observation[:4], [0.1, 0, 0.15, 0], atol=1e-6)


@pytest.mark.parametrize("kind", [Reach, Push])
def test_no_goal_is_met_at_the_start_and_all_others_are_drawn(kind):
    task = kind()
    seen = np.asarray(
        jax.jit(jax.vmap(lambda key: task.reset(key)[0]))(jax.random.split(jax.random.key(0), 4000))
    )
    goal, achieved = seen[:, -2:], np.asarray(task.achieved_goal(seen))
    assert (np.linalg.norm(goal - achieved, axis=1) > task.tolerance).all()
    assert (np.abs(goal) <= point_mass.INNER).all()
    # A quarter of the goals in each quarter of the square, but for what is left out.
    quarter = (goal > 0) @ [1, 2]
    assert np.abs(np.bincount(quarter) / 4000 - 0.25).max() < 0.03
