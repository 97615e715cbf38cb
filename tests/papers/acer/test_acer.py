"""What is ACER's own: its gradient, exact in expectation and bounded; probes; what is replayed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.acer import get_config
from experiments import acer
from research import app
from research.core import UserError
from research.core.tree import count_parameters
from research.models.actor_critic import ActorQ
from research.report.claims import Results
from research.rl.acting.distributions import Categorical, distribution
from research.rl.envs import probe_envs
from research.rl.replay.segments import Segment
from tests.rl import probe_runs

GAMMA, T, N, A = 0.5, 4, 3, 3


def configured(variant="smoke", **overrides):
    config = get_config(variant)
    config.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in overrides.items()}
    )
    return config


def steps(seed=0):
    """Probabilities, values, behaviour and average policies of T steps of N environments."""
    keys = jax.random.split(jax.random.key(seed), 5)
    logits, q, behaviour, average = (2 * jax.random.normal(k, (T, N, A)) for k in keys[:4])
    return jax.nn.softmax(logits), q, Categorical(behaviour), jax.nn.softmax(average)


def segment(action, behaviour):
    nothing = dict.fromkeys(Segment._fields)
    return Segment(**{**nothing, "action": action, "policy": behaviour})


def agent(c=10.0, delta=1.0, entropy_weight=0.0):
    """An experiment for the sake of its equations."""
    return app.build(
        acer,
        configured(
            agent__truncation=c, agent__trust_region=delta, agent__entropy_weight=entropy_weight
        ),
    )


@pytest.mark.parametrize("truncation", [0.5, 2.0, 1e9])
def test_truncation_and_correction_together_leave_the_expectation_as_it_is(truncation):
    """Over the actions of the behaviour policy, with the values themselves for targets, the
    gradient by f is Q - V, the policy gradient's, wherever weights are truncated (equation 7)."""
    f, q, behaviour, _ = steps()
    mu, total = jax.nn.softmax(behaviour.logits), 0.0
    gradient = agent(c=truncation).policy_gradient
    for a in range(A):
        action = jnp.full((T, N), a)
        total += mu[..., a, None] * gradient(f, q, q[..., a], segment(action, behaviour))
    np.testing.assert_allclose(total, q - (f * q).sum(-1, keepdims=True), rtol=1e-3, atol=1e-3)


def test_the_gradient_is_that_of_the_objective():
    """Equation 9 with entropy, written out, differentiated by the probabilities."""
    f, q, behaviour, _ = steps(1)
    action = jax.random.randint(jax.random.key(2), (T, N), 0, A)
    target, mu = jax.random.normal(jax.random.key(3), (T, N)), jax.nn.softmax(behaviour.logits)
    c, weight, value = 1.5, 0.3, (f * q).sum(-1)

    def objective(probabilities):
        total = 0.0
        for t in range(T):
            for i in range(N):
                p, a, log_p = f[t, i], action[t, i], jnp.log(probabilities[t, i])
                ratio = p / mu[t, i]
                total += jnp.minimum(ratio[a], c) * log_p[a] * (target[t, i] - value[t, i])
                left = jnp.maximum(1 - c / ratio, 0) * p
                total += (left * log_p * (q[t, i] - value[t, i])).sum()
                total -= weight * (probabilities[t, i] * log_p).sum()
        return total

    gradient = agent(c=c, entropy_weight=weight).policy_gradient
    got = gradient(f, q, target, segment(action, behaviour))
    np.testing.assert_allclose(got, jax.grad(objective)(f), rtol=1e-3, atol=1e-4)


def test_the_projected_gradient_is_the_closest_within_the_trust_region():
    gain, divergence = jax.random.normal(jax.random.key(0), (2, 200, A))
    z = agent(delta=0.5).project_to_trust_region(gain, divergence)
    product = (z * divergence).sum(-1)
    assert (product <= 0.5 + 1e-4).all()
    inside = (gain * divergence).sum(-1) <= 0.5
    assert 0 < inside.sum() < 200
    np.testing.assert_array_equal(z[inside], gain[inside])
    np.testing.assert_allclose(product[~inside], 0.5, atol=1e-4)  # no farther than to the border
    across = jnp.cross(gain - z, divergence)  # and straight to it
    np.testing.assert_allclose(across, 0, atol=1e-4)


@pytest.mark.slow
def test_solves_every_probe_on_replayed_experience():
    config = configured(
        agent__gamma=GAMMA,
        agent__segment_steps=5,
        optimizer__learning_rate=5e-3,
        env__num_envs=4,
        replay__learning_starts_frames=100,
        replay__capacity_frames=2_000,
        total_frames=4 * 5 * 400,
    )

    def policy_and_value(state, observation):
        model = ActorQ(probe_envs.PROBES["probe_both"].num_actions, "mlp", False)
        output, q = model.apply({"params": state.learner.params}, observation)[0]
        policy = distribution(output)
        return policy, (jax.nn.softmax(policy.logits) * q).sum(axis=-1)

    errors = probe_runs.check(
        probe_runs.train(acer, config, probe_runs.SEEN), policy_and_value, GAMMA
    )
    for name in probe_runs.SEEN:
        assert errors[name, "none"] < (0.4 if probe_envs.PROBES[name].noisy else 0.2), name


