"""Particle reaching, and what families of tasks have in common."""

import jax
import jax.numpy as jnp
import numpy as np

from research.papers.one_shot_imitation.particle_reaching import (
    REACH,
    Landmark,
    ParticleReaching,
    ParticleState,
)
from research.papers.one_shot_imitation.task_families import noisy, observe, play, scene_of, teach

FAMILY = ParticleReaching(5, (2, 4))


def test_a_step_of_the_particle_and_what_pays():
    there = jnp.array([True, True, False, False, False])
    marks = jnp.zeros((5, 2)).at[0].set(jnp.array([0.5, 0.5])).at[1].set(-0.5)

    def step(robot, time, action, target=0):
        env_state = ParticleState(
            Landmark(jnp.int32(target), there), jnp.array(robot), marks, jnp.int32(time)
        )
        return FAMILY.step(jax.random.key(0), env_state, jnp.array(action))

    observation, after, reward, terminated, truncated, _ = step([0.0, 0.95], 3, [-0.5, 7.0])
    np.testing.assert_allclose(after.robot, [-0.5 * REACH, 1.0], atol=1e-6)
    np.testing.assert_allclose(observation[:5], [*after.robot, 1, 0.5, 0.5], atol=1e-6)
    assert not observation[8:].any() and after.time == 4
    assert not (reward or terminated or truncated)
    last = FAMILY.horizon - 1
    for robot, target, paid in (([0.45, 0.5], 0, 1), ([0.3, 0.5], 0, 0), ([0.45, 0.5], 1, 0)):
        *_, reward, terminated, truncated, info = step(robot, last, [0.0, 0.0], target)
        assert (reward, terminated, truncated) == (paid, paid == 1, paid == 0)
        np.testing.assert_allclose(info["final_observation"][:2], robot, atol=1e-6)
    assert not step([0.45, 0.5], last - 1, [0.0, 0.0])[2]  # it is to stay


def test_tasks_of_the_particle():
    drawn = jax.vmap(FAMILY.sample_task)(jax.random.split(jax.random.key(0), 500))
    present = np.asarray(drawn.present)
    assert set(present.sum(axis=1)) == {2, 4}
    assert present[np.arange(500), drawn.target].all()
    assert set(np.asarray(drawn.target)) == set(range(5))


def test_the_experts_reach_their_landmarks_and_what_they_mean_is_noted():
    taught = jax.jit(lambda key: teach(FAMILY, key, 60, 2, 0.3))(jax.random.key(1))
    assert taught.success.all() and taught.steps.present.all()
    _, states = taught.start
    target = np.asarray(states.task.target)
    assert (target[:, 0] == target[:, 1]).all()
    assert (np.abs(states.landmarks[:, 0] - states.landmarks[:, 1]).max(axis=(1, 2)) > 0.05).all()
    robot = np.asarray(taught.steps.observation[..., :2])
    goal = np.take_along_axis(
        np.asarray(states.landmarks), target[..., None, None], axis=2
    )  # [M, I, 1, 2]
    meant = np.clip((goal - robot) / REACH, -1, 1)
    np.testing.assert_allclose(taught.steps.action, meant, atol=1e-4)
    did = np.diff(robot, axis=2) / REACH
    assert np.abs(did - meant[:, :, :-1]).std() > 0.05


def test_noise_spares_the_switches():
    from research.papers.one_shot_imitation.block_stacking import BlockStacking

    action = jnp.zeros((1000, 3))
    got = np.asarray(noisy(BlockStacking(2, ((2,),), 9), action, 0.5, jax.random.key(0)))
    assert not got[:, 2].any() and 0.45 < got[:, :2].std() < 0.55


def test_scenes_are_seen_from_the_robot():
    observation = observe(
        jnp.array([0.5, -0.5, 1.0]), jnp.array([True, False]), jnp.array([[1.0, 1.0], [2.0, 2.0]])
    )
    np.testing.assert_allclose(observation, [0.5, -0.5, 1, 1, 1, 1, 0, 0, 0])
    scene = scene_of(observation, 3)
    np.testing.assert_allclose(scene.things, [[0.5, 1.5], [0, 0]])
    assert scene.present.tolist() == [True, False] and scene.robot[2] == 1


def test_what_is_noted_after_an_episodes_end_is_not_present():
    """Nor is a task that was not done within the horizon done."""

    class Count:
        num_actions, action_size, num_switches, horizon = 0, 1, 0, 6

        def transition(self, env_state, action):
            after = env_state + 1
            return after[None].astype(jnp.float32), after, after == 6

    start = jnp.array([[-3.0], [4.0]]), jnp.array([-3, 4])
    steps, success = play(Count(), start, lambda x, s, key: (x, 10 * x), jax.random.key(0))
    assert steps.present.sum(axis=1).tolist() == [6, 2] and success.tolist() == [False, True]
    np.testing.assert_array_equal(steps.observation[0, :3, 0], [-3, -2, -1])
    np.testing.assert_array_equal(steps.action[1, :2, 0], [40, 50])
