"""What is ACKTR's own: its step, how far it goes, probes, the value's Gauss-Newton matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.acktr import get_config
from experiments import acktr
from research import app
from research.core import UserError
from research.rl.envs import probe_envs
from tests.rl import probe_runs

GAMMA = 0.5


def configured(variant="smoke", **overrides):
    config = get_config(variant)
    config.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in overrides.items()}
    )
    return config


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (probe_runs.SEEN, probe_envs.PROBES),
        (probe_runs.CONTINUOUS, probe_envs.CONTINUOUS_PROBES),
    ],
    ids=["discrete", "continuous"],
)
def test_solves_every_probe(names, kind):
    config = configured(
        env__normalize_observations=False,
        env__normalize_rewards=False,
        agent__gamma=GAMMA,
        # Longer steps, and momentum, carry means to where clipped actions have no gradient.
        optimizer__momentum=0.0,
        optimizer__trust_region=0.001,
        total_frames=8 * 8 * 400,
    )
    config.env.name = names[0]
    experiment = app.build(acktr, config)

    def policy_and_value(state, observation):
        return experiment.policy_and_value(state.learner, observation)

    errors = probe_runs.check(probe_runs.train(acktr, config, names), policy_and_value, GAMMA)
    for (name, _), error in errors.items():
        assert error < (0.4 if getattr(kind[name], "noisy", False) else 0.2), name


def test_factors_are_those_of_the_model_and_steps_keep_near_the_trust_region():
    """The value's G is the second moment of unit noise: 1, whatever the errors are; the policy's is
    that of p - one_hot, so its rows sum to 0."""
    delta, count = 1e-3, 40
    config = configured(
        env__name="CartPole-v1",
        env__normalize_observations=False,
        env__normalize_rewards=False,
        agent__rollout_steps=20,
        total_frames=8 * 20 * count * 10,
        optimizer__momentum=0.0,
        optimizer__kfac_learning_rate=100.0,
        optimizer__trust_region=delta,
    )
    experiment = app.build(acktr, config)
    state, metrics = jax.jit(
        lambda s: jax.lax.scan(
            lambda s, k: experiment.step(s, None, jnp.int32(0), k),
            s,
            jax.random.split(jax.random.key(1), count),
        )
    )(experiment.init(jax.random.key(0)))
    factors = state.learner.opt_state.factors
    assert float(metrics["value_loss"][0]) > 10
    np.testing.assert_allclose(factors["value/Dense_0"].outputs, 1.0, rtol=0.1)
    of_policy = np.asarray(factors["policy/Dense_0"].outputs)
    np.testing.assert_allclose(of_policy.sum(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(of_policy[0, 0], 0.22, rtol=0.15)  # p (1 - p) of two actions
    for a, g in factors.values():
        assert (np.linalg.eigvalsh(a) > -1e-3).all() and (np.linalg.eigvalsh(g) > -1e-5).all()
        np.testing.assert_allclose(a[-1, -1], 1.0, rtol=1e-5)  # the bias's input
    # Blocks of three layers that all do the same are three times what their sum says.
    assert 0.3 * delta < float(np.median(metrics["kl"])) < 4.5 * delta
    assert (jnp.stack(list(state.learner.opt_state.step_size.values())) < 100).all()


@pytest.mark.parametrize(
    "overrides",
    [
        {"env.name": "pongg"},
        {"model.variant": "2015"},
        {"optimizer.name": "adam"},
    ],
    ids=str,
)
def test_wrong_values_are_one_clear_line(overrides):
    config = configured(**{k.replace(".", "__"): v for k, v in overrides.items()})
    with pytest.raises(UserError):
        jax.eval_shape(app.build(acktr, config).init, jax.random.key(0))


def test_convolutions_have_factors_too():
    config = configured("minatar")
    experiment = app.build(acktr, config)
    state = jax.eval_shape(experiment.init, jax.random.key(0))
    factors = state.learner.opt_state.factors
    assert factors["trunk/Conv_0"].inputs.shape == (3 * 3 * 4 + 1,) * 2
    assert factors["trunk/Conv_0"].outputs.shape == (16, 16)
    assert set(state.learner.opt_state.step_size) == {""}  # a shared trunk: one trust region
    after, _ = jax.eval_shape(experiment.step, state, None, jnp.int32(0), jax.random.key(0))
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
