"""Continuous control with deep reinforcement learning (Lillicrap et al., 2015), arXiv:1509.02971.

Claim: Q-learning with a network extends to continuous actions with an actor that climbs the
critic's gradient, given replay and target networks that follow slowly.

Values of the config: batch normalization (section 3) or layer normalization, and noise on the
parameters (Plappert et al., 2017, 1706.01905) or Gaussian noise in place of Ornstein-Uhlenbeck's.
Departures: the paper's tasks need MuJoCo; classic control is played instead. N environments may be
stepped together (`env.num_envs`), the paper has one. Its weight decay of the critic is added to the
gradient, of the kernels alone.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict

from research import app
from research.core import Aux, Experiment, Learner, UserError
from research.core.errors import check_choice
from research.models.deterministic_actor_critic import NORMALIZATIONS, Actor, Critic
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.report.game_demo import play_demo
from research.rl.acting.actor import Actors, apply_action
from research.rl.acting.episodes import Evaluation
from research.rl.acting.noise import ParameterNoise, ornstein_uhlenbeck
from research.rl.agents.ddpg import DDPGNetworks, DDPGState
from research.rl.agents.target_network import Variables, variables_of
from research.rl.envs import gymnax_env, probe_envs
from research.rl.envs.environments import Vectorized
from research.rl.replay.transitions import Ring, RingState, Transition
from research.rl.returns import td_target

PAPER = Paper(
    title="Continuous control with deep reinforcement learning",
    authors="Lillicrap et al.",
    year=2015,
    arxiv="1509.02971",
    field="reinforcement learning",
    claim="An actor on a critic's gradient learns continuous control, given target networks.",
    # Three observations, one action, batch normalization. «About 130,000» in the paper's tasks.
    parameters={
        "pendulum": {
            "agent/actor": 123_607,
            "agent/target_actor": 123_607,
            "agent/critic": 123_307,
            "agent/target_critic": 123_307,
        }
    },
    curves=("eval/return", "train/return"),
    x="frames",
)
NOISES = ("ornstein_uhlenbeck", "gaussian", "parameters")


class State(flax.struct.PyTreeNode):
    """N environments, their experience, and what has been learned from it.

    Attributes:
      agent: actor, critic and their targets.
      actors: the environments in mid-episode.
      noise: `[N, A]`, on the actions.
      parameter_noise: on the actor's parameters in its place, or None.
      replay: of `Transition`s.
      metrics: of the last update.
    """

    agent: DDPGState
    actors: Actors
    noise: jax.Array
    parameter_noise: ParameterNoise | None
    replay: RingState
    metrics: dict[str, jax.Array]


class DeepDeterministicPolicyGradient(Experiment):
    """Algorithm 1: mu(s) acts with noise, and learns from what a critic Q(s, a) makes of it."""

    def __init__(self, config: ConfigDict):
        self.env = make_env(config.env.name, config.env.num_envs)
        self.networks = make_networks(config, self.env.action_size)
        self.gamma = config.agent.gamma
        self.tau = config.agent.tau
        self.batch_size = config.agent.batch_size
        self.updates_per_step = config.agent.updates_per_step

        check_choice("exploration.name", config.exploration.name, NOISES)
        self.exploration = config.exploration
        self.ring = Ring(config.replay.capacity_frames, self.env.num_envs)
        self.learning_starts_frames = config.replay.learning_starts_frames

        self.test_play = Evaluation(make_env(config.env.name, config.eval.episodes), self.act)

        self.num_steps = config.total_frames // self.env.num_envs
        self.per_step = {"frames": self.env.num_envs}
        self.soft_rules = [
            ("^replay/items/", PartitionSpec(None, "data")),
            ("^(actors|noise)(/|$)", PartitionSpec("data")),
        ]

    def init(self, key):
        env_key, net_key, noise_key = jax.random.split(key, 3)
        actors = Actors.start(self.env, env_key)
        agent = self.networks.init(net_key, actors.observation)

        n = self.env.num_envs
        action = jnp.zeros((n, self.env.action_size))
        transition = Transition(
            observation=actors.observation,
            action=action,
            reward=jnp.zeros(n),
            terminated=jnp.zeros(n, bool),
            next_observation=actors.observation,
        )
        metrics = jax.eval_shape(lambda: self.update(agent, transition, key)[1])
        parameter_noise = None
        if self.exploration.name == "parameters":
            sigma = self.exploration.sigma
            parameter_noise = ParameterNoise.start(noise_key, agent.actor.params, sigma)
        return State(
            agent=agent,
            actors=actors,
            noise=action,
            parameter_noise=parameter_noise,
            replay=self.ring.init(transition),
            metrics=jax.tree.map(lambda s: jnp.zeros(s.shape), metrics),
        )

    def step(self, state, batch, t, key):
        act_key, env_key, learn_key, noise_key = jax.random.split(key, 4)
        action, noise = self.explore(state, act_key)
        actors, now = apply_action(self.env, state.actors, action, env_key)
        transition = Transition(
            observation=now.observation,
            action=action,
            reward=now.reward,
            terminated=now.terminated,  # of what a truncated episode led to the value still counts
            next_observation=now.next_observation,
        )
        state = state.replace(
            actors=actors,
            noise=jnp.where(now.reset[:, None], 0, noise),
            replay=self.ring.add(state.replay, transition),
        )
        agent, metrics = self.learn(state, t, learn_key)
        state = state.replace(agent=agent, metrics=metrics)
        if self.exploration.name == "parameters":
            state = state.replace(parameter_noise=self.renew_noise(state, t, noise_key))
        return state, {"train/return": jnp.nanmean(now.episode_return), **metrics}

    def explore(self, state: State, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """mu'(s) = mu(s) + N (equation 7): actions `[N, A]`, and the noise N on them."""
        actor, noise, exploration = state.agent.actor, state.noise, self.exploration
        match exploration.name:
            case "parameters":
                assert state.parameter_noise is not None
                actor = actor.replace(params=state.parameter_noise.perturb(actor.params))
            case "gaussian":
                noise = exploration.sigma * jax.random.normal(key, noise.shape)
            case "ornstein_uhlenbeck":
                noise = ornstein_uhlenbeck(key, noise, exploration.theta, exploration.sigma)
        action = self.networks.action(actor, state.actors.observation) + noise
        return jnp.clip(action, -1, 1), noise

    def learn(self, state: State, t: jax.Array, key: jax.Array):
        """The updates of one step, each with soft updates of the targets after it."""

        def body(i, carry):
            sample_key, loss_key = jax.random.split(jax.random.fold_in(key, i))
            batch = self.ring.sample(state.replay, sample_key, self.batch_size)
            agent, metrics = self.update(carry[0], batch, loss_key)
            # theta' <- tau theta + (1 - tau) theta', for both networks
            return self.networks.update_targets(agent, self.tau), metrics

        frames = (t + 1) * self.env.num_envs
        started = frames >= self.learning_starts_frames
        num_updates = jnp.where(started, self.updates_per_step, 0)
        return jax.lax.fori_loop(0, num_updates, body, (state.agent, state.metrics))

    def update(
        self, agent: DDPGState, batch: Transition, key: jax.Array
    ) -> tuple[DDPGState, dict[str, jax.Array]]:
        """One step of the critic, and one of the actor on the new critic."""
        critic_key, actor_key = jax.random.split(key)
        y = self.td_target(agent, batch)
        critic, metrics = self.networks.critic.minimize(
            agent.critic, self.critic_loss, (batch, y), critic_key
        )
        actor_loss = functools.partial(self.actor_loss, variables_of(critic))
        actor, actor_metrics = self.networks.actor.minimize(
            agent.actor, actor_loss, batch, actor_key
        )
        metrics.update({f"actor_{name}": value for name, value in actor_metrics.items()})
        return agent.replace(actor=actor, critic=critic), metrics

    def td_target(self, agent: DDPGState, batch: Transition) -> jax.Array:
        """y = r + gamma Q'(s', mu'(s')) of the target networks (equation 5), `[B]`."""
        next_action, _, _ = self.networks.mu(agent.target_actor, batch.next_observation)
        next_q, _ = self.networks.q(agent.target_critic, batch.next_observation, next_action)
        return td_target(batch.reward, next_q, batch.terminated, self.gamma)

    def critic_loss(
        self, critic: Variables, batch: tuple[Transition, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """L(theta^Q) = E (Q(s, a) - y)^2 (equation 4)."""
        transition, y = batch
        q, updated = self.networks.q(critic, transition.observation, transition.action)
        return jnp.mean((q - y) ** 2), Aux({"q": q.mean()}, updated)

    def actor_loss(
        self, critic: Variables, actor: Variables, batch: Transition, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """-E Q(s, mu(s)), whose gradient by theta^mu is that of equation 6, descended."""
        action, _, updated = self.networks.mu(actor, batch.observation)
        q, _ = self.networks.q(critic, batch.observation, action)
        return -q.mean(), Aux({}, updated)

    def renew_noise(self, state: State, t: jax.Array, key: jax.Array) -> ParameterNoise:
        """Other parameter noise now and then, as large as keeps its actions at a distance."""
        sample_key, noise_key = jax.random.split(key)
        actor, noise = state.agent.actor, state.parameter_noise
        assert noise is not None
        observation = self.ring.sample(state.replay, sample_key, self.batch_size).observation
        perturbed = actor.replace(params=noise.perturb(actor.params))
        change = self.networks.action(actor, observation)
        change -= self.networks.action(perturbed, observation)
        distance = jnp.sqrt(jnp.mean(change**2))
        other = noise.renew(noise_key, distance, self.exploration.sigma)
        due = (t + 1) % self.exploration.parameters_kept_steps == 0
        return jax.tree.map(lambda a, b: jnp.where(due, a, b), other, noise)

    def act(self, actor, observation, key):
        """The policy without noise, for tests."""
        return self.networks.action(actor, observation)

    def evaluate(self, state, key):
        numbers = self.test_play(state.agent.actor, key)
        return {f"eval/{name}": value for name, value in numbers.items()}


def make_env(name: str, num_envs: int) -> Vectorized:
    probe = name in probe_envs.CONTINUOUS_PROBES
    env = (probe_envs if probe else gymnax_env).make(name, num_envs)
    if not env.action_size:
        raise UserError(f"env.name is one with continuous actions, not {name!r}")
    return env


def make_networks(config: ConfigDict, action_size: int) -> DDPGNetworks:
    model, optimizer = config.model, config.optimizer
    check_choice("model.normalization", model.normalization, NORMALIZATIONS)
    hidden = tuple(model.hidden)
    weight_decay = optax.add_decayed_weights(
        optimizer.critic_weight_decay,
        mask=lambda params: jax.tree.map(lambda p: p.ndim > 1, params),  # kernels alone
    )
    return DDPGNetworks(
        actor=Learner(
            Actor(action_size, hidden, model.normalization, config.compute_dtype),
            optax.adam(optimizer.actor_learning_rate),
            max_grad_norm=config.max_grad_norm,
        ),
        critic=Learner(
            Critic(hidden, model.normalization, config.compute_dtype),
            optax.chain(weight_decay, optax.adam(optimizer.critic_learning_rate)),
            max_grad_norm=config.max_grad_norm,
        ),
    )


def demo(experiment: DeepDeterministicPolicyGradient, state: State) -> Demo:
    return play_demo(experiment.test_play, state.agent.actor)


def claims(results: Results) -> list[Claim]:
    """Pendulum is solved on every seed, and is not without target networks."""
    test_return = results["eval/return"]
    return [
        test_return.at_least(
            "full",
            -250,
            claim="Pendulum is solved: return",
            paper="near a planner's score (table 1)",
            digits=0,
        ),
        test_return.above(
            "full",
            "no_target",
            by=1000,
            claim="without target networks it is not: lower return",
            paper="very poor in many environments (figure 2)",
            digits=0,
        ),
    ]


if __name__ == "__main__":
    app.run()
