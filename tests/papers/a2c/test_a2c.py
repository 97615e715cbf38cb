"""What is A2C's own: probes it must solve, its gradient, its size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.a2c import get_config
from experiments import a2c
from research import app
from research.core import UserError
from research.core.tree import count_parameters
from research.rl.acting.rollouts import flatten
from research.rl.envs import probe_envs
from tests.rl import probe_runs

GAMMA = 0.5


def configured(variant="smoke", **overrides):
    config = get_config(variant)
    config.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in overrides.items()}
    )
    return config


@pytest.mark.slow  # PPO's stands for the on-policy agents
def test_solves_every_probe_and_bootstrapping_bugs_show():
    config = configured(
        env__normalize_observations=False,
        agent__gamma=GAMMA,
        agent__anneal=False,
        optimizer__learning_rate=5e-3,
        total_frames=8 * 5 * 800,
    )

    config.env.name = "probe_both"
    experiment = app.build(a2c, config)

    def policy_and_value(state, observation):
        return experiment.policy_and_value(state.learner, observation)

    states = probe_runs.train(a2c, config, probe_runs.SEEN, probe_runs.BUGS)
    errors = probe_runs.check(states, policy_and_value, GAMMA)
    for name in probe_runs.SEEN:
        assert errors[name, "none"] < (0.4 if probe_envs.PROBES[name].noisy else 0.15), name
    assert errors["probe_truncation", "truncation_is_termination"] > 0.3
    assert errors["probe_constant", "nothing_terminates"] > 0.3


def test_a_step_follows_the_gradient_of_its_own_rollout():
    """One update by plain gradient descent's formula: -A grad log pi + w grad (R - V)^2 - c grad H,
    with advantage and return constant, through RMSProp's first step."""
    config = configured(env__normalize_observations=False, agent__anneal=False, max_grad_norm=0.0)
    experiment = app.build(a2c, config)
    state = experiment.init(jax.random.key(0))
    after, _ = experiment.step(state, None, 0, jax.random.key(1))

    def policy(params, x):
        return experiment.policy_and_value({"params": params}, x)

    params = state.learner.params
    play_key = jax.random.split(jax.random.key(1))[0]
    collect = experiment.collector.collect
    batch = flatten(collect(state.actors, lambda x: policy(params, x), play_key)[1])

    def weighted(params):
        new, value = policy(params, batch.observation)
        terms = (
            -new.log_prob(batch.action) * (batch.returns - batch.value)
            - config.agent.entropy_weight * new.entropy()
            - 2 * config.agent.value_weight * (batch.returns - batch.value) * value
        )
        return terms.mean()

    rate = config.optimizer.learning_rate
    for before, gradient, now in zip(
        jax.tree.leaves(params),
        jax.tree.leaves(jax.grad(weighted)(params)),
        jax.tree.leaves(after.learner.params),
        strict=True,
    ):
        square = (1 - config.optimizer.rmsprop_decay) * gradient**2
        expected = before - rate * gradient / jnp.sqrt(square + config.optimizer.rmsprop_epsilon)
        np.testing.assert_allclose(now, expected, rtol=1e-3, atol=1e-5)


def test_parameters_at_paper_size():
    for variant, trunk, features in (("2016", 676_144, 256), ("2015", 1_684_128, 512)):
        config = configured("pong", model__variant=variant)
        shapes = jax.eval_shape(app.build(a2c, config).init, jax.random.key(0))
        count = sum(count_parameters(shapes).values())
        assert count == trunk + (features + 1) * 7  # 6 actions and the value


@pytest.mark.parametrize("overrides", [{"env.name": "pongg"}, {"model.variant": "2016"}], ids=str)
def test_wrong_values_are_one_clear_line(overrides):
    config = configured(**{k.replace(".", "__"): v for k, v in overrides.items()})
    with pytest.raises(UserError):
        jax.eval_shape(app.build(a2c, config).init, jax.random.key(0))
