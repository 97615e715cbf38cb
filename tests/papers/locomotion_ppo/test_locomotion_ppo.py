"""What is locomotion_ppo's own: probes it must solve, its penalty, its returns, its encoders."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs.locomotion_ppo import get_config
from experiments import locomotion_ppo
from research import app
from research.core import UserError
from research.papers.locomotion_ppo import bodies
from research.papers.locomotion_ppo.networks import LocomotionActorCritic
from research.report.claims import Results
from research.rl.acting.actor import Actors
from research.rl.acting.distributions import DiagonalNormal
from research.rl.acting.normalization import Moments
from research.rl.acting.rollouts import Collector, Trajectory
from research.rl.agents.kl_penalty import kl_hinge, update_kl_coefficient
from research.rl.envs import probe_envs
from tests.rl import probe_runs

GAMMA = 0.5


def configured(variant="smoke", **overrides):
    config = get_config(variant)
    config.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in overrides.items()}
    )
    return config


def built(variant="smoke", **overrides):
    return app.build(locomotion_ppo, configured(variant, **overrides))


def test_solves_every_continuous_probe():
    config = configured(
        env__num_envs=8,
        env__normalize_observations=False,
        env__normalize_rewards=False,
        agent__gamma=GAMMA,
        agent__rollout_steps=16,
        agent__return_steps=8,
        agent__epochs=4,
        agent__minibatches=2,
        optimizer__anneal=False,
        optimizer__learning_rate=3e-3,
        total_frames=8 * 16 * 150,
    )

    def policy_and_value(state, observation):
        config.env.name = probe_runs.CONTINUOUS[0]
        experiment = app.build(locomotion_ppo, config)
        return experiment.policy_and_value(state.learner, observation)

    trained = probe_runs.train(locomotion_ppo, config, probe_runs.CONTINUOUS)
    assert max(probe_runs.check(trained, policy_and_value, GAMMA).values()) < 0.2


def test_the_coefficient_follows_the_divergence_by_factors_of_one_and_a_half():
    kl = jnp.array([0.001, 0.0066, 0.0067, 0.01, 0.0149, 0.0151, 1.0])
    factors = update_kl_coefficient(jnp.float32(2.0), kl, 0.01, 1.5) / 2
    np.testing.assert_allclose(factors, [1 / 1.5, 1 / 1.5, 1, 1, 1, 1.5, 1.5], rtol=1e-6)
    np.testing.assert_allclose(kl_hinge(kl, 0.01), [0] * 6 + [0.98**2], rtol=1e-5)
    # Beyond twice the target the gradient pulls back, before it there is none.
    slope = jax.vmap(jax.grad(lambda x: kl_hinge(x, 0.01)))(jnp.array([0.019, 0.03]))
    np.testing.assert_allclose(slope, [0, 0.02], rtol=1e-5)


def test_the_penalty_holds_the_policy_back():
    moved = {}
    for name, agent in {
        "bound": {},
        "unbound": {"kl_penalty": 1e-9, "limit_weight": 0.0},
        "limit_alone": {"kl_penalty": 1e-9, "limit_weight": 1000.0},
    }.items():
        config = configured(
            env__name="probe_continuous_both",
            env__normalize_observations=False,
            optimizer__learning_rate=3e-3,
            agent__epochs=8,
        )
        config.agent.update(kl_target=0.002, **agent)
        experiment = app.build(locomotion_ppo, config)
        step = jax.jit(experiment.step)
        state = experiment.init(jax.random.key(0))
        before, kls = float(state.kl_coefficient), []
        for t in range(4):
            state, metrics = step(state, None, t, jax.random.key(t))
            kls.append(float(metrics["kl"]))
        moved[name] = np.mean(kls)
        assert float(state.kl_coefficient) > before  # too far, each time
    assert moved["bound"] < 0.6 * moved["unbound"]
    assert moved["limit_alone"] < 0.6 * moved["unbound"]


def test_returns_count_rewards_within_windows_of_k_steps():
    rng = np.random.default_rng(0)
    steps, envs, window, gamma = 12, 3, 4, 0.9
    reward, value, after = rng.normal(size=(3, steps, envs)).astype(np.float32)
    terminated = rng.random((steps, envs)) < 0.15
    ended = terminated | (rng.random((steps, envs)) < 0.15)
    collector = Collector(None, steps, gamma, 1.0, window=window)
    policy = DiagonalNormal(jnp.zeros((steps, envs, 1)), jnp.zeros((steps, envs, 1)))
    zeros = jnp.zeros((steps, envs, 1))
    played = Trajectory(
        zeros,
        zeros,
        policy,
        value,
        reward,
        terminated,
        ended,
        after,
        jnp.full((steps, envs), jnp.nan),
    )
    actors = Actors(None, None, None, None, None)
    rollout = collector.estimate(actors, played)[1]
    for t in range(steps):
        for n in range(envs):
            total, discount = 0.0, 1.0
            for s in range(t, (t // window + 1) * window):
                total += discount * reward[s, n]
                discount *= gamma
                if ended[s, n] or s % window == window - 1:
                    total += discount * after[s, n] * (not terminated[s, n])
                    break
            np.testing.assert_allclose(rollout.returns[t, n], total, rtol=1e-4)
    np.testing.assert_allclose(rollout.advantage, rollout.returns - value, rtol=1e-5)


def test_statistics_are_those_of_all_workers_together():
    """Observations of all environments and steps count once each, in one mean and variance."""
    x = np.random.default_rng(0).normal(3, 2, (16, 5, 7)).astype(np.float32)
    moments = Moments.init((7,)).update(x[:8]).update(x[8:])
    np.testing.assert_allclose(moments.mean, x.reshape(-1, 7).mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(moments.variance, x.reshape(-1, 7).var(axis=0), rtol=1e-3)


def test_the_two_senses_meet_after_their_encoders_alone():
    model = LocomotionActorCritic(6, 25, (16,), (16,), -0.5)
    x = jax.random.normal(jax.random.key(0), (3, 45))
    params = model.init(jax.random.key(1), x)["params"]
    (policy, value), _ = model.apply({"params": params}, x)
    assert policy["mean"].shape == (3, 6) and value.shape == (3,)
    np.testing.assert_allclose(policy["log_std"], -0.5)
    for part in ("policy_encoders", "value_encoders"):
        assert params[part]["proprioception_0"]["kernel"].shape == (20, 16)
        assert params[part]["exteroception_0"]["kernel"].shape == (25, 16)
    # Policy and value share nothing.
    of_value = jax.grad(lambda p: model.apply({"params": p}, x)[0][1].sum())(params)
    assert optax.global_norm(of_value["policy_encoders"]) == 0
    assert optax.global_norm(of_value["value_encoders"]) > 0
    seen = jax.grad(lambda x: model.apply({"params": params}, x)[0][1].sum())(x)
    assert jnp.abs(seen).min() > 0


def test_arms_have_equal_frames_and_are_tested_on_the_same_unseen_tracks():
    config = get_config()
    tests = app.build(locomotion_ppo, config).test_body.tracks.heights
    for overrides in config.arms.values():
        arm = configured("", **{k.replace(".", "__"): v for k, v in overrides.items()})
        assert arm.total_frames == config.total_frames
        experiment = app.build(locomotion_ppo, arm)
        np.testing.assert_array_equal(experiment.test_body.tracks.heights, tests)
        body = experiment.env.env
        rows = {row.tobytes() for row in body.tracks.heights if row.any()}
        assert not rows & {row.tobytes() for row in tests if row.any()}


@pytest.mark.parametrize(
    "overrides",
    [
        {"env.name": "snake"},
        {"terrain.kinds": ("bumps",)},
        {"terrain.kinds": ("walls",)},
        {"agent.minibatches": 7},
        {"agent.return_steps": 5},
    ],
    ids=str,
)
def test_wrong_values_are_one_clear_line(overrides):
    overrides = {key.replace(".", "__"): value for key, value in overrides.items()}
    with pytest.raises(UserError):
        jax.eval_shape(built(**overrides).init, jax.random.key(0))


def test_a_missing_engine_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[locomotion\]'"):
        built("quadruped")


def test_probes_are_environments_of_the_script():
    assert set(probe_envs.CONTINUOUS_PROBES) < set(bodies.NAMES)


def test_claims_are_of_intervals_and_those_without_a_margin_are_not_judged():
    metres = {
        "curriculum": {"unseen": 28, "steps": 24, "hard": 6},
        "flat": {"unseen": 16, "steps": 15, "hard": 3},
        "stationary": {"unseen": 19, "steps": 14, "hard": 9},
    }

    def claims(**changes):
        results = {
            arm: {
                f"distance/{name}": x + np.array([-3.0, -1.0, 0.0, 1.0, 3.0])
                for name, x in numbers.items()
            }
            for arm, numbers in {**metres, **changes}.items()
        }
        return [claim.holds for claim in locomotion_ppo.claims(Results(results))]

    assert claims() == [True, True, True, None]
    assert claims(flat={"unseen": 19, "steps": 18, "hard": 3}) == [False, False, True, None]
    assert claims(stationary={"unseen": 22, "steps": 1, "hard": 1}) == [True, True, False, None]
