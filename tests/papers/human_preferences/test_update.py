"""A fit of the reward predictors, and a step of A2C, against the papers' formulas in NumPy."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from configs.human_preferences import get_config
from experiments import human_preferences
from experiments.human_preferences import comparison_loss
from research import app
from research.core import Learner
from research.papers.human_preferences.advantage_actor_critic import AdvantageActorCritic
from research.papers.human_preferences.clips import Clip, Comparisons, Pairs
from research.papers.human_preferences.reward_ensemble import RewardEnsemble
from research.rl.acting.rollouts import Rollout
from tests.rl import reference
from tests.rl.trajectories import trajectory

K, L2, ERROR, RATE, UPDATES = 4, 0.05, 0.1, 0.02, 3
PREFERENCE = np.array([1.0, 0.5])


class Linear(nn.Module):
    """In place of `RewardModel`: a product of what is seen and done."""

    @nn.compact
    def __call__(self, observation, action, *, train):
        x = jnp.concatenate([observation, action], axis=1)
        return x @ self.param("w", nn.initializers.normal(1.0), (x.shape[1],)), {}


def comparisons():
    """Two: each is all that one of the members learns from, and is held out for the other."""
    rng = np.random.default_rng(0)

    def clip():
        seen, done = rng.normal(size=(2, K, 3)), rng.normal(size=(2, K, 1))
        return Clip(
            jnp.asarray(seen, jnp.float32), jnp.asarray(done, jnp.float32), jnp.ones((2, K))
        )

    pairs = Pairs(clip(), clip(), jnp.ones(2, bool))
    room = Comparisons.empty(2, 2, pairs.left)
    room = room.add(pairs, jnp.asarray(PREFERENCE, jnp.float32), jax.random.key(0))
    return room.replace(copies=jnp.array([[2, 0], [0, 1]]))


def cross_entropy(w, both, row):
    """Section 2.2.3: -mu(1) log P - mu(2) log(1 - P), P being right with 0.9, a guess with 0.1."""
    left, right = (
        (np.concatenate([np.asarray(c.observation), np.asarray(c.action)], 2)[row] @ w).sum()
        for c in both
    )
    p = (1 - ERROR) / (1 + np.exp(right - left)) + ERROR / 2
    return -PREFERENCE[row] * np.log(p) - (1 - PREFERENCE[row]) * np.log(1 - p)


def test_a_fit_is_the_papers():
    """Each member takes Adam's steps on its own sample, with L2; what it holds out judges it."""
    made = RewardEnsemble(
        Learner(Linear(), optax.adam(RATE)),
        functools.partial(comparison_loss, error_rate=ERROR),
        num_members=2,
        batch_size=5,
        check_size=6,
        l2=L2,
        l2_rate=0.25,
        validation_ratio=(1.1, 1.5),
        std=1.0,
        moments_decay=0.0,
    )
    state = made.init(jax.random.key(1), jnp.zeros((1, 3)), jnp.zeros((1, 1)))
    room = comparisons()
    after, metrics = jax.jit(made.fit)(state, room, UPDATES, jax.random.key(2))
    both, train, validation = (room.left, room.right), [], []
    for member in range(2):
        params = {"w": np.asarray(state.members.params["w"][member], np.float64)}
        assert member == 0 or np.abs(params["w"] - state.members.params["w"][0]).max() > 0.1
        adam = reference.Adam(RATE, 1e-8)
        for _ in range(UPDATES):

            def loss(p, row=member):
                return float(cross_entropy(p["w"], both, row) + L2 * (p["w"] ** 2).sum())

            params = adam(params, reference.gradient(loss, params))
        reference.same({"w": after.members.params["w"][member]}, params)
        train.append(cross_entropy(params["w"], both, member))
        validation.append(cross_entropy(params["w"], both, 1 - member))
        ratio = validation[-1] / train[-1]
        factor = 1.25 if ratio > 1.5 else 1 / 1.25 if ratio < 1.1 else 1.0
        np.testing.assert_allclose(after.l2[member], L2 * factor, rtol=1e-5)
    np.testing.assert_allclose(metrics["reward/train"], np.mean(train), rtol=1e-3)
    np.testing.assert_allclose(metrics["reward/validation"], np.mean(validation), rtol=1e-3)


def test_a_step_of_a2c_is_the_papers():
    learner = Learner(reference.Linear("both", actions=3), optax.adam(0.05), max_grad_norm=1.0)
    agent = AdvantageActorCritic(learner, value_weight=0.7, entropy_weight=0.3)
    played = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), trajectory(6, 4, 4, 3))
    state = agent.init(jax.random.key(0), played.observation)
    fields = dict.fromkeys(Rollout._fields)
    fields |= {"observation": played.observation, "action": played.action}
    rollout = Rollout(**{**fields, "returns": played.reward, "advantage": played.next_value})
    after, _ = jax.jit(agent.learn)(state, rollout, jax.random.key(1))
    x, action, returns, advantage = (
        np.asarray(y) for y in (played.observation, played.action, played.reward, played.next_value)
    )

    def loss(w):
        logits = x @ w["policy"]
        gain = reference.taken(reference.log_softmax(logits), action) * advantage
        error = (returns - (x @ w["value"])[:, 0]) ** 2
        return (-gain + 0.7 * error - 0.3 * reference.entropy(logits)).mean()

    params = reference.as_float64(state.params)
    grads = reference.clipped(reference.gradient(loss, params), 1.0)
    reference.same(after.params, reference.Adam(0.05, 1e-8)(params, grads))


def test_predicted_rewards_take_the_place_of_the_true_ones_and_ends_are_hidden():
    config = get_config("smoke")
    config.agent.hide_ends = True
    experiment = app.build(human_preferences, config)
    state = experiment.init(jax.random.key(0))
    actors, played, _ = experiment.play(state.agent, state.actors, None, jax.random.key(1))
    played = played._replace(done=jnp.ones_like(played.done))
    _, new = experiment.replace_rewards(state, played, actors)
    assert not new.done.any() and not new.terminated.any()
    each = np.asarray(
        experiment.ensemble.predict(state.ensemble, played.observation, played.action)
    )
    scaled = (each - each.mean(axis=(1, 2), keepdims=True)) / each.std(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(new.reward, scaled.mean(axis=0), rtol=1e-2, atol=1e-3)
