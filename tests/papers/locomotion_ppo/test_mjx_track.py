"""Quadruped and humanoid in MuJoCo's physics: they stand on the terrain, see it, and learn."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.locomotion_ppo import get_config
from experiments import locomotion_ppo
from research import app
from research.papers.locomotion_ppo.mjx_track import BODIES, MJXTrack
from research.papers.locomotion_ppo.terrain import START, Tracks, make_tracks
from research.papers.locomotion_ppo.tracks import play_tracks

pytest.importorskip("mujoco")
KINDS = ("hurdles", "gaps", "platforms", "walls", "slalom")


def body(name, **fields):
    tracks = make_tracks(0, 4, KINDS, (0.0, 1.0), 20.0, width=4.0)
    return MJXTrack(tracks, 100, body=name, **fields)


@pytest.mark.parametrize(
    ("name", "coordinates", "torques"),
    [
        ("quadruped", 19, 12),
        ("humanoid", 28, 21),
    ],
)
def test_degrees_of_freedom_are_the_papers(name, coordinates, torques):
    env = body(name)
    model = env.simulator[1]
    assert (model.nq, model.nv, model.nu) == (coordinates, coordinates - 1, torques)
    assert env.action_size == torques == len(BODIES[name].actuators)
    observation, env_state = env.begin(jax.random.key(0), jnp.int32(0))
    assert observation.shape == env.observation_space.shape
    assert env_state.qpos.shape == (coordinates,)
    blind = dataclasses.replace(env, blind=True).observe(env_state)
    np.testing.assert_array_equal(blind, observation[: env.proprioception])


def test_the_simulator_loads_while_a_step_is_traced_as_the_loop_traces_it():
    env = body("quadruped")
    with jax.transfer_guard("disallow"):
        jax.make_jaxpr(env.begin)(*jax.eval_shape(lambda: (jax.random.key(0), jnp.int32(0))))
        jax.make_jaxpr(env.advance)(
            *jax.eval_shape(lambda: (env.begin(jax.random.key(0), 0)[1], jnp.zeros(12)))
        )


@pytest.mark.parametrize("name", BODIES)
def test_it_is_drawn_where_it_stands(name):
    env = body(name)
    env_state = env.begin(jax.random.key(0), jnp.int32(0))[1]
    moved = env_state.replace(qpos=env_state.qpos.at[0].add(2.0))
    limbs = env.limbs(jax.tree.map(lambda *x: jnp.stack(x), env_state, moved))
    assert limbs.places.shape[1] == len(limbs.radius) == len(limbs.side)
    np.testing.assert_allclose(
        limbs.places[1] - limbs.places[0], [[[2, 0]] * 2] * len(limbs.side), atol=1e-5
    )
    soles = (limbs.places[0].min(axis=1)[:, 1] - limbs.radius).min()
    assert abs(soles) < 0.08  # on the ground, but for the noise of its joints
    assert (limbs.side == 1).sum() == (limbs.side == -1).sum() > 3


def test_heights_are_seen_where_they_are():
    env = body("quadruped")
    _, env_state = env.begin(jax.random.key(0), jnp.int32(2))
    env_state = env_state.replace(qpos=env_state.qpos.at[:3].set(jnp.array([8.3, -0.7, 0.5])))
    heights = env.observe(env_state)[env.proprioception + 1 :].reshape(15, 7) + 0.5
    ahead, aside = np.arange(-2, 13) * 0.25 + 8.3, np.arange(-3, 4) * 0.4 - 0.7
    expected = env.tracks.surface(jnp.int32(2), ahead[:, None], aside)
    np.testing.assert_allclose(heights, expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("ground", [0.0, 0.3])
def test_it_lands_on_the_terrain_wherever_it_is(ground):
    """A quadruped let fall onto a platform rests as high above it as above the ground, also where
    the window of terrain before the simulator has moved along."""
    field = np.zeros((1, 41, 201), np.float32)
    field[:, :, 100:] = ground
    env = dataclasses.replace(body("quadruped"), tracks=Tracks(field))
    _, env_state = env.begin(jax.random.key(0), jnp.int32(0))
    height = BODIES["quadruped"].height + ground + 0.05
    env_state = env_state.replace(
        qpos=env_state.qpos.at[0].set(13.37).at[2].set(height).at[7:].set(0.0),
        qvel=jnp.zeros_like(env_state.qvel),
    )
    step = jax.jit(env.advance)
    for _ in range(10):
        _, env_state, _, terminated, _ = step(env_state, jnp.zeros(12))
    np.testing.assert_allclose(env_state.qpos[2], height - 0.05, atol=0.02)
    np.testing.assert_allclose(env_state.qpos[0], 13.37, atol=0.05)
    assert not terminated


@pytest.mark.slow
def test_a_wall_stops_it():
    field = np.zeros((1, 41, 201), np.float32)
    field[:, :, 40:44] = 1.2
    reached = []
    for heights in (field, 0 * field):
        env = dataclasses.replace(body("quadruped"), tracks=Tracks(heights))
        _, env_state = env.begin(jax.random.key(0), jnp.int32(0))
        env_state = env_state.replace(qvel=env_state.qvel.at[0].set(4.0))
        step = jax.jit(env.advance)
        for _ in range(20):
            _, env_state, *_ = step(env_state, jnp.zeros(12))
        reached.append(float(env_state.qpos[0]))
    assert reached[0] < 4.0 and reached[1] > 4.2 > START


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BODIES))
def test_it_learns_for_a_step_and_is_tested(name):
    config = get_config("smoke")
    config.env.name = name
    config.terrain.update(kinds=KINDS, width=4.0)
    experiment = app.build(locomotion_ppo, config)
    state = jax.jit(experiment.init)(jax.random.key(0))
    after, metrics = jax.jit(experiment.step)(state, None, 0, jax.random.key(1))
    assert all(np.isfinite(v) for k, v in metrics.items() if k != "train/return")
    moved = jax.tree.map(
        lambda a, b: float(jnp.abs(a - b).max()), state.learner.params, after.learner.params
    )
    assert min(jax.tree.leaves(moved)) > 0
    distances = experiment.evaluate(after, jax.random.key(2))
    assert distances and all(np.isfinite(x) for x in distances.values())


@pytest.mark.slow
def test_a_limp_humanoid_falls_and_stays_where_it_fell():
    env = body("humanoid")
    metres, states = jax.jit(
        lambda key: play_tracks(env, lambda seen, key: jnp.zeros((4, 21)), key)
    )(jax.random.key(0))
    assert (np.asarray(states.time[-1]) < 100).all() and np.abs(metres).max() < 1.5
