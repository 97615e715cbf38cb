"""What `test_ddpg.test_update_is_the_papers` leaves open: optimizers, order of updates, noise."""

import jax
import jax.numpy as jnp
import numpy as np

from configs.ddpg import get_config
from experiments import ddpg
from research import app
from research.rl.agents.target_network import variables_of
from tests.rl import ddpg_by_hand as by_hand
from tests.rl import reference

TAU = 0.3


def build(**overrides):
    config = get_config("smoke")
    config.update_from_flattened_dict({"agent.gamma": by_hand.GAMMA, "agent.tau": TAU, **overrides})
    return app.build(ddpg, config)


def test_both_take_adams_steps_the_critic_with_weight_decay_of_its_kernels():
    """g + 0.01 w in place of g, at 1e-3; the actor's rate is 1e-4 (section 7)."""
    networks = build(**{"optimizer.critic_weight_decay": 0.01}).networks
    for learner, rate, decay in ((networks.actor, 1e-4, 0.0), (networks.critic, 1e-3, 0.01)):
        rng = np.random.default_rng(0)
        params = {"kernel": 30 * rng.normal(size=(3, 2)), "bias": 30 * rng.normal(size=2)}
        ours = jax.tree.map(jnp.asarray, params)
        state, adam = learner.tx.init(ours), reference.Adam(rate, 1e-8)
        start = params
        for _ in range(3):
            grads = {name: 0.1 * rng.normal(size=x.shape) for name, x in params.items()}
            floats = {name: jnp.asarray(g, jnp.float32) for name, g in grads.items()}
            updates, state = learner.tx.update(floats, state, ours)
            ours = jax.tree.map(jnp.add, ours, updates)
            grads["kernel"] = grads["kernel"] + decay * params["kernel"]
            params = adam(params, grads)
        moved = {name: params[name] - start[name] for name in params}
        reference.same({k: np.asarray(ours[k]) - start[k] for k in ours}, moved, 1e-2, rate * 0.02)


def test_targets_follow_after_each_update_and_learning_begins_when_enough_was_played():
    experiment = build(**{"agent.updates_per_step": 2})
    experiment.networks, agent = by_hand.made()
    batch = by_hand.batch_of()
    experiment.ring = Fixed(batch)
    metrics = {name: jnp.zeros(()) for name in METRICS}
    state = ddpg.State(agent, None, None, None, None, metrics)
    after, _ = jax.jit(experiment.learn)(state, 100, jax.random.key(0))
    expected = agent
    for _ in range(2):
        critic, actor, _ = by_hand.updated(expected, batch)
        expected = expected.replace(
            actor=expected.actor.replace(params=actor),
            critic=expected.critic.replace(params=critic),
        )
        expected = expected.replace(
            **{
                f"target_{name}": jax.tree.map(
                    lambda old, new: (1 - TAU) * old + TAU * new,
                    getattr(expected, f"target_{name}"),
                    variables_of(getattr(expected, name)),
                )
                for name in ("actor", "critic")
            }
        )
    for name in ("target_actor", "target_critic"):
        by_hand.same(getattr(after, name), getattr(expected, name))
    by_hand.same(after.actor.params, expected.actor.params)
    early, _ = jax.jit(experiment.learn)(state, 8, jax.random.key(0))  # 72 of 80 frames
    jax.tree.map(np.testing.assert_array_equal, early, agent)


METRICS = ("loss", "grad_norm", "q", "actor_loss", "actor_grad_norm")


class Fixed:
    """A replay that gives one batch again and again."""

    def __init__(self, batch):
        self.batch = batch

    def sample(self, state, key, size):
        return self.batch


def test_noise_is_added_to_the_action_and_goes_on():
    experiment = build(**{"exploration.theta": 0.15, "exploration.sigma": 0.2})
    state = experiment.init(jax.random.key(0))
    state = state.replace(noise=jnp.full_like(state.noise, 0.5))
    action, noise = experiment.explore(state, jax.random.key(1))
    drawn = 0.2 * jax.random.normal(jax.random.key(1), state.noise.shape)
    np.testing.assert_allclose(noise, 0.85 * 0.5 + drawn, atol=1e-6)
    mu = experiment.networks.action(state.agent.actor, state.actors.observation)
    np.testing.assert_allclose(action, np.clip(mu + noise, -1, 1), atol=1e-6)
