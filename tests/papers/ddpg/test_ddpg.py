"""What is DDPG's own: probes it must solve, bugs that must show, values of the config."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.ddpg import get_config
from experiments import ddpg
from research import app
from research.core import UserError
from research.report.claims import Results
from research.rl.envs.probe_envs import CONTINUOUS_PROBES, ContinuousProbe
from research.rl.replay.transitions import Ring
from tests.rl import ddpg_by_hand as by_hand

GAMMA = 0.5


def on_probe(name, **overrides):
    config = get_config("smoke")
    config.update_from_flattened_dict(
        {
            "env.name": name,
            "env.num_envs": 8,
            "model.hidden": (32, 32),
            "agent.gamma": GAMMA,
            "agent.tau": 0.05,
            "replay.learning_starts_frames": 200,
            "replay.capacity_frames": 4000,
            "optimizer.actor_learning_rate": 3e-4,
            "optimizer.critic_learning_rate": 5e-3,
            "total_frames": 8 * 1500,
            **overrides,
        }
    )
    return config


def trained(config):
    experiment = app.build(ddpg, config)

    @jax.jit
    def run(key):
        def body(state, t):
            return experiment.step(state, None, t, jax.random.fold_in(key, t))[0], None

        return jax.lax.scan(body, experiment.init(key), jnp.arange(experiment.num_steps))[0]

    return run(jax.random.key(0))


def errors(config):
    """Largest errors of the learned actions, and of their values."""
    state, probe = trained(config), CONTINUOUS_PROBES[config.env.name]
    networks = ddpg.make_networks(config, 1)
    x = jax.vmap(probe.observe)(jnp.arange(len(probe.levels)))
    action = networks.action(state.agent.actor, x)
    value = networks.critic.apply(state.agent.critic, x, action, train=False)[0]
    of_action = np.abs(action[:, 0] - np.array(probe.best)).max()
    return float(of_action), float(np.abs(value - probe.values(GAMMA)).max())


@pytest.mark.parametrize("name", ["probe_continuous_both", "probe_continuous_truncation"])
def test_learns_actions_and_values_of_the_probes(name):
    of_action, of_value = errors(on_probe(name))
    # Of the reward 0.06 is lost at most; an actor that has not learned is off by 0.5.
    assert of_action < 0.25 and of_value < 0.15


@pytest.mark.parametrize(
    "overrides",
    [
        {"model.normalization": "batch", "exploration.name": "gaussian"},
        {"model.normalization": "layer", "exploration.name": "parameters"},
    ],
    ids=str,
)
def test_values_of_the_config_learn_too(overrides):
    of_action, of_value = errors(on_probe("probe_continuous_both", **overrides))
    assert of_action < 0.2 and of_value < 0.2


def test_bootstrapping_bugs_show_on_the_probe(monkeypatch):
    add = Ring.add

    def as_termination(self, state, item):
        at_end = jnp.full(8, state.head % 4 == 3)  # where these episodes of four are cut
        return add(self, state, item._replace(terminated=item.terminated | at_end))

    def never_ends(self, state, item):
        return add(self, state, item._replace(terminated=jnp.zeros_like(item.terminated)))

    ending = ContinuousProbe((0,), (0,), (-1,), (0.5,), (1,))  # a value of 1, of 2 if it went on
    monkeypatch.setitem(CONTINUOUS_PROBES, "ending", ending)
    for bug, probe in ((as_termination, "probe_continuous_truncation"), (never_ends, "ending")):
        monkeypatch.setattr(Ring, "add", bug)
        assert errors(on_probe(probe))[1] > 0.3, f"{bug} would pass the test above"


def test_update_is_the_papers():
    experiment = app.build(ddpg, on_probe("probe_continuous_action"))
    experiment.networks, state = by_hand.made()
    experiment.gamma = by_hand.GAMMA
    batch = by_hand.batch_of()
    new, metrics = jax.jit(experiment.update)(state, batch, jax.random.key(5))
    critic, actor, loss = by_hand.updated(state, batch)
    by_hand.same(new.critic.params, critic)
    by_hand.same(new.actor.params, actor)
    by_hand.same((new.target_actor, new.target_critic), (state.target_actor, state.target_critic))
    assert float(metrics["loss"]) == pytest.approx(loss, 1e-4)


def test_batch_statistics_are_of_the_replayed_batches():
    experiment = app.build(ddpg, on_probe("probe_continuous_action"))
    experiment.networks, state = by_hand.made("batch")
    batch = by_hand.batch_of()
    new, _ = jax.jit(experiment.update)(state, batch, jax.random.key(5))
    for learner in (new.actor, new.critic):
        mean = learner.variables["batch_stats"]["BatchNorm_0"]["mean"]
        np.testing.assert_allclose(mean, 0.01 * batch.observation.mean(axis=0), atol=1e-6)


def test_parameter_noise_is_renewed_when_due():
    config = on_probe(
        "probe_continuous_both",
        **{
            "exploration.name": "parameters",
            "exploration.parameters_kept_steps": 3,
        },
    )
    experiment = app.build(ddpg, config)
    state, step = jax.jit(experiment.init)(jax.random.key(0)), jax.jit(experiment.step)
    for t in range(1, 8):
        before = state.parameter_noise
        state, _ = step(state, None, t - 1, jax.random.key(t))
        changed = [
            bool((a != b).any())
            for a, b in zip(*map(jax.tree.leaves, (before, state.parameter_noise)), strict=True)
        ]
        assert all(changed) if t % 3 == 0 else not any(changed)


@pytest.mark.parametrize(
    "overrides",
    [
        {"env.name": "CartPole-v1"},
        {"env.name": "bogus"},
        {"exploration.name": "bogus"},
        {"model.normalization": "bogus"},
    ],
    ids=str,
)
def test_wrong_values_are_one_clear_line(overrides):
    with pytest.raises(UserError):
        app.build(ddpg, on_probe("Pendulum-v1", **overrides))


def test_claims_are_missed_by_what_is_broken():
    def holds(full, no_target):
        numbers = {
            "full": {"eval/return": np.array(full)},
            "no_target": {"eval/return": np.array(no_target)},
        }
        return [claim.holds for claim in ddpg.claims(Results(numbers))]

    assert holds([-150, -170], [-1400, -1450]) == [True, True]
    assert holds([-150, -260], [-1400, -1450]) == [False, True]  # every seed counts
    assert holds([-150, -170], [-1400, -1100]) == [True, False]