@pytest.mark.slow
def test_after_learning_has_started_there_are_five_updates_a_step_in_the_mean():
    """And the average policy follows the learned one."""
    experiment = app.build(
        acer,
        configured(
            agent__segment_steps=4, replay__learning_starts_frames=320, total_frames=8 * 4 * 110
        ),
    )
    state = experiment.init(jax.random.key(0))
    step = jax.jit(experiment.step)
    for t in range(110):
        state, _ = step(state, None, t, jax.random.key(t))
        updates = int(state.learner.opt_state.count)
        if t == 8:
            assert updates == 9  # 9 x 4 steps of 8 environments: not yet started
            far = distance(state)
    assert abs(updates - (9 + 101 * 5)) < 4 * 404**0.5
    assert 0 < far and 0 < distance(state)


def test_the_average_policy_moves_by_a_hundredth_of_the_way():
    experiment = app.build(acer, configured(agent__segment_steps=4, agent__replay_ratio=0.0))
    before = experiment.init(jax.random.key(0))
    before = before.replace(average_params=jax.tree.map(lambda x: x + 1, before.learner.params))
    after, _ = jax.jit(experiment.step)(before, None, 0, jax.random.key(1))
    expected = jax.tree.map(
        lambda a, p: 0.99 * a + 0.01 * p, before.average_params, after.learner.params
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.average_params, expected
    )


def test_the_trust_region_is_about_the_average_policy(monkeypatch):
    """Its bound is on the gradient of KL(average, policy) by the policy's probabilities."""
    experiment = app.build(acer, configured(agent__segment_steps=4, agent__replay_ratio=0.0))
    found, gradient = {}, experiment.policy_gradient

    def of_policy(f, q, q_ret, segment):
        jax.debug.callback(lambda f, x: found.update(f=f, x=x), f, segment.observation)
        return gradient(f, q, q_ret, segment)

    def unprojected(g, k):
        jax.debug.callback(lambda k: found.update(divergence=k), k)
        return g

    monkeypatch.setattr(experiment, "policy_gradient", of_policy)
    monkeypatch.setattr(experiment, "project_to_trust_region", unprojected)
    state = experiment.init(jax.random.key(0))
    keys = iter(jax.random.split(jax.random.key(1), 100))
    state = state.replace(
        average_params=jax.tree.map(
            lambda x: x + 0.3 * jax.random.normal(next(keys), x.shape), state.learner.params
        )
    )
    jax.block_until_ready(jax.jit(experiment.step)(state, None, 0, jax.random.key(2)))
    jax.effects_barrier()

    x = found["x"].reshape(-1, found["x"].shape[-1])
    (policy, _), _ = ActorQ(3, "mlp", False).apply({"params": state.average_params}, x)
    average = jax.nn.softmax(policy["logits"]).reshape(found["f"].shape)
    assert np.abs(average - found["f"]).max() > 0.05
    np.testing.assert_allclose(found["divergence"], -average / found["f"], rtol=1e-4)


def distance(state):
    pairs = zip(*map(jax.tree.leaves, (state.average_params, state.learner.params)), strict=True)
    return max(float(abs(a - b).max()) for a, b in pairs)


def test_parameters_at_paper_size():
    shapes = jax.eval_shape(app.build(acer, configured("pong")).init, jax.random.key(0))
    count = sum(count_parameters(shapes).values())
    assert count == 1_684_128 + 2 * 513 * 6


@pytest.mark.parametrize(
    "overrides",
    [
        {"env.name": "pongg"},
        {"env.name": "Pendulum-v1"},
        {"model.variant": "2015"},
    ],
    ids=str,
)
def test_wrong_values_are_one_clear_line(overrides):
    config = configured(**{k.replace(".", "__"): v for k, v in overrides.items()})
    with pytest.raises(UserError):
        jax.eval_shape(app.build(acer, config).init, jax.random.key(0))


def test_claims_are_missed_by_what_is_broken():
    five = (-500, -490, -480, -500, -300)

    def holds(acer_return=(-90, -120, -88, -92, -95), on_policy=(-500, -480), fast=five):
        arms = {"acer": acer_return, "on_policy": on_policy, "on_policy_fast": fast}
        numbers = {arm: {"eval/return": np.array(values)} for arm, values in arms.items()}
        return [claim.holds for claim in acer.claims(Results(numbers))]

    assert holds() == [True, True, True]
    assert holds(acer_return=(-90, -160, -88, -92, -95)) == [False, True, True]
    assert holds(on_policy=(-500, -400)) == [True, False, True]
    assert holds(fast=(-500, -130, -130, -130, -480)) == [True, True, False]
    assert holds(fast=(-500, -480)) == [True, True, None]  # too few seeds for an interval
    assert acer.claims(Results({"main": {"eval/return": np.array([1.0])}})) == []
