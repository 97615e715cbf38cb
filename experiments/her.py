"""Hindsight Experience Replay (Andrychowicz et al., 2017), arXiv:1707.01495.

Claim: with sparse rewards, replaying episodes with goals that they did meet makes off-policy
learning work where it fails without: DQN on bit flipping, DDPG on reaching and pushing.

Departures: the paper's robot arm needs MuJoCo; reaching and pushing are played in the plane without
the arm (`research.papers.her.point_mass`). Its 8 workers are one, with 8 times the episodes
and batch. Copies of a transition with other goals are drawn when it is sampled instead of being
stored. Observations are normalized by the moments of what was played, with the goals that it was
played for; OpenAI Baselines' moments are of samples with goals in hindsight.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app
from research.core import Aux, Experiment, Learner, LearnerState
from research.core.errors import check_choice
from research.models.deterministic_actor_critic import Actor, Critic
from research.models.q_network import QNetwork
from research.papers.her import goal_frames
from research.papers.her.bit_flipping import BitFlipping
from research.papers.her.point_mass import Push, Reach
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo, Film, Number, Text
from research.rl.acting.noise import random_or_gaussian
from research.rl.acting.normalization import Moments
from research.rl.agents.ddpg import DDPGNetworks, DDPGState
from research.rl.agents.q_learning import epsilon_greedy, q_of_action
from research.rl.agents.target_network import Variables, init_target, soft_update, variables_of
from research.rl.envs import goals
from research.rl.envs.environments import Vectorized
from research.rl.envs.goals import Episode, GoalEnvironment
from research.rl.replay.hindsight import Hindsight
from research.rl.replay.transitions import Ring, RingState, Transition
from research.rl.returns import td_target

PAPER = Paper(
    title="Hindsight Experience Replay",
    authors="Andrychowicz et al.",
    year=2017,
    arxiv="1707.01495",
    field="reinforcement learning",
    claim="Replaying episodes with goals they met makes learning from sparse rewards possible.",
    curves=("eval/success", "train/success"),
    x="frames",
)


class DQNState(flax.struct.PyTreeNode):
    """The network of action values, and the variables of its target network."""

    learner: LearnerState
    target_variables: Variables


class DQN:
    """The off-policy algorithm for discrete actions (section 2.2)."""

    def __init__(self, config: ConfigDict, task: GoalEnvironment):
        self.gamma = config.agent.gamma
        self.tau = config.agent.tau
        self.epsilon = config.exploration.epsilon
        self.learner = Learner(
            QNetwork(task.num_actions, tuple(config.model.hidden), config.compute_dtype),
            optax.adam(config.learning_rate),
            max_grad_norm=config.max_grad_norm,
        )

    def init(self, key: jax.Array, observation: jax.Array) -> DQNState:
        learner = self.learner.init(key, observation, train=False)
        return DQNState(learner, init_target(learner))

    def q(self, variables: LearnerState | Variables, observation: jax.Array) -> jax.Array:
        """Q(s, .), `[N, A]` of observations `[N, D]`."""
        return self.learner.apply(variables, observation, train=False)[0]

    def act(
        self, state: DQNState, observation: jax.Array, key: jax.Array, explore: bool
    ) -> jax.Array:
        """Actions `[N]`; without exploration of the target network, as it is more stable."""
        if explore:
            return epsilon_greedy(key, self.q(state.learner, observation), self.epsilon)
        return epsilon_greedy(key, self.q(state.target_variables, observation), 0.0)

    def td_target(self, state: DQNState, batch: Transition) -> jax.Array:
        """y = r + gamma max_a' Q'(s', a'), clipped to the returns that are possible."""
        next_q = self.q(state.target_variables, batch.next_observation).max(axis=1)
        y = td_target(batch.reward, next_q, batch.terminated, self.gamma)
        return jnp.clip(y, *return_range(self.gamma))

    def loss(
        self, variables: Variables, batch: tuple[Transition, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """E (Q(s, a) - y)^2."""
        transition, y = batch
        q = self.learner.apply(variables, transition.observation, train=True)[0]
        q = q_of_action(q, transition.action)
        return jnp.mean((q - y) ** 2), Aux({"q": q.mean()})

    def update(
        self, state: DQNState, batch: Transition, key: jax.Array
    ) -> tuple[DQNState, dict[str, jax.Array]]:
        y = self.td_target(state, batch)
        learner, metrics = self.learner.minimize(state.learner, self.loss, (batch, y), key)
        return state.replace(learner=learner), metrics

    def update_targets(self, state: DQNState) -> DQNState:
        target = soft_update(state.target_variables, state.learner, self.tau)
        return state.replace(target_variables=target)


class DDPG:
    """The off-policy algorithm for continuous actions (section 2.3)."""

    def __init__(self, config: ConfigDict, task: GoalEnvironment):
        self.gamma = config.agent.gamma
        self.tau = config.agent.tau
        self.epsilon = config.exploration.epsilon
        self.sigma = config.exploration.sigma
        self.action_penalty = config.agent.action_penalty
        hidden, dtype = tuple(config.model.hidden), config.compute_dtype
        self.networks = DDPGNetworks(
            actor=Learner(
                Actor(task.action_size, hidden, dtype=dtype),
                optax.adam(config.learning_rate),
                max_grad_norm=config.max_grad_norm,
            ),
            critic=Learner(
                Critic(hidden, action_layer=0, dtype=dtype),
                optax.adam(config.learning_rate),
                max_grad_norm=config.max_grad_norm,
            ),
        )

    def init(self, key: jax.Array, observation: jax.Array) -> DDPGState:
        return self.networks.init(key, observation)

    def act(
        self, state: DDPGState, observation: jax.Array, key: jax.Array, explore: bool
    ) -> jax.Array:
        """Actions `[N, A]`; without exploration of the target network, as it is more stable."""
        if not explore:
            return self.networks.action(state.target_actor, observation)
        action = self.networks.action(state.actor, observation)
        return random_or_gaussian(key, action, self.epsilon, self.sigma)

    def td_target(self, state: DDPGState, batch: Transition) -> jax.Array:
        """y = r + gamma Q'(s', pi'(s')), clipped to the returns that are possible."""
        next_action, _, _ = self.networks.mu(state.target_actor, batch.next_observation)
        next_q, _ = self.networks.q(state.target_critic, batch.next_observation, next_action)
        y = td_target(batch.reward, next_q, batch.terminated, self.gamma)
        return jnp.clip(y, *return_range(self.gamma))

    def critic_loss(
        self, critic: Variables, batch: tuple[Transition, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """L_c = E (Q(s, a) - y)^2."""
        transition, y = batch
        q, _ = self.networks.q(critic, transition.observation, transition.action)
        return jnp.mean((q - y) ** 2), Aux({"q": q.mean()})

    def actor_loss(
        self, critic: Variables, actor: Variables, batch: Transition, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """L_a = -E Q(s, pi(s)), and the squared preactivations against saturation (appendix A)."""
        action, preactivation, _ = self.networks.mu(actor, batch.observation)
        q, _ = self.networks.q(critic, batch.observation, action)
        return self.action_penalty * jnp.mean(preactivation**2) - q.mean(), Aux()

    def update(
        self, state: DDPGState, batch: Transition, key: jax.Array
    ) -> tuple[DDPGState, dict[str, jax.Array]]:
        """One step of the critic, and one of the actor on the new critic."""
        critic_key, actor_key = jax.random.split(key)
        y = self.td_target(state, batch)
        critic, metrics = self.networks.critic.minimize(
            state.critic, self.critic_loss, (batch, y), critic_key
        )
        actor_loss = functools.partial(self.actor_loss, variables_of(critic))
        actor, actor_metrics = self.networks.actor.minimize(
            state.actor, actor_loss, batch, actor_key
        )
        metrics.update({f"actor_{name}": value for name, value in actor_metrics.items()})
        return state.replace(actor=actor, critic=critic), metrics

    def update_targets(self, state: DDPGState) -> DDPGState:
        return self.networks.update_targets(state, self.tau)


class State(flax.struct.PyTreeNode):
    """What has been learned, the moments of all observations, and the episodes to learn from."""

    agent: DQNState | DDPGState
    moments: Moments
    episodes: RingState | None


class HindsightExperienceReplay(Experiment):
    """Algorithm 1: an off-policy algorithm on episodes that are replayed with other goals."""

    def __init__(self, config: ConfigDict):
        agent, replay = config.agent, config.replay
        self.task = make_task(config.env.name, config.env.num_bits)
        algorithm: Any = DQN if self.task.num_actions else DDPG
        self.agent = algorithm(config, self.task)
        self.env = Vectorized(self.task, agent.episodes_per_cycle)
        self.ring = Ring(replay.capacity_frames // self.task.horizon, self.env.num_envs)
        self.hindsight = Hindsight(self.task, self.ring, replay.strategy, replay.k)
        self.batch_size = agent.batch_size
        self.updates_per_cycle = agent.updates_per_cycle

        self.test_env = Vectorized(self.task, config.eval.episodes)
        self._test = jax.jit(self.test)

        frames = self.env.num_envs * self.task.horizon
        self.num_steps = config.total_frames // frames
        self.per_step = {"frames": frames}

    def init(self, key):
        observation = jnp.zeros((1, *self.env.observation_space.shape))
        state = State(
            agent=self.agent.init(key, observation),
            moments=Moments.init(observation.shape[1:]),
            episodes=None,
        )
        episode = jax.eval_shape(lambda: self.play(self.env, state, key, explore=True))
        return state.replace(episodes=self.ring.init(episode))

    def step(self, state, batch, t, key):
        """A cycle: episodes of the exploring policy, updates, then the target networks."""
        play_key, learn_key = jax.random.split(key)
        episode = self.play(self.env, state, play_key, explore=True)
        episodes = self.ring.add(state.episodes, episode)
        moments = state.moments.update(episode.observation)

        def body(agent, i):
            update_key = jax.random.fold_in(learn_key, i)
            return self.update(agent, moments, episodes, update_key)

        agent, metrics = jax.lax.scan(body, state.agent, jnp.arange(self.updates_per_cycle))
        metrics = {name: values[-1] for name, values in metrics.items()}
        metrics.update({f"train/{name}": x for name, x in goals.success(episode).items()})
        return State(self.agent.update_targets(agent), moments, episodes), metrics

    def update(self, agent, moments: Moments, episodes: RingState, key: jax.Array):
        """A minibatch: transitions with goals in hindsight, and the algorithm's step on them."""
        sample_key, loss_key = jax.random.split(key)
        batch = self.hindsight.sample(episodes, sample_key, self.batch_size)
        batch = batch._replace(
            observation=normalized(moments, batch.observation),
            next_observation=normalized(moments, batch.next_observation),
        )
        return self.agent.update(agent, batch, loss_key)

    def play(self, env: Vectorized, state: State, key: jax.Array, *, explore: bool) -> Episode:
        def act(observation, key):
            observation = normalized(state.moments, observation)
            return self.agent.act(state.agent, observation, key, explore)

        return goals.play(env, self.task.horizon, act, key)

    def test(self, state: State, key: jax.Array) -> dict[str, jax.Array]:
        return goals.success(self.play(self.test_env, state, key, explore=False))

    def evaluate(self, state, key):
        # Every process plays the same episodes on one of its own devices.
        state = jax.device_get(state.replace(episodes=None))
        return {f"eval/{name}": share for name, share in self._test(state, key).items()}


