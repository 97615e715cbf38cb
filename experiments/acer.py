"""Sample Efficient Actor-Critic with Experience Replay (Wang, Bapst, Heess, Mnih, Munos,
Kavukcuoglu, de Freitas, 2016), arXiv:1611.01224, for discrete actions.

Claim: an actor-critic that replays its experience learns from fewer frames than on-policy alone.

Departures: the actors step together and one update learns from all of them, as in OpenAI Baselines'
form; truncated episodes are bootstrapped from their last observation. Continuous actions, with
their stochastic dueling networks, are absent; so is the recurrent agent. Atari's emulators run
inside the step, which the CPU platform alone can do.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict

from research import app
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.models.actor_critic import ActorQ
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.report.game_demo import play_demo
from research.rl.acting.actor import Actors
from research.rl.acting.distributions import Categorical
from research.rl.agents.on_policy import ACTOR_RULES, evaluation
from research.rl.envs import games
from research.rl.replay.segments import Segment, Segments, collect_segment
from research.rl.replay.transitions import RingState
from research.rl.retrace import retrace

PAPER = Paper(
    title="Sample Efficient Actor-Critic with Experience Replay",
    authors="Wang et al.",
    year=2016,
    arxiv="1611.01224",
    field="reinforcement learning",
    claim="Replay makes an actor-critic learn from fewer frames than on-policy alone.",
    parameters={"2015": 1_684_128 + 2 * 513 * 4},  # trunk, and Breakout's 4 actions twice
    curves=("train/return",),
    x="frames",
)
_EPSILON = 1e-8  # keeps quotients of probabilities finite


class State(flax.struct.PyTreeNode):
    """The networks, the environments in mid-episode, and the segments to replay.

    Attributes:
      learner: policy and action values.
      average_params: of the average policy network (section 3.3).
      actors: the environments.
      replay: of `Segment`s.
    """

    learner: LearnerState
    average_params: Any
    actors: Actors
    replay: RingState


class ActorCriticWithExperienceReplay(Experiment):
    """Algorithm 1: each segment is learned from once when it was played, then in replay."""

    def __init__(self, config: ConfigDict):
        agent, optimizer = config.agent, config.optimizer
        settings = games.Settings(**config.env)
        self.settings = settings
        self.env = games.training_environment(settings)
        if self.env.action_size:
            raise UserError(f"env.name is one with discrete actions, not {settings.name!r}")
        self.segments = Segments(
            num_envs=self.env.num_envs,
            num_steps=agent.segment_steps,
            capacity=config.replay.capacity_frames // self.env.frames_per_step,
            depth=self.env.depth,
        )
        self.learning_starts_frames = config.replay.learning_starts_frames
        self.replay_ratio = agent.replay_ratio

        self.gamma = agent.gamma
        self.c = agent.truncation
        self.delta = agent.trust_region
        self.alpha = agent.average_decay
        self.q_weight = agent.q_weight
        self.entropy_weight = agent.entropy_weight

        self.frames = self.env.num_envs * agent.segment_steps * self.env.frames_per_step
        self.num_steps = config.total_frames // self.frames
        self.per_step = {"frames": self.frames}
        self.source = games.source(self.env)
        self.soft_rules = [*ACTOR_RULES, ("^replay/items/", PartitionSpec(None, "data"))]

        # The rate is set by the frames played, for how many updates these make is random.
        self.rate = optax.linear_schedule(optimizer.learning_rate, 0.0, self.num_steps)
        model = config.model
        self.learner = Learner(
            ActorQ(self.env.num_actions, model.variant, model.shared, config.compute_dtype),
            optax.inject_hyperparams(optax.rmsprop)(
                optimizer.learning_rate,
                optimizer.rmsprop_decay,
                optimizer.rmsprop_epsilon,
                optimizer.rmsprop_initial_scale,
            ),
            max_grad_norm=config.max_grad_norm,
        )
        test_env = games.evaluation_games(settings, games.EvaluationSettings(**config.eval))
        self.test_play = evaluation(test_env, self.policy, greedy=config.eval.greedy)

    def init(self, key):
        env_key, net_key = jax.random.split(key)
        actors = Actors.start(self.env, env_key)
        learner = self.learner.init(net_key, actors.observation[:1])
        segment = jax.eval_shape(self.collect, learner, actors, None, key)[1]
        return State(
            learner=learner,
            average_params=jax.tree.map(jnp.copy, learner.params),
            actors=actors,
            replay=self.segments.init(segment),
        )

    def step(self, state, batch, t, key):
        play_key, now_key, count_key, replay_key = jax.random.split(key, 4)
        actors, segment, episodes = self.collect(state.learner, state.actors, batch, play_key)
        replay = self.segments.add(state.replay, segment)

        learner = self.learner.set_hyperparams(state.learner, learning_rate=self.rate(t))
        carry = self.update(learner, state.average_params, segment, now_key)

        def body(i, carry):
            learner, average_params, _ = carry
            draw_key, loss_key = jax.random.split(jax.random.fold_in(replay_key, i))
            segment = self.segments.sample(replay, draw_key)
            return self.update(learner, average_params, segment, loss_key)

        started = (t + 1) * self.frames >= self.learning_starts_frames
        count = jnp.where(started, jax.random.poisson(count_key, self.replay_ratio), 0)
        learner, average_params, metrics = jax.lax.fori_loop(0, count, body, carry)
        return State(learner, average_params, actors, replay), {**metrics, **episodes}

    def collect(self, learner: LearnerState, actors: Actors, batch: Any, key: jax.Array):
        """The actors after a segment, the segment, and the mean return of its episodes."""
        return collect_segment(
            self.env,
            actors,
            functools.partial(self.policy, learner),
            key,
            self.segments.num_steps,
            reward_clip=self.settings.reward_clip,
            life_loss_ends=self.settings.life_loss_ends,
            batch=batch,
        )

    def update(self, learner: LearnerState, average_params: Any, segment: Segment, key: jax.Array):
        """One step on a segment, and theta_a <- alpha theta_a + (1 - alpha) theta."""
        loss = functools.partial(self.loss, average_params)
        learner, metrics = self.learner.minimize(learner, loss, segment, key)
        average_params = optax.incremental_update(learner.params, average_params, 1 - self.alpha)
        return learner, average_params, metrics

    def policy_and_q(self, variables: Any, observation: jax.Array) -> tuple[Categorical, jax.Array]:
        """Distributions and action values `[..., A]` of observations `[..., *space]`."""
        space = self.env.observation_space.shape
        leading = observation.shape[: observation.ndim - len(space)]
        policy, q = self.learner.apply(variables, observation.reshape(-1, *space))[0]
        logits = policy["logits"].reshape(*leading, -1)
        return Categorical(logits), q.reshape(*leading, -1)

    def policy(self, variables: Any, observation: jax.Array) -> Categorical:
        return self.policy_and_q(variables, observation)[0]

    def loss(
        self, average_params: Any, variables: Any, segment: Segment, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """The value loss, and a term whose gradient by f is -z*, the projected policy gradient."""
        policy, q = self.policy_and_q(variables, segment.observation)
        next_policy, next_q = self.policy_and_q(variables, segment.next_observation)
        average_policy = self.policy({"params": average_params}, segment.observation)
        f, f_average, f_next = (
            jax.nn.softmax(p.logits) for p in (policy, average_policy, next_policy)
        )
        q_taken = jnp.take_along_axis(q, segment.action[..., None], axis=-1)[..., 0]
        rho = jnp.exp(policy.log_prob(segment.action) - segment.policy.log_prob(segment.action))
        q_ret = jax.lax.stop_gradient(
            retrace(
                segment.reward,
                q_taken,
                (f_next * next_q).sum(axis=-1),  # V(x'), in expectation over the policy
                rho,
                segment.terminated,
                segment.done,
                self.gamma,
            )
        )
        g = self.policy_gradient(f, q, q_ret, segment)
        k = -f_average / (f + _EPSILON)  # gradient of KL(f_average, f) by f
        z = jax.lax.stop_gradient(self.project_to_trust_region(g, k))
        q_loss = ((q_ret - q_taken) ** 2).mean() / 2
        loss = self.q_weight * q_loss - (z * f).sum(axis=-1).mean()
        metrics = {
            "q_loss": q_loss,
            "entropy": policy.entropy().mean(),
            "kl": average_policy.kl(policy).mean(),
            "ratio_above_truncation": (rho > self.c).mean(),
        }
        return loss, Aux(metrics)

    def policy_gradient(
        self, f: jax.Array, q: jax.Array, q_ret: jax.Array, segment: Segment
    ) -> jax.Array:
        """g, the gradient of the objective by the policy's probabilities (equation 9).

        g = min(c, rho_t) grad log f(a_t) (Q^ret - V)
            + E_{a ~ f} [1 - c / rho(a)]_+ grad log f(a) (Q(a) - V)
        and the gradient of the entropy's bonus.

        Args:
          f: `[T, N, A]`, probabilities of the policy.
          q: `[T, N, A]`, action values.
          q_ret: `[T, N]`, Retrace's targets of the values of the actions taken.
          segment: the actions, and the distributions mu that they were drawn from.
        """
        assert isinstance(segment.policy, Categorical)
        mu = jax.nn.softmax(segment.policy.logits)
        f, q = jax.lax.stop_gradient((f, q))
        v = (f * q).sum(axis=-1, keepdims=True)
        rho = f / (mu + _EPSILON)
        taken = jax.nn.one_hot(segment.action, f.shape[-1])
        truncated = taken * jnp.minimum(rho, self.c) * (q_ret[..., None] - v) / (f + _EPSILON)
        # What truncation leaves out, in expectation over the policy: f cancels in f grad log f.
        correction = jax.nn.relu(1 - self.c / (rho + _EPSILON)) * (q - v)
        return truncated + correction - self.entropy_weight * (1 + jnp.log(f + _EPSILON))

    def project_to_trust_region(self, g: jax.Array, k: jax.Array) -> jax.Array:
        """z* = g - max(0, (k . g - delta) / |k|^2) k (equation 12): closest to g of k . z <= delta.

        Args:
          g: `[T, N, A]`, the policy gradient.
          k: `[T, N, A]`, the gradient of the divergence from the average policy.
        """
        product = (g * k).sum(axis=-1, keepdims=True)
        square = (k**2).sum(axis=-1, keepdims=True)
        return g - jax.nn.relu(product - self.delta) / (square + _EPSILON) * k

    def evaluate(self, state, key):
        numbers = self.test_play((self.learner.eval_variables(state.learner), None), key)
        return {f"eval/{name}": value for name, value in numbers.items()}


def demo(experiment: ActorCriticWithExperienceReplay, state: State) -> Demo:
    variables = experiment.learner.eval_variables(state.learner)
    return play_demo(experiment.test_play, (variables, None))


def claims(results: Results) -> list[Claim]:
    """Acrobot is solved with replay, and is not without it in as many frames."""
    if "on_policy" not in results.arms:  # a game alone
        return []
    test_return = results["eval/return"]
    paper = "more replay, fewer frames to the same score (figure 1)"
    return [
        test_return.at_least(
            "acer",
            -150,
            claim="solves Acrobot in 120,000 frames: return",
            paper="not on this task",
            digits=0,
        ),
        test_return.above(
            "acer",
            "on_policy",
            by=300,
            claim="the same agent without replay, a fifth of the updates: lower return",
            paper=paper,
            digits=0,
        ),
        test_return.above(
            "acer",
            "on_policy_fast",
            by=100,
            claim="the same at its own best rate: lower return",
            paper=paper,
            rule="interval",
            digits=0,
        ),
    ]


if __name__ == "__main__":
    app.run()
