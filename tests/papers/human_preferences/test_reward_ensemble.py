"""The ensemble's loss against NumPy, whom it learns from, and what it makes of its predictions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.human_preferences import comparison_loss
from research.core import Learner
from research.core.tree import count_parameters, named_leaves
from research.papers.human_preferences.clips import Clip, Comparisons, Pairs, oracle
from research.papers.human_preferences.reward_ensemble import RewardEnsemble
from research.papers.human_preferences.reward_model import RewardModel

K, D = 5, 3


def ensemble(**changes):
    settings = {
        "num_members": 3,
        "batch_size": 16,
        "check_size": 64,
        "l2": 1e-4,
        "l2_rate": 0.05,
        "validation_ratio": (1.1, 1.5),
        "std": 1.0,
        "moments_decay": 0.0,
        **changes,
    }
    learner = Learner(RewardModel(), optax.adam(3e-3))
    loss = functools.partial(comparison_loss, error_rate=0.1)
    made = RewardEnsemble(learner, loss, **settings)
    return made, made.init(jax.random.key(0), jnp.zeros((1, D)), jnp.zeros((1, 1)))


def clips(key, count):
    """Whose reward is what the first coordinate is, less the action's square."""
    see, act = jax.random.split(key)
    observation = jax.random.normal(see, (count, K, D))
    action = jax.random.normal(act, (count, K, 1))
    return Clip(observation, action, observation[..., 0] - action[..., 0] ** 2)


def comparisons(count, members=3, flip=None):
    left, right, copy = jax.random.split(jax.random.key(7), 3)
    pairs = Pairs(clips(left, count), clips(right, count), jnp.ones(count, bool))
    preference = oracle(pairs)
    if flip is not None:
        preference = jnp.where(flip, 1 - preference, preference)
    return Comparisons.empty(count, members, pairs.left).add(pairs, preference, copy)


@pytest.mark.parametrize("error", [0.0, 0.1])
def test_loss_is_the_papers(error):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 50)) * 4
    preference = rng.choice([0, 0.5, 1], 50)
    p = np.exp(left) / (np.exp(left) + np.exp(right))
    p = (1 - error) * p + error * 0.5
    expected = -preference * np.log(p) - (1 - preference) * np.log(1 - p)
    loss = comparison_loss(*map(jnp.float32, (left, right)), jnp.float32(preference), error)
    np.testing.assert_allclose(loss, expected, rtol=2e-4, atol=1e-5)


def test_an_answer_given_at_random_costs_no_more_than_it_may():
    far = [
        float(comparison_loss(jnp.float32(0), jnp.float32(gain), 1.0, 0.1)) for gain in (50, 5_000)
    ]
    np.testing.assert_allclose(far, -np.log(0.05), rtol=1e-5)
    slope = jax.grad(lambda x: comparison_loss(x, 0.0, 1.0, 0.1))
    assert np.isfinite(float(slope(-5_000.0)))


def test_learns_the_reward_from_comparisons():
    made, state = ensemble()
    fitted, metrics = jax.jit(made.fit)(state, comparisons(400), 300, jax.random.key(1))
    test = clips(jax.random.key(9), 100)
    rewards = made.predict(fitted, test.observation, test.action)
    assert rewards.shape == (3, 100, K)
    for member in np.asarray(rewards):
        assert np.corrcoef(member.ravel(), test.reward.ravel())[0, 1] > 0.85
    assert not np.allclose(rewards[0], rewards[1])
    assert metrics["reward/train"] < 0.4 < metrics["reward/validation"] + 0.2


def test_nobody_learns_from_what_is_held_out():
    """Turning round the answers that a member holds out changes others, and not that one."""
    made, state = ensemble()
    held_out = comparisons(60).copies[:, 0] == 0
    fit = jax.jit(made.fit)
    plain, _ = fit(state, comparisons(60), 20, jax.random.key(1))
    turned, _ = fit(state, comparisons(60, flip=held_out), 20, jax.random.key(1))
    for a, b in zip(
        jax.tree.leaves(plain.members.params), jax.tree.leaves(turned.members.params), strict=True
    ):
        np.testing.assert_array_equal(a[0], b[0])
        assert not np.array_equal(a[1], b[1])


