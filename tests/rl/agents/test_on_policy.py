"""The skeleton of on-policy agents: what `update` is given, what is split, what is evaluated."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from research.core import Learner
from research.core.tree import named_leaves
from research.models.actor_critic import ActorCritic
from research.rl.acting.normalization import Moments
from research.rl.agents.on_policy import ACTOR_RULES, OnPolicy, make_collector, random_return
from research.rl.envs import games

N, T = 4, 6
SETTINGS = games.Settings(
    "CartPole-v1", N, normalize_observations=True, normalize_rewards=True, reward_clip=1.0
)


class Still(OnPolicy):
    """Learns nothing, and reports what it was given."""

    def __init__(self, settings=SETTINGS):
        super().__init__(
            make_collector(settings, T, gamma=0.9, gae_lambda=1.0),
            total_frames=10 * N * T + 5,
            test_env=games.evaluation_games(settings, games.EvaluationSettings(8)),
            greedy=True,
        )
        network = ActorCritic(self.env.num_actions, self.env.action_size, "mlp", shared=False)
        self.learner = Learner(network, optax.sgd(0.1))

    def update(self, state, rollout, t, key):
        distribution, value = self.policy_and_value(state.learner, rollout.observation)
        metrics = {
            "steps": len(rollout.action),
            "t": t,
            "value_error": jnp.abs(value - rollout.value).max(),
            "log_prob_error": jnp.abs(
                distribution.log_prob(rollout.action) - rollout.log_prob
            ).max(),
        }
        return state, metrics


def test_an_update_sees_the_rollout_of_the_policy_that_it_updates():
    agent = Still()
    assert agent.num_steps == 10 and agent.per_step == {"frames": N * T}
    state, step = agent.init(jax.random.key(0)), jax.jit(agent.step)
    for t in range(3):
        before = state
        state, metrics = step(state, None, t, jax.random.key(t))
        assert metrics["steps"] == N * T and metrics["t"] == t
        assert metrics["value_error"] < 1e-5 and metrics["log_prob_error"] < 1e-5
        assert "train/return" in metrics
        assert not np.array_equal(before.actors.observation, state.actors.observation)


def test_rules_split_what_every_environment_has_and_nothing_else():
    state = jax.eval_shape(Still().init, jax.random.key(0))
    for name, leaf in named_leaves(state).items():
        split = any(re.search(rule, name) for rule, _ in ACTOR_RULES)
        per_environment = name.startswith("actors/") and leaf.shape[:1] == (N,)
        # CartPole's observations have as many components as there are environments.
        assert split == (per_environment and "moments" not in name), name


class Leaning(nn.Module):
    """Pushes to the side that the (normalized) pole leans to."""

    @nn.compact
    def __call__(self, x):
        scale = self.param("scale", nn.initializers.ones, ())
        push = scale * (x[:, 2] + x[:, 3])
        policy = {"logits": jnp.stack([-push, push], axis=1)}
        return (policy, jnp.zeros(len(x))), {}


def test_an_evaluation_normalizes_as_training_does_and_beats_chance():
    agent = Still()
    agent.learner = Learner(Leaning(), optax.sgd(0.1))
    state = agent.init(jax.random.key(0))
    chance = random_return(agent.test_env, seed=0)
    assert agent.evaluate(state, jax.random.key(1))["eval/return"] > 3 * chance
    # Observations far from moments that were never theirs all look alike: the pole is lost.
    shifted = Moments(jnp.float32(1e6), jnp.full(4, 1e3), jnp.ones(4))
    lost = state.replace(actors=state.actors.replace(moments=shifted))
    assert agent.evaluate(lost, jax.random.key(1))["eval/return"] < chance
