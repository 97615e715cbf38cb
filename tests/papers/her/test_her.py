"""What is HER's own: bit flipping it must solve, a bug that must show, DDPG in the plane."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs.her import get_config
from experiments import her
from research import app
from research.core import Learner, UserError
from research.models.q_network import QNetwork
from research.report.claims import Results
from research.rl.replay.hindsight import Hindsight
from tests.rl import ddpg_by_hand as by_hand


def configured(**overrides):
    config = get_config("smoke")
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in overrides.items()})
    return config


def trained(config, cycles):
    """State after so many cycles, and its success rate."""
    experiment = app.build(her, config)

    @jax.jit
    def run(key):
        def body(t, state):
            return experiment.step(state, None, t, jax.random.fold_in(key, t))[0]

        return jax.lax.fori_loop(0, cycles, body, experiment.init(key))

    state = run(jax.random.key(0))
    return state, float(experiment.evaluate(state, jax.random.key(1))["eval/success"])


def bits(**overrides):
    return configured(
        env__num_bits=10,
        replay__capacity_frames=20_000,
        agent__updates_per_cycle=40,
        eval__episodes=128,
        **overrides,
    )


def test_flips_ten_bits_and_not_with_the_rewards_of_the_old_goals(monkeypatch):
    assert trained(bits(), 100)[1] > 0.9

    def unrewarded(self, state, key, size):
        batch = sample(self, state, key, size)
        return batch._replace(reward=jnp.full((size,), -1.0))

    sample = Hindsight.sample
    monkeypatch.setattr(Hindsight, "sample", unrewarded)
    assert trained(bits(), 100)[1] < 0.2


def test_a_cycle():
    """Episodes go into the ring; moments are of all observations; targets follow once."""
    config = configured(agent__tau=0.25)
    experiment = app.build(her, config)
    before = jax.jit(experiment.init)(jax.random.key(0))
    after, metrics = jax.jit(experiment.step)(before, None, 0, jax.random.key(1))
    assert after.episodes.filled == 1 and after.episodes.items.observation.shape[1:] == (16, 6, 10)
    seen = np.asarray(after.episodes.items.observation[0])
    np.testing.assert_allclose(after.moments.mean, seen.mean(axis=(0, 1)), atol=1e-4)
    jax.tree.map(
        lambda target, old, new: np.testing.assert_allclose(
            target, 0.75 * old + 0.25 * new, atol=1e-6
        ),
        after.agent.target_variables["params"],
        before.agent.target_variables["params"],
        after.agent.learner.params,
    )
    assert {"loss", "train/success", "train/success_at_end"} <= set(metrics)


def test_in_the_plane_every_parameter_learns():
    config = configured(
        env__name="push",
        replay__capacity_frames=4000,
        agent__batch_size=64,
    )
    config.model.hidden = (16, 16)
    before = jax.jit(app.build(her, config).init)(jax.random.key(0))
    after, success = trained(config, 3)
    assert 0 <= success <= 1
    for learner in ("actor", "critic"):
        old, new = getattr(before.agent, learner).params, getattr(after.agent, learner).params
        assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).any()), old, new)))


@pytest.mark.parametrize("name", ["bit_flipping", "push"])
def test_what_plays_in_evaluation_is_the_target_network(name):
    experiment = app.build(her, configured(env__name=name))
    agent = experiment.agent
    x = jax.random.normal(jax.random.key(2), (64, *experiment.task.observation_space.shape))
    state, other = (agent.init(jax.random.key(seed), x) for seed in (0, 1))
    flips = name == "bit_flipping"
    learned, target = ("learner", "target_variables") if flips else ("actor", "target_actor")

    def played(**changed):
        return np.asarray(agent.act(state.replace(**changed), x, jax.random.key(3), explore=False))

    np.testing.assert_array_equal(played(**{learned: getattr(other, learned)}), played())
    assert (played(**{target: getattr(other, target)}) != played()).any()


@pytest.mark.parametrize("limits", [(-np.inf, np.inf), (-0.2, 0.1)])
def test_ddpgs_update_is_the_papers(limits, monkeypatch):
    monkeypatch.setattr(her, "return_range", lambda gamma: limits)
    agent = app.build(her, configured(env__name="push")).agent
    agent.networks, state = by_hand.made()
    agent.gamma, agent.action_penalty = by_hand.GAMMA, 0.3
    batch = by_hand.batch_of()
    new, metrics = jax.jit(agent.update)(state, batch, jax.random.key(5))
    critic, actor, loss = by_hand.updated(state, batch, limits, action_penalty=0.3)
    by_hand.same(new.critic.params, critic)
    by_hand.same(new.actor.params, actor)
    by_hand.same((new.target_actor, new.target_critic), (state.target_actor, state.target_critic))
    assert float(metrics["loss"]) == pytest.approx(loss, 1e-4)


def test_dqns_update_is_the_papers(monkeypatch):
    monkeypatch.setattr(her, "return_range", lambda gamma: (-0.5, 0.5))
    agent = app.build(her, configured()).agent
    agent.learner, agent.gamma = Learner(QNetwork(3, (5,)), optax.sgd(by_hand.LR)), by_hand.GAMMA
    state, other = (agent.init(jax.random.key(i), jnp.zeros((1, 3))) for i in (0, 1))
    state = state.replace(target_variables=other.target_variables)
    batch = by_hand.batch_of(continuous=False)
    new, metrics = jax.jit(agent.update)(state, batch, jax.random.key(2))

    value = agent.q(state.target_variables, batch.next_observation).max(axis=1)
    y = np.clip(batch.reward + by_hand.GAMMA * (1.0 - batch.terminated) * value, -0.5, 0.5)
    q = np.asarray(agent.q(state.learner, batch.observation))[np.arange(by_hand.B), batch.action]
    assert float(metrics["loss"]) == pytest.approx(float(((q - y) ** 2).mean()), 1e-4)
    # The last bias moves by the errors of its action.
    change = new.learner.params["q"]["bias"] - state.learner.params["q"]["bias"]
    for a in range(3):
        error = (y - q)[np.asarray(batch.action) == a].sum()
        assert float(change[a]) == pytest.approx(by_hand.LR * 2 / by_hand.B * error, abs=1e-5)
    by_hand.same(new.target_variables, state.target_variables)


def test_returns_of_rewards_minus_one_and_zero_are_in_range():
    low, high = her.return_range(0.98)
    assert low == pytest.approx(-(0.98 ** np.arange(5_000)).sum()) and high == 0


@pytest.mark.parametrize(
    "overrides", [{"env__name": "bogus"}, {"replay__strategy": "bogus"}], ids=str
)
def test_wrong_values_are_one_clear_line(overrides):
    with pytest.raises(UserError, match="bogus"):
        app.build(her, configured(**overrides))


def shares(*values, at_end=None):
    return {"eval/success": np.array(values), "eval/success_at_end": np.array(at_end or values)}


def test_claims_are_missed_by_what_is_broken():
    def holds(**results):
        claims = her.claims(Results(results))
        assert len(claims) == 2
        return all(claim.holds for claim in claims)

    assert holds(her=shares(1.0, 0.95, at_end=(0.5, 0.5)), no_her=shares(0.0, 0.1))
    assert not holds(her=shares(1.0, 0.8), no_her=shares(0.0, 0.1))
    assert not holds(her=shares(1.0, 1.0), no_her=shares(0.0, 0.3))
    # Pushing counts where the puck is in the end.
    assert holds(push=shares(1.0, 0.95), no_push=shares(0.6, 0.1))
    assert not holds(push=shares(1.0, 1.0, at_end=(1.0, 0.8)), no_push=shares(0.0, 0.0))
    assert not holds(push=shares(1.0, 0.95), no_push=shares(0.7, 0.1))
    for variant in ("push", "paper", "reach"):
        without, ours = sorted(get_config(variant).arms)
        assert without == f"no_{ours}" and not ours.startswith("her")
