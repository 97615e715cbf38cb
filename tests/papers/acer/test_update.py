"""An update of ACER against the paper's formulas in NumPy: weights on both sides of the truncation,
states on both sides of the trust region, ends of both kinds."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.acer import get_config
from experiments import acer
from research import app
from research.rl.replay.segments import Segment
from tests.rl import reference
from tests.rl.trajectories import trajectory

T, N, A, GAMMA = 6, 4, 3, 0.9
C, DELTA, ENTROPY, START = 1.5, 0.5, 0.1, 1.0


def build():
    config = get_config("smoke")
    config.update_from_flattened_dict(
        {
            "agent.gamma": GAMMA,
            "agent.truncation": C,
            "agent.trust_region": DELTA,
            "agent.entropy_weight": ENTROPY,
            "agent.q_weight": 0.7,
            "agent.average_decay": 0.9,
            "optimizer.learning_rate": 0.02,
            "optimizer.rmsprop_initial_scale": START,
            "max_grad_norm": 1.0,
        }
    )
    experiment = app.build(acer, config)
    network = reference.Linear("policy_and_q", actions=A)
    experiment.learner = dataclasses.replace(experiment.learner, model=network)
    space = jax.ShapeDtypeStruct((4,), jnp.float32)
    experiment.env = dataclasses.replace(experiment.env, env=Space(space, A))
    return experiment


@dataclasses.dataclass(frozen=True)
class Space:
    """What an update asks of an environment."""

    observation_space: jax.ShapeDtypeStruct
    num_actions: int


def segment():
    played = trajectory(T, N, 4, A)
    after = trajectory(T, N, 4, A, seed=1).observation
    truncated = played.done & ~played.terminated
    return Segment(
        observation=played.observation,
        action=played.action,
        policy=played.policy,
        reward=played.reward,
        terminated=played.terminated,
        truncated=truncated,
        reset=played.done,
        next_observation=after,
    )


def softmax(logits):
    return np.exp(reference.log_softmax(logits))


def retrace(steps, q, value_after, ratio):
    """Q^ret_t = r_t + gamma (V(x') + c (Q^ret_t+1 - Q_t+1)), c = min(1, ratio_t+1) (equation 5)."""
    out = np.zeros((T, N))
    for n in range(N):
        for t in reversed(range(T)):
            follows = value_after[t, n]
            if t < T - 1 and not (steps.terminated[t, n] or steps.truncated[t, n]):
                follows += min(1, ratio[t + 1, n]) * (out[t + 1, n] - q[t + 1, n])
            out[t, n] = steps.reward[t, n] + GAMMA * (not steps.terminated[t, n]) * follows
    return out


def projected_gradient(f, average, mu, q, q_ret, action):
    """z* of one state (equations 9 and 12), by the probabilities of the policy."""
    value, rho = f @ q, f / mu
    g = np.maximum(0, 1 - C / rho) * (q - value)  # f cancels in f grad log f
    g[action] += min(C, rho[action]) * (q_ret - value) / f[action]
    g -= ENTROPY * (1 + np.log(f))
    k = -average / f
    return g - max(0, (k @ g - DELTA) / (k @ k)) * k, k @ g > DELTA


def test_an_update_is_the_papers():
    experiment = build()
    learner, other = (experiment.learner.init(jax.random.key(i), jnp.zeros((1, 4))) for i in (0, 1))
    steps = segment()
    after, average, _ = jax.jit(experiment.update)(learner, other.params, steps, jax.random.key(2))

    steps = jax.tree.map(lambda x: np.asarray(x).astype(float), steps)
    action = steps.action.astype(int)
    params, w_average = reference.as_float64(learner.params), np.asarray(other.params["policy"])
    q = steps.observation @ params["value"]
    q_taken = np.take_along_axis(q, action[..., None], 2)[..., 0]
    f, f_average, mu = (
        softmax(x)
        for x in (
            steps.observation @ params["policy"],
            steps.observation @ w_average,
            steps.policy.logits,
        )
    )
    rho = np.take_along_axis(f / mu, action[..., None], 2)[..., 0]
    assert (rho > C).any() and (rho < C).any()
    f_after = softmax(steps.next_observation @ params["policy"])
    value_after = (f_after * (steps.next_observation @ params["value"])).sum(-1)
    q_ret = retrace(steps, q_taken, value_after, rho)
    z, outside = np.zeros((T, N, A)), np.zeros((T, N), bool)
    for at in np.ndindex(T, N):
        z[at], outside[at] = projected_gradient(
            f[at], f_average[at], mu[at], q[at], q_ret[at], action[at]
        )
    assert outside.any() and not outside.all()

    def loss(w):
        """Of the values, and one whose gradient by the probabilities is -z*."""
        now = np.take_along_axis(steps.observation @ w["value"], action[..., None], 2)[..., 0]
        objective = (z * softmax(steps.observation @ w["policy"])).sum(-1)
        return (0.7 * (q_ret - now) ** 2 / 2 - objective).mean()

    grads = reference.clipped(reference.gradient(loss, params), 1.0)
    expected = reference.RMSProp(0.02, 0.99, 1e-5, START)(params, grads)
    reference.same(after.params, expected)
    reference.same(
        average,
        {name: 0.9 * np.asarray(other.params[name]) + 0.1 * x for name, x in expected.items()},
    )


@pytest.mark.parametrize(("ratio", "started"), [(4.0, True), (0.0, True), (4.0, False)])
def test_the_number_of_replayed_updates_is_poisson(ratio, started, monkeypatch):
    """And none until enough has been played; the rate falls to 0 over the run."""
    experiment = build()
    experiment.replay_ratio, counts = ratio, []
    experiment.learning_starts_frames = 0 if started else 10**9
    monkeypatch.setattr(experiment, "collect", lambda *_: (None, None, {}))
    monkeypatch.setattr(experiment, "update", lambda learner, *_: (learner, None, {}))
    monkeypatch.setattr(acer.Segments, "add", lambda *_: None)

    def count(start, end, body, carry):
        counts.append(end - start)
        return carry

    monkeypatch.setattr(jax.lax, "fori_loop", count)
    learner = experiment.learner.init(jax.random.key(0), jnp.zeros((1, 4)))
    state = acer.State(learner, None, None, None)
    for t in range(40):
        state, _ = experiment.step(state, None, t, jax.random.key(t))
    rate = state.learner.opt_state.hyperparams["learning_rate"]
    np.testing.assert_allclose(rate, 0.02 * max(0, 1 - 39 / experiment.num_steps), atol=1e-6)
    mean = np.mean([float(x) for x in counts])
    expected = ratio if started else 0
    assert abs(mean - expected) <= 5 * (expected / 40) ** 0.5
    assert (np.ptp(np.array(counts, float)) > 0) == (expected > 0)
