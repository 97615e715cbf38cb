"""What is GAIL's own: the adversary and its rewards, what it sees of the task, its phases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.gail import get_config
from experiments import gail
from research import app
from research.core import UserError
from research.report.claims import Results
from research.rl.demonstrations import Demonstrations
from research.rl.envs.gymnax_env import ClassicControl


def configured(variant="smoke", **overrides):
    config = get_config(variant)
    config.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in overrides.items()}
    )
    return config


def pairs(seed=0):
    """Of the smoke configuration's shape, of a still pendulum that stands."""
    seen = jnp.array([1.0, 0.0, 0.0]) + 0.1 * jax.random.normal(jax.random.key(seed), (1, 3, 3))
    return Demonstrations(seen, jnp.zeros((1, 3, 1)), jnp.array([[True, True, False]]))


def test_the_adversarys_loss_is_least_where_theory_has_it():
    """Over a table of pairs, of which the policy has p and the expert q, D is p / (p + q); the
    reward -log D then is log(1 + q / p), and log(1 - D) is -log(1 + p / q)."""
    p, q = np.array([0.5, 0.2, 0.3]), np.array([0.1, 0.6, 0.3])
    counts = [np.repeat(np.arange(3), (10 * x).astype(int)) for x in (p, q)]
    absent = np.append(counts[1], [0, 0, 0])
    present = jnp.arange(13) < 10

    def loss(table):
        return gail.discriminator_loss(table[counts[0]], table[absent], present)[0]

    best = jnp.log(p / q)
    np.testing.assert_allclose(jax.grad(loss)(best), 0, atol=1e-6)
    d = np.array([0.7, 0.2, 0.4])
    expected = -(p * np.log(d)).sum() - (q * np.log(1 - d)).sum()
    np.testing.assert_allclose(loss(jnp.log(d / (1 - d))), expected, rtol=1e-5)
    rewards = [gail.imitation_reward(best, kind) for kind in gail.REWARDS]
    np.testing.assert_allclose(rewards, [np.log(1 + q / p), -np.log(1 + p / q)], rtol=1e-5)


@pytest.mark.parametrize("method", ["gail", pytest.param("expert", marks=pytest.mark.slow)])
def test_the_tasks_reward_teaches_the_expert_alone(method, monkeypatch):
    """With another reward GAIL learns the very same, the expert something else."""
    real = ClassicControl.step

    @jax.jit
    def learned(scale):
        def step(self, key, env_state, action):
            observation, env_state, reward, *rest = real(self, key, env_state, action)
            return observation, env_state, scale * reward + (1 - scale) * action.sum(), *rest

        monkeypatch.setattr(ClassicControl, "step", step)
        config = configured(method=method, agent__cg_iterations=2, agent__value_epochs=1)
        experiment = app.build(gail, config)
        state = experiment.warm_start(experiment.init(jax.random.key(0)), pairs())
        state, _ = experiment.step(state, None, 0, jax.random.key(1))
        return jnp.concatenate([x.ravel() for x in jax.tree.leaves(state.policy["params"])])

    first, second = learned(1.0), learned(-3.0)
    assert method == "expert" or (first == second).all()
    assert method == "gail" or abs(first - second).max() > 1e-4


@pytest.mark.slow
def test_the_adversary_learns_and_the_policys_entropy_goes_where_lambda_has_it():
    entropy = {}
    for weight in (-1.0, 1.0):
        config = configured(gail__entropy_weight=weight, agent__kl_limit=0.03)
        experiment = app.build(gail, config)
        _, metrics = jax.lax.scan(
            lambda s, k, step=experiment.step: step(s, None, 0, k),
            experiment.warm_start(experiment.init(jax.random.key(0)), pairs()),
            jax.random.split(jax.random.key(1), 25),
        )
        entropy[weight] = metrics["entropy"]
    assert entropy[1.0][-1] > entropy[1.0][0] + 0.1 and entropy[-1.0][-1] < entropy[-1.0][0] - 0.1
    assert metrics["discriminator/loss"][-1] < metrics["discriminator/loss"][0]


@pytest.mark.slow
def test_every_arm_of_a_seed_sees_the_same_expert():
    experiment = app.build(gail, configured())
    policy = experiment.init(jax.random.key(0)).policy
    first, second = (experiment.demonstrate(policy, jax.random.key(3)) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, second)
    assert first.present.sum() == 5 and first.observation.shape == (1, 5, 3)


@pytest.mark.parametrize(
    "overrides",
    [
        {"method": "gan"},
        {"gail.reward": "log D"},
        {"env.name": "Breakout-MinAtar"},
        {"env.normalize_observations": True},
        {"vmap_seeds": True},
        {"agent.fisher_every": 0},
    ],
    ids=str,
)
def test_wrong_values_are_one_clear_line(overrides):
    config = configured(**{k.replace(".", "__"): v for k, v in overrides.items()})
    with pytest.raises(UserError):
        jax.eval_shape(app.build(gail, config).init, jax.random.key(0))


def test_claims_compare_the_worst_seed_with_the_best():
    def holds(gail_1, cloning_1, cloning_11):
        scores = {"gail_1": gail_1, "cloning_1": cloning_1, "cloning_11": cloning_11}
        results = {
            arm: {"score": np.array(values), "expert/pairs": np.full(2, 10.0)}
            for arm, values in scores.items()
        }
        return [claim.holds for claim in gail.claims(Results(results))]

    assert holds([0.65, 0.9], [0.1, 0.2], [0.0, 0.1]) == [True, True, True]
    assert holds([0.5, 0.9], [0.1, 0.0], [0.2, 0.0]) == [False, True, False]
    assert gail.claims(Results({"gail_4": {"score": np.ones(2)}})) == []
