"""Cloning: what is learned from, what is held out, which parameters are kept."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from research.core import Learner
from research.models.actor_critic import Actor
from research.papers.gail.behavioral_cloning import BehavioralCloning
from research.rl.demonstrations import Demonstrations
from research.rl.envs import gymnax_env

E, P = 4, 10


def expert(seed=0):
    """Acts by the sign of the first number; the last pairs of an episode are not there."""
    seen = jax.random.normal(jax.random.key(seed), (E, P, 3))
    present = jnp.arange(P) < jnp.array([10, 7, 3, 9])[:, None]
    return Demonstrations(seen, (seen[..., 0] > 0).astype(jnp.int32), present)


def cloning(train_share=0.7):
    return BehavioralCloning(
        Learner(Actor(2, 0, "mlp"), optax.adam(3e-3)),
        jax.tree.map(jnp.zeros_like, expert()),
        train_share=train_share,
        batch_size=16,
        updates_per_step=1,
        num_steps=60,
        test_env=gymnax_env.make("CartPole-v1", 2),
        greedy=True,
    )


METHOD = cloning()


@jax.jit
def trained(pairs):
    """The first state, the last, and of every update metrics and parameters."""
    first = METHOD.warm_start(METHOD.init(jax.random.key(0)), pairs)

    def body(state, key):
        state, metrics = METHOD.update(state, key)
        return state, (metrics, state.policy.params)

    return first, *jax.lax.scan(body, first, jax.random.split(jax.random.key(1), 60))


def test_the_expert_is_copied_and_the_best_parameters_are_kept():
    first, state, (metrics, params) = trained(expert())
    assert first.train.sum() == np.floor(0.7 * 29)
    assert not (first.train & ~expert().present.reshape(-1)).any()
    other = expert(1)
    action = METHOD.policy({"params": state.best}, other.observation.reshape(-1, 3)).mode()
    assert (action == other.action.reshape(-1)).mean() > 0.85
    best = int(np.argmin(metrics["validation_loss"]))
    assert state.best_error == metrics["validation_loss"][best]
    for kept, history in zip(jax.tree.leaves(state.best), jax.tree.leaves(params), strict=True):
        np.testing.assert_array_equal(kept, history[best])


def test_with_nothing_held_out_the_newest_parameters_are_kept():
    method = cloning(train_share=1.0)
    first = method.warm_start(method.init(jax.random.key(0)), expert())
    update = jax.jit(method.update)
    state = update(update(first, jax.random.key(1))[0], jax.random.key(2))[0]
    for a, b in zip(*map(jax.tree.leaves, (state.best, state.policy.params)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_pairs_held_out_or_absent_are_not_learned_from():
    """With the other action in all of them, the same is learned; the validation error tells."""
    pairs = expert()
    first, state, (metrics, _) = trained(pairs)
    train = first.train.reshape(E, P)
    wrong = pairs._replace(action=jnp.where(train, pairs.action, 1 - pairs.action))
    _, mistaken, (other, _) = trained(wrong)
    for a, b in zip(
        *map(jax.tree.leaves, (state.policy.params, mistaken.policy.params)), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert other["validation_loss"][-1] > metrics["validation_loss"][-1] + 0.5
    absent = pairs._replace(action=jnp.where(pairs.present, pairs.action, 1 - pairs.action))
    again = trained(absent)[2][0]["validation_loss"]
    np.testing.assert_array_equal(again, metrics["validation_loss"])