def return_range(gamma: float) -> tuple[float, float]:
    """Returns of rewards -1 and 0 lie within these bounds (appendix A)."""
    return -1 / (1 - gamma), 0.0


def normalized(moments: Moments, observation: jax.Array) -> jax.Array:
    """Observations in standard deviations from the mean of all, clipped to 5 (appendix A)."""
    return jnp.clip(moments.normalize(observation), -5, 5)


def make_task(name: str, num_bits: int) -> GoalEnvironment:
    tasks: dict[str, Callable[[], GoalEnvironment]] = {
        "bit_flipping": functools.partial(BitFlipping, num_bits),
        "reach": Reach,
        "push": Push,
    }
    check_choice("env.name", name, tasks)
    return tasks[name]()


def demo(experiment: HindsightExperienceReplay, state: State) -> Demo:
    """Films an episode: what moves is orange; the green ring, or the lower row, is the goal."""
    paint, task = goal_frames.painter(experiment.task), experiment.task
    env = Vectorized(task, 1)
    state = state.replace(episodes=None)
    play = jax.jit(lambda state, key: experiment.play(env, state, key, explore=False))

    def run(episode: int) -> dict[str, Any]:
        played = jax.device_get(play(state, jax.random.key(episode)))
        met = played.reward[0] == 0
        said = "at the end" if met[-1] else "on the way, and left again" if met.any() else "never"
        frames = np.stack([paint(x) for x in played.observation[0]])
        return {"film": frames, "met": f"the goal is met {said}"}

    return Demo(
        title="Watch it reach a goal",
        says="Each episode has a goal of its own; the agent was paid for nothing but meeting it.",
        inputs={"episode": Number("which episode: another number, another goal", 0, 0, 9999)},
        outputs={"film": Film("the episode", 8), "met": Text("how it ended")},
        run=run,
    )


def claims(results: Results) -> list[Claim]:
    """Two rows for each arm with goals in hindsight: it succeeds, and not without them."""
    rows = []
    for arm in results.arms:
        if arm.startswith("no_"):
            continue
        if arm.startswith("her"):
            success = results["eval/success"]  # of bits it counts when they were right at any time
            rows += [
                success.at_least(
                    arm,
                    0.9,
                    claim="success with goals in hindsight",
                    paper="40 bits and more (figure 1)",
                ),
                success.at_most(
                    f"no_{arm}",
                    0.2,
                    claim="success without",
                    paper="no more than about 13 bits (figure 1)",
                ),
            ]
        else:
            success = results["eval/success_at_end"]
            rows += [
                success.at_least(
                    arm,
                    0.9,
                    claim="success at the end with goals in hindsight",
                    paper="a robot learns to push (figure 3)",
                ),
                success.above(
                    arm,
                    f"no_{arm}",
                    by=0.3,
                    claim="success at the end is lower without",
                    paper="with hindsight alone (figure 3)",
                ),
            ]
    return rows


if __name__ == "__main__":
    app.run()
