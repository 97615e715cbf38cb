"""What is HER's own: bit flipping it must solve, a bug that must show, DDPG in the plane."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.her import get_config
from experiments import her
from research.core import UserError
from research.rl.replay.hindsight import Hindsight


def configured(**overrides):
    config = get_config("smoke")
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in overrides.items()})
    return config


def trained(config, cycles):
    """State after so many cycles, and its success rate."""
    experiment = her.build(config)

    @jax.jit
    def run(key):
        def body(t, state):
            return experiment.step(state, None, 0, jax.random.fold_in(key, t))[0]

        return jax.lax.fori_loop(0, cycles, body, experiment.init(key))

    state = run(jax.random.key(0))
    return state, float(experiment.evals["eval"](state, jax.random.key(1))["success"])


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
    experiment = her.build(config)
    before = jax.jit(experiment.init)(jax.random.key(0))
    after, metrics = jax.jit(experiment.step)(before, None, jax.random.key(1))
    assert after.episodes.filled == 1 and after.episodes.items.observation.shape[1:] == (16, 6, 10)
    seen = np.asarray(after.episodes.items.observation[0])
    np.testing.assert_allclose(after.seen.mean, seen.mean(axis=(0, 1)), atol=1e-4)
    jax.tree.map(
        lambda target, old, new: np.testing.assert_allclose(
            target, 0.75 * old + 0.25 * new, atol=1e-6
        ),
        after.agent.target["params"],
        before.agent.target["params"],
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
    before = jax.jit(her.build(config).init)(jax.random.key(0))
    after, success = trained(config, 3)
    assert 0 <= success <= 1
    for learner in ("actor", "critic"):
        old, new = getattr(before.agent, learner).params, getattr(after.agent, learner).params
        assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).any()), old, new)))


@pytest.mark.parametrize("name", ["bit_flipping", "push"])
def test_what_plays_in_evaluation_is_the_target_network(name):
    config = configured(env__name=name)
    task = her.make_task(config.env)
    agent, policy = her.make_agent(config, task)
    x = jax.random.normal(jax.random.key(2), (64, *task.observation_space.shape))
    state, other = (agent.init(jax.random.key(seed), x) for seed in (0, 1))
    learned, target = ("learner", "target") if name == "bit_flipping" else ("actor", "target_actor")

    def played(**changed):
        act = policy(state.replace(**changed), explore=False)
        return np.asarray(act(x, jax.random.key(3)))

    np.testing.assert_array_equal(played(**{learned: getattr(other, learned)}), played())
    assert (played(**{target: getattr(other, target)}) != played()).any()


@pytest.mark.parametrize(
    "overrides", [{"env__name": "bogus"}, {"replay__strategy": "bogus"}], ids=str
)
def test_wrong_values_are_one_clear_line(overrides):
    with pytest.raises(UserError, match="bogus"):
        her.build(configured(**overrides))


def shares(*values, at_end=None):
    return {"eval/success": np.array(values), "eval/success_at_end": np.array(at_end or values)}


def test_claims_are_missed_by_what_is_broken():
    def holds(**results):
        return [bool(claim.holds) for claim in her.claims(results)]

    assert holds(her=shares(1.0, 0.95, at_end=(0.5, 0.5)), no_her=shares(0.0, 0.1)) == [True]
    assert holds(her=shares(1.0, 0.8), no_her=shares(0.0, 0.1)) == [False]
    assert holds(her=shares(1.0, 1.0), no_her=shares(0.0, 0.3)) == [False]
    # Pushing counts where the puck is in the end.
    assert holds(push=shares(1.0, 0.95), no_push=shares(0.6, 0.1)) == [True]
    assert holds(push=shares(1.0, 1.0, at_end=(1.0, 0.8)), no_push=shares(0.0, 0.0)) == [False]
    assert holds(push=shares(1.0, 0.95), no_push=shares(0.7, 0.1)) == [False]
    for variant in ("push", "paper", "reach"):
        without, ours = sorted(get_config(variant).arms)
        assert without == f"no_{ours}" and not ours.startswith("her")
