"""What is TRPO's own: probes it must solve, the bound on every step, what is recorded."""

import jax
import numpy as np
import pytest

from configs.trpo import get_config
from experiments import trpo
from research import app
from research.core import UserError
from research.core.tree import named_leaves
from research.report.claims import Results
from research.rl.agents.trust_region import line_search
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
        agent__rollout_steps=16,
        agent__fisher_every=1,
        agent__value_minibatches=4,
        agent__kl_limit=0.03,
        optimizer__learning_rate=5e-3,
        total_frames=8 * 16 * 120,
    )
    config.env.name = names[0]
    experiment = app.build(trpo, config)

    def policy_and_value(state, observation):
        return experiment.policy_and_value((state.policy, state.value), observation)

    errors = probe_runs.check(probe_runs.train(trpo, config, names), policy_and_value, GAMMA)
    for (name, _), error in errors.items():
        assert error < (0.3 if getattr(kind[name], "noisy", False) else 0.2), name


def test_every_step_keeps_its_bound_and_moves_every_parameter():
    config = configured(env__name="CartPole-v1")  # in some rollouts episodes end, in some none
    experiment = app.build(trpo, config)
    state, step = experiment.init(jax.random.key(0)), jax.jit(experiment.step)
    first, kls, gains, means = state.policy["params"], [], [], []
    for t in range(experiment.num_steps):
        state, metrics = step(state, None, t, jax.random.key(t))
        kls.append(float(metrics["kl"]))
        gains.append(float(metrics["improvement"]))
        means.append(float(metrics["train/return"]))
        assert kls[-1] <= config.agent.kl_limit and gains[-1] >= 0
    assert max(kls) > 0.3 * config.agent.kl_limit
    moved = named_leaves(
        jax.tree.map(lambda a, b: float(abs(a - b).max()), first, state.policy["params"])
    )
    assert all(size > 0 for size in moved.values()), moved
    assert state.record.kl == np.float32(max(kls))
    assert state.record.improvement == np.float32(min(gains))
    known = [mean for mean in means if np.isfinite(mean)]
    assert 3 < len(known) < len(means)
    drops = [max(known[: i + 1]) - mean for i, mean in enumerate(known)]
    np.testing.assert_allclose(state.record.best, max(known), rtol=1e-5)
    assert max(drops) > 0
    np.testing.assert_allclose(state.record.drop, max(drops), rtol=1e-5)


def test_a_line_search_that_lets_pass_too_much_is_seen(monkeypatch):
    """Whatever it says of itself."""

    def lax(params, full_step, *args, kl_limit, **kwargs):
        # The step of nine times the limit, which is three times as long.
        found = line_search(params, 3 * full_step, *args, kl_limit=9 * kl_limit, **kwargs)
        return found._replace(kl=0.0)

    monkeypatch.setattr(trpo, "line_search", lax)
    config = configured()
    experiment = app.build(trpo, config)
    state = experiment.init(jax.random.key(0))
    state, _ = jax.jit(experiment.step)(state, None, 0, jax.random.key(1))
    assert state.record.kl > 2 * config.agent.kl_limit


@pytest.mark.parametrize(
    "overrides",
    [
        {"env.name": "pongg"},
        {"agent.fisher_every": 0},
        {"agent.value_minibatches": 7},
        {"model.variant": "2015"},
    ],
    ids=str,
)
def test_wrong_values_are_one_clear_line(overrides):
    config = configured(**{k.replace(".", "__"): v for k, v in overrides.items()})
    with pytest.raises(UserError):
        jax.eval_shape(app.build(trpo, config).init, jax.random.key(0))


def test_a_policy_that_stays_where_it_is_passes_nothing():
    def run(**changed):
        numbers = {
            "eval/return": -155.0,
            "run/drop": 140.0,
            "run/kl": 0.0099,
            "run/improvement": 0.003,
            "run/taken": 1.0,
            "run/kl_limit": 0.01,
            **changed,
        }
        return {name: np.full(5, x) for name, x in numbers.items()}

    wide = run(**{"eval/return": -800.0, "run/drop": 900.0})

    def claims(ours):
        return trpo.claims(Results({"trust_region": ours, "wide": wide}))

    assert all(c.holds for c in claims(run()))
    still = run(
        **{
            "run/kl": 0.0,
            "run/improvement": 0.0,
            "run/taken": 0.0,
            "eval/return": -1200.0,
            "run/drop": 500.0,
        }
    )
    assert not any(c.holds for c in claims(still))
    far = run(**{"run/kl": 0.02})
    assert not claims(far)[0].holds


def test_natural_gradients_of_one_length_are_that_long():
    """Without a line search, whatever the limit: twice the length moves twice as far."""
    moved = {}
    for length in (0.01, 0.02):
        config = configured(agent__step_size=length, agent__backtracks=0, agent__kl_limit=1e-9)
        experiment = app.build(trpo, config)
        state = experiment.init(jax.random.key(0))
        after, _ = jax.jit(experiment.step)(state, None, 0, jax.random.key(1))
        moved[length] = jax.tree.map(np.subtract, after.policy["params"], state.policy["params"])
    jax.tree.map(
        lambda one, two: np.testing.assert_allclose(two, 2 * one, rtol=1e-3, atol=1e-6),
        moved[0.01],
        moved[0.02],
    )
    assert max(np.abs(x).max() for x in jax.tree.leaves(moved[0.01])) > 1e-4