@pytest.mark.parametrize(
    ("ratio", "direction"),
    [
        ((0.0, 1e-3), 1),
        ((1e3, 1e4), -1),
        ((0.0, 1e4), 0),
    ],
    ids=["overfits", "underfits", "as wanted"],
)
def test_l2_follows_the_ratio_of_losses(ratio, direction):
    made, state = ensemble(validation_ratio=ratio, l2_rate=0.5)
    fitted, _ = jax.jit(made.fit)(state, comparisons(40), 2, jax.random.key(0))
    np.testing.assert_allclose(fitted.l2, state.l2 * 1.5**direction, rtol=1e-6)


def test_l2_pulls_parameters_to_zero():
    size = {}
    for l2 in (0.0, 1.0):
        made, state = ensemble(l2=l2)
        fitted, _ = jax.jit(made.fit)(state, comparisons(40), 100, jax.random.key(0))
        size[l2] = float(optax.global_norm(fitted.members.params))
    assert size[1.0] < 0.5 * size[0.0]


def test_without_comparisons_nothing_is_learned():
    made, state = ensemble()
    empty = Comparisons.empty(8, 3, clips(jax.random.key(0), 1))
    fitted, metrics = jax.jit(made.fit)(state, empty, 5, jax.random.key(0))
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(fitted), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.isnan(metrics["reward/train"]) and np.isnan(metrics["reward/validation"])


def test_rewards_have_mean_zero_and_the_deviation_wanted():
    made, state = ensemble(std=0.05)
    rewards = jnp.asarray(
        np.random.default_rng(0).normal(
            [[[3.0]], [[-50.0]], [[0.0]]], [[[2.0]], [[100.0]], [[0.01]]], (3, 40, 50)
        ),
        jnp.float32,
    )
    judge = made.update_moments(state, rewards)
    np.testing.assert_allclose(judge.mean, rewards.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(judge.variance, rewards.var(axis=(1, 2)), rtol=1e-4)
    for member in range(3):  # every member counts the same, whatever its scale
        alone = made.normalize(
            judge.replace(
                mean=judge.mean[member : member + 1], variance=judge.variance[member : member + 1]
            ),
            rewards[member : member + 1],
        )
        np.testing.assert_allclose(alone.std(), 0.05, rtol=0.02)
    assert abs(float(made.normalize(judge, rewards).mean())) < 1e-4


def test_moments_fade():
    made, state = ensemble(moments_decay=0.9)
    level = jnp.ones((3, 2, 2))
    for _ in range(3):
        state = made.update_moments(state, level)
    np.testing.assert_allclose(state.mean, 1, rtol=1e-6)  # the start, at 0, does not count
    state = made.update_moments(state, 2 * level)
    np.testing.assert_allclose(state.mean, 1 + 0.1 / (1 - 0.9**4), rtol=1e-5)


def test_network_of_the_papers_atari_games():
    model = RewardModel("atari", dropout=0.5)
    images = jnp.zeros((2, 84, 84, 4), jnp.uint8)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images, None, train=False))
    convolutions = (7 * 7 * 4 + (5 * 5 + 3 * 3 + 3 * 3) * 16) * 16 + 4 * 2 * 16
    assert sum(count_parameters({"m": shapes}).values()) == (
        convolutions + 7 * 7 * 16 * 64 + 64 + 64
    )


@pytest.mark.parametrize(("variant", "shape"), [("mlp", (6, 3)), ("atari", (3, 47, 47, 1))])
def test_every_parameter_gets_a_gradient(variant, shape):
    model, action = RewardModel(variant, num_actions=4, dropout=0.5), jnp.arange(shape[0]) % 4
    kind = jnp.uint8 if variant == "atari" else jnp.float32

    @jax.jit
    def gradient(key):
        x = jax.random.randint(key, shape, 0, 255).astype(kind)
        variables = model.init(key, x, action, train=False)

        def loss(params):
            reward = model.apply(
                {**variables, "params": params},
                x,
                action,
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )[0][0]
            return (reward * jnp.arange(shape[0])).sum()

        return jax.grad(loss)(variables["params"])

    gradients = named_leaves(gradient(jax.random.key(0)))
    assert all(float(abs(g).max()) > 0 for g in gradients.values())
