"""One-shot cloning and DAgger: what is learned from, what is shown, whose actions are noted."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs.one_shot_imitation import get_config
from experiments import one_shot_imitation
from research import app
from research.papers.one_shot_imitation.imitation import sample_pairs
from research.papers.one_shot_imitation.particle_reaching import ParticleReaching
from research.papers.one_shot_imitation.task_families import teach

PARTICLE = ParticleReaching(3, (3,))


def build(*, env=None, seen="all", dagger_episodes=0, batch=(8, 4)):
    """The experiment with a small LSTM that points at a thing, among three landmarks."""
    config = get_config("smoke")
    config.env.update(env or {"max_things": 3, "numbers": (3,)})
    config.model.update(variant="lstm_attention", lstm_features=8, hidden=(8,))
    config.demonstrations.update(seen=seen, dropout=0.5)
    config.dagger.update(episodes=dagger_episodes, every_steps=2, after_steps=0)
    config.tasks_per_batch, config.states_per_task = batch
    config.max_grad_norm = 0.0
    experiment = app.build(one_shot_imitation, config)
    experiment.learner = dataclasses.replace(experiment.learner, tx=optax.adam(1e-2))
    return experiment


def first_state(experiment, taught, seed=1):
    return jax.jit(experiment.first_state)(jax.random.key(seed), taught)


@jax.jit
def pairs(state, key):
    return sample_pairs(state.demonstrations, state.visited, key, num=8, states_per_task=4)


@pytest.fixture(scope="module")
def taught():
    return jax.jit(lambda key: teach(PARTICLE, key, 20, 3, 0.1))(jax.random.key(0))


def test_a_demonstration_and_states_of_another_of_the_same_task(taught):
    state = first_state(build(), taught)
    rows_of_pairs = set()
    for seed in range(20):
        shown, states = pairs(state, jax.random.key(seed))
        assert shown.observation.shape[:2] == (8, 24) and states.action.shape == (8, 4, 2)
        for n in range(8):
            found = []
            for episode in (shown.observation[n, :1], states.observation[n]):
                # Landmarks say which demonstration a state is from.
                marks = np.asarray(taught.steps.observation[:, :, 0, 2:])
                same = (marks[None] == np.asarray(episode)[:, None, None, 2:]).all(axis=-1)
                rows = {tuple(row) for row in np.argwhere(same)[:, 1:].tolist()}
                assert len(rows) == 1
                found.append(rows.pop())
            assert found[0][0] == found[1][0] and found[0][1] != found[1][1]
            rows_of_pairs.add((found[0][1], found[1][1]))
    assert len(rows_of_pairs) == 6


def test_the_loss_is_squared_for_moves_and_cross_entropy_for_switches():
    experiment = build(env={"name": "stacking", "max_things": 2, "shapes": ((2,),), "horizon": 9})
    action = jnp.array([[[0.5, -1.0, 2.0], [0.0, 0.0, -1.0], [9.0, 9.0, 9.0]]])
    expert = jnp.array([[[0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]])
    expected = [4.25 + np.log1p(np.exp(-2)), np.log1p(np.exp(1))]
    got = experiment.imitation_error(action, expert, jnp.array([[True, True, False]]))
    np.testing.assert_allclose(got, np.mean(expected), rtol=1e-5)


@pytest.mark.parametrize("seen", ["all", "last", "none"])
def test_what_is_shown(taught, seen):
    imitator, steps = build(seen=seen).imitator, jax.tree.map(lambda x: x[:, 0], taught.steps)
    shown = imitator.shown(steps, jax.random.key(0))
    whole = imitator.shown(steps, None)
    robot = np.asarray(steps.observation[..., :2])
    if seen == "all":  # dropout in training alone
        assert shown.valid.sum(axis=1).tolist() == [12] * 20
        np.testing.assert_array_equal(whole.scenes.robot, robot)
    elif seen == "last":
        np.testing.assert_array_equal(shown.scenes.robot[:, 0], robot[:, -1])
    else:
        assert not shown.scenes.robot.any() and not shown.scenes.things.any()


def test_whole_demonstrations_or_the_mean_over_draws(taught):
    experiment = build()
    imitator, state = experiment.imitator, first_state(experiment, taught)
    steps = jax.tree.map(lambda x: x[:, 0], taught.steps)
    seen = steps.observation[:, 0]

    @functools.partial(jax.jit, static_argnums=0)
    def act(ensemble, seed):
        return imitator.actor(state.policy, steps, ensemble, jax.random.key(seed))(seen)

    np.testing.assert_array_equal(act(0, 0), act(0, 1))
    assert np.abs(act(3, 0) - act(3, 1)).max() > 1e-5
    keys = jax.random.split(jax.random.key(0), 3)
    scene = jax.tree.map(lambda x: x[:, None], PARTICLE.scene(seen))
    once = jax.jit(
        lambda key: imitator.learner.apply(state.policy, imitator.shown(steps, key), scene)[0][:, 0]
    )
    each = [once(key) for key in keys]
    np.testing.assert_allclose(act(3, 0), np.mean(each, axis=0), atol=1e-5)


@pytest.mark.slow
def test_dagger_notes_the_experts_actions_in_the_policys_states(taught):
    experiment = build(dagger_episodes=12)
    state = first_state(experiment, taught)
    explore = jax.jit(experiment.explore)
    state = explore(state, jax.random.key(2))
    assert state.visited.count == 8 and not state.visited.steps.present[8:].any()
    observation = np.asarray(state.visited.steps.observation[:8])
    target = np.asarray(taught.start[1].task.target)[np.asarray(state.visited.task[:8]), 0]
    marks = observation[..., 2:].reshape(8, 24, 3, 3)[..., 1:]
    way = marks[np.arange(8), :, target] - observation[..., :2]
    np.testing.assert_allclose(state.visited.steps.action[:8], np.clip(way / 0.1, -1, 1), atol=1e-4)
    assert np.abs(way[:, -1]).max() > 0.2  # it was not the expert who played
    state = explore(state, jax.random.key(3))  # the ring is full: the oldest go
    assert state.visited.count == 16 and state.visited.steps.present.all()
    own = {tuple(x) for x in np.asarray(state.visited.steps.observation).reshape(-1, 11)}
    _, states = jax.jit(jax.vmap(pairs, (None, 0)))(state, jax.random.split(jax.random.key(4), 100))
    observation = np.asarray(states.observation)[:, :, 0].reshape(-1, 11)
    from_policy = np.array([tuple(x) in own for x in observation])
    share = 12 / (12 + taught.success.size)  # as many as there are
    assert abs(from_policy.mean() - share) < 4 * np.sqrt(share * (1 - share) / 800)


@pytest.mark.slow
def test_dagger_shows_another_instance_than_the_policy_was_in(taught):
    """Of two, which begin differently: that which the visited episode did not begin like."""
    experiment = build(dagger_episodes=12)
    state = jax.jit(experiment.explore)(first_state(experiment, taught), jax.random.key(2))
    first = np.asarray(taught.steps.observation)[:, :, 0]
    begun = np.asarray(state.visited.steps.observation)[:8, 0]
    task, start = np.asarray(state.visited.task)[:8], np.asarray(state.visited.start)[:8]
    np.testing.assert_array_equal(first[task, start], begun)
    own, seen = {tuple(x) for x in np.asarray(state.visited.steps.observation).reshape(-1, 11)}, 0
    for seed in range(10):
        shown, states = pairs(state, jax.random.key(seed))
        for row, visited in enumerate(np.asarray(states.observation)[:, 0]):
            if tuple(visited) in own:  # landmarks do not move within an episode
                seen += 1
                assert not np.array_equal(np.asarray(shown.observation)[row, 0, 2:], visited[2:])
    assert seen > 5


@pytest.mark.slow
def test_cloning_learns_what_to_do_from_the_demonstration_alone(taught):
    losses = {}
    for seen in ("last", "none"):
        experiment = build(seen=seen, batch=(16, 8))
        state = first_state(experiment, taught, seed=5)
        steps = jnp.arange(400), jax.random.split(jax.random.key(6), 400)
        _, metrics = jax.jit(
            lambda state, step=experiment.step, steps=steps: jax.lax.scan(
                lambda state, now: step(state, None, *now), state, steps
            )
        )(state)
        losses[seen] = metrics["loss"]
    assert losses["last"][-50:].mean() < 0.5 * losses["none"][-50:].mean()


def test_the_policy_plays_every_few_steps_once_it_has_been_cloned(taught):
    """`dagger.after_steps` steps are of cloning; then it plays every `dagger.every_steps`."""
    experiment = build(dagger_episodes=12)
    experiment.config.dagger.update(after_steps=3, every_steps=2)
    state, counts = first_state(experiment, taught), []
    step = jax.jit(experiment.step)
    for t in range(7):
        state, _ = step(state, None, jnp.int32(t), jax.random.key(t))
        counts.append(int(state.visited.count))
    assert counts == [0, 0, 0, 0, 8, 8, 16]
