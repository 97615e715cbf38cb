"""Updates of DQN against the papers' formulas in NumPy: errors beyond 1, weights other than 1."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.dqn_atari import get_config
from experiments import dqn_atari
from research import app
from research.rl.replay.prioritized import set_leaves
from tests.rl import reference

STEPS, ENVS, B, GAMMA = 40, 4, 16, 0.9
SETTINGS = {
    "2015": {},
    "double": {"agent.double": True},
    "prioritized": {"replay.sampling": "prioritized"},
    "all": {
        "agent.double": True,
        "replay.sampling": "prioritized",
        "agent.n_steps": 3,
        "optimizer.name": "adam",
        "max_grad_norm": 0.1,
    },
}


def build(**overrides):
    """The experiment on pictures of 3x3 pixels, with a linear network."""
    config = get_config("smoke")
    config.update_from_flattened_dict(
        {
            "env.name": "probe_both",
            "env.num_envs": ENVS,
            "env.stack": 2,
            "replay.capacity": ENVS * STEPS,
            "replay.learning_starts_frames": ENVS * 10,
            "agent.batch_size": B,
            "agent.gamma": GAMMA,
            "agent.agent_steps_per_update": ENVS,
            "total_frames": ENVS * 100,
            **overrides,
        }
    )
    experiment = app.build(dqn_atari, config)
    network = reference.Linear("q", actions=2)
    experiment.learner = dataclasses.replace(experiment.learner, model=network)
    return experiment, config


def filled(experiment):
    """Replay of noise with rewards of deviation 3, ends of both kinds, and its priorities."""
    rng, replay = np.random.default_rng(0), experiment.replay
    state, priorities = replay.init(), experiment.sampler.init()
    add, added = jax.jit(replay.add), jax.jit(experiment.sampler.added)

    def frames():
        return rng.integers(0, 256, (ENVS, 3, 3, 1)).astype(np.uint8)

    frame = frames()
    for _ in range(STEPS):
        terminated, truncated = rng.random((2, ENVS)) < 0.15
        ended, after = terminated | truncated, frames()
        action = rng.integers(0, 2, ENVS)
        reward = (3 * rng.normal(size=ENVS)).astype(np.float32)
        state = add(state, frame, action, reward, terminated, ended, after)
        priorities = added(priorities, state)
        frame = np.where(ended[:, None, None, None], frames(), after)
    return state, priorities


def started(experiment):
    replay, priorities = filled(experiment)
    first, other = (
        experiment.learner.init(jax.random.key(i), jnp.zeros((1, 3, 3, 2), jnp.uint8), train=True)
        for i in (1, 2)
    )
    if priorities:  # as after some learning: all different
        priorities = priorities.replace(tree=all_different(priorities.tree))
    metrics = {name: jnp.zeros(()) for name in ("loss", "grad_norm", "q")}
    return dqn_atari.Agent(first, other.params, priorities, metrics), replay


def all_different(tree):
    """Leaves that are not 0 have priorities of 0.5 to 2.5."""
    leaf = jnp.arange(len(tree) // 2)
    there = tree[leaf + len(leaf)] > 0
    return set_leaves(tree, leaf, jnp.where(there, 0.5 + (leaf * 7 % 11) / 5.5, 0.0))


def td_error(w, target_w, batch, *, double):
    """y - Q(s, a), y = r + gamma max Q(s', a'; theta^-) or, double, of the action of theta."""

    def q(w, x):
        return x.reshape(len(x), -1) / 255 @ w

    target_q, own_q = q(target_w, batch.next_observation), q(w, batch.next_observation)
    chosen = (own_q if double else target_q).argmax(axis=1)
    assert (own_q.argmax(axis=1) != target_q.argmax(axis=1)).any()  # else neither would be seen
    y = batch.reward + batch.discount * reference.taken(target_q, chosen)
    return lambda w: y - reference.taken(q(w, batch.observation), batch.action)


@pytest.mark.parametrize("name", SETTINGS)
def test_two_updates_are_the_papers(name):
    """Algorithm 1 of 2015: the gradient is that of (y - Q)^2 / 2 with y - Q clipped to [-1, 1],
    times the importance weight (1 / (M P))^beta, beta between 0.4 and 1 (Schaul et al.)."""
    experiment, config = build(**SETTINGS[name])
    agent, replay = started(experiment)
    experiment.period = ENVS // 2  # two updates in one step
    t, key = 59, jax.random.key(3)
    after = jax.jit(experiment.learn)(agent, replay, t, key)

    beta = 0.4 + 0.6 * (t + 1) / 100
    optimizer = config.optimizer
    step = (
        reference.Adam(optimizer.learning_rate, optimizer.adam_epsilon)
        if optimizer.name == "adam"
        else reference.RMSProp(optimizer.learning_rate, 0.95, 0.01 / B**2, centered=True)
    )
    params = reference.as_float64(agent.learner.params)
    target_w = np.asarray(agent.target_params["value"], np.float64)
    priorities = agent.priorities
    for i in range(2):
        draw_key = jax.random.split(jax.random.fold_in(key, i))[0]
        batch = experiment.sampler.sample(priorities, replay, draw_key, B, beta)
        batch = jax.tree.map(np.asarray, batch)
        # The row after a truncated episode is no transition, and is not to count.
        weight = np.asarray(replay.transition)[tuple(batch.slot.T)].astype(float)
        if priorities:
            leaves = np.asarray(priorities.tree)[len(priorities.tree) // 2 :]
            leaf = batch.slot @ [experiment.replay.rows, 1]
            p = leaves[leaf] / leaves.sum()
            weight = (float(replay.filled.sum()) * p) ** -beta
            weight /= weight.max()
            assert weight.min() < 0.8
        error = td_error(params["value"], target_w, batch, double=config.agent.double)
        assert (batch.discount == 0).any()
        assert 0.2 < (np.abs(error(params["value"])) > 1).mean() < 1

        def loss(params, error=error, weight=weight):
            d = np.abs(error(params["value"]))
            return (weight * np.where(d < 1, d**2 / 2, d - 0.5)).mean()

        grads = reference.gradient(loss, params)
        if config.max_grad_norm:
            grads = reference.clipped(grads, config.max_grad_norm)
        errors = error(params["value"])
        priorities = experiment.sampler.update(priorities, batch, jnp.asarray(errors))
        params = step(params, grads)
    reference.same(after.learner.params, params)
    if priorities:
        np.testing.assert_allclose(after.priorities.tree, priorities.tree, rtol=1e-3)
    np.testing.assert_array_equal(after.target_params["value"], agent.target_params["value"])


def test_the_target_is_copied_after_so_many_updates():
    experiment, _ = build(**{"agent.target_period_updates": 2})
    agent, replay = started(experiment)
    for number, copied in ((0, False), (1, True), (2, False)):
        update = jax.jit(experiment.update)
        after = update(agent, replay, number, jnp.float32(1), jax.random.key(number))
        source = after.learner.params if copied else agent.target_params
        np.testing.assert_array_equal(after.target_params["value"], source["value"])


def test_a_priority_is_the_error_to_the_power_of_alpha():
    experiment, _ = build(**SETTINGS["prioritized"])
    agent, replay = started(experiment)
    batch = experiment.replay.gather(replay, jnp.array([[0, 12], [1, 14], [3, 16]]))
    assert (np.asarray(batch.weight) > 0).all()
    after = experiment.sampler.update(agent.priorities, batch, jnp.array([-4.0, 0.5, 0.0]))
    leaves = np.asarray(after.tree)[len(after.tree) // 2 :]
    leaf = np.asarray(batch.slot) @ [experiment.replay.rows, 1]
    np.testing.assert_allclose(leaves[leaf], np.array([4.0, 0.5, 0.0]) ** 0.6, atol=3e-4)


def test_actions_are_random_in_the_share_of_epsilon():
    """1 until learning starts, then linearly to its end, in frames; the rest is greedy."""
    experiment, config = build(
        **{"agent.epsilon_end": 0.1, "agent.epsilon_decay_frames": ENVS * 20}
    )
    frames = ENVS * np.array([0, 10, 20, 30, 90])
    np.testing.assert_allclose(experiment.epsilon(frames), [1, 1, 0.55, 0.1, 0.1], atol=1e-6)
    q = jnp.tile(jnp.array([0.0, 1.0]), (4_000, 1))
    random = dqn_atari.epsilon_greedy(jax.random.key(0), q, 0.3)
    assert abs(float((random == 0).mean()) - 0.15) < 5 * (0.15 * 0.85 / 4_000) ** 0.5
    assert (dqn_atari.epsilon_greedy(jax.random.key(0), q, 0.0) == 1).all()
    assert config.eval.epsilon == 0.05
