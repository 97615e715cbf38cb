"""UNREAL's loss against a sum in NumPy, and which of its parts are constants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.rl.acting.recurrent_rollouts import RecurrentTrajectory
from tests.rl import reference

from .test_unreal import OFF, N, T, made


def as_numpy(tree):
    return jax.tree.map(np.asarray, tree)


def returns_of(reward, value, steps, gamma):
    """R_t by walking on to the sequence's end, where its last value bootstraps; a truncated step's
    value ends the returns of those before it, and it has none itself."""
    out = np.zeros(reward.shape)
    for t in range(T):
        for n in range(N):
            total, discount = 0.0, 1.0
            for s in range(t, T):
                if steps.truncated[s, n]:
                    total += discount * value[s, n]
                    break
                total, discount = total + discount * reward[s, n], discount * gamma
                if steps.terminated[s, n]:
                    break
            else:
                total += discount * value[T, n]
            out[t, n] = total
    return out


def mean_of(x, steps):
    return (x * ~steps.truncated).sum() / (~steps.truncated).sum()


def a3c(outputs, steps, returns, advantage, agent):
    """L_pi + w L_V - w_H H, given what is constant: returns, and advantages."""
    logits, value = outputs["logits"][:-1], outputs["value"][:-1]
    log_p = reference.log_softmax(logits)
    gain = np.take_along_axis(log_p, steps.action[..., None], 2)[..., 0] * advantage
    return (
        -mean_of(gain, steps)
        + agent.value_weight * mean_of((returns - value) ** 2, steps)
        - agent.entropy_weight * reference.entropy(logits).mean()
    )


def test_the_loss_is_the_papers_sum():
    """Section 3.4, with weights, discounts and rewards of every task its own."""
    experiment, variables, batch = made(
        agent__value_weight=0.7,
        agent__entropy_weight=0.2,
        agent__gamma=0.8,
        auxiliary__control_weight=0.3,
        auxiliary__control_gamma=0.6,
        auxiliary__reward_weight=1.5,
        auxiliary__value_weight=0.9,
    )
    config = experiment.config
    total, _ = jax.jit(lambda *x: experiment.loss(*x, None))(variables, batch)
    played, replayed = jax.jit(experiment.unroll_both)(variables, batch)
    q = experiment.learner.apply(variables, replayed, method="control_values")
    logits = experiment.learner.apply(variables, batch.histories[0], method="predict_reward")
    played, replayed, q, logits, batch = as_numpy((played, replayed, q, logits, batch))

    steps = batch.steps
    returns = returns_of(steps.reward, played.value, steps, 0.8)
    outputs = {"logits": played.policy["logits"], "value": played.value}
    expected = a3c(outputs, steps, returns, returns - played.value[:-1], config.agent)

    old = RecurrentTrajectory(*jax.tree.map(lambda x: x[:-1], batch.replayed))
    error = returns_of(old.reward, replayed.value, old, 0.8) - replayed.value[:-1]
    expected += 0.9 * 0.7 * mean_of(error**2, old)

    index = old.action.reshape(T, N, 1, 1, 1, 1)
    of_action = np.take_along_axis(q[:-1], index, axis=-1)[..., 0]
    error = returns_of(old.change, q.max(axis=-1), old, 0.6) - of_action
    expected += 0.3 * mean_of((error**2).sum(axis=(2, 3, 4)), old)

    kinds = np.array([2, 1, 0])  # rewards of 1, 0 and -1
    expected += 1.5 * -reference.taken(reference.log_softmax(logits), kinds).mean()
    assert float(total) == pytest.approx(expected, rel=1e-4)


def test_returns_and_advantages_are_constants(monkeypatch):
    """The gradient by what the network says of the steps just played, and of those replayed."""
    tasks = {**OFF, "auxiliary__value_weight": 0.9}
    experiment, variables, batch = made(**tasks, agent__gamma=0.8)
    played, replayed = experiment.unroll_both(variables, batch)
    monkeypatch.setattr(experiment, "unroll_both", lambda outputs, _: outputs)

    def ours(logits, value, replayed_value):
        outputs = (
            played._replace(policy={"logits": logits}, value=value),
            replayed._replace(value=replayed_value),
        )
        return experiment.loss(outputs, batch._replace(histories=None), None)[0]

    logits = played.policy["logits"]
    found = jax.grad(ours, (0, 1, 2))(logits, played.value, replayed.value)
    now = {"logits": logits, "value": played.value, "replayed": replayed.value}
    now = {name: np.asarray(x, np.float64) for name, x in now.items()}
    batch = as_numpy(batch)
    steps, old = batch.steps, RecurrentTrajectory(*jax.tree.map(lambda x: x[:-1], batch.replayed))
    returns = returns_of(steps.reward, now["value"], steps, 0.8)
    advantage = returns - now["value"][:-1]
    of_old = returns_of(old.reward, now["replayed"], old, 0.8)
    agent = experiment.config.agent

    def loss(x):
        of_replay = mean_of((of_old - x["replayed"][:-1]) ** 2, old)
        return a3c(x, steps, returns, advantage, agent) + 0.9 * agent.value_weight * of_replay

    for ours, name in zip(found, now, strict=True):
        np.testing.assert_allclose(ours, reference.gradient(loss, now)[name], atol=1e-5)


def test_the_memory_is_forgotten_where_an_episode_begins():
    experiment, variables, batch = made(**OFF)
    *inputs, carry = batch.observations
    start = jax.tree.map(lambda x: x[0], carry)
    inputs[3] = jnp.zeros_like(inputs[3]).at[3].set(True)

    def unroll(start, *inputs):
        return experiment.learner.apply(variables, start, *inputs, method="unroll")[0].hidden

    whole = unroll(start, *inputs)
    fresh = unroll(jax.tree.map(jnp.zeros_like, start), *(x[3:] for x in inputs))
    np.testing.assert_allclose(whole[3:], fresh, atol=1e-5)
